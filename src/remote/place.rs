//! Where an application is on a host: what every script begins with, whatever it does.

use std::collections::BTreeMap;

use crate::model::names::{AppName, HostName, RemotePath, SlotName};
use crate::model::topology::Topology;
use crate::model::unit::Unit;

/// What every command on a host knows about where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The application, which names the state folder.
    pub app: AppName,
    /// The state folder, where the playbook names one.
    pub state_dir: Option<RemotePath>,
    /// The folder with `releases/` and `logs/`, on a WAS host.
    pub release_dir: Option<RemotePath>,
    /// Whether `sudo -n` may be used where root is needed.
    pub may_sudo: bool,
    /// The unit of systemd that runs each slot, where one does.
    pub units: BTreeMap<SlotName, Unit>,
}

impl Place {
    /// The place of an application on one of its hosts.
    pub fn on(topology: &Topology, host: &HostName) -> Self {
        let was = topology.was.get(host);
        let nginx = topology.nginx.get(host);
        let state_dir = was.and_then(|was| was.state_dir.clone());
        Self {
            app: topology.app.clone(),
            state_dir: state_dir.or_else(|| nginx.and_then(|nginx| nginx.state_dir.clone())),
            release_dir: was.map(|was| was.release_dir.clone()),
            may_sudo: was
                .map(|was| was.may_sudo)
                .or(nginx.map(|nginx| nginx.may_sudo))
                .unwrap_or(false),
            units: was.map(|was| was.units.clone()).unwrap_or_default(),
        }
    }
}

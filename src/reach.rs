//! Reaches each host of an inventory the way that its `ansible_connection` says: over SSH, or not at all
//! far, where it is the controller itself. What the command line gives to the engine.

use std::path::Path;
use std::time::Duration;

use crate::engine::fleet::{
    CallError, ConnectFailure, Controller, Fleet, Host, HttpError, HttpRequest, HttpResponse,
};
use crate::local::{LocalHost, ThisMachine};
use crate::model::inventory::{Inventory, Way};
use crate::model::names::HostName;
use crate::model::topology::Topology;
use crate::remote::answer::Answer;
use crate::remote::command::{Command, Put};
use crate::ssh::{Connector, SshFleet, SshHost};

/// Reaches the hosts of an inventory.
#[derive(Debug)]
pub struct Reach<'a> {
    ssh: SshFleet<'a>,
    inventory: &'a Inventory,
    topology: &'a Topology,
}

impl<'a> Reach<'a> {
    /// Reaches the hosts of `topology` as `inventory` says.
    pub fn new(connector: Connector, inventory: &'a Inventory, topology: &'a Topology) -> Self {
        Self {
            ssh: SshFleet::new(connector, inventory, topology),
            inventory,
            topology,
        }
    }
}

impl Fleet for Reach<'_> {
    type Host = ReachedHost;

    async fn connect(&self, host: &HostName) -> Result<ReachedHost, ConnectFailure> {
        let entry = self.inventory.hosts.get(host);
        match entry.map(|entry| entry.connection.way).unwrap_or_default() {
            Way::Ssh => self.ssh.connect(host).await.map(ReachedHost::Ssh),
            Way::Local => Ok(ReachedHost::Local(LocalHost::new(self.topology, host))),
        }
    }

    fn controller(&self) -> &dyn Controller {
        &ThisMachine
    }
}

/// A host that was reached.
#[derive(Debug)]
pub enum ReachedHost {
    /// Over SSH.
    Ssh(SshHost),
    /// The controller itself.
    Local(LocalHost),
}

impl Host for ReachedHost {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        match self {
            Self::Ssh(host) => host.run(command, deadline).await,
            Self::Local(host) => host.run(command, deadline).await,
        }
    }

    async fn put(
        &self,
        put: &Put,
        source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        match self {
            Self::Ssh(host) => host.put(put, source, stall, progress).await,
            Self::Local(host) => host.put(put, source, stall, progress).await,
        }
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        match self {
            Self::Ssh(host) => host.http(request).await,
            Self::Local(host) => host.http(request).await,
        }
    }

    async fn forget_http(&self, address: &str, port: u16) {
        match self {
            Self::Ssh(host) => host.forget_http(address, port).await,
            Self::Local(host) => host.forget_http(address, port).await,
        }
    }
}

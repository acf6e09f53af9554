//! The hosts of one application with everything about them resolved: roles, addresses, ports and
//! folders. Made once from inventory and playbook; from here on nothing is a template that could
//! have been rendered before the release was known.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::endpoint::Endpoint;
use super::inventory::Vars;
use super::names::{Address, AppName, HostName, Port, RemotePath, SlotName};
use super::unit::Unit;

/// All hosts of the application. A host may have both roles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Topology {
    /// The application.
    pub app: AppName,
    /// The hosts that run it.
    pub was: BTreeMap<HostName, WasHost>,
    /// The hosts that route to it.
    pub nginx: BTreeMap<HostName, NginxHost>,
    /// What an endpoint of each slot answers to `identify`, where the playbook has it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub identities: BTreeMap<SlotName, String>,
    /// Hosts of the inventory that a person leaves out of this run: they are not connected to. Their
    /// endpoints are still known where nginx names them, and leave every routing.
    pub without: Without,
}

/// Hosts that are left out of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Without {
    /// Those that run the application.
    pub was: BTreeMap<HostName, WasHost>,
    /// Those that route to it, and carry no traffic: a person says so.
    pub nginx: BTreeMap<HostName, NginxHost>,
}

/// A host that runs the application.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WasHost {
    /// What nginx proxies to.
    pub address: Address,
    /// The folder that holds `releases/` and `logs/`.
    pub release_dir: RemotePath,
    /// The state folder, where the playbook names one.
    pub state_dir: Option<RemotePath>,
    /// The port of each slot that has this host.
    pub ports: BTreeMap<SlotName, Port>,
    /// The unit of systemd that runs each slot, with the runner `systemd`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<SlotName, Unit>,
    /// The files that the application of each slot reads at its start, as far as its options name them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub config_files: BTreeMap<SlotName, BTreeSet<RemotePath>>,
    /// Variables for templates that need the release.
    pub vars: Vars,
    /// Whether `sudo -n` may be used where root is needed.
    pub may_sudo: bool,
}

/// A host that routes to the application.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NginxHost {
    /// The host's own address.
    pub address: Address,
    /// The state folder, where the playbook names one.
    pub state_dir: Option<RemotePath>,
    /// The file that nginx includes and that a switch replaces.
    pub file: RemotePath,
    /// The user's own file of each slot, with the style `conf_per_slot`.
    pub slot_files: BTreeMap<SlotName, RemotePath>,
    /// What the file sets, with the style `include`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_url: Option<ServiceUrl>,
    /// Where the listener is.
    pub listener: Listener,
    /// The nginx program: a name for the `PATH` or an absolute path.
    pub binary: String,
    /// The main configuration file, where the playbook names one.
    pub conf: Option<RemotePath>,
    /// Variables for templates.
    pub vars: Vars,
    /// Whether `sudo -n` may be used where root is needed.
    pub may_sudo: bool,
}

/// What the file of the style `include` sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceUrl {
    /// The variable, without the `$`.
    pub variable: String,
    /// The file with upstreams; without it the variable holds an address.
    pub upstream_file: Option<RemotePath>,
}

/// The listener of a site, as seen from its own host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// The address to connect to; `127.0.0.1` where the listener takes all.
    pub address: Address,
    /// The port.
    pub port: Port,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// The name to ask for, in SNI and `Host`.
    pub server_name: Option<String>,
}

impl Topology {
    /// Leaves a host out. Returns whether it was one of the application's.
    pub fn leave_out(&mut self, host: &HostName) -> bool {
        let was = self.was.remove_entry(host);
        let nginx = self.nginx.remove_entry(host);
        let known = was.is_some() || nginx.is_some();
        self.without.was.extend(was);
        self.without.nginx.extend(nginx);
        known
    }

    /// Every host that is left out, each once.
    pub fn left_out(&self) -> BTreeSet<&HostName> {
        self.without.was.keys().chain(self.without.nginx.keys()).collect()
    }

    /// All hosts, each once.
    pub fn hosts(&self) -> BTreeSet<&HostName> {
        self.was.keys().chain(self.nginx.keys()).collect()
    }

    /// The endpoints of a slot, in order.
    pub fn endpoints(&self, slot: &SlotName) -> Vec<Endpoint> {
        let on = |(host, was): (&HostName, &WasHost)| {
            was.ports.get(slot).map(|port| Endpoint {
                host: host.clone(),
                port: *port,
            })
        };
        self.was.iter().filter_map(on).collect()
    }

    /// The hosts that have a slot, in order: all of them where the slots are two ports, some of them where they
    /// are two sets of hosts.
    pub fn hosts_of(&self, slot: &SlotName) -> Vec<&HostName> {
        let hosts = self.was.iter();
        let has = hosts.filter(|(_, was)| was.ports.contains_key(slot));
        has.map(|(host, _)| host).collect()
    }

    /// Whether there is one slot alone.
    pub fn has_single_slot(&self) -> bool {
        let hosts = self.was.values().chain(self.without.was.values());
        let slots: BTreeSet<_> = hosts.flat_map(|was| was.ports.keys()).collect();
        slots.len() == 1
    }

    /// A WAS host, one that is left out too.
    pub fn was_host(&self, host: &HostName) -> Option<&WasHost> {
        self.was.get(host).or_else(|| self.without.was.get(host))
    }

    /// The slot that an endpoint belongs to, of a host that is left out too.
    pub fn slot_of(&self, endpoint: &Endpoint) -> Option<&SlotName> {
        let was = self.was_host(&endpoint.host)?;
        was.ports
            .iter()
            .find(|(_, port)| **port == endpoint.port)
            .map(|(slot, _)| slot)
    }

    /// The endpoint that nginx reaches at `address` and `port`, of a host that is left out too.
    pub fn endpoint_at(&self, address: &str, port: u16) -> Option<Endpoint> {
        let of = |(host, was): (&HostName, &WasHost)| {
            let port = *was.ports.values().find(|own| own.number() == port)?;
            (was.address.as_str() == address).then(|| Endpoint {
                host: host.clone(),
                port,
            })
        };
        self.was.iter().chain(&self.without.was).find_map(of)
    }

    /// The same as an nginx host writes it: its loopback means itself.
    pub fn endpoint_seen_from(&self, nginx: &HostName, address: &str, port: u16) -> Option<Endpoint> {
        let loopback = ["localhost", "127.0.0.1", "::1"].contains(&address);
        self.endpoint_at(address, port).or_else(|| {
            let was = self.was_host(nginx).filter(|_| loopback)?;
            let port = *was.ports.values().find(|own| own.number() == port)?;
            Some(Endpoint {
                host: nginx.clone(),
                port,
            })
        })
    }
}

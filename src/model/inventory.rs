//! The inventory as resolved: every host with its groups, its variables and how SSH reaches it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::names::{Address, GroupName, HostName, Port, UserName};

/// Variables of a host, as the inventory's precedence leaves them.
pub type Vars = BTreeMap<String, Value>;

/// All hosts of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Inventory {
    /// The hosts by name.
    pub hosts: BTreeMap<HostName, Host>,
    /// The members of each group, those of its child groups included.
    pub groups: BTreeMap<GroupName, BTreeSet<HostName>>,
}

/// One host of the inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Host {
    /// What nginx proxies to and what health asks for from elsewhere.
    pub address: Address,
    /// How it is reached.
    pub connection: Connection,
    /// All variables, the `ansible_*` ones included, for templates.
    pub vars: Vars,
}

/// How SSH reaches a host. `None` leaves the word to `~/.ssh/config` and then to OpenSSH's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Connection {
    /// What to connect to; the inventory name where it is absent.
    pub host_name: Option<Address>,
    /// The SSH port.
    pub port: Option<Port>,
    /// The login user.
    pub user: Option<UserName>,
    /// The private key's file on the controller; `~/` is expanded.
    pub identity_file: Option<PathBuf>,
    /// The bastion, in OpenSSH's form `[user@]host[:port]`, or a host of the inventory.
    pub proxy_jump: Option<String>,
    /// The known_hosts file on the controller.
    pub user_known_hosts_file: Option<PathBuf>,
    /// The name under which the host key is looked up.
    pub host_key_alias: Option<String>,
    /// Whether commands that need root may use `sudo -n`; `None` means yes, where it is needed.
    pub become_root: Option<bool>,
}

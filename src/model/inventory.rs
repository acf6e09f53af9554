//! The inventory as resolved: every host with its groups, its variables and how it is reached.

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

/// How commands get to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Over SSH.
    #[default]
    Ssh,
    /// It is the controller itself: a shell runs them here.
    Local,
}

impl Way {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    fn is_ssh(&self) -> bool {
        *self == Self::Ssh
    }
}

/// How a host is reached. `None` leaves the word to `~/.ssh/config` and then to OpenSSH's defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Connection {
    /// Over SSH, unless it is the controller itself; the rest is about SSH then.
    #[serde(skip_serializing_if = "Way::is_ssh")]
    pub way: Way,
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

//! Owns where a host is and how to log in there: the inventory's word first, then the word of
//! `ssh -G`, then OpenSSH's defaults. The connector asks once for each host and each bastion.

mod client_config;
mod jump;
mod resolve;

use std::path::PathBuf;
use std::sync::Arc;

pub(super) use resolve::Resolver;

use super::known_hosts::Lookup;

/// Who named a private key's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// The inventory, or the environment: this key and no other; a missing file is an error.
    Inventory,
    /// `IdentityFile` of the SSH configuration.
    Config,
    /// Nobody: one of OpenSSH's default names.
    Default,
}

/// A private key's file to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) named_by: NamedBy,
}

/// Everything that a connection to one host needs to know.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What people call the host: its inventory name, or the bastion as it is written.
    pub(super) label: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) identities: Vec<Identity>,
    pub(super) identities_only: bool,
    pub(super) agent: Option<PathBuf>,
    pub(super) user_known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    pub(super) host_key_alias: Option<String>,
    pub(super) hash_known_hosts: bool,
    /// The bastion that leads there; bastions may have bastions.
    pub(super) via: Option<Arc<Settings>>,
}

impl Settings {
    /// `user@host:port`, for people.
    pub(super) fn address(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("{}@{host}:{}", self.user, self.port)
    }

    /// What tells one connection from another: the whole way, the alias and the keys.
    pub(super) fn connection_key(&self) -> String {
        let alias = self.host_key_alias.as_deref().unwrap_or("");
        let via = self
            .via
            .as_ref()
            .map(|via| via.connection_key())
            .unwrap_or_default();
        format!("{} {alias} {:?} via ({via})", self.address(), self.identities)
    }

    /// The server on which a handshake weighs.
    pub(super) fn endpoint_key(&self) -> String {
        let via = self
            .via
            .as_ref()
            .map(|via| via.connection_key())
            .unwrap_or_default();
        format!("{}:{} via ({via})", self.host, self.port)
    }

    pub(super) fn lookup(&self) -> Lookup {
        match &self.host_key_alias {
            Some(alias) => Lookup::alias(alias),
            None => Lookup::host(&self.host, self.port),
        }
    }

    pub(super) fn known_hosts_files(&self) -> Vec<PathBuf> {
        [
            self.user_known_hosts.as_slice(),
            self.global_known_hosts.as_slice(),
        ]
        .concat()
    }
}

/// Why it cannot be said where a host is or how to log in there. Nothing was connected to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SettingsError {
    /// The inventory has no such host.
    #[error("the inventory has no host `{0}`")]
    UnknownHost(String),
    /// A bastion is not of the form `[user@]host[:port]`.
    #[error("`{0}` is not `[user@]host[:port]`")]
    BadJump(String),
    /// A bastion leads to itself.
    #[error("the bastions lead in a circle: {0}")]
    JumpCircle(String),
    /// The SSH configuration wants a command in the middle, which only `ssh` itself could run.
    #[error("the SSH configuration asks for `ProxyCommand {0}`, which is not supported")]
    ProxyCommand(String),
    /// There is a configuration to read and no `ssh` to read it with.
    #[error("{} exists, but there is no `ssh` on this machine to read it with", .0.display())]
    NoSshClient(PathBuf),
    /// `ssh -G` refused, or could not be run.
    #[error("`ssh -G {host}` failed: {reason}")]
    SshClient {
        /// What was asked about.
        host: String,
        /// Its last words.
        reason: String,
    },
    /// `ssh -G` gave an answer that makes no sense here.
    #[error("`ssh -G {host}` answered `{line}`")]
    Answer {
        /// What was asked about.
        host: String,
        /// The line.
        line: String,
    },
    /// A path uses a token that only `ssh` itself can fill in.
    #[error("cannot fill in `{0}`")]
    Token(String),
    /// What the environment says is no name of a user.
    #[error("`NONSTOP_USER` is `{0}`, which is no name of a user")]
    BadUser(String),
    /// Nobody says who logs in.
    #[error("nobody says which user logs in: neither the inventory, nor the SSH configuration, nor $USER")]
    NoUser,
    /// `~/` in a path, and no home.
    #[error("there is no home folder for `{0}`")]
    NoHome(String),
}

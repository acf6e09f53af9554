//! What the person who runs us decides about connections.

use std::path::PathBuf;
use std::time::Duration;

use super::login::{Passphrase, Prompt};

/// The environment variable that holds the passphrase of encrypted keys.
pub const PASSPHRASE_VARIABLE: &str = "NONSTOP_KEY_PASSPHRASE";

/// The environment variable that names the key file of this run, before whatever inventory and SSH
/// configuration say.
const KEY_VARIABLE: &str = "NONSTOP_KEY_FILE";

/// The environment variable that names the user of this run on the hosts, before whatever inventory and SSH
/// configuration say.
const USER_VARIABLE: &str = "NONSTOP_USER";

/// What to do with a host that known_hosts does not know. A key that changed or is revoked is
/// refused under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HostKeyPolicy {
    /// Refuse it.
    #[default]
    Strict,
    /// Record its key and go on.
    AcceptNew,
}

/// Whose words about hosts count besides the inventory's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SshConfig {
    /// `~/.ssh/config` and `/etc/ssh/ssh_config`, as `ssh` reads them.
    #[default]
    Standard,
    /// This file alone.
    File(PathBuf),
    /// Nobody's.
    Ignored,
}

/// How a [`super::Connector`] connects.
#[derive(Debug, Clone)]
pub struct ConnectorOptions {
    /// What to do with an unknown host.
    pub host_key_policy: HostKeyPolicy,
    /// How many handshakes run at once in all; one endpoint or bastion gets at most eight of them.
    pub forks: usize,
    /// How long the tries to reach one host may take together, once its turn has come.
    pub connect_timeout: Duration,
    /// After this time without a sign of life the server is asked for one; after three times in vain
    /// the connection is given up.
    pub keepalive: Duration,
    /// The passphrase of encrypted keys (`NONSTOP_KEY_PASSPHRASE`).
    pub passphrase: Option<Passphrase>,
    /// The key file of this run (`NONSTOP_KEY_FILE`).
    pub key: Option<PathBuf>,
    /// The user of this run (`NONSTOP_USER`).
    pub user: Option<String>,
    /// Whether a person may be asked for a passphrase.
    pub prompt: Prompt,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub agent: Option<PathBuf>,
    /// A user known_hosts file that stands in for those of the configuration; the inventory's wins.
    pub user_known_hosts: Option<PathBuf>,
    /// Global known_hosts files that stand in for those of the configuration.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// Whose configuration counts.
    pub ssh_config: SshConfig,
}

impl Default for ConnectorOptions {
    fn default() -> Self {
        Self {
            host_key_policy: HostKeyPolicy::Strict,
            forks: 32,
            connect_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(3),
            passphrase: None,
            key: None,
            user: None,
            prompt: Prompt::Never,
            agent: None,
            user_known_hosts: None,
            global_known_hosts: None,
            ssh_config: SshConfig::Standard,
        }
    }
}

impl ConnectorOptions {
    /// The defaults, with key, user, passphrase and agent as the environment names them and a prompt
    /// where standard input is a terminal.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        Self {
            passphrase: text(PASSPHRASE_VARIABLE).map(Passphrase),
            key: variable(KEY_VARIABLE).map(PathBuf::from),
            user: text(USER_VARIABLE),
            agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            prompt: Prompt::where_possible(),
            ..Self::default()
        }
    }
}

//! Why a host cannot be reached, with what a hint needs: who, where, how far it got.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::known_hosts::{CertificateFault, Recorded, UnreadableFile};
use super::login::LoginError;
use super::settings::SettingsError;

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finding out where the host is and how to log in.
    Settings,
    /// Turning its name into addresses.
    Resolve,
    /// Opening a TCP connection.
    Tcp,
    /// Opening a way through a bastion.
    Forward,
    /// Greeting and key exchange.
    KeyExchange,
    /// Checking the host key.
    HostKey,
    /// Logging in.
    Login,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Settings => "settings",
            Self::Resolve => "name resolution",
            Self::Tcp => "TCP connection",
            Self::Forward => "way through the bastion",
            Self::KeyExchange => "key exchange",
            Self::HostKey => "host key",
            Self::Login => "login",
        })
    }
}

/// A host cannot be reached. Nothing was run there.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot connect to {host} ({address})")]
pub struct ConnectError {
    /// The host as the inventory calls it, or the bastion as it is written.
    pub host: String,
    /// `user@host:port`; the name alone where it did not get that far.
    pub address: String,
    /// The cause.
    #[source]
    pub cause: ConnectCause,
}

/// What went wrong on the way to a host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectCause {
    /// The settings make no sense; mend inventory or SSH configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The name has no address.
    #[error("the name cannot be resolved")]
    Resolve(#[source] Arc<std::io::Error>),
    /// Nobody answers at the address, or the answer is no.
    #[error("no TCP connection")]
    Tcp(#[source] Arc<std::io::Error>),
    /// The bastion cannot be reached itself.
    #[error("the bastion cannot be reached")]
    Bastion(#[source] Arc<ConnectError>),
    /// The bastion's sshd forbids forwarding (`AllowTcpForwarding`, `PermitOpen`).
    #[error("the bastion {bastion} does not allow forwarding")]
    BastionForbids {
        /// The bastion.
        bastion: String,
    },
    /// The bastion gets no connection to the host.
    #[error("the bastion {bastion} gets no connection to the host: {detail}")]
    BastionCannotReach {
        /// The bastion.
        bastion: String,
        /// What it says.
        detail: String,
    },
    /// The time for this host is over.
    #[error("no answer within {} s ({phase})", after.as_secs_f32())]
    TimedOut {
        /// How far it got.
        phase: Phase,
        /// The time it had.
        after: Duration,
    },
    /// The server hung up before the login, every time; a busy one does (`MaxStartups`).
    #[error("the server hung up before the login, {tries} times: {detail}")]
    HungUp {
        /// How often it was tried.
        tries: u32,
        /// The last farewell.
        detail: String,
    },
    /// The two sides do not understand each other.
    #[error("the key exchange failed: {0}")]
    KeyExchange(String),
    /// The host is not the one that is known, or is not known.
    #[error(transparent)]
    HostKey(#[from] HostKeyError),
    /// Nobody lets us in.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl ConnectCause {
    /// How far the connection got.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Settings(_) => Phase::Settings,
            Self::Resolve(_) => Phase::Resolve,
            Self::Tcp(_) => Phase::Tcp,
            Self::Bastion(_) | Self::BastionForbids { .. } | Self::BastionCannotReach { .. } => {
                Phase::Forward
            }
            Self::TimedOut { phase, .. } => *phase,
            Self::HungUp { .. } | Self::KeyExchange(_) => Phase::KeyExchange,
            Self::HostKey(_) => Phase::HostKey,
            Self::Login(_) => Phase::Login,
        }
    }
}

/// A host key is not accepted. No authentication was tried.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostKeyError {
    /// Nobody knows the host; compare the fingerprint with the host's own, then record it.
    #[error("no host key is known for `{name}`; the host shows {algorithm} {fingerprint}")]
    Unknown {
        /// The name that known_hosts would have.
        name: String,
        /// The type of the key that the host shows.
        algorithm: String,
        /// Its fingerprint.
        fingerprint: String,
        /// The files that were read.
        files: Vec<PathBuf>,
    },
    /// The host shows another key than the recorded ones: a new machine, or somebody in the middle.
    #[error(
        "the host key of `{name}` has changed to {algorithm} {fingerprint}; {} holds another",
        place(recorded)
    )]
    Changed {
        /// The name that was looked up.
        name: String,
        /// The type of the key that the host shows.
        algorithm: String,
        /// Its fingerprint.
        fingerprint: String,
        /// What is recorded, and where.
        recorded: Vec<Recorded>,
    },
    /// The key is revoked.
    #[error("the host key of `{name}` is revoked in {}:{}", recorded.file.display(), recorded.line)]
    Revoked {
        /// The name that was looked up.
        name: String,
        /// The line that revokes it.
        recorded: Recorded,
    },
    /// A recorded authority signed the certificate, which does not hold for this host now.
    #[error("the host certificate of `{name}` is refused")]
    Certificate {
        /// The name that was looked up.
        name: String,
        /// Why.
        #[source]
        fault: CertificateFault,
    },
    /// A known_hosts file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Arc<UnreadableFile>),
    /// The new host could not be recorded.
    #[error("cannot record the new host in {}", file.display())]
    NotRecorded {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
}

fn place(recorded: &[Recorded]) -> String {
    let places = recorded
        .iter()
        .map(|one| format!("{}:{}", one.file.display(), one.line));
    places.collect::<Vec<_>>().join(", ")
}

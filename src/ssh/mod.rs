//! Reaches the hosts: one SSH connection a host over russh, kept for the run. Below
//! `fleet`, nothing knows of releases, slots or nginx.
//!
//! | file | what it owns |
//! |---|---|
//! | `connector` | the sessions of a run, shared bastions, caps and retries |
//! | `settings/` | where a host is and how to log in: inventory, then `ssh -G`, then defaults |
//! | `known_hosts/` | the verdict on a host key |
//! | `handshake` | one try: stream, key exchange, host key, login |
//! | `login/` | keys, agent, passphrases, and the order in which they are tried |
//! | `session` | the connection of a host and its channels |
//! | `fleet` | the engine's fleet: typed commands over sessions |
//! | `exec`, `running`, `upload` | a command with bounded output; a file into a command's stdin |
//! | `http` | HTTP through direct-tcpip |
//!
//! Every await on the network has a deadline. An outcome that is not known is
//! [`ExecError::OutcomeUnknown`] and never read as failure or success.

mod backoff;
mod channels;
mod connector;
mod error;
mod exec;
mod fleet;
mod handler;
mod handshake;
mod http;
pub mod known_hosts;
mod login;
mod options;
mod output;
mod running;
mod session;
mod settings;
mod upload;

pub use crate::http::{HttpError, HttpRequest, HttpResponse};
pub use connector::Connector;
pub use error::{ConnectCause, ConnectError, HostKeyError, Phase};
pub use exec::{ExecError, ExecOutput, ExecRequest, Exit, NotSent};
pub use fleet::{SshFleet, SshHost};
pub use login::{KeyError, LoginError, Passphrase, Prompt, Tried};
pub use options::{ConnectorOptions, HostKeyPolicy, PASSPHRASE_VARIABLE, SshConfig};
pub use output::Captured;
pub use session::Session;
pub use settings::SettingsError;
pub use upload::UploadRequest;

//! What the engine needs of a fleet, and nothing of how it is reached: SSH, this machine and a
//! simulation stand behind the same two traits. A host takes typed commands, never shell text.

use std::path::Path;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::obstacle::Obstacle;
use crate::remote::answer::{Answer, HookAnswer};
use crate::remote::command::{Command, Hook, Put};
use crate::remote::parse::ParseError;

/// Reaches hosts.
#[expect(
    async_fn_in_trait,
    reason = "the engine runs on one thread and never needs its futures to be Send"
)]
pub trait Fleet {
    /// A host that was reached.
    type Host: Host;

    /// Connects to a host of the topology, with a deadline of its own.
    async fn connect(&self, host: &HostName) -> Result<Self::Host, ConnectFailure>;

    /// The machine on which this program runs.
    fn controller(&self) -> &dyn Controller;
}

/// What the controller itself does for a run.
pub trait Controller {
    /// Runs a hook, with `folder` as its working folder. One that is dropped is told to end.
    fn hook<'a>(
        &'a self,
        hook: &'a Hook,
        folder: &'a Path,
    ) -> LocalBoxFuture<'a, Result<HookAnswer, CallError>>;
}

/// A host that was reached. Every call has a deadline; a call that is dropped may still have its
/// effect on the host.
#[expect(
    async_fn_in_trait,
    reason = "the engine runs on one thread and never needs its futures to be Send"
)]
pub trait Host {
    /// Runs a command other than [`Command::Put`].
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError>;

    /// Sends a jar; `progress` hears how many bytes went. There is no deadline on the whole, only
    /// on a stall.
    async fn put(
        &self,
        put: &Put,
        source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError>;

    /// Asks an HTTP endpoint as seen from this host.
    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;

    /// Closes the connections that are kept alive to an address, so that they do not count as
    /// somebody's.
    async fn forget_http(&self, address: &str, port: u16);
}

/// Why a host could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConnectFailure {
    /// What happened, and what helps.
    pub reason: String,
    /// What is in the way.
    pub obstacle: Obstacle,
}

/// Why a command brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was certainly not run; trying again is safe.
    #[error("not sent: {reason}")]
    NotSent {
        /// What happened.
        reason: String,
    },
    /// It was sent, and no whole answer came: it may have run, or may yet. Observe before going on.
    #[error("outcome unknown: {reason}")]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
    /// The script ran and could not do its work, or spoke nonsense.
    #[error("{reason}")]
    Script {
        /// What it said.
        reason: String,
    },
    /// `sudo -n` refused a command of the script.
    #[error("sudo refused `{command}`")]
    Sudo {
        /// The command.
        command: String,
    },
}

impl From<ParseError> for CallError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::SudoRefused { command } => Self::Sudo { command },
            other => Self::Script {
                reason: other.to_string(),
            },
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent { reason } => Failure::Unreachable {
                reason,
                obstacle: Obstacle::Other,
            },
            CallError::OutcomeUnknown { reason } => Failure::OutcomeUnknown { reason },
            CallError::Script { reason } => Failure::Script { reason },
            CallError::Sudo { command } => Failure::Sudo { command },
        }
    }
}

/// A GET, as seen from a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The address to connect to.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether the connection speaks TLS, with `host_header` as SNI and no check of the
    /// certificate: it is the host's own listener that is asked.
    pub tls: bool,
    /// The `Host` header.
    pub host_header: String,
    /// The path with its query.
    pub path: String,
    /// The deadline of the whole.
    pub timeout: Duration,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// At most 64 KiB of the body.
    pub body: Vec<u8>,
}

/// Why an HTTP request brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// sshd forwards nothing (`AllowTcpForwarding no`), and no tool on the host can ask instead.
    #[error(
        "sshd refuses forwarding (`AllowTcpForwarding no` or `DisableForwarding yes`), and the host has none of curl, wget, nc and bash"
    )]
    NoWay,
    /// No answer in time.
    #[error("no answer within {}", humantime::format_duration(*after))]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The way there failed.
    #[error("{reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

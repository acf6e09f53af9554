//! Why a step on a host did not do what it should: data for reporters and for the planner.

use std::time::Duration;

use serde::Serialize;

use super::endpoint::Endpoint;
use super::hook::HookId;
use super::lock::LockState;
use super::names::HostName;
use super::obstacle::Obstacle;
use super::process::{ListeningProcess, ProcessIdentity};

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "failure")]
pub enum Failure {
    /// The host could not be reached, or refused us. Nothing was sent.
    #[error("cannot connect: {reason}")]
    Unreachable {
        /// What SSH says, with a hint where there is one.
        reason: String,
        /// What is in the way; of the host's key it is written whether that is the reason.
        #[serde(rename = "host_key", serialize_with = "super::obstacle::as_host_key")]
        obstacle: Obstacle,
    },
    /// The command was sent and no answer came: it may have run or not.
    #[error("outcome unknown: {reason}")]
    OutcomeUnknown {
        /// What happened to the connection.
        reason: String,
    },
    /// The script could not do its work on this host.
    #[error("{reason}")]
    Script {
        /// What it said.
        reason: String,
    },
    /// `sudo -n` refused a command.
    #[error("sudo refused `{command}`")]
    Sudo {
        /// The command.
        command: String,
    },
    /// The fence refused: somebody else holds the host now.
    #[error("fenced off by epoch {}", lock.epoch.0)]
    Fenced {
        /// The lock that is there.
        lock: LockState,
    },
    /// The jar's bytes did not arrive as they were sent.
    #[error("upload arrived as {size_bytes} bytes with sha256 {sha256}")]
    UploadMismatch {
        /// How many bytes arrived.
        size_bytes: u64,
        /// Their digest.
        sha256: String,
    },
    /// The host could not write the jar.
    #[error("upload failed: {reason}")]
    UploadFailed {
        /// What the system said.
        reason: String,
    },
    /// The instance ended before it was healthy.
    #[error("{endpoint} exited: {reason}")]
    Exited {
        /// Where it should listen.
        endpoint: Endpoint,
        /// What is known of why.
        reason: String,
        /// The end of its log.
        tail: String,
    },
    /// The kernel killed the instance for want of memory.
    #[error("{endpoint} was killed by the kernel: out of memory")]
    OutOfMemory {
        /// Where it should listen.
        endpoint: Endpoint,
        /// What a new process could get before it was started.
        available_bytes: u64,
        /// How many processes the kernel killed since then.
        kills: u64,
        /// The end of its log.
        tail: String,
    },
    /// The instance runs and does not listen.
    #[error("{endpoint} does not listen after {}", humantime::format_duration(*waited))]
    NotListening {
        /// Where it should listen.
        endpoint: Endpoint,
        /// Who it is.
        identity: ProcessIdentity,
        /// How long it was given.
        #[serde(rename = "waited_seconds", serialize_with = "super::seconds::serialize")]
        waited: Duration,
        /// The end of its log.
        tail: String,
    },
    /// Another process listens where the instance should.
    #[error("another process listens on {endpoint}: {}", by.command)]
    PortTaken {
        /// Where it should listen.
        endpoint: Endpoint,
        /// Who listens.
        by: ListeningProcess,
        /// The end of the instance's log.
        tail: String,
    },
    /// The instance did not get healthy in time, or stopped being healthy.
    #[error("{endpoint} is not healthy as seen from {seen_from}: {answer}")]
    Unhealthy {
        /// The endpoint.
        endpoint: Endpoint,
        /// The host whose view it is.
        seen_from: HostName,
        /// The last answer.
        answer: HealthAnswer,
        /// The recorded process.
        identity: Option<ProcessIdentity>,
        /// The end of its log.
        tail: String,
    },
    /// nginx does not accept the candidate.
    #[error("nginx refuses the candidate: {output}")]
    CandidateRefused {
        /// What nginx said.
        output: String,
    },
    /// A file is not what was observed: somebody edits this host.
    #[error("the nginx file changed under us")]
    Drifted,
    /// nginx was switched, and it is not proven that it runs what it should.
    #[error("the switch is not proven: {reason}")]
    Unproven {
        /// Why.
        reason: String,
    },
    /// Every nginx was switched, and a watch has too little time left to be told that its switch stays:
    /// it might go home while the others do not.
    #[error("the switch came too late to be confirmed: its watch has only {} left", humantime::format_duration(*left))]
    TooLate {
        /// What the watch has left at least.
        #[serde(rename = "left_seconds", serialize_with = "super::seconds::serialize")]
        left: Duration,
    },
    /// Other hosts were told that the switch stays, and on this one it is not certain.
    #[error("the switch is not confirmed: {reason}")]
    Unconfirmed {
        /// Why.
        reason: String,
    },
    /// The old process could not be ended.
    #[error("{endpoint} could not be stopped: {reason}")]
    StillRuns {
        /// Where it listens.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// The old instance was left alone, for the new one is not alive and listening.
    #[error("{endpoint} was not stopped: {reason}")]
    SuccessorMissing {
        /// The old instance.
        endpoint: Endpoint,
        /// What was found in the new one's place.
        reason: String,
    },
    /// A hook did not end well.
    #[error("hook {hook}: {reason}")]
    Hook {
        /// Which.
        hook: HookId,
        /// How it ended.
        reason: String,
        /// The end of what it printed.
        tail: String,
    },
}

/// What a health check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum HealthAnswer {
    /// All that was asked for.
    #[error("HTTP {status}, healthy")]
    Healthy {
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is not the one wanted.
    #[error("HTTP {status}: {reason}")]
    Wrong {
        /// The HTTP status.
        status: u16,
        /// What is not as wanted.
        reason: String,
        /// The start of the body.
        body: String,
    },
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// No answer in time.
    #[error("no answer within {}", humantime::format_duration(*waited))]
    TimedOut {
        /// The request's deadline.
        #[serde(rename = "waited_seconds", serialize_with = "super::seconds::serialize")]
        waited: Duration,
    },
    /// The way there failed.
    #[error("{reason}")]
    Failed {
        /// What happened.
        reason: String,
    },
}

impl HealthAnswer {
    /// Whether it is the wanted one.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }
}

impl Failure {
    /// The end of the application's log, where the failure comes with one.
    pub fn log_tail(&self) -> Option<&str> {
        match self {
            Self::Exited { tail, .. }
            | Self::OutOfMemory { tail, .. }
            | Self::NotListening { tail, .. }
            | Self::PortTaken { tail, .. }
            | Self::Unhealthy { tail, .. }
            | Self::Hook { tail, .. } => Some(tail),
            _ => None,
        }
    }
}

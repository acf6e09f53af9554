//! How a run ends: in what state it leaves the fleet, and the exit code that says so.

use std::fmt;

use serde::Serialize;

/// The state in which a run leaves the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing that matters was changed.
    AsItWas,
    /// Traffic moved, and is back where it was.
    RolledBack,
    /// The run waits for a person: traffic is where the run has led it so far, the same everywhere.
    Waiting,
    /// The wanted release has the traffic everywhere.
    Deployed,
    /// Hosts disagree, or it is not known whether they agree. Both slots were left up.
    Mixed,
    /// Somebody else took over in the middle.
    TakenOver,
}

impl Outcome {
    /// The word of the last line and of the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsItWas => "as_it_was",
            Self::RolledBack => "rolled_back",
            Self::Waiting => "waiting",
            Self::Deployed => "deployed",
            Self::Mixed => "mixed",
            Self::TakenOver => "taken_over",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A signal that ends a run early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The terminal went away.
    Hangup,
    /// Ctrl-C.
    Interrupt,
    /// Asked to end, as Jenkins does at an abort.
    Terminate,
}

/// Why a run ends before it is where it should be, though nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What is left of the time that it was given is for its way back.
    Deadline,
    /// A signal came.
    #[serde(untagged)]
    Signal(Signal),
}

impl From<Signal> for Cause {
    fn from(signal: Signal) -> Self {
        Self::Signal(signal)
    }
}

/// What the process exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// A bug.
    Internal,
    /// The command line is wrong.
    Usage,
    /// Inventory or playbook refused.
    Config,
    /// Refused before any change.
    Refused,
    /// Somebody else holds the lock, or took over.
    Locked,
    /// Failed before the switch; the fleet is as it was.
    Failed,
    /// Rolled back after the switch.
    RolledBack,
    /// A person is needed.
    Mixed,
    /// Ended by a signal.
    Signalled(Signal),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Refused => 4,
            Self::Locked => 5,
            Self::Failed => 6,
            Self::RolledBack => 7,
            Self::Mixed => 8,
            Self::Signalled(Signal::Hangup) => 129,
            Self::Signalled(Signal::Interrupt) => 130,
            Self::Signalled(Signal::Terminate) => 143,
        }
    }
}

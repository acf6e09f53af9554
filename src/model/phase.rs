//! The phases of a run, in the order in which a deploy passes them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// SSH to every host.
    Connect,
    /// One epoch on every host.
    Lock,
    /// What is true now.
    Observe,
    /// Whether it can work at all.
    Preflight,
    /// The jar to every WAS host.
    Upload,
    /// An old process that was kept on the idle slot goes.
    Retire,
    /// The idle slot starts.
    Start,
    /// Every endpoint is healthy, from everywhere.
    Verify,
    /// The candidate passes nginx's own test everywhere.
    Prepare,
    /// Every nginx is switched, reloaded and proven.
    Commit,
    /// Every nginx was proven, and every watch is told that its switch stays.
    Confirm,
    /// Traffic stays between the slots: for a while, or until a person says so.
    Hold,
    /// Both slots up, watched.
    Bake,
    /// Old workers and old connections go.
    Drain,
    /// The old slot goes.
    Stop,
    /// Records, old releases, locks.
    Finish,
    /// The way home.
    Revert,
    /// A hook of the playbook. No record says that a run is there: it is in the phase that its hook belongs to.
    Hook,
}

impl Phase {
    /// The phase's name as people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Lock => "lock",
            Self::Observe => "observe",
            Self::Preflight => "preflight",
            Self::Upload => "upload",
            Self::Retire => "retire",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Prepare => "prepare",
            Self::Commit => "commit",
            Self::Confirm => "confirm",
            Self::Hold => "hold",
            Self::Bake => "bake",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Finish => "finish",
            Self::Revert => "revert",
            Self::Hook => "hook",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! Who may change a host: the lock, its epoch and the fence that every change passes.

use serde::{Deserialize, Serialize};

use super::names::RunId;

/// Counts the owners of a host's lock; never lowered, never deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// What a changing script must show before its effect: the epoch and run that the host has on
/// record, and a sequence number above the last that this host accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The epoch under which the lock was taken.
    pub epoch: Epoch,
    /// The run that took it.
    pub run: RunId,
    /// Higher than in every script that was sent to this host before, retries included.
    pub sequence: u64,
}

/// Who holds a lock, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// The login name on the controller, or the CI's user.
    pub who: String,
    /// The controller's host name.
    pub place: String,
    /// What it runs, such as `deploy`.
    pub command: String,
    /// The build's page, where a CI server names one.
    pub build_url: Option<String>,
    /// When it was taken, RFC 3339, by the controller's clock.
    pub since: String,
}

/// A host's lock as read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LockState {
    /// The highest epoch that the host ever gave out; 0 on a host that has none yet.
    pub epoch: Epoch,
    /// The run that holds it, while it is held.
    pub run: Option<RunId>,
    /// Who holds it, or held it last.
    pub owner: Option<Owner>,
}

//! The run record that a run leaves on every host: what it meant to do, readable by a person.
//! It holds intent only; what is true is always observed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::lock::{Epoch, Owner};
use super::names::{HostName, ReleaseId, RunId, SlotName};
use super::phase::Phase;
use super::process::ProcessIdentity;

/// The record of one run, the same on all of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// The epoch of its locks.
    pub epoch: Epoch,
    /// Who started it.
    pub owner: Owner,
    /// The WAS hosts of the run.
    pub was: BTreeSet<HostName>,
    /// The nginx hosts of the run.
    pub nginx: BTreeSet<HostName>,
    /// The slot that had the traffic before; absent on an empty fleet.
    pub from_slot: Option<SlotName>,
    /// The slot that gets the traffic.
    pub to_slot: Option<SlotName>,
    /// The release that it brings.
    pub release: Option<ReleaseId>,
    /// The release that had the traffic before, where it was known.
    #[serde(default)]
    pub from_release: Option<ReleaseId>,
    /// Releases that rollbacks have left since the last deploy: no rollback chooses one by itself.
    #[serde(default)]
    pub left: BTreeSet<ReleaseId>,
    /// Processes of the application that another tool started, so that one of them that stays up is
    /// known again by the next run.
    #[serde(default)]
    pub adopted: BTreeSet<ProcessIdentity>,
    /// The last phase that it entered.
    pub phase: Phase,
    /// Whether the old slot's end has begun: from then on the only way is forward.
    pub point_of_no_return: bool,
    /// Whether the run is over.
    pub status: RunStatus,
}

/// Whether a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It runs, or it died.
    Open,
    /// It is over.
    Done,
}

impl RunRecord {
    /// Whether the run ended with its release live everywhere.
    pub fn brought_live(&self) -> bool {
        self.status == RunStatus::Done && self.phase == Phase::Finish
    }
}

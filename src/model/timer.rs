//! The hour at which a WAS host stops its old instance by itself, when the run that replaced it has ended before. It
//! is one file, moved once by whoever is first: by whoever cancels it, or by the host, which then goes to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::{HostName, SlotName, UnitName};
use super::observed::{HostObserved, SlotObserved};
use super::record::{RunRecord, RunStatus};
use super::token::TokenId;

/// What became of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerState {
    /// It waits for its hour.
    Pending,
    /// Somebody took the run back, or ended the window before.
    Cancelled,
    /// Its hour came, and something spoke against it: the old instance is up.
    Refused,
    /// The old instance has been told to end.
    Stopping,
    /// It has ended.
    Stopped,
}

impl TimerState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Cancelled,
        Self::Refused,
        Self::Stopping,
        Self::Stopped,
    ];

    /// The word of files, answers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the end of the old instance has begun: nobody goes back to it any more.
    pub fn has_begun(self) -> bool {
        matches!(self, Self::Stopping | Self::Stopped)
    }
}

/// Whether the program that sleeps is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerProgram {
    /// It is.
    Alive,
    /// It has ended, or was ended.
    Gone,
    /// The machine was booted since: whatever it would have stopped is gone as well, but for a unit of systemd.
    Rebooted,
}

/// What a run has on record of the window after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The hosts that end their old instance by themselves.
    pub hosts: BTreeSet<HostName>,
    /// Their hour as the controller's clock has it; only ever shown to people.
    pub ends: String,
}

/// A timer as observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timer {
    /// Which: the run whose old instance ends, and epoch and number of the script that set it.
    pub id: TokenId,
    /// The old slot.
    pub slot: SlotName,
    /// The unit of systemd that is on record for it: a boot may start that again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitName>,
    /// What became of it.
    pub state: TimerState,
    /// Whether its program is there.
    pub program: TimerProgram,
    /// Until its hour, while that waits.
    pub left: Option<Duration>,
    /// Why it was refused, why the old instance is still there, or what a boot may bring back.
    pub reason: Option<String>,
}

impl Timer {
    /// Whether nothing is left of what it was set for, as far as the timer tells.
    pub fn is_over(&self) -> bool {
        self.state == TimerState::Stopped || (self.was_lost() && self.unit.is_none())
    }

    /// Whether its host is through with it. After a boot nothing may listen where the old instance did: what ran there
    /// before nonstop came may have a unit of its own, which started it again.
    pub fn is_through(&self, seen: &HostObserved) -> bool {
        let is_free = || self.old(seen).is_some_and(|slot| slot.listener.is_none());
        self.is_over() && (self.state == TimerState::Stopped || is_free())
    }

    /// Whether a boot took it away before it was at its end.
    fn was_lost(&self) -> bool {
        let waits = matches!(self.state, TimerState::Pending | TimerState::Stopping);
        waits && self.program == TimerProgram::Rebooted
    }

    fn old<'a>(&self, seen: &'a HostObserved) -> Option<&'a SlotObserved> {
        seen.was.as_ref()?.slots.get(&self.slot)
    }

    /// What it comes to on its host as seen: once somebody has taken the lock, or where the record does not say that the
    /// run waits, it stops nothing, though its file says so only at its hour.
    #[must_use]
    pub fn on(&self, seen: &HostObserved) -> Self {
        let mut timer = self.clone();
        if self.was_lost() && self.is_over() && !self.is_through(seen) {
            let reason = "something listens on its port that nonstop did not start";
            timer.reason = Some(reason.to_owned());
        }
        if timer.state != TimerState::Pending || timer.program == TimerProgram::Rebooted {
            return timer;
        }
        let is_its = |record: &&RunRecord| record.run == timer.id.run && record.epoch == timer.id.epoch;
        let record = seen.record.as_ref().filter(is_its);
        let was_taken = seen.lock.epoch != timer.id.epoch;
        if was_taken || record.is_none_or(|record| record.status != RunStatus::Waiting) {
            timer.state = TimerState::Cancelled;
            timer.left = None;
            timer.reason = (!was_taken).then(|| "the run on its record does not wait".to_owned());
        }
        timer
    }

    /// Whether the old instance will be stopped by its host, or is being stopped.
    pub fn is_under_way(&self) -> bool {
        let waits = matches!(self.state, TimerState::Pending | TimerState::Stopping);
        waits && self.program == TimerProgram::Alive
    }
}

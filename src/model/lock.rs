//! Who may change a host: the lock, its epoch and the fence that every change passes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::defect::{Defect, planted};
use super::names::{HostName, RunId};

/// Counts the owners of a host's lock; never lowered, never deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

/// What a changing script must show before its effect: the epoch and run that the host has on
/// record, and a sequence number above the last that this host accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence<Run = RunId> {
    /// The epoch under which the lock was taken.
    pub epoch: Epoch,
    /// The run that took it. A run that is resumed goes on under the name of the one who resumes.
    pub run: Run,
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

impl Owner {
    /// The same as it came from a host, whatever that wrote there: one line each, and none without end.
    pub fn bounded(self) -> Self {
        let line = |text: String| -> String {
            let printable = |c: char| if c.is_control() { ' ' } else { c };
            text.chars().take(MAX_OWNER).map(printable).collect()
        };
        Self {
            who: line(self.who),
            place: line(self.place),
            command: line(self.command),
            build_url: self.build_url.map(line),
            since: line(self.since),
        }
    }
}

/// How many characters of each of an owner's texts are kept; hosts are given no more.
const MAX_OWNER: usize = 1024;

/// A host's lock as read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct LockState {
    /// The highest epoch that the host ever gave out; 0 on a host that has none yet.
    pub epoch: Epoch,
    /// The run that holds it, or held it until its lease was over.
    pub run: Option<RunId>,
    /// Who holds it, or held it last.
    pub owner: Option<Owner>,
    /// What its lease has left, by the host's own uptime; zero where it is over, `None` where it is
    /// free or was taken without an end.
    pub lease_left: Option<Duration>,
}

impl LockState {
    /// Whether somebody holds it: it was taken, and its lease is not over.
    pub fn is_held(&self) -> bool {
        self.run.is_some() && !self.is_over()
    }

    /// Whether its owner never gave it back and its lease is over.
    pub fn is_over(&self) -> bool {
        self.run.is_some() && self.lease_left == Some(Duration::ZERO)
    }
}

/// What a host knows when a script shows its fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate<'a, Run = RunId> {
    /// The epoch of its lock.
    pub epoch: Epoch,
    /// Who has the lock.
    pub run: Option<&'a Run>,
    /// Whether its lease is over.
    pub lease_is_over: bool,
    /// The highest sequence number that it accepted under that epoch.
    pub accepted: u64,
}

impl<Run: PartialEq> Gate<'_, Run> {
    /// Whether a script with this fence may change the host. `fence.sh` decides the same.
    pub fn lets_pass(&self, fence: &Fence<Run>) -> bool {
        self.epoch == fence.epoch
            && self.run == Some(&fence.run)
            && !self.lease_is_over
            && fence.sequence > self.accepted
    }

    /// Whether the lock may be taken under `epoch` by somebody who read `expected`: nobody came
    /// between, and it is free or its lease is over. `lock.sh` decides the same.
    pub fn may_be_taken(&self, expected: Epoch, epoch: Epoch) -> bool {
        let rises = epoch > self.epoch || planted(Defect::TakeOverWithoutHigherEpoch);
        self.epoch == expected && rises && (self.run.is_none() || self.lease_is_over)
    }
}

/// How far the epoch of one host may be ahead of those of all others. Each run counts one.
const FAR_AHEAD: u64 = 1 << 32;

/// The epoch under which all of these hosts can be locked.
///
/// Returns the host whose epoch is far ahead of every other's: its lock is damaged, or it lies. To follow it
/// would spoil the others' locks for ever, for no epoch is ever lowered.
pub fn next_epoch<'a>(
    epochs: impl IntoIterator<Item = (&'a HostName, Epoch)>,
) -> Result<Epoch, (&'a HostName, Epoch)> {
    let mut epochs: Vec<_> = epochs.into_iter().collect();
    epochs.sort_by_key(|(_, epoch)| std::cmp::Reverse(*epoch));
    let highest = epochs.first().map_or(Epoch(0), |(_, epoch)| *epoch);
    if let [first, (_, second), ..] = *epochs
        && highest.0 - second.0 > FAR_AHEAD
    {
        return Err(first);
    }
    let step = u64::from(!planted(Defect::TakeOverWithoutHigherEpoch));
    Ok(Epoch(highest.0 + step))
}

/// What a lease has left on its host. `taken` is when it was taken or renewed last, `now` the uptime, both
/// since boot; after a reboot the term starts anew with the boot.
pub fn lease_left(term: Duration, taken: Duration, now: Duration, same_boot: bool) -> Duration {
    let since = if same_boot { now.saturating_sub(taken) } else { now };
    term.saturating_sub(since)
}

/// Who holds a lock, in words.
pub(super) fn describe_owner(lock: &LockState) -> String {
    let run = lock
        .run
        .as_ref()
        .map_or_else(String::new, |run| format!(", run {run}"));
    match &lock.owner {
        Some(owner) => {
            let build = owner
                .build_url
                .as_ref()
                .map_or_else(String::new, |url| format!(", {url}"));
            format!(
                "{}@{} ({} since {}{build}{run})",
                owner.who, owner.place, owner.command, owner.since
            )
        }
        None => format!("somebody unknown{run}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FENCE: Fence<u8> = Fence {
        epoch: Epoch(3),
        run: 7,
        sequence: 5,
    };
    const GATE: Gate<'static, u8> = Gate {
        epoch: Epoch(3),
        run: Some(&7),
        lease_is_over: false,
        accepted: 4,
    };

    #[test]
    fn a_script_passes_only_with_epoch_run_lease_and_a_new_number() {
        assert!(GATE.lets_pass(&FENCE));
        assert!(
            !Gate {
                epoch: Epoch(4),
                ..GATE
            }
            .lets_pass(&FENCE)
        );
        assert!(
            !Gate {
                run: Some(&8),
                ..GATE
            }
            .lets_pass(&FENCE)
        );
        assert!(!Gate { run: None, ..GATE }.lets_pass(&FENCE));
        assert!(
            !Gate {
                lease_is_over: true,
                ..GATE
            }
            .lets_pass(&FENCE)
        );
        assert!(!Gate { accepted: 5, ..GATE }.lets_pass(&FENCE));
    }

    #[test]
    fn a_lock_is_taken_only_when_free_or_over_and_only_under_a_higher_epoch() {
        assert!(!GATE.may_be_taken(Epoch(3), Epoch(4)));
        let over = Gate {
            lease_is_over: true,
            ..GATE
        };
        assert!(over.may_be_taken(Epoch(3), Epoch(4)));
        assert!(!over.may_be_taken(Epoch(3), Epoch(3)));
        assert!(!over.may_be_taken(Epoch(2), Epoch(4)));
        assert!(Gate { run: None, ..GATE }.may_be_taken(Epoch(3), Epoch(4)));
    }

    #[test]
    fn one_host_alone_cannot_use_up_the_epochs_of_all() {
        let hosts = ["a", "b", "c"].map(|name| HostName::new(name).unwrap());
        let next = |epochs: [u64; 3]| {
            let epochs: Vec<_> = hosts.iter().zip(epochs.map(Epoch)).collect();
            next_epoch(epochs).map_err(|(host, _)| host.as_str().to_owned())
        };
        assert_eq!(next([7, 0, 9]), Ok(Epoch(10)));
        assert_eq!(next([7, 1 << 60, 9]), Err("b".to_owned()));
        // A host that was just set up again has none yet.
        assert_eq!(next([1 << 60, 1 << 60, 0]), Ok(Epoch((1 << 60) + 1)));
        assert_eq!(next_epoch([(&hosts[0], Epoch(5))]), Ok(Epoch(6)));
        assert_eq!(next_epoch([]), Ok(Epoch(1)));
    }

    #[test]
    fn after_a_reboot_the_term_starts_anew() {
        let [term, day] = [30, 86_400].map(Duration::from_secs);
        assert_eq!(
            lease_left(term, day, day + Duration::from_secs(10), true),
            Duration::from_secs(20)
        );
        assert_eq!(lease_left(term, day, day + term, true), Duration::ZERO);
        assert_eq!(
            lease_left(term, day, Duration::from_secs(10), false),
            Duration::from_secs(20)
        );
    }
}

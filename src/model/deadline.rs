//! The deadline of a whole run: how long it goes forward, so that what is left is enough for its way back.

use std::time::Duration;

use humantime::format_duration;

use super::playbook::Playbook;

/// What lies between the waits that the playbook names: connections, looks, records and locks.
const BETWEEN: Duration = Duration::from_secs(5);

/// A run's time, and what of it is kept for a way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    whole: Duration,
    reserve: Duration,
}

/// The deadline leaves no time to get anywhere. Give the run more, or let the playbook wait less.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a deadline of {} is too short: {} of it are kept for a way back (watch.deadline: {} for a switch and {} for its way \
     back, drain.deadline: {}, stop.grace: {}, hooks: {}, and {} for what lies between), and {} pass before a release is live \
     for good (health.min_healthy_time, bake.for)",
    format_duration(*.whole), format_duration(*.reserve), format_duration(*.proof), format_duration(*.proof),
    format_duration(*.drain), format_duration(*.grace), format_duration(*.hooks), format_duration(*.between), format_duration(*.least)
)]
pub struct TooShort {
    whole: Duration,
    reserve: Duration,
    proof: Duration,
    drain: Duration,
    grace: Duration,
    hooks: Duration,
    between: Duration,
    least: Duration,
}

impl Deadline {
    /// A deadline of `whole` for a run that needs at least `least` to get where it wants.
    ///
    /// Returns an error, with all numbers, where no time is left to go forward.
    pub fn new(whole: Duration, least: Duration, playbook: &Playbook) -> Result<Self, TooShort> {
        let told = playbook.notify.iter().map(|notify| notify.deadline).max();
        let between = BETWEEN + told.unwrap_or_default();
        let proof = playbook.watch.proof_deadline();
        let (drain, grace) = (playbook.drain.deadline, playbook.stop.grace);
        let hooks = playbook.hooks.longest_way_back();
        let reserve = proof + proof + drain + grace + hooks + between;
        if whole <= reserve + least {
            return Err(TooShort {
                whole,
                reserve,
                proof,
                drain,
                grace,
                hooks,
                between,
                least,
            });
        }
        Ok(Self { whole, reserve })
    }

    /// What is kept for the way back: a switch that is under way, home, the end of old requests, the end of what
    /// was started, and its hooks.
    pub fn reserve(self) -> Duration {
        self.reserve
    }

    /// How long the run goes forward.
    pub fn forward(self) -> Duration {
        self.whole.saturating_sub(self.reserve)
    }

    /// How long the first of two runs goes forward, so that the second one has as long as it had.
    pub fn halfway(self) -> Duration {
        self.forward() / 2
    }
}

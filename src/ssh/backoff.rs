//! The pauses between tries: doubling, capped, and random enough that hosts do not come in step.

use std::time::Duration;

use rand::RngExt;

const FIRST: Duration = Duration::from_millis(60);
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one row of tries.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause: between half and all of a span that doubles up to two seconds.
    pub(super) fn pause(&mut self) -> Duration {
        let span = self.next;
        self.next = (span * 2).min(LONGEST);
        span.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_capped() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
        assert!(pauses[19] >= LONGEST / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
    }
}

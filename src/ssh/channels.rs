//! The exec channels of one connection: at most eight at once, fewer where the server says so, in
//! the order in which they were asked for. Forwarded channels are not counted, nor does sshd.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// sshd's `MaxSessions` is ten.
const MOST: usize = 8;

/// The turns of one connection.
#[derive(Debug)]
pub(super) struct Channels {
    turns: Arc<Semaphore>,
    allowed: AtomicUsize,
}

/// The right to have one exec channel.
pub(super) type Turn = OwnedSemaphorePermit;

impl Channels {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(MOST)),
            allowed: AtomicUsize::new(MOST),
        }
    }

    /// Waits until there is a turn; first come, first served.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// Takes note that the server refused the channel of this turn: from now on there is one turn
    /// less. The last turn stays; `false` says that it was this one.
    pub(super) fn refused(&self, turn: Turn) -> bool {
        let one_less = |allowed: usize| (allowed > 1).then(|| allowed - 1);
        let lowered = self
            .allowed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok();
        if lowered {
            turn.forget();
        }
        lowered
    }

    /// How many exec channels the server allows, as far as is known.
    pub(super) fn allowed(&self) -> usize {
        self.allowed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refusals_take_turns_away_but_never_the_last() {
        let channels = Channels::new();
        for left in (1..MOST).rev() {
            let turn = channels.turn().await;
            assert!(channels.refused(turn));
            assert_eq!(channels.allowed(), left);
        }
        let last = channels.turn().await;
        assert!(!channels.refused(last));
        drop(channels.turn().await);
    }
}

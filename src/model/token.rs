//! The token of a switch on one nginx host: armed before the switch, and then moved once, by whoever is
//! first: the controller that confirms or reverts, or the watch at its deadline. What is decided is what
//! the tokens say; the run record is only intent.

use std::time::Duration;

use serde::Serialize;

use super::lock::Epoch;
use super::names::RunId;

/// Names a token: the run whose home its watch would put back, and the epoch and sequence number of the
/// script that armed it. A later one has a higher epoch or, under the same epoch, a higher number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TokenId {
    /// The run.
    pub run: RunId,
    /// The epoch under which it was armed.
    pub epoch: Epoch,
    /// The sequence number of the script that armed it.
    pub number: u64,
}

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// A watch waits for its deadline; then it goes home by itself.
    Armed,
    /// The controller has seen every nginx host proven: this switch stays.
    Confirmed,
    /// The controller took the switch back.
    Reverted,
    /// The watch was first. It says who won, not what runs: the watch may still be at it.
    Fired,
    /// A later token was armed on this host.
    Superseded,
}

/// What can be done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenMove {
    /// The controller confirms.
    Confirm,
    /// The controller reverts.
    Revert,
    /// The watch's deadline is over.
    Fire,
    /// A later token is armed.
    Supersede,
}

impl TokenState {
    /// The state after a move; `None` where somebody else was first, and the move is none. Every move is
    /// a rename of one file, so that one of them wins.
    pub fn after(self, step: TokenMove) -> Option<Self> {
        if self != Self::Armed {
            return None;
        }
        Some(match step {
            TokenMove::Confirm => Self::Confirmed,
            TokenMove::Revert => Self::Reverted,
            TokenMove::Fire => Self::Fired,
            TokenMove::Supersede => Self::Superseded,
        })
    }

    /// The word of files, answers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Armed => "armed",
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::Fired => "fired",
            Self::Superseded => "superseded",
        }
    }
}

/// Whether the process of a token's watch is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchProcess {
    /// It sleeps, or is on its way home.
    Alive,
    /// It has ended, was ended, or died with an earlier boot of the host.
    Gone,
}

/// A token as observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Which.
    pub id: TokenId,
    /// What became of it.
    pub state: TokenState,
    /// Whether its watch is there; one whose token was moved by somebody else leaves.
    pub watch: WatchProcess,
    /// Until its watch's deadline, by its own host's clock; `None` where it is not armed, or where its
    /// watch is gone.
    pub left: Option<Duration>,
    /// Whether a watch that fired has proven home.
    pub restored: bool,
}

/// Whether an armed token's watch leaves time enough to confirm: at least a third of its deadline. A
/// confirm that is sent later could meet a watch that fires between two hosts.
pub fn margin_is_left(left: Duration, deadline: Duration) -> bool {
    left >= deadline / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_moves_only_the_first_counts() {
        for first in [
            TokenMove::Confirm,
            TokenMove::Revert,
            TokenMove::Fire,
            TokenMove::Supersede,
        ] {
            let moved = TokenState::Armed.after(first).unwrap();
            for second in [
                TokenMove::Confirm,
                TokenMove::Revert,
                TokenMove::Fire,
                TokenMove::Supersede,
            ] {
                assert_eq!(moved.after(second), None);
            }
        }
    }

    #[test]
    fn a_third_of_the_deadline_is_enough_to_confirm_and_less_is_not() {
        let deadline = Duration::from_secs(30);
        assert!(margin_is_left(Duration::from_secs(10), deadline));
        assert!(!margin_is_left(Duration::from_millis(9_999), deadline));
    }
}

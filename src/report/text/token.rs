//! Tokens and leases in words.

use std::time::Duration;

use crate::model::lock::LockState;
use crate::model::token::{Token, TokenState, WatchProcess};
use crate::report::units::duration;

/// What became of a switch's token on one host.
pub fn moved(state: TokenState, left: Option<Duration>) -> String {
    match (state, left) {
        (TokenState::Armed, Some(left)) => {
            format!(
                "armed: goes home by itself in {} unless confirmed",
                duration(left)
            )
        }
        (TokenState::Armed, None) => "armed, and its watch is gone: nothing happens by itself".to_owned(),
        (TokenState::Confirmed, _) => "confirmed: this switch stays".to_owned(),
        (TokenState::Reverted, _) => "taken back".to_owned(),
        (TokenState::Fired, _) => "its watch was first and goes home by itself".to_owned(),
        (TokenState::Superseded, _) => "replaced by a later one".to_owned(),
    }
}

/// A token as it was found.
pub fn found(token: &Token) -> String {
    match (token.state, token.restored, token.watch) {
        (TokenState::Fired, true, _) => "its watch went home by itself".to_owned(),
        (TokenState::Fired, false, WatchProcess::Alive) => "its watch is going home by itself".to_owned(),
        (TokenState::Fired, false, WatchProcess::Gone) => {
            "its watch gave up on its way home (`nonstop history` says why): nothing happens by itself"
                .to_owned()
        }
        (state, ..) => moved(state, token.left),
    }
}

/// What a lock's lease has left; empty where the lock is free or has no end.
pub fn lease(lock: &LockState) -> String {
    match lock.lease_left {
        _ if lock.run.is_none() => String::new(),
        None => "no end: somebody locked it by hand".to_owned(),
        Some(Duration::ZERO) => "its lease is over: the next run takes it".to_owned(),
        Some(left) => format!("frees itself in {} without a sign of life", duration(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::Epoch;
    use crate::model::names::RunId;
    use crate::model::token::TokenId;

    #[test]
    fn nothing_is_promised_of_a_watch_that_is_gone() {
        let token = |state, watch| Token {
            id: TokenId {
                run: RunId::new("run-1").unwrap(),
                epoch: Epoch(1),
                number: 1,
            },
            state,
            watch,
            left: None,
            restored: false,
        };
        for state in [TokenState::Armed, TokenState::Fired] {
            let words = found(&token(state, WatchProcess::Gone));
            assert!(words.ends_with("nothing happens by itself"), "{words}");
        }
        let words = found(&token(TokenState::Fired, WatchProcess::Alive));
        assert_eq!(words, "its watch is going home by itself");
    }
}

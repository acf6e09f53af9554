//! The moves, and what is told of their answers: no pids, times or words of a system.

use nonstop::model::lock::LockState;
use nonstop::model::token::Token;
use nonstop::remote::answer::{
    Answer, ArmAnswer, ConfirmAnswer, Fenced, LockAnswer, PrepareAnswer, SwitchAnswer,
};

/// Who moves, and with which number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) run: u32,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

/// One move. Home is that of run 1, and a lease lasts for 30 seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Move {
    Lock {
        run: u32,
        expected: u64,
        epoch: u64,
    },
    Renew {
        run: u32,
        epoch: u64,
    },
    Unlock(Fence),
    Record(Fence),
    Prepare(Fence),
    /// With a watch of so many seconds.
    Commit(Fence, u64),
    Arm(Fence, u64),
    /// The token's epoch and number.
    Confirm(Fence, (u64, u64)),
    Revert(Fence),
    Clean(Fence),
    /// So many seconds pass on the host.
    Later(u64),
    /// The watch's deadline passes, and it goes home.
    Fires,
    SomebodyEdits,
    /// Tells the state of the host.
    Look,
}

/// What an answer says.
pub(crate) fn told(answer: &Answer) -> String {
    match answer {
        Answer::Lock(LockAnswer::Taken) => "taken".to_owned(),
        Answer::Lock(LockAnswer::Held(lock)) => format!("held {}", lock_told(lock)),
        Answer::Renew(fenced) => fenced_told(fenced, |()| "renewed".to_owned()),
        Answer::Unlock(fenced) | Answer::Record(fenced) | Answer::CleanNginx(fenced) => {
            fenced_told(fenced, |()| "done".to_owned())
        }
        Answer::Prepare(fenced) => fenced_told(fenced, |answer| {
            match answer {
                PrepareAnswer::Accepted { .. } => "accepted",
                PrepareAnswer::Refused { .. } => "refused by nginx",
                PrepareAnswer::Drifted => "drifted",
            }
            .to_owned()
        }),
        Answer::Commit(fenced) | Answer::Revert(fenced) => fenced_told(fenced, |answer| match answer {
            SwitchAnswer::Proven { watch_left, .. } => format!("proven, watched: {}", watch_left.is_some()),
            SwitchAnswer::Unproven { .. } => "unproven".to_owned(),
            other => format!("{other:?}"),
        }),
        Answer::Arm(fenced) => fenced_told(fenced, |answer| match answer {
            ArmAnswer::Armed { .. } => "armed".to_owned(),
            ArmAnswer::NoHome => "no home".to_owned(),
        }),
        Answer::Confirm(fenced) => fenced_told(fenced, |answer: &ConfirmAnswer| format!("{answer:?}")),
        other => panic!("no move has such an answer: {other:?}"),
    }
}

fn fenced_told<T>(fenced: &Fenced<T>, passed: impl Fn(&T) -> String) -> String {
    match fenced {
        Fenced::Passed(answer) => passed(answer),
        Fenced::Refused(lock) => format!("fenced off, {}", lock_told(lock)),
    }
}

pub(crate) fn lock_told(lock: &LockState) -> String {
    let run = lock.run.as_ref().map_or("nobody", |run| run.as_str());
    format!("{run} under {}, over: {}", lock.epoch.0, lock.is_over())
}

/// What the tokens and the traffic are.
pub(crate) fn state_told(tokens: &[Token], lock: &LockState, serves: &str, homes: &[String]) -> String {
    let mut tokens: Vec<_> = tokens.iter().collect();
    tokens.sort_by_key(|token| (token.id.epoch, token.id.number));
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| {
            let number = token.id.number;
            format!("{number} {}, restored: {}", token.state.as_str(), token.restored)
        })
        .collect();
    format!(
        "{tokens:?}; {}; serves {serves}; homes {homes:?}",
        lock_told(lock)
    )
}

//! The moves, and what is told of their answers: no pids, times or words of a system.

use std::collections::BTreeSet;

use nonstop::model::lock::LockState;
use nonstop::model::observed::{HostObserved, SlotObserved};
use nonstop::model::release::Offer;
use nonstop::model::timer::{Timer, TimerProgram, TimerState};
use nonstop::remote::answer::{
    Answer, ArmAnswer, ConfirmAnswer, Fenced, HookAnswer, LockAnswer, PrepareAnswer, StartAnswer, StopAnswer,
    SwitchAnswer,
};

/// Who moves, and with which number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) run: u32,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Blue,
    Green,
}

impl Slot {
    pub(crate) const BOTH: [Self; 2] = [Self::Blue, Self::Green];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

/// Whose identity is named: that of the process that was started last, or one that differs from it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom {
    Itself,
    AnotherStart,
    AnotherBoot,
    AnotherUser,
}

/// What is done about a hook.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hooked {
    /// It runs, and ends well.
    Runs,
    /// A person says that it runs again.
    RunsAgain,
    /// A person says that it is done.
    CountsAsDone,
    /// The controller is about to run it.
    Begins,
    /// It did not end well on the controller.
    EndsBadly,
    /// What runs of it is ended.
    Ends,
}

/// What a deploy agent brings.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Jar {
    /// What every release is.
    Usual,
    Other,
}

/// What a timer asks the new instance for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asks {
    /// What it answers.
    Status,
    /// What it never answers.
    AnotherStatus,
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
    /// A release is put in place, by its number.
    Put(Fence, u32),
    /// A deploy agent puts another jar there, or the one that releases are made of.
    Offers(Jar),
    FindJar,
    /// A release is made of what the agent has put there, which is taken for the jar of releases.
    Take(Fence, u32),
    /// A release is started in a slot.
    Start(Fence, Slot, u32),
    /// The process of a slot is stopped, where its successor is there.
    Stop(Fence, Slot, Whom, Option<(Slot, Whom)>),
    /// Something about a hook of the mover's run, by its number.
    Hook(Fence, u32, Hooked),
    /// The record says that run 1 waits, under epoch 1.
    Waits(Fence),
    /// What runs on blue is left to the host, which stops it after so many seconds if green is well.
    SetTimer(Fence, u64, Asks),
    /// The timer of run 1 is cancelled.
    CancelTimer(Fence),
    /// The hour is over, and the host has done what it does then.
    HourPasses,
    /// The process of a slot dies by itself.
    Dies(Slot),
    /// The host loses its power and comes up again.
    Reboots,
    /// Somebody sets the host's wall clock forward, or back.
    ClockJumps(i64),
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
        Answer::Put(fenced) | Answer::Take(fenced) => fenced_told(fenced, |answer| format!("{answer:?}")),
        Answer::FindJar(Offer::Jar(jar)) => format!("{} bytes, {}", jar.size_bytes, jar.sha256),
        Answer::FindJar(Offer::None) => "no jar".to_owned(),
        Answer::FindJar(Offer::Unfit { .. }) => "unfit".to_owned(),
        Answer::Start(fenced) => fenced_told(fenced, |answer| {
            match answer {
                StartAnswer::Listening { .. } => "listening",
                StartAnswer::Exited { .. } => "exited",
                StartAnswer::OutOfMemory { .. } => "out of memory",
                StartAnswer::NotListening { .. } => "not listening",
                StartAnswer::PortTaken { .. } => "port taken",
            }
            .to_owned()
        }),
        Answer::Stop(fenced) => fenced_told(fenced, |answer| match answer {
            StopAnswer::SuccessorMissing { .. } => "no successor".to_owned(),
            other => format!("{other:?}"),
        }),
        Answer::Hook(fenced) => fenced_told(fenced, |answer| {
            match answer {
                HookAnswer::Done { .. } => "done",
                HookAnswer::Failed { .. } => "failed",
                HookAnswer::WasDone => "was done",
                HookAnswer::HadFailed { .. } => "had failed",
                HookAnswer::Unknown => "unknown",
                HookAnswer::Running => "running",
                HookAnswer::Noted => "noted",
            }
            .to_owned()
        }),
        Answer::SetTimer(fenced) => fenced_told(fenced, |_| "set".to_owned()),
        Answer::CancelTimer(fenced) => fenced_told(fenced, |state| {
            state.map_or("no timer", TimerState::as_str).to_owned()
        }),
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

/// What the lock, the tokens, the traffic and the instances are.
pub(crate) fn state_told(seen: &HostObserved, serves: &str) -> String {
    let nginx = seen.nginx.as_ref().expect("an nginx host");
    let mut tokens: Vec<_> = nginx.tokens.iter().collect();
    tokens.sort_by_key(|token| (token.id.epoch, token.id.number));
    let tokens: Vec<_> = tokens
        .iter()
        .map(|token| {
            let (state, watched) = (token.state.as_str(), token.left.is_some());
            let number = token.id.number;
            format!(
                "{number} {state}, watched: {watched}, restored: {}",
                token.restored
            )
        })
        .collect();
    let was = seen.was.as_ref().expect("a WAS host");
    let slots = &was.slots;
    let timer = was.timer.as_ref().map(timer_told);
    let ends = seen
        .record
        .as_ref()
        .is_some_and(|record| record.point_of_no_return);
    let slots: Vec<_> = slots
        .iter()
        .map(|(slot, it)| format!("{slot} {}", slot_told(it)))
        .collect();
    let hooks = seen.hooks.iter();
    let hooks: BTreeSet<_> = hooks
        .map(|it| format!("{} of {} {:?}", it.hook, it.run, it.state))
        .collect();
    format!(
        "{tokens:?}; {}; serves {serves}; homes {:?}; {slots:?}; {hooks:?}; {timer:?}; the old one ends: {ends}",
        lock_told(&seen.lock),
        nginx.saved_homes
    )
}

/// The program of one that is moved may take a moment to leave.
fn timer_told(timer: &Timer) -> String {
    let (id, state) = (&timer.id, timer.state.as_str());
    let rebooted = timer.program == TimerProgram::Rebooted;
    let (under_way, over, waits) = (timer.is_under_way(), timer.is_over(), timer.left.is_some());
    format!(
        "{} of {} {}: {state}, rebooted: {rebooted}, under way: {under_way}, over: {over}, waits: {waits}",
        timer.slot, id.run, id.number
    )
}

fn slot_told(slot: &SlotObserved) -> String {
    let record = match &slot.record {
        None => "nobody".to_owned(),
        Some(record) => format!("{}, which runs: {}", record.release, slot.record_runs),
    };
    let listens = match (&slot.listener, slot.recorded_process_listens()) {
        (None, _) => "nobody",
        (Some(_), true) => "it",
        (Some(_), false) => "somebody else",
    };
    format!("on record: {record}; listens: {listens}")
}

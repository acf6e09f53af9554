//! Deliberate defects: each switches one rule of the program off, so that the simulator and the crash tests
//! can show that they would find its absence. They exist only with the feature `defects`, which nothing else
//! is built with; elsewhere every question is answered by a constant.

/// A rule that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// The switch begins though a host has not passed the phases before it.
    NoBarrierBeforeCommit,
    /// A switch that is not proven counts as proven.
    StopBeforeProof,
    /// A step whose outcome is unknown is not undone on the way home.
    NoUndoOfUnknown,
    /// After the point of no return the way may still be back.
    RevertPastPointOfNoReturn,
    /// A lock is taken over under the epoch that it has.
    TakeOverWithoutHigherEpoch,
    /// Each host is told that its switch stays as soon as it is proven itself.
    ConfirmBeforeAllAreProven,
    /// The switch is confirmed though a watch is about to fire.
    ConfirmWithoutMargin,
    /// A confirm whose answer was lost counts as answered.
    LostConfirmIsConfirmed,
    /// The old slot is stopped though an nginx host cannot be asked.
    StopWhileUnreachable,
    /// Every script passes the fence, whoever holds the lock.
    NoFence,
    /// A watch is there, and does nothing at its deadline.
    WatchNeverFires,
    /// A reload that answers 0 is a switch.
    TrustsReload,
    /// Nobody waits for requests that are under way.
    StopWithoutDrain,
    /// A new instance is asked by its own host only.
    VerifyFromOwnHostOnly,
    /// Whom a person left out is not on record.
    ForgetsWhoIsLeftOut,
    /// A run of several routings goes back to the one before its last, and not to the one before the run.
    WeightsLeftBehind,
    /// A run that waits for a person counts as one whose controller died.
    WaitingIsInterrupted,
    /// A hook of which nobody knows how it ended runs again.
    HookRunsTwice,
    /// A host stops its old instance at the hour of a run that was taken back: nobody cancels, and it does not ask.
    TimerOutlivesRollback,
    /// A host stops its old instance at the hour whatever became of the new one.
    TimerWithoutLook,
    /// With a single slot nobody looks who else is in service when a host leaves.
    LastInServiceLeaves,
}

#[cfg(feature = "defects")]
mod planted {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
    }

    const BY_NAME: [(&str, Defect); 18] = [
        ("no_barrier_before_commit", Defect::NoBarrierBeforeCommit),
        ("stop_before_proof", Defect::StopBeforeProof),
        ("no_undo_of_unknown", Defect::NoUndoOfUnknown),
        (
            "revert_past_point_of_no_return",
            Defect::RevertPastPointOfNoReturn,
        ),
        (
            "take_over_without_higher_epoch",
            Defect::TakeOverWithoutHigherEpoch,
        ),
        ("confirm_before_all_are_proven", Defect::ConfirmBeforeAllAreProven),
        ("confirm_without_margin", Defect::ConfirmWithoutMargin),
        ("lost_confirm_is_confirmed", Defect::LostConfirmIsConfirmed),
        ("stop_while_unreachable", Defect::StopWhileUnreachable),
        ("no_fence", Defect::NoFence),
        ("watch_never_fires", Defect::WatchNeverFires),
        ("trusts_reload", Defect::TrustsReload),
        ("weights_left_behind", Defect::WeightsLeftBehind),
        ("waiting_is_interrupted", Defect::WaitingIsInterrupted),
        ("hook_runs_twice", Defect::HookRunsTwice),
        ("last_in_service_leaves", Defect::LastInServiceLeaves),
        ("stop_by_the_hour_after_a_rollback", Defect::TimerOutlivesRollback),
        (
            "stop_by_the_hour_with_the_new_slot_dead",
            Defect::TimerWithoutLook,
        ),
    ];

    /// Plants the defect of that name in this thread; false where there is none.
    pub fn plant_named(name: &str) -> bool {
        let found = BY_NAME.iter().find(|(known, _)| *known == name);
        plant(found.map(|(_, defect)| *defect));
        found.is_some()
    }

    /// Plants a defect in this thread, or takes it out.
    pub fn plant(defect: Option<Defect>) {
        PLANTED.set(defect);
    }

    /// Whether a defect is planted.
    pub fn planted(defect: Defect) -> bool {
        PLANTED.get() == Some(defect)
    }
}

#[cfg(feature = "defects")]
pub use planted::{plant, plant_named, planted};

/// Whether a defect is planted.
#[cfg(not(feature = "defects"))]
pub const fn planted(_: Defect) -> bool {
    false
}

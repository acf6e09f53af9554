//! Deliberate defects: each switches one rule of the program off, so that the simulator can show that it
//! would find its absence. They exist only with the feature `defects`, which nothing but the simulator is
//! built with; elsewhere every question is answered by a constant.

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
}

#[cfg(feature = "defects")]
mod planted {
    use std::cell::Cell;

    use super::Defect;

    thread_local! {
        static PLANTED: Cell<Option<Defect>> = const { Cell::new(None) };
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
pub use planted::{plant, planted};

/// Whether a defect is planted.
#[cfg(not(feature = "defects"))]
pub const fn planted(_: Defect) -> bool {
    false
}

//! Deliberate defects of a simulated host: each switches off one rule that the scripts keep. A simulator
//! that does not find them is not worth its time.

/// A rule that a host does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// Every script passes, whoever has the lock.
    NoFence,
    /// A script passes though the lease is over.
    FenceWithoutLease,
    /// A script passes though a later one came before it.
    FenceWithoutSequence,
    /// The stop does not look at the new instance.
    StopWithoutLook,
    /// Nothing tells the processes of a start that was cut off from others.
    StartWithoutWord,
    /// The stop ends whoever listens on the port.
    StopByPort,
    /// A watch that was armed for a way back puts back what was there before the way back.
    WatchForgetsHome,
    /// A watch does nothing when the lock's epoch has changed.
    WatchObeysEpoch,
    /// A reload that answers 0 counts as proven.
    TrustsReload,
    /// Whoever takes a run back cancels no timer, and the timer does not ask whether anybody came.
    TimerOutlivesRollback,
    /// A timer does not look at the new instance.
    TimerWithoutLook,
    /// The live file is emptied and written anew.
    WritesInPlace,
}

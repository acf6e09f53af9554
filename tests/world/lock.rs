//! The lock of a host: taken, renewed, given back, and the fence that every change passes. The rules are
//! the program's own pure functions.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::lock::{Epoch, Fence, Gate, LockState, lease_left};
use nonstop::remote::answer::LockAnswer;
use nonstop::remote::command::{BreakLock, Lock, Renew};

use super::{Flaw, SimHost};

/// When a lease was taken or renewed last: the boot and the uptime.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Renewed {
    boot: u32,
    uptime: Duration,
}

impl SimHost {
    /// The lock as a script reads it.
    pub(crate) fn lock_now(&self) -> LockState {
        let left = |term| {
            let (renewed, now) = (self.renewed, self.clock.uptime());
            lease_left(term, renewed.uptime, now, renewed.boot == self.clock.boot)
        };
        let held = self.lock.run.is_some();
        LockState {
            lease_left: self.lock.lease_left.filter(|_| held).map(left),
            ..self.lock.clone()
        }
    }

    fn may_pass(&self, fence: &Fence, accepted: u64) -> bool {
        if self.has(Flaw::NoFence) {
            return true;
        }
        let lock = self.lock_now();
        let gate = Gate {
            epoch: lock.epoch,
            run: lock.run.as_ref(),
            lease_is_over: lock.is_over() && !self.has(Flaw::FenceWithoutLease),
            accepted: if self.has(Flaw::FenceWithoutSequence) {
                0
            } else {
                accepted
            },
        };
        gate.lets_pass(fence)
    }

    /// Whether the fence lets a script pass; then its number is accepted and the lease renewed. A full
    /// disk keeps it from writing that down.
    pub(super) fn fence(&mut self, fence: &Fence) -> Result<Result<(), LockState>, CallError> {
        let accepted = if self.accepted.0 == fence.epoch {
            self.accepted.1
        } else {
            0
        };
        if !self.may_pass(fence, accepted) {
            return Ok(Err(self.lock_now()));
        }
        if self.disk_is_full {
            let reason = "the state folder cannot be written".to_owned();
            return Err(CallError::Script { reason });
        }
        self.writes_under(fence, accepted);
        self.accepted = (fence.epoch, fence.sequence);
        self.renew();
        Ok(Ok(()))
    }

    /// Whether a script that passed before may do its second effect: nobody came between.
    pub(super) fn fence_again(&mut self, fence: &Fence) -> bool {
        let first = self.accepted == (fence.epoch, fence.sequence) || self.has(Flaw::FenceWithoutSequence);
        let passes = (first || self.has(Flaw::NoFence)) && self.may_pass(fence, 0);
        if passes {
            self.writes_under(fence, fence.sequence.saturating_sub(1));
            self.renew();
        }
        passes
    }

    /// I4: whoever writes has the lock, its lease is not over, and nothing later came before.
    fn writes_under(&mut self, fence: &Fence, accepted: u64) {
        let lock = self.lock_now();
        let why = if lock.epoch != fence.epoch || lock.run.as_ref() != Some(&fence.run) {
            "without the lock"
        } else if lock.is_over() {
            "after its lease was over"
        } else if fence.sequence <= accepted {
            "after a later script"
        } else {
            return;
        };
        let broken = format!("I4: {} changed {} {why}", fence.run, self.address);
        self.broken.push(broken);
    }

    pub(super) fn renew(&mut self) {
        self.renewed = Renewed {
            boot: self.clock.boot,
            uptime: self.clock.uptime(),
        };
    }

    pub(super) fn renews(&mut self, renew: &Renew) -> Result<(), LockState> {
        let fence = Fence {
            epoch: renew.epoch,
            run: renew.run.clone(),
            sequence: u64::MAX,
        };
        if !self.may_pass(&fence, 0) {
            return Err(self.lock_now());
        }
        self.renew();
        Ok(())
    }

    pub(super) fn take_lock(&mut self, lock: Lock) -> LockAnswer {
        let there = self.lock_now();
        let again = there.epoch == lock.epoch && there.run.as_ref() == Some(&lock.run) && !there.is_over();
        let gate = Gate {
            epoch: there.epoch,
            run: there.run.as_ref(),
            lease_is_over: there.is_over(),
            accepted: 0,
        };
        if !again && !gate.may_be_taken(lock.expected, lock.epoch) {
            return LockAnswer::Held(there);
        }
        self.lock = LockState {
            epoch: lock.epoch,
            run: Some(lock.run),
            owner: Some(lock.owner),
            lease_left: lock.lease,
        };
        self.renew();
        LockAnswer::Taken
    }

    pub(super) fn break_lock(&mut self, broken: &BreakLock) -> LockAnswer {
        if self.lock.epoch != broken.expected {
            return LockAnswer::Held(self.lock_now());
        }
        self.lock.epoch = Epoch(broken.epoch.0.max(self.lock.epoch.0));
        self.lock.run = None;
        LockAnswer::Taken
    }
}

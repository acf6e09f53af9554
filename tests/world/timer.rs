//! The hour at which a WAS host ends its old instance by itself, whoever is there by then.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::names::{HostName, Port};
use nonstop::model::record::RunStatus;
use nonstop::model::timer::{Timer, TimerProgram, TimerState};
use nonstop::model::token::TokenId;
use nonstop::remote::answer::{Answer, Fenced};
use nonstop::remote::command::{CancelTimer, SetTimer};
use tokio::time::Instant;

use super::commands::pass;
use super::was::ENDS;
use super::{Due, Effect, Flaw, Health, SimHost, World};

/// A timer as it lies on the disk.
#[derive(Debug, Clone)]
pub(crate) struct SimTimer {
    pub(crate) id: TokenId,
    pub(crate) state: TimerState,
    pub(crate) reason: Option<String>,
    set: SetTimer,
    /// The boot in which it was set, and the uptime of its hour.
    hour: (u32, Duration),
    /// Whether its program has ended without a word.
    is_lost: bool,
    /// Since when nobody was seen on the old port.
    quiet_since: Option<Instant>,
}

impl SimHost {
    /// The timer as an observation finds it.
    pub(super) fn timer_now(&self) -> Option<Timer> {
        let timer = self.timer.as_ref()?;
        let is_over = timer.is_lost || !matches!(timer.state, TimerState::Pending | TimerState::Stopping);
        let program = match timer.hour.0 == self.clock.boot {
            false => TimerProgram::Rebooted,
            true if is_over => TimerProgram::Gone,
            true => TimerProgram::Alive,
        };
        let waits = timer.state == TimerState::Pending && program == TimerProgram::Alive;
        Some(Timer {
            id: timer.id.clone(),
            slot: timer.set.slot.clone(),
            state: timer.state,
            program,
            left: waits.then(|| timer.hour.1.saturating_sub(self.clock.uptime())),
            reason: timer.reason.clone(),
        })
    }

    fn cancels(&mut self) {
        let pending = self.timer.as_mut().filter(|it| it.state == TimerState::Pending);
        if let Some(timer) = pending {
            timer.state = TimerState::Cancelled;
        }
    }

    /// What speaks against an end at the hour.
    fn refuses(&self, timer: &SimTimer) -> Option<String> {
        let set = &timer.set;
        if !self.has(Flaw::TimerOutlivesRollback) {
            if self.lock.epoch != timer.id.epoch {
                return Some("the lock was taken since".to_owned());
            }
            if self.lock.run.as_ref().is_some_and(|run| *run != set.fence.run) {
                return Some("somebody holds the lock".to_owned());
            }
            let waits = self.record.as_ref().is_some_and(|record| {
                let same = record.run == set.run && record.epoch == timer.id.epoch;
                same && record.status == RunStatus::Waiting
            });
            if !waits {
                return Some("the run on record does not wait".to_owned());
            }
        }
        if !self.has(Flaw::TimerWithoutLook) && !self.stands_in(set) {
            return Some("the new instance is not there, or not healthy".to_owned());
        }
        None
    }

    /// Whether the new instance is the recorded one, listens and is healthy.
    fn stands_in(&self, set: &SetTimer) -> bool {
        let listener = self.listener(set.successor.port);
        listener.is_some_and(|it| it.identity == set.successor.identity && it.health == Health::Up)
    }

    /// When nobody is on the old port any more; none where that is now, and has been for long enough.
    fn busy_until(&self, port: Port, since: Instant) -> Option<Instant> {
        let ended = self.answered_at(port).filter(|end| *end > since);
        let stays = self.connected(port) > 0;
        let now = Instant::now();
        ended
            .map(|end| end.max(now))
            .or_else(|| stays.then(|| now + Duration::from_secs(1)))
    }
}

impl World {
    pub(super) fn set_timer(&mut self, name: &HostName, set: SetTimer) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, set.fence, SetTimer);
        host.cancels();
        let id = TokenId {
            run: set.run.clone(),
            epoch: set.fence.epoch,
            number: set.fence.sequence,
        };
        let (after, boot) = (set.after, host.clock.boot);
        let comes = Instant::now() + host.clock.takes(after);
        host.timer = Some(SimTimer {
            id: id.clone(),
            state: TimerState::Pending,
            reason: None,
            hour: (boot, host.clock.uptime() + after),
            set,
            is_lost: false,
            quiet_since: None,
        });
        host.audits(id.run.as_str(), "set_timer", "set");
        self.queue(comes, name, Due::Timer(boot, id));
        Ok(Effect::Answered(Answer::SetTimer(Fenced::Passed(after))))
    }

    pub(super) fn cancel_timer(
        &mut self,
        name: &HostName,
        cancel: &CancelTimer,
    ) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, cancel.fence, CancelTimer);
        if !host.has(Flaw::TimerOutlivesRollback) {
            host.cancels();
        }
        let of_run = host.timer.as_ref().filter(|timer| timer.id.run == cancel.run);
        let state = of_run.map(|timer| timer.state);
        Ok(Effect::Answered(Answer::CancelTimer(Fenced::Passed(state))))
    }

    /// A timer's hour has come, or it looks again.
    pub(super) fn timer_comes(&mut self, name: &HostName, boot: u32, id: TokenId) {
        if !self.lives_on(name, boot) {
            return;
        }
        let host = self.at(name);
        let is_full = host.disk_is_full;
        let waits = |timer: &SimTimer| timer.id == id && timer.state == TimerState::Pending;
        let Some(mut timer) = host.timer.clone().filter(waits) else {
            return;
        };
        let (now, port, quiet) = (Instant::now(), timer.set.port, timer.set.quiet);
        let since = timer.quiet_since.unwrap_or(now);
        if let Some(until) = host.busy_until(port, since) {
            let late = host.clock.uptime() >= timer.hour.1 + timer.set.quiet_limit;
            if late {
                return self.timer_refuses(name, timer, "nginx goes on using the old port".to_owned());
            }
            timer.quiet_since = Some(until);
            host.timer = Some(timer);
            self.queue(until + quiet, name, Due::Timer(boot, id));
            return;
        }
        if timer.quiet_since.is_none() || now < since + quiet {
            timer.quiet_since = Some(since);
            host.timer = Some(timer);
            self.queue(since + quiet, name, Due::Timer(boot, id));
            return;
        }
        if is_full {
            // Nothing can be written down: it leaves as it came.
            timer.is_lost = true;
            host.timer = Some(timer);
            return;
        }
        if let Some(reason) = host.refuses(&timer) {
            return self.timer_refuses(name, timer, reason);
        }
        self.timer_stops(name, boot, timer);
    }

    fn timer_refuses(&mut self, name: &HostName, mut timer: SimTimer, reason: String) {
        let host = self.at(name);
        timer.state = TimerState::Refused;
        timer.reason = Some(reason);
        host.audits(timer.id.run.as_str(), "timer", "refused");
        host.timer = Some(timer);
        self.seen(name, "timer: refused");
    }

    fn timer_stops(&mut self, name: &HostName, boot: u32, mut timer: SimTimer) {
        let (id, set) = (timer.id.clone(), timer.set.clone());
        self.ended_by_hosts.insert(id.run.clone());
        let host = self.at(name);
        timer.state = TimerState::Stopping;
        host.timer = Some(timer);
        if let Some(record) = &mut host.record {
            record.point_of_no_return = true;
        }
        host.audits(id.run.as_str(), "timer", "stopping");
        let mut processes = host.processes.iter();
        let old = processes.find(|process| process.identity == set.identity && process.lives());
        let Some(heeds) = old.map(|process| process.heeds_term) else {
            return self.timer_ends(name, boot, &id);
        };
        let stands_in = host.stands_in(&set) && host.listener(set.port).is_some();
        let ends = Instant::now() + if heeds { ENDS } else { set.grace };
        for process in &mut host.processes {
            if process.identity == set.identity {
                process.ends_at = Some(ends);
            }
        }
        if !stands_in {
            let broken = format!(
                "I1: {name}:{} was stopped at its hour, and nobody well is there in its place",
                set.port
            );
            self.broken.push(broken);
        }
        self.cuts(name, set.port, ends, &set.run);
        self.stops(name, set.port, &set.run);
        self.queue(ends, name, Due::TimerEnds(boot, id));
        self.seen(name, "timer: stopping");
    }

    /// The old instance has ended.
    pub(super) fn timer_ends(&mut self, name: &HostName, boot: u32, id: &TokenId) {
        if !self.lives_on(name, boot) {
            return;
        }
        let host = self.at(name);
        if let Some(timer) = host.timer.as_mut().filter(|timer| timer.id == *id) {
            timer.state = TimerState::Stopped;
            let ended = timer.set.identity.clone();
            host.instances.retain(|_, record| record.identity != ended);
        }
        host.audits(id.run.as_str(), "timer", "stopped");
        self.seen(name, "timer: stopped");
    }
}

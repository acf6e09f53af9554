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
    pub(crate) set: SetTimer,
    /// The boot in which it was set, and the uptime of its hour.
    hour: (u32, Duration),
    /// Since when nobody was seen on the old port.
    quiet_since: Option<Instant>,
    /// How often the new instance was asked in vain.
    looks: u32,
}

/// How often it is asked, each time after the port was quiet once more.
const LOOKS: u32 = 3;

/// What the new instance is found to be.
enum StandsIn {
    Well,
    Sick,
    Missing,
}

impl SimHost {
    /// The timer as an observation finds it.
    pub(super) fn timer_now(&self) -> Option<Timer> {
        let timer = self.timer.as_ref()?;
        let is_over = !matches!(timer.state, TimerState::Pending | TimerState::Stopping);
        let program = match timer.hour.0 == self.clock.boot {
            false => TimerProgram::Rebooted,
            true if is_over => TimerProgram::Gone,
            true => TimerProgram::Alive,
        };
        let waits = timer.state == TimerState::Pending && program == TimerProgram::Alive;
        Some(Timer {
            id: timer.id.clone(),
            slot: timer.set.slot.clone(),
            unit: self.unit_on_record(&timer.set.slot),
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

    /// Who came since, or why the run does not wait.
    fn somebody_came(&self, timer: &SimTimer) -> Option<&'static str> {
        let set = &timer.set;
        if self.has(Flaw::TimerOutlivesRollback) {
            return None;
        }
        if self.lock.epoch != timer.id.epoch {
            return Some("the lock was taken since");
        }
        if self.lock.run.as_ref().is_some_and(|run| *run != set.fence.run) {
            return Some("somebody holds the lock");
        }
        let waits = self.record.as_ref().is_some_and(|record| {
            let same = record.run == set.run && record.epoch == timer.id.epoch;
            same && record.status == RunStatus::Waiting
        });
        (!waits).then_some("the run on record does not wait")
    }

    /// Whether the new instance is the recorded one, listens and is healthy: it answers with 200 where it is.
    fn stands_in(&self, set: &SetTimer) -> StandsIn {
        let listener = self.listener(set.successor.port);
        let successor = self.now(&set.successor_slot, &set.successor.identity);
        let same = listener.filter(|it| it.identity == successor);
        match same.map(|it| it.health) {
            None => StandsIn::Missing,
            Some(Health::Up) if set.health.status == 200 => StandsIn::Well,
            Some(_) => StandsIn::Sick,
        }
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
            quiet_since: None,
            looks: 0,
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
        self.timer_looks(name, boot, timer);
    }

    /// Nobody was on the old port for long enough.
    fn timer_looks(&mut self, name: &HostName, boot: u32, mut timer: SimTimer) {
        let host = self.at(name);
        if let Some(reason) = host.somebody_came(&timer) {
            return self.timer_refuses(name, timer, reason.to_owned());
        }
        timer.set.identity = host.now(&timer.set.slot, &timer.set.identity);
        if !host.runs(&timer.set.identity) {
            let id = timer.id.clone();
            host.timer = Some(timer);
            return self.timer_ends(name, boot, &id);
        }
        let looks = !host.has(Flaw::TimerWithoutLook);
        let stands_in = if looks {
            host.stands_in(&timer.set)
        } else {
            StandsIn::Well
        };
        match stands_in {
            StandsIn::Well => {}
            StandsIn::Missing => {
                return self.timer_refuses(name, timer, "the new instance is not there".to_owned());
            }
            StandsIn::Sick if timer.looks + 1 < LOOKS => {
                let (now, quiet, id) = (Instant::now(), timer.set.quiet, timer.id.clone());
                timer.looks += 1;
                timer.quiet_since = Some(now);
                host.timer = Some(timer);
                return self.queue(now + quiet, name, Due::Timer(boot, id));
            }
            StandsIn::Sick => {
                return self.timer_refuses(name, timer, "the new instance is not healthy".to_owned());
            }
        }
        if host.disk_is_full {
            return self.timer_refuses(name, timer, "the record cannot be written".to_owned());
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
        let heeds = old.is_some_and(|process| process.heeds_term);
        let stands_in = matches!(host.stands_in(&set), StandsIn::Well) && host.listener(set.port).is_some();
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
        // Whoever set it said who carries no traffic.
        self.cuts(name, set.port, ends, &set.fence.run);
        self.stops(name, set.port, &set.fence.run);
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

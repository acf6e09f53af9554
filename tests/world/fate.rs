//! What befalls a host: it goes down and comes up again, and what was under way on it ends.

use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::names::HostName;
use nonstop::model::token::{TokenMove, TokenState};
use tokio::time::Instant;

use super::switch::RELOAD;
use super::{Due, Job, World};

/// How often a watch tries to bring home.
const ATTEMPTS: u32 = 5;

impl World {
    /// The host loses its power.
    pub(crate) fn crash(&mut self, name: &HostName) {
        let host = self.at(name);
        if !host.is_up {
            return;
        }
        host.is_up = false;
        host.busy_until = None;
        let ports: Vec<_> = host.ports.values().copied().collect();
        for port in ports {
            host.strike(port);
        }
        host.processes.clear();
        host.flights.clear();
        self.forget_clients_of(name);
    }

    /// The host comes up: nginx with what is on its disk, the units that are enabled, and nothing else.
    pub(crate) fn boot(&mut self, name: &HostName) {
        let host = self.at(name);
        if host.is_up {
            return;
        }
        host.is_up = true;
        host.clock.reboot();
        if let Some(nginx) = &mut host.nginx {
            nginx.start();
        }
        host.units_boot();
    }

    /// Nothing more befalls any host.
    pub(crate) fn is_spared(&mut self) {
        self.under_way
            .retain(|_, (_, due)| !matches!(due, Due::Happens(..)));
    }

    /// What goes on by itself on a host.
    pub(super) fn goes_on(&mut self, name: &HostName, due: Due) {
        match due {
            Due::Command(..) => unreachable!("a command takes place"),
            Due::Lost(call) => {
                let reason = "the connection is gone".to_owned();
                self.replies
                    .entry(call)
                    .or_insert(Err(CallError::OutcomeUnknown { reason }));
            }
            Due::Happens(what, change) => {
                change(self);
                self.seen(name, what);
            }
            Due::Committed(job, ..)
            | Due::Reverted(job, _)
            | Due::Started(job, ..)
            | Due::Kill(job, _)
            | Due::Hooked(job, ..)
            | Due::Drains(job, ..)
            | Due::Answer(job, _)
                if !self.lives_on(name, job.boot) =>
            {
                self.lose(name, job.call);
            }
            Due::Committed(job, commit) => self.committed(name, job, &commit),
            Due::Reverted(job, home) => self.reverted(name, job, &home),
            Due::Started(job, fence, identity) => self.has_started(name, job, &fence, identity),
            Due::Kill(job, stop) => self.kill(name, job, &stop),
            Due::Hooked(job, fence, key, fails) => self.hooked(name, job, &fence, &key, fails),
            Due::Drains(job, port, until) => {
                if let super::Effect::Answered(answer) = self.drains(name, job, port, until) {
                    self.reply(name, job.call, "drain", Ok(answer));
                }
            }
            Due::Answer(Job { call, .. }, answer) => self.reply(name, call, "answer", Ok(answer)),
            Due::Watch(boot, token) => self.watch_fires(name, boot, token),
            Due::Timer(boot, id) => self.timer_comes(name, boot, id),
            Due::TimerEnds(boot, id) => self.timer_ends(name, boot, &id),
            Due::GoesHome(boot, token) => self.watch_goes_home(name, boot, token),
            Due::Restored(boot, token) => self.watch_restored(name, boot, token),
        }
    }

    pub(super) fn lives_on(&self, name: &HostName, boot: u32) -> bool {
        let host = &self.hosts[name];
        host.is_up && host.clock.boot == boot
    }

    fn watch_fires(&mut self, name: &HostName, boot: u32, token: nonstop::model::token::TokenId) {
        if !self.lives_on(name, boot) {
            return;
        }
        let host = self.at(name);
        let epoch = host.lock.epoch;
        if host.has(super::Flaw::WatchObeysEpoch) && epoch != token.epoch {
            return;
        }
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let Some(there) = nginx.tokens.get_mut(&token) else {
            return;
        };
        let Some(fired) = there.state.after(TokenMove::Fire) else {
            return;
        };
        there.state = fired;
        host.audits(token.run.as_str(), "watch", "fired");
        self.seen(name, "watch: fired");
        self.queue(Instant::now(), name, Due::GoesHome(boot, token));
    }

    fn watch_goes_home(&mut self, name: &HostName, boot: u32, token: nonstop::model::token::TokenId) {
        if !self.lives_on(name, boot) {
            return;
        }
        let host = self.at(name);
        let is_full = host.disk_is_full;
        let nginx = host.nginx.as_mut().expect("an nginx host");
        // A later token was armed while it waited for its turn: what is there now is not its own.
        let newest = nginx.tokens.keys().max_by_key(|id| (id.epoch, id.number));
        let is_armed = |token: &super::nginx::SimToken| token.state == TokenState::Armed;
        if newest != Some(&token) || nginx.tokens.values().any(is_armed) {
            return;
        }
        if is_full {
            self.watch_tries_again(name, boot, token);
            return;
        }
        if nginx.go_home(&token.run).is_err() {
            nginx.gives_up(&token);
            return;
        }
        host.busy_until = Some(Instant::now() + RELOAD);
        self.queue(Instant::now() + RELOAD, name, Due::Restored(boot, token));
    }

    /// A watch pauses longer from one attempt to the next, and gives up after some.
    fn watch_tries_again(&mut self, name: &HostName, boot: u32, token: nonstop::model::token::TokenId) {
        let nginx = self.at(name).nginx.as_mut().expect("an nginx host");
        let Some(there) = nginx.tokens.get_mut(&token) else {
            return;
        };
        there.attempts += 1;
        let pause = Duration::from_secs(2) * there.attempts;
        if there.attempts < ATTEMPTS {
            self.queue(Instant::now() + pause, name, Due::GoesHome(boot, token));
        } else {
            nginx.gives_up(&token);
        }
    }

    fn watch_restored(&mut self, name: &HostName, boot: u32, token: nonstop::model::token::TokenId) {
        if !self.lives_on(name, boot) {
            return;
        }
        let host = self.at(name);
        let trusts = host.has(super::Flaw::TrustsReload);
        let nginx = host.nginx.as_mut().expect("an nginx host");
        let proven = nginx.comes_home(&token.run) || trusts;
        if let Some(token) = nginx.tokens.get_mut(&token).filter(|_| proven) {
            token.restored = true;
        }
        let result = if proven { "restored" } else { "unproven" };
        host.audits(token.run.as_str(), "watch", result);
        if !proven {
            self.watch_tries_again(name, boot, token);
        }
        self.seen(name, &format!("watch: {result}"));
    }
}

//! The end of a story: the weather clears up, and whoever comes now must find a fleet that can be mended, without
//! the host that is gone first, and then with it.

use std::time::Duration;

use nonstop::engine::run::Verdict;
use nonstop::model::names::{HostName, Port};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::plan::{interrupted, waiting};
use tokio::time::sleep;

use crate::fleet;
use crate::judge;
use crate::stage::{ActEnd, Stage};
use crate::story::{Act, Fate, Leaves, What};
use crate::twist::{Beginning, How, Slots};

impl Stage {
    /// The end, after the last act.
    pub(crate) async fn ends(&self, last: Option<ActEnd>) {
        self.tell("the weather clears up");
        self.looks.set(true);
        let gone = self.gone.clone().filter(|gone| self.is_gone(gone));
        fleet::calms_down(&mut self.world.borrow_mut(), gone.as_ref());
        self.rests().await;
        self.looks_at_rest(last.and_then(|end| end.verdict));
        if let Some(gone) = gone {
            let brought = self.goes_on_without(&gone).await;
            self.tell(&format!("{gone} is back"));
            fleet::calms_down(&mut self.world.borrow_mut(), None);
            self.rests().await;
            let is_behind = self.world.borrow().observed().behind().contains_key(&gone);
            if brought && !is_behind {
                self.broken(format!("{gone} was left out, and is not said to be behind"));
            }
        }
        self.goes_on_with_all().await;
    }

    async fn rests(&self) {
        sleep(Duration::from_secs(self.story.lease + self.story.watch + 70)).await;
    }

    fn is_gone(&self, host: &HostName) -> bool {
        let world = self.world.borrow();
        !world.hosts[host].is_up || world.cut_until(host).is_some()
    }

    /// Long after every deadline, with nobody at work.
    fn looks_at_rest(&self, verdict: Option<Verdict>) {
        let world = self.world.borrow();
        let now = judge::routes(&world);
        let split = judge::uniform(&now).is_none();
        self.tell(&format!("at rest: {now:?}"));
        let waits = judge::watch_that_waits(&world);
        let unedited = judge::unedited(&world, now.clone());
        let is_apart = self.story.twists.start == Beginning::Apart;
        let unnamed = judge::uniform(&unedited).is_none()
            && !unedited.is_empty()
            && !judge::split_is_named(&world)
            && !is_apart;
        // Whoever is left out was perhaps the first one.
        let two_firsts = judge::first_on_two(&world, &self.config.playbook);
        let two_firsts = two_firsts.filter(|_| self.gone.is_none());
        drop(world);
        if let Some(broken) = two_firsts {
            self.broken(broken);
        }
        if let Some(waits) = waits {
            self.broken(format!("long after every deadline {waits}"));
        }
        if unnamed {
            self.broken(format!(
                "at rest nginx hosts disagree, and the design does not name why: {now:?}"
            ));
        }
        let promises = |verdict: &Verdict| {
            matches!(verdict.outcome, Outcome::Deployed | Outcome::RolledBack) && verdict.exit != Exit::Mixed
        };
        if split && !is_apart && verdict.as_ref().is_some_and(promises) {
            self.broken(format!(
                "the last verdict was {verdict:?}, and at rest nginx hosts disagree: {now:?}"
            ));
        }
    }

    /// A host is gone for good, and everything else is well: whoever leaves it out can do everything. Returns whether
    /// a release was brought.
    async fn goes_on_without(&self, gone: &HostName) -> bool {
        self.faultless("gone-1", What::Resume, Leaves::TheGone, Some(gone))
            .await;
        self.converges("gone-2", Leaves::TheGone, Some(gone)).await;
        self.settles("gone-w", Leaves::TheGone, Some(gone)).await;
        let exit = self.faultless("gone-3", What::Deploy(98), Leaves::TheGone, Some(gone));
        let brought = exit.await == Some(Exit::Done);
        self.settles("gone-x", Leaves::TheGone, Some(gone)).await;
        brought
    }

    async fn goes_on_with_all(&self) {
        // An nginx host that comes back serves what it served; the processes of a WAS host are gone.
        let spared = self.gone.as_ref().filter(|gone| {
            let was_dead = self.story.twists.gone.is_some_and(|gone| gone.how == How::Dead);
            let world = self.world.borrow();
            !was_dead || world.hosts[*gone].ports.is_empty()
        });
        let unfinished = {
            let observed = self.world.borrow().observed();
            let record = interrupted(&observed).or_else(|| waiting(&observed));
            record.map(|record| record.without.clone()).unwrap_or_default()
        };
        // A run that left a host out is finished without it.
        if self.gone.as_ref().is_some_and(|gone| unfinished.contains(gone)) {
            self.faultless("last-0", What::Resume, Leaves::TheGone, spared)
                .await;
            self.settles("last-v", Leaves::TheGone, spared).await;
        }
        self.settles("last-w", Leaves::Nobody, spared).await;
        self.faultless("last-1", self.story.last, Leaves::Nobody, spared)
            .await;
        self.settles("last-x", Leaves::Nobody, spared).await;
        self.faultless("last-2", What::Resume, Leaves::Nobody, spared)
            .await;
        self.settles("last-y", Leaves::Nobody, spared).await;
        self.converges("last-3", Leaves::Nobody, spared).await;
        self.faultless("last-4", What::Deploy(99), Leaves::Nobody, spared)
            .await;
        self.settles("last-z", Leaves::Nobody, spared).await;
    }

    /// A person says how a run goes on that waits; takes it back where it cannot go on.
    async fn settles(&self, name: &str, leaves: Leaves, spared: Option<&HostName>) {
        let steps = [
            ("1", What::Promote),
            ("2", What::PromoteFull),
            ("3", What::Rollback),
        ];
        let forward = self.story.last != What::Rollback;
        for (step, what) in steps.into_iter().skip(usize::from(!forward) * 2) {
            if self.waits_for(leaves).is_none() {
                return;
            }
            self.faultless(&format!("{name}-{step}"), what, leaves, spared)
                .await;
        }
    }

    /// Leads nginx hosts that still disagree to the slot that is up.
    async fn converges(&self, name: &str, leaves: Leaves, spared: Option<&HostName>) {
        let slot = {
            let world = self.world.borrow();
            let mut routes = judge::all_routes(&world);
            if leaves == Leaves::TheGone {
                routes = judge::routes(&world);
            }
            if judge::uniform(&routes).is_some() {
                return;
            }
            let asked = |name: &HostName| leaves == Leaves::Nobody || Some(name) != self.gone.as_ref();
            let is_up = |slot: &u64| {
                let port = Port::new(if *slot == 0 { 8080 } else { 8081 }).unwrap();
                let mut was = world
                    .hosts
                    .iter()
                    .filter(|(name, host)| asked(name) && host.ports.values().any(|own| *own == port));
                was.all(|(_, host)| host.listener(port).is_some())
            };
            let slots = if self.story.twists.slots == Slots::Single {
                1
            } else {
                2
            };
            (0..slots).find(is_up)
        };
        if let Some(slot) = slot {
            self.faultless(name, What::Converge(slot), leaves, spared).await;
        }
    }

    /// An act on a fleet without faults: it has to go well, but for what earlier faults have left. What befell one
    /// host may be no excuse.
    async fn faultless(
        &self,
        name: &str,
        what: What,
        leaves: Leaves,
        spared: Option<&HostName>,
    ) -> Option<Exit> {
        let act = Act {
            after: Duration::ZERO,
            what,
            fate: Fate::Lives,
            lock_wait: Duration::ZERO,
            leaves,
        };
        // A slot that was left a moment ago still has requests, and is not put to use before they are answered.
        sleep(self.story.twists.requests_last).await;
        let left_out = self.gone.as_ref().filter(|_| leaves == Leaves::TheGone);
        let (disagree, is_excused) = {
            let world = self.world.borrow();
            let routes = judge::all_routes(&world);
            // Between its slots a run is taken back first, as hosts that disagree are led together.
            let disagree = judge::uniform(&routes).is_none_or(judge::is_between);
            // A first release that is sick on one host has no home, and is held.
            let spared = spared.filter(|_| self.story.is_live);
            // Requests that are left at the drain's deadline keep the only instance of their host.
            let drains = self.story.twists.drain();
            let is_excused = judge::was_struck(&world, spared) || self.story.has_edits() || !drains;
            (disagree, is_excused)
        };
        let end = self.act(name, act).await;
        self.judge(&end, true);
        let exit = end.verdict.map(|verdict| verdict.exit);
        let may_refuse = what == What::Rollback || disagree && matches!(what, What::Deploy(_));
        // One that went on with another run before it was refused has moved traffic, and says so.
        let moved =
            |verdict: Verdict| verdict.exit == Exit::Mixed && (disagree || verdict.outcome != Outcome::Mixed);
        let is_refused = may_refuse && (exit == Some(Exit::Refused) || end.verdict.is_some_and(moved));
        // A run that leads hosts together and is taken back leaves them as apart as they were, and is over.
        let is_apart = disagree
            && what == What::Resume
            && end
                .verdict
                .is_some_and(|verdict| verdict.outcome == Outcome::Mixed)
            && judge::is_closed(&self.world.borrow(), left_out).is_ok();
        // The hour came before it did.
        let promotes = matches!(what, What::Promote | What::PromoteFull);
        let is_over = promotes && exit == Some(Exit::Refused) && self.waits().is_none();
        let is_refused = is_refused || is_apart || is_over;
        if exit != Some(Exit::Done) && !is_refused && !is_excused {
            self.broken(format!(
                "{what:?} on a fleet without faults ended with {:?}",
                end.verdict
            ));
        }
        if exit == Some(Exit::Done) {
            self.is_whole(&end, left_out);
        }
        exit
    }

    /// After a faultless end nothing is left open.
    fn is_whole(&self, end: &ActEnd, left_out: Option<&HostName>) {
        let what = end.act.what;
        let closed = judge::is_closed(&self.world.borrow(), left_out);
        if let Err(broken) = closed {
            self.broken(format!("a run ended with 0, and {broken}"));
        }
        let runs = judge::hook_that_runs(&self.world.borrow());
        if let Some(runs) = runs {
            self.broken(format!("a run ended with 0, and {runs}"));
        }
        let one_release = judge::is_one_release(&self.world.borrow(), left_out);
        // Where nothing was to be done, a host that was left out is still out.
        let moved = end
            .verdict
            .is_some_and(|verdict| verdict.outcome != Outcome::AsItWas);
        if let Some(broken) = one_release.err().filter(|_| moved) {
            self.broken(format!("{what:?} ended with 0, and {broken}"));
        }
        let orphan = judge::orphan(&self.world.borrow());
        if let Some(orphan) = orphan.filter(|_| self.gone.is_none()) {
            self.broken(format!("a run ended with 0, and {orphan}"));
        }
        let now = judge::routes(&self.world.borrow());
        // Hosts that disagreed before there was any run are not what resume is for.
        let may_disagree = what == What::Resume && self.story.twists.start == Beginning::Apart;
        if judge::uniform(&now).is_none() && !may_disagree {
            self.broken(format!("a run ended with 0, and nginx hosts disagree: {now:?}"));
        }
    }
}

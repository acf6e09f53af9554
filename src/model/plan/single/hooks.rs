//! Where the playbook's hooks stand in the legs of a run with a single slot. A WAS host has those of its turn when it
//! leaves and comes back; what is not about one host runs once in the run, in the first turn, and after the last switch. Each is known
//! by the run as a whole, so that no leg runs again what is on record.

use std::collections::BTreeSet;

use crate::model::hook::HookPoint;
use crate::model::names::{HostName, RunId};
use crate::model::plan::forward::Scene;
use crate::model::plan::hooks::{self, About, Turn};
use crate::model::plan::step::Stage;

use super::way::Way;

/// What the hooks of a way forward are planned from.
#[derive(Debug, Clone, Copy)]
pub struct Hooked<'a> {
    /// The run that the legs are a part of.
    pub run: &'a RunId,
    /// The hosts that have come in with its release.
    pub came: &'a BTreeSet<HostName>,
}

/// Which hooks stand in a plan of several legs already.
#[derive(Debug, Default)]
pub(super) struct Passed {
    points: BTreeSet<HookPoint>,
    /// The hosts that have come in.
    came: BTreeSet<HostName>,
    /// Those of them that came in with the last leg.
    latest: Vec<HostName>,
}

impl Passed {
    /// A leg is written down with which these come in.
    pub(super) fn came(&mut self, hosts: &[&HostName]) {
        self.latest.extend(hosts.iter().copied().cloned());
        self.came.extend(self.latest.iter().cloned());
    }
}

impl Way<'_> {
    fn hooks(
        &self,
        point: HookPoint,
        (was, first): (&[&HostName], Option<&HostName>),
        turn: Turn,
    ) -> Vec<Stage> {
        let Some(Hooked { run, .. }) = self.hooked else {
            return Vec::new();
        };
        let scene = Scene { run, ..*self.scene };
        let decision = self.bound.decision();
        let about = About::from(&decision);
        let about = About {
            from: about.from.filter(|_| !self.live.routed().is_empty()),
            ..about
        };
        hooks::stages(&scene, point, about, (was, first), turn)
    }

    /// The hooks before or after the jar is laid, for every host that takes part.
    pub(super) fn around_install(&self, point: HookPoint) -> Vec<Stage> {
        let was: Vec<&HostName> = self.places.iter().map(|place| &place.endpoint.host).collect();
        self.hooks(point, (&was, was.first().copied()), Turn::OfRun)
    }

    /// The hooks of a point that hosts of a leg pass.
    pub(super) fn of_leg(&self, point: HookPoint, was: &[&HostName], passed: &mut Passed) -> Vec<Stage> {
        if was.is_empty() {
            return Vec::new();
        }
        let turn = if passed.points.insert(point) {
            Turn::OfRun
        } else {
            Turn::OfHosts
        };
        let first = was.first().copied().filter(|_| turn == Turn::OfRun);
        self.hooks(point, (was, first), turn)
    }

    /// The hooks of hosts that came in with a leg before, as far as they are not done.
    pub(super) fn still_due(&self) -> Vec<Stage> {
        self.since_the_last(&mut self.came())
    }

    /// The same of those that came in with the last leg.
    pub(super) fn since_the_last(&self, passed: &mut Passed) -> Vec<Stage> {
        let latest = std::mem::take(&mut passed.latest);
        let was: Vec<&HostName> = latest.iter().collect();
        if was.is_empty() {
            return Vec::new();
        }
        self.hooks(HookPoint::AfterAllowTraffic, (&was, None), Turn::OfHosts)
    }

    /// The hooks after the last switch: those of the hosts that came in with it, and those of the run.
    pub(super) fn at_the_end(&self, passed: &Passed) -> Vec<Stage> {
        if passed.came.is_empty() {
            return Vec::new();
        }
        let was: Vec<&HostName> = passed.latest.iter().collect();
        let hosts = (was.as_slice(), passed.came.first());
        self.hooks(HookPoint::AfterAllowTraffic, hosts, Turn::OfRun)
    }

    /// The hosts that have come in by now, as if all of them had with the last leg: which hooks are done is on record.
    pub(super) fn came(&self) -> Passed {
        let is_here = |host: &&HostName| self.scene.topology.was.contains_key(*host);
        let hosts = self.hooked.map(|hooked| hooked.came.iter().filter(is_here));
        let mut passed = Passed::default();
        passed.came(&hosts.into_iter().flatten().collect::<Vec<_>>());
        passed
    }
}

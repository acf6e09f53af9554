//! The legs of a run with a single slot, written down: their routings, stages and switches.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookPoint;
use crate::model::journey::Rolling;
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::plan::between;
use crate::model::plan::forward::Scene;
use crate::model::plan::history;
use crate::model::plan::stages::{self, each, in_order, on};
use crate::model::plan::step::{HostStep, Plan, Stage, Step, Switch};
use crate::model::plan::switch;
use crate::model::plan::window::Bake;
use crate::model::process::StopTarget;
use crate::model::routing::Routing;
use crate::model::strategy::single::{Leg, LegKind, Pace, Place, Runs};
use crate::model::strategy::{Course, Hold};

use super::hooks::{Hooked, Passed};
use super::{Bound, Jar, NextLeg};

/// Everything that the legs are planned from.
pub(super) struct Way<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) bound: &'a Bound,
    pub(super) live: &'a Live,
    jar: Jar,
    pub(super) hooked: Option<Hooked<'a>>,
    pub(super) places: Vec<Place>,
    /// What nginx routes to besides.
    pub(super) others: BTreeSet<Endpoint>,
    pub(super) pace: Pace,
}

impl<'a> Way<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, bound: &'a Bound, live: &'a Live, jar: Jar) -> Self {
        let routed = live.routed();
        let all = scene.topology.endpoints(&bound.slot);
        let pace = Pace::of(&scene.playbook.update.course.strategy, all.len());
        let look_at = |endpoint: Endpoint| {
            let seen = scene.slot_at(&endpoint, &bound.slot);
            let runs = match seen {
                Some(seen) if seen.listener.is_none() => Runs::Nothing,
                Some(seen) if seen.release() == Some(&bound.release.id) => Runs::Wanted,
                Some(_) => Runs::Other,
                None => Runs::Nothing,
            };
            let is_routed = routed.contains(&endpoint);
            Place {
                endpoint,
                is_routed,
                runs,
            }
        };
        // A host that is no part of it, and has not got the release, stays out of the way.
        let takes_part = |place: &Place| {
            let has_it = jar == Jar::Laid || place.runs == Runs::Wanted || has(scene, bound, place);
            has_it || !bound.apart.contains(&place.endpoint.host)
        };
        let places: Vec<_> = all.into_iter().map(look_at).filter(takes_part).collect();
        let is_place = |endpoint: &Endpoint| places.iter().any(|place| place.endpoint == *endpoint);
        Self {
            scene,
            bound,
            live,
            jar,
            hooked: None,
            others: routed.into_iter().filter(|it| !is_place(it)).cloned().collect(),
            places,
            pace,
        }
    }

    /// The same with the hooks of a way forward.
    pub(super) fn hooked(self, hooked: Option<Hooked<'a>>) -> Self {
        Self { hooked, ..self }
    }

    /// Hosts that have to start the release, and lack it.
    pub(super) fn lacking(&self) -> Vec<Finding> {
        let lacks = |place: &&Place| place.runs != Runs::Wanted && !has(self.scene, self.bound, place);
        let places = self.places.iter().filter(|_| self.jar == Jar::There);
        let finding = |place: &Place| {
            let release = self.bound.release.id.clone();
            Finding::refusal(Some(&place.endpoint.host), Problem::ReleaseMissing { release })
        };
        places.filter(lacks).map(finding).collect()
    }

    /// Those of them that speak against a leg: nobody leaves while one lacks it, and nobody comes in that does.
    pub(super) fn missing(&self, leg: &Leg) -> Vec<Finding> {
        let mut lacking = self.lacking();
        if let LegKind::In(comes) = &leg.kind {
            let comes = |host: &HostName| comes.iter().any(|endpoint| endpoint.host == *host);
            lacking.retain(|finding| finding.host.as_ref().is_some_and(comes));
        }
        lacking
    }

    /// Processes of somebody else where the application has to start.
    pub(super) fn strangers(&self, findings: &mut Vec<Finding>) {
        let slot = &self.bound.slot;
        for place in self.places.iter().filter(|place| !place.is_routed) {
            let Some(seen) = self.scene.slot_at(&place.endpoint, slot) else {
                continue;
            };
            let is_ours = history::is_ours(self.scene, &place.endpoint, slot) || seen.left_behind_listens();
            if let Some(listener) = seen.listener.as_ref().filter(|_| !is_ours) {
                let problem = Problem::ForeignProcess {
                    endpoint: place.endpoint.clone(),
                    command: listener.command.clone(),
                };
                findings.push(Finding::refusal(Some(&place.endpoint.host), problem));
            }
        }
    }

    /// What a person should know before it begins.
    pub(super) fn foretell(&self, legs: &[Leg], findings: &mut Vec<Finding>) {
        let leaves = |leg: &Leg| matches!(&leg.kind, LegKind::Out(leaves) if !leaves.is_empty());
        let routed = self.places.iter().filter(|place| place.is_routed);
        for place in routed.filter(|place| place.runs == Runs::Nothing) {
            let endpoint = place.endpoint.clone();
            let host = endpoint.host.clone();
            findings.push(Finding::warning(
                Some(&host),
                Problem::LiveInstanceDown { endpoint },
            ));
        }
        if !legs.iter().any(leaves) {
            return;
        }
        let what = Rolling::Ahead {
            release: self.bound.release.id.clone(),
            least: self.least_serving(legs),
            hosts: self.places.len(),
        };
        findings.push(Finding::warning(None, Problem::Rolling { what }));
        if self.bound.from_release.is_none() {
            let what = Rolling::NoWayBack;
            findings.push(Finding::warning(None, Problem::Rolling { what }));
        }
    }

    /// How many hosts serve at least, from the first leg to the last.
    fn least_serving(&self, legs: &[Leg]) -> usize {
        let up = self.places.iter().filter(|place| place.runs != Runs::Nothing);
        let mut up: BTreeSet<_> = up.map(|place| &place.endpoint).collect();
        let serving = legs.iter().map(|leg| {
            if let LegKind::In(comes) = &leg.kind {
                up.extend(comes);
            }
            leg.routed.iter().filter(|endpoint| up.contains(endpoint)).count()
        });
        serving.min().unwrap_or_default()
    }

    /// The instances that nginx is told of, where these hosts run the wanted release.
    fn routing(&self, routed: &BTreeSet<Endpoint>, wanted: &BTreeSet<Endpoint>) -> Routing {
        let runs = |endpoint: &Endpoint| {
            let seen = self.scene.slot_at(endpoint, &self.bound.slot);
            seen.and_then(|seen| seen.release()).cloned()
        };
        let of_bound = |endpoint: &Endpoint| {
            let is_wanted = wanted.contains(endpoint);
            is_wanted.then(|| self.bound.release.id.clone())
        };
        Routing::even(routed.iter().map(|endpoint| Instance {
            release: of_bound(endpoint).or_else(|| runs(endpoint)),
            endpoint: endpoint.clone(),
        }))
    }

    fn now(&self) -> Routing {
        let routed = self.live.routed().into_iter().cloned().collect();
        self.routing(&routed, &self.up())
    }

    /// Who runs the wanted release already.
    fn up(&self) -> BTreeSet<Endpoint> {
        let up = self.places.iter().filter(|place| place.runs == Runs::Wanted);
        up.map(|place| place.endpoint.clone()).collect()
    }

    /// The plan of one leg.
    pub(super) fn one(&self, leg: &Leg, findings: &mut Vec<Finding>) -> Plan {
        let mut up = self.up();
        let mut passed = Passed::default();
        let (routing, stages, _) = self.leg(leg, &mut up, &BTreeMap::new(), &mut passed, findings);
        let stages = [self.still_due(), self.laid(), stages].concat();
        self.plan(vec![self.now(), routing], Course::default(), stages)
    }

    /// The jar, and what stands around it. Whoever goes on with a run finds on record what of that is done.
    fn laid(&self) -> Vec<Stage> {
        let lays = match self.jar {
            Jar::Laid => stages::uploads(self.scene, &self.bound.decision()),
            Jar::There => Vec::new(),
        };
        [
            self.around_install(HookPoint::BeforeInstall),
            in_order([(Phase::Upload, lays)]),
            self.around_install(HookPoint::AfterInstall),
        ]
        .concat()
    }

    /// The plan of what is left when every host is there.
    pub(super) fn arrived(&self) -> Plan {
        let stages = [self.at_the_end(&self.came()), self.last()].concat();
        self.plan(vec![self.now(); 2], Course::default(), stages)
    }

    /// The plan of all legs, as far as it can be written down.
    pub(super) fn all(&self, legs: &[Leg], findings: &mut Vec<Finding>) -> Plan {
        let mut stages = self.laid();
        let mut routings = vec![self.now()];
        let mut up = self.up();
        let mut before = BTreeMap::new();
        let mut passed = Passed::default();
        for leg in legs {
            stages.extend(self.since_the_last(&mut passed));
            let (routing, more, switches) = self.leg(leg, &mut up, &before, &mut passed, findings);
            routings.push(routing);
            stages.extend(more);
            before = switches;
        }
        stages.extend(self.at_the_end(&passed));
        stages.extend(self.last());
        let course = self.scene.playbook.update.course.clone();
        self.plan(routings, course, stages)
    }

    fn plan(&self, routings: Vec<Routing>, course: Course, stages: Vec<Stage>) -> Plan {
        let from = (!self.live.routed().is_empty()).then(|| self.bound.slot.clone());
        Plan {
            from,
            to: self.bound.slot.clone(),
            from_release: self.bound.from_release.clone(),
            release: self.bound.release.clone(),
            holds: vec![Hold::None; routings.len()],
            routings,
            course,
            stages,
            warnings: Vec::new(),
        }
    }

    /// A leg's routing, stages and switches; `up` are the hosts that run the wanted release, before and after.
    fn leg(
        &self,
        leg: &Leg,
        up: &mut BTreeSet<Endpoint>,
        before: &BTreeMap<HostName, Switch>,
        passed: &mut Passed,
        findings: &mut Vec<Finding>,
    ) -> (Routing, Vec<Stage>, BTreeMap<HostName, Switch>) {
        let decision = self.bound.decision();
        let comes = match &leg.kind {
            LegKind::In(comes) => comes.clone(),
            LegKind::Out(_) => BTreeSet::new(),
        };
        let fresh: BTreeSet<_> = comes.difference(up).cloned().collect();
        up.extend(comes.iter().cloned());
        let vacated = self.vacated(&fresh);
        let starts = between::starts(self.scene, &decision, &fresh, findings);
        // Who comes in has to prove itself, whoever started it; who is in service keeps nobody out.
        let verify = between::verify(self.scene, &comes, &comes);
        let routing = self.routing(&leg.routed, up);
        let to = switch::Target {
            number: 1,
            slot: &self.bound.slot,
            release: &self.bound.release,
            routing: &routing,
        };
        let switches = between::next(self.scene, self.live, before, to, findings);
        // What was left of a start of the wanted release is no old instance.
        let is_old = |on: &&HostStep| match &on.step {
            Step::Vacate { target, release, .. } => {
                let runs = matches!(target, StopTarget::Process(_));
                runs && release.as_ref() != Some(&self.bound.release.id)
            }
            _ => false,
        };
        let ends = vacated.iter().filter(is_old).map(|on| &on.host);
        let ends: Vec<&HostName> = ends.collect();
        let before_stop = self.of_leg(HookPoint::BeforeStop, &ends, passed);
        let come: Vec<&HostName> = comes.iter().map(|endpoint| &endpoint.host).collect();
        let mut hooked = |point| self.of_leg(point, &come, passed);
        let stages = [
            in_order([(Phase::Drain, self.drains(&vacated))]),
            before_stop,
            in_order([(Phase::Retire, vacated), (Phase::Start, starts)]),
            hooked(HookPoint::ApplicationStart),
            in_order([(Phase::Verify, verify)]),
            hooked(HookPoint::ValidateService),
            in_order([(Phase::Prepare, each(&switches, Step::Prepare))]),
            hooked(HookPoint::BeforeAllowTraffic),
            in_order([(Phase::Commit, each(&switches, Step::Commit))]),
        ]
        .concat();
        passed.came(&come);
        (routing, stages, switches)
    }

    /// What ends on hosts before the wanted release is started there.
    fn vacated(&self, fresh: &BTreeSet<Endpoint>) -> Vec<HostStep> {
        let slot = &self.bound.slot;
        let step = |endpoint: &Endpoint| {
            let seen = self.scene.slot_at(endpoint, slot)?;
            let vacate = Step::Vacate {
                slot: slot.clone(),
                port: endpoint.port,
                target: seen.stop_target()?,
                release: seen.release().cloned(),
            };
            Some(on(&endpoint.host, vacate))
        };
        fresh.iter().filter_map(step).collect()
    }

    fn drains(&self, vacated: &[HostStep]) -> Vec<HostStep> {
        if vacated.is_empty() {
            return Vec::new();
        }
        let workers = |host: &HostName| {
            let master = self.scene.nginx(host)?.master.as_ref()?.identity.clone();
            Some(on(host, Step::DrainWorkers { master }))
        };
        let connections = vacated.iter().filter_map(|on_host| match &on_host.step {
            Step::Vacate { slot, port, .. } => {
                let (slot, port) = (slot.clone(), *port);
                Some(on(&on_host.host, Step::DrainConnections { slot, port }))
            }
            _ => None,
        });
        let nginx = self.scene.topology.nginx.keys().filter_map(workers);
        nginx.chain(connections).collect()
    }

    /// What follows the last leg.
    fn last(&self) -> Vec<Stage> {
        let decision = self.bound.decision();
        let mut protected = BTreeSet::from([self.bound.release.id.clone()]);
        protected.extend(self.bound.from_release.clone());
        let keep = self.scene.playbook.release.keep;
        let prune = |host: &HostName| {
            let protected = protected.clone();
            on(host, Step::FinishWas { keep, protected })
        };
        let mut finish: Vec<_> = self.scene.topology.was.keys().map(prune).collect();
        finish.extend(stages::finish_nginx(self.scene, self.live));
        in_order([
            (Phase::Bake, stages::bake(self.scene, &decision, Bake::Ahead)),
            (Phase::Finish, finish),
        ])
    }

    pub(super) fn next_leg(&self, leg: &Leg, plan: Plan) -> NextLeg {
        let left_out = self.scene.topology.left_out();
        let serves = |endpoint: &Endpoint| {
            let seen = self.scene.slot_at(endpoint, &self.bound.slot);
            seen.is_some_and(|seen| seen.listener.is_some()) || left_out.contains(&endpoint.host)
        };
        // Who is no part of it leaves with the others, and who is left out may serve.
        let before = self.live.routed().into_iter();
        let leaving = before
            .filter(|it| !leg.routed.contains(it) && serves(it))
            .cloned();
        let leaving = match &leg.kind {
            LegKind::Out(_) => leaving.collect(),
            LegKind::In(_) => Vec::new(),
        };
        let routed = self.places.iter().filter(|place| place.is_routed);
        let stays = routed.filter(|place| leg.routed.contains(&place.endpoint));
        NextLeg {
            plan,
            leaving,
            staying: stays.map(|place| place.endpoint.clone()).collect(),
            least: self.pace.least,
        }
    }
}

/// Whether the host of a place has the release.
fn has(scene: &Scene<'_>, bound: &Bound, place: &Place) -> bool {
    stages::recorded(scene, &place.endpoint.host, &bound.release.id).is_some()
}

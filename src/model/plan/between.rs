//! What leads from one routing to the next, for every routing that is still ahead: its new instances start
//! and get healthy, every nginx host is switched, and traffic stays there for as long as it should.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookPoint;
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::strategy::{Hold, Station};

use super::forward::{Decision, Scene, TargetSlot};
use super::hooks::{self, Turn};
use super::stages::{each, in_order, on, views};
use super::step::{HostStep, Stage, Step, Switch, Viewed};
use super::switch::{self, Target};
use super::{history, start};

/// The way that is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead<'a> {
    /// Every routing of the run, the one before it included.
    pub(super) stations: &'a [Station],
    /// The routing that nginx has now, counted from the one before the run.
    pub(super) reached: usize,
}

impl Ahead<'_> {
    fn routed(&self, scene: &Scene<'_>, decision: &Decision, number: usize) -> BTreeSet<Endpoint> {
        let endpoints = self.stations.get(number).into_iter();
        let endpoints = endpoints.flat_map(|station| station.routing.endpoints());
        let is_new = |endpoint: &&Endpoint| scene.topology.slot_of(endpoint) == Some(&decision.to);
        endpoints.filter(is_new).cloned().collect()
    }
}

/// The stages, or everything that keeps one from being written down.
pub(super) fn stages(
    scene: &Scene<'_>,
    decision: &Decision,
    live: &Live,
    ahead: Ahead<'_>,
) -> Result<Vec<Stage>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut stages = Vec::new();
    let mut switches: BTreeMap<HostName, Switch> = BTreeMap::new();
    for (number, station) in ahead.stations.iter().enumerate().skip(ahead.reached + 1) {
        let one = Onward {
            scene,
            decision,
            ahead,
            number,
        };
        let starts = starts(scene, decision, &one.fresh(), &mut findings);
        let to = Target {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            slot: &decision.to,
            release: &decision.release,
            routing: &station.routing,
        };
        switches = next(scene, live, &switches, to, &mut findings);
        stages.extend(one.stages(starts, &switches));
    }
    if findings.is_empty() {
        Ok(stages)
    } else {
        Err(findings)
    }
}

/// One routing that is ahead.
struct Onward<'a> {
    scene: &'a Scene<'a>,
    decision: &'a Decision,
    ahead: Ahead<'a>,
    number: usize,
}

impl Onward<'_> {
    fn routed(&self, number: usize) -> BTreeSet<Endpoint> {
        self.ahead.routed(self.scene, self.decision, number)
    }

    /// The new instances that are not up by then.
    fn fresh(&self) -> BTreeSet<Endpoint> {
        let begun = (self.number > self.ahead.reached + 1).then(|| self.routed(self.number - 1));
        let is_fresh = |endpoint: &Endpoint| match &begun {
            Some(begun) if begun.contains(endpoint) => false,
            _ => !is_up(self.scene, self.decision, endpoint),
        };
        let new = self.routed(self.number).into_iter();
        new.filter(is_fresh).collect()
    }

    fn stages(&self, starts: Vec<HostStep>, switches: &BTreeMap<HostName, Switch>) -> Vec<Stage> {
        let (scene, decision, number) = (self.scene, self.decision, self.number);
        let (new, before) = (self.routed(number), self.routed(number - 1));
        let holds = hold_steps(scene, self.ahead.stations[number - 1].hold, &before);
        let (first, later) = if number == 1 {
            (Vec::new(), holds)
        } else {
            (holds, Vec::new())
        };
        let added: BTreeSet<_> = new.difference(&before).cloned().collect();
        let hooked = |point| of_new(scene, decision, point, &added, number);
        let before_traffic = if number == 1 {
            hooks::once(scene, HookPoint::BeforeAllowTraffic, decision)
        } else {
            Vec::new()
        };
        let mut stages = in_order([(Phase::Hold, first), (Phase::Start, starts)]);
        stages.extend(hooked(HookPoint::ApplicationStart));
        stages.extend(in_order([(Phase::Verify, verify(scene, &new, &self.fresh()))]));
        stages.extend(hooked(HookPoint::ValidateService));
        stages.extend(in_order([
            // Before its first switch a run waits with everything ready.
            (Phase::Hold, later),
            (Phase::Prepare, each(switches, Step::Prepare)),
        ]));
        stages.extend(before_traffic);
        stages.extend(in_order([(Phase::Commit, each(switches, Step::Commit))]));
        stages
    }
}

/// The hooks of a point for the hosts that get their new instance with a routing, whether it is up by now or not:
/// whoever goes on with a run finds on record which of them ran.
fn of_new(
    scene: &Scene<'_>,
    decision: &Decision,
    point: HookPoint,
    new: &BTreeSet<Endpoint>,
    number: usize,
) -> Vec<Stage> {
    if decision.target == TargetSlot::Up || new.is_empty() {
        return Vec::new();
    }
    let all = scene.topology.hosts_of(&decision.to);
    let is_new = |host: &&HostName| new.iter().any(|endpoint| endpoint.host == **host);
    let was: Vec<&HostName> = all.iter().copied().filter(is_new).collect();
    let turn = if number == 1 { Turn::OfRun } else { Turn::OfHosts };
    let first = all.first().copied().filter(|host| was.contains(host));
    hooks::stages(scene, point, decision.into(), (&was, first), turn)
}

/// Whether an endpoint of the target slot runs the release already.
fn is_up(scene: &Scene<'_>, decision: &Decision, endpoint: &Endpoint) -> bool {
    match decision.target {
        TargetSlot::Idle => false,
        TargetSlot::Up => true,
        TargetSlot::Begun => {
            let seen = scene.slot_at(endpoint, &decision.to);
            let runs = seen.and_then(|seen| seen.release()) == Some(&decision.release.id);
            runs && history::is_ours(scene, endpoint, &decision.to)
        }
    }
}

pub(super) fn starts(
    scene: &Scene<'_>,
    decision: &Decision,
    fresh: &BTreeSet<Endpoint>,
    findings: &mut Vec<Finding>,
) -> Vec<HostStep> {
    let mut steps = Vec::new();
    for endpoint in fresh {
        match start::start(scene, &decision.to, &decision.release, endpoint) {
            Ok(step) => steps.push(on(&endpoint.host, step)),
            Err(reason) => {
                let problem = Problem::CannotRender { reason };
                findings.push(Finding::refusal(Some(&endpoint.host), problem));
            }
        }
    }
    steps
}

/// The switches to a routing: from what is there now, or from what the switches before will have put there.
pub(super) fn next(
    scene: &Scene<'_>,
    live: &Live,
    before: &BTreeMap<HostName, Switch>,
    to: Target<'_>,
    findings: &mut Vec<Finding>,
) -> BTreeMap<HostName, Switch> {
    let mut switches = BTreeMap::new();
    for (host, view) in &live.hosts {
        let switch = match before.get(host) {
            Some(before) => switch::after(scene, host, view, before, to),
            None => switch::switch(scene, host, view, to),
        };
        match switch {
            Ok(switch) => {
                switches.insert(host.clone(), switch);
            }
            // What speaks against one of them speaks against all.
            Err(finding) if findings.contains(&finding) => {}
            Err(finding) => findings.push(finding),
        }
    }
    switches
}

/// Every new endpoint is healthy from everywhere. Those that have been up all the while need no time to prove
/// themselves: where nothing is fresh one healthy answer is enough.
pub(super) fn verify(
    scene: &Scene<'_>,
    endpoints: &BTreeSet<Endpoint>,
    fresh: &BTreeSet<Endpoint>,
) -> Vec<HostStep> {
    let min_healthy_time = if fresh.is_empty() {
        Duration::ZERO
    } else {
        scene.playbook.health.min_healthy_time
    };
    let warms =
        |host: &HostName, viewed: &Viewed| viewed.endpoint.host == *host && fresh.contains(&viewed.endpoint);
    let endpoints: Vec<_> = endpoints.iter().cloned().collect();
    let step = |(host, endpoints): (HostName, Vec<Viewed>)| {
        let warm_up = scene.playbook.warmup.is_some() && endpoints.iter().any(|viewed| warms(&host, viewed));
        HostStep {
            host,
            step: Step::Verify {
                endpoints,
                min_healthy_time,
                warm_up,
            },
        }
    };
    let views = views(scene, &endpoints).into_iter();
    let seen = views
        .filter(|(host, _)| scene.topology.was.contains_key(host) || !planted(Defect::VerifyFromOwnHostOnly));
    seen.map(step).collect()
}

fn hold_steps(scene: &Scene<'_>, hold: Hold, endpoints: &BTreeSet<Endpoint>) -> Vec<HostStep> {
    let endpoints: Vec<_> = endpoints.iter().cloned().collect();
    match hold {
        Hold::None => Vec::new(),
        Hold::For { .. } => {
            let step = |(host, endpoints)| {
                let duration = hold.duration();
                let step = Step::Hold { endpoints, duration };
                HostStep { host, step }
            };
            views(scene, &endpoints).into_iter().map(step).collect()
        }
        Hold::UntilPromoted => {
            let hosts = scene.topology.hosts().into_iter();
            hosts.map(|host| on(host, Step::AwaitPromotion)).collect()
        }
    }
}

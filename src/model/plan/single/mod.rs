//! A single slot: the legs of a run, each from what is true when it begins. `forward` writes down all of them for
//! `plan`; the engine asks for one after another.

mod hooks;
mod out;
mod way;

use std::collections::BTreeSet;

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::journey::{Heading, Journey, Rolling};
use crate::model::live::{self, Live};
use crate::model::names::{HostName, ReleaseId, RunId, SlotName};
use crate::model::observed::Observed;
use crate::model::record::{RunKind, RunRecord};
use crate::model::release::Release;
use crate::model::strategy::single::{TooFew, legs, next};

use super::forward::{
    Decision, Goal, Scene, TargetSlot, instances, instances_live_on, interrupted, known_release,
    running_generation,
};
use super::step::Plan;
use super::{history, preflight, replaced, resume, stages};

pub use hooks::Hooked;
pub use out::is_out;
use way::Way;

/// Where the hosts of a single slot are led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The slot.
    pub slot: SlotName,
    /// The release.
    pub release: Release,
    /// The one that they come from, where it is known.
    pub from_release: Option<ReleaseId>,
    /// Whether the release is new to them: then it is watched for a while at the end.
    pub sends: bool,
    /// Hosts that are no part of it where they never had the release.
    pub apart: BTreeSet<HostName>,
}

/// Whether a leg lays the jar ready on every host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jar {
    /// It does: it is the first.
    Laid,
    /// It is there where it has to be.
    There,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A leg.
    Leg(Box<NextLeg>),
    /// Every host is there: what is left to do.
    Arrived(Box<Plan>),
}

/// A leg, planned.
#[derive(Debug, Clone, PartialEq)]
pub struct NextLeg {
    /// Its plan: one switch.
    pub plan: Plan,
    /// Who leaves the routing, though something serves there, or may.
    pub leaving: Vec<Endpoint>,
    /// Who stays in it, or is in it.
    pub staying: Vec<Endpoint>,
    /// How many have to be in service.
    pub least: usize,
}

/// Plans all of the way to `goal`, or lists everything that speaks against it.
pub(in crate::model::plan) fn forward(
    scene: &Scene<'_>,
    goal: &Goal,
    slot: &SlotName,
) -> Result<Plan, Vec<Finding>> {
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight::unready(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    let unfinished = interrupted(scene);
    let explained = unfinished.as_ref().is_some_and(is_refusal);
    findings.extend(unfinished);
    if let Err(finding) = live.agreed() {
        findings.extend(Some(finding).filter(|_| !explained));
    }
    let hosts = scene.topology.hosts_of(slot);
    findings.extend(preflight::room(hosts, scene.observed, goal.sends()));
    let release = wanted(scene, goal, slot, &live)
        .map_err(|more| findings.extend(more))
        .ok();
    let Some(release) = release else {
        return Err(findings);
    };
    let bound = Bound {
        slot: slot.clone(),
        from_release: home(scene, goal, slot),
        sends: goal.sends().is_some(),
        apart: BTreeSet::new(),
        release,
    };
    let decision = bound.decision();
    instances(scene, goal, &decision, &mut findings);
    running_generation(scene, &mut findings);
    let came = BTreeSet::new();
    let hooked = Hooked {
        run: scene.run,
        came: &came,
    };
    let way = Way::new(scene, &bound, &live, Jar::Laid).hooked(Some(hooked));
    way.strangers(&mut findings);
    let legs = match legs(way.places.clone(), way.others.clone(), way.pace) {
        Ok(legs) => legs,
        Err(few) => {
            findings.push(bound.too_few(few));
            Vec::new()
        }
    };
    let plan = way.all(&legs, &mut findings);
    instances_live_on(scene, plan.stages.iter(), &mut findings);
    findings.extend(replaced::findings(scene, &live, plan.stages.iter()));
    way.foretell(&legs, &mut findings);
    if findings.iter().any(is_refusal) {
        return Err(findings);
    }
    Ok(Plan {
        warnings: findings,
        ..plan
    })
}

/// Plans the next leg, under the name of the scene's run, or says what speaks against it. A way back has no hooks.
pub fn next_leg(
    scene: &Scene<'_>,
    bound: &Bound,
    jar: Jar,
    hooked: Option<Hooked<'_>>,
) -> Result<Next, Vec<Finding>> {
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight::unready(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    findings.extend(live.agreed().err());
    running_generation(scene, &mut findings);
    let way = Way::new(scene, bound, &live, jar).hooked(hooked);
    way.strangers(&mut findings);
    let next = next(&way.places, &way.others, way.pace);
    let leg = next
        .map_err(|few| findings.push(bound.too_few(few)))
        .ok()
        .flatten();
    let plan = match &leg {
        Some(leg) => {
            findings.extend(way.missing(leg));
            way.one(leg, &mut findings)
        }
        None => way.arrived(),
    };
    instances_live_on(scene, plan.stages.iter(), &mut findings);
    findings.retain(is_refusal);
    match leg {
        _ if !findings.is_empty() => Err(findings),
        None => Ok(Next::Arrived(Box::new(plan))),
        Some(leg) => Ok(Next::Leg(Box::new(way.next_leg(&leg, plan)))),
    }
}

/// The hosts that have to start the release, and lack it.
pub fn lacking(scene: &Scene<'_>, bound: &Bound) -> Vec<Finding> {
    let live = Live::read(scene.topology, scene.observed);
    Way::new(scene, bound, &live, Jar::There).lacking()
}

/// The highest number that a leg of a run has on any host: on record, or of a token or home that is there already.
pub fn legs_so_far(observed: &Observed, journey: &Journey) -> u32 {
    let nginx = observed.hosts.values().filter_map(|seen| seen.nginx.as_ref());
    let named = nginx.flat_map(|nginx| {
        let homes = nginx.saved_homes.iter().filter_map(|home| RunId::new(home).ok());
        homes.chain(nginx.tokens.iter().map(|token| token.id.run.clone()))
    });
    let numbers = named.filter_map(|name| name.leg_of(&journey.run));
    numbers.chain([journey.leg]).max().unwrap_or_default()
}

fn is_refusal(finding: &Finding) -> bool {
    finding.severity == Severity::Refusal
}

/// The release that is asked for: of a rollback without a name the one before the live one, or the one that a run
/// came from which never ended.
pub(in crate::model::plan) fn wanted(
    scene: &Scene<'_>,
    goal: &Goal,
    slot: &SlotName,
    live: &Live,
) -> Result<Release, Vec<Finding>> {
    let one = |finding| vec![finding];
    let id = match goal {
        Goal::Deploy(release) => return Ok(release.clone()),
        Goal::Rollback(_) if live.routed().is_empty() => {
            return Err(one(Finding::refusal(None, Problem::NothingLive)));
        }
        Goal::Rollback(Some(release)) => release.clone(),
        Goal::Rollback(None) => match met(scene) {
            Some((record, journey)) => rolled_back_to(scene, slot, record, journey).map_err(one)?,
            None => history::previous(scene, slot, None).map_err(one)?,
        },
    };
    known_release(scene, slot, &id)
}

/// The run of several legs that never ended.
fn met<'a>(scene: &Scene<'a>) -> Option<(&'a RunRecord, &'a Journey)> {
    let record = resume::interrupted(scene.observed)?;
    Some((record, record.journey.as_ref()?))
}

/// Where a rollback leads that meets a run which never ended: back to where that came from; and where it was a
/// rollback itself, on to where that was going, unless just that release did not get through.
fn rolled_back_to(
    scene: &Scene<'_>,
    slot: &SlotName,
    record: &RunRecord,
    journey: &Journey,
) -> Result<ReleaseId, Finding> {
    let (to, left) = match record.kind {
        RunKind::Rollback => (Some(&journey.target), journey.home.as_ref()),
        RunKind::Deploy | RunKind::Drill | RunKind::Converge => (journey.home.as_ref(), None),
    };
    match to.filter(|release| !history::is_marked(scene, release)) {
        Some(release) => Ok(release.clone()),
        None => history::previous_to(scene, slot, left.or(Some(&journey.target)), None),
    }
}

/// The release that a run goes back to: the one that runs everywhere, or the one that a run came from which never
/// ended. A deploy that meets a rollback on its way goes back to where that was going.
fn home(scene: &Scene<'_>, goal: &Goal, slot: &SlotName) -> Option<ReleaseId> {
    let came_from = met(scene).and_then(|(record, journey)| match (goal, record.kind, journey.heading) {
        (Goal::Deploy(_), RunKind::Rollback, Heading::Forward) => Some(journey.target.clone()),
        _ => journey.home.clone(),
    });
    let runs = live::release_of_slot(scene.topology, scene.observed, slot);
    let home = came_from.or(runs)?;
    stages::known_anywhere(scene, &home).map(|release| release.id)
}

impl Bound {
    fn decision(&self) -> Decision {
        Decision {
            from: Some(self.slot.clone()),
            to: self.slot.clone(),
            release: self.release.clone(),
            target: TargetSlot::Idle,
            sends: self.sends,
        }
    }

    fn too_few(&self, few: TooFew) -> Finding {
        let what = Rolling::TooFew {
            slot: self.slot.clone(),
            serving: few.serving,
            least: few.least,
        };
        Finding::refusal(None, Problem::Rolling { what })
    }
}

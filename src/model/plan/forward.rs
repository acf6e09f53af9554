//! The way forward: to a new release on the idle slot, or back to an earlier one. A rollback that
//! a person asks for is a deploy of an older release, shorter where the old slot is still up.

use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::identity;
use crate::model::live::{self, Live};
use crate::model::names::{HostName, ReleaseId, RunId, SlotName};
use crate::model::observed::{NginxObserved, Observed, SlotObserved};
use crate::model::playbook::{Playbook, SwitchStyle};
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::strategy::Course;
use crate::model::topology::Topology;

use super::between::{self, Ahead};
use super::preflight;
use super::step::{Plan, Stage, StartRunner, Step};
use super::switch::{generation_answer, generation_of};
use super::window::Bake;
use super::{history, replaced, resume, single, stages, waiting};

/// Where a run wants the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// A release of a jar that the controller has, or all hosts.
    Deploy(Release),
    /// A release that the hosts have: the one given, or the one before the live one.
    Rollback(Option<ReleaseId>),
}

impl Goal {
    /// The release that is sent to hosts that have it not.
    pub(super) fn sends(&self) -> Option<&Release> {
        match self {
            Self::Deploy(release) => Some(release),
            Self::Rollback(_) => None,
        }
    }
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The hosts.
    pub topology: &'a Topology,
    /// The playbook.
    pub playbook: &'a Playbook,
    /// What is true now.
    pub observed: &'a Observed,
    /// The run, which names the new generation.
    pub run: &'a RunId,
}

impl<'a> Scene<'a> {
    pub(super) fn nginx(&self, host: &HostName) -> Option<&'a NginxObserved> {
        self.observed.hosts.get(host)?.nginx.as_ref()
    }

    pub(super) fn slot_at(&self, endpoint: &Endpoint, slot: &SlotName) -> Option<&'a SlotObserved> {
        self.observed.slot(&endpoint.host, slot)
    }
}

/// What was decided before the steps are written down.
pub(super) struct Decision {
    pub(super) from: Option<SlotName>,
    pub(super) to: SlotName,
    pub(super) release: Release,
    /// What is on the target slot.
    pub(super) target: TargetSlot,
    /// Whether the jar comes from the controller.
    pub(super) sends: bool,
}

/// What is on the slot that gets the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetSlot {
    /// Nothing that stays.
    Idle,
    /// The release runs on some of its endpoints: this very run has begun to start it.
    Begun,
    /// The release runs on all of them.
    Up,
}

/// Plans the way to `goal`, or lists everything that speaks against it.
///
/// An interrupted run refuses it until its nginx hosts are of one mind again, see [`resume::is_converged`].
pub fn forward(scene: &Scene<'_>, goal: &Goal) -> Result<Plan, Vec<Finding>> {
    if let Some(waits) = waiting::refusal(scene) {
        return Err(vec![waits]);
    }
    if let Some(slot) = scene.playbook.only_slot() {
        return single::forward(scene, goal, &slot.name);
    }
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight::unready(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    let unfinished = interrupted(scene);
    let explained = unfinished
        .as_ref()
        .is_some_and(|finding| finding.severity == Severity::Refusal);
    findings.extend(unfinished);
    let agreed = live
        .agreed()
        .map_err(|finding| findings.extend(Some(finding).filter(|_| !explained)));
    let agreed = agreed.ok();
    let decision = agreed.and_then(|agreed| {
        decide(scene, goal, agreed.slot)
            .map_err(|more| findings.extend(more))
            .ok()
    });
    let hosts = decision
        .as_ref()
        .map(|decision| scene.topology.hosts_of(&decision.to));
    let hosts = hosts.unwrap_or_else(|| scene.topology.was.keys().collect());
    findings.extend(preflight::room(hosts, scene.observed, goal.sends()));
    let Some(decision) = decision else {
        return Err(findings);
    };
    idle_slot(scene, &decision, &live, &mut findings);
    instances(scene, goal, &decision, &mut findings);
    running_generation(scene, &mut findings);
    two_fit(scene, &decision, &mut findings);
    let course = match goal {
        Goal::Deploy(_) => scene.playbook.update.course.clone(),
        // Whoever goes back wants it at once.
        Goal::Rollback(_) => Course::default(),
    };
    written(scene, decision, &live, course, findings)
}

/// The plan of what was decided, unless something speaks against it.
fn written(
    scene: &Scene<'_>,
    decision: Decision,
    live: &Live,
    course: Course,
    mut findings: Vec<Finding>,
) -> Result<Plan, Vec<Finding>> {
    let from = decision.from.as_ref().map(|slot| routed(scene, slot, live));
    let to = routing(scene, &decision.to, Some(&decision.release.id));
    let from = from.unwrap_or_default();
    if !course.is_sound(from.instances().count(), to.instances().count()) {
        // Nobody could read its record again.
        let most = Course::MAX_ROUTED;
        findings.push(Finding::refusal(None, Problem::TooManyRoutings { most }));
        return Err(findings);
    }
    let is_gone = |instance: &Instance| !scene.topology.was.contains_key(&instance.endpoint.host);
    let stations = course.stations(&from, &to, is_gone);
    let ahead = Ahead {
        stations: &stations,
        reached: 0,
    };
    let stages = between::stages(scene, &decision, live, ahead)
        .map_err(|more| findings.extend(more))
        .ok();
    instances_live_on(scene, stages.iter().flatten(), &mut findings);
    findings.extend(replaced::findings(scene, live, stages.iter().flatten()));
    // A process to which nginx routes is the application, whoever started it.
    let routed = live.routed();
    let is_ours = |endpoint: &Endpoint| {
        let kept = |slot| history::is_ours(scene, endpoint, slot);
        routed.contains(endpoint) || decision.from.as_ref().is_some_and(kept)
    };
    let after = stages::after(scene, &decision, live, Bake::Ahead, is_ours)
        .map_err(|more| findings.extend(more))
        .ok();
    let refused = findings
        .iter()
        .any(|finding| finding.severity == Severity::Refusal);
    let (Some(onward), Some(after), false) = (stages, after, refused) else {
        return Err(findings);
    };
    let before = stages::before(scene, &decision);
    Ok(Plan {
        from_release: decision
            .from
            .as_ref()
            .and_then(|slot| live::release_of_slot(scene.topology, scene.observed, slot)),
        from: decision.from,
        to: decision.to,
        release: decision.release,
        holds: stations.iter().map(|station| station.hold).collect(),
        routings: stations.into_iter().map(|station| station.routing).collect(),
        course,
        stages: [before, onward, after].concat(),
        warnings: findings,
    })
}

/// Plans the first way of a drill: to the release before the live one, if the live one can be brought back
/// afterwards.
pub fn drill_back(scene: &Scene<'_>) -> Result<Plan, Vec<Finding>> {
    let plan = forward(scene, &Goal::Rollback(None))?;
    let (Some(slot), Some(live)) = (&plan.from, &plan.from_release) else {
        return Err(vec![Finding::refusal(None, Problem::LiveReleaseUnknown)]);
    };
    known_release(scene, slot, live)?;
    Ok(plan)
}

/// Plans the second way of a drill, to the release that it began with, if the one that it went back to is
/// still live: whoever came in between meant what they did.
pub fn drill_forward(scene: &Scene<'_>, from: &ReleaseId, to: &ReleaseId) -> Result<Plan, Vec<Finding>> {
    let plan = forward(scene, &Goal::Rollback(Some(to.clone())))?;
    if plan.from_release.as_ref() == Some(from) {
        return Ok(plan);
    }
    let problem = Problem::DrillOvertaken {
        expected: from.clone(),
        live: plan.from_release,
    };
    Err(vec![Finding::refusal(None, problem)])
}

/// What is started has to be there when the connection is over.
pub(super) fn instances_live_on<'a>(
    scene: &Scene<'_>,
    stages: impl Iterator<Item = &'a Stage>,
    findings: &mut Vec<Finding>,
) {
    for on in stages.flat_map(|stage| &stage.steps) {
        let detaches = matches!(
            on.step,
            Step::Start {
                runner: StartRunner::Process { .. },
                ..
            }
        );
        let seen = scene.observed.hosts.get(&on.host).filter(|_| detaches);
        findings.extend(seen.and_then(|seen| preflight::instance_lives_on(&on.host, seen)));
    }
}

/// What is started has to fit in beside what is live.
fn two_fit(scene: &Scene<'_>, decision: &Decision, findings: &mut Vec<Finding>) {
    let Some(from) = decision
        .from
        .as_ref()
        .filter(|_| decision.target != TargetSlot::Up)
    else {
        return;
    };
    let starts_on = scene.topology.endpoints(&decision.to);
    findings.extend(starts_on.iter().filter_map(|endpoint| {
        let seen = scene.observed.hosts.get(&endpoint.host)?;
        let slots = [from, &decision.to];
        preflight::memory(&endpoint.host, seen, slots, scene.playbook.memory)
    }));
}

pub(super) fn decide(
    scene: &Scene<'_>,
    goal: &Goal,
    live: Option<SlotName>,
) -> Result<Decision, Vec<Finding>> {
    let one = |finding| vec![finding];
    match goal {
        Goal::Deploy(release) => {
            let to = target_of_deploy(scene, live.as_ref());
            Ok(Decision {
                from: live,
                to,
                release: release.clone(),
                target: TargetSlot::Idle,
                sends: true,
            })
        }
        Goal::Rollback(wanted) => {
            let from = live.ok_or_else(|| one(Finding::refusal(None, Problem::NothingLive)))?;
            let to = scene.playbook.other_slot(&from).name.clone();
            let kept = kept_release(scene, &to);
            let release = match wanted {
                Some(release) => release.clone(),
                None => history::previous(scene, &from, kept.as_ref()).map_err(one)?,
            };
            let target = if kept.as_ref() == Some(&release) {
                TargetSlot::Up
            } else {
                TargetSlot::Idle
            };
            let release = known_release(scene, &to, &release)?;
            Ok(Decision {
                from: Some(from),
                to,
                release,
                target,
                sends: false,
            })
        }
    }
}

/// The slot that a deploy brings up.
pub(super) fn target_of_deploy(scene: &Scene<'_>, live: Option<&SlotName>) -> SlotName {
    match live {
        Some(slot) => scene.playbook.other_slot(slot).name.clone(),
        None => first_free_slot(scene),
    }
}

fn first_free_slot(scene: &Scene<'_>) -> SlotName {
    let free = |slot: &&crate::model::playbook::Slot| {
        let endpoints = scene.topology.endpoints(&slot.name);
        endpoints
            .iter()
            .all(|it| scene.slot_at(it, &slot.name).is_none_or(SlotObserved::is_empty))
    };
    scene
        .playbook
        .slots
        .iter()
        .find(free)
        .unwrap_or(&scene.playbook.slots[0])
        .name
        .clone()
}

/// The release that a slot without traffic still runs, the same on every host.
fn kept_release(scene: &Scene<'_>, slot: &SlotName) -> Option<ReleaseId> {
    let endpoints = scene.topology.endpoints(slot);
    let up = |it: &Endpoint| {
        scene
            .slot_at(it, slot)
            .is_some_and(SlotObserved::recorded_process_listens)
    };
    let release = live::release_of_slot(scene.topology, scene.observed, slot)?;
    endpoints.iter().all(up).then_some(release)
}

/// The release as the hosts of a slot have it on record, or every one of them that has it not.
pub(super) fn known_release(
    scene: &Scene<'_>,
    slot: &SlotName,
    id: &ReleaseId,
) -> Result<Release, Vec<Finding>> {
    let on_record = |host| stages::recorded(scene, host, id);
    let missing = |host| {
        let problem = Problem::ReleaseMissing { release: id.clone() };
        Finding::refusal(Some(host), problem)
    };
    let hosts = scene.topology.hosts_of(slot);
    let first = hosts.iter().copied().find_map(on_record);
    let lacking: Vec<_> = hosts
        .into_iter()
        .filter(|host| on_record(host).is_none())
        .collect();
    match first {
        Some(release) if lacking.is_empty() => Ok(Release {
            id: release.id.clone(),
            sha256: release.sha256.clone(),
            size_bytes: release.size_bytes,
            jar_name: release.jar_name.clone(),
        }),
        _ => Err(lacking.into_iter().map(missing).collect()),
    }
}

/// A process on the idle slot is ours and is retired, or it is foreign and the run is refused.
pub(super) fn idle_slot(scene: &Scene<'_>, decision: &Decision, live: &Live, findings: &mut Vec<Finding>) {
    for endpoint in scene.topology.endpoints(&decision.to) {
        let Some(seen) = scene.slot_at(&endpoint, &decision.to) else {
            continue;
        };
        let host = endpoint.host.clone();
        if decision.target == TargetSlot::Idle && live.routed().contains(&endpoint) {
            let endpoint = endpoint.clone();
            findings.push(Finding::refusal(Some(&host), Problem::TargetIsLive { endpoint }));
        }
        match &seen.listener {
            Some(listener)
                if !history::is_ours(scene, &endpoint, &decision.to) && !seen.left_behind_listens() =>
            {
                let command = listener.command.clone();
                findings.push(Finding::refusal(
                    Some(&host),
                    Problem::ForeignProcess { endpoint, command },
                ));
            }
            Some(_) if decision.target == TargetSlot::Idle && seen.connections > 0 => {
                let problem = Problem::KeptInstanceInUse {
                    endpoint,
                    connections: seen.connections,
                };
                findings.push(Finding::refusal(Some(&host), problem));
            }
            _ => {}
        }
    }
    if let Some(from) = &decision.from {
        for endpoint in scene.topology.endpoints(from) {
            let is_down = scene
                .slot_at(&endpoint, from)
                .is_some_and(|seen| seen.listener.is_none());
            if is_down && live.routed().contains(&endpoint) {
                let host = endpoint.host.clone();
                findings.push(Finding::warning(
                    Some(&host),
                    Problem::LiveInstanceDown { endpoint },
                ));
            }
        }
    }
}

/// Processes that are not what their slot is, and files that a start would miss. Whoever goes back is told of
/// the first and not kept from it.
pub(super) fn instances(scene: &Scene<'_>, goal: &Goal, decision: &Decision, findings: &mut Vec<Finding>) {
    let severity = match goal {
        Goal::Deploy(_) => Severity::Refusal,
        Goal::Rollback(_) => Severity::Warning,
    };
    let others = identity::findings(scene.topology, scene.observed).into_iter();
    findings.extend(others.map(|finding| Finding { severity, ..finding }));
    if decision.target != TargetSlot::Up {
        let to = Some(&decision.to);
        findings.extend(preflight::start_needs(scene.topology, scene.observed, to));
    }
}

/// What runs must be what the file says, or a reload in the middle of the run would activate an
/// edit that nobody tested, and the live slot would be read from a file that nginx does not run.
pub(super) fn running_generation(scene: &Scene<'_>, findings: &mut Vec<Finding>) {
    if !matches!(scene.playbook.nginx.style, SwitchStyle::Site(_)) {
        return;
    }
    for (name, host) in &scene.topology.nginx {
        let Some(nginx) = scene.nginx(name).filter(|nginx| nginx.master.is_some()) else {
            continue;
        };
        let on_disk = nginx.entry.content.as_deref().and_then(generation_of);
        let agrees = match (&nginx.generation, &on_disk) {
            // Where our file is not in place, another application's may answer to any name.
            (Some(running), None) => nginx.dump.contains(&generation_answer(running)),
            (running, on_disk) => running == on_disk,
        };
        if !agrees {
            let nothing = || "none".to_owned();
            let problem = Problem::RunsOtherGeneration {
                file: host.file.to_string(),
                running: nginx.generation.clone().unwrap_or_else(nothing),
                on_disk: on_disk.unwrap_or_else(nothing),
            };
            findings.push(Finding::refusal(Some(name), problem));
        }
    }
}

/// An earlier run that nobody has ended. While its nginx hosts are not of one mind, nothing can be planned
/// from them: whoever is to change the fleet brings them to one slot first. Afterwards it is only said.
pub(super) fn interrupted(scene: &Scene<'_>) -> Option<Finding> {
    let mut locks = scene.observed.hosts.values().map(|seen| &seen.lock);
    if locks.any(|lock| lock.is_held() && lock.run.as_ref() != Some(scene.run)) {
        // Somebody is at it; whoever wants to change the fleet waits for the lock first.
        return None;
    }
    let record = resume::interrupted(scene.observed)?;
    let problem = Problem::InterruptedRun {
        record: Box::new(record.clone()),
    };
    Some(if resume::is_converged(scene, record) {
        Finding::warning(None, problem)
    } else {
        Finding::refusal(None, problem)
    })
}

/// What nginx routes to now: a slot, without hosts that an earlier run left out, and with those that this
/// one does.
fn routed(scene: &Scene<'_>, slot: &SlotName, live: &Live) -> Routing {
    let runs = |endpoint: &Endpoint| scene.slot_at(endpoint, slot)?.release().cloned();
    let instance = |endpoint: &Endpoint| Instance {
        release: runs(endpoint),
        endpoint: endpoint.clone(),
    };
    Routing::even(live.routed().into_iter().map(instance))
}

/// The routing to every endpoint of a slot. The release is what runs there where none is given.
pub(super) fn routing(scene: &Scene<'_>, slot: &SlotName, release: Option<&ReleaseId>) -> Routing {
    Routing::even(scene.topology.endpoints(slot).into_iter().map(|endpoint| {
        let runs = || {
            scene
                .slot_at(&endpoint, slot)
                .and_then(SlotObserved::release)
                .cloned()
        };
        Instance {
            release: release.cloned().or_else(runs),
            endpoint,
        }
    }))
}

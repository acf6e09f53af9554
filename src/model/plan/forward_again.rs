//! The way forward of a run that somebody has to finish: what is not confirmed is committed anew under the
//! run's own name. And the way to one slot for hosts that disagree without a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::decision;
use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::live::{self, Live, NginxView};
use crate::model::names::{HostName, SlotName};
use crate::model::observed::SlotObserved;
use crate::model::phase::Phase;
use crate::model::playbook::SwitchStyle;
use crate::model::record::{RunKind, RunRecord};
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::strategy::{Course, Hold};
use crate::model::token::TokenState;

use super::forward::{Decision, Scene, TargetSlot, routing};
use super::going_on::stations;
use super::resume::{evidence, newest_token};
use super::step::{Plan, Stage, Step};
use super::switch::{self, generation_of, switch};
use super::window::Bake;
use super::{between, history, preflight, stages, waiting};

/// Plans the way forward of a run that somebody has to finish, as far as the routing that it came to: nginx
/// hosts that are not confirmed, or run something else, are committed anew; and after the last routing the old
/// slot ends. Generation, home and tokens are the run's own.
pub fn forward_again(scene: &Scene<'_>, record: &RunRecord) -> Result<Plan, Vec<Finding>> {
    let scene = &Scene {
        run: &record.run,
        ..*scene
    };
    let target = Target::recorded(scene, record).map_err(|finding| vec![finding])?;
    let is_last = target.number == record.switches();
    let is_settled = |host: &HostName, view: &NginxView| {
        // Past the point of no return home is no place to go to: no watch is armed that would lead there.
        let runs = || routes_to(&target, view) && runs_generation_of(scene, host, target.number);
        let stays = if is_last {
            is_confirmed(scene, record, host)
        } else {
            is_settled(scene, record, host, target.number)
        };
        stays && (record.point_of_no_return || runs())
    };
    let (mut decision, mut plan) = switches(scene, &target, record.from_slot.clone(), is_settled)?;
    // A release that was sent has to stand for as long as the playbook says, whoever finishes the run.
    decision.sends = record.kind == RunKind::Deploy && !record.point_of_no_return;
    let led_away = led_away(scene, record);
    if !led_away.is_empty() {
        return Err(led_away);
    }
    let is_ours = |endpoint: &Endpoint| is_old(scene, record, endpoint);
    let live = Live::read(scene.topology, scene.observed);
    let ahead = Bake::of(record);
    let rest = match record.kind {
        // What comes after a leg is planned from what is true then.
        _ if !is_last || record.journey.is_some() => Vec::new(),
        RunKind::Converge => stages::in_order([(Phase::Finish, stages::finish_nginx(scene, &live))]),
        RunKind::Deploy | RunKind::Rollback | RunKind::Drill => {
            let mut rest = stages::after(scene, &decision, &live, ahead, is_ours)?;
            if rest.iter().any(Stage::leaves_to_hosts) {
                // Whoever wants something else of the fleet lets old requests end, and leaves nothing to anybody.
                rest.extend(stages::in_order([(
                    Phase::Drain,
                    stages::drains(scene, &decision),
                )]));
            }
            rest
        }
    };
    plan.stages.extend(rest);
    if record.point_of_no_return {
        plan.stages.retain(|stage| stage.hooks_of().is_none());
    }
    as_recorded(&mut plan, record);
    Ok(plan)
}

/// What was before the run is what it has on record, where that says it.
pub(super) fn as_recorded(plan: &mut Plan, record: &RunRecord) {
    plan.from_release = plan.from_release.take().or_else(|| record.from_release.clone());
    if !record.from_routing.is_empty()
        && let Some(from) = plan.routings.first_mut()
    {
        from.clone_from(&record.from_routing);
    }
}

/// Whether the newest token of a run on an nginx host is that of its last switch, confirmed.
fn is_confirmed(scene: &Scene<'_>, record: &RunRecord, host: &HostName) -> bool {
    let token = scene.nginx(host).and_then(|nginx| newest_token(nginx, record));
    token.is_some_and(|(number, token)| number == record.switches() && token.state == TokenState::Confirmed)
}

/// Whether an nginx host stays with a routing of the run by itself, and nothing sleeps there that would lead
/// it elsewhere.
pub(super) fn is_settled(scene: &Scene<'_>, record: &RunRecord, host: &HostName, number: u32) -> bool {
    let token = scene.nginx(host).and_then(|nginx| newest_token(nginx, record));
    token.is_some_and(|(of, token)| {
        token.state != TokenState::Armed && decision::stays_with(of, token.state) == number
    })
}

/// Whether what runs on an endpoint of the old slot is what ran there when the run began: a process that
/// was started since is somebody else's.
pub(super) fn is_old(scene: &Scene<'_>, record: &RunRecord, endpoint: &Endpoint) -> bool {
    let slot = record.from_slot.as_ref();
    let seen = slot.and_then(|slot| scene.slot_at(endpoint, slot));
    let identity = seen.and_then(SlotObserved::identity);
    let recorded = seen.and_then(SlotObserved::running_record).map(|it| &it.identity);
    identity.is_some_and(|identity| recorded == Some(identity) || record.adopted.contains(identity))
}

/// Confirmed nginx hosts that somebody led elsewhere after the old slot was told to end.
fn led_away(scene: &Scene<'_>, record: &RunRecord) -> Vec<Finding> {
    if !record.point_of_no_return {
        return Vec::new();
    }
    let live = Live::read(scene.topology, scene.observed);
    let elsewhere = live.hosts.iter().filter(|(_, view)| view.slot != record.to_slot);
    let finding = |(host, view): (&HostName, &NginxView)| {
        let (run, slot) = (record.place().0.clone(), view.slot.clone());
        Finding::refusal(Some(host), Problem::LedAway { run, slot })
    };
    elsewhere
        .filter(|(host, _)| is_confirmed(scene, record, host))
        .map(finding)
        .collect()
}

/// Plans the way to one slot for nginx hosts that disagree without a run on record that could say where to.
/// The slot is up on every endpoint; nothing is stopped.
pub fn converge_to(scene: &Scene<'_>, slot: &SlotName) -> Result<Plan, Vec<Finding>> {
    if let Some(waits) = waiting::refusal(scene) {
        return Err(vec![waits]);
    }
    let target = Target::named(scene, slot).map_err(|finding| vec![finding])?;
    let is_settled = |_: &HostName, view: &NginxView| routes_to(&target, view);
    let live = Live::read(scene.topology, scene.observed);
    let astray = live.hosts.values().filter_map(|view| view.slot.as_ref());
    let from = astray.into_iter().find(|other| *other != slot).cloned();
    let (_, mut plan) = switches(scene, &target, from, is_settled)?;
    let finish = [(
        Phase::Finish,
        stages::finish_nginx(scene, &Live::read(scene.topology, scene.observed)),
    )];
    plan.stages.extend(stages::in_order(finish));
    Ok(plan)
}

/// Where nginx hosts are led that are not there yet.
pub(super) struct Target {
    number: u32,
    pub(super) slot: SlotName,
    pub(super) release: Release,
    routing: Routing,
}

impl Target {
    /// The routing that a run came to; the first, where none of its switches is confirmed.
    pub(super) fn recorded(scene: &Scene<'_>, record: &RunRecord) -> Result<Self, Finding> {
        let missing = || {
            let (run, slot) = (record.place().0.clone(), record.to_slot.clone());
            Finding::refusal(None, Problem::RecordedSlotMissing { run, slot })
        };
        let slot = record.to_slot.as_ref().ok_or_else(missing)?;
        scene.playbook.slot(slot).ok_or_else(missing)?;
        let release = record.release.as_ref().ok_or_else(missing)?;
        let release = stages::known_anywhere(scene, release).ok_or_else(|| {
            let release = release.clone();
            Finding::refusal(None, Problem::ReleaseMissing { release })
        })?;
        let number = evidence(scene.topology, scene.observed, record).reached.max(1);
        let is_here = |instance: &Instance| scene.topology.was.contains_key(&instance.endpoint.host);
        let routing = if record.journey.is_some() {
            record.to_routing.only(is_here)
        } else if number == record.switches() {
            routing(scene, slot, Some(&release.id))
        } else {
            let station = stations(scene, record).into_iter().nth(number as usize);
            station.map(|station| station.routing).unwrap_or_default()
        };
        Ok(Self {
            number,
            slot: slot.clone(),
            release,
            routing,
        })
    }

    fn named(scene: &Scene<'_>, slot: &SlotName) -> Result<Self, Finding> {
        let unknown = || {
            let slot = slot.clone();
            Finding::refusal(None, Problem::ReleaseUnknown { slot })
        };
        let release = live::release_of_slot(scene.topology, scene.observed, slot).ok_or_else(unknown)?;
        let release = stages::known_anywhere(scene, &release).ok_or_else(unknown)?;
        Ok(Self {
            number: 1,
            slot: slot.clone(),
            routing: routing(scene, slot, Some(&release.id)),
            release,
        })
    }
}

/// The plan as far as the switch: the slot is looked at once more, and the hosts that are not settled are
/// tested and committed.
fn switches(
    scene: &Scene<'_>,
    target: &Target,
    from: Option<SlotName>,
    is_settled: impl Fn(&HostName, &NginxView) -> bool,
) -> Result<(Decision, Plan), Vec<Finding>> {
    let decision = Decision {
        from,
        to: target.slot.clone(),
        release: target.release.clone(),
        target: TargetSlot::Up,
        sends: false,
    };
    let of_slot = |endpoint: &&Endpoint| scene.topology.slot_of(endpoint) == Some(&target.slot);
    let new: BTreeSet<_> = target.routing.endpoints().filter(of_slot).cloned().collect();
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight::unready(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    findings.extend(not_up(scene, &live, &target.slot, &new));
    let to = switch::Target {
        number: target.number,
        slot: &decision.to,
        release: &decision.release,
        routing: &target.routing,
    };
    let mut switches = BTreeMap::new();
    for (host, view) in live.hosts.iter().filter(|(host, view)| !is_settled(host, view)) {
        match switch(scene, host, view, to) {
            Ok(switch) => {
                switches.insert(host.clone(), switch);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if findings.iter().any(|it| it.severity == Severity::Refusal) {
        return Err(findings);
    }
    let from = decision.from.as_ref();
    let before = from.map(|slot| routing(scene, slot, None)).unwrap_or_default();
    let stages = [
        (Phase::Verify, between::verify(scene, &new, &BTreeSet::new())),
        (Phase::Prepare, stages::each(&switches, Step::Prepare)),
        (Phase::Commit, stages::each(&switches, Step::Commit)),
    ];
    let plan = Plan {
        from_release: from.and_then(|slot| live::release_of_slot(scene.topology, scene.observed, slot)),
        from: decision.from.clone(),
        to: decision.to.clone(),
        release: decision.release.clone(),
        holds: vec![Hold::None; 2],
        routings: vec![before, target.routing.clone()],
        course: Course::default(),
        stages: stages::in_order(stages),
        warnings: findings,
    };
    Ok((decision, plan))
}

/// The endpoints on which the application does not listen. What nginx routes to is the application, whoever started
/// it anew; its health is asked.
fn not_up(scene: &Scene<'_>, live: &Live, slot: &SlotName, endpoints: &BTreeSet<Endpoint>) -> Vec<Finding> {
    let routed = live.routed();
    let serves = |endpoint: &Endpoint| {
        let seen = scene.slot_at(endpoint, slot);
        routed.contains(endpoint) && seen.is_some_and(|seen| seen.listener.is_some())
    };
    let is_up = |endpoint: &Endpoint| serves(endpoint) || history::is_ours(scene, endpoint, slot);
    let down = endpoints.iter().filter(|endpoint| !is_up(endpoint));
    let finding = |endpoint: &Endpoint| {
        let (slot, endpoint) = (slot.clone(), endpoint.clone());
        Finding::refusal(
            Some(&endpoint.host.clone()),
            Problem::SlotNotUp { slot, endpoint },
        )
    };
    down.map(finding).collect()
}

/// Whether an nginx host routes to every endpoint of a routing and to nothing else.
fn routes_to(target: &Target, view: &NginxView) -> bool {
    view.endpoints == target.routing.endpoints().cloned().collect()
}

/// Whether an nginx host has our site with the generation of that switch of the scene's run, on the disk and
/// running. The user's own files have none.
pub(super) fn runs_generation_of(scene: &Scene<'_>, host: &HostName, number: u32) -> bool {
    let SwitchStyle::Site(_) = scene.playbook.nginx.style else {
        return true;
    };
    let wanted = scene.run.of_switch(number);
    let wanted = Some(wanted.as_str());
    scene.nginx(host).is_some_and(|nginx| {
        let on_disk = nginx.entry.content.as_deref().and_then(generation_of);
        nginx.generation.as_deref() == wanted && on_disk.as_deref() == wanted
    })
}

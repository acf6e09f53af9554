//! What is left of a run of several routings: from the one that every nginx host has to the last. Somebody
//! resumes the run, or a person promotes it.

use std::collections::BTreeSet;

use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::live::{Live, NginxView};
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::record::{RunKind, RunRecord};
use crate::model::strategy::Station;
use crate::model::topology::Topology;

use super::between::{self, Ahead};
use super::forward::{Decision, Scene, TargetSlot, idle_slot, instances_live_on, running_generation};
use super::forward_again::{Target, as_recorded, is_old, is_settled, runs_generation_of};
use super::preflight::{self, preflight};
use super::resume::evidence;
use super::stages;
use super::step::Plan;
use super::window::Bake;

/// Plans what is left of a run whose nginx hosts all have the routing that it came to: the routings after
/// that one, and the old slot's end. Everything is looked at afresh, and whatever somebody changed meanwhile
/// speaks against it.
pub fn onward(scene: &Scene<'_>, record: &RunRecord) -> Result<Plan, Vec<Finding>> {
    let scene = &Scene {
        run: &record.run,
        ..*scene
    };
    let one = |finding| vec![finding];
    let reached = evidence(scene.topology, scene.observed, record).reached;
    let Target { slot, release, .. } = Target::recorded(scene, record).map_err(one)?;
    let decision = Decision {
        from: record.from_slot.clone(),
        to: slot,
        release,
        target: TargetSlot::Begun,
        sends: record.kind == RunKind::Deploy,
    };
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    idle_slot(scene, &decision, &live, &mut findings);
    findings.extend(led_elsewhere(scene, record, &live, reached));
    let stations = stations(scene, record);
    let ahead = Ahead {
        stations: &stations,
        reached: reached as usize,
    };
    let onward = between::stages(scene, &decision, &live, ahead)
        .map_err(|more| findings.extend(more))
        .ok();
    if reached == 0 {
        running_generation(scene, &mut findings);
    }
    instances_live_on(scene, onward.iter().flatten(), &mut findings);
    let starts = onward.iter().flatten().any(|stage| stage.phase == Phase::Start);
    let lacking = preflight::start_needs(scene.topology, scene.observed, Some(&decision.to));
    findings.extend(lacking.into_iter().filter(|_| starts));
    let is_ours = |endpoint: &Endpoint| is_old(scene, record, endpoint);
    let after = stages::after(scene, &decision, &live, Bake::of(record), is_ours)
        .map_err(|more| findings.extend(more))
        .ok();
    let refused = findings.iter().any(|it| it.severity == Severity::Refusal);
    let (Some(onward), Some(after), false) = (onward, after, refused) else {
        return Err(findings);
    };
    let left = stations.get(reached as usize..).unwrap_or_default();
    let mut plan = Plan {
        from_release: record.from_release.clone(),
        from: decision.from.clone(),
        to: decision.to.clone(),
        release: decision.release.clone(),
        holds: left.iter().map(|station| station.hold).collect(),
        routings: left.iter().map(|station| station.routing.clone()).collect(),
        course: record.course.clone(),
        stages: [stages::left_behind(scene, &decision), onward, after].concat(),
        warnings: findings,
    };
    as_recorded(&mut plan, record);
    Ok(plan)
}

/// nginx hosts that no longer have what the run left there.
fn led_elsewhere(scene: &Scene<'_>, record: &RunRecord, live: &Live, reached: u32) -> Vec<Finding> {
    let is_there = |host: &HostName, view: &NginxView| match reached {
        0 => view.slot == record.from_slot,
        number => {
            is_settled(scene, record, host, number)
                && runs_generation_of(scene, host, number)
                && here(scene, view) == endpoints(&stations(scene, record), number)
        }
    };
    let away = live.hosts.iter().filter(|(host, view)| !is_there(host, view));
    let finding = |(host, view): (&HostName, &NginxView)| {
        let (run, slot) = (record.run.clone(), view.slot.clone());
        Finding::refusal(Some(host), Problem::LedAway { run, slot })
    };
    away.map(finding).collect()
}

/// What an nginx host routes to, but for hosts that are left out now: the next switch leads nothing there.
fn here(scene: &Scene<'_>, view: &NginxView) -> BTreeSet<Endpoint> {
    let is_here = |endpoint: &&Endpoint| scene.topology.was.contains_key(&endpoint.host);
    view.endpoints.iter().filter(is_here).cloned().collect()
}

/// Every routing of the run, without the hosts that are left out now.
pub(super) fn stations(scene: &Scene<'_>, record: &RunRecord) -> Vec<Station> {
    let mut stations = record.stations();
    for station in stations.iter_mut().skip(1) {
        let is_here = |instance: &Instance| scene.topology.was.contains_key(&instance.endpoint.host);
        station.routing = station.routing.only(is_here);
    }
    stations
}

fn endpoints(stations: &[Station], number: u32) -> BTreeSet<Endpoint> {
    let station = stations.get(number as usize);
    let endpoints = station
        .into_iter()
        .flat_map(|station| station.routing.endpoints());
    endpoints.cloned().collect()
}

/// The endpoints that a run's way back leads to: those of its old slot, or those that had the traffic before a
/// leg.
pub fn at_home(topology: &Topology, record: &RunRecord) -> Vec<Endpoint> {
    let mut all = record
        .from_slot
        .as_ref()
        .map_or_else(Vec::new, |slot| topology.endpoints(slot));
    if record.journey.is_some() {
        all.retain(|endpoint| record.from_routing.routes_to(endpoint));
    }
    all
}

/// The endpoints of a run's new slot that its routing of that number has: those whose health decides. Before
/// the first switch these are all of them.
pub fn in_question(topology: &Topology, record: &RunRecord, number: u32) -> Vec<Endpoint> {
    let Some(slot) = &record.to_slot else {
        return Vec::new();
    };
    let mut all = topology.endpoints(slot);
    if record.journey.is_some() {
        all.retain(|endpoint| record.to_routing.routes_to(endpoint));
        return all;
    }
    if number > 0 && number < record.switches() {
        let routed = endpoints(&record.stations(), number);
        all.retain(|endpoint| routed.contains(endpoint));
    }
    all
}

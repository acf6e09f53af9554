//! What earlier runs left on record and the next one needs: which release a rollback goes back to
//! when nobody names one, and which processes that no start put on record are the application's. And
//! what the next one puts on record itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::live;
use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::observed::{HostObserved, Observed, SlotObserved};
use crate::model::phase::Phase;
use crate::model::process::ProcessIdentity;
use crate::model::record::{RunKind, RunRecord, RunStatus};
use crate::model::routing::Routing;
use crate::model::token::{Token, TokenState};

use super::forward::Scene;
use super::step::Plan;
use super::switch::generation_of;
use super::victims;

/// The release that a rollback goes back to by itself: one that is still up, else the one that the
/// last deploy replaced, else the newest older one, else the newest other one. It is on every host
/// of the other slot, it never failed, no rollback has left it, and no deploy that brought it went home.
pub(super) fn previous(
    scene: &Scene<'_>,
    live: &SlotName,
    kept: Option<&ReleaseId>,
) -> Result<ReleaseId, Finding> {
    let current = live::release_of_slot(scene.topology, scene.observed, live);
    previous_to(scene, live, current.as_ref(), kept)
}

/// The same where it is that release which is to be left.
pub(super) fn previous_to(
    scene: &Scene<'_>,
    live: &SlotName,
    current: Option<&ReleaseId>,
    kept: Option<&ReleaseId>,
) -> Result<ReleaseId, Finding> {
    let last = scene.observed.last_run();
    let brought_live = |last: &&RunRecord| last.brought_live() || went_forward(scene.observed, last);
    let left = left(scene.observed);
    let mut candidates = on_every_host(scene, &scene.playbook.other_slot(live).name);
    candidates.retain(|id| current != Some(*id));
    let taken_back: Vec<_> = candidates.iter().rev().filter(|id| left.contains(**id)).collect();
    let taken_back = taken_back.into_iter().map(|id| (*id).clone()).collect();
    candidates.retain(|id| !left.contains(*id));
    let replaced = last
        .filter(|last| brought_live(last) && last.release.as_ref() == current)
        .and_then(|last| last.from_release.as_ref());
    // A deploy that went home brought a release that was perhaps never live, though it may still be up.
    let never_live = last
        .filter(|last| last.kind == RunKind::Deploy && !brought_live(last))
        .and_then(|last| last.release.as_ref());
    let kept = kept.filter(|kept| never_live != Some(*kept));
    let direct = [kept, replaced].into_iter().flatten();
    let mut direct = direct.filter(|id| candidates.contains(*id));
    let is_older = |id: &&&ReleaseId| current.is_none_or(|current| **id < current);
    let chosen = direct
        .next()
        .or_else(|| candidates.iter().filter(is_older).max().copied())
        .or_else(|| {
            candidates
                .iter()
                .filter(|id| Some(**id) != never_live)
                .max()
                .copied()
        });
    chosen
        .cloned()
        .ok_or_else(|| Finding::refusal(None, Problem::NothingToGoBackTo { taken_back }))
}

/// Writes down what a run means to do, for whoever has to finish it; `record` says who runs it and under
/// which epoch.
pub fn intent(scene: &Scene<'_>, plan: &Plan, kind: RunKind, record: RunRecord) -> RunRecord {
    let (topology, before) = (scene.topology, scene.observed);
    RunRecord {
        kind,
        was: topology.was.keys().cloned().collect(),
        nginx: topology.nginx.keys().cloned().collect(),
        without: if planted(Defect::ForgetsWhoIsLeftOut) {
            BTreeSet::new()
        } else {
            topology.left_out().into_iter().cloned().collect()
        },
        from_routing: plan.routings.first().cloned().unwrap_or_default(),
        to_routing: plan.routings.last().cloned().unwrap_or_default(),
        home_generations: home_generations(before),
        occupants: occupants(scene, &plan.to),
        memory_kills: victims::before(scene, plan.from.as_ref()),
        starts: plan.stage(Phase::Start).is_some(),
        from_slot: plan.from.clone(),
        to_slot: Some(plan.to.clone()),
        release: Some(plan.release.id.clone()),
        from_release: plan.from_release.clone(),
        left: left(before),
        adopted: adopted(scene, plan.routings.first()),
        ..record.on(plan.course.clone())
    }
}

/// Recorded processes that run on a slot before a run starts its own there.
fn occupants(scene: &Scene<'_>, slot: &SlotName) -> BTreeSet<ProcessIdentity> {
    let of = |host| {
        Some(
            scene
                .observed
                .slot(host, slot)?
                .running_record()?
                .identity
                .clone(),
        )
    };
    scene.topology.was.keys().filter_map(of).collect()
}

/// What the generation endpoint of each nginx host answers while its file is as it was observed.
fn home_generations(before: &Observed) -> BTreeMap<HostName, String> {
    let of = |(host, seen): (&HostName, &HostObserved)| {
        let content = seen.nginx.as_ref()?.entry.content.as_deref()?;
        Some((host.clone(), generation_of(content)?))
    };
    before.hosts.iter().filter_map(of).collect()
}

/// Releases that were left and that hosts still have; a run that was interrupted after it went forward counts.
pub fn left(observed: &Observed) -> BTreeSet<ReleaseId> {
    let Some(last) = observed.last_run() else {
        return BTreeSet::new();
    };
    let mut left = if went_forward(observed, last) {
        last.clone().finished().left
    } else {
        last.left.clone()
    };
    let was = observed.hosts.values().filter_map(|seen| seen.was.as_ref());
    let kept: BTreeSet<_> = was.flat_map(|was| &was.releases).map(|kept| &kept.id).collect();
    left.retain(|release| kept.contains(release));
    left
}

/// Whether a run that never ended has the traffic all the same: its last switch was confirmed somewhere, and
/// no later one was armed on its way back.
fn went_forward(observed: &Observed, run: &RunRecord) -> bool {
    let nginx = observed.hosts.values().filter_map(|seen| seen.nginx.as_ref());
    let mut newest = nginx.filter_map(|nginx| nginx.newest_token(&run.run));
    let is_last = |token: &Token| token.id.run == run.run.of_switch(run.switches());
    let went = |token: &Token| token.state == TokenState::Confirmed && is_last(token);
    run.status == RunStatus::Open && run.journey.is_none() && newest.any(went)
}

/// The releases that every host of a slot has and none has marked as failed.
fn on_every_host<'a>(scene: &Scene<'a>, slot: &SlotName) -> BTreeSet<&'a ReleaseId> {
    let mut counts: BTreeMap<&ReleaseId, usize> = BTreeMap::new();
    let hosts = scene.topology.hosts_of(slot);
    let seen = hosts.iter().filter_map(|host| scene.observed.hosts.get(*host));
    for was in seen.filter_map(|host| host.was.as_ref()) {
        for release in was.releases.iter().filter(|release| !release.failed) {
            *counts.entry(&release.id).or_default() += 1;
        }
    }
    let everywhere = |(_, count): &(_, usize)| *count == hosts.len();
    counts.into_iter().filter(everywhere).map(|(id, _)| id).collect()
}

/// Whether any host has a mark against a release.
pub(super) fn is_marked(scene: &Scene<'_>, id: &ReleaseId) -> bool {
    let was = scene.observed.hosts.values().filter_map(|seen| seen.was.as_ref());
    let mut releases = was.flat_map(|was| &was.releases);
    releases.any(|release| release.id == *id && release.failed)
}

/// Processes of the application that no start put on record: those that nginx routes to, and those that the
/// last run knew as such.
fn adopted(scene: &Scene<'_>, from: Option<&Routing>) -> BTreeSet<ProcessIdentity> {
    let mut adopted = BTreeSet::new();
    for (host, was) in &scene.topology.was {
        for (slot, port) in &was.ports {
            let (host, port) = (host.clone(), *port);
            let endpoint = Endpoint { host, port };
            let Some(seen) = scene.slot_at(&endpoint, slot) else {
                continue;
            };
            let is_routed = from.is_some_and(|routing| routing.routes_to(&endpoint));
            let known = is_routed || is_adopted(scene.observed, seen);
            let unrecorded = !seen.recorded_process_listens();
            adopted.extend(seen.listener_identity().filter(|_| known && unrecorded).cloned());
        }
    }
    adopted
}

/// Whether the last run knew the listener as the application's, although no start put it on record.
fn is_adopted(observed: &Observed, seen: &SlotObserved) -> bool {
    let identity = seen.listener_identity();
    observed
        .last_run()
        .is_some_and(|last| identity.is_some_and(|identity| last.adopted.contains(identity)))
}

/// Whether what listens on an endpoint without traffic is the application: kept by an earlier run, or started by hand
/// or at a boot as the slot's own unit.
pub(super) fn is_ours(scene: &Scene<'_>, endpoint: &Endpoint, slot: &SlotName) -> bool {
    let is_unit =
        |seen: &SlotObserved| seen.record.is_none() && seen.unit.as_ref().is_some_and(|unit| unit.listens);
    let seen = scene.slot_at(endpoint, slot);
    seen.is_some_and(|seen| {
        seen.recorded_process_listens() || is_adopted(scene.observed, seen) || is_unit(seen)
    })
}

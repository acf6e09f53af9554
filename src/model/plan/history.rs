//! What earlier runs left on record and the next one needs: which release a rollback goes back to
//! when nobody names one, and which processes that no start put on record are the application's.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::live;
use crate::model::names::{ReleaseId, SlotName};
use crate::model::observed::{Observed, SlotObserved};
use crate::model::process::ProcessIdentity;
use crate::model::topology::Topology;

use super::forward::Scene;

/// The release that a rollback goes back to by itself: one that is still up, else the one that the
/// last deploy replaced, else the newest older one, else the newest other one. It is on every WAS
/// host, it never failed, and no rollback has left it since the last deploy.
pub(super) fn previous(
    scene: &Scene<'_>,
    live: &SlotName,
    kept: Option<&ReleaseId>,
) -> Result<ReleaseId, Finding> {
    let current = live::release_of_slot(scene.topology, scene.observed, live);
    let last = scene.observed.last_run();
    let mut candidates = on_every_host(scene);
    candidates.retain(|id| current.as_ref() != Some(*id) && last.is_none_or(|last| !last.left.contains(*id)));
    let replaced = last
        .filter(|last| last.brought_live() && last.release == current)
        .and_then(|last| last.from_release.as_ref());
    let direct = [kept, replaced].into_iter().flatten();
    let mut direct = direct.filter(|id| candidates.contains(*id));
    let is_older = |id: &&&ReleaseId| current.as_ref().is_none_or(|current| **id < current);
    // A run that went home brought a release that was perhaps never live.
    let never_live = last
        .filter(|last| !last.brought_live())
        .and_then(|last| last.release.as_ref());
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
        .ok_or_else(|| Finding::refusal(None, Problem::NothingToGoBackTo))
}

/// The releases that every WAS host has and none has marked as failed.
fn on_every_host<'a>(scene: &Scene<'a>) -> BTreeSet<&'a ReleaseId> {
    let mut counts: BTreeMap<&ReleaseId, usize> = BTreeMap::new();
    for was in scene.observed.hosts.values().filter_map(|host| host.was.as_ref()) {
        for release in was.releases.iter().filter(|release| !release.failed) {
            *counts.entry(&release.id).or_default() += 1;
        }
    }
    let everywhere = |(_, count): &(_, usize)| *count == scene.topology.was.len();
    counts.into_iter().filter(everywhere).map(|(id, _)| id).collect()
}

/// Processes of the application that no start put on record: those of the live slot, and those of
/// the other slot that the last run knew as such.
pub fn adopted(
    topology: &Topology,
    observed: &Observed,
    live: Option<&SlotName>,
) -> BTreeSet<ProcessIdentity> {
    let mut adopted = BTreeSet::new();
    for (host, was) in &topology.was {
        for slot in was.ports.keys() {
            let Some(seen) = observed.slot(host, slot) else {
                continue;
            };
            let known = live == Some(slot) || is_adopted(observed, seen);
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

/// Whether what listens on an endpoint without traffic is the application, kept by an earlier run.
pub(super) fn is_ours(scene: &Scene<'_>, endpoint: &Endpoint, slot: &SlotName) -> bool {
    scene
        .slot_at(endpoint, slot)
        .is_some_and(|seen| seen.recorded_process_listens() || is_adopted(scene.observed, seen))
}

//! Instances of the live slot that the kernel killed for want of memory while a run had two up on their hosts: who
//! they are, and how the way back starts them again. `home` plans with it, and the engine says who they were.

use std::collections::BTreeMap;

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::names::{HostName, SlotName};
use crate::model::process::AfterKill;
use crate::model::record::RunRecord;

use super::forward::Scene;
use super::stages::{known_anywhere, on, recorded};
use super::start;
use super::step::{HostStep, Step, Viewed};

/// What the kernel had counted before a run, on every host where an instance of the live slot listens.
pub(super) fn before(scene: &Scene<'_>, live: Option<&SlotName>) -> BTreeMap<HostName, u64> {
    let Some(live) = live else {
        return BTreeMap::new();
    };
    let kills = |endpoint: Endpoint| {
        scene.slot_at(&endpoint, live)?.listener.as_ref()?;
        let machine = &scene.observed.hosts.get(&endpoint.host)?.machine;
        Some((endpoint.host, machine.memory_kills?))
    };
    let endpoints = scene.topology.endpoints(live).into_iter();
    endpoints.filter_map(kills).collect()
}

/// An instance that was killed.
struct Victim<'a> {
    slot: &'a SlotName,
    endpoint: Endpoint,
    restart: Option<Step>,
}

fn victims<'a>(scene: &Scene<'_>, record: &'a RunRecord) -> Vec<Victim<'a>> {
    let Some(slot) = record.from_slot.as_ref().filter(|_| record.starts) else {
        return Vec::new();
    };
    let victim = |endpoint: Endpoint| {
        let before = *record.memory_kills.get(&endpoint.host)?;
        let machine = &scene.observed.hosts.get(&endpoint.host)?.machine;
        let seen = scene.slot_at(&endpoint, slot)?;
        let is_down = seen.listener.is_none() && !seen.record_runs && seen.left_behind().is_none();
        // What ended with its boot was not killed.
        let of_boot = seen
            .record
            .as_ref()
            .is_none_or(|it| it.identity.boot_id == machine.boot_id);
        if machine.memory_kills? <= before || !is_down || !of_boot {
            return None;
        }
        Some(Victim {
            slot,
            restart: restart(scene, record, slot, &endpoint),
            endpoint,
        })
    };
    let endpoints = scene.topology.endpoints(slot).into_iter();
    endpoints.filter_map(victim).collect()
}

/// How it is started again, with the release that it ran; `None` where that is not on record. A start of it that
/// failed has left no record on its host.
fn restart(scene: &Scene<'_>, record: &RunRecord, slot: &SlotName, endpoint: &Endpoint) -> Option<Step> {
    let on_host = scene
        .slot_at(endpoint, slot)?
        .record
        .as_ref()
        .map(|it| &it.release);
    let mut before = record
        .from_routing
        .instances()
        .filter(|it| it.endpoint == *endpoint);
    let id = on_host.or_else(|| before.next()?.release.as_ref())?;
    recorded(scene, &endpoint.host, id)?;
    let release = known_anywhere(scene, id)?;
    let start = start::start(scene, slot, &release, endpoint).ok()?;
    Some(Step::Restart {
        release: release.id,
        start: Box::new(start),
        own: Viewed {
            endpoint: endpoint.clone(),
            address: "127.0.0.1".to_owned(),
        },
    })
}

/// The steps that start them again.
pub(super) fn restarts(scene: &Scene<'_>, record: &RunRecord) -> Vec<HostStep> {
    let victims = victims(scene, record).into_iter();
    let step = |victim: Victim<'_>| Some(on(&victim.endpoint.host, victim.restart?));
    victims.filter_map(step).collect()
}

/// What is to be said of them.
pub fn killed(scene: &Scene<'_>, record: &RunRecord) -> Vec<Finding> {
    let finding = |victim: Victim<'_>| {
        let host = victim.endpoint.host.clone();
        let problem = Problem::LiveKilled {
            endpoint: victim.endpoint,
            slot: victim.slot.clone(),
            next: match victim.restart {
                Some(_) => AfterKill::StartsAgain,
                None => AfterKill::StaysDown,
            },
        };
        Finding::warning(Some(&host), problem)
    };
    victims(scene, record).into_iter().map(finding).collect()
}

//! The stages of the way forward that stand around its routings: what is laid ready before the first, and
//! what ends after the last. What leads from one routing to the next is `between`'s.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::endpoint::Endpoint;
use crate::model::finding::Finding;
use crate::model::hook::HookPoint;
use crate::model::live::{self, Live};
use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::observed::{ReleaseObserved, SlotObserved};
use crate::model::phase::Phase;
use crate::model::playbook::AfterBake;
use crate::model::release::{Offer, Release};

use super::forward::{Decision, Scene, TargetSlot};
use super::hooks;
use super::step::{HostStep, Stage, Step, Switch, Viewed};
use super::switch::clean_up;
use super::window::{self, Bake};

/// What comes before the first routing: the jar, and room on the idle slot.
pub(super) fn before(scene: &Scene<'_>, decision: &Decision) -> Vec<Stage> {
    if decision.target == TargetSlot::Up {
        return Vec::new();
    }
    [
        hooks::once(scene, HookPoint::BeforeInstall, decision),
        in_order([(Phase::Upload, uploads(scene, decision))]),
        hooks::once(scene, HookPoint::AfterInstall, decision),
        in_order([(Phase::Retire, retires(scene, decision))]),
    ]
    .concat()
}

/// What comes after the last routing is confirmed: both slots up, and then the old one's end, where what runs
/// is the application; or the timers that leave all of that to the hosts.
pub(super) fn after(
    scene: &Scene<'_>,
    decision: &Decision,
    live: &Live,
    ahead: Bake,
    is_ours: impl Fn(&Endpoint) -> bool,
) -> Result<Vec<Stage>, Vec<Finding>> {
    let left = window::steps(scene, decision, ahead, &is_ours)?;
    if !left.is_empty() {
        let told = hooks::once(scene, HookPoint::AfterAllowTraffic, decision);
        return Ok([told, in_order([(Phase::Bake, left)])].concat());
    }
    let mut finish = finish_was(scene, decision);
    finish.extend(finish_nginx(scene, live));
    let stops = stops(scene, decision, is_ours);
    Ok([
        hooks::once(scene, HookPoint::AfterAllowTraffic, decision),
        in_order([
            (Phase::Bake, bake(scene, decision, ahead)),
            (Phase::Drain, drains(scene, decision)),
        ]),
        hooks::before_stop(scene, decision, &stops),
        in_order([(Phase::Stop, stops), (Phase::Finish, finish)]),
    ]
    .concat())
}

/// Stages of these steps; a phase without any has none.
pub(super) fn in_order(stages: impl IntoIterator<Item = (Phase, Vec<HostStep>)>) -> Vec<Stage> {
    stages
        .into_iter()
        .filter(|(_, steps)| !steps.is_empty())
        .map(|(phase, steps)| Stage { phase, steps })
        .collect()
}

/// A step on its host.
pub(super) fn on(host: &HostName, step: Step) -> HostStep {
    HostStep {
        host: host.clone(),
        step,
    }
}

/// One step for each switch.
pub(super) fn each(switches: &BTreeMap<HostName, Switch>, wrap: fn(Box<Switch>) -> Step) -> Vec<HostStep> {
    let step = |(host, switch): (&HostName, &Switch)| on(host, wrap(Box::new(switch.clone())));
    switches.iter().map(step).collect()
}

/// A release as a host has it on record.
pub(super) fn recorded<'a>(
    scene: &Scene<'a>,
    host: &HostName,
    release: &ReleaseId,
) -> Option<&'a ReleaseObserved> {
    let was = scene.observed.hosts.get(host)?.was.as_ref()?;
    was.releases.iter().find(|known| known.id == *release)
}

/// The release as any host has it on record.
pub fn known_anywhere(scene: &Scene<'_>, release: &ReleaseId) -> Option<Release> {
    let mut hosts = scene.topology.was.keys();
    let known = hosts.find_map(|host| recorded(scene, host, release))?;
    Some(Release {
        id: known.id.clone(),
        sha256: known.sha256.clone(),
        size_bytes: known.size_bytes,
        jar_name: known.jar_name.clone(),
    })
}

pub(super) fn uploads(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let step = |host: &HostName| {
        let on_record = recorded(scene, host, &decision.release.id).is_some();
        on(
            host,
            Step::Upload {
                release: decision.release.clone(),
                on_record,
                from: match scene.observed.jars.get(host) {
                    Some(Offer::Jar(jar)) => Some(jar.path.clone()),
                    Some(Offer::Unfit { .. } | Offer::None) | None => None,
                },
            },
        )
    };
    scene
        .topology
        .hosts_of(&decision.to)
        .into_iter()
        .map(step)
        .collect()
}

/// What ends before the release is started: whatever is on the target slot and, where nothing is live, what a
/// start that was cut off left on the other one, for a first deploy may take the slot that is free.
fn retires(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let mut steps = retires_on(scene, &decision.to, |_| true);
    if decision.from.is_none() {
        let other = &scene.playbook.other_slot(&decision.to).name;
        steps.extend(retires_on(scene, other, |seen| seen.left_behind().is_some()));
    }
    steps
}

/// What a start of an earlier controller, that was cut off, left on the target slot ends before it is started there
/// again.
pub(super) fn left_behind(scene: &Scene<'_>, decision: &Decision) -> Vec<Stage> {
    let left = retires_on(scene, &decision.to, |seen| seen.left_behind().is_some());
    in_order([(Phase::Retire, left)])
}

fn retires_on(scene: &Scene<'_>, slot: &SlotName, ends: impl Fn(&SlotObserved) -> bool) -> Vec<HostStep> {
    let step = |endpoint: Endpoint| {
        let seen = scene.slot_at(&endpoint, slot).filter(|seen| ends(seen))?;
        let retire = Step::Retire {
            slot: slot.clone(),
            port: endpoint.port,
            target: seen.stop_target()?,
            release: seen.release().cloned(),
        };
        Some(on(&endpoint.host, retire))
    };
    let endpoints = scene.topology.endpoints(slot).into_iter();
    endpoints.filter_map(step).collect()
}

/// What every host of the topology sees of some endpoints: a WAS host its own over the loopback, an nginx
/// host all of them at the address that it proxies to.
pub(super) fn views(scene: &Scene<'_>, endpoints: &[Endpoint]) -> BTreeMap<HostName, Vec<Viewed>> {
    let mut views: BTreeMap<HostName, Vec<Viewed>> = BTreeMap::new();
    for endpoint in endpoints {
        let own = Viewed {
            endpoint: endpoint.clone(),
            address: "127.0.0.1".to_owned(),
        };
        views.entry(endpoint.host.clone()).or_default().push(own);
    }
    for host in scene.topology.nginx.keys() {
        for endpoint in endpoints {
            let Some(was) = scene.topology.was.get(&endpoint.host) else {
                continue;
            };
            let viewed = Viewed {
                endpoint: endpoint.clone(),
                address: was.address.to_string(),
            };
            let seen = views.entry(host.clone()).or_default();
            if !seen.contains(&viewed) {
                seen.push(viewed);
            }
        }
    }
    views
}

/// The new slot is watched for as long as the run itself waits.
pub(super) fn bake(scene: &Scene<'_>, decision: &Decision, ahead: Bake) -> Vec<HostStep> {
    let bake = scene.playbook.bake;
    let waits = ahead == Bake::Ahead && bake.then != AfterBake::LeftToHosts && !bake.duration.is_zero();
    if !waits || !decision.sends {
        return Vec::new();
    }
    let step = |(host, endpoints)| HostStep {
        host,
        step: Step::Bake { endpoints },
    };
    views(scene, &scene.topology.endpoints(&decision.to))
        .into_iter()
        .map(step)
        .collect()
}

fn keeps(scene: &Scene<'_>) -> bool {
    scene.playbook.bake.then == AfterBake::Keep
}

pub(super) fn drains(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let Some(from) = decision.from.as_ref().filter(|_| !keeps(scene)) else {
        return Vec::new();
    };
    let workers = |host: &HostName| {
        let master = scene.nginx(host)?.master.as_ref()?.identity.clone();
        Some(on(host, Step::DrainWorkers { master }))
    };
    let mut steps: Vec<_> = scene.topology.nginx.keys().filter_map(workers).collect();
    for endpoint in scene.topology.endpoints(from) {
        let step = Step::DrainConnections {
            slot: from.clone(),
            port: endpoint.port,
        };
        steps.push(on(&endpoint.host, step));
    }
    steps
}

/// The old slot's end, on the endpoints whose process is the application's.
fn stops(scene: &Scene<'_>, decision: &Decision, is_ours: impl Fn(&Endpoint) -> bool) -> Vec<HostStep> {
    let Some(from) = &decision.from else {
        return Vec::new();
    };
    let step = |endpoint: Endpoint| {
        let port = endpoint.port;
        if keeps(scene) {
            return Some(on(
                &endpoint.host,
                Step::Keep {
                    slot: from.clone(),
                    port,
                },
            ));
        }
        let identity = scene.slot_at(&endpoint, from)?.identity()?.clone();
        let stop = Step::Stop {
            slot: from.clone(),
            port,
            identity,
            successor: decision.to.clone(),
        };
        Some(on(&endpoint.host, stop))
    };
    scene
        .topology
        .endpoints(from)
        .into_iter()
        .filter(is_ours)
        .filter_map(step)
        .collect()
}

/// The release is marked as good, and old ones are removed.
fn finish_was(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let mut protected = BTreeSet::from([decision.release.id.clone()]);
    if let Some(from) = &decision.from {
        protected.extend(live::release_of_slot(scene.topology, scene.observed, from));
    }
    let keep = scene.playbook.release.keep;
    let step = |host: &HostName| {
        let protected = protected.clone();
        on(host, Step::FinishWas { keep, protected })
    };
    scene.topology.was.keys().map(step).collect()
}

/// What switches left beside the live file is removed, on every nginx host that was looked at.
pub(super) fn finish_nginx(scene: &Scene<'_>, live: &Live) -> Vec<HostStep> {
    let step = |host: &HostName| {
        let clean = clean_up(scene, host, live.hosts.get(host))?;
        Some(on(host, Step::FinishNginx { clean }))
    };
    scene.topology.nginx.keys().filter_map(step).collect()
}

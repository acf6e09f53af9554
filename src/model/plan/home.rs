//! The way home: from whatever is true after a failure to the routing before the run. It is planned
//! from a fresh observation, never from a list of what was done.

use std::collections::BTreeSet;

use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::observed::{NginxObserved, Observed};
use crate::model::phase::Phase;

use super::forward::Scene;
use super::step::{HostStep, NginxFacts, Plan, Stage, Step};
use super::switch::generation_of;

/// Where home is, and what may have happened since.
#[derive(Debug, Clone, Copy)]
pub struct HomeGoal<'a> {
    /// What was true when the run began.
    pub before: &'a Observed,
    /// What the run was doing.
    pub plan: &'a Plan,
    /// The nginx hosts that were told to switch, whatever they answered.
    pub told_to_switch: &'a BTreeSet<HostName>,
    /// Whether the release is to blame, and gets the mark that keeps it from being chosen again.
    pub blames_release: bool,
}

/// Plans the way home: first traffic, then what the run left on nginx hosts, then what it started.
/// A stage may begin only if the one before succeeded on every host.
pub fn home(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<Stage> {
    let stages = [
        (Phase::Revert, reverts(scene, goal)),
        (Phase::Stop, withdrawals(scene, goal)),
        (Phase::Finish, clean_ups(scene, goal)),
    ];
    stages
        .into_iter()
        .filter(|(_, steps)| !steps.is_empty())
        .map(|(phase, steps)| Stage { phase, steps })
        .collect()
}

fn reverts(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<HostStep> {
    let mut steps = Vec::new();
    for host in scene.topology.nginx.keys() {
        let Some(before) = goal.before.hosts.get(host).and_then(|seen| seen.nginx.as_ref()) else {
            continue;
        };
        let differs = scene.nginx(host).is_none_or(|now| differs(before, now));
        if differs || goal.told_to_switch.contains(host) {
            let generation = before.entry.content.as_deref().and_then(generation_of);
            let nginx = scene.nginx(host).and_then(NginxFacts::of);
            steps.push(HostStep {
                host: host.clone(),
                step: Step::Revert { generation, nginx },
            });
        }
    }
    steps
}

fn differs(before: &NginxObserved, now: &NginxObserved) -> bool {
    before.entry != now.entry || before.siblings != now.siblings || before.generation != now.generation
}

fn withdrawals(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<HostStep> {
    let slot = &goal.plan.to;
    let uploads = goal.plan.stage(Phase::Upload).is_some();
    let mut steps = Vec::new();
    for (host, was) in &scene.topology.was {
        let Some(port) = was.ports.get(slot) else { continue };
        let slot_of = |observed: &'_ Observed| {
            observed
                .hosts
                .get(host)
                .and_then(|seen| seen.was.as_ref())
                .and_then(|was| was.slots.get(slot))
                .cloned()
        };
        let known = slot_of(goal.before)
            .filter(|seen| seen.record_runs)
            .and_then(|seen| seen.record);
        let started = slot_of(scene.observed)
            .filter(|seen| seen.record_runs)
            .and_then(|seen| seen.record)
            .filter(|record| {
                known
                    .as_ref()
                    .is_none_or(|known| known.identity != record.identity)
            });
        let instance = started.map(|record| (slot.clone(), *port, record.identity));
        if instance.is_none() && !uploads {
            continue;
        }
        let release = goal.plan.release.id.clone();
        let mark_failed = goal.blames_release && !runs_elsewhere(goal, slot, &release);
        steps.push(HostStep {
            host: host.clone(),
            step: Step::Withdraw {
                instance,
                release,
                mark_failed,
            },
        });
    }
    steps
}

/// The same release may be the live one: a deploy of it that failed says nothing against it.
fn runs_elsewhere(goal: &HomeGoal<'_>, slot: &SlotName, release: &ReleaseId) -> bool {
    let slots = goal
        .before
        .hosts
        .values()
        .filter_map(|seen| seen.was.as_ref())
        .flat_map(|was| &was.slots);
    slots
        .filter(|(name, _)| *name != slot)
        .any(|(_, seen)| seen.release() == Some(release))
}

fn clean_ups(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<HostStep> {
    let switches = goal.plan.switches();
    let clean = |(host, switch): (&HostName, &super::Switch)| {
        let clean = switch.clean_up();
        HostStep {
            host: host.clone(),
            step: Step::FinishNginx { clean },
        }
    };
    let reachable = |(host, _): &(&HostName, &super::Switch)| scene.nginx(host).is_some();
    switches.into_iter().filter(reachable).map(clean).collect()
}

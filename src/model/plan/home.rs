//! The way home: from whatever is true after a failure to the routing before the run. It is planned
//! from a fresh observation, never from a list of what was done.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::names::{HostName, Port, ReleaseId, SlotName};
use crate::model::observed::{HostObserved, NginxObserved, Observed};
use crate::model::phase::Phase;
use crate::model::process::ProcessIdentity;

use super::forward::Scene;
use super::step::{HostStep, NginxFacts, Plan, Stage, Step, Switch};
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
    for (host, switch) in goal.plan.switches() {
        let Some(before) = goal.before.hosts.get(host).and_then(|seen| seen.nginx.as_ref()) else {
            continue;
        };
        let now = scene.nginx(host);
        let shows_us = now.is_some_and(|now| shows(switch, before, now));
        if shows_us || goal.told_to_switch.contains(host) {
            let generation = before.entry.content.as_deref().and_then(generation_of);
            let nginx = now.and_then(NginxFacts::of);
            steps.push(HostStep {
                host: host.clone(),
                step: Step::Revert { generation, nginx },
            });
        }
    }
    steps
}

/// Whether an nginx shows the work of our switch, whole or half done. What somebody else changed
/// meanwhile, such as another application's site beside ours, is not ours to put back.
fn shows(switch: &Switch, before: &NginxObserved, now: &NginxObserved) -> bool {
    let runs = switch.generation.is_some() && now.generation == switch.generation;
    let placed = now.entry != before.entry && now.entry.content.as_ref() == Some(&switch.after);
    let renamed = switch.takes_over.as_ref().is_some_and(|taken| {
        let name = taken.file_name();
        before.siblings.contains_key(name) && !now.siblings.contains_key(name)
    });
    runs || placed || renamed
}

fn withdrawals(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<HostStep> {
    let slot = &goal.plan.to;
    let uploads = goal.plan.stage(Phase::Upload).is_some();
    let release = &goal.plan.release.id;
    let mark_failed = goal.blames_release && !runs_elsewhere(goal, slot, release);
    let step = |host: &HostName| {
        let instance = started(scene, goal, host);
        (instance.is_some() || uploads).then(|| HostStep {
            host: host.clone(),
            step: Step::Withdraw {
                instance,
                release: release.clone(),
                mark_failed,
            },
        })
    };
    scene.topology.was.keys().filter_map(step).collect()
}

/// The process that this run started on a host, if it runs.
fn started(
    scene: &Scene<'_>,
    goal: &HomeGoal<'_>,
    host: &HostName,
) -> Option<(SlotName, Port, ProcessIdentity)> {
    let slot = &goal.plan.to;
    let port = *scene.topology.was.get(host)?.ports.get(slot)?;
    let recorded = |observed: &Observed| {
        let record = observed.slot(host, slot)?.running_record()?;
        Some(record.identity.clone())
    };
    let identity = recorded(scene.observed)?;
    (recorded(goal.before).as_ref() != Some(&identity)).then(|| (slot.clone(), port, identity))
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
    let clean = |(host, switch): (&HostName, &Switch)| {
        let clean = switch.clean_up();
        HostStep {
            host: host.clone(),
            step: Step::FinishNginx { clean },
        }
    };
    let reachable = |(host, _): &(&HostName, &Switch)| scene.nginx(host).is_some();
    switches.into_iter().filter(reachable).map(clean).collect()
}

/// What the generation endpoint of each nginx host answers while its file is as it was observed.
pub fn home_generations(before: &Observed) -> BTreeMap<HostName, String> {
    let of = |(host, seen): (&HostName, &HostObserved)| {
        let content = seen.nginx.as_ref()?.entry.content.as_deref()?;
        Some((host.clone(), generation_of(content)?))
    };
    before.hosts.iter().filter_map(of).collect()
}

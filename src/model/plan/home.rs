//! The way home: from whatever is true to the routing before a run. It is planned from a fresh observation
//! and from what the run has on record, never from a list of what was done: a run that fails and one that
//! is taken back after its controller died go the same way.

use std::collections::BTreeSet;

use crate::model::endpoint::Endpoint;
use crate::model::live::{Live, NginxView};
use crate::model::names::{HostName, Port, ReleaseId, RunId, SlotName};
use crate::model::observed::NginxObserved;
use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::playbook::SwitchStyle;
use crate::model::process::StopTarget;
use crate::model::record::RunRecord;

use super::forward::Scene;
use super::hooks::{self, Because};
use super::stages;
use super::step::{HostStep, NginxFacts, Stage, Step};
use super::switch::generation_of;
use super::victims;

/// Where home is, and what may have happened since.
#[derive(Debug, Clone, Copy)]
pub struct HomeGoal<'a> {
    /// What the run meant to do, and from where.
    pub record: &'a RunRecord,
    /// The nginx hosts that were told to switch, whatever they answered.
    pub told_to_switch: &'a BTreeSet<HostName>,
    /// Whether the release is to blame, and gets the mark that keeps it from being chosen again.
    pub blames_release: bool,
    /// Why the run goes back.
    pub because: Because,
}

/// Plans the way home: first traffic, and the end of what was under way, then what the run started, then
/// what it left on nginx hosts. Whom the kernel killed for want of memory meanwhile is started again once there is
/// room. The playbook's own hooks come last.
/// Nothing is stopped unless every revert succeeded; a drain or a stop that failed does not end the walk.
pub fn home(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<Stage> {
    let live = Live::read(scene.topology, scene.observed);
    let reverts = reverts(scene, goal, &live);
    let withdrawals = withdrawals(scene, goal);
    let drains = drains(scene, goal.record, &reverts, &withdrawals);
    let outcome = if reverts.is_empty() {
        Outcome::AsItWas
    } else {
        Outcome::RolledBack
    };
    let mut stages = stages::in_order([
        (Phase::Revert, reverts),
        (Phase::Drain, drains),
        (Phase::Hook, hooks::ends(scene, goal.record.place().0)),
        (Phase::Stop, withdrawals),
        (Phase::Start, victims::restarts(scene, goal.record)),
        (Phase::Finish, stages::finish_nginx(scene, &live)),
    ]);
    // That a leg went home is not the end of its run.
    if goal.record.journey.is_none() {
        stages.extend(hooks::on_failure(scene, goal.record, goal.because, outcome));
    }
    stages
}

fn reverts(scene: &Scene<'_>, goal: &HomeGoal<'_>, live: &Live) -> Vec<HostStep> {
    let mut steps = Vec::new();
    for host in scene.topology.nginx.keys() {
        let now = scene.nginx(host);
        let moved = now.is_some_and(|now| may_have_switched(scene, goal.record, live.hosts.get(host), now));
        if moved || goal.told_to_switch.contains(host) {
            let generation = goal.record.home_generations.get(host).cloned();
            let nginx = now.and_then(NginxFacts::of);
            steps.push(HostStep {
                host: host.clone(),
                step: Step::Revert { generation, nginx },
            });
        }
    }
    steps
}

/// Workers of the reverted generation may still have requests for what the run started; with a single slot those of the
/// routing before, too, for it stands where another instance did.
fn drains(
    scene: &Scene<'_>,
    record: &RunRecord,
    reverts: &[HostStep],
    withdrawals: &[HostStep],
) -> Vec<HostStep> {
    let ends = |on: &HostStep| {
        matches!(
            on.step,
            Step::Withdraw {
                instance: Some(_),
                ..
            }
        )
    };
    if record.journey.is_some() && withdrawals.iter().any(ends) {
        let nginx = scene.topology.nginx.keys();
        let drain = |host: &HostName| {
            let master = NginxFacts::of(scene.nginx(host)?)?.master;
            Some(stages::on(host, Step::DrainWorkers { master }))
        };
        return nginx.filter_map(drain).collect();
    }
    let drain = |on: &HostStep| match &on.step {
        Step::Revert { nginx, .. } => nginx.as_ref().map(|nginx| HostStep {
            host: on.host.clone(),
            step: Step::DrainWorkers {
                master: nginx.master.clone(),
            },
        }),
        _ => None,
    };
    reverts.iter().filter_map(drain).collect()
}

/// Whether an nginx was armed by the run, or shows the work of its switch. What somebody else changed
/// meanwhile, such as another application's site beside ours, is not ours to put back.
fn may_have_switched(
    scene: &Scene<'_>,
    record: &RunRecord,
    view: Option<&NginxView>,
    now: &NginxObserved,
) -> bool {
    let has_home = now.saved_homes.iter().any(|home| home == record.run.as_str());
    let was_armed = now.newest_token(&record.run).is_some();
    let says_who = matches!(scene.playbook.nginx.style, SwitchStyle::Site(_));
    has_home && was_armed || (says_who || has_home) && shows(scene, record, view, now)
}

/// Whether an nginx has a routing of the run, on the disk or running. The user's own files have no generation
/// and do not say who put them there.
pub(super) fn shows(
    scene: &Scene<'_>,
    record: &RunRecord,
    view: Option<&NginxView>,
    now: &NginxObserved,
) -> bool {
    let is_of_run = |generation: &str| {
        let generation = RunId::new(generation).ok();
        generation.is_some_and(|generation| generation.switch_of(&record.run).is_some())
    };
    match scene.playbook.nginx.style {
        SwitchStyle::Site(_) => {
            let on_disk = now.entry.content.as_deref().and_then(generation_of);
            let running = now.generation.as_deref();
            running.into_iter().chain(on_disk.as_deref()).any(is_of_run)
        }
        SwitchStyle::ConfPerSlot(_) | SwitchStyle::Include(_) => {
            record.to_slot.is_some() && view.is_some_and(|view| view.slot == record.to_slot)
        }
    }
}

fn withdrawals(scene: &Scene<'_>, goal: &HomeGoal<'_>) -> Vec<HostStep> {
    let record = goal.record;
    let (Some(slot), Some(release)) = (&record.to_slot, &record.release) else {
        return Vec::new();
    };
    if !record.starts {
        return Vec::new();
    }
    let mark_failed = goal.blames_release && !runs_elsewhere(scene, record, slot, release);
    let step = |host: &HostName| HostStep {
        host: host.clone(),
        step: Step::Withdraw {
            instance: started(scene, record, host, slot, release),
            release: release.clone(),
            mark_failed,
        },
    };
    scene.topology.was.keys().map(step).collect()
}

/// What is ended on a host: the process on record, if the run started it, or all that a start left that was cut
/// off.
fn started(
    scene: &Scene<'_>,
    record: &RunRecord,
    host: &HostName,
    slot: &SlotName,
    release: &ReleaseId,
) -> Option<(SlotName, Port, StopTarget)> {
    let port = *scene.topology.was.get(host)?.ports.get(slot)?;
    let at = Endpoint {
        host: host.clone(),
        port,
    };
    // No run starts anything where it leads home to; what runs there may be another process by now, where a unit runs it.
    if record.from_routing.routes_to(&at) {
        return None;
    }
    let seen = scene.observed.slot(host, slot)?;
    // Whether anything is left of it is asked once more when it is ended. Whoever began it, the run itself, one that
    // went on with it, or an earlier one: the run would have ended it before it started its own.
    if let Some(start) = &seen.unfinished {
        return Some((slot.clone(), port, StopTarget::Start(start.word.clone())));
    }
    let runs = seen.running_record()?;
    let ours = runs.release == *release && !record.occupants.contains(&runs.identity);
    ours.then(|| (slot.clone(), port, StopTarget::Process(runs.identity.clone())))
}

/// The same release may be the live one: a deploy of it that failed says nothing against it.
fn runs_elsewhere(scene: &Scene<'_>, record: &RunRecord, slot: &SlotName, release: &ReleaseId) -> bool {
    let hosts = scene.observed.hosts.values();
    let slots = hosts
        .filter_map(|seen| seen.was.as_ref())
        .flat_map(|was| &was.slots);
    let mut others = slots.filter(|(name, _)| *name != slot);
    record.from_release.as_ref() == Some(release) || others.any(|(_, seen)| seen.release() == Some(release))
}

//! Where the playbook's hooks stand in a plan: each is a stage of its own on all of its hosts, so that the next one
//! begins when it is through everywhere. What a host has on record as done is not planned again.

use std::collections::BTreeMap;

use crate::model::defect::{Defect, planted};
use crate::model::finding::{Finding, Problem};
use crate::model::hook::{
    Hook, HookCall, HookId, HookObserved, HookPlace, HookPoint, HookState, HookWord, Recall, Repeats, recall,
};
use crate::model::names::{HostName, ReleaseId, RunId, SlotName};
use crate::model::observed::Observed;
use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::record::RunRecord;

use super::forward::{Decision, Scene};
use super::stages::{in_order, on};
use super::step::{HostStep, Stage, Step};

/// What hooks are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// The slot that has the traffic.
    pub(super) from: Option<&'a SlotName>,
    /// The slot that gets it.
    pub(super) to: &'a SlotName,
    /// The release that the run brings.
    pub(super) release: &'a ReleaseId,
    /// What kind of run it is.
    pub(super) kind: &'static str,
}

impl<'a> From<&'a Decision> for About<'a> {
    fn from(decision: &'a Decision) -> Self {
        Self {
            from: decision.from.as_ref(),
            to: &decision.to,
            release: &decision.release.id,
            kind: if decision.sends { "deploy" } else { "rollback" },
        }
    }
}

/// Whether a point is passed once in a run, or once for each part of its WAS hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The turn that stands for the run: every place has its hooks.
    OfRun,
    /// One of the others: only its WAS hosts have theirs.
    OfHosts,
}

/// The stages of a point: its hooks one after another. `was` are the WAS hosts that it is about now, and `first` is
/// the first of all that it is about in this run, where its turn is now.
pub(super) fn stages(
    scene: &Scene<'_>,
    point: HookPoint,
    about: About<'_>,
    (was, first): (&[&HostName], Option<&HostName>),
    turn: Turn,
) -> Vec<Stage> {
    let stage = |hook: &Hook| {
        let hosts: Vec<&HostName> = match (hook.place, turn) {
            (HookPlace::Was, _) => was.to_vec(),
            // Where it has begun on one host it is for no other.
            (HookPlace::First, _) => first
                .map(|first| begun_on(scene, hook).unwrap_or(first))
                .into_iter()
                .collect(),
            (HookPlace::Nginx, Turn::OfRun) => scene.topology.nginx.keys().collect(),
            (HookPlace::Controller, Turn::OfRun) => carrier(scene).into_iter().collect(),
            (HookPlace::Nginx | HookPlace::Controller, Turn::OfHosts) => Vec::new(),
        };
        let left = hosts.into_iter().filter(|host| !is_done(scene, hook, host));
        let steps = left.map(|host| on(host, Step::Hook(Box::new(call(scene, hook, host, about)))));
        (Phase::Hook, steps.collect::<Vec<_>>())
    };
    in_order(scene.playbook.hooks.at(point).map(stage))
}

/// The host that knows of a hook of the run.
fn begun_on<'a>(scene: &Scene<'a>, hook: &Hook) -> Option<&'a HostName> {
    let of = |(_, seen): &(&HostName, &HookObserved)| seen.hook == hook.id && seen.run == *scene.run;
    let (host, _) = seen(scene.observed).find(of)?;
    scene.topology.was.get_key_value(host).map(|(host, _)| host)
}

/// The host under whose name a hook of the controller goes.
fn carrier<'a>(scene: &Scene<'a>) -> Option<&'a HostName> {
    scene.topology.was.keys().next()
}

/// The stages of a point that is passed once, for the hosts of the new slot.
pub(super) fn once(scene: &Scene<'_>, point: HookPoint, decision: &Decision) -> Vec<Stage> {
    let was = scene.topology.hosts_of(&decision.to);
    let first = was.first().copied();
    stages(scene, point, decision.into(), (&was, first), Turn::OfRun)
}

/// The stages before the old slot ends, where anything of it does.
pub(super) fn before_stop(scene: &Scene<'_>, decision: &Decision, stops: &[HostStep]) -> Vec<Stage> {
    let ends = |on: &&HostStep| matches!(on.step, Step::Stop { .. });
    let was: Vec<&HostName> = stops.iter().filter(ends).map(|on| &on.host).collect();
    if was.is_empty() {
        return Vec::new();
    }
    let first = was.first().copied();
    stages(
        scene,
        HookPoint::BeforeStop,
        decision.into(),
        (&was, first),
        Turn::OfRun,
    )
}

/// Why a run goes back, for its hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// A phase failed.
    Failed(Phase),
    /// A hook of that point failed.
    Hook(HookPoint),
    /// A signal came, or the time was up.
    Interrupted,
    /// Somebody takes it back: a person, or whoever resumes it.
    TakenBack,
}

/// The stages at the end of a way back: their failing changes nothing.
pub fn on_failure(scene: &Scene<'_>, record: &RunRecord, because: Because, outcome: Outcome) -> Vec<Stage> {
    let (Some(to), Some(release)) = (&record.to_slot, &record.release) else {
        return Vec::new();
    };
    let about = About {
        from: record.from_slot.as_ref(),
        to,
        release,
        kind: match record.kind {
            crate::model::record::RunKind::Deploy => "deploy",
            _ => "rollback",
        },
    };
    let was: Vec<&HostName> = scene.topology.was.keys().collect();
    let first = was.first().copied();
    let mut stages = stages(scene, HookPoint::OnFailure, about, (&was, first), Turn::OfRun);
    let phase = match because {
        Because::Failed(phase) => phase.as_str(),
        Because::Hook(point) => point.as_str(),
        Because::Interrupted => "interrupted",
        Because::TakenBack => "taken_back",
    };
    for on in stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        if let Step::Hook(call) = &mut on.step {
            call.env.insert("NONSTOP_PHASE".to_owned(), phase.to_owned());
            call.env.insert("NONSTOP_OUTCOME".to_owned(), outcome.to_string());
        }
    }
    stages
}

/// The end of hooks that a run has left behind and that still run.
pub(super) fn ends(scene: &Scene<'_>, run: &RunId) -> Vec<HostStep> {
    let end = |(host, hook): (HostName, HookId)| {
        let run = run.clone();
        on(&host, Step::EndHook { run, hook })
    };
    running_hooks(scene.observed, run).into_iter().map(end).collect()
}

/// The hooks of a run that run longer than they may, with their hosts.
pub fn overdue_hooks(observed: &Observed, run: &RunId) -> Vec<(HostName, HookId)> {
    of_run(observed, run, |state| state == HookState::Overdue)
}

/// The hooks of a run that run, with their hosts.
pub fn running_hooks(observed: &Observed, run: &RunId) -> Vec<(HostName, HookId)> {
    of_run(observed, run, HookState::runs)
}

fn of_run(observed: &Observed, run: &RunId, is: impl Fn(HookState) -> bool) -> Vec<(HostName, HookId)> {
    let of = |(_, seen): &(&HostName, &HookObserved)| seen.run == *run && is(seen.state);
    let found = seen(observed).filter(of);
    found.map(|(host, seen)| (host.clone(), seen.hook)).collect()
}

fn seen(observed: &Observed) -> impl Iterator<Item = (&HostName, &HookObserved)> {
    let hosts = observed.hosts.iter();
    hosts.flat_map(|(host, seen)| seen.hooks.iter().map(move |hook| (host, hook)))
}

/// Whether a hook has ended well: on its host, or as anybody knows where it is the controller's.
fn is_done(scene: &Scene<'_>, hook: &Hook, host: &HostName) -> bool {
    ended(scene, hook, host, scene.run).any(|state| state == HookState::Done)
}

fn ended(scene: &Scene<'_>, hook: &Hook, host: &HostName, run: &RunId) -> impl Iterator<Item = HookState> {
    let anywhere = hook.place == HookPlace::Controller;
    let of = move |(on, seen): &(&HostName, &HookObserved)| {
        seen.hook == hook.id && seen.run == *run && (anywhere || *on == host) && seen.is(hook)
    };
    seen(scene.observed).filter(of).map(|(_, seen)| seen.state)
}

/// Hooks that run on the hosts, for whichever run.
pub(super) fn running(observed: &Observed) -> Vec<Finding> {
    let running = seen(observed).filter(|(_, seen)| seen.state.runs());
    running.map(|(host, seen)| runs(host, seen)).collect()
}

fn runs(host: &HostName, seen: &HookObserved) -> Finding {
    let problem = Problem::HookRuns {
        hook: seen.hook,
        run: seen.run.clone(),
    };
    Finding::refusal(Some(host), problem)
}

/// Hooks that keep a run from going on: those that still run, and those of which no person has said what is to become of
/// them though nobody knows how they ended, or the playbook has another one in their place by now.
pub fn unclear_hooks(scene: &Scene<'_>, record: &RunRecord, words: &[HookWord]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let (run, _) = record.place();
    for (host, seen) in seen(scene.observed).filter(|(_, seen)| seen.run == *run) {
        if seen.state.runs() {
            findings.push(runs(host, seen));
            continue;
        }
        let known = scene.playbook.hooks.get(seen.hook);
        // One that the playbook has no more runs never again, nor does any once the old slot's end has begun; and a way
        // back asks nobody.
        let may_run = |hook: &&Hook| hook.id.point != HookPoint::OnFailure && !record.point_of_no_return;
        let Some(hook) = known.filter(may_run) else {
            continue;
        };
        let (name, run) = (seen.hook, seen.run.clone());
        let problem = if !seen.is(hook) && recall(words, name, host) == Recall::Ask {
            Problem::HookChanged { hook: name, run }
        } else if seen.state == HookState::Unknown && is_unclear(scene, hook, host, record, words) {
            Problem::HookUnknown { hook: name, run }
        } else {
            continue;
        };
        let host = Some(host).filter(|_| hook.place != HookPlace::Controller);
        let finding = Finding::refusal(host, problem);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

fn is_unclear(
    scene: &Scene<'_>,
    hook: &Hook,
    host: &HostName,
    record: &RunRecord,
    words: &[HookWord],
) -> bool {
    let is_known = |state| matches!(state, HookState::Done | HookState::Failed);
    let asks = recall(words, hook.id, host) == Recall::Ask && !planted(Defect::HookRunsTwice);
    hook.repeats == Repeats::Never && asks && !ended(scene, hook, host, record.place().0).any(is_known)
}

fn call(scene: &Scene<'_>, hook: &Hook, host: &HostName, about: About<'_>) -> HookCall {
    let on_controller = hook.place == HookPlace::Controller;
    let port = |slot: Option<&SlotName>| {
        let was = scene.topology.was.get(host).filter(|_| !on_controller);
        let port = was.and_then(|was| was.ports.get(slot?));
        port.map(ToString::to_string).unwrap_or_default()
    };
    let text = |value: Option<&SlotName>| value.map(ToString::to_string).unwrap_or_default();
    let env = [
        ("APP", scene.topology.app.to_string()),
        ("RUN", scene.run.to_string()),
        ("KIND", about.kind.to_owned()),
        ("RELEASE", about.release.to_string()),
        ("SLOT", about.to.to_string()),
        ("PORT", port(Some(about.to))),
        ("FROM_SLOT", text(about.from)),
        ("FROM_PORT", port(about.from)),
        ("HOOK", hook.id.point.to_string()),
        (
            "HOST",
            if on_controller {
                "controller".to_owned()
            } else {
                host.to_string()
            },
        ),
    ];
    let env: BTreeMap<String, String> = env
        .into_iter()
        .map(|(name, value)| (format!("NONSTOP_{name}"), value))
        .collect();
    HookCall {
        hook: hook.clone(),
        run: scene.run.clone(),
        env,
    }
}

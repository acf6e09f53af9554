//! A run that changes the fleet, from the first connection to the last line: deploy and rollback
//! are this with different goals.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::lock::Owner;
use crate::model::names::{HostName, ReleaseId, RunId};
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Goal, Plan, Scene};
use crate::model::playbook::Playbook;
use crate::model::release::Release;
use crate::model::topology::Topology;

use super::connect::connect;
use super::context::{Context, Interrupt, Ledger};
use super::crew::Crew;
use super::execute::{self, Ended};
use super::fleet::{Fleet, Host};
use super::lock::{self, LockError};
use super::observe;

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The hosts.
    pub topology: &'a Topology,
    /// The rules.
    pub playbook: &'a Playbook,
    /// What to bring.
    pub wanted: Wanted,
    /// The run's own name.
    pub run: RunId,
    /// Who runs it.
    pub owner: Owner,
    /// When it began; names a new release.
    pub began: Timestamp,
    /// How long to wait while somebody else holds the lock.
    pub lock_wait: Duration,
}

/// What a run brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A jar that lies on the controller.
    Jar(LocalJar),
    /// A release that the hosts have: the one given, or the one before the live one.
    Earlier(Option<ReleaseId>),
}

/// A jar on the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalJar {
    /// The file.
    pub path: PathBuf,
    /// Its name, without folders.
    pub name: String,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The state of the fleet.
    pub outcome: Outcome,
    /// The exit code.
    pub exit: Exit,
}

/// Runs it.
pub async fn run<F: Fleet>(
    fleet: &F,
    request: &Request<'_>,
    interrupt: Interrupt,
    events: &dyn Fn(Event),
) -> Verdict {
    let began = Instant::now();
    let topology = request.topology;
    events(Event::RunStarted {
        run: request.run.clone(),
        app: topology.app.clone(),
        owner: request.owner.clone(),
        was: topology.was.keys().cloned().collect(),
        nginx: topology.nginx.keys().cloned().collect(),
    });
    let ended = match connect(fleet, topology, &interrupt, events).await {
        Ok(hosts) => {
            let crew = Crew::new(request.run.clone(), hosts);
            let context = Context {
                topology,
                playbook: request.playbook,
                crew: &crew,
                events,
                interrupt: interrupt.clone(),
                ledger: Ledger::default().into(),
            };
            connected(&context, request).await
        }
        Err(findings) => refused(events, &interrupt, findings),
    };
    events(Event::RunEnded {
        outcome: ended.verdict.outcome,
        exit: ended.verdict.exit,
        live: ended.live,
        live_slot: ended.live_slot,
        took: began.elapsed(),
        switch_took: ended.switch_took,
    });
    ended.verdict
}

fn refused(events: &dyn Fn(Event), interrupt: &Interrupt, findings: Vec<Finding>) -> Ended {
    if let Some(signal) = interrupt.signal() {
        return Ended::unchanged(Exit::Signalled(signal));
    }
    let locked = findings
        .iter()
        .any(|finding| matches!(finding.problem, Problem::Locked { .. }));
    events(Event::Refused { findings });
    Ended::unchanged(if locked { Exit::Locked } else { Exit::Refused })
}

async fn connected<H: Host>(context: &Context<'_, H>, request: &Request<'_>) -> Ended {
    let observed = match observe_all(context).await {
        Ok(observed) => observed,
        Err(findings) => return refused(context.events, &context.interrupt, findings),
    };
    // A fleet that no lock should be taken on is refused before its locks are touched.
    if let Err(findings) = plan_for(context, request, &observed) {
        let held = observed.hosts.values().any(|seen| seen.lock.run.is_some());
        if !held {
            return refused(context.events, &context.interrupt, findings);
        }
    }
    if let Err(error) = take_lock(context, request, &observed).await {
        return refused(context.events, &context.interrupt, vec![error]);
    }
    let ended = locked(context, request).await;
    for (host, reason) in lock::give_back(context, context.crew.hosts()).await {
        let problem = Problem::LockLeft { reason };
        context.tell(Event::Warned {
            finding: Finding::warning(Some(&host), problem),
        });
    }
    ended
}

async fn take_lock<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    observed: &Observed,
) -> Result<(), Finding> {
    let phase = Phase::Lock;
    let began = Instant::now();
    context.tell(Event::PhaseStarted {
        phase,
        hosts: context.crew.hosts().cloned().collect(),
    });
    let taken = lock::take(context, observed, &request.owner, request.lock_wait).await;
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: taken.is_ok(),
    });
    taken.map_err(|error| match error {
        LockError::Held { host, lock } => Finding::refusal(Some(&host), Problem::Locked { lock }),
        LockError::Call { host, error } => Finding::refusal(
            Some(&host),
            Problem::CannotObserve {
                reason: error.to_string(),
            },
        ),
        LockError::Interrupted => Finding::refusal(
            None,
            Problem::CannotObserve {
                reason: "interrupted while waiting for the lock".to_owned(),
            },
        ),
    })
}

async fn observe_all<H: Host>(context: &Context<'_, H>) -> Result<Observed, Vec<Finding>> {
    let phase = Phase::Observe;
    let began = Instant::now();
    context.tell(Event::PhaseStarted {
        phase,
        hosts: context.crew.hosts().cloned().collect(),
    });
    let (observed, failed) = observe::observe(context.topology, context.playbook, context.crew).await;
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: failed.is_empty(),
    });
    if failed.is_empty() {
        Ok(observed)
    } else {
        Err(findings_of(failed))
    }
}

/// The findings of hosts that could not be asked.
pub fn findings_of(failed: BTreeMap<HostName, super::fleet::CallError>) -> Vec<Finding> {
    let finding = |(host, error): (HostName, super::fleet::CallError)| {
        let problem = match Failure::from(error) {
            Failure::Sudo { command } => Problem::SudoRefused { command },
            failure => Problem::CannotObserve {
                reason: failure.to_string(),
            },
        };
        Finding::refusal(Some(&host), problem)
    };
    failed.into_iter().map(finding).collect()
}

fn plan_for<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    observed: &Observed,
) -> Result<Plan, Vec<Finding>> {
    make_plan(
        context.topology,
        context.playbook,
        observed,
        &request.run,
        &request.wanted,
        request.began,
    )
}

/// The plan that a run would follow from what was observed; pure.
pub fn make_plan(
    topology: &Topology,
    playbook: &Playbook,
    observed: &Observed,
    run: &RunId,
    wanted: &Wanted,
    began: Timestamp,
) -> Result<Plan, Vec<Finding>> {
    let goal = match wanted {
        Wanted::Jar(jar) => Goal::Deploy(release_of(observed, jar, began)?),
        Wanted::Earlier(release) => Goal::Rollback(release.clone()),
    };
    let scene = Scene {
        topology,
        playbook,
        observed,
        run,
    };
    plan::forward(&scene, &goal)
}

/// The release of a jar: one that a host has already, by its digest, or a new one.
fn release_of(observed: &Observed, jar: &LocalJar, began: Timestamp) -> Result<Release, Vec<Finding>> {
    let kept = observed
        .hosts
        .values()
        .filter_map(|seen| seen.was.as_ref())
        .flat_map(|was| &was.releases);
    let same = kept
        .filter(|release| release.sha256 == jar.sha256)
        .map(|release| &release.id)
        .max();
    let new = Release::new(began, &jar.name, &jar.sha256, jar.size_bytes).map_err(|error| {
        vec![Finding::refusal(
            None,
            Problem::CannotRender {
                reason: error.to_string(),
            },
        )]
    })?;
    Ok(match same {
        Some(id) => Release {
            id: id.clone(),
            ..new
        },
        None => new,
    })
}

async fn locked<H: Host>(context: &Context<'_, H>, request: &Request<'_>) -> Ended {
    // Between the first look and the lock, somebody else may have ended a run.
    let observed = match observe_all(context).await {
        Ok(observed) => observed,
        Err(findings) => return refused(context.events, &context.interrupt, findings),
    };
    let plan = match plan_for(context, request, &observed) {
        Ok(plan) => plan,
        Err(findings) => return refused(context.events, &context.interrupt, findings),
    };
    let preflight = super::preflight::preflight(context, &plan).await;
    let (refusals, warnings): (Vec<_>, Vec<_>) = plan
        .warnings
        .iter()
        .cloned()
        .chain(preflight)
        .partition(|finding| finding.severity == crate::model::finding::Severity::Refusal);
    if !refusals.is_empty() {
        return refused(context.events, &context.interrupt, refusals);
    }
    context.tell(Event::Planned {
        from: plan.from.clone(),
        to: plan.to.clone(),
        from_release: plan.from_release.clone(),
        release: plan.release.id.clone(),
        phases: plan.phases(),
    });
    for finding in warnings {
        context.tell(Event::Warned { finding });
    }
    execute::execute(context, request, &observed, &plan).await
}

//! A run that changes the fleet, from the first connection to the last line: deploy and rollback
//! are this with different goals.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookWord;
use crate::model::lock::Owner;
use crate::model::names::{JarPattern, ReleaseId, RunId, SlotName};
use crate::model::observed::Observed;
use crate::model::outcome::{Cause, Exit, Outcome};
use crate::model::plan::{self, Goal, Plan, Promote, Scene};
use crate::model::playbook::Playbook;
use crate::model::release::Release;
use crate::model::topology::Topology;

use super::connect::connect;
use super::context::{Context, Interrupt, Ledger};
use super::crew::Crew;
use super::execute::{self, Ended};
use super::fleet::{Fleet, Host};
use super::heartbeat;
use super::opening::{self, Opening};

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
    /// What a person says of hooks of which nobody knows how they ended.
    pub hook_words: Vec<HookWord>,
}

/// What a run brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A jar that lies on the controller.
    Jar(LocalJar),
    /// The newest jar that a deploy agent has put on the hosts, the same on each.
    OnHosts(JarPattern),
    /// A release that the hosts have: the one given, or the one before the live one.
    Earlier(Option<ReleaseId>),
    /// One way of a drill: nobody means to leave the live release for good.
    Drill(Leg),
    /// Nothing of its own: a run that never ended is seen through.
    Resume,
    /// Nothing of its own: a run that waits for a person goes on.
    Promote(Promote),
    /// One slot for nginx hosts that disagree.
    Converge {
        /// The slot.
        to: SlotName,
    },
}

/// One way of a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leg {
    /// To the release before the live one, if the live one can be brought back afterwards.
    Back,
    /// Forward again, if nobody came in between.
    Forward {
        /// The release that the drill went back to.
        from: ReleaseId,
        /// The release that it began with.
        to: ReleaseId,
    },
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
    if !topology.left_out().is_empty() {
        events(Event::LeftOut {
            was: topology.without.was.keys().cloned().collect(),
            nginx: topology.without.nginx.keys().cloned().collect(),
        });
    }
    let ended = match connect(fleet, topology, &interrupt, events).await {
        Ok(hosts) => {
            let crew = Crew::new(request.run.clone(), hosts);
            let context = Context {
                topology,
                playbook: request.playbook,
                crew: &crew,
                events,
                interrupt: interrupt.clone(),
                controller: fleet.controller(),
                hook_words: &request.hook_words,
                began: (request.began, began),
                ledger: Ledger::default().into(),
            };
            let lease = request.playbook.lock.lease;
            heartbeat::during(&crew, lease, connected(&context, request)).await
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
    match interrupt.cause() {
        Some(Cause::Signal(signal)) => return Ended::unchanged(Exit::Signalled(signal)),
        // What was found says more than that the time is up.
        Some(cause) if findings.is_empty() => {
            let unwinds = true;
            events(Event::Interrupted { cause, unwinds });
            return Ended::unchanged(Exit::Failed);
        }
        _ => {}
    }
    let is_lock = |problem: &Problem| matches!(problem, Problem::Locked { .. } | Problem::RunWaits { .. });
    let locked = findings.iter().any(|finding| is_lock(&finding.problem));
    events(Event::Refused { findings });
    Ended::unchanged(if locked { Exit::Locked } else { Exit::Refused })
}

async fn connected<H: Host>(context: &Context<'_, H>, request: &Request<'_>) -> Ended {
    let ready = match opening::open(context, request).await {
        Ok(Opening::Ready(ready)) => ready,
        Ok(Opening::Over(ended)) => return ended,
        Err(findings) => return refused(context.events, &context.interrupt, findings),
    };
    let plan = &ready.plan;
    context.tell(plan.announced());
    for finding in plan.warnings.iter().cloned() {
        context.tell(Event::Warned { finding });
    }
    let ended = execute::execute(context, request, &ready.observed, plan).await;
    if ended.verdict.outcome != Outcome::TakenOver {
        opening::close(context).await;
    }
    ended
}

/// The plan that a run would follow from what was observed; pure. A run that only goes on with another has
/// none of its own.
pub fn make_plan(
    topology: &Topology,
    playbook: &Playbook,
    observed: &Observed,
    run: &RunId,
    wanted: &Wanted,
    began: Timestamp,
) -> Result<Plan, Vec<Finding>> {
    let scene = Scene {
        topology,
        playbook,
        observed,
        run,
    };
    let goal = match wanted {
        Wanted::Jar(jar) => Goal::Deploy(release_of(observed, jar, began)?),
        Wanted::OnHosts(pattern) => {
            let jar = plan::offered(&scene, pattern)?;
            let jar = LocalJar {
                path: PathBuf::new(),
                name: jar.path.file_name().to_owned(),
                sha256: jar.sha256.clone(),
                size_bytes: jar.size_bytes,
            };
            Goal::Deploy(release_of(observed, &jar, began)?)
        }
        Wanted::Earlier(release) => Goal::Rollback(release.clone()),
        Wanted::Drill(Leg::Back) => return plan::drill_back(&scene),
        Wanted::Drill(Leg::Forward { from, to }) => return plan::drill_forward(&scene, from, to),
        Wanted::Converge { to } => return plan::converge_to(&scene, to),
        Wanted::Resume => return Err(Vec::new()),
        Wanted::Promote(how) => return plan::promoted(&scene, *how),
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

//! Runs a plan, stage by stage, and turns to the way home where a stage fails or a signal comes.
//! From the point of no return on there is only the way forward.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome, Signal};
use crate::model::phase::Phase;
use crate::model::plan::{Plan, Stage};
use crate::model::record::{RunRecord, RunStatus};
use crate::remote::command::{Command, Record};

use super::context::Context;
use super::crew::{answer, passed};
use super::fleet::Host;
use super::homeward::{self, Reason};
use super::run::{Request, Verdict, Wanted};
use super::stage::{self, Patience, StageEnd};
use super::steps::Job;

/// How a run ended, with what reporters want to know of it.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Outcome and exit code.
    pub verdict: Verdict,
    /// The release that has the traffic now, where it is known.
    pub live: Option<ReleaseId>,
    /// The slot that has the traffic now, where it is known.
    pub live_slot: Option<SlotName>,
    /// How long the switch took.
    pub switch_took: Option<Duration>,
}

impl Ended {
    /// Nothing was changed.
    pub fn unchanged(exit: Exit) -> Self {
        let verdict = Verdict {
            outcome: Outcome::AsItWas,
            exit,
        };
        Self {
            verdict,
            live: None,
            live_slot: None,
            switch_took: None,
        }
    }
}

/// Runs the plan.
pub async fn execute<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    before: &Observed,
    plan: &Plan,
) -> Ended {
    let jar = match &request.wanted {
        Wanted::Jar(jar) => Some(jar.path.as_path()),
        Wanted::Earlier(_) => None,
    };
    let job = Job { plan, jar };
    remember_running(context, before, plan);
    let mut record = record_of(context, request, plan);
    let mut switch_took = None;
    for stage in &plan.stages {
        record.phase = stage.phase;
        let recorded = match stage.phase {
            Phase::Upload | Phase::Retire | Phase::Start | Phase::Commit => {
                write_record(context, &record).await
            }
            Phase::Verify if plan.stages.first() == Some(stage) => write_record(context, &record).await,
            Phase::Stop | Phase::Finish => return finish_forward(context, &job, record, switch_took).await,
            _ => Ok(()),
        };
        let began = Instant::now();
        let end = match recorded {
            Ok(()) => step_forward(context, &job, stage).await,
            Err(failures) => StageEnd::Failed(failures),
        };
        if stage.phase == Phase::Commit && end == StageEnd::Done {
            switch_took = Some(began.elapsed());
        }
        let reason = match end {
            StageEnd::Done => continue,
            StageEnd::Failed(failures) => Reason::Failed {
                phase: stage.phase,
                failures,
            },
            StageEnd::Interrupted(signal) => Reason::Interrupted(signal),
        };
        if stage.phase == Phase::Drain && matches!(reason, Reason::Failed { .. }) {
            // Not being able to see the end of old connections is no reason to move traffic again.
            keep_old_slot(context, plan);
            continue;
        }
        let keep = stage.phase == Phase::Bake && !context.playbook.update.auto_revert;
        if keep && matches!(reason, Reason::Failed { .. }) {
            return hold(plan, switch_took);
        }
        return homeward::go(context, before, &job, record, reason).await;
    }
    finish_forward(context, &job, record, switch_took).await
}

async fn step_forward<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &Stage) -> StageEnd {
    if let Some(signal) = context.interrupt.signal() {
        return StageEnd::Interrupted(signal);
    }
    let end = stage::run(context, job, stage, Patience::of(stage.phase)).await;
    match (end, context.interrupt.signal()) {
        (StageEnd::Done, Some(signal)) => StageEnd::Interrupted(signal),
        (end, _) => end,
    }
}

/// Instances of the target slot that run already: a rollback to a slot that was kept.
fn remember_running<H>(context: &Context<'_, H>, before: &Observed, plan: &Plan) {
    if plan.stage(Phase::Start).is_some() {
        return;
    }
    let mut ledger = context.ledger.borrow_mut();
    for endpoint in context.topology.endpoints(&plan.to) {
        let was = before
            .hosts
            .get(&endpoint.host)
            .and_then(|seen| seen.was.as_ref());
        let identity = was
            .and_then(|was| was.slots.get(&plan.to))
            .and_then(|slot| slot.identity());
        if let Some(identity) = identity {
            ledger.instances.insert(endpoint, identity.clone());
        }
    }
}

fn record_of<H: Host>(context: &Context<'_, H>, request: &Request<'_>, plan: &Plan) -> RunRecord {
    RunRecord {
        run: request.run.clone(),
        epoch: context.crew.epoch(),
        owner: request.owner.clone(),
        was: context.topology.was.keys().cloned().collect(),
        nginx: context.topology.nginx.keys().cloned().collect(),
        from_slot: plan.from.clone(),
        to_slot: Some(plan.to.clone()),
        release: Some(plan.release.id.clone()),
        phase: Phase::Preflight,
        point_of_no_return: false,
        status: RunStatus::Open,
    }
}

/// Writes the record on every host at once.
pub(super) async fn write_record<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
) -> Result<(), Vec<(HostName, Failure)>> {
    let json = serde_json::to_string_pretty(record).unwrap_or_default();
    let written = context.crew.hosts().map(|host| {
        let json = json.clone();
        async move {
            let fence = context.crew.fence(host);
            let call = async {
                answer!(
                    context
                        .crew
                        .call(host, Command::Record(Record { fence, json }))
                        .await?,
                    Record
                )
            };
            match call.await {
                Ok(fenced) => passed(fenced).map_err(|failure| (host.clone(), failure)),
                Err(error) => Err((host.clone(), Failure::from(error))),
            }
        }
    });
    let failures: Vec<_> = join_all(written)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

fn keep_old_slot<H>(context: &Context<'_, H>, plan: &Plan) {
    if let Some(from) = &plan.from {
        context
            .ledger
            .borrow_mut()
            .kept
            .extend(context.topology.endpoints(from));
    }
}

/// The new slot failed in the bake, and the playbook says that a person decides.
fn hold(plan: &Plan, switch_took: Option<Duration>) -> Ended {
    Ended {
        verdict: Verdict {
            outcome: Outcome::Deployed,
            exit: Exit::Mixed,
        },
        live: Some(plan.release.id.clone()),
        live_slot: Some(plan.to.clone()),
        switch_took,
    }
}

/// The old slot's end and what is left to do. Nothing here takes the run back; what does not work is
/// a warning.
async fn finish_forward<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    mut record: RunRecord,
    switch_took: Option<Duration>,
) -> Ended {
    let plan = job.plan;
    let mut taken_over = None;
    if let Some(stop) = plan.stage(Phase::Stop) {
        record.phase = Phase::Stop;
        record.point_of_no_return = true;
        match ready_to_stop(context, plan, &record).await {
            Ok(()) => {
                say_interrupt(context);
                if let StageEnd::Failed(failures) =
                    stage::run(context, job, stop, Patience::UntilAllAnswered).await
                {
                    taken_over = fenced_off(&failures);
                    warn(context, failures);
                }
            }
            Err(failures) => {
                taken_over = fenced_off(&failures);
                keep_old_slot(context, plan);
                warn(context, failures);
            }
        }
    }
    if taken_over.is_none() {
        if let Some(stage) = plan.stage(Phase::Finish)
            && let StageEnd::Failed(failures) =
                stage::run(context, job, stage, Patience::UntilAllAnswered).await
        {
            warn(context, failures);
        }
        record.phase = Phase::Finish;
        record.status = RunStatus::Done;
        if let Err(failures) = write_record(context, &record).await {
            warn(context, failures);
        }
    }
    let (outcome, exit) = match (taken_over, context.interrupt.signal()) {
        (Some(()), _) => (Outcome::TakenOver, Exit::Locked),
        (None, Some(signal)) => (Outcome::Deployed, Exit::Signalled(signal)),
        (None, None) => (Outcome::Deployed, Exit::Done),
    };
    Ended {
        verdict: Verdict { outcome, exit },
        live: Some(plan.release.id.clone()),
        live_slot: Some(plan.to.clone()),
        switch_took,
    }
}

/// Whether somebody else took over.
pub(super) fn fenced_off(failures: &[(HostName, Failure)]) -> Option<()> {
    failures
        .iter()
        .any(|(_, failure)| matches!(failure, Failure::Fenced { .. }))
        .then_some(())
}

fn say_interrupt<H>(context: &Context<'_, H>) {
    if let Some(signal) = context.interrupt.signal() {
        context.tell(Event::Interrupted {
            signal,
            unwinds: false,
        });
    }
}

/// Says what did not work, and goes on.
pub(super) fn warn<H>(context: &Context<'_, H>, failures: Vec<(HostName, Failure)>) {
    for (host, failure) in failures {
        let problem = Problem::LeftUndone {
            reason: failure.to_string(),
        };
        context.tell(Event::Warned {
            finding: Finding::warning(Some(&host), problem),
        });
    }
}

/// I1 in the same breath as the point of no return: every nginx is looked at once more, and then
/// the record says on every host that the old slot ends.
async fn ready_to_stop<H: Host>(
    context: &Context<'_, H>,
    plan: &Plan,
    record: &RunRecord,
) -> Result<(), Vec<(HostName, Failure)>> {
    let switches = plan.switches();
    let looked = switches.iter().map(|(host, switch)| async move {
        let nginx = context.topology.nginx.get(*host);
        let seen = super::observe::one(context.topology, context.playbook, context.crew, host).await;
        let failure = match seen {
            Err(error) => Some(Failure::from(error)),
            Ok(seen) => match seen.nginx {
                Some(seen) if nginx.is_some() && seen.entry.content.as_ref() == Some(&switch.after) => {
                    let runs = switch.generation.is_none() || seen.generation == switch.generation;
                    (!runs).then(|| Failure::Unproven {
                        reason: "it runs another generation now".to_owned(),
                    })
                }
                _ => Some(Failure::Drifted),
            },
        };
        failure.map(|failure| ((*host).clone(), failure))
    });
    let failures: Vec<_> = join_all(looked).await.into_iter().flatten().collect();
    if !failures.is_empty() {
        return Err(failures);
    }
    write_record(context, record).await
}

/// The exit code of a run that went home, or stayed where it was.
pub(super) fn exit_home(reason: &Reason, outcome: Outcome) -> Exit {
    match (outcome, reason) {
        (Outcome::TakenOver, _) => Exit::Locked,
        (Outcome::Mixed, _) => Exit::Mixed,
        (_, Reason::Interrupted(signal)) => Exit::Signalled(*signal),
        (Outcome::RolledBack, _) => Exit::RolledBack,
        _ => Exit::Failed,
    }
}

/// Tells the reporters about a signal that turns the run around.
pub(super) fn say_unwinding<H>(context: &Context<'_, H>, signal: Signal) {
    context.tell(Event::Interrupted {
        signal,
        unwinds: true,
    });
}

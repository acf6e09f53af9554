//! Runs a plan, stage by stage, and turns to the way home where a stage fails or a signal comes.
//! From the point of no return on there is only the way forward.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::event::{Event, Until};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookPoint;
use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::observed::Observed;
use crate::model::outcome::{Cause, Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{Because, Plan, Stage};
use crate::model::record::{RunRecord, RunStatus};

use super::confirm::{self, ConfirmEnd};
use super::context::{Context, Memory};
use super::fleet::Host;
use super::homeward::{self, Reason};
use super::run::{Request, Verdict, Wanted};
use super::stage::{self, Patience, StageEnd};
use super::steps::{Job, drain};
use super::walk::Rest;
use super::{ending, in_service, journey, record, window};

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
    /// What a way home has left of it.
    pub(super) rest: Rest,
    /// Why it went home, if it did.
    pub(super) because: Option<Because>,
}

impl Ended {
    /// Nothing was changed.
    pub fn unchanged(exit: Exit) -> Self {
        Self::of(Outcome::AsItWas, exit)
    }

    /// So it ended, and what is live is not known or not worth a word.
    pub fn of(outcome: Outcome, exit: Exit) -> Self {
        Self {
            verdict: Verdict { outcome, exit },
            live: None,
            live_slot: None,
            switch_took: None,
            rest: Rest::None,
            because: None,
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
        Wanted::OnHosts(_)
        | Wanted::Earlier(_)
        | Wanted::Drill(_)
        | Wanted::Converge { .. }
        | Wanted::Resume
        | Wanted::Promote(_) => None,
    };
    let converges = matches!(request.wanted, Wanted::Converge { .. });
    if context.playbook.only_slot().is_some() && plan.from.is_some() && !converges {
        return journey::go(context, request, before, plan, jar).await;
    }
    let job = Job {
        plan,
        home: context.crew.run_id(),
        jar,
    };
    remember_running(context, before, plan);
    let record = record::begin(context, request, before, plan);
    through(context, before, &job, record).await
}

/// Follows the stages of a plan to their end, or to where a person says how it goes on.
pub(super) async fn through<H: Host>(
    context: &Context<'_, H>,
    before: &Observed,
    job: &Job<'_>,
    record: RunRecord,
) -> Ended {
    match follow(context, before, job, record).await {
        Ok((record, switch_took)) => ending::forward(context, job, record, switch_took).await,
        Err(ended) => ended,
    }
}

/// Follows the stages of a plan until nothing is left but the end of what is old, or tells how it ended before: it
/// went home, or a person says how it goes on.
pub(super) async fn follow<H: Host>(
    context: &Context<'_, H>,
    before: &Observed,
    job: &Job<'_>,
    mut record: RunRecord,
) -> Result<(RunRecord, Option<Duration>), Ended> {
    let plan = job.plan;
    let mut switch_took = None;
    remember_memory(context, before);
    for (at, stage) in plan.stages.iter().enumerate() {
        if let Some(phase) = phase_on_record(&plan.stages[at..]) {
            record.phase = phase;
        }
        let waits = stage.phase == Phase::Hold && stage.waits();
        if waits && context.interrupt.cause().is_none() {
            return Err(wait(context, job, stage, record).await);
        }
        // A fleet without an old slot has nothing to stop.
        if matches!(stage.phase, Phase::Stop | Phase::Finish) {
            break;
        }
        let recorded = if !waits && goes_on_record(stage, at) {
            record::write(context, &record).await
        } else {
            Ok(())
        };
        let began = Instant::now();
        let mut end = match recorded {
            Ok(()) if stage.leaves_to_hosts() => {
                match window::leave(context, job, stage, record.clone(), switch_took).await {
                    Ok(ended) => return Err(ended),
                    Err(cause) => StageEnd::Interrupted(cause),
                }
            }
            Ok(()) if stage.phase == Phase::Retire => retire(context, job, stage, &record).await,
            Ok(()) => step_forward(context, job, stage).await,
            Err(failures) => StageEnd::Failed(failures),
        };
        if stage.phase == Phase::Verify && planted(Defect::NoBarrierBeforeCommit) {
            end = StageEnd::Done;
        }
        if stage.phase == Phase::Commit && end == StageEnd::Done {
            switch_took = Some(switch_took.unwrap_or_default() + began.elapsed());
            end = match confirm(context, job, stage).await {
                Ok(end) => end,
                Err(outcome) => return Err(stuck(outcome)),
            };
        }
        let Some(reason) = reason_of(context, plan, stage, end) else {
            continue;
        };
        let keep = follows_traffic(&plan.stages[at..]) && !context.playbook.update.auto_revert;
        if keep && matches!(&reason, Reason::Failed { failures, .. } if !fenced_off(failures)) {
            return Err(hold(plan, &plan.stages[at..], switch_took));
        }
        return Err(homeward::go(context, before, job, record, reason).await);
    }
    Ok((record, switch_took))
}

/// Whether the record is written before a stage begins.
fn goes_on_record(stage: &Stage, at: usize) -> bool {
    match stage.phase {
        Phase::Upload | Phase::Retire | Phase::Start | Phase::Commit | Phase::Hold => true,
        Phase::Verify | Phase::Hook => at == 0,
        _ => false,
    }
}

/// Why a run turns around that came to the end of a stage, if it does.
fn reason_of<H>(context: &Context<'_, H>, plan: &Plan, stage: &Stage, end: StageEnd) -> Option<Reason> {
    match end {
        StageEnd::Done => None,
        StageEnd::Failed(failures) if stage.phase == Phase::Drain => {
            // Not being able to see the end of old connections is no reason to move traffic again.
            keep_old_slot(context, plan);
            warn(context, failures);
            None
        }
        StageEnd::Failed(failures) => Some(Reason::Failed {
            phase: stage.phase,
            failures,
        }),
        StageEnd::Interrupted(cause) => Some(Reason::Interrupted(cause)),
    }
}

/// The phase that goes on record before the first of these stages: hooks belong to what they stand before.
fn phase_on_record(ahead: &[Stage]) -> Option<Phase> {
    let mut phases = ahead.iter().map(|stage| stage.phase);
    phases.find(|phase| !matches!(phase, Phase::Hook | Phase::Stop | Phase::Finish))
}

/// Whether the first of these stages looks at what has the traffic: in a bake, or by its hooks. Before the switch of a leg
/// an old instance ends that has it no more.
fn follows_traffic(ahead: &[Stage]) -> bool {
    let stage = ahead.first();
    match stage.and_then(Stage::hooks_of) {
        Some(point) => match point {
            HookPoint::AfterAllowTraffic => true,
            HookPoint::BeforeStop => !switches(ahead),
            _ => false,
        },
        None => stage.is_some_and(|stage| stage.phase == Phase::Bake),
    }
}

/// Whether one of these stages switches.
fn switches(ahead: &[Stage]) -> bool {
    ahead.iter().any(|stage| stage.phase == Phase::Commit)
}

/// Ends the run until a person lets it go on: no lock, no lease and no watch are left. One host that takes our
/// word is enough for everybody to know.
async fn wait<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    mut record: RunRecord,
) -> Ended {
    if let Some(outcome) = put_to_wait(context, &mut record).await {
        return stuck(outcome);
    }
    let ahead = job.plan.stages.iter().skip_while(|other| *other != stage);
    let next = ahead.flat_map(Stage::switches).map(|(_, switch)| switch.number);
    let reached = next.min().unwrap_or(1) - 1;
    let untouched = reached == 0;
    let stations = record.stations();
    let routing = stations.get(reached as usize).map(|station| &station.routing);
    let is_new = |endpoint: &Endpoint| context.topology.slot_of(endpoint) == Some(&job.plan.to);
    context.tell(Event::Waits {
        percent: routing.map_or(0, |routing| routing.percent(is_new)),
        record: Box::new(record),
        reached,
        until: Until::Promoted,
    });
    Ended {
        live: job.plan.from_release.clone().filter(|_| untouched),
        live_slot: job.plan.from.clone().filter(|_| untouched),
        ..Ended::of(Outcome::Waiting, Exit::Done)
    }
}

/// Puts on record that a run waits. Says what it means where nobody takes our word.
async fn put_to_wait<H: Host>(context: &Context<'_, H>, record: &mut RunRecord) -> Option<Outcome> {
    record.status = RunStatus::Waiting;
    let failures = record::write(context, record).await.err().unwrap_or_default();
    let silent = failures.len() == context.crew.hosts().count();
    let unheard = (silent || fenced_off(&failures)).then(|| outcome_of(&failures));
    warn(context, failures);
    unheard
}

/// Ends what an earlier run kept, once no old nginx worker can send it requests any more.
async fn retire<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    record: &RunRecord,
) -> StageEnd {
    if record.journey.is_some() {
        return match in_service::may_end(context, record, stage).await {
            Ok(()) => step_forward(context, job, stage).await,
            Err(failures) => StageEnd::Failed(failures),
        };
    }
    let gone = drain::not_gone(context, job.plan);
    let failures = tokio::select! {
        biased;
        cause = context.interrupt.wait() => return StageEnd::Interrupted(cause),
        failures = gone => failures,
    };
    if failures.is_empty() {
        step_forward(context, job, stage).await
    } else {
        StageEnd::Failed(failures)
    }
}

/// Makes the switch stay, or says in what state it is stuck: then both slots are left up.
async fn confirm<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
) -> Result<StageEnd, Outcome> {
    let end = match confirm::everywhere(context, job, stage).await {
        ConfirmEnd::Everywhere => StageEnd::Done,
        ConfirmEnd::TooLate(failures) | ConfirmEnd::Sick(failures) => StageEnd::Failed(failures),
        ConfirmEnd::Unsettled(failures) => return Err(outcome_of(&failures)),
    };
    Ok(match (end, context.interrupt.cause()) {
        (StageEnd::Done, Some(cause)) => StageEnd::Interrupted(cause),
        (end, _) => end,
    })
}

/// Nobody knows what every nginx does, or it is somebody else's: nothing is touched any more.
pub(super) fn stuck(outcome: Outcome) -> Ended {
    let exit = match outcome {
        Outcome::TakenOver => Exit::Locked,
        _ => Exit::Mixed,
    };
    Ended::of(outcome, exit)
}

async fn step_forward<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &Stage) -> StageEnd {
    if let Some(cause) = context.interrupt.cause() {
        return StageEnd::Interrupted(cause);
    }
    let end = stage::run(context, job, stage, Patience::of(stage.phase)).await;
    match (end, context.interrupt.cause()) {
        (StageEnd::Done, Some(cause)) => StageEnd::Interrupted(cause),
        (end, _) => end,
    }
}

/// Instances of the target slot that run already and are not started by the plan: those of a slot that was kept,
/// or of a run that somebody goes on with.
pub(super) fn remember_running<H>(context: &Context<'_, H>, before: &Observed, plan: &Plan) {
    let starting = plan.stages.iter().filter(|stage| stage.phase == Phase::Start);
    let starting: BTreeSet<_> = starting
        .flat_map(|stage| stage.steps.iter().map(|on| &on.host))
        .collect();
    let mut ledger = context.ledger.borrow_mut();
    let endpoints = context.topology.endpoints(&plan.to).into_iter();
    for endpoint in endpoints.filter(|endpoint| !starting.contains(&endpoint.host)) {
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

/// What memory there was before anything is started: by it a process that the kernel killed is known.
fn remember_memory<H>(context: &Context<'_, H>, before: &Observed) {
    let hosts = before.hosts.iter();
    let memory = hosts.map(|(host, seen)| (host.clone(), Memory::of(&seen.machine)));
    context.ledger.borrow_mut().memory = memory.collect();
}

/// Leaves the old slot up, whatever the plan says.
pub(super) fn keep_old_slot<H>(context: &Context<'_, H>, plan: &Plan) {
    if let Some(from) = &plan.from {
        context
            .ledger
            .borrow_mut()
            .kept
            .extend(context.topology.endpoints(from));
    }
}

/// The new slot failed in the bake, and the playbook says that a person decides.
fn hold(plan: &Plan, ahead: &[Stage], switch_took: Option<Duration>) -> Ended {
    if switches(ahead) {
        // Between two legs both releases have traffic.
        return stuck(Outcome::Mixed);
    }
    Ended {
        live: Some(plan.release.id.clone()),
        live_slot: Some(plan.to.clone()),
        switch_took,
        ..Ended::of(Outcome::Deployed, Exit::Mixed)
    }
}

/// Whether somebody else took over.
pub(super) fn fenced_off(failures: &[(HostName, Failure)]) -> bool {
    let fenced = |(_, failure): &(HostName, Failure)| matches!(failure, Failure::Fenced { .. });
    failures.iter().any(fenced)
}

/// What it means for a run that has told somebody to switch that these did not work.
pub(super) fn outcome_of(failures: &[(HostName, Failure)]) -> Outcome {
    if fenced_off(failures) {
        Outcome::TakenOver
    } else {
        Outcome::Mixed
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

/// The exit code of a run that went home, or stayed where it was.
pub(super) fn exit_home(reason: &Reason, outcome: Outcome) -> Exit {
    match (outcome, reason) {
        (Outcome::TakenOver, _) => Exit::Locked,
        (Outcome::Mixed, _) => Exit::Mixed,
        (_, Reason::Interrupted(Cause::Signal(signal))) => Exit::Signalled(*signal),
        (Outcome::RolledBack, _) => Exit::RolledBack,
        _ => Exit::Failed,
    }
}

/// Tells the reporters what turns the run around.
pub(super) fn say_unwinding<H>(context: &Context<'_, H>, cause: Cause) {
    context.tell(Event::Interrupted { cause, unwinds: true });
}

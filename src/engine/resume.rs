//! Goes on with a run that never ended, when all of its locks are ours: the tokens decide which way. `resume`
//! sees it through; `deploy` and `rollback` bring the nginx hosts to one mind, stop nothing, and plan anew.

use std::collections::BTreeMap;

use crate::model::decision::{self, Newest, Way};
use crate::model::defect::{Defect, planted};
use crate::model::event::Event;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookPoint;
use crate::model::lock::Owner;
use crate::model::observed::{HostObserved, Observed};
use crate::model::outcome::{Cause, Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Plan, Scene, Stage};
use crate::model::record::{RunKind, RunRecord, RunStatus};
use crate::model::token::TokenState;

use super::confirm::{self, ConfirmEnd};
use super::context::{Context, Ledger};
use super::execute::{self, Ended, fenced_off, outcome_of, stuck, warn};
use super::fleet::Host;
use super::run::{Request, Wanted};
use super::stage::{self, Patience, StageEnd};
use super::steps::Job;
use super::walk::{self, Rest};
use super::{census, ending, going_on, homeward, hooks, journey, record, window};

/// How often a way is chosen anew because the new slot died on the way forward.
const ROUNDS: u32 = 3;

/// How far an interrupted run was brought.
pub(super) enum Went {
    /// Every nginx host is of one mind, and nothing was stopped. How that ends if nothing more comes: the
    /// run is still open.
    Converged(Ended),
    /// The run is over, or cannot be brought any further.
    Over(Ended),
}

/// How far somebody wants an interrupted run to be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// To its end.
    Through,
    /// Until the nginx hosts are of one mind: something else is planned from there.
    OneMind,
}

impl Ending {
    fn of(request: &Request<'_>, record: &RunRecord) -> Self {
        match request.wanted {
            // What comes after a leg is planned from what is true then.
            _ if record.journey.is_some() => Self::OneMind,
            Wanted::Resume | Wanted::Promote(_) => Self::Through,
            Wanted::Jar(_)
            | Wanted::OnHosts(_)
            | Wanted::Earlier(_)
            | Wanted::Drill(_)
            | Wanted::Converge { .. } => Self::OneMind,
        }
    }
}

/// How the hooks of a run have ended that somebody goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hooked {
    /// None has failed so far.
    Well,
    /// One has: where there is a way back, it is taken.
    Failed,
}

/// How one way ended.
pub(super) enum Round {
    /// The new slot is no longer what it was: the tokens decide once more.
    Again,
    /// A hook failed: the way is back, if there is one.
    Back,
    /// Somewhere.
    Went(Went),
}

impl Round {
    fn stuck(outcome: Outcome) -> Self {
        Self::Went(Went::Over(stuck(outcome)))
    }
}

/// Goes on with the run, or says what keeps anybody from deciding on it.
pub(super) async fn go_on<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    mut observed: Observed,
) -> Result<Went, Vec<Finding>> {
    if hooks::end_overdue(context, record.place().0, &observed).await {
        observed = homeward::look(context).await;
    }
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed: &observed,
        run: &record.run,
    };
    let obstacles = plan::obstacles(&scene, record);
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    let began_by = record.owner.clone();
    let mut record = taken_up(context, request, &scene, record);
    let mut hooked = Hooked::Well;
    for round in 0..ROUNDS {
        let scene = Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed: &observed,
            run: &record.run.clone(),
        };
        let way = choose(context, request, &scene, &record, &began_by, hooked).await;
        let through = Ending::of(request, &record) == Ending::Through && way == Way::Forward;
        if round == 0 && (through || journey::goes_forward(context, request, &record, &observed).await) {
            let unclear = plan::unclear_hooks(&scene, &record, &request.hook_words);
            if !unclear.is_empty() {
                return Err(unclear);
            }
        }
        let round = match way {
            // There is no way back, and no hook runs twice because it failed.
            Way::Forward if hooked == Hooked::Failed => Round::Went(Went::Over(hooks::undecided(&record))),
            Way::Forward => forward(context, request, &scene, &mut record).await,
            Way::Back => back(context, Ending::of(request, &record), &scene, &mut record).await,
            Way::Hold(_) => Round::stuck(Outcome::Mixed),
        };
        match round {
            Round::Again => observed = homeward::look(context).await,
            Round::Back => {
                hooked = Hooked::Failed;
                observed = homeward::look(context).await;
            }
            Round::Went(went) => {
                // What comes now is another run's.
                context.ledger.replace(Ledger::default());
                return Ok(went);
            }
        }
    }
    Ok(Went::Over(stuck(Outcome::Mixed)))
}

/// The record of the run in the hands of whoever goes on with it.
fn taken_up<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    scene: &Scene<'_>,
    record: &RunRecord,
) -> RunRecord {
    let ended = |seen: &HostObserved| {
        let of_run = seen.record.as_ref().filter(|it| it.run == record.run);
        of_run.is_some_and(|it| it.point_of_no_return)
    };
    RunRecord {
        epoch: context.crew.epoch(),
        owner: request.owner.clone(),
        point_of_no_return: record.point_of_no_return || scene.observed.hosts.values().any(ended),
        ..plan::gone_on_with(scene, record)
    }
}

/// Decides by the tokens and by what the slots answer, and tells.
async fn choose<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    scene: &Scene<'_>,
    record: &RunRecord,
    began_by: &Owner,
    hooked: Hooked,
) -> Way {
    let evidence = plan::evidence(scene.topology, scene.observed, record);
    let asked = plan::asked(context.topology, record);
    let tokens: BTreeMap<_, _> = asked.cloned().zip(evidence.tokens.iter().copied()).collect();
    let slots = census::slots(context, record, &evidence).await;
    let halfway = (1..record.switches()).contains(&evidence.reached);
    let mut way = decision::decide(evidence.tokens, slots);
    if Ending::of(request, record) == Ending::OneMind && halfway {
        way = decision::for_another(way, slots);
    }
    if hooked == Hooked::Failed && way == Way::Forward && slots.old_is_alive {
        way = Way::Back;
    }
    if record.point_of_no_return && planted(Defect::RevertPastPointOfNoReturn) {
        way = Way::Back;
    }
    context.tell(Event::InterruptedFound {
        record: Box::new(RunRecord {
            owner: began_by.clone(),
            status: if record.promoted > record.switches() {
                RunStatus::Waiting
            } else {
                record.status
            },
            ..record.clone()
        }),
        tokens,
        slots,
        way,
    });
    way
}

async fn forward<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    scene: &Scene<'_>,
    record: &mut RunRecord,
) -> Round {
    let plan = match plan::forward_again(scene, record) {
        Ok(plan) => plan,
        Err(findings) => {
            for finding in findings {
                context.tell(Event::Warned { finding });
            }
            return Round::stuck(Outcome::Mixed);
        }
    };
    if record.point_of_no_return && !plan.switches().is_empty() {
        say_elsewhere(context, &plan);
        return Round::stuck(Outcome::Mixed);
    }
    // Somebody was told that the switch stays.
    let reached = plan::evidence(scene.topology, scene.observed, record).reached;
    context.ledger.borrow_mut().confirmed = Some(reached.max(1));
    let halfway = reached < record.switches();
    let home = record.run.clone();
    let job = Job {
        plan: &plan,
        home: &home,
        jar: None,
    };
    execute::remember_running(context, scene.observed, &plan);
    let sees_through = Ending::of(request, record) == Ending::Through;
    if sees_through && !halfway {
        context.tell(plan.announced());
    }
    if let Some(outcome) = note(context, record, Phase::Commit).await {
        return Round::stuck(outcome);
    }
    if let Some(round) = switch(context, &job).await {
        return round;
    }
    if sees_through && halfway {
        return Round::Went(Went::Over(going_on::onward(context, record.clone()).await));
    }
    if !sees_through {
        drain(context, &job).await;
        let mut ended = arrived(&job, Exit::Mixed);
        if plan.switches().is_empty() {
            // All had been there before.
            ended.verdict.outcome = Outcome::AsItWas;
        }
        return Round::Went(Went::Converged(ended));
    }
    if let Some(round) = hooks::run(context, &job, HookPoint::AfterAllowTraffic).await {
        return round;
    }
    match bake(context, &job, record).await {
        Some(round) => round,
        None => complete(context, &job, record.clone()).await,
    }
}

/// Which hosts are left as they are: their watches would go home to a slot that is told to end.
fn say_elsewhere<H>(context: &Context<'_, H>, plan: &Plan) {
    for host in plan.switches().into_keys() {
        let reason = "it does not run the new routing, and the old slot's end has begun".to_owned();
        let finding = Finding::warning(Some(host), Problem::LeftUndone { reason });
        context.tell(Event::Warned { finding });
    }
}

/// Whoever sees a run through bakes as well: a release that is bad after all is found while the old slot is up.
async fn bake<H: Host>(context: &Context<'_, H>, job: &Job<'_>, record: &RunRecord) -> Option<Round> {
    let stage = job.plan.stage(Phase::Bake)?;
    if stage.leaves_to_hosts() {
        let left = window::leave(context, job, stage, record.clone(), None).await;
        let ended = left.unwrap_or_else(|cause| half_way(context, job, cause));
        return Some(Round::Went(Went::Over(ended)));
    }
    let end = match context.interrupt.cause() {
        Some(cause) => StageEnd::Interrupted(cause),
        None => stage::run(context, job, stage, Patience::of(Phase::Bake)).await,
    };
    let ended = match end {
        StageEnd::Done => return None,
        StageEnd::Interrupted(cause) => half_way(context, job, cause),
        StageEnd::Failed(_) if context.playbook.update.auto_revert => return Some(Round::Again),
        // The playbook says that a person decides.
        StageEnd::Failed(_) => arrived(job, Exit::Mixed),
    };
    Some(Round::Went(Went::Over(ended)))
}

/// Every nginx host routes to the run's release.
pub(super) fn arrived(job: &Job<'_>, exit: Exit) -> Ended {
    Ended {
        live: Some(job.plan.release.id.clone()),
        live_slot: Some(job.plan.to.clone()),
        ..Ended::of(Outcome::Deployed, exit)
    }
}

/// Puts on record who goes on with the run, and where it is. Says what it means where that fails.
async fn note<H: Host>(context: &Context<'_, H>, record: &mut RunRecord, phase: Phase) -> Option<Outcome> {
    // Past the point of no return the record goes on saying so.
    record.phase = phase;
    let failures = record::write(context, record).await.err()?;
    let outcome = outcome_of(&failures);
    warn(context, failures);
    Some(outcome)
}

/// Commits and confirms what is not confirmed; `None` where all of it went well.
async fn switch<H: Host>(context: &Context<'_, H>, job: &Job<'_>) -> Option<Round> {
    let commit = job.plan.commits().last()?;
    let until_commit = |stage: &&Stage| stage.phase <= Phase::Commit;
    for stage in job.plan.stages.iter().filter(until_commit) {
        let end = stage::run(context, job, stage, Patience::UntilAllAnswered).await;
        let StageEnd::Failed(failures) = end else { continue };
        if stage.phase == Phase::Verify && !fenced_off(&failures) {
            return Some(Round::Again);
        }
        return Some(Round::stuck(outcome_of(&failures)));
    }
    match confirm::everywhere(context, job, commit).await {
        ConfirmEnd::Everywhere => None,
        ConfirmEnd::Sick(_) => Some(Round::Again),
        ConfirmEnd::TooLate(failures) | ConfirmEnd::Unsettled(failures) => {
            Some(Round::stuck(outcome_of(&failures)))
        }
    }
}

/// Lets requests end that are still under way to the slot that has the traffic no more: whoever plans next may
/// want to use it.
async fn drain<H: Host>(context: &Context<'_, H>, job: &Job<'_>) {
    let Some(stage) = job.plan.stage(Phase::Drain) else {
        return;
    };
    if let StageEnd::Failed(failures) = stage::run(context, job, stage, Patience::of(Phase::Drain)).await {
        warn(context, failures);
    }
}

/// What is left of a run whose release has the traffic: the old slot drains and ends.
async fn complete<H: Host>(context: &Context<'_, H>, job: &Job<'_>, mut record: RunRecord) -> Round {
    let over = |ended| Round::Went(Went::Over(ended));
    if let Some(stage) = job.plan.stage(Phase::Drain) {
        record.phase = Phase::Drain;
        let end = match context.interrupt.cause() {
            Some(cause) => StageEnd::Interrupted(cause),
            None => stage::run(context, job, stage, Patience::of(Phase::Drain)).await,
        };
        match end {
            StageEnd::Done => {}
            StageEnd::Failed(failures) => {
                execute::keep_old_slot(context, job.plan);
                warn(context, failures);
            }
            StageEnd::Interrupted(cause) => return over(half_way(context, job, cause)),
        }
    }
    if let Some(round) = hooks::run(context, job, HookPoint::BeforeStop).await {
        return round;
    }
    over(match context.interrupt.cause() {
        Some(cause) => half_way(context, job, cause),
        None => ending::forward(context, job, record, None).await,
    })
}

/// A signal came before the old slot's end, or the time is up: the run stays open, and its release has the traffic.
pub(super) fn half_way<H>(context: &Context<'_, H>, job: &Job<'_>, cause: Cause) -> Ended {
    let unwinds = false;
    context.tell(Event::Interrupted { cause, unwinds });
    let exit = match cause {
        Cause::Signal(signal) => Exit::Signalled(signal),
        Cause::Deadline => Exit::Mixed,
    };
    arrived(job, exit)
}

/// Takes a run back.
pub(super) async fn back<H: Host>(
    context: &Context<'_, H>,
    ending: Ending,
    scene: &Scene<'_>,
    record: &mut RunRecord,
) -> Round {
    let evidence = plan::evidence(scene.topology, scene.observed, record);
    let told = [Newest::Is(TokenState::Confirmed), Newest::Unreadable];
    let confirmed = evidence.tokens.iter().any(|newest| told.contains(newest));
    context.ledger.borrow_mut().confirmed = confirmed.then_some(evidence.reached.max(1));
    if let Some(outcome) = note(context, record, Phase::Revert).await {
        return Round::stuck(outcome);
    }
    let sees_through = ending == Ending::Through;
    let mut stages = plan::back_again(scene, record);
    let is_way = |stage: &Stage| matches!(stage.phase, Phase::Revert | Phase::Drain) || stage.ends_hooks();
    stages.retain(|stage| sees_through || is_way(stage));
    let Some(plan) = homeward::way_back(record, stages) else {
        return Round::stuck(Outcome::Mixed);
    };
    let home = record.run.clone();
    let job = Job {
        plan: &plan,
        home: &home,
        jar: None,
    };
    if sees_through {
        homeward::say_killed(context, scene.observed, record);
    }
    let walked = walk::home(context, &job, &plan.stages, &record.owner).await;
    let mut walked = homeward::unless_unseen(context, scene.observed, record, walked);
    if sees_through {
        walked = record::close(context, record, walked).await;
    }
    if matches!(walked.outcome, Outcome::Mixed | Outcome::TakenOver) {
        return Round::stuck(walked.outcome);
    }
    let goes_on = !sees_through && walked.rest != Rest::Unlocked;
    if goes_on && walked.outcome == Outcome::AsItWas {
        return Round::Went(Went::Converged(Ended::unchanged(Exit::Mixed)));
    }
    let mut ended = taken_back(context, record, walked.outcome).await;
    if goes_on {
        return Round::Went(Went::Converged(ended));
    }
    ended.verdict.exit = match (context.interrupt.signal(), walked.rest) {
        _ if ended.verdict.outcome == Outcome::Mixed => Exit::Mixed,
        (Some(signal), _) => Exit::Signalled(signal),
        (None, Rest::None) => Exit::Done,
        (None, Rest::Some | Rest::Unlocked) => Exit::Mixed,
    };
    Round::Went(Went::Over(ended))
}

/// How a way back ends after which something is left to do.
async fn taken_back<H: Host>(context: &Context<'_, H>, record: &RunRecord, outcome: Outcome) -> Ended {
    let ended = Ended::of(outcome, Exit::Mixed);
    if record.kind != RunKind::Converge {
        let (live, live_slot) = (record.from_release.clone(), record.from_slot.clone());
        return Ended {
            live,
            live_slot,
            ..ended
        };
    }
    // Where such a run came from is not where all nginx hosts were.
    let apart = homeward::are_apart(context, record).await;
    if apart {
        Ended::of(Outcome::Mixed, Exit::Mixed)
    } else {
        ended
    }
}

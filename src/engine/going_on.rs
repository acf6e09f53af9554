//! Goes on with a run of several routings from the one that every nginx host has: after an interruption, or
//! because a person says so. And takes a run back that waits.

use crate::model::decision::Way;
use crate::model::event::Event;
use crate::model::finding::{Finding, Problem};
use crate::model::observed::Observed;
use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::plan::{self, Plan, Promote, Scene};
use crate::model::record::{RunRecord, RunStatus};

use super::context::Context;
use super::execute::{self, Ended, stuck};
use super::fleet::Host;
use super::homeward::{self, Reason};
use super::resume::{self, Ending, Round, Went};
use super::run::Request;
use super::steps::Job;
use super::{census, window};

/// What is left of a run whose nginx hosts all have the routing that it came to. Where that cannot be planned,
/// it goes home, as from any step that fails.
pub(super) async fn onward<H: Host>(context: &Context<'_, H>, record: RunRecord) -> Ended {
    let observed = homeward::look(context).await;
    told_before(context, 1);
    let run = record.run.clone();
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed: &observed,
        run: &run,
    };
    let findings = match plan::onward(&scene, &record) {
        Ok(plan) => return through(context, &observed, &plan, record).await,
        Err(findings) => findings,
    };
    for finding in findings {
        context.tell(Event::Warned { finding });
    }
    let Some(plan) = homeward::way_back(&record, Vec::new()) else {
        return stuck(Outcome::Mixed);
    };
    let job = Job {
        plan: &plan,
        home: &run,
        jar: None,
    };
    let reason = Reason::Failed {
        phase: Phase::Preflight,
        failures: Vec::new(),
    };
    homeward::go(context, &observed, &job, record, reason).await
}

/// Whoever began the run told every nginx host to switch, if it came that far. None of them is passed over on a
/// way back because it gives no answer just then.
fn told_before<H>(context: &Context<'_, H>, reached: u32) {
    if reached > 0 {
        let hosts = context.topology.nginx.keys().cloned();
        context.ledger.borrow_mut().told_to_switch.extend(hosts);
    }
}

/// Follows a plan of what is left of a run.
async fn through<H: Host>(
    context: &Context<'_, H>,
    observed: &Observed,
    plan: &Plan,
    record: RunRecord,
) -> Ended {
    context.tell(plan.announced());
    for finding in plan.warnings.iter().cloned() {
        context.tell(Event::Warned { finding });
    }
    let home = record.run.clone();
    let job = Job {
        plan,
        home: &home,
        jar: None,
    };
    execute::remember_running(context, observed, plan);
    execute::through(context, observed, &job, record).await
}

/// Lets a run go on that waits, or says what speaks against it: then it goes on waiting.
pub(super) async fn promote<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    observed: &Observed,
    how: Promote,
) -> Result<Ended, Vec<Finding>> {
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed,
        run: &record.run,
    };
    let obstacles = plan::obstacles(&scene, record);
    if !obstacles.is_empty() {
        return Err(obstacles);
    }
    if record.window.is_some() {
        return window::end(context, request, record, observed).await;
    }
    let record = RunRecord {
        epoch: context.crew.epoch(),
        owner: request.owner.clone(),
        ..plan::promote(&scene, record, how)
    };
    let plan = plan::onward(&scene, &record)?;
    let reached = plan::evidence(context.topology, observed, &record).reached;
    told_before(context, reached);
    context.ledger.borrow_mut().confirmed = Some(reached).filter(|reached| *reached > 0);
    Ok(through(context, observed, &plan, record).await)
}

/// How a run that waits was taken back.
pub(super) enum TakenBack {
    /// It is over, or cannot be brought any further.
    Over(Ended),
    /// Not at once: a host has begun to end its old instance, or is left out and may, or an old instance is gone, so
    /// that the run has come to its end.
    TooLate,
}

/// Takes a run back that waits, or says what speaks against it: then it goes on waiting.
pub(super) async fn take_back<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    observed: &Observed,
) -> Result<TakenBack, Vec<Finding>> {
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed,
        run: &record.run,
    };
    let mut against = plan::obstacles(&scene, record);
    if record.window.is_some() {
        if !against.is_empty() {
            return Err(against);
        }
        if end_may_have_begun(context, record, observed).await? {
            return Ok(too_late(context, request, record).await);
        }
    }
    let evidence = plan::evidence(context.topology, observed, record);
    let slots = census::slots(context, record, &evidence).await;
    if !slots.old_is_alive {
        // Its release has all of the traffic: what is missing can be started again before anything moves.
        if record.window.is_some() && evidence.reached == record.switches() {
            return Ok(too_late(context, request, record).await);
        }
        let slot = record.from_slot.clone();
        against.push(Finding::refusal(None, Problem::HomeGone { slot }));
    }
    if !against.is_empty() {
        return Err(against);
    }
    let asked = plan::asked(context.topology, record).cloned();
    context.tell(Event::InterruptedFound {
        record: Box::new(record.clone()),
        tokens: asked.zip(evidence.tokens.iter().copied()).collect(),
        slots,
        way: Way::Back,
    });
    let mut record = RunRecord {
        epoch: context.crew.epoch(),
        owner: request.owner.clone(),
        status: RunStatus::Open,
        window: None,
        ..plan::gone_on_with(&scene, record)
    };
    Ok(TakenBack::Over(
        match resume::back(context, Ending::Through, &scene, &mut record).await {
            Round::Went(Went::Over(ended)) => ended,
            Round::Went(Went::Converged(_)) | Round::Again | Round::Back => stuck(Outcome::Mixed),
        },
    ))
}

/// Ends a run with a window whose old slot is not there any more as it was: the way to its release is planned anew.
async fn too_late<H: Host>(context: &Context<'_, H>, request: &Request<'_>, record: &RunRecord) -> TakenBack {
    match window::close(context, request, record).await {
        Ok(()) => TakenBack::TooLate,
        Err(outcome) => TakenBack::Over(stuck(outcome)),
    }
}

/// Cancels the timer of every host, and tells whether one of them may have begun to end its old instance.
async fn end_may_have_begun<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    observed: &Observed,
) -> Result<bool, Vec<Finding>> {
    let begun = window::cancel(context, record).await?;
    // Home routes to a host that is left out, too, whose timer nobody has cancelled.
    let left_out = &context.topology.without.was;
    let mut timers = record.window.iter().flat_map(|window| &window.hosts);
    let is_unheard = timers.any(|host| left_out.contains_key(host));
    // A host may have ended its own, and have nothing left of its timer.
    let mut records = observed.hosts.values().filter_map(|seen| seen.record.as_ref());
    let has_ended = records.any(|it| it.run == record.run && it.point_of_no_return);
    Ok(!begun.is_empty() || is_unheard || has_ended)
}

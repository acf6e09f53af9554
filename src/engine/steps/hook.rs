//! Hooks of the playbook: one on a host runs there, at most once in a run, as its host keeps on record. One on the
//! controller runs here, and every host keeps what becomes of it, so that whoever goes on with the run knows it.

use futures::future::join_all;

use crate::engine::context::Context;
use crate::engine::crew::{MARGIN, answer, passed};
use crate::engine::execute::{fenced_off, warn};
use crate::engine::fleet::Host;
use crate::model::defect::{Defect, planted};
use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::hook::{self, END_GRACE, Hook, HookCall, HookId, HookPlace, HookPoint, Recall};
use crate::model::names::{HostName, RunId};
use crate::remote::answer::HookAnswer;
use crate::remote::command::{Command, Hook as HookCommand, HookAct, HookRun};

use super::{Job, stop};

type Done = Result<Option<Note>, Failure>;

/// Runs a hook.
pub(super) async fn run<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    call: &HookCall,
) -> Done {
    if !is_due(context, job, host, &call.hook) {
        return Ok(None);
    }
    let on_was = context.topology.was.contains_key(host) && call.hook.place != HookPlace::Controller;
    let run = HookRun {
        body: call.hook.body.clone(),
        env: call.env.clone(),
        release: on_was.then(|| job.plan.release.id.clone()),
        run_as: call.hook.run_as.clone(),
        timeout: call.hook.timeout,
    };
    if call.hook.place == HookPlace::Controller {
        return on_controller(context, host, call, run).await;
    }
    context.ledger.borrow_mut().may_run_hooks.insert(host.clone());
    let answered = tell(context, &call.run, host, &call.hook, HookAct::Run(run)).await?;
    // Where the answer is lost, or something of it does not end, it may go on.
    if !matches!(answered, HookAnswer::Running | HookAnswer::Failed { .. }) {
        context.ledger.borrow_mut().may_run_hooks.remove(host);
    }
    said(&call.hook, answered)
}

/// Whether what the hook comes before will be: where the old instances are kept after all, nothing is about to stop.
fn is_due<H>(context: &Context<'_, H>, job: &Job<'_>, host: &HostName, hook: &Hook) -> bool {
    if hook.id.point != HookPoint::BeforeStop {
        return true;
    }
    let steps = job.plan.stages.iter().flat_map(|stage| &stage.steps);
    let mut ends = steps.filter(|on| stop::will_end(context, on));
    match hook.place {
        HookPlace::Was => ends.any(|on| on.host == *host),
        HookPlace::First | HookPlace::Nginx | HookPlace::Controller => ends.next().is_some(),
    }
}

/// Ends what runs of a hook.
pub(in crate::engine) async fn end<H: Host>(
    context: &Context<'_, H>,
    run: &RunId,
    host: &HostName,
    id: HookId,
) -> Done {
    let command = HookCommand {
        fence: context.crew.fence(host),
        run: run.clone(),
        hook: id,
        digest: None,
        recall: Recall::Ask,
        repeats: hook::Repeats::Never,
        act: HookAct::End,
    };
    let deadline = END_GRACE + MARGIN + MARGIN;
    let answered = context
        .crew
        .call_within(host, Command::Hook(command), deadline)
        .await?;
    match passed(answer!(answered, Hook)?)? {
        HookAnswer::Running => Err(Failure::Hook {
            hook: id,
            reason: "it was told to end, and still runs".to_owned(),
            tail: String::new(),
        }),
        _ => Ok(Some(Note::HookEnded { hook: id })),
    }
}

/// Tells a host of a hook, and waits for as long as that may take.
async fn tell<H: Host>(
    context: &Context<'_, H>,
    run: &RunId,
    host: &HostName,
    hook: &Hook,
    act: HookAct,
) -> Result<HookAnswer, Failure> {
    let asked = hook::recall(context.hook_words, hook.id, host);
    let recall = if planted(Defect::HookRunsTwice) {
        Recall::Again
    } else {
        asked
    };
    let takes = match &act {
        HookAct::Run(run) => run.timeout + END_GRACE + MARGIN,
        HookAct::Begins | HookAct::Never | HookAct::Ended(_) | HookAct::End => MARGIN + MARGIN,
    };
    let command = HookCommand {
        fence: context.crew.fence(host),
        run: run.clone(),
        hook: hook.id,
        digest: Some(hook.digest()),
        recall,
        repeats: hook.repeats,
        act,
    };
    let answered = context
        .crew
        .call_within(host, Command::Hook(command), takes + MARGIN)
        .await?;
    passed(answer!(answered, Hook)?)
}

/// What an answer means for the step.
fn said(hook: &Hook, answered: HookAnswer) -> Done {
    let failed = |reason: String, tail: String| {
        let hook = hook.id;
        Err(Failure::Hook { hook, reason, tail })
    };
    match answered {
        HookAnswer::Done { output } => Ok(Some(Note::HookDone {
            hook: hook.id,
            on: hook.place,
            output,
        })),
        HookAnswer::WasDone => Ok(Some(Note::HookWasDone { hook: hook.id })),
        HookAnswer::Failed { reason, output } => failed(reason, output),
        HookAnswer::HadFailed { reason } => failed(format!("it failed before: {reason}"), String::new()),
        HookAnswer::Unknown if hook.id.point == HookPoint::OnFailure => failed(
            "it began before, nobody knows how it ended, and it does not run again".to_owned(),
            String::new(),
        ),
        HookAnswer::Unknown => failed(
            "it began before, and nobody knows how it ended".to_owned(),
            String::new(),
        ),
        HookAnswer::Running => failed("it began before, and still runs".to_owned(), String::new()),
        HookAnswer::Noted => Ok(None),
    }
}

/// Runs a hook here, between two words on every host.
async fn on_controller<H: Host>(
    context: &Context<'_, H>,
    carrier: &HostName,
    call: &HookCall,
    run: HookRun,
) -> Done {
    let hook = &call.hook;
    let known = everywhere(context, call, context.crew.hosts(), &HookAct::Begins).await;
    if let Some(end) = known_before(hook, &known) {
        let noted = known
            .iter()
            .filter(|(_, answered)| *answered == Ok(HookAnswer::Noted));
        let noted = noted.map(|(host, _)| host);
        let told = everywhere(context, call, noted, &HookAct::Never).await;
        warn(context, failures_of(told));
        return end;
    }
    // The last hook of a way back runs though not every host can say so.
    warn(context, failures_of(known));
    let command = HookCommand {
        fence: context.crew.fence(carrier),
        run: call.run.clone(),
        hook: hook.id,
        digest: Some(hook.digest()),
        recall: Recall::Ask,
        repeats: hook.repeats,
        act: HookAct::Run(run),
    };
    let ended = context
        .controller
        .hook(&command, &context.playbook.folder)
        .await?;
    let word = match &ended {
        HookAnswer::Failed { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let told = everywhere(context, call, context.crew.hosts(), &HookAct::Ended(word)).await;
    let failures = failures_of(told);
    if fenced_off(&failures)
        && let Some((_, fenced)) = failures
            .iter()
            .find(|(_, failure)| matches!(failure, Failure::Fenced { .. }))
    {
        return Err(fenced.clone());
    }
    warn(context, failures);
    said(hook, ended)
}

/// How a hook of the controller ends that does not run, for what hosts know of it or cannot note.
fn known_before(hook: &Hook, known: &[(HostName, Result<HookAnswer, Failure>)]) -> Option<Done> {
    let answers = || known.iter().filter_map(|(_, answered)| answered.as_ref().ok());
    // What any host knows of its end counts, whatever another one missed.
    let is_end = |answer: &&HookAnswer| matches!(answer, HookAnswer::WasDone | HookAnswer::HadFailed { .. });
    let speaks_against = |answer: &&HookAnswer| **answer != HookAnswer::Noted;
    if let Some(end) = answers().find(is_end).or_else(|| answers().find(speaks_against)) {
        return Some(said(hook, end.clone()));
    }
    let is_last = hook.id.point == HookPoint::OnFailure && answers().next().is_some();
    let failures = known.iter().filter_map(|(_, answered)| answered.as_ref().err());
    let mut keeps = failures.filter(|failure| !is_last || matches!(failure, Failure::Fenced { .. }));
    keeps.next().map(|failure| Err(failure.clone()))
}

fn failures_of(told: Vec<(HostName, Result<HookAnswer, Failure>)>) -> Vec<(HostName, Failure)> {
    let failures = told.into_iter();
    failures
        .filter_map(|(host, told)| Some((host, told.err()?)))
        .collect()
}

/// Tells hosts of a hook of the controller.
async fn everywhere<'a, H: Host>(
    context: &Context<'_, H>,
    call: &HookCall,
    hosts: impl Iterator<Item = &'a HostName>,
    act: &HookAct,
) -> Vec<(HostName, Result<HookAnswer, Failure>)> {
    let told = hosts.map(|host| async move {
        let told = tell(context, &call.run, host, &call.hook, act.clone()).await;
        (host.clone(), told)
    });
    join_all(told).await
}

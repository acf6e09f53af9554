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
use crate::model::phase::Phase;
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
        return on_controller(context, job, host, &call.hook, run).await;
    }
    let answered = tell(context, job.home, host, &call.hook, HookAct::Run(run)).await?;
    said(&call.hook, answered)
}

/// Whether what the hook comes before will be: where the old instances are kept after all, nothing is about to stop.
fn is_due<H>(context: &Context<'_, H>, job: &Job<'_>, host: &HostName, hook: &Hook) -> bool {
    if hook.id.point != HookPoint::BeforeStop {
        return true;
    }
    let stops = job.plan.stage(Phase::Stop).into_iter();
    let mut ends = stops
        .flat_map(|stage| &stage.steps)
        .filter(|on| stop::will_end(context, on));
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
        HookAct::Begins | HookAct::Ended(_) | HookAct::End => MARGIN + MARGIN,
    };
    let command = HookCommand {
        fence: context.crew.fence(host),
        run: run.clone(),
        hook: hook.id,
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
    job: &Job<'_>,
    carrier: &HostName,
    hook: &Hook,
    run: HookRun,
) -> Done {
    let known = everywhere(context, job, hook, &HookAct::Begins).await;
    let mut asks = None;
    for (_, answered) in &known {
        match answered {
            // What any host knows of its end counts, whatever another one missed.
            Ok(end @ (HookAnswer::WasDone | HookAnswer::HadFailed { .. })) => return said(hook, end.clone()),
            Ok(HookAnswer::Noted) => {}
            Ok(end) => asks = asks.or_else(|| Some(said(hook, end.clone()))),
            Err(failure) => asks = asks.or_else(|| Some(Err(failure.clone()))),
        }
    }
    if let Some(end) = asks {
        return end;
    }
    let command = HookCommand {
        fence: context.crew.fence(carrier),
        run: job.home.clone(),
        hook: hook.id,
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
    let told = everywhere(context, job, hook, &HookAct::Ended(word))
        .await
        .into_iter();
    let failures: Vec<_> = told
        .filter_map(|(host, told)| Some((host, told.err()?)))
        .collect();
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

/// Tells every host of a hook of the controller.
async fn everywhere<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    hook: &Hook,
    act: &HookAct,
) -> Vec<(HostName, Result<HookAnswer, Failure>)> {
    let told = context.crew.hosts().map(|host| async move {
        let told = tell(context, job.home, host, hook, act.clone()).await;
        (host.clone(), told)
    });
    join_all(told).await
}

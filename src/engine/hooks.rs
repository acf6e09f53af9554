//! The hooks of a run that somebody goes on with: those that are left of it, between the stages that `resume` follows.

use futures::future::join_all;

use crate::model::failure::Failure;
use crate::model::hook::{HookId, HookPlace, HookPoint};
use crate::model::names::{HostName, RunId};
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome};
use crate::model::plan::{self, Stage, Step};
use crate::model::record::RunRecord;

use super::context::Context;
use super::execute::{Ended, fenced_off, stuck, warn};
use super::fleet::Host;
use super::resume::{Round, Went, arrived, half_way};
use super::stage::{self, Patience, StageEnd};
use super::steps::{Job, hook};

/// Runs the hooks of a point. `None` where they went well, or where a person decides what becomes of the run.
pub(super) async fn run<H: Host>(context: &Context<'_, H>, job: &Job<'_>, point: HookPoint) -> Option<Round> {
    let stages = job.plan.stages.iter();
    for stage in stages.filter(|stage| stage.hooks_of() == Some(point)) {
        let end = match context.interrupt.cause() {
            Some(cause) => StageEnd::Interrupted(cause),
            None => stage::run(context, job, stage, Patience::of(stage.phase)).await,
        };
        let ended = match end {
            StageEnd::Done => continue,
            StageEnd::Interrupted(cause) => {
                end_hooks(context, stage).await;
                half_way(context, job, cause)
            }
            StageEnd::Failed(failures) if fenced_off(&failures) => stuck(Outcome::TakenOver),
            StageEnd::Failed(_) if context.playbook.update.auto_revert => return Some(Round::Back),
            StageEnd::Failed(_) => arrived(job, Exit::Mixed),
        };
        return Some(Round::Went(Went::Over(ended)));
    }
    None
}

/// Ends the hooks of a run that run longer than they may, for whoever would have ended them is gone. Whether there were
/// any.
pub(super) async fn end_overdue<H: Host>(context: &Context<'_, H>, run: &RunId, observed: &Observed) -> bool {
    end_all(context, run, plan::overdue_hooks(observed, run)).await
}

/// Ends the hooks of a run that run. Whether there were any.
pub(super) async fn end_running<H: Host>(context: &Context<'_, H>, run: &RunId, observed: &Observed) -> bool {
    end_all(context, run, plan::running_hooks(observed, run)).await
}

async fn end_all<H: Host>(context: &Context<'_, H>, run: &RunId, hooks: Vec<(HostName, HookId)>) -> bool {
    let told = hooks.iter().map(|(host, id)| end(context, run, host, *id));
    warn(context, join_all(told).await.into_iter().flatten().collect());
    !hooks.is_empty()
}

async fn end<H: Host>(
    context: &Context<'_, H>,
    run: &RunId,
    host: &HostName,
    id: HookId,
) -> Option<(HostName, Failure)> {
    let failure = hook::end(context, run, host, id).await.err()?;
    Some((host.clone(), failure))
}

/// How a run ends whose hook failed and that has no way back: a person decides.
pub(super) fn undecided(record: &RunRecord) -> Ended {
    Ended {
        live: record.release.clone(),
        live_slot: record.to_slot.clone(),
        ..Ended::of(Outcome::Deployed, Exit::Mixed)
    }
}

/// Ends what a stage of hooks has left running. That is no failure of theirs: whoever goes on with the run asks.
async fn end_hooks<H: Host>(context: &Context<'_, H>, stage: &Stage) {
    let ended = stage.steps.iter().filter_map(|on| match &on.step {
        Step::Hook(call) if call.hook.place != HookPlace::Controller => Some((&on.host, call)),
        _ => None,
    });
    let ended = ended.map(|(host, call)| end(context, &call.run, host, call.hook.id));
    warn(context, join_all(ended).await.into_iter().flatten().collect());
}

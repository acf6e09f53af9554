//! The hooks of a run that somebody goes on with: those that are left of it, between the stages that `resume` follows.

use futures::future::join_all;

use crate::model::hook::{HookPlace, HookPoint};
use crate::model::outcome::{Exit, Outcome};
use crate::model::plan::{Stage, Step};

use super::context::Context;
use super::execute::{fenced_off, stuck, warn};
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
                end_hooks(context, job, stage).await;
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

/// Ends what a stage of hooks has left running.
async fn end_hooks<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &Stage) {
    let ended = stage.steps.iter().filter_map(|on| match &on.step {
        Step::Hook(call) if call.hook.place != HookPlace::Controller => Some((&on.host, call.hook.id)),
        _ => None,
    });
    let ended = ended.map(|(host, id)| async move {
        let failure = hook::end(context, job.home, host, id).await.err()?;
        Some((host.clone(), failure))
    });
    warn(context, join_all(ended).await.into_iter().flatten().collect());
}

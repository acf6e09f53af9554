//! What is left to do when the new slot has the traffic: old releases go, and what the switch wrote
//! beside the live file.

use std::collections::BTreeSet;

use crate::engine::context::Context;
use crate::engine::crew::{answer, passed};
use crate::engine::fleet::Host;
use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::names::{HostName, ReleaseId};
use crate::model::plan::{CleanUp, Plan};
use crate::remote::command::{CleanNginx, Command, MarkRelease, Prune};

pub(super) async fn was<H: Host>(
    context: &Context<'_, H>,
    plan: &Plan,
    host: &HostName,
    keep: u32,
    protected: &BTreeSet<ReleaseId>,
) -> Result<Option<Note>, Failure> {
    // It serves: whatever an earlier attempt said of it no longer holds.
    let (fence, release) = (context.crew.fence(host), plan.release.id.clone());
    let mark = Command::MarkRelease(MarkRelease {
        fence,
        release,
        failed: false,
    });
    passed(answer!(context.crew.call(host, mark).await?, MarkRelease)?)?;
    let prune = Command::Prune(Prune {
        fence: context.crew.fence(host),
        keep,
        protected: protected.clone(),
    });
    let removed = passed(answer!(context.crew.call(host, prune).await?, Prune)?)?;
    let count = u32::try_from(removed.len()).unwrap_or(u32::MAX);
    Ok((count > 0).then_some(Note::Pruned { count }))
}

pub(super) async fn nginx<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    clean: &CleanUp,
) -> Result<Option<Note>, Failure> {
    let command = Command::CleanNginx(CleanNginx {
        fence: context.crew.fence(host),
        entry: clean.entry.clone(),
        target: clean.target.clone(),
        conf: clean.conf.clone(),
    });
    passed(answer!(context.crew.call(host, command).await?, CleanNginx)?)?;
    Ok(None)
}

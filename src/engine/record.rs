//! The record that a run leaves on every host: what it means to do and how far it is.

use futures::future::join_all;

use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::phase::Phase;
use crate::model::plan::{self, Plan};
use crate::model::record::{RunRecord, RunStatus};
use crate::remote::command::{Command, Record};

use super::context::Context;
use super::crew::{answer, passed};
use super::fleet::Host;
use super::run::{Request, Wanted};

/// The record of a run that is about to begin.
pub(super) fn begin<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    before: &Observed,
    plan: &Plan,
) -> RunRecord {
    let last = before.last_run();
    RunRecord {
        without: context.topology.left_out().into_iter().cloned().collect(),
        from_routing: plan.routings.first().cloned().unwrap_or_default(),
        to_routing: plan.routings.last().cloned().unwrap_or_default(),
        home_generations: plan::home_generations(before),
        starts: plan.stage(Phase::Start).is_some(),
        was: context.topology.was.keys().cloned().collect(),
        nginx: context.topology.nginx.keys().cloned().collect(),
        from_slot: plan.from.clone(),
        to_slot: Some(plan.to.clone()),
        release: Some(plan.release.id.clone()),
        from_release: plan.from_release.clone(),
        left: last.map(|last| last.left.clone()).unwrap_or_default(),
        adopted: plan::adopted(context.topology, before, plan.from.as_ref()),
        ..RunRecord::opened(request.run.clone(), context.crew.epoch(), request.owner.clone())
    }
}

/// The record of a run whose release is live: a rollback has left a release behind, a deploy begins
/// anew.
pub(super) fn brought_live(mut record: RunRecord, wanted: &Wanted) -> RunRecord {
    match wanted {
        Wanted::Jar(_) => record.left.clear(),
        Wanted::Earlier(_) => record.left.extend(record.from_release.clone()),
    }
    if let Some(release) = &record.release {
        record.left.remove(release);
    }
    record.phase = Phase::Finish;
    record.status = RunStatus::Done;
    record
}

/// Writes the record on every host at once. Whatever this run sent to a host before and has not
/// arrived yet changes nothing there any more.
pub(super) async fn write<H: Host>(
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

//! The record that a run leaves on every host: what it means to do and how far it is.

use futures::future::join_all;

use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::plan::{self, Plan, Scene};
use crate::model::record::{RunKind, RunRecord};
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
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed: before,
        run: &request.run,
    };
    let kind = match request.wanted {
        Wanted::Jar(_) | Wanted::Resume => RunKind::Deploy,
        Wanted::Earlier(_) => RunKind::Rollback,
        Wanted::Converge { .. } => RunKind::Converge,
    };
    let opened = RunRecord::opened(request.run.clone(), context.crew.epoch(), request.owner.clone());
    plan::intent(&scene, plan, kind, opened)
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

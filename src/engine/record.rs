//! The record that a run leaves on every host: what it means to do, how far it is, and its last word.

use futures::future::join_all;
use tokio::time::sleep;

use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::Outcome;
use crate::model::plan::{self, Plan, Scene};
use crate::model::record::{RunKind, RunRecord};
use crate::remote::command::{Command, Record};

use super::context::Context;
use super::crew::{answer, passed};
use super::execute::warn;
use super::fleet::Host;
use super::run::{Request, Wanted};
use super::walk::{self, Failures, Gone, PAUSE, Rest, TRIES, Walked};

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
    let kind = kind_of(&request.wanted);
    let opened = RunRecord::opened(request.run.clone(), context.crew.epoch(), request.owner.clone());
    plan::intent(&scene, plan, kind, opened)
}

/// What a person asks for with that.
pub(super) fn kind_of(wanted: &Wanted) -> RunKind {
    match wanted {
        Wanted::Jar(_) | Wanted::OnHosts(_) | Wanted::Resume | Wanted::Promote(_) => RunKind::Deploy,
        Wanted::Earlier(_) => RunKind::Rollback,
        Wanted::Drill(_) => RunKind::Drill,
        Wanted::Converge { .. } => RunKind::Converge,
    }
}

/// Puts on record how far a way home is, under the epoch of now. Where a lease of ours was over and nobody has
/// come, the locks are taken again first.
pub(super) async fn on_the_way_home<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
) -> Result<Failures, Gone> {
    let word = async || {
        let epoch = context.crew.epoch();
        let record = RunRecord {
            epoch,
            ..record.clone()
        };
        write(context, &record).await.err().unwrap_or_default()
    };
    walk::again_if_lapsed(context, &record.owner, word).await
}

/// The last word of a way home: that the run is over, or that something of it is left. It passes the fence, so
/// that whoever slept until somebody else came learns of it here, and says nothing that is true no more.
pub(super) async fn close<H: Host>(context: &Context<'_, H>, record: &RunRecord, walked: Walked) -> Walked {
    let settled = matches!(walked.outcome, Outcome::AsItWas | Outcome::RolledBack);
    if !settled || walked.rest == Rest::Unlocked {
        return walked;
    }
    let mut record = record.clone();
    // A leg that went home is not the end of its run.
    if walked.rest == Rest::None && record.journey.is_none() {
        record = record.went_home();
    }
    for attempt in 1..=TRIES {
        let rest = Rest::Some;
        let failures = match on_the_way_home(context, &record).await {
            Ok(failures) => failures,
            Err(Gone::TakenOver) => {
                let outcome = Outcome::TakenOver;
                return Walked { outcome, rest };
            }
            Err(Gone::Forgone) => {
                let rest = Rest::Unlocked;
                return Walked { rest, ..walked };
            }
        };
        let somebody_heard = failures.len() < context.crew.hosts().count();
        if somebody_heard || attempt == TRIES {
            warn(context, failures);
        }
        if somebody_heard {
            return walked;
        }
        sleep(PAUSE).await;
    }
    // Nothing shows that nobody took over meanwhile.
    let outcome = match walked.outcome {
        Outcome::RolledBack => Outcome::Mixed,
        outcome => outcome,
    };
    let rest = Rest::Some;
    Walked { outcome, rest }
}

/// Writes the record on every host at once. Whatever this run sent to a host before and has not
/// arrived yet changes nothing there any more.
pub(super) async fn write<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
) -> Result<(), Vec<(HostName, Failure)>> {
    write_on(context, record, context.crew.hosts()).await
}

/// The same on some hosts.
pub(super) async fn write_on<'h, H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    hosts: impl Iterator<Item = &'h HostName>,
) -> Result<(), Failures> {
    let json = serde_json::to_string_pretty(record).expect("a record is plain data, and its keys are text");
    let written = hosts.map(|host| {
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

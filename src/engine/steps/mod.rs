//! One file for each kind of step: what it asks of its host, and what the answers mean.

pub(super) mod drain;
mod finish;
pub(super) mod hook;
mod proof;
mod start;
pub(super) mod stop;
pub(super) mod switch;
mod timer;
mod upload;
mod verify;

use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::names::{HostName, RunId};
use crate::model::plan::{HostStep, Plan, Step};

use super::context::Context;
use super::fleet::Host;

/// What a step needs beside its host.
pub struct Job<'a> {
    /// The plan that it is a part of.
    pub plan: &'a Plan,
    /// The run whose homes are saved and put back: the one that began it, whoever goes on with it.
    pub home: &'a RunId,
    /// The jar on the controller, for an upload.
    pub jar: Option<&'a std::path::Path>,
}

/// Runs one step on its host.
pub async fn run<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    on: &HostStep,
) -> Result<Option<Note>, Failure> {
    let host = &on.host;
    match &on.step {
        Step::Upload {
            release, on_record, ..
        } if *on_record => upload::is_there(context, host, release).await,
        Step::Upload { release, from, .. } => match from {
            Some(from) => upload::take(context, host, release, from).await,
            None => upload::send(context, host, release, job.jar).await,
        },
        Step::Retire {
            slot, port, target, ..
        } => stop::retire(context, host, slot, *port, target).await,
        Step::Vacate {
            slot, port, target, ..
        } => stop::vacate(context, host, slot, *port, target).await,
        Step::Start { .. } => start::start(context, &job.plan.release.id, host, &on.step).await,
        Step::Restart { release, start, own } => start::again(context, release, host, start, own).await,
        Step::Verify {
            endpoints,
            min_healthy_time,
            warm_up,
        } => verify::verify(context, host, endpoints, *min_healthy_time, *warm_up).await,
        Step::Prepare(switch) => switch::prepare(context, job, host, switch).await,
        Step::Commit(switch) => switch::commit(context, job, host, switch).await,
        Step::Hold { endpoints, duration } => verify::stays(context, host, endpoints, *duration).await,
        Step::AwaitPromotion => Ok(None),
        Step::Bake { endpoints } => {
            let duration = context.playbook.bake.duration;
            verify::stays(context, host, endpoints, duration).await
        }
        Step::ProveAnswer { expect, endpoints } => {
            proof::answer_of_release(context, host, expect.as_deref(), endpoints).await
        }
        Step::SetTimer {
            slot,
            port,
            identity,
            nginx,
            after,
            own,
        } => {
            let port = *port;
            let old = timer::Old {
                slot,
                port,
                identity,
                nginx,
                own,
                successor: &job.plan.to,
            };
            timer::set(context, job.home, host, old, *after).await
        }
        Step::DrainWorkers { master } => drain::workers(context, host, master).await,
        Step::DrainConnections { port, .. } => drain::connections(context, host, *port).await,
        Step::Stop {
            slot, port, identity, ..
        } => stop::stop(context, host, slot, *port, identity, &job.plan.to).await,
        Step::Keep { port, .. } => Ok(Some(stop::stays_up(host, *port))),
        Step::FinishWas { keep, protected } => finish::was(context, job.plan, host, *keep, protected).await,
        Step::FinishNginx { clean } => finish::nginx(context, host, clean).await,
        Step::Revert { generation, nginx } => {
            switch::revert(context, job, host, generation.as_deref(), nginx.as_ref()).await
        }
        Step::Withdraw {
            instance,
            release,
            mark_failed,
        } => stop::withdraw(context, host, instance.as_ref(), release, *mark_failed).await,
        Step::Hook(call) => hook::run(context, job, host, call).await,
        Step::EndHook { run, hook } => hook::end(context, run, host, *hook).await,
    }
}

/// The endpoint of a port on a host.
fn endpoint(host: &HostName, port: crate::model::names::Port) -> crate::model::endpoint::Endpoint {
    crate::model::endpoint::Endpoint {
        host: host.clone(),
        port,
    }
}

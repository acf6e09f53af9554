//! Waits, on the hosts, until old workers have finished and old connections have ended.

use futures::future::join_all;

use crate::engine::context::Context;
use crate::engine::crew::{MARGIN, answer};
use crate::engine::fleet::Host;
use crate::model::defect::{Defect, planted};
use crate::model::event::{Event, Note};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::names::{HostName, Port};
use crate::model::plan::Plan;
use crate::model::playbook::OnDeadline;
use crate::model::process::ProcessIdentity;
use crate::remote::command::{AwaitConnections, AwaitWorkers, Command};

use super::endpoint;

pub(in crate::engine) async fn workers<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    master: &ProcessIdentity,
) -> Result<Option<Note>, Failure> {
    if planted(Defect::StopWithoutDrain) {
        return Ok(None);
    }
    let deadline = context.playbook.drain.deadline;
    let command = Command::AwaitWorkers(AwaitWorkers {
        master: master.clone(),
        deadline,
    });
    let left = answer!(
        context.crew.call_within(host, command, deadline + MARGIN).await?,
        AwaitWorkers
    )?;
    if left.is_empty() {
        return Ok(None);
    }
    at_deadline(context, host, &format!("{} old nginx workers", left.len()));
    if context.playbook.drain.on_deadline == OnDeadline::Keep {
        context.ledger.borrow_mut().undrained.insert(host.clone());
    }
    Ok(None)
}

/// The nginx hosts whose old workers may still send requests to a slot that was left before this run: what
/// runs there is not ended before they are gone.
pub(in crate::engine) async fn not_gone<H: Host>(
    context: &Context<'_, H>,
    plan: &Plan,
) -> Vec<(HostName, Failure)> {
    let deadline = context.playbook.drain.deadline;
    let asked = plan.switches().into_iter().map(|(host, switch)| async move {
        let master = switch.nginx.master.clone();
        let command = Command::AwaitWorkers(AwaitWorkers { master, deadline });
        let call = async {
            let answered = context.crew.call_within(host, command, deadline + MARGIN).await?;
            answer!(answered, AwaitWorkers)
        };
        let failure = match call.await {
            Ok(left) if left.is_empty() => return None,
            Ok(left) => Failure::Script {
                reason: format!(
                    "{} old nginx workers are left, and may still send requests to the slot that was kept",
                    left.len()
                ),
            },
            Err(error) => Failure::from(error),
        };
        Some((host.clone(), failure))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Closes what this very run keeps open to an endpoint: it has asked for its health where it led an interrupted run
/// forward to a slot that its own plan leaves.
async fn let_go<H: Host>(context: &Context<'_, H>, host: &HostName, port: Port) {
    context.crew.forget_http(host, "127.0.0.1", port.number()).await;
    let Some(was) = context.topology.was.get(host) else {
        return;
    };
    for nginx in context.topology.nginx.keys() {
        context
            .crew
            .forget_http(nginx, was.address.as_str(), port.number())
            .await;
    }
}

pub(super) async fn connections<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    port: Port,
) -> Result<Option<Note>, Failure> {
    if planted(Defect::StopWithoutDrain) {
        return Ok(None);
    }
    let deadline = context.playbook.drain.deadline;
    let_go(context, host, port).await;
    let command = Command::AwaitConnections(AwaitConnections { port, deadline });
    let left = answer!(
        context.crew.call_within(host, command, deadline + MARGIN).await?,
        AwaitConnections
    )?;
    if left == 0 {
        return Ok(None);
    }
    let at = endpoint(host, port);
    at_deadline(context, host, &format!("{left} connections to {at}"));
    if context.playbook.drain.on_deadline == OnDeadline::Cut {
        return Ok(None);
    }
    context.ledger.borrow_mut().kept.insert(at.clone());
    Ok(Some(Note::Kept {
        endpoint: at,
        connections: left,
    }))
}

fn at_deadline<H>(context: &Context<'_, H>, host: &HostName, what: &str) {
    let then = match context.playbook.drain.on_deadline {
        OnDeadline::Keep => "the old slot stays up",
        OnDeadline::Cut => "they are cut",
    };
    let reason = format!("{what} were left at the drain's deadline: {then}");
    context.tell(Event::Warned {
        finding: Finding::warning(Some(host), Problem::LeftUndone { reason }),
    });
}

//! Starts a slot on one host and waits, on the host, until its process listens.

use crate::engine::context::{Context, Vacates};
use crate::engine::crew::{MARGIN, answer, passed};
use crate::engine::fleet::Host;
use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::names::{HostName, ReleaseId};
use crate::model::plan::{StartRunner, Step, Viewed};
use crate::model::playbook::Runner;
use crate::remote::answer::StartAnswer;
use crate::remote::command::{Command, RenderedRunner, Start};

use super::{endpoint, verify};

pub(super) async fn start<H: Host>(
    context: &Context<'_, H>,
    release: &ReleaseId,
    host: &HostName,
    step: &Step,
) -> Result<Option<Note>, Failure> {
    let Step::Start {
        slot,
        port,
        runner,
        env,
    } = step
    else {
        return Ok(None);
    };
    let deadline = context.playbook.health.healthy_deadline;
    let script_deadline = match &context.playbook.start {
        Runner::Command(command) => command.deadline,
        Runner::Java(_) | Runner::Systemd(_) => deadline,
    };
    let runner = match runner.clone() {
        StartRunner::Process { argv } => RenderedRunner::Process { argv },
        StartRunner::Script { argv, chdir } => RenderedRunner::Script {
            argv,
            chdir,
            deadline: script_deadline,
        },
        StartRunner::Unit(unit) => RenderedRunner::Unit(unit),
    };
    let command = Command::Start(Start {
        fence: context.crew.fence(host),
        slot: slot.clone(),
        port: *port,
        release: release.clone(),
        runner,
        env: env.clone(),
        deadline,
    });
    let at = endpoint(host, *port);
    context.ledger.borrow_mut().vacates = Vacates::Something;
    let answered = context
        .crew
        .call_within(host, command, deadline + script_deadline + MARGIN)
        .await?;
    match passed(answer!(answered, Start)?)? {
        StartAnswer::Listening { identity, .. } => {
            let pid = identity.pid;
            context.ledger.borrow_mut().instances.insert(at.clone(), identity);
            Ok(Some(Note::Started { pid, endpoint: at }))
        }
        StartAnswer::Exited { reason, tail } => Err(Failure::Exited {
            endpoint: at,
            reason,
            tail,
        }),
        StartAnswer::OutOfMemory {
            available_bytes,
            kills,
            tail,
        } => Err(Failure::OutOfMemory {
            endpoint: at,
            available_bytes,
            kills,
            tail,
        }),
        StartAnswer::NotListening { identity, tail } => Err(Failure::NotListening {
            endpoint: at,
            identity,
            waited: deadline,
            tail,
        }),
        StartAnswer::PortTaken { by, tail } => Err(Failure::PortTaken {
            endpoint: at,
            by,
            tail,
        }),
    }
}

/// Starts an old instance again, and waits until it is healthy as its own host sees it.
pub(super) async fn again<H: Host>(
    context: &Context<'_, H>,
    release: &ReleaseId,
    host: &HostName,
    step: &Step,
    own: &Viewed,
) -> Result<Option<Note>, Failure> {
    let started = start(context, release, host, step).await?;
    let healthy = context.playbook.health.min_healthy_time;
    verify::verify(context, host, std::slice::from_ref(own), healthy, false).await?;
    Ok(started)
}

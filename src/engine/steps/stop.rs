//! Ends a process by its identity: an old instance after the switch, one that an earlier run kept, or one that
//! this run started and has to take back; and what a start left behind, by the word that it gave it.

use futures::future::join_all;

use crate::engine::context::{Context, Vacates};
use crate::engine::crew::{MARGIN, answer, passed};
use crate::engine::fleet::Host;
use crate::engine::{census, observe};
use crate::model::endpoint::Endpoint;
use crate::model::event::Note;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::names::{HostName, Port, ReleaseId, SlotName};
use crate::model::plan::{HostStep, Step};
use crate::model::process::{ProcessIdentity, StopTarget};
use crate::remote::answer::StopAnswer;
use crate::remote::command::{Command, DiscardUpload, MarkRelease, Stop, Successor};

use super::endpoint;

/// The note of an instance that the playbook keeps.
pub(super) fn stays_up(host: &HostName, port: Port) -> Note {
    Note::StaysUp {
        endpoint: endpoint(host, port),
    }
}

/// Whether a step will tell an instance to end that had the traffic.
pub(in crate::engine) fn will_end<H>(context: &Context<'_, H>, on: &HostStep) -> bool {
    matches!(on.step, Step::Stop { port, .. } | Step::Vacate { port, .. }
        if !is_kept(context, &endpoint(&on.host, port)))
}

fn is_kept<H>(context: &Context<'_, H>, at: &Endpoint) -> bool {
    let ledger = context.ledger.borrow();
    ledger.kept.contains(at) || !ledger.undrained.is_empty()
}

/// Ends the old instance, if its successor lives.
pub(super) async fn stop<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    slot: &SlotName,
    port: Port,
    identity: &ProcessIdentity,
    successor: &SlotName,
) -> Result<Option<Note>, Failure> {
    let at = endpoint(host, port);
    if is_kept(context, &at) {
        return Ok(Some(stays_up(host, port)));
    }
    let own = successor_on(context, host, successor)?;
    if own.is_none() {
        serve_elsewhere(context, at, successor).await?;
    }
    let target = StopTarget::Process(identity.clone());
    end(context, host, slot, port, target, own).await
}

/// Where the slots are on different hosts, those of the new one have to be there: all of them are asked.
async fn serve_elsewhere<H: Host>(
    context: &Context<'_, H>,
    old: Endpoint,
    slot: &SlotName,
) -> Result<(), Failure> {
    let endpoints = context.topology.endpoints(slot);
    let asked = endpoints.iter().map(|at| async move {
        let answer = census::insist(context, at, HealthAnswer::is_healthy).await;
        match answer {
            Some(answer) if answer.is_healthy() => None,
            Some(answer) => Some(format!("{at} is not healthy: {answer}")),
            None => Some(format!("{at} cannot be asked")),
        }
    });
    match join_all(asked).await.into_iter().flatten().next() {
        Some(reason) => Err(Failure::SuccessorMissing {
            endpoint: old,
            reason,
        }),
        None => Ok(()),
    }
}

/// Ends what an earlier run kept on the idle slot, or left there.
pub(super) async fn retire<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    slot: &SlotName,
    port: Port,
    target: &StopTarget,
) -> Result<Option<Note>, Failure> {
    let at = endpoint(host, port);
    let seen = observe::slots(context.topology, context.crew, host).await?;
    let connections = seen
        .was
        .and_then(|was| was.slots.get(slot).map(|slot| slot.connections))
        .unwrap_or(0);
    if connections > 0 {
        let reason = format!("an earlier run kept it, and it has {connections} connections");
        return Err(Failure::StillRuns { endpoint: at, reason });
    }
    end(context, host, slot, port, target.clone(), None).await
}

/// Ends what gets no requests any more, unless requests were left at the drain's deadline that the playbook does
/// not cut.
pub(super) async fn vacate<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    slot: &SlotName,
    port: Port,
    target: &StopTarget,
) -> Result<Option<Note>, Failure> {
    let at = endpoint(host, port);
    if is_kept(context, &at) {
        let reason =
            "requests were left at the drain's deadline, and `drain.on_deadline` keeps them".to_owned();
        return Err(Failure::StillRuns { endpoint: at, reason });
    }
    context.ledger.borrow_mut().vacates = Vacates::Something;
    end(context, host, slot, port, target.clone(), None).await
}

/// Takes back what this run did on a WAS host.
pub(super) async fn withdraw<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    instance: Option<&(SlotName, Port, StopTarget)>,
    release: &ReleaseId,
    mark_failed: bool,
) -> Result<Option<Note>, Failure> {
    if mark_failed {
        let mark = Command::MarkRelease(MarkRelease {
            fence: context.crew.fence(host),
            release: release.clone(),
            failed: true,
        });
        passed(answer!(context.crew.call(host, mark).await?, MarkRelease)?)?;
    }
    let discard = Command::DiscardUpload(DiscardUpload {
        fence: context.crew.fence(host),
        release: release.clone(),
    });
    passed(answer!(context.crew.call(host, discard).await?, DiscardUpload)?)?;
    match instance {
        // Old workers may still have requests for it; the next deploy retires it.
        Some((_, port, _)) if !context.ledger.borrow().undrained.is_empty() => {
            Ok(Some(stays_up(host, *port)))
        }
        Some((slot, port, target)) => end(context, host, slot, *port, target.clone(), None).await,
        None => Ok(None),
    }
}

fn successor_on<H>(
    context: &Context<'_, H>,
    host: &HostName,
    slot: &SlotName,
) -> Result<Option<Successor>, Failure> {
    let Some(port) = context
        .topology
        .was
        .get(host)
        .and_then(|was| was.ports.get(slot))
        .copied()
    else {
        return Ok(None);
    };
    let at = endpoint(host, port);
    let known = context.ledger.borrow().instances.get(&at).cloned();
    let missing = |reason: &str| Failure::SuccessorMissing {
        endpoint: at.clone(),
        reason: reason.to_owned(),
    };
    match known {
        Some(identity) => Ok(Some(Successor { identity, port })),
        None => Err(missing("this run does not know the process of the new slot")),
    }
}

async fn end<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    slot: &SlotName,
    port: Port,
    target: StopTarget,
    successor: Option<Successor>,
) -> Result<Option<Note>, Failure> {
    let at = endpoint(host, port);
    let grace = context.playbook.stop.grace;
    let command = Command::Stop(Stop {
        fence: context.crew.fence(host),
        slot: slot.clone(),
        target,
        grace,
        successor,
    });
    let answered = context
        .crew
        .call_within(host, command, grace + MARGIN + MARGIN)
        .await?;
    match passed(answer!(answered, Stop)?)? {
        StopAnswer::Terminated => Ok(Some(Note::Stopped {
            endpoint: at,
            killed: false,
        })),
        StopAnswer::Killed => Ok(Some(Note::Stopped {
            endpoint: at,
            killed: true,
        })),
        StopAnswer::AlreadyGone => Ok(None),
        StopAnswer::StillRuns { reason } => Err(Failure::StillRuns { endpoint: at, reason }),
        StopAnswer::SuccessorMissing { reason } => Err(Failure::SuccessorMissing { endpoint: at, reason }),
    }
}

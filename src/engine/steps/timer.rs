//! Leaves the end of an old instance to its own host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::crew::{answer, passed};
use crate::engine::fleet::Host;
use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::names::{HostName, Port, RunId, SlotName};
use crate::model::plan::Viewed;
use crate::model::process::ProcessIdentity;
use crate::remote::command::{Command, HealthRequest, SetTimer, Successor};

use super::endpoint;

/// How long no nginx must have been connected to the old port before its instance is stopped.
const QUIET: Duration = Duration::from_secs(60);
/// How long after its hour a host waits for that; then the old instance stays up.
const QUIET_LIMIT: Duration = Duration::from_secs(3600);

/// What a timer ends, and in whose place.
pub(super) struct Old<'a> {
    pub(super) slot: &'a SlotName,
    pub(super) port: Port,
    pub(super) identity: &'a ProcessIdentity,
    pub(super) nginx: &'a BTreeSet<IpAddr>,
    pub(super) own: &'a Viewed,
    pub(super) successor: &'a SlotName,
}

/// Sets the timer of a host.
pub(super) async fn set<H: Host>(
    context: &Context<'_, H>,
    run: &RunId,
    host: &HostName,
    old: Old<'_>,
    after: Duration,
) -> Result<Option<Note>, Failure> {
    let known = context.ledger.borrow().instances.get(&old.own.endpoint).cloned();
    let identity = known.ok_or_else(|| Failure::SuccessorMissing {
        endpoint: old.own.endpoint.clone(),
        reason: "this run does not know the process of the new slot".to_owned(),
    })?;
    let health = &context.playbook.health;
    let timer = SetTimer {
        fence: context.crew.fence(host),
        run: run.clone(),
        after,
        slot: old.slot.clone(),
        port: old.port,
        identity: old.identity.clone(),
        grace: context.playbook.stop.grace,
        successor: Successor {
            identity,
            port: old.own.endpoint.port,
        },
        successor_slot: old.successor.clone(),
        health: HealthRequest {
            address: old.own.address.clone(),
            path: health.path.clone(),
            status: health.status,
            body_contains: health.body_contains.clone(),
            timeout: health.timeout,
        },
        nginx: old.nginx.clone(),
        quiet: QUIET,
        quiet_limit: QUIET_LIMIT,
    };
    let command = Command::SetTimer(Box::new(timer));
    let left = passed(answer!(context.crew.call(host, command).await?, SetTimer)?)?;
    let endpoint = endpoint(host, old.port);
    Ok(Some(Note::EndsLater { endpoint, left }))
}

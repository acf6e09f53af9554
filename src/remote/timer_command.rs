//! The part of the vocabulary that leaves the stop of an old instance to its host.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::lock::Fence;
use crate::model::names::{Port, RunId, SlotName};
use crate::model::process::ProcessIdentity;

use super::command::Successor;

/// See [`super::command::Command::SetTimer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTimer {
    /// The fence.
    pub fence: Fence,
    /// The run whose old instance ends.
    pub run: RunId,
    /// How long from now.
    pub after: Duration,
    /// The old slot.
    pub slot: SlotName,
    /// Its port.
    pub port: Port,
    /// The old instance.
    pub identity: ProcessIdentity,
    /// The time between TERM and KILL.
    pub grace: Duration,
    /// The new instance on the same host.
    pub successor: Successor,
    /// Its slot: where a unit of systemd runs that, the process may be another one by then.
    pub successor_slot: SlotName,
    /// How it is asked whether it is healthy.
    pub health: HealthRequest,
    /// The addresses from which an nginx of the run connects.
    pub nginx: BTreeSet<IpAddr>,
    /// How long none of them must be connected to the old port.
    pub quiet: Duration,
    /// How long after the hour it is waited for that.
    pub quiet_limit: Duration,
}

/// What a host asks its own new instance. Fields of a JSON answer are not looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRequest {
    /// Where, as seen from the host.
    pub address: String,
    /// The path with its query.
    pub path: String,
    /// The status that counts as healthy.
    pub status: u16,
    /// What the body must contain.
    pub body_contains: Option<String>,
    /// How long one try may take.
    pub timeout: Duration,
}

/// See [`super::command::Command::CancelTimer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelTimer {
    /// The fence.
    pub fence: Fence,
    /// The run whose timer is asked for.
    pub run: RunId,
}

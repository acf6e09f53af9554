//! The run that is not over: whether somebody is at work on it, or which way it goes when somebody
//! finishes it. What `resume` will find is foretold by the very function that decides it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::model::decision::{Newest, Slots, Way, decide};
use crate::model::endpoint::Endpoint;
use crate::model::names::{HostName, SlotName};
use crate::model::observed::Observed;
use crate::model::plan;
use crate::model::record::RunRecord;
use crate::model::topology::Topology;

/// A run that is not over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenRun {
    /// What it means to do.
    pub record: RunRecord,
    /// The newest token of each of its nginx hosts.
    pub tokens: BTreeMap<HostName, Newest>,
    /// Whether somebody is at work on it.
    pub state: RunState,
}

/// Whether somebody is at work on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// Its locks are held, and their leases are not over.
    AtWork,
    /// Another run holds the locks, and begins with finishing this one.
    BeingFinished,
    /// Nobody is: it waits for somebody who finishes it.
    Interrupted {
        /// What finishing it does, as far as can be seen now.
        way: Way,
        /// What was seen of its two slots.
        slots: Slots,
    },
}

impl OpenRun {
    /// The run that began last, unless it is over.
    pub(super) fn read(topology: &Topology, observed: &Observed) -> Option<Self> {
        let record = plan::interrupted(observed)?.clone();
        let tokens: BTreeMap<_, _> = record
            .nginx
            .iter()
            .filter(|host| !topology.without.nginx.contains_key(*host))
            .map(|host| (host.clone(), newest(observed, host, &record)))
            .collect();
        let mut locks = observed.hosts.values().map(|seen| &seen.lock);
        // A lock without an end was taken by hand: nobody works under it.
        let leased = locks.find(|lock| lock.lease_left.is_some_and(|left| left > Duration::ZERO));
        let state = match leased {
            Some(lock) if lock.run.as_ref() == Some(&record.run) => RunState::AtWork,
            Some(_) => RunState::BeingFinished,
            None => {
                let slots = slots(topology, observed, &record, &tokens);
                let way = decide(tokens.values().copied(), slots);
                RunState::Interrupted { way, slots }
            }
        };
        Some(Self {
            record,
            tokens,
            state,
        })
    }
}

fn newest(observed: &Observed, host: &HostName, record: &RunRecord) -> Newest {
    let seen = observed.hosts.get(host).and_then(|seen| seen.nginx.as_ref());
    seen.map_or(Newest::Unreadable, |nginx| {
        nginx
            .newest_token(&record.run)
            .map_or(Newest::None, |token| Newest::Is(token.state))
    })
}

/// What can be told without asking for health: whether the processes listen.
fn slots(
    topology: &Topology,
    observed: &Observed,
    record: &RunRecord,
    tokens: &BTreeMap<HostName, Newest>,
) -> Slots {
    let listens = |slot: &SlotName, endpoint: &Endpoint| {
        let seen = observed.slot(&endpoint.host, slot);
        seen.is_some_and(|seen| seen.listener.is_some())
    };
    let up = |slot: &SlotName| {
        let endpoints = topology.endpoints(slot);
        let listening = endpoints.iter().filter(|endpoint| listens(slot, endpoint));
        (listening.count(), endpoints.len())
    };
    let was_switched = tokens.values().any(|newest| *newest != Newest::None);
    let old_is_alive = match &record.from_slot {
        // Its end has begun: a process that was told to end may still listen.
        Some(_) if was_switched && record.point_of_no_return => false,
        Some(slot) if was_switched => up(slot).0 > 0,
        _ => true,
    };
    Slots {
        new_is_healthy: record.to_slot.as_ref().is_some_and(|slot| {
            let (listening, all) = up(slot);
            listening == all
        }),
        old_is_alive,
    }
}

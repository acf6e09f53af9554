//! The run that is not over: whether somebody is at work on it, or which way it goes when somebody
//! finishes it. What `resume` will find is foretold by the very function that decides it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::model::decision::{Census, Evidence, Home, Newest, Slots, Switched, Way, decide, home_is_there};
use crate::model::endpoint::Endpoint;
use crate::model::names::{HostName, SlotName};
use crate::model::observed::Observed;
use crate::model::plan;
use crate::model::record::RunRecord;
use crate::model::timer::Timer;
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
    /// What became of the hour at which each host stops its old instance, where the run left that to them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub timers: BTreeMap<HostName, Timer>,
}

/// Whether somebody is at work on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// Its locks are held, and their leases are not over.
    AtWork,
    /// Another run holds the locks, and begins with finishing this one.
    BeingFinished,
    /// Nobody is: it waits for a person who promotes it or takes it back.
    Waits {
        /// Up to which of its routings it came; 0 is the one before the run.
        reached: u32,
        /// How many routings it has after that one.
        switches: u32,
        /// What its new slot gets of the requests meanwhile, of a hundred.
        percent: u32,
    },
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
        let waiting = plan::waiting(observed);
        let record = waiting.or_else(|| plan::interrupted(observed))?.clone();
        let evidence = plan::evidence(topology, observed, &record);
        let tokens = plan::asked(topology, &record).cloned();
        let tokens: BTreeMap<_, _> = tokens.zip(evidence.tokens.iter().copied()).collect();
        let mut locks = observed.hosts.values().map(|seen| &seen.lock);
        // A lock without an end was taken by hand: nobody works under it.
        let leased = locks.find(|lock| lock.lease_left.is_some_and(|left| left > Duration::ZERO));
        let state = match leased {
            Some(lock) if lock.run.as_ref() == Some(record.place().0) => RunState::AtWork,
            Some(_) => RunState::BeingFinished,
            None if waiting.is_some() => waits(topology, &record, evidence.reached),
            None => {
                let slots = slots(topology, observed, &record, &evidence);
                let way = decide(tokens.values().copied(), slots);
                RunState::Interrupted { way, slots }
            }
        };
        let mut timers = BTreeMap::new();
        if record.window.is_some() {
            let told = |(host, timer): (&HostName, &Timer)| {
                let seen = observed.hosts.get(host);
                (
                    host.clone(),
                    seen.map_or_else(|| timer.clone(), |seen| timer.on(seen)),
                )
            };
            timers.extend(plan::timers(observed, &record).map(told));
        }
        Some(Self {
            record,
            tokens,
            state,
            timers,
        })
    }
}

fn waits(topology: &Topology, record: &RunRecord, reached: u32) -> RunState {
    let stations = record.stations();
    let routing = stations.get(reached as usize).map(|station| &station.routing);
    let is_new = |endpoint: &Endpoint| topology.slot_of(endpoint) == record.to_slot.as_ref();
    RunState::Waits {
        reached,
        switches: record.switches(),
        percent: routing.map_or(0, |routing| routing.percent(is_new)),
    }
}

/// What can be told without asking for health: what listens is taken for healthy.
fn slots(topology: &Topology, observed: &Observed, record: &RunRecord, evidence: &Evidence) -> Slots {
    let census = |slot: &SlotName, endpoints: Vec<Endpoint>| {
        let seen = |endpoint: &Endpoint| observed.slot(&endpoint.host, slot);
        let count = |is: &dyn Fn(&Endpoint) -> bool| endpoints.iter().filter(|it| is(it)).count();
        let listening = count(&|it| seen(it).is_some_and(|seen| seen.listener.is_some()));
        Census {
            endpoints: endpoints.len(),
            answering: listening,
            healthy: listening,
            unknown: count(&|it| seen(it).is_none()),
        }
    };
    let new = plan::in_question(topology, record, evidence.reached);
    let new = record.to_slot.as_ref().map(|slot| census(slot, new));
    let new = new.unwrap_or_default();
    let old = |slot: &SlotName| census(slot, plan::at_home(topology, record));
    Slots {
        new_is_healthy: new.is_healthy(),
        old_is_alive: home_is_there(Home {
            old: record.from_slot.as_ref().map(old),
            new,
            switched: Switched::of(&evidence.tokens),
            point_of_no_return: record.point_of_no_return,
        }),
    }
}

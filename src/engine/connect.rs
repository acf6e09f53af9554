//! Reaches every host at once; all that cannot be reached are named together.

use std::collections::BTreeMap;

use futures::future::join_all;
use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::topology::Topology;

use super::context::Interrupt;
use super::fleet::{ConnectFailure, Fleet};

/// Every host of the topology, or the findings of those that cannot be reached.
pub async fn connect<F: Fleet>(
    fleet: &F,
    topology: &Topology,
    interrupt: &Interrupt,
    events: &dyn Fn(Event),
) -> Result<BTreeMap<HostName, F::Host>, Vec<Finding>> {
    let phase = Phase::Connect;
    let began = Instant::now();
    events(Event::PhaseStarted {
        phase,
        hosts: topology.hosts().into_iter().cloned().collect(),
    });
    let connecting = each(fleet, topology, events);
    let connected = tokio::select! {
        biased;
        _ = interrupt.wait() => (BTreeMap::new(), BTreeMap::new()),
        connected = connecting => connected,
    };
    let succeeded = connected.1.is_empty() && interrupt.cause().is_none();
    events(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded,
    });
    let finding = |(host, failure): (HostName, ConnectFailure)| {
        let problem = Problem::Unreachable {
            reason: failure.reason,
            obstacle: failure.obstacle,
        };
        Finding::refusal(Some(&host), problem)
    };
    if succeeded {
        Ok(connected.0)
    } else {
        Err(connected.1.into_iter().map(finding).collect())
    }
}

/// Every host that was reached, and why the others were not.
pub async fn each<F: Fleet>(
    fleet: &F,
    topology: &Topology,
    events: &dyn Fn(Event),
) -> (BTreeMap<HostName, F::Host>, BTreeMap<HostName, ConnectFailure>) {
    let phase = Phase::Connect;
    let hosts = topology.hosts().into_iter().map(|host| async move {
        let began = Instant::now();
        events(Event::HostStarted {
            host: host.clone(),
            phase,
        });
        let connected = fleet.connect(host).await;
        match &connected {
            Ok(_) => {
                events(Event::HostDone {
                    host: host.clone(),
                    phase,
                    took: began.elapsed(),
                    note: None,
                });
            }
            Err(failure) => {
                let failure = Failure::Unreachable {
                    reason: failure.reason.clone(),
                    obstacle: failure.obstacle.clone(),
                };
                events(Event::HostFailed {
                    host: host.clone(),
                    phase,
                    failure,
                });
            }
        }
        (host.clone(), connected)
    });
    let mut reached = BTreeMap::new();
    let mut failed = BTreeMap::new();
    for (host, connected) in join_all(hosts).await {
        match connected {
            Ok(connected) => {
                reached.insert(host, connected);
            }
            Err(failure) => {
                failed.insert(host, failure);
            }
        }
    }
    (reached, failed)
}

//! Hosts that the last run went on without, because a person left them out or the inventory did not have
//! them yet: what they miss, and that it is no reason to refuse the run that brings it.

use super::endpoint::Endpoint;
use super::finding::{Finding, Problem};
use super::live::{Agreed, Live, Share};
use super::names::SlotName;
use super::observed::Observed;
use super::record::{RunRecord, RunStatus};
use super::topology::Topology;

/// Hosts that the last run went on without: a WAS host that gets no traffic, an nginx host that was not
/// switched.
pub(super) fn findings(topology: &Topology, observed: &Observed, live: &Live) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(last) = observed.last_run() else {
        return findings;
    };
    let behind = observed.behind();
    for (host, record) in &behind {
        let record = Box::new((*record).clone());
        findings.push(Finding::warning(Some(host), Problem::Behind { record }));
    }
    let Ok(Agreed {
        slot: Some(slot),
        share,
    }) = live.agreed()
    else {
        return findings;
    };
    let mut missed = topology.endpoints(&slot);
    match share {
        Share::Whole => missed.retain(|endpoint| was_absent(topology, Some(last), &slot, endpoint)),
        // While a run is at it, who is out comes back.
        Share::Part if last.status == RunStatus::Done => {}
        Share::Part | Share::Between => return findings,
    }
    let routed = live.routed();
    missed.retain(|endpoint| !routed.contains(endpoint) && !behind.contains_key(&endpoint.host));
    for endpoint in missed {
        let run = last.run.clone();
        let host = endpoint.host.clone();
        let problem = Problem::WasBehind { run, endpoint };
        findings.push(Finding::warning(Some(&host), problem));
    }
    findings
}

/// Whether the last run left a slot without that endpoint: its host was left out, or is new. The next
/// deploy brings it in.
pub(super) fn was_absent(
    topology: &Topology,
    last: Option<&RunRecord>,
    slot: &SlotName,
    endpoint: &Endpoint,
) -> bool {
    let left = last.map(RunRecord::left_routed).unwrap_or_default();
    let of_slot = |routed: &Endpoint| topology.slot_of(routed) == Some(slot);
    left.iter().any(of_slot) && !left.contains(endpoint)
}

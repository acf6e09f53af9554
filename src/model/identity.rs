//! Slots that tell which one they are (`identify`): a process that answers with another slot's text was
//! started with the wrong variables, by hand or by another tool.

use super::endpoint::Endpoint;
use super::finding::{Finding, Problem};
use super::names::SlotName;
use super::observed::Observed;
use super::topology::Topology;

/// Every endpoint that listens and answers as something else than its slot.
pub fn findings(topology: &Topology, observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (host, was) in &topology.was {
        for (slot, port) in &was.ports {
            let seen = observed.slot(host, slot);
            let answer = seen.and_then(|seen| seen.answers_as.as_ref());
            let Some(answer) = answer.filter(|answer| !is(topology, slot, answer)) else {
                continue;
            };
            let problem = Problem::AnswersAsOther {
                endpoint: Endpoint {
                    host: host.clone(),
                    port: *port,
                },
                slot: slot.clone(),
                answer: answer.clone(),
                other: known(topology, answer).cloned(),
            };
            findings.push(Finding::refusal(Some(host), problem));
        }
    }
    findings
}

/// Whether an answer is the slot's own; any is where the slot has none.
pub fn is(topology: &Topology, slot: &SlotName, answer: &str) -> bool {
    let own = topology.identities.get(slot);
    own.is_none_or(|own| own == answer.trim())
}

/// The slot whose answer it is.
pub fn known<'a>(topology: &'a Topology, answer: &str) -> Option<&'a SlotName> {
    let mut slots = topology.identities.iter();
    slots.find(|(_, own)| *own == answer.trim()).map(|(slot, _)| slot)
}

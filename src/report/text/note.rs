//! What went well and is worth a word.

use crate::model::event::{Note, ProofUsed};
use crate::model::hook::HookPlace;
use crate::report::units::{count, duration};

/// The note in words.
pub fn describe(note: &Note) -> String {
    match note {
        Note::AlreadyThere => "the jar was there already".to_owned(),
        Note::Started { pid, endpoint } => format!("started pid {pid} on {endpoint}"),
        Note::Stopped {
            endpoint,
            killed: false,
        } => format!("stopped {endpoint}"),
        Note::Stopped {
            endpoint,
            killed: true,
        } => format!("stopped {endpoint} by KILL, for it did not end by TERM"),
        Note::Kept {
            endpoint,
            connections,
        } => {
            let connections = count(*connections as usize, "connection");
            format!("kept {endpoint}: {connections} left at the drain's deadline")
        }
        Note::EndsLater { endpoint, left } => {
            format!("stops {endpoint} by itself in {}", duration(*left))
        }
        Note::StaysUp { endpoint } => format!("{endpoint} stays up, as the playbook says"),
        Note::Proven { proof } => format!("proven by {}", describe_proof(*proof)),
        Note::HookDone {
            hook,
            on: HookPlace::Controller,
            ..
        } => format!("{hook} on the controller"),
        Note::HookDone { hook, .. } => hook.to_string(),
        Note::HookWasDone { hook } => format!("{hook} was done before"),
        Note::HookEnded { hook } => format!("{hook} was ended"),
        Note::Pruned { count: pruned } => format!("removed {}", count(*pruned as usize, "old release")),
    }
}

/// The proof in words.
pub fn describe_proof(proof: ProofUsed) -> &'static str {
    match proof {
        ProofUsed::Generation => "fresh workers and the generation endpoint",
        ProofUsed::Request => "fresh workers and the playbook's request",
        ProofUsed::Arrival => "fresh workers and a connection that arrived at a new endpoint",
        ProofUsed::Workers => "fresh workers",
    }
}

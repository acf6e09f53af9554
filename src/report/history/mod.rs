//! What `nonstop history` shows: the audit trails of the fleet, merged by run. Pure: hosts' answers in,
//! runs out; `text` is how people see them.

mod line;
mod text;

pub use line::Entry;
pub use text::render;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use crate::model::names::{HostName, RunId};

/// The audit trails of a fleet.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct History {
    /// The runs, the newest last.
    pub runs: Vec<Run>,
    /// How many lines of a host could not be read: torn by a crash, or written by somebody else.
    pub skipped: BTreeMap<HostName, u32>,
}

/// What the hosts wrote down under one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The run; `None` for what happened outside any, such as a lock that was broken.
    pub run: Option<RunId>,
    /// Everything, in order. A host's own lines keep their order whatever its clock did.
    pub entries: Vec<Entry>,
}

impl History {
    /// Merges the answers of all hosts, each with one JSON object a line.
    pub fn merge(answers: &BTreeMap<HostName, String>) -> Self {
        let mut history = Self::default();
        let mut by_run: BTreeMap<Option<RunId>, BTreeMap<&HostName, VecDeque<Entry>>> = BTreeMap::new();
        for (host, answer) in answers {
            for line in answer.lines().filter(|line| !line.trim().is_empty()) {
                match Entry::read(host, line) {
                    Some((run, entry)) => by_run
                        .entry(run)
                        .or_default()
                        .entry(host)
                        .or_default()
                        .push_back(entry),
                    None => *history.skipped.entry(host.clone()).or_default() += 1,
                }
            }
        }
        let run = |(run, trails): (Option<RunId>, BTreeMap<&HostName, VecDeque<Entry>>)| Run {
            run,
            entries: interleaved(trails.into_values().collect()),
        };
        history.runs = by_run.into_iter().map(run).collect();
        history.runs.sort_by_key(Run::began);
        history
    }

    /// Keeps only the newest runs.
    pub fn keep_newest(&mut self, count: usize) {
        let older = self.runs.len().saturating_sub(count);
        self.runs.drain(..older);
    }

    /// Keeps only the runs whose id begins like this. Returns whether there are any.
    pub fn keep_run(&mut self, prefix: &str) -> bool {
        let begins = |run: &Run| {
            run.run
                .as_ref()
                .is_some_and(|run| run.as_str().starts_with(prefix))
        };
        self.runs.retain(begins);
        !self.runs.is_empty()
    }
}

impl Run {
    /// When it began, by the clock of the first host that wrote something down.
    pub fn began(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.time).min()
    }

    /// When something happened last.
    pub fn ended(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.time).max()
    }
}

/// One list out of several: always the earliest of those that come next.
fn interleaved(mut trails: Vec<VecDeque<Entry>>) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let next = trails
            .iter_mut()
            .filter(|trail| !trail.is_empty())
            .min_by_key(|trail| trail.front().map(|entry| entry.time));
        match next.and_then(VecDeque::pop_front) {
            Some(entry) => entries.push(entry),
            None => return entries,
        }
    }
}

#[cfg(test)]
mod tests;

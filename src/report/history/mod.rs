//! What `nonstop history` shows: the audit trails of the fleet, merged by run. Pure: hosts' answers in,
//! runs out; `text` is how people see them.

mod line;
mod text;

pub use line::Entry;
pub use text::render;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// The runs of others that it went on with.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub went_on_with: BTreeSet<RunId>,
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
        let run = |(run, trails): (Option<RunId>, BTreeMap<&HostName, VecDeque<Entry>>)| {
            let entries = interleaved(trails.into_values().collect());
            let others = entries
                .iter()
                .filter_map(|entry| RunId::new(entry.goes_on_with()?).ok());
            Run {
                run,
                went_on_with: others.collect(),
                entries,
            }
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

    /// Keeps only the runs whose id begins like this, and those that went on with one of them. Returns
    /// whether there are any.
    pub fn keep_run(&mut self, prefix: &str) -> bool {
        let begins = |run: &RunId| run.as_str().starts_with(prefix);
        self.runs
            .retain(|run| run.run.iter().chain(&run.went_on_with).any(begins));
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

/// One list out of several: always one of the earliest of those that come next. Clocks tell seconds only; of
/// several in one second, what no other host has still before it comes first, so that the barriers of a
/// run stay where they were.
fn interleaved(mut trails: Vec<VecDeque<Entry>>) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let heads = trails.iter().filter_map(|trail| trail.front());
        let Some(earliest) = heads.map(|entry| entry.time.as_second()).min() else {
            return entries;
        };
        let next = (0..trails.len())
            .filter(|trail| {
                trails[*trail]
                    .front()
                    .is_some_and(|entry| entry.time.as_second() == earliest)
            })
            .min_by_key(|trail| (awaited(&trails, *trail), !follows(&entries, &trails[*trail])));
        entries.extend(next.and_then(|trail| trails[trail].pop_front()));
    }
}

/// Whether a host's next is what another one just did.
fn follows(entries: &[Entry], trail: &VecDeque<Entry>) -> bool {
    let pair = entries.last().zip(trail.front());
    pair.is_some_and(|(last, next)| next.is_like(last))
}

/// How many other hosts did the same as this one's next in that second or the one after it, and something
/// else before.
fn awaited(trails: &[VecDeque<Entry>], trail: usize) -> usize {
    let Some(next) = trails[trail].front() else {
        return 0;
    };
    let soon = next.time.as_second() + 1;
    let does = |other: &&VecDeque<Entry>| {
        let deeper = other.iter().take_while(|entry| entry.time.as_second() <= soon);
        deeper.skip(1).any(|entry| entry.is_like(next))
            && !other.front().is_some_and(|entry| entry.is_like(next))
    };
    trails.iter().filter(does).count()
}

#[cfg(test)]
mod tests;

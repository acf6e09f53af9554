//! One line of an audit trail. A trail is a file that the login user can write: what is in it is read
//! warily, and shown harmlessly.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::names::{HostName, RunId};

/// A longer line was not written by us.
const LINE_LIMIT: usize = 8 * 1024;

/// One thing that was done on one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// When, by the host's own clock.
    pub time: Timestamp,
    /// Where.
    pub host: HostName,
    /// Under which epoch.
    pub epoch: u64,
    /// By whom.
    pub who: String,
    /// What was done.
    pub event: String,
    /// What came of it.
    pub result: String,
    /// What was touched: whatever else the line tells, as the host wrote it.
    pub touched: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    #[serde(default)]
    run: Option<String>,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    who: String,
    event: String,
    #[serde(default)]
    result: String,
    #[serde(flatten)]
    touched: BTreeMap<String, Value>,
}

impl Entry {
    /// Whether it is the same deed as another, on whichever host and whenever.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.event, &self.result, &self.touched) == (&other.event, &other.result, &other.touched)
    }

    /// What was touched under this name, where it is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.touched.get(name).and_then(Value::as_str)
    }

    /// The run of somebody else whose record was written here.
    pub(super) fn goes_on_with(&self) -> Option<&str> {
        self.text("of").filter(|_| self.event == "record")
    }

    /// Reads a line; `None` where it is torn or not one of ours.
    pub(super) fn read(host: &HostName, line: &str) -> Option<(Option<RunId>, Self)> {
        if line.len() > LINE_LIMIT {
            return None;
        }
        let line: Line = serde_json::from_str(line).ok()?;
        let run = match line.run.filter(|run| !run.is_empty()) {
            Some(run) => Some(RunId::new(run).ok()?),
            None => None,
        };
        let entry = Self {
            time: line.time,
            host: host.clone(),
            epoch: line.epoch,
            who: line.who,
            event: line.event,
            result: line.result,
            touched: line.touched,
        };
        Some((run, entry))
    }
}

//! Who is told, by a webhook, that a run begins and how it ended. The address is never here: only the name
//! of the environment variable that holds it.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// A webhook that is told of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notify {
    /// Who listens there.
    pub service: Service,
    /// The environment variable that holds the address.
    pub variable: String,
    /// Of what it is told.
    pub on: BTreeSet<Moment>,
    /// How long it may take to answer.
    #[serde(rename = "deadline_seconds", with = "super::seconds")]
    pub deadline: Duration,
}

impl Notify {
    /// How long a webhook may take where nobody says.
    pub const DEADLINE: Duration = Duration::from_secs(5);
}

/// Who is not told, and why. No run is touched by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum Untold {
    /// A webhook of the playbook has no address here.
    #[error("`notify` names the variable {variable}, {reason}: nobody is told there")]
    NobodyToTell {
        /// The variable.
        variable: String,
        /// What is wrong with it; never its value.
        reason: String,
    },
    /// A webhook did not take a message.
    #[error("the webhook of {variable} was not told of the {moment}: {reason}")]
    NotTold {
        /// The variable that holds its address.
        variable: String,
        /// What it should have been told.
        moment: Moment,
        /// Why it was not.
        reason: String,
    },
}

/// Who listens at the other end, and so what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Slack, or what understands its incoming webhooks.
    Slack,
    /// Anything that takes JSON.
    Webhook,
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// The plan stands, and hosts are going to be changed.
    Start,
    /// Exit code 0.
    Success,
    /// Any other exit code.
    Failure,
    /// The run is over, and a step waits for a person.
    Waiting,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Start, Self::Success, Self::Failure, Self::Waiting];

    /// Its name in playbooks and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Waiting => "waiting",
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

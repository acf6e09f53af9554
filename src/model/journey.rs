//! A run with a single slot: hosts leave the routing, change their release and come back, a few at a time. It is a
//! chain of legs, each of them one switch with a home of its own; what comes next follows from what is true then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::names::{HostName, ReleaseId, RunId, SlotName};

/// What the record of a leg says of the whole way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// The run that the leg is a part of.
    pub run: RunId,
    /// Which of its legs, counted from 1.
    pub leg: u32,
    /// The release that the run brings.
    pub target: ReleaseId,
    /// The release that it goes back to, where there is one that nonstop could start.
    pub home: Option<ReleaseId>,
    /// Which of the two the hosts are led to.
    pub heading: Heading,
    /// Hosts that no nginx routed to before the run: a way back does without them where they never had its release.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub new: BTreeSet<HostName>,
    /// Hosts that have come in with the release that the run brings, before this leg: those whose hooks of that are due.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub came: BTreeSet<HostName>,
}

/// Which way a run with a single slot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heading {
    /// To the release that it brings.
    Forward,
    /// To the one before.
    Back,
}

impl Journey {
    /// The release that the hosts are led to.
    pub fn leads_to(&self) -> Option<&ReleaseId> {
        match self.heading {
            Heading::Forward => Some(&self.target),
            Heading::Back => self.home.as_ref(),
        }
    }
}

/// What a person should know of a run with a single slot, or what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "rolling")]
pub enum Rolling {
    /// How it goes, said before it begins.
    #[error(
        "a single slot: hosts leave the routing and come back with {release}, and at least {least} of {hosts} stay in \
         service; going back is rolling too, and takes as long"
    )]
    Ahead {
        /// The release.
        release: ReleaseId,
        /// How many hosts stay in service at least.
        least: usize,
        /// How many there are.
        hosts: usize,
    },
    /// What runs now is not nonstop's to start again.
    #[error(
        "a single slot, and the release that runs now is not known: once its first instance has ended there is no way \
         back to it"
    )]
    NoWayBack,
    /// Nobody may leave.
    #[error("{serving} of slot {slot} in service, and {least} have to stay: no host may leave the routing")]
    TooFew {
        /// The slot.
        slot: SlotName,
        /// How many are in service.
        serving: usize,
        /// How many have to be.
        least: usize,
    },
    /// The way back begins.
    #[error("going back to {release}, host by host; a first signal does not end that")]
    Turns {
        /// The release.
        release: ReleaseId,
    },
}

//! What every part of a run needs: the hosts, the rules, the ear of the reporters and the signal.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::names::HostName;
use crate::model::outcome::Signal;
use crate::model::playbook::Playbook;
use crate::model::process::ProcessIdentity;
use crate::model::token::TokenId;
use crate::model::topology::Topology;

use super::crew::Crew;

/// What every part of a run needs.
pub struct Context<'a, H> {
    /// The hosts of the application.
    pub topology: &'a Topology,
    /// The rules.
    pub playbook: &'a Playbook,
    /// The connected hosts.
    pub crew: &'a Crew<H>,
    /// Hears what happens.
    pub events: &'a dyn Fn(Event),
    /// The first signal that came.
    pub interrupt: Interrupt,
    /// What this run did so far and cannot learn again from an answer that was lost.
    pub ledger: RefCell<Ledger>,
}

/// What a run did so far.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The processes of the new slot.
    pub instances: BTreeMap<Endpoint, ProcessIdentity>,
    /// nginx hosts that were told to switch and may have done so.
    pub told_to_switch: BTreeSet<HostName>,
    /// The token that was armed last on each nginx host, or may have been.
    pub armed: BTreeMap<HostName, Armed>,
    /// The last switch of which any host was told that it stays: with that one the way is forward, and from
    /// the first on a way back begins with arming every host anew.
    pub confirmed: Option<u32>,
    /// Old endpoints that are left up, for connections were left at the drain's deadline.
    pub kept: BTreeSet<Endpoint>,
    /// nginx hosts with old workers left at the drain's deadline.
    pub undrained: BTreeSet<HostName>,
}

/// A token and what is known of its watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Armed {
    /// The token.
    pub token: TokenId,
    /// When the script that arms it was sent.
    pub sent: Instant,
    /// What its watch had left when the host answered; `None` where no answer came.
    pub left: Option<Duration>,
}

impl Armed {
    /// What its watch has left at least. The answer may have been on its way for as long as the whole call took.
    pub fn left_at_least(&self) -> Duration {
        self.left.unwrap_or_default().saturating_sub(self.sent.elapsed())
    }
}

impl<H> Context<'_, H> {
    /// Tells the reporters.
    pub fn tell(&self, event: Event) {
        (self.events)(event);
    }
}

/// The first signal, seen from as many places as want to.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<Option<Signal>>);

impl Interrupt {
    /// Hears signals from `receiver`.
    pub fn new(receiver: watch::Receiver<Option<Signal>>) -> Self {
        Self(receiver)
    }

    /// Hears none.
    pub fn never() -> Self {
        Self(watch::channel(None).1)
    }

    /// The signal, if one came.
    pub fn signal(&self) -> Option<Signal> {
        *self.0.borrow()
    }

    /// Waits for a signal; for ever, if none can come any more.
    pub async fn wait(&self) -> Signal {
        let mut receiver = self.0.clone();
        let came = receiver
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|signal| *signal);
        match came {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

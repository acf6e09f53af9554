//! What every part of a run needs: the hosts, the rules, the ear of the reporters and what ends it early.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::hook::HookWord;
use crate::model::names::HostName;
use crate::model::observed::Machine;
use crate::model::outcome::{Cause, Signal};
use crate::model::playbook::Playbook;
use crate::model::process::ProcessIdentity;
use crate::model::token::TokenId;
use crate::model::topology::Topology;

use super::crew::Crew;
use super::fleet::Controller;

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
    /// What ends it early.
    pub interrupt: Interrupt,
    /// The machine on which this program runs.
    pub controller: &'a dyn Controller,
    /// What a person says of hooks of which nobody knows how they ended.
    pub hook_words: &'a [HookWord],
    /// When the run began, by the wall clock and by the one that goes on from there.
    pub began: (Timestamp, Instant),
    /// What this run did so far and cannot learn again from an answer that was lost.
    pub ledger: RefCell<Ledger>,
}

/// What a run did so far.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The processes of the new slot.
    pub instances: BTreeMap<Endpoint, ProcessIdentity>,
    /// The memory of each host before anything was started.
    pub memory: BTreeMap<HostName, Memory>,
    /// nginx hosts that were told to switch and may have done so.
    pub told_to_switch: BTreeSet<HostName>,
    /// The token that was armed last on each nginx host, or may have been.
    pub armed: BTreeMap<HostName, Armed>,
    /// The last switch of which any host was told that it stays: with that one the way is forward, and from
    /// the first on a way back begins with arming every host anew.
    pub confirmed: Option<u32>,
    /// nginx hosts through whose listener an answer of the release was seen to come, since their last switch.
    pub answered: BTreeSet<HostName>,
    /// Hosts that were told to run a hook of which it is not known that it ended.
    pub may_run_hooks: BTreeSet<HostName>,
    /// Old endpoints that are left up, for connections were left at the drain's deadline.
    pub kept: BTreeSet<Endpoint>,
    /// Whether anything was told to end that a host could not carry beside the release, or to start there.
    pub vacates: Vacates,
    /// nginx hosts with old workers left at the drain's deadline.
    pub undrained: BTreeSet<HostName>,
}

/// Whether a leg of a run with a single slot has told an instance to end, or to start where another one was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vacates {
    /// Nobody was.
    #[default]
    Nothing,
    /// One was, whatever came of it.
    Something,
}

/// What a host said of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What a new process could get.
    pub available_bytes: u64,
    /// How many processes the kernel had killed for want of it, where it says so.
    pub kills: Option<u64>,
}

impl Memory {
    /// What an observation says of a machine.
    pub fn of(machine: &Machine) -> Self {
        Self {
            available_bytes: machine.memory_available_bytes,
            kills: machine.memory_kills,
        }
    }
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

/// What ends a run early, the first signal or its deadline, seen from as many places as want to.
#[derive(Debug, Clone)]
pub struct Interrupt {
    signals: watch::Receiver<Option<Signal>>,
    turn: Option<Instant>,
}

impl Interrupt {
    /// Hears signals from `receiver`.
    pub fn new(receiver: watch::Receiver<Option<Signal>>) -> Self {
        Self {
            signals: receiver,
            turn: None,
        }
    }

    /// Hears none.
    pub fn never() -> Self {
        Self::new(watch::channel(None).1)
    }

    /// Turns the run around at `turn` at the latest.
    #[must_use]
    pub fn until(self, turn: Option<Instant>) -> Self {
        Self { turn, ..self }
    }

    /// The signal, if one came.
    pub fn signal(&self) -> Option<Signal> {
        *self.signals.borrow()
    }

    /// What ends the run early, if anything does by now.
    pub fn cause(&self) -> Option<Cause> {
        let is_late = || self.turn.is_some_and(|turn| turn <= Instant::now());
        let signal = self.signal().map(Cause::Signal);
        signal.or_else(|| is_late().then_some(Cause::Deadline))
    }

    /// Waits until something ends the run early; for ever, if nothing can any more.
    pub async fn wait(&self) -> Cause {
        let mut signals = self.signals.clone();
        let signal = async {
            let came = signals.wait_for(Option::is_some).await;
            match came.ok().and_then(|signal| *signal) {
                Some(signal) => Cause::Signal(signal),
                None => std::future::pending().await,
            }
        };
        let turn = async {
            match self.turn {
                Some(turn) => sleep_until(turn).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            cause = signal => cause,
            () = turn => Cause::Deadline,
        }
    }
}

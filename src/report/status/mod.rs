//! What `nonstop status` shows: which slot is live, what runs where, who holds the locks, and what
//! there is to go back to. Read from the fleet alone; `text` is how people see it.

mod runs;
mod text;

pub use runs::{OpenRun, RunState};
pub(super) use text::hosts;
pub use text::{locks, render};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::finding::{Finding, Problem};
use crate::model::identity;
use crate::model::live::{Agreed, Live, Share};
use crate::model::lock::LockState;
use crate::model::names::{AppName, HostName, Port, ReleaseId, SlotName};
use crate::model::observed::{HostObserved, NginxObserved, Observed, SlotObserved};
use crate::model::plan::{self, WayBack};
use crate::model::token::{Token, TokenState};
use crate::model::topology::{Topology, WasHost};

/// What is true on the fleet, for people and as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The application.
    pub app: AppName,
    /// Where the traffic goes.
    pub live: LiveSlot,
    /// What each nginx host routes to.
    pub nginx: BTreeMap<HostName, NginxStatus>,
    /// What each WAS host runs.
    pub was: BTreeMap<HostName, WasStatus>,
    /// Hosts that could not be asked.
    pub unasked: BTreeSet<HostName>,
    /// Hosts that are left out, because whoever asks said so.
    pub left_out: BTreeSet<HostName>,
    /// Locks that are held.
    pub locks: BTreeMap<HostName, LockState>,
    /// The run that is not over, if there is one.
    pub open_run: Option<OpenRun>,
    /// Where a rollback leads, where somebody looked.
    pub way_back: Option<WayBack>,
    /// What is wrong with what nginx routes to, and with what hosts remember.
    pub findings: Vec<Finding>,
}

/// Where the traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum LiveSlot {
    /// Every nginx host routes to one slot.
    Uniform {
        /// The slot.
        slot: SlotName,
    },
    /// No nginx host routes to a slot yet.
    Nothing,
    /// Every nginx host routes to both slots alike, as a run that is not over has led it.
    Between {
        /// The slot that it comes from.
        slot: SlotName,
    },
    /// nginx hosts disagree.
    Mixed,
    /// Not every nginx host could be asked; those that could agree on this slot.
    Incomplete {
        /// The slot, if any.
        slot: Option<SlotName>,
    },
}

/// What an nginx host routes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NginxStatus {
    /// Whether it runs.
    pub runs: bool,
    /// The slot.
    pub slot: Option<SlotName>,
    /// Whether it routes to that slot alone.
    #[serde(skip_serializing_if = "Share::is_whole")]
    pub share: Share,
    /// The generation that runs, where the site tells it.
    pub generation: Option<String>,
    /// The file of an earlier tool that the next deploy takes over.
    pub takes_over: Option<String>,
    /// The token of its last switch, where that is not settled or belongs to the open run.
    pub token: Option<Token>,
}

/// What a WAS host runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WasStatus {
    /// Slot by slot.
    pub slots: BTreeMap<SlotName, SlotStatus>,
    /// The releases that are kept, newest first.
    pub releases: Vec<KeptRelease>,
}

/// One slot on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// The port.
    pub port: Port,
    /// What is there.
    pub state: SlotState,
    /// The process.
    pub pid: Option<u32>,
    /// The release, where it is one of ours.
    pub release: Option<ReleaseId>,
    /// Established connections.
    pub connections: u32,
}

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// The process that nonstop started, listening.
    Ours,
    /// A process that nonstop did not start.
    Foreign,
    /// Our process runs and does not listen.
    NotListening,
    /// What a start left that put nothing on record: it is under way, or was cut off.
    Unfinished,
    /// Nothing.
    Empty,
}

/// A release on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptRelease {
    /// Its id.
    pub id: ReleaseId,
    /// Whether a deploy of it failed.
    pub failed: bool,
    /// Whether it was taken back: a rollback leads to it only where a person names it.
    pub taken_back: bool,
}

impl Status {
    /// Sums up what was observed. Hosts that could not be asked are absent.
    pub fn read(topology: &Topology, observed: &Observed) -> Self {
        let view = Live::read(topology, observed);
        let mut findings = view.findings.clone();
        let live = match view.agreed() {
            Ok(agreed) if view.hosts.len() < topology.nginx.len() => {
                LiveSlot::Incomplete { slot: agreed.slot }
            }
            Ok(Agreed { slot: None, .. }) => LiveSlot::Nothing,
            Ok(Agreed {
                slot: Some(slot),
                share: Share::Between,
            }) => LiveSlot::Between { slot },
            Ok(Agreed { slot: Some(slot), .. }) => LiveSlot::Uniform { slot },
            Err(disagree) => {
                findings.insert(0, disagree);
                LiveSlot::Mixed
            }
        };
        findings.extend(identity::findings(topology, observed));
        findings.extend(unreadable(observed));
        let open_run = OpenRun::read(topology, observed);
        let seen = |host: &HostName| observed.hosts.get(host);
        let nginx = topology.nginx.keys().filter_map(|host| {
            let nginx = seen(host)?.nginx.as_ref()?;
            let view = view.hosts.get(host);
            let status = NginxStatus {
                runs: nginx.master.is_some(),
                slot: view.and_then(|view| view.slot.clone()),
                share: view.map_or(Share::Whole, |view| view.share),
                generation: nginx.generation.clone(),
                takes_over: view.and_then(|view| Some(view.takes_over.as_ref()?.to_string())),
                token: unsettled(nginx, open_run.as_ref()),
            };
            Some((host.clone(), status))
        });
        let left = plan::left(observed);
        let was = topology.was.iter();
        let was = was.filter_map(|(host, was)| Some((host.clone(), was_status(was, seen(host)?, &left)?)));
        let held = observed.hosts.iter().filter(|(_, seen)| seen.lock.run.is_some());
        Self {
            app: topology.app.clone(),
            live,
            nginx: nginx.collect(),
            was: was.collect(),
            unasked: topology
                .hosts()
                .into_iter()
                .filter(|host| seen(host).is_none())
                .cloned()
                .collect(),
            locks: held
                .map(|(host, seen)| (host.clone(), seen.lock.clone()))
                .collect(),
            left_out: topology.left_out().into_iter().cloned().collect(),
            open_run,
            way_back: None,
            findings,
        }
    }

    /// The same, with where a rollback leads.
    #[must_use]
    pub fn with_way_back(self, way_back: Option<WayBack>) -> Self {
        Self { way_back, ..self }
    }

    /// Whether nginx hosts disagree, which needs a person.
    pub fn is_mixed(&self) -> bool {
        self.live == LiveSlot::Mixed
    }

    /// The slot that has the traffic, where the hosts that were asked agree.
    pub fn live_slot(&self) -> Option<&SlotName> {
        match &self.live {
            LiveSlot::Uniform { slot } => Some(slot),
            LiveSlot::Incomplete { slot } => slot.as_ref(),
            LiveSlot::Nothing | LiveSlot::Between { .. } | LiveSlot::Mixed => None,
        }
    }

    /// The release that a slot runs on every host that was asked.
    pub fn release_of(&self, slot: &SlotName) -> Option<&ReleaseId> {
        let slots = self.was.values().filter_map(|was| was.slots.get(slot));
        let releases: BTreeSet<_> = slots.map(|slot| slot.release.as_ref()).collect();
        let mut releases = releases.into_iter();
        releases.next().flatten().filter(|_| releases.next().is_none())
    }
}

/// Records that cannot be read.
fn unreadable(observed: &Observed) -> Vec<Finding> {
    let unreadable = observed.hosts.iter().filter_map(|(host, seen)| {
        let (path, reason) = (
            format!("{}/record", seen.state.path),
            seen.record_unreadable.clone()?,
        );
        Some(Finding::refusal(
            Some(host),
            Problem::RecordUnreadable { path, reason },
        ))
    });
    unreadable.collect()
}

/// The newest token of a host, where it still says something about what is going on.
fn unsettled(nginx: &NginxObserved, open_run: Option<&OpenRun>) -> Option<Token> {
    let newest = nginx
        .tokens
        .iter()
        .max_by_key(|token| (token.id.epoch, token.id.number))?;
    let of_run = |open: &OpenRun| newest.id.run.switch_of(&open.record.run).is_some();
    let of_open_run = open_run.is_some_and(of_run);
    let is_at_it = match newest.state {
        TokenState::Armed => true,
        TokenState::Fired => !newest.restored,
        TokenState::Confirmed | TokenState::Reverted | TokenState::Superseded => false,
    };
    (of_open_run || is_at_it).then(|| newest.clone())
}

fn was_status(was: &WasHost, seen: &HostObserved, left: &BTreeSet<ReleaseId>) -> Option<WasStatus> {
    let observed = seen.was.as_ref()?;
    let slot = |(name, port): (&SlotName, &Port)| {
        let seen = observed.slots.get(name)?;
        Some((name.clone(), slot_status(*port, seen)))
    };
    let releases = observed.releases.iter().rev();
    Some(WasStatus {
        slots: was.ports.iter().filter_map(slot).collect(),
        releases: releases
            .map(|release| KeptRelease {
                id: release.id.clone(),
                failed: release.failed,
                taken_back: left.contains(&release.id),
            })
            .collect(),
    })
}

fn slot_status(port: Port, seen: &SlotObserved) -> SlotStatus {
    let state = match &seen.listener {
        Some(_) if seen.recorded_process_listens() => SlotState::Ours,
        Some(_) if seen.left_behind_listens() => SlotState::Unfinished,
        Some(_) => SlotState::Foreign,
        None if seen.record_runs => SlotState::NotListening,
        None if seen.left_behind().is_some() => SlotState::Unfinished,
        None => SlotState::Empty,
    };
    let listener = seen
        .listener
        .as_ref()
        .and_then(|listener| listener.identity.as_ref());
    let pid = match state {
        SlotState::Foreign => listener.map(|identity| identity.pid),
        SlotState::Unfinished => seen.left_behind().and_then(|start| start.pids.first().copied()),
        _ => seen.identity().map(|identity| identity.pid),
    };
    let ours = matches!(state, SlotState::Ours | SlotState::NotListening);
    SlotStatus {
        port,
        state,
        pid,
        release: seen.release().filter(|_| ours).cloned(),
        connections: seen.connections,
    }
}

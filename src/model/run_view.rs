//! What is known of a run: the fold of its events. Reporters draw from this and keep no state of
//! the run themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::decision::{Newest, Slots, Way};
use super::endpoint::Endpoint;
use super::event::{Event, Note, Stamped};
use super::failure::{Failure, HealthAnswer};
use super::finding::Finding;
use super::lock::{LockState, Owner};
use super::names::{AppName, HostName, ReleaseId, RunId, SlotName};
use super::outcome::{Cause, Exit, Outcome};
use super::phase::Phase;
use super::record::RunRecord;
use super::token::TokenState;

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunView {
    /// Who runs what, once the run has begun.
    pub start: Option<Start>,
    /// Hosts that a person left out: those of the application, and those in front of it.
    pub left_out: Option<(BTreeSet<HostName>, BTreeSet<HostName>)>,
    /// The interrupted run that it found, and which way that goes.
    pub found: Option<Found>,
    /// What it is going to do, once it is planned.
    pub plan: Option<Planned>,
    /// The phases in the order in which they began.
    pub phases: Vec<PhaseView>,
    /// The hosts of the run, and every other host that an event named.
    pub hosts: BTreeMap<HostName, HostView>,
    /// Locks of others that the run waits for.
    pub lock_waits: BTreeMap<HostName, LockState>,
    /// Warnings, in the order in which they came.
    pub warnings: Vec<Finding>,
    /// Why the run was refused.
    pub refusals: Vec<Finding>,
    /// The signals that came, and the deadline.
    pub interrupts: Vec<Interrupt>,
    /// That it waits for a person who says how it goes on.
    pub waits: Option<Waits>,
    /// How it ended.
    pub end: Option<End>,
}

/// The beginning of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// When.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// The application.
    pub app: AppName,
    /// Who runs what.
    pub owner: Owner,
    /// The WAS hosts.
    pub was: BTreeSet<HostName>,
    /// The nginx hosts.
    pub nginx: BTreeSet<HostName>,
}

/// An interrupted run that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it meant to do.
    pub record: Box<RunRecord>,
    /// The newest token of each of its nginx hosts.
    pub tokens: BTreeMap<HostName, Newest>,
    /// Whether its two slots could carry the traffic.
    pub slots: Slots,
    /// The way that it goes.
    pub way: Way,
}

/// A run that waits for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Waits {
    /// What is on record of it.
    pub record: Box<RunRecord>,
    /// Up to which of its routings it came.
    pub reached: u32,
    /// What its new slot gets of the requests meanwhile, of a hundred.
    pub percent: u32,
}

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The slot that has the traffic; absent on an empty fleet.
    pub from: Option<SlotName>,
    /// The slot that gets it.
    pub to: SlotName,
    /// The release that has the traffic, where it is known.
    pub from_release: Option<ReleaseId>,
    /// The release that gets it.
    pub release: ReleaseId,
    /// The phases, in order.
    pub phases: Vec<Phase>,
}

/// One phase of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseView {
    /// Which.
    pub phase: Phase,
    /// When it began.
    pub began: Timestamp,
    /// Its hosts.
    pub hosts: BTreeSet<HostName>,
    /// Those of them that are through with it, and how long they took.
    pub done: BTreeMap<HostName, Duration>,
    /// How it ended; `None` while it goes on.
    pub end: Option<PhaseEnd>,
}

/// The end of a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseEnd {
    /// How long it took.
    pub took: Duration,
    /// Whether every host did what it should.
    pub succeeded: bool,
}

/// One host of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostView {
    /// What it does now, or did last.
    pub part: Part,
    /// The upload, once bytes were counted.
    pub upload: Option<Upload>,
    /// The last health answer of each endpoint, as seen from this host.
    pub health: BTreeMap<Endpoint, Health>,
    /// What went well and is worth a word, in order.
    pub notes: Vec<(Phase, Note)>,
    /// What failed, in order.
    pub failures: Vec<(Phase, Failure)>,
    /// What became of the last token of a switch there.
    pub token: Option<TokenState>,
}

/// What a host does now, or did last.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Part {
    /// Nothing yet, or it was called off.
    #[default]
    Idle,
    /// At work.
    Working {
        /// In which phase.
        phase: Phase,
        /// Since when.
        since: Timestamp,
    },
    /// Through with its part.
    Done {
        /// Of which phase.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// Its part failed.
    Failed {
        /// In which phase.
        phase: Phase,
    },
}

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// How many bytes are there.
    pub sent_bytes: u64,
    /// How many there will be.
    pub total_bytes: u64,
}

/// The last health answer of one endpoint, as one host saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The count of tries so far.
    pub tries: u32,
    /// What came.
    pub answer: HealthAnswer,
    /// How long it has been healthy without a break.
    pub healthy_for: Duration,
}

/// A signal that came, or the deadline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interrupt {
    /// Which.
    pub cause: Cause,
    /// Whether the run goes back or forward.
    pub unwinds: bool,
    /// The phase in which it came.
    pub phase: Option<Phase>,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// In what state the fleet is.
    pub outcome: Outcome,
    /// The exit code.
    pub exit: Exit,
    /// The release that has the traffic now, where it is known.
    pub live: Option<ReleaseId>,
    /// The slot that has the traffic now, where it is known.
    pub live_slot: Option<SlotName>,
    /// How long it took in all.
    pub took: Duration,
    /// From the first rename to the last proof, where nginx was switched.
    pub switch_took: Option<Duration>,
}

impl RunView {
    /// Takes one more event in.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match &stamped.event {
            Event::RunStarted { .. } | Event::Planned { .. } | Event::RunEnded { .. } => {
                self.apply_milestone(at, &stamped.event);
            }
            Event::LockWaiting { host, lock } => {
                self.lock_waits.insert(host.clone(), lock.clone());
            }
            Event::PhaseStarted { phase, hosts } => {
                self.lock_waits.clear();
                self.phases.push(PhaseView {
                    phase: *phase,
                    began: at,
                    hosts: hosts.clone(),
                    done: BTreeMap::new(),
                    end: None,
                });
            }
            Event::PhaseEnded {
                phase,
                took,
                succeeded,
            } => self.end_phase(*phase, *took, *succeeded),
            Event::LeftOut { was, nginx } => self.left_out = Some((was.clone(), nginx.clone())),
            Event::InterruptedFound {
                record,
                tokens,
                slots,
                way,
            } => {
                self.found = Some(Found {
                    record: record.clone(),
                    tokens: tokens.clone(),
                    slots: *slots,
                    way: *way,
                });
            }
            Event::Waits {
                record,
                reached,
                percent,
                ..
            } => {
                self.waits = Some(Waits {
                    record: record.clone(),
                    reached: *reached,
                    percent: *percent,
                });
            }
            Event::Warned { finding } => self.warnings.push(finding.clone()),
            Event::Refused { findings } => self.refusals.extend(findings.iter().cloned()),
            Event::Interrupted { cause, unwinds } => self.interrupts.push(Interrupt {
                cause: *cause,
                unwinds: *unwinds,
                phase: self.current_phase(),
            }),
            event => self.apply_to_host(at, event),
        }
    }

    /// Whether it ran out of time.
    pub fn is_late(&self) -> bool {
        self.interrupts.iter().any(|it| it.cause == Cause::Deadline)
    }

    /// The phase that goes on, or the one that ended last.
    pub fn current_phase(&self) -> Option<Phase> {
        let open = self.phases.iter().rev().find(|phase| phase.end.is_none());
        open.or(self.phases.last()).map(|phase| phase.phase)
    }

    /// The hosts at work, with the phase and when they began.
    pub fn working(&self) -> impl Iterator<Item = (&HostName, &HostView, Phase, Timestamp)> {
        self.hosts.iter().filter_map(|(name, host)| match host.part {
            Part::Working { phase, since } => Some((name, host, phase, since)),
            _ => None,
        })
    }

    /// Everything that failed, host by host.
    pub fn failures(&self) -> impl Iterator<Item = (&HostName, Phase, &Failure)> {
        self.hosts.iter().flat_map(|(name, host)| {
            let of_host = host.failures.iter();
            of_host.map(move |(phase, failure)| (name, *phase, failure))
        })
    }

    fn apply_milestone(&mut self, at: Timestamp, event: &Event) {
        match event.clone() {
            Event::RunStarted {
                run,
                app,
                owner,
                was,
                nginx,
            } => {
                for host in was.iter().chain(&nginx) {
                    self.host(host);
                }
                self.start = Some(Start {
                    at,
                    run,
                    app,
                    owner,
                    was,
                    nginx,
                });
            }
            Event::Planned {
                from,
                to,
                from_release,
                release,
                phases,
            } => {
                self.plan = Some(Planned {
                    from,
                    to,
                    from_release,
                    release,
                    phases,
                });
            }
            Event::RunEnded {
                outcome,
                exit,
                live,
                live_slot,
                took,
                switch_took,
            } => {
                self.end = Some(End {
                    outcome,
                    exit,
                    live,
                    live_slot,
                    took,
                    switch_took,
                });
            }
            _ => {}
        }
    }

    fn apply_to_host(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::HostStarted { host, phase } => {
                let host = self.host(host);
                let phase = *phase;
                host.part = Part::Working { phase, since: at };
                // Answers of an earlier wait say nothing about this one; after a failure they stay,
                // for the summary.
                if asks_for_health(phase) {
                    host.health.clear();
                }
            }
            Event::Uploaded {
                host,
                sent_bytes,
                total_bytes,
            } => {
                self.host(host).upload = Some(Upload {
                    sent_bytes: *sent_bytes,
                    total_bytes: *total_bytes,
                });
            }
            Event::HealthTried {
                endpoint,
                seen_from,
                tries,
                answer,
                healthy_for,
            } => {
                let health = Health {
                    tries: *tries,
                    answer: answer.clone(),
                    healthy_for: *healthy_for,
                };
                self.host(seen_from).health.insert(endpoint.clone(), health);
            }
            Event::HostDone {
                host,
                phase,
                took,
                note,
            } => {
                let (phase, took) = (*phase, *took);
                if let Some(view) = self.open_phase(phase) {
                    *view.done.entry(host.clone()).or_default() += took;
                }
                let host = self.host(host);
                host.part = Part::Done { phase, took };
                host.notes.extend(note.clone().map(|note| (phase, note)));
            }
            Event::TokenMoved { host, state, .. } => self.host(host).token = Some(*state),
            Event::HostFailed { host, phase, failure } => {
                let host = self.host(host);
                host.part = Part::Failed { phase: *phase };
                host.failures.push((*phase, failure.clone()));
            }
            _ => {}
        }
    }

    fn end_phase(&mut self, phase: Phase, took: Duration, succeeded: bool) {
        self.lock_waits.clear();
        if let Some(view) = self.open_phase(phase) {
            view.end = Some(PhaseEnd { took, succeeded });
        }
        // Where one host failed, the others' parts were called off without an event of their own.
        for host in self.hosts.values_mut() {
            if matches!(host.part, Part::Working { phase: working, .. } if working == phase) {
                host.part = Part::Idle;
            }
        }
    }

    fn open_phase(&mut self, phase: Phase) -> Option<&mut PhaseView> {
        let open = |view: &&mut PhaseView| view.phase == phase && view.end.is_none();
        self.phases.iter_mut().rev().find(open)
    }

    fn host(&mut self, name: &HostName) -> &mut HostView {
        self.hosts.entry(name.clone()).or_default()
    }
}

impl HostView {
    /// The last answer of the endpoint that keeps this host busy, an unhealthy one before any other.
    /// `None` where the host does not wait for health.
    pub fn awaited_health(&self) -> Option<(&Endpoint, &Health)> {
        let Part::Working { phase, .. } = self.part else {
            return None;
        };
        let worst = self
            .health
            .iter()
            .min_by_key(|(_, health)| health.answer.is_healthy());
        worst.filter(|_| asks_for_health(phase))
    }
}

fn asks_for_health(phase: Phase) -> bool {
    matches!(phase, Phase::Start | Phase::Verify | Phase::Hold | Phase::Bake)
}

//! One host: its releases and processes, whether it is up, and what an observation finds there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nonstop::model::hook::HookId;
use nonstop::model::lock::{Epoch, LockState};
use nonstop::model::names::{Address, Port, ReleaseId, RemotePath, RunId, SlotName, StartWord, UnitName};
use nonstop::model::observed::{
    HostObserved, Machine, ReleaseObserved, SlotObserved, StateFolder, StateStatus, WasObserved,
};
use nonstop::model::process::{InstanceRecord, ListeningProcess, ProcessIdentity, UnfinishedStart};
use nonstop::model::record::RunRecord;
use nonstop::model::release::Offer;
use nonstop::model::unit::{UnitObserved, UnitState};
use tokio::time::Instant;

use super::clock::Clock;
use super::flight::Flight;
use super::hooks::SimHook;
use super::lock::Renewed;
use super::timer::SimTimer;
use super::{Flaw, SimNginx};

/// Where an application says which slot it is.
pub(crate) const PROFILE_PATH: &str = "/profile";

/// A host and all that is on it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each comes and goes without the others"
)]
pub(crate) struct SimHost {
    pub(crate) address: Address,
    pub(crate) clock: Clock,
    /// Whether it runs; a host that was switched off keeps what is on its disk.
    pub(crate) is_up: bool,
    /// The lock as it lies on the disk: `lease_left` is the whole term. `lock_now` says what is left.
    pub(crate) lock: LockState,
    pub(crate) record: Option<RunRecord>,
    /// Why its record cannot be read.
    pub(crate) unreadable: Option<String>,
    pub(crate) ports: BTreeMap<SlotName, Port>,
    /// The units of systemd that run its slots; none where systemd has no part in it.
    pub(crate) units: BTreeMap<SlotName, UnitName>,
    /// What a deploy agent has put there.
    pub(crate) offer: Offer,
    pub(crate) releases: BTreeMap<ReleaseId, ReleaseObserved>,
    pub(crate) processes: Vec<Process>,
    pub(crate) instances: BTreeMap<SlotName, InstanceRecord>,
    /// What its applications answer as which slot they are, by port; the slot's name where it is absent.
    pub(crate) profiles: BTreeMap<Port, String>,
    /// Starts by a script of the user that put no process on record, as they lie on the disk: without pids.
    pub(super) unfinished: BTreeMap<SlotName, UnfinishedStart>,
    /// Connections that never end, by port.
    pub(crate) connections: BTreeMap<Port, u32>,
    /// Requests that are under way, and when each will be answered.
    pub(super) flights: BTreeMap<Flight, Instant>,
    /// Whether it does not say who is connected.
    pub(crate) hides_peers: bool,
    /// The connection that arrived last, by port.
    pub(super) peers: BTreeMap<Port, String>,
    /// What it keeps of hooks.
    pub(crate) hooks: BTreeMap<(RunId, HookId), SimHook>,
    /// The hour at which it ends an old instance by itself.
    pub(crate) timer: Option<SimTimer>,
    pub(crate) nginx: Option<SimNginx>,
    /// How the next application starts.
    pub(crate) start: Start,
    /// How it feels then.
    pub(crate) health: Health,
    /// What happens when a second process starts, on a host that has memory for one.
    pub(crate) tight: Option<Tight>,
    /// How many processes the kernel has killed for want of memory.
    pub(crate) memory_kills: u64,
    /// Whether nothing more can be written.
    pub(crate) disk_is_full: bool,
    /// Whether its files can be put in place and its traffic moved: a person may have said that it is
    /// gone for good.
    pub(crate) is_left_out: bool,
    /// Ports whose process a fault has struck, and when: what fails there is not our doing.
    pub(crate) struck: BTreeMap<Port, Instant>,
    /// The audit trail, a line an event.
    pub(crate) audit: Vec<String>,
    /// What no script may ever do, and one did.
    pub(super) broken: Vec<String>,
    /// Rules that it does not keep.
    pub(crate) flaws: BTreeSet<Flaw>,
    /// Until when a script holds the flocks.
    pub(super) busy_until: Option<Instant>,
    pub(super) accepted: (Epoch, u64),
    pub(super) renewed: Renewed,
    pids: u32,
}

/// How an application starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// It listens after a while.
    Listens(Duration),
    /// It ends at once.
    Exits,
}

/// A host with too little memory for two: some time after the second started, the kernel kills one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tight {
    pub(crate) after: Duration,
    pub(crate) kills: Killed,
}

/// The process that the kernel chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Killed {
    New,
    Old,
}

/// What an application answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Up,
    Down,
    Silent,
}

/// A process of the application.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) identity: ProcessIdentity,
    pub(crate) port: Port,
    pub(crate) listens_at: Instant,
    pub(crate) ends_at: Option<Instant>,
    pub(crate) health: Health,
    pub(crate) heeds_term: bool,
    /// The word of the start that it comes from, where the user's script started it.
    pub(crate) word: Option<StartWord>,
}

impl Process {
    pub(crate) fn lives(&self) -> bool {
        self.ends_at.is_none_or(|end| end > Instant::now())
    }

    pub(crate) fn listens(&self) -> bool {
        self.lives() && self.listens_at <= Instant::now()
    }
}

impl SimHost {
    pub(crate) fn new(address: &Address) -> Self {
        Self {
            address: address.clone(),
            clock: Clock::new(),
            is_up: true,
            lock: LockState::default(),
            record: None,
            unreadable: None,
            ports: BTreeMap::new(),
            units: BTreeMap::new(),
            releases: BTreeMap::new(),
            processes: Vec::new(),
            instances: BTreeMap::new(),
            profiles: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            connections: BTreeMap::new(),
            flights: BTreeMap::new(),
            hides_peers: false,
            peers: BTreeMap::new(),
            hooks: BTreeMap::new(),
            timer: None,
            nginx: None,
            start: Start::Listens(Duration::from_secs(2)),
            health: Health::Up,
            tight: None,
            offer: Offer::None,
            memory_kills: 0,
            disk_is_full: false,
            is_left_out: false,
            struck: BTreeMap::new(),
            audit: Vec::new(),
            broken: Vec::new(),
            flaws: BTreeSet::new(),
            busy_until: None,
            accepted: (Epoch(0), 0),
            renewed: Renewed::default(),
            pids: 100,
        }
    }

    /// A new process, not on record yet.
    pub(crate) fn spawn(&mut self, port: Port, listens_after: Duration) -> &mut Process {
        self.pids += 1;
        self.processes.push(Process {
            identity: ProcessIdentity {
                pid: self.pids,
                start_ticks: 1,
                boot_id: format!("boot-{}", self.clock.boot),
                uid: 1000,
            },
            port,
            listens_at: Instant::now() + listens_after,
            ends_at: None,
            health: self.health,
            heeds_term: true,
            word: None,
        });
        self.processes.last_mut().expect("it was just put there")
    }

    /// Puts a process on record as the instance of a slot.
    pub(crate) fn put_on_record(&mut self, slot: &SlotName, release: &ReleaseId, identity: &ProcessIdentity) {
        let record = InstanceRecord {
            slot: slot.clone(),
            port: self.ports[slot],
            release: release.clone(),
            identity: identity.clone(),
            log: RemotePath::new("/srv/logs/app.log").ok(),
        };
        self.instances.insert(slot.clone(), record);
    }

    /// Which slot the application on a port says that it is.
    pub(super) fn profile(&self, port: Port) -> String {
        let slot = || self.ports.iter().find(|(_, own)| **own == port);
        let own = self.profiles.get(&port).cloned();
        own.or_else(|| Some(slot()?.0.to_string())).unwrap_or_default()
    }

    pub(crate) fn listener(&self, port: Port) -> Option<&Process> {
        self.processes
            .iter()
            .find(|process| process.port == port && process.listens())
    }

    /// Ends what listens there, as if it had crashed.
    pub(crate) fn kill(&mut self, port: u16) {
        let port = Port::new(port).unwrap();
        self.processes.retain(|process| process.port != port);
    }

    /// Ends what listens there for a reason that is not ours.
    pub(crate) fn strike(&mut self, port: Port) {
        if self
            .processes
            .iter()
            .any(|process| process.port == port && process.lives())
        {
            self.struck.insert(port, Instant::now());
        }
        self.processes.retain(|process| process.port != port);
        self.forget_flights(port);
    }

    /// No request is under way to a port any more.
    pub(super) fn forget_flights(&mut self, port: Port) {
        self.flights.retain(|(to, ..), _| *to != port);
    }

    /// Whether it does not keep a rule.
    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    /// Whether it came up a short while ago.
    pub(crate) fn has_booted_lately(&self) -> bool {
        self.clock.boot > 1 && self.clock.since_boot() < Duration::from_secs(20)
    }

    /// Writes a line into the audit trail.
    pub(super) fn audits(&mut self, run: &str, what: &str, result: &str) {
        let line = format!(r#"{{"run":"{run}","what":"{what}","result":"{result}"}}"#);
        self.audit.push(line);
    }

    pub(super) fn runs(&self, identity: &ProcessIdentity) -> bool {
        self.processes
            .iter()
            .any(|process| process.identity == *identity && process.lives())
    }

    /// The live processes that carry a word.
    pub(crate) fn carriers(&self, word: &StartWord) -> impl Iterator<Item = &Process> {
        self.processes
            .iter()
            .filter(move |process| process.word.as_ref() == Some(word) && process.lives())
    }

    pub(super) fn observe(&self) -> HostObserved {
        let uptime = self.clock.uptime().as_millis() / 10;
        HostObserved {
            machine: Machine {
                boot_id: format!("boot-{}", self.clock.boot),
                uptime_centiseconds: u64::try_from(uptime).expect("a host is not up for that long"),
                clock_seconds: 1_767_330_753,
                uid: 1000,
                user: "deploy".to_owned(),
                missing_tools: Vec::new(),
                memory_kills: Some(self.memory_kills),
                memory_available_bytes: if self.tight.is_some() { 300 << 20 } else { 4 << 30 },
                keeper: nonstop::model::observed::WatchKeeper::Session,
            },
            state: StateFolder {
                path: RemotePath::new("/var/lib/nonstop/sokdak").unwrap(),
                status: StateStatus::Ready,
            },
            lock: self.lock_now(),
            record: self.record.clone(),
            record_unreadable: self.unreadable.clone(),
            hooks: self.hooks_observed(),
            was: (!self.ports.is_empty()).then(|| WasObserved {
                slots: self
                    .ports
                    .iter()
                    .map(|(slot, port)| (slot.clone(), self.slot(slot, *port)))
                    .collect(),
                releases: self.releases.values().cloned().collect(),
                timer: self.timer_now(),
                http_tool: Some("curl".to_owned()),
                missing_files: [].into(),
                disk_free_bytes: if self.disk_is_full { 0 } else { 10 << 30 },
                disk_free_inodes: None,
            }),
            nginx: self
                .nginx
                .as_ref()
                .map(|nginx| nginx.observe(&self.clock, &self.address)),
        }
    }

    fn slot(&self, slot: &SlotName, port: Port) -> SlotObserved {
        let record = self.instances.get(slot).cloned();
        let lives = |process: &&Process| process.port == port && process.lives();
        let has_peak = self.tight.is_some() && self.processes.iter().any(|it| lives(&it));
        let listener = self.listener(port).map(|process| ListeningProcess {
            identity: Some(process.identity.clone()),
            uid: process.identity.uid,
            command: "java -jar app.jar".to_owned(),
        });
        let unfinished = self
            .unfinished
            .get(slot)
            .filter(|_| !self.has(Flaw::StartWithoutWord));
        let unfinished = unfinished.map(|start| UnfinishedStart {
            pids: self.carriers(&start.word).map(|it| it.identity.pid).collect(),
            ..start.clone()
        });
        SlotObserved {
            port,
            unfinished,
            connections: self.connected(port),
            record_runs: record.as_ref().is_some_and(|record| self.runs(&record.identity)),
            record,
            listener,
            unit: self.units.get(slot).map(|name| UnitObserved {
                name: name.clone(),
                state: UnitState::Ready,
                listens: false,
            }),
            peak_memory_bytes: if has_peak { 1 << 30 } else { 0 },
            answers_as: None,
        }
    }
}

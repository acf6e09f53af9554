//! One host: its lock and fence, its releases and processes, and what an observation finds there.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::model::lock::{Epoch, Fence, LockState};
use nonstop::model::names::{Address, Port, ReleaseId, RemotePath, SlotName};
use nonstop::model::observed::{
    HostObserved, Machine, ReleaseObserved, SlotObserved, StateFolder, StateStatus, WasObserved,
};
use nonstop::model::process::{InstanceRecord, ListeningProcess, ProcessIdentity};
use nonstop::model::record::RunRecord;
use tokio::time::Instant;

use super::SimNginx;

/// A host and all that is on it.
pub(crate) struct SimHost {
    pub(crate) address: Address,
    pub(crate) lock: LockState,
    pub(crate) record: Option<RunRecord>,
    pub(crate) ports: BTreeMap<SlotName, Port>,
    pub(crate) releases: BTreeMap<ReleaseId, ReleaseObserved>,
    pub(crate) processes: Vec<Process>,
    pub(crate) instances: BTreeMap<SlotName, InstanceRecord>,
    /// Connections that never end, by port.
    pub(crate) connections: BTreeMap<Port, u32>,
    pub(crate) nginx: Option<SimNginx>,
    /// How the next application starts.
    pub(crate) start: Start,
    /// How it feels then.
    pub(crate) health: Health,
    accepted: (Epoch, u64),
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
            lock: LockState::default(),
            record: None,
            ports: BTreeMap::new(),
            releases: BTreeMap::new(),
            processes: Vec::new(),
            instances: BTreeMap::new(),
            connections: BTreeMap::new(),
            nginx: None,
            start: Start::Listens(Duration::from_secs(2)),
            health: Health::Up,
            accepted: (Epoch(0), 0),
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
                boot_id: format!("boot-of-{}", self.address),
                uid: 1000,
            },
            port,
            listens_at: Instant::now() + listens_after,
            ends_at: None,
            health: self.health,
            heeds_term: true,
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
            log: RemotePath::new("/srv/logs/app.log").unwrap(),
        };
        self.instances.insert(slot.clone(), record);
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

    /// Whether the fence lets a script pass: `state.sh` says the same.
    pub(super) fn fence(&mut self, fence: &Fence) -> Result<(), LockState> {
        let late = self.accepted.0 == fence.epoch && fence.sequence <= self.accepted.1;
        if self.lock.epoch != fence.epoch || self.lock.run.as_ref() != Some(&fence.run) || late {
            return Err(self.lock.clone());
        }
        self.accepted = (fence.epoch, fence.sequence);
        Ok(())
    }

    pub(super) fn runs(&self, identity: &ProcessIdentity) -> bool {
        self.processes
            .iter()
            .any(|process| process.identity == *identity && process.lives())
    }

    pub(super) fn observe(&self) -> HostObserved {
        HostObserved {
            machine: Machine {
                boot_id: "boot".to_owned(),
                uptime_centiseconds: 1_000_000,
                clock_seconds: 1_767_330_753,
                uid: 1000,
                user: "deploy".to_owned(),
                missing_tools: Vec::new(),
                memory_available_bytes: 4 << 30,
            },
            state: StateFolder {
                path: RemotePath::new("/var/lib/nonstop/sokdak").unwrap(),
                status: StateStatus::Ready,
            },
            lock: self.lock.clone(),
            record: self.record.clone(),
            record_unreadable: None,
            was: (!self.ports.is_empty()).then(|| WasObserved {
                slots: self
                    .ports
                    .iter()
                    .map(|(slot, port)| (slot.clone(), self.slot(slot, *port)))
                    .collect(),
                releases: self.releases.values().cloned().collect(),
                disk_free_bytes: 10 << 30,
                disk_free_inodes: None,
            }),
            nginx: self.nginx.as_ref().map(SimNginx::observe),
        }
    }

    fn slot(&self, slot: &SlotName, port: Port) -> SlotObserved {
        let record = self.instances.get(slot).cloned();
        let listener = self.listener(port).map(|process| ListeningProcess {
            identity: Some(process.identity.clone()),
            uid: process.identity.uid,
            command: "java -jar app.jar".to_owned(),
        });
        SlotObserved {
            port,
            connections: self.connections.get(&port).copied().unwrap_or(0),
            record_runs: record.as_ref().is_some_and(|record| self.runs(&record.identity)),
            record,
            listener,
            peak_memory_bytes: 0,
        }
    }
}

//! What is true on the fleet now, as one `observe` of every host found it. The planner decides from
//! this and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::hook::HookObserved;
use super::lock::LockState;
use super::names::{HostName, Port, ReleaseId, RemotePath, RunId, SlotName};
use super::process::{InstanceRecord, ListeningProcess, ProcessIdentity, StopTarget, UnfinishedStart};
use super::record::RunRecord;
use super::release::Offer;
use super::timer::Timer;
use super::token::Token;
use super::unit::UnitObserved;

/// What is true on every host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Observed {
    /// By host. A host that could not be asked is absent.
    pub hosts: BTreeMap<HostName, HostObserved>,
    /// The jars that a deploy agent has put on WAS hosts; empty unless a run looks for them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jars: BTreeMap<HostName, Offer>,
}

impl NginxObserved {
    /// The newest token of a run, of whichever of its switches.
    pub fn newest_token(&self, run: &RunId) -> Option<&Token> {
        let of_run = self.tokens.iter();
        let of_run = of_run.filter(|token| token.id.run.switch_of(run).is_some());
        of_run.max_by_key(|token| (token.id.epoch, token.id.number))
    }
}

impl Observed {
    /// Hosts that the newest run went on without, with that run: what they hold may be older than what the
    /// others have.
    pub fn behind(&self) -> BTreeMap<&HostName, &RunRecord> {
        let Some(last) = self.last_run() else {
            return BTreeMap::new();
        };
        let missed = |(host, seen): (&HostName, &HostObserved)| {
            // Whoever goes on with a run may leave out a host that was in it before.
            let is_last =
                |record: &RunRecord| record.place().0 == last.place().0 && record.epoch == last.epoch;
            let took_part = seen.record.as_ref().is_some_and(is_last);
            last.without.contains(host) && !took_part
        };
        let behind = self.hosts.iter().filter(|entry| missed(*entry));
        behind.map(|(host, _)| (host, last)).collect()
    }

    /// The record of the newest run that any host knows of.
    pub fn last_run(&self) -> Option<&RunRecord> {
        let records = self.hosts.values().filter_map(|seen| seen.record.as_ref());
        records.max_by_key(|record| (record.epoch, record.place()))
    }

    /// A slot on a WAS host.
    pub fn slot(&self, host: &HostName, slot: &SlotName) -> Option<&SlotObserved> {
        self.hosts.get(host)?.was.as_ref()?.slots.get(slot)
    }
}

/// What is true on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostObserved {
    /// The machine itself.
    pub machine: Machine,
    /// The state folder.
    pub state: StateFolder,
    /// The lock.
    pub lock: LockState,
    /// The record of the last run that changed this host for this application.
    pub record: Option<RunRecord>,
    /// Why there is a record that cannot be read: it is torn, or of a newer version. What the run meant
    /// is then unknown, and nothing is decided from its absence.
    pub record_unreadable: Option<String>,
    /// What became of the hooks of the last run that had any here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookObserved>,
    /// What only a host with a slot has.
    pub was: Option<WasObserved>,
    /// What only an nginx host has.
    pub nginx: Option<NginxObserved>,
}

/// The machine and the login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The kernel's boot id.
    pub boot_id: String,
    /// Time since boot, in hundredths of a second.
    pub uptime_centiseconds: u64,
    /// The host's wall clock, in seconds since 1970; only ever shown to people.
    pub clock_seconds: i64,
    /// The login's numeric user.
    pub uid: u32,
    /// The login's name.
    pub user: String,
    /// Programs that are wanted and missing, such as `flock`.
    pub missing_tools: Vec<String>,
    /// Bytes of memory that a new process could get.
    pub memory_available_bytes: u64,
    /// How many processes the kernel has killed for want of memory since it booted; absent where it does not say.
    pub memory_kills: Option<u64>,
    /// Who keeps a watch alive after the logout.
    pub keeper: WatchKeeper,
}

/// The state folder as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateFolder {
    /// Where it is, or would be made.
    pub path: RemotePath,
    /// Whether it can be used.
    pub status: StateStatus,
}

/// Whether a state folder can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateStatus {
    /// It is there and ours.
    Ready,
    /// It is not there; the lock makes it.
    Absent,
    /// It belongs to another user.
    ForeignOwner,
}

/// A host that runs the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WasObserved {
    /// Every slot that the host has.
    pub slots: BTreeMap<SlotName, SlotObserved>,
    /// The newest hour at which the host stops, or stopped, an old instance by itself.
    pub timer: Option<Timer>,
    /// What the host itself can ask an HTTP endpoint with.
    pub http_tool: Option<String>,
    /// Files that the application reads at its start, and that are not there or cannot be read.
    pub missing_files: BTreeSet<RemotePath>,
    /// The releases that are kept, in the order of their ids.
    pub releases: Vec<ReleaseObserved>,
    /// Free bytes for the login user where releases are kept.
    pub disk_free_bytes: u64,
    /// Free inodes there; `None` where the file system does not count them.
    pub disk_free_inodes: Option<u64>,
}

/// One slot on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotObserved {
    /// The port.
    pub port: Port,
    /// Who listens there.
    pub listener: Option<ListeningProcess>,
    /// Established connections whose local port is this one.
    pub connections: u32,
    /// What it answered to `identify`, without the space around it; filled in by the engine.
    pub answers_as: Option<String>,
    /// What the last start left on record, whether it still runs or not.
    pub record: Option<InstanceRecord>,
    /// Whether the recorded process runs: same pid, start time, boot and user.
    pub record_runs: bool,
    /// The last start, where it put no process on record.
    pub unfinished: Option<UnfinishedStart>,
    /// What systemd says of the slot's unit, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitObserved>,
    /// The most memory that the listener ever had, in bytes, swap included; 0 where none listens.
    pub peak_memory_bytes: u64,
}

impl SlotObserved {
    /// Whether the listener is the recorded process.
    pub fn recorded_process_listens(&self) -> bool {
        self.running_record()
            .is_some_and(|record| self.listener_identity() == Some(&record.identity))
    }

    /// Whether nothing listens, nothing recorded runs and no start left anything behind.
    pub fn is_empty(&self) -> bool {
        self.listener.is_none() && !self.record_runs && self.left_behind().is_none()
    }

    /// A start without a process on record, where processes of it are there.
    pub fn left_behind(&self) -> Option<&UnfinishedStart> {
        self.unfinished.as_ref().filter(|start| !start.pids.is_empty())
    }

    /// Whether the listener comes from such a start.
    pub fn left_behind_listens(&self) -> bool {
        let listener = self.listener_identity();
        self.left_behind()
            .is_some_and(|start| listener.is_some_and(|it| start.pids.contains(&it.pid)))
    }

    /// The release that runs here, where it is one of ours and nobody else has its port.
    pub fn release(&self) -> Option<&ReleaseId> {
        let alone = self.listener.is_none() || self.recorded_process_listens();
        let record = self.running_record().filter(|_| alone);
        record.map(|record| &record.release)
    }

    /// Who listens here, where it can be told.
    pub fn listener_identity(&self) -> Option<&ProcessIdentity> {
        self.listener.as_ref()?.identity.as_ref()
    }

    /// The recorded process, if it runs.
    pub fn running_record(&self) -> Option<&InstanceRecord> {
        self.record.as_ref().filter(|_| self.record_runs)
    }

    /// What a run ends before it starts its own here.
    pub fn stop_target(&self) -> Option<StopTarget> {
        match self.left_behind() {
            Some(start) => Some(StopTarget::Start(start.word.clone())),
            None => self.identity().cloned().map(StopTarget::Process),
        }
    }

    /// Who to signal to stop what runs here: the listener, for it is what serves, or the recorded
    /// process where nothing listens.
    pub fn identity(&self) -> Option<&ProcessIdentity> {
        let recorded = self.running_record().map(|record| &record.identity);
        self.listener_identity().or(recorded)
    }
}

/// A release on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseObserved {
    /// Its id.
    pub id: ReleaseId,
    /// The jar's SHA-256 as recorded when it was put there, in lower-case hex.
    pub sha256: String,
    /// The jar's size.
    pub size_bytes: u64,
    /// The jar's file name on the controller.
    pub jar_name: String,
    /// Whether a deploy of it failed.
    pub failed: bool,
}

/// A host that routes to the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NginxObserved {
    /// The running master; `None` if nginx does not run.
    pub master: Option<Master>,
    /// Its main configuration file.
    pub conf: RemotePath,
    /// The main error log, where it is a file.
    pub error_log: Option<RemotePath>,
    /// What `nginx -T` printed on its standard output; empty where the test failed.
    pub dump: String,
    /// What `nginx -t` complained of, where it failed.
    pub test_failure: Option<String>,
    /// The file that a switch replaces.
    pub entry: Entry,
    /// The entries beside it in the same folder, by file name, our own dotfiles left out.
    pub siblings: BTreeMap<String, EntryKind>,
    /// The user's own file of each slot, with the style `conf_per_slot`; `None` where it is missing.
    pub slot_files: BTreeMap<SlotName, Option<String>>,
    /// Numeric IP addresses of the host's interfaces, loopback included.
    pub own_addresses: Vec<String>,
    /// What the generation endpoint answered through the listener; filled in by the engine.
    pub generation: Option<String>,
    /// Whether a home of an unfinished run is saved there, by run.
    pub saved_homes: Vec<String>,
    /// Every token that is kept there, in no order.
    pub tokens: Vec<Token>,
}

/// Who keeps a watch alive when the SSH session that started it is over. An instance of the runner `java`
/// stays where it was started, in the session: nothing but `Session` keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKeeper {
    /// Nobody has to: a session of its own is enough.
    #[default]
    Session,
    /// The system's manager, for root.
    Systemd,
    /// The user's own manager: the login lingers.
    User,
    /// Nobody can: logind would end the watch with the login. `loginctl enable-linger USER` mends it.
    Nobody,
}

/// The nginx master and its workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Master {
    /// The master.
    pub identity: ProcessIdentity,
    /// Workers that take new connections.
    pub serving: Vec<u32>,
    /// Workers whose title says that they are shutting down.
    pub leaving: Vec<u32>,
}

/// A file that nginx includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What is there.
    pub kind: EntryKind,
    /// The bytes that nginx reads there; `None` where nothing is.
    pub content: Option<String>,
    /// Numeric owner and group, `0:0`, of what the bytes come from.
    pub owner: String,
    /// Permission bits in octal, `644`.
    pub mode: String,
}

/// What a directory entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum EntryKind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A symbolic link.
    Link {
        /// The link's text.
        target: String,
        /// The absolute path that it leads to.
        resolved: String,
    },
    /// A folder, a device or a dangling link.
    Other,
}

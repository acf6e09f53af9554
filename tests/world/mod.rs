//! A fleet in memory behind the engine's own traits. Every command becomes an effect at an instant of
//! the paused clock, whether its caller still waits for it or not; faults are scripted; what an effect
//! breaks is written down in the moment in which it happens.

mod check;
mod commands;
mod fault;
mod host;
mod nginx;
mod reach;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::names::HostName;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::Command;
use tokio::time::Instant;

pub(crate) use fault::{Fault, Rule};
pub(crate) use host::{Health, SimHost, Start};
pub(crate) use nginx::SimNginx;
pub(crate) use reach::SimFleet;

/// The way to a host and back.
const LATENCY: Duration = Duration::from_millis(5);

/// All hosts, and all that is under way.
pub(crate) struct World {
    pub(crate) hosts: BTreeMap<HostName, SimHost>,
    pub(crate) rules: Vec<Rule>,
    /// Every effect that took place: host, and the command's name.
    pub(crate) trace: Vec<(HostName, &'static str)>,
    /// What no effect may ever bring about, and one did.
    pub(crate) broken: Vec<String>,
    under_way: BTreeMap<(Instant, u64), (HostName, Command)>,
    replies: BTreeMap<u64, Result<Reply, CallError>>,
    calls: u64,
}

/// What an effect answers, and how long it keeps its caller waiting.
struct Reply {
    answer: Answer,
    takes: Duration,
}

pub(crate) type Shared = Rc<RefCell<World>>;

impl World {
    pub(crate) fn of(hosts: BTreeMap<HostName, SimHost>) -> Shared {
        Rc::new(RefCell::new(Self {
            hosts,
            rules: Vec::new(),
            trace: Vec::new(),
            broken: Vec::new(),
            under_way: BTreeMap::new(),
            replies: BTreeMap::new(),
            calls: 0,
        }))
    }

    pub(crate) fn host(&mut self, name: &str) -> &mut SimHost {
        self.hosts.get_mut(&HostName::new(name).unwrap()).unwrap()
    }

    pub(crate) fn nginx(&mut self, name: &str) -> &mut SimNginx {
        self.host(name).nginx.as_mut().unwrap()
    }

    /// Sends a command; its effect takes place at `due`.
    fn send(&mut self, host: &HostName, command: Command, due: Instant) -> u64 {
        self.calls += 1;
        self.under_way.insert((due, self.calls), (host.clone(), command));
        self.calls
    }

    /// Lets everything take place whose time has come.
    fn settle(&mut self) {
        while let Some(entry) = self.under_way.first_entry() {
            if entry.key().0 > Instant::now() {
                break;
            }
            let ((_, call), (host, command)) = entry.remove_entry();
            self.trace.push((host.clone(), name_of(&command)));
            let reply = self.take_place(&host, command);
            self.replies.insert(call, reply);
        }
    }

    /// The places in the trace at which a command took place.
    pub(crate) fn times(&self, command: &str) -> Vec<usize> {
        let found = self
            .trace
            .iter()
            .enumerate()
            .filter(|(_, (_, name))| *name == command);
        found.map(|(at, _)| at).collect()
    }

    /// The hosts on which a command took place, in the order of its effects.
    pub(crate) fn hosts_with(&self, command: &str) -> Vec<&str> {
        let found = self.trace.iter().filter(|(_, name)| *name == command);
        found.map(|(host, _)| host.as_str()).collect()
    }
}

/// A command's name, by which traces and faults know it.
fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Observe(_) => "observe",
        Command::Lock(_) => "lock",
        Command::Unlock(_) => "unlock",
        Command::BreakLock(_) => "break_lock",
        Command::Renew(_) => "renew",
        Command::Arm(_) => "arm",
        Command::Confirm(_) => "confirm",
        Command::Audit(_) => "audit",
        Command::Record(_) => "record",
        Command::Digest(_) => "digest",
        Command::Put(_) => "put",
        Command::DiscardUpload(_) => "discard_upload",
        Command::Start(_) => "start",
        Command::Stop(_) => "stop",
        Command::MarkRelease(_) => "mark_release",
        Command::Prepare(_) => "prepare",
        Command::Commit(_) => "commit",
        Command::Revert(_) => "revert",
        Command::CleanNginx(_) => "clean_nginx",
        Command::AwaitWorkers(_) => "await_workers",
        Command::AwaitConnections(_) => "await_connections",
        Command::Prune(_) => "prune",
        Command::LogTail(_) => "log_tail",
        Command::Fetch(_) => "fetch",
        Command::Peers(_) => "peers",
        Command::SudoCheck(_) => "sudo_check",
    }
}

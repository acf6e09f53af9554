//! A fleet in memory behind the engine's own traits. Every command becomes an effect at an instant of
//! the paused clock, whether its caller still waits for it or not; so do watches, reloads and what
//! befalls a host. What an effect breaks is written down in the moment in which it happens.

#![allow(
    dead_code,
    reason = "the tests of the engine and the simulator use it, each a part of it"
)]

mod check;
mod clock;
mod commands;
mod fate;
mod fault;
mod flaw;
mod flight;
mod hooks;
mod host;
mod lock;
mod nginx;
mod reach;
mod switch;
mod timer;
mod units;
mod was;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use nonstop::engine::fleet::CallError;
use nonstop::model::hook::HookId;
use nonstop::model::lock::Fence;
use nonstop::model::names::{HostName, Port, RunId};
use nonstop::model::observed::Observed;
use nonstop::model::token::TokenId;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, Commit, Stop};
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use fault::{Fault, Rule};
pub(crate) use flaw::Flaw;
#[allow(unused_imports, reason = "not everybody tells what becomes of hooks")]
pub(crate) use hooks::HookFate;
#[allow(unused_imports, reason = "only the simulator has hosts with little memory")]
pub(crate) use host::{Health, Killed, Process, SimHost, Start, Tight};
pub(crate) use nginx::SimNginx;
#[allow(unused_imports, reason = "only the simulator wraps a host")]
pub(crate) use reach::{Reached, SimFleet};

/// The way to a host and back.
pub(crate) const LATENCY: Duration = Duration::from_millis(5);

/// Decides what becomes of a call that no rule meets.
pub(crate) type Weather = Box<dyn FnMut(&HostName, &'static str) -> Option<Fault>>;
/// Looks at the world after every effect.
pub(crate) type Witness = Box<dyn FnMut(&mut World, &str)>;

/// How runs split traffic between two slots, and so what tells routings apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shares {
    /// Not at all: the ports do.
    Whole,
    /// By routings between the two: the instances and their weights do.
    Split,
    /// There is one slot, and hosts leave it and come back: the instances do, and the releases that they run.
    Single,
}

/// All hosts, and all that is under way.
pub(crate) struct World {
    pub(crate) hosts: BTreeMap<HostName, SimHost>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) weather: Option<Weather>,
    pub(crate) witness: Option<Witness>,
    /// Every effect that took place: host, and the command's name.
    pub(crate) trace: Vec<(HostName, &'static str)>,
    /// What no effect may ever bring about, and one did.
    pub(crate) broken: Vec<String>,
    /// Hosts that the controller cannot reach, and until when.
    pub(crate) cut_off: BTreeMap<HostName, Instant>,
    /// Whether the end of a drain at its deadline is a reason to stop an old instance all the same.
    pub(crate) may_cut: bool,
    /// Whether a commit arms its watch. A run that never confirms needs a fleet without.
    pub(crate) has_watches: bool,
    /// Whether cleaning up takes the tokens of the run away as well, as the scripts do.
    pub(crate) cleans_tokens: bool,
    /// Nginx hosts that cannot reach a WAS host which the controllers can: from when, and until when.
    pub(crate) links: BTreeMap<(HostName, HostName), (Instant, Instant)>,
    /// Runs whose old slot some host has begun to stop by itself.
    pub(crate) ended_by_hosts: BTreeSet<RunId>,
    /// Runs that leave out the hosts of which a person said so.
    pub(crate) leavers: BTreeSet<RunId>,
    /// How long the longest requests of clients take; none go on where it is zero.
    pub(crate) requests_last: Duration,
    requests: u64,
    /// What becomes of hooks, and what became of them.
    pub(crate) hooks: hooks::Hooks,
    /// Whether routings are told apart by more than their ports.
    pub(crate) shares: Shares,
    /// How long an upload takes.
    pub(crate) upload_takes: Duration,
    /// Rings when something new is under way.
    pub(crate) bell: Rc<Notify>,
    under_way: BTreeMap<(Instant, u64), (HostName, Due)>,
    replies: BTreeMap<u64, Result<Answer, CallError>>,
    calls: u64,
}

/// What is under way to a host, or on it.
enum Due {
    /// A command arrives.
    Command(u64, Command),
    /// A commit's reload is through, or was refused.
    Committed(Job, Commit),
    /// A way back's reload is through, or was refused.
    Reverted(Job, RunId),
    /// A process was given its time to listen.
    Started(Job, Fence, nonstop::model::process::ProcessIdentity),
    /// A process that was told to end has ended, or its grace is over.
    Kill(Job, Stop),
    /// A hook has ended by itself, well or not.
    Hooked(Job, Fence, (RunId, HookId), bool),
    /// A drain of a port looks again whether it is over.
    Drains(Job, Port, Instant),
    /// An answer that took its time.
    Answer(Job, Answer),
    /// A watch's deadline is over.
    Watch(u32, TokenId),
    /// A watch takes its turn at putting home back.
    GoesHome(u32, TokenId),
    /// A watch's reload is through, or was refused.
    Restored(u32, TokenId),
    /// A timer's hour has come, or it looks again.
    Timer(u32, TokenId),
    /// What a timer told to end has ended.
    TimerEnds(u32, TokenId),
    /// The caller learns that its connection is gone.
    Lost(u64),
    /// Something befalls the host.
    Happens(&'static str, Box<dyn FnOnce(&mut World)>),
}

/// The call that something is done for, and the boot in which it began: it ends with it.
#[derive(Debug, Clone, Copy)]
struct Job {
    call: u64,
    boot: u32,
}

/// What becomes of a command at once.
enum Effect {
    /// It is answered.
    Answered(Answer),
    /// Its answer comes later.
    Later,
}

pub(crate) type Shared = Rc<RefCell<World>>;

impl World {
    pub(crate) fn of(hosts: BTreeMap<HostName, SimHost>) -> Shared {
        Rc::new(RefCell::new(Self {
            hosts,
            rules: Vec::new(),
            weather: None,
            witness: None,
            trace: Vec::new(),
            broken: Vec::new(),
            cut_off: BTreeMap::new(),
            may_cut: false,
            has_watches: true,
            cleans_tokens: false,
            hooks: hooks::Hooks::default(),
            shares: Shares::Whole,
            links: BTreeMap::new(),
            ended_by_hosts: BTreeSet::new(),
            leavers: BTreeSet::new(),
            requests_last: Duration::ZERO,
            requests: 0,
            upload_takes: Duration::ZERO,
            bell: Rc::default(),
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

    fn at(&mut self, name: &HostName) -> &mut SimHost {
        self.hosts.get_mut(name).expect("it is a host")
    }

    /// What somebody would observe who looks at every host.
    pub(crate) fn observed(&self) -> Observed {
        let hosts = self.hosts.iter();
        let hosts = hosts.map(|(name, host)| (name.clone(), host.observe())).collect();
        Observed {
            hosts,
            ..Observed::default()
        }
    }

    /// Something befalls a host at an instant.
    pub(crate) fn happens(
        &mut self,
        at: Instant,
        host: &HostName,
        what: &'static str,
        change: impl FnOnce(&mut World) + 'static,
    ) {
        self.queue(at, host, Due::Happens(what, Box::new(change)));
    }

    fn queue(&mut self, at: Instant, host: &HostName, due: Due) {
        self.calls += 1;
        self.under_way.insert((at, self.calls), (host.clone(), due));
        self.bell.notify_one();
    }

    /// Sends a command; its effect takes place at `due`.
    fn send(&mut self, host: &HostName, command: Command, due: Instant) -> u64 {
        self.calls += 1;
        let call = self.calls;
        self.under_way
            .insert((due, call), (host.clone(), Due::Command(call, command)));
        self.bell.notify_one();
        call
    }

    /// Until when the controller cannot reach a host.
    pub(crate) fn cut_until(&self, host: &HostName) -> Option<Instant> {
        self.cut_off
            .get(host)
            .copied()
            .filter(|until| *until > Instant::now())
    }

    /// When the next thing takes place.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// Lets everything take place whose time has come.
    pub(crate) fn settle(&mut self) {
        while let Some(entry) = self.under_way.first_entry() {
            if entry.key().0 > Instant::now() {
                break;
            }
            let ((_, number), (host, due)) = entry.remove_entry();
            self.comes_due(number, &host, due);
        }
    }

    fn comes_due(&mut self, number: u64, host: &HostName, due: Due) {
        let (is_up, busy) = {
            let host = self.at(host);
            (
                host.is_up,
                host.busy_until.filter(|until| *until > Instant::now()),
            )
        };
        match (due, busy) {
            (Due::Command(call, _), _) if !is_up => self.lose(host, call),
            // It waits for the flock, in the order in which it came.
            (Due::Command(call, command), Some(until)) if waits(&command) => {
                self.under_way
                    .insert((until, number), (host.clone(), Due::Command(call, command)));
            }
            (Due::GoesHome(boot, token), Some(until)) => {
                self.under_way
                    .insert((until, number), (host.clone(), Due::GoesHome(boot, token)));
            }
            (Due::Command(call, command), _) => {
                let name = name_of(&command);
                self.trace.push((host.clone(), name));
                match self.take_place(
                    host,
                    Job {
                        call,
                        boot: self.hosts[host].clock.boot,
                    },
                    command,
                ) {
                    Ok(Effect::Answered(answer)) => self.reply(host, call, name, Ok(answer)),
                    Ok(Effect::Later) => self.seen(host, name),
                    Err(error) => self.reply(host, call, name, Err(error)),
                }
            }
            (due, _) => self.goes_on(host, due),
        }
    }

    fn reply(&mut self, host: &HostName, call: u64, name: &str, answer: Result<Answer, CallError>) {
        if self.witness.is_some() {
            self.seen(host, &format!("{name}: {}", shortly(&answer)));
        }
        self.replies.insert(call, answer);
    }

    /// Tells the witness, who looks at everything.
    fn seen(&mut self, host: &HostName, what: &str) {
        for host in self.hosts.values_mut() {
            self.broken.append(&mut host.broken);
        }
        let Some(mut witness) = self.witness.take() else {
            return;
        };
        witness(self, &format!("{host} {what}"));
        self.witness = Some(witness);
    }

    /// The caller of something that a host did not live to answer hears of it when the connection is
    /// given up.
    fn lose(&mut self, host: &HostName, call: u64) {
        self.queue(Instant::now() + Duration::from_secs(15), host, Due::Lost(call));
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

/// Whether a command waits while a switch holds the flocks of its host.
fn waits(command: &Command) -> bool {
    !matches!(
        command,
        Command::Renew(_)
            | Command::Digest(_)
            | Command::FindJar(_)
            | Command::AwaitWorkers(_)
            | Command::AwaitConnections(_)
            | Command::LogTail(_)
            | Command::Audit(_)
            | Command::Fetch(_)
            | Command::Peers(_)
            | Command::SudoCheck(_)
    )
}

/// An answer in a few words: what an observation found is too much for a line.
fn shortly(answer: &Result<Answer, CallError>) -> String {
    match answer {
        Ok(Answer::Observe(_)) => "observed".to_owned(),
        Ok(answer) => format!("{answer:?}").chars().take(160).collect(),
        Err(error) => error.to_string(),
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
        Command::NoteDrill(_) => "note_drill",
        Command::Record(_) => "record",
        Command::Digest(_) => "digest",
        Command::Put(_) => "put",
        Command::FindJar(_) => "find_jar",
        Command::Take(_) => "take",
        Command::DiscardUpload(_) => "discard_upload",
        Command::Start(_) => "start",
        Command::Stop(_) => "stop",
        Command::Hook(_) => "hook",
        Command::SetTimer(_) => "set_timer",
        Command::CancelTimer(_) => "cancel_timer",
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

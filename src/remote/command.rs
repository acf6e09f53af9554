//! The closed vocabulary: everything that nonstop ever asks a host to do. Each command is one
//! script below `sh/`; `render` gives it its parameters and `parse` reads its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::drill::Drill;
use crate::model::hook::{HookBody, HookDigest, HookId, Recall, Repeats};
use crate::model::lock::{Epoch, Fence, Owner};
use crate::model::names::{JarPattern, Port, ReleaseId, RemotePath, RunId, SlotName, UserName};
use crate::model::process::{ProcessIdentity, StopTarget};
use crate::model::unit::Unit;

pub use super::nginx_command::{
    Arm, AwaitWorkers, CleanNginx, Commit, Confirm, NginxPlace, PlacedContent, Placement, Prepare, Revert,
    Upstreams,
};
pub use super::place::Place;
pub use super::timer_command::{CancelTimer, HealthRequest, SetTimer};

/// A command for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Reads everything that the planner needs; changes nothing.
    Observe(Observe),
    /// Takes the lock by compare-and-swap of its epoch; makes the state folder where it is absent.
    Lock(Lock),
    /// Gives the lock back; the epoch stays.
    Unlock(Unlock),
    /// Lets the lease's term begin anew, unless it is over.
    Renew(Renew),
    /// Takes the lock away from whoever holds it, by raising the epoch; the lock is free afterwards.
    BreakLock(BreakLock),
    /// Writes the run record.
    Record(Record),
    /// Computes the SHA-256 of a release's jar as it lies on the disk.
    Digest(Digest),
    /// Receives a jar on standard input into `releases/<id>/`.
    Put(Put),
    /// Looks for the newest jar that a deploy agent has put on the host.
    FindJar(FindJar),
    /// Copies such a jar into `releases/<id>/`.
    Take(Take),
    /// Removes what an upload left unfinished.
    DiscardUpload(DiscardUpload),
    /// Starts an instance and waits until its process listens.
    Start(Start),
    /// Ends a process by its identity: TERM, and after the grace KILL.
    Stop(Stop),
    /// Runs a hook once, notes one that the controller runs, or ends one.
    Hook(Hook),
    /// Leaves the end of an old instance to its host, at an hour.
    SetTimer(Box<SetTimer>),
    /// Takes that back, unless the end has begun.
    CancelTimer(CancelTimer),
    /// Marks a release as failed, or takes the mark away.
    MarkRelease(MarkRelease),
    /// Tests a candidate in a shadow of the main file and saves home.
    Prepare(Prepare),
    /// Arms a token and its watch, puts the candidate in place, reloads and proves.
    Commit(Commit),
    /// Arms a token and its watch and touches nothing else: the first step of a way back from a switch
    /// that was confirmed.
    Arm(Arm),
    /// Moves a token from armed to confirmed: its watch has nothing left to do.
    Confirm(Confirm),
    /// Moves the run's armed token to reverted, puts home back, reloads and proves.
    Revert(Revert),
    /// Removes candidate, shadow, saved homes and tokens.
    CleanNginx(CleanNginx),
    /// Waits until nginx workers are gone.
    AwaitWorkers(AwaitWorkers),
    /// Waits until a port has no established connections.
    AwaitConnections(AwaitConnections),
    /// Removes old releases and their logs.
    Prune(Prune),
    /// Reads the end of a slot's log.
    LogTail(LogTail),
    /// Reads the end of the audit trail.
    Audit(Audit),
    /// Writes down in the audit trail how a drill went.
    NoteDrill(NoteDrill),
    /// Asks an HTTP endpoint with curl, wget, nc or bash, where sshd refuses forwarding.
    Fetch(Fetch),
    /// Lists the peers of a local port's connections, those in TIME_WAIT included.
    Peers(Peers),
    /// Tries every root command that the vocabulary needs, without running it.
    SudoCheck(SudoCheck),
}

/// See [`Command::Observe`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observe {
    /// The ports to look at, by slot; empty on a host without a slot.
    pub slots: BTreeMap<SlotName, Port>,
    /// Files that the application reads at its start.
    pub files: BTreeSet<RemotePath>,
    /// What to look at in nginx; `None` on a host without nginx.
    pub nginx: Option<ObserveNginx>,
}

/// What to look at in nginx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObserveNginx {
    /// The nginx program.
    pub binary: String,
    /// The main configuration file; asked from `nginx -V` where it is absent.
    pub conf: Option<RemotePath>,
    /// The file that a switch replaces.
    pub file: RemotePath,
    /// The user's own file of each slot.
    pub slot_files: BTreeMap<SlotName, RemotePath>,
    /// The file with the upstreams, where one is written.
    pub upstream_file: Option<RemotePath>,
}

/// See [`Command::Lock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The epoch that was read; any other one there now means that somebody else was faster.
    pub expected: Epoch,
    /// The new epoch, higher than any that was read on any host.
    pub epoch: Epoch,
    /// The run that takes it.
    pub run: RunId,
    /// Who takes it.
    pub owner: Owner,
    /// How long it holds after it was taken or renewed, by the host's own uptime; without an end where
    /// it is absent.
    pub lease: Option<Duration>,
}

/// See [`Command::Renew`]. Every script that passes its fence renews the lease as well. It carries no
/// sequence number: a renewal may pass by a script that works for long, and one that comes late does
/// nothing but keep others waiting for a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renew {
    /// The epoch.
    pub epoch: Epoch,
    /// The run.
    pub run: RunId,
}

/// See [`Command::Unlock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlock {
    /// Only the owner gives it back.
    pub fence: Fence,
}

/// See [`Command::BreakLock`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakLock {
    /// The epoch that was shown to the person who breaks it.
    pub expected: Epoch,
    /// The new epoch.
    pub epoch: Epoch,
    /// Who breaks it, for the audit trail.
    pub by: Owner,
}

/// See [`Command::Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The fence.
    pub fence: Fence,
    /// The record as JSON, one line or many; the host keeps it as it is.
    pub json: String,
}

/// See [`Command::Digest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The release.
    pub release: ReleaseId,
}

/// See [`Command::Put`]. The jar comes on standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Checked before the last rename only; receiving runs unlocked.
    pub fence: Fence,
    /// The release.
    pub release: ReleaseId,
    /// The jar's SHA-256, lower-case hex.
    pub sha256: String,
    /// The jar's size.
    pub size_bytes: u64,
    /// The jar's file name on the controller.
    pub jar_name: String,
}

/// See [`Command::FindJar`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindJar {
    /// Where, and which.
    pub pattern: JarPattern,
}

/// See [`Command::Take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// What it becomes: nothing but the place that its bytes come from is different.
    pub put: Put,
    /// Where it lies on the host.
    pub from: RemotePath,
}

/// See [`Command::DiscardUpload`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscardUpload {
    /// The fence.
    pub fence: Fence,
    /// The release whose unfinished upload goes. A finished one stays.
    pub release: ReleaseId,
}

/// See [`Command::Start`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Checked before the process is started; the wait runs unlocked.
    pub fence: Fence,
    /// The slot.
    pub slot: SlotName,
    /// The port on which it must listen.
    pub port: Port,
    /// The release.
    pub release: ReleaseId,
    /// How.
    pub runner: RenderedRunner,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// How long until it must listen.
    pub deadline: Duration,
}

/// A runner with every template rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenderedRunner {
    /// The words are the process itself: it is detached, and its pid is the instance's.
    Process {
        /// The program and its arguments. The working folder is the release's own.
        argv: Vec<String>,
    },
    /// The words are a script that starts the process by itself and returns: the instance is the
    /// process that listens on the port afterwards, and started after the script did.
    Script {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The working folder; the release's own where it is absent.
        chdir: Option<RemotePath>,
        /// How long the script itself may run.
        deadline: Duration,
    },
    /// A unit of systemd: the instance is its main process, or one that this started.
    Unit(Unit),
}

/// See [`Command::Stop`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Checked before TERM and anew before KILL; the grace runs unlocked.
    pub fence: Fence,
    /// The slot.
    pub slot: SlotName,
    /// What ends.
    pub target: StopTarget,
    /// The time between TERM and KILL.
    pub grace: Duration,
    /// The instance that must be alive and listening, in the same breath, before TERM is sent.
    pub successor: Option<Successor>,
}

/// The instance that serves in place of one that is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// Where it listens.
    pub port: Port,
}

/// See [`Command::Hook`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Checked before anything is done, and once more when it is over; the hook itself runs unlocked.
    pub fence: Fence,
    /// The run to which the hook belongs: the one that began it, whoever goes on with it.
    pub run: RunId,
    /// The hook.
    pub hook: HookId,
    /// Which hook that is now, where that matters.
    pub digest: Option<HookDigest>,
    /// What becomes of it where it began before and did not end well, or nobody knows, or where it was another one.
    pub recall: Recall,
    /// Whether it may run again then without being asked for.
    pub repeats: Repeats,
    /// What is done.
    pub act: HookAct,
}

/// What is done about a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAct {
    /// It runs, unless it is on record.
    Run(HookRun),
    /// The controller is about to run it, unless it is on record.
    Begins,
    /// The controller did not run it after all: unless it began before, it never did.
    Never,
    /// The controller has run it, and so it ended: nothing where it ended well, else how.
    Ended(Option<String>),
    /// What runs of it is ended.
    End,
}

/// How a hook runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// What.
    pub body: HookBody,
    /// What it finds in its environment.
    pub env: BTreeMap<String, String>,
    /// The release whose jar it is told of, on a WAS host.
    pub release: Option<ReleaseId>,
    /// As whom, where that is not the login.
    pub run_as: Option<UserName>,
    /// How long it may run.
    pub timeout: Duration,
}

/// See [`Command::MarkRelease`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkRelease {
    /// The fence.
    pub fence: Fence,
    /// The release.
    pub release: ReleaseId,
    /// Whether it counts as failed from now on.
    pub failed: bool,
}

/// See [`Command::AwaitConnections`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitConnections {
    /// The port.
    pub port: Port,
    /// When to stop waiting.
    pub deadline: Duration,
}

/// See [`Command::Prune`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// The fence.
    pub fence: Fence,
    /// How many of the newest are kept.
    pub keep: u32,
    /// Releases that stay whatever their age; one whose jar a process has open stays as well.
    pub protected: BTreeSet<ReleaseId>,
}

/// See [`Command::LogTail`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The slot whose recorded log is read.
    pub slot: SlotName,
    /// How many lines from its end.
    pub lines: u32,
}

/// See [`Command::Audit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// How many lines from its end.
    pub lines: u32,
}

/// See [`Command::NoteDrill`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteDrill {
    /// The run that ended it.
    pub run: RunId,
    /// Who ran it.
    pub by: Owner,
    /// What came of it.
    pub drill: Drill,
}

/// See [`Command::Fetch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The address to connect to, as seen from the host.
    pub address: String,
    /// The port.
    pub port: Port,
    /// The path with its query.
    pub path: String,
    /// The `Host` header.
    pub host_header: String,
    /// The request's deadline.
    pub timeout: Duration,
}

/// See [`Command::Peers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// The local port.
    pub port: Port,
}

/// See [`Command::SudoCheck`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SudoCheck {
    /// The nginx, on an nginx host.
    pub nginx: Option<ObserveNginx>,
    /// As whom hooks run there.
    pub users: BTreeSet<UserName>,
}

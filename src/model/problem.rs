//! Everything that can speak against a run, or be worth a word, by kind, with what a person has to know of it.

use serde::Serialize;

use super::endpoint::Endpoint;
use super::hook::HookId;
use super::journey::Rolling;
use super::lock::{LockState, describe_owner};
use super::names::{HostName, ReleaseId, RunId, SlotName};
use super::nginx_site::Replaced;
use super::notify::Untold;
use super::obstacle::Obstacle;
use super::process::AfterKill;
use super::record::{RunRecord, describe_waiting};
use super::release::JarProblem;
use super::unit::{LostAtBoot, UnitObserved};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum Problem {
    /// The host cannot be reached, or its key is not the one on record.
    #[error("cannot connect: {reason}")]
    Unreachable {
        /// What SSH says.
        reason: String,
        /// What is in the way; of the host's key it is written whether that is the reason.
        #[serde(rename = "host_key", serialize_with = "super::obstacle::as_host_key")]
        obstacle: Obstacle,
    },
    /// Asking the host failed.
    #[error("cannot be examined: {reason}")]
    CannotObserve {
        /// Why.
        reason: String,
    },
    /// Somebody else holds the lock.
    #[error("locked by {}", describe_owner(.lock))]
    Locked {
        /// The lock.
        lock: LockState,
    },
    /// An earlier run never ended.
    #[error("run {} never ended: it was interrupted in its phase {}", record.place().0, record.phase)]
    InterruptedRun {
        /// Its record.
        record: Box<RunRecord>,
    },
    /// A run waits for a person, and nothing else may begin meanwhile.
    #[error("{}; run {run} does not begin", describe_waiting(.record))]
    RunWaits {
        /// Its record.
        record: Box<RunRecord>,
        /// The run that met it.
        run: RunId,
    },
    /// A hook of a run began, and nobody knows how it ended.
    #[error("hook {hook} of run {run} began, and nobody knows how it ended")]
    HookUnknown {
        /// The hook.
        hook: HookId,
        /// The run.
        run: RunId,
    },
    /// A hook of a run began, and the playbook has another one of its name.
    #[error("hook {hook} of run {run} is not the one any more that began")]
    HookChanged {
        /// The hook.
        hook: HookId,
        /// The run.
        run: RunId,
    },
    /// A hook of a run goes on.
    #[error("hook {hook} of run {run} still runs")]
    HookRuns {
        /// The hook.
        hook: HookId,
        /// The run.
        run: RunId,
    },
    /// No run waits, and one was to be promoted.
    #[error("no run waits to be promoted")]
    NothingWaits,
    /// What the last run meant to do cannot be read on this host.
    #[error("the record of the last run, {path}, cannot be read: {reason}")]
    RecordUnreadable {
        /// The record.
        path: String,
        /// Why.
        reason: String,
    },
    /// The playbook no longer has the slot that an interrupted run was leading to.
    #[error("run {run} was leading to slot {}, which the playbook does not have", slot.as_ref().map_or("-", SlotName::as_str))]
    RecordedSlotMissing {
        /// The run.
        run: RunId,
        /// The slot.
        slot: Option<SlotName>,
    },
    /// The application does not listen on an endpoint that should get traffic.
    #[error("{endpoint} is not up: the application does not listen on this part of slot {slot}")]
    SlotNotUp {
        /// The slot.
        slot: SlotName,
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// An nginx host has no longer what a run left there.
    #[error("it has no longer what run {run} left here, and routes to {} now", slot.as_ref().map_or("no slot", SlotName::as_str))]
    LedAway {
        /// The run.
        run: RunId,
        /// Where it routes to.
        slot: Option<SlotName>,
    },
    /// Which release runs on a slot is not known, or not the same on every host.
    #[error("it is not known which release slot {slot} runs, or not the same one on every host")]
    ReleaseUnknown {
        /// The slot.
        slot: SlotName,
    },
    /// The newest run went on without this host.
    #[error("is behind: run {} of {}@{} went on without it", record.run, record.owner.who, record.owner.place)]
    Behind {
        /// The record of that run.
        record: Box<RunRecord>,
    },
    /// A WAS host that the last run went on without: nginx does not route to it.
    #[error("is behind: run {run} went on without it, and nginx routes no traffic to {endpoint}")]
    WasBehind {
        /// The last run.
        run: RunId,
        /// The endpoint that gets no traffic.
        endpoint: Endpoint,
    },
    /// The user's own file of a slot routes to a host that is left out.
    #[error("the file of slot {slot} routes to {endpoint}, whose host is left out")]
    SlotFileNamesLeftOut {
        /// The slot.
        slot: SlotName,
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// A host of the last run is not in the inventory.
    #[error("`{missing}` took part in the last run and is not in the inventory's groups of this playbook")]
    RecordedHostMissing {
        /// The host.
        missing: HostName,
    },
    /// A host was left out of a run that never ended, and this command does not leave it out.
    #[error("`{host}` was left out of run {run}, which never ended, and takes part in this one")]
    LeftOutIsBack {
        /// The run.
        run: RunId,
        /// The host.
        host: HostName,
    },
    /// A program is missing on the host.
    #[error("has no `{tool}`")]
    MissingTool {
        /// The program.
        tool: String,
    },
    /// The state folder belongs to somebody else.
    #[error("state folder {path} belongs to another user")]
    StateFolderForeign {
        /// The folder.
        path: String,
    },
    /// `sudo -n` would refuse a command that the run needs.
    #[error("sudo refuses `{command}`")]
    SudoRefused {
        /// The command.
        command: String,
    },
    /// nginx does not run.
    #[error("nginx does not run")]
    NginxNotRunning,
    /// Nobody keeps a watch alive when the connection of the one who armed it ends.
    #[error(
        "ends what a login leaves behind (logind's KillUserProcesses): nobody would lead this host home if \
         the controller died in the middle of a switch"
    )]
    WatchNotKept {
        /// The login.
        user: String,
    },
    /// Nobody would be there at the hour at which a host ends its old instance.
    #[error(
        "ends what a login leaves behind (logind's KillUserProcesses): nobody would be there to stop the old \
         instance at its hour"
    )]
    TimerNotKept {
        /// The login.
        user: String,
    },
    /// A host cannot look whether its own new instance is healthy.
    #[error("has none of curl, wget, nc and bash: it cannot ask its new instance whether it is healthy")]
    CannotAskItself,
    /// An instance that is started ends with the connection of the one who started it.
    #[error(
        "ends what a login leaves behind (logind's KillUserProcesses): an instance that is started here ends \
         with the run that started it"
    )]
    InstanceNotKept {
        /// The login.
        user: String,
    },
    /// The configuration that is there fails nginx's own test.
    #[error("`nginx -t` fails on what is there: {output}")]
    NginxTestFails {
        /// What nginx says.
        output: String,
    },
    /// The file cannot be tested without being live.
    #[error("{reason}")]
    CannotShadow {
        /// Why.
        reason: String,
    },
    /// The nginx file could not be written for this routing.
    #[error("{reason}")]
    CannotRender {
        /// Why.
        reason: String,
    },
    /// Another file would win over ours, or routes to the same endpoints.
    #[error("{file} {reason}")]
    StrayFile {
        /// The file.
        file: String,
        /// What it does.
        reason: String,
    },
    /// The file that a switch replaces is not something that it may replace.
    #[error("{path} is {what}, and cannot be replaced")]
    EntryUnusable {
        /// The path.
        path: String,
        /// What is there.
        what: String,
    },
    /// The user's own file of a slot is missing.
    #[error("the file of slot {slot} is missing")]
    SlotFileMissing {
        /// The slot.
        slot: SlotName,
    },
    /// The site routes to something that is no endpoint of the inventory.
    #[error("{file} routes to {target}, which is no endpoint of the inventory")]
    UnknownEndpoint {
        /// The nginx file.
        file: String,
        /// What it routes to.
        target: String,
    },
    /// The file of `include` holds a name where only an address works without a `resolver`.
    #[error(
        "{file} sends requests to {address}, which is no IP address: nginx takes it for a name and answers 502"
    )]
    NameInVariable {
        /// The nginx file.
        file: String,
        /// What it routes to.
        address: String,
    },
    /// A switch of the variable would move nothing.
    #[error("{file} sets ${variable}, and no `proxy_pass` of a server that includes it goes there")]
    VariableUnused {
        /// The nginx file.
        file: String,
        /// The variable, without the `$`.
        variable: String,
    },
    /// The site routes to both slots, or only to a part of one.
    #[error("routes to {targets}, which is not one whole slot")]
    PartialSlot {
        /// What it routes to.
        targets: String,
    },
    /// nginx hosts route to different slots.
    #[error("nginx hosts disagree on the live slot: {views}")]
    NginxDisagree {
        /// Host by host.
        views: String,
    },
    /// What nginx runs is not what its file says.
    #[error(
        "nginx runs generation `{running}`, and {file} says `{on_disk}`: somebody edited it, or a reload was refused"
    )]
    RunsOtherGeneration {
        /// The file.
        file: String,
        /// What runs.
        running: String,
        /// What is on the disk.
        on_disk: String,
    },
    /// A process that nonstop did not start listens on the idle port.
    #[error("a foreign process listens on {endpoint}, the idle port: {command}")]
    ForeignProcess {
        /// The port.
        endpoint: Endpoint,
        /// Its command line.
        command: String,
    },
    /// What would be ended and started anew has traffic.
    #[error("nginx routes to {endpoint}, which this run would start anew")]
    TargetIsLive {
        /// The port.
        endpoint: Endpoint,
    },
    /// Nothing listens on a port that nginx routes to.
    #[error("nothing listens on {endpoint}, which nginx routes to")]
    LiveInstanceDown {
        /// The port.
        endpoint: Endpoint,
    },
    /// The live application answers, and is not healthy; it is never deployed over.
    #[error("the live instance {endpoint} is not healthy: {answer}")]
    LiveInstanceUnhealthy {
        /// The port.
        endpoint: Endpoint,
        /// Its answer.
        answer: String,
    },
    /// What listens on a slot's port answers as something else.
    #[error("{endpoint} is slot {slot}, and answers `{answer}` to `identify`{}", other.as_ref().map_or_else(String::new, |other| format!(", as slot {other} does")))]
    AnswersAsOther {
        /// The port.
        endpoint: Endpoint,
        /// Its slot.
        slot: SlotName,
        /// What it answers.
        answer: String,
        /// The slot that answers so.
        other: Option<SlotName>,
    },
    /// A file that the application is told to read is not there.
    #[error("{path}, which slot {slot} reads at its start, is not there or cannot be read")]
    ConfigFileMissing {
        /// The slot.
        slot: SlotName,
        /// The file.
        path: String,
    },
    /// The unit of a slot cannot be started.
    #[error("unit {}, which runs slot {slot}, {}", unit.name, unit.state)]
    UnitUnfit {
        /// The slot.
        slot: SlotName,
        /// What systemd says of it.
        unit: UnitObserved,
    },
    /// After a reboot of the host nothing starts its instances.
    #[error("{runner}")]
    LostAtBoot {
        /// How they were started.
        runner: LostAtBoot,
    },
    /// The kept old slot is still in use.
    #[error("{endpoint} was kept by an earlier run and still has {connections} connections")]
    KeptInstanceInUse {
        /// The port.
        endpoint: Endpoint,
        /// How many.
        connections: u32,
    },
    /// A process listens that could not be told from others without root.
    #[error("the process on {endpoint} belongs to uid {uid} and cannot be looked into")]
    ProcessOpaque {
        /// The port.
        endpoint: Endpoint,
        /// Its owner.
        uid: u32,
    },
    /// Too little disk for the jar.
    #[error("has {free_bytes} bytes free for releases, and the jar needs {needed_bytes}")]
    DiskFull {
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// Too few inodes.
    #[error("has {free} inodes free for releases")]
    InodesFull {
        /// What is free.
        free: u64,
    },
    /// Too little memory for a second instance.
    #[error(
        "has {available_bytes} bytes of memory available; the live instance took up to {peak_bytes}, and {reserve_bytes} are kept in reserve"
    )]
    MemoryTight {
        /// What a new process could get.
        available_bytes: u64,
        /// The live instance's peak.
        peak_bytes: u64,
        /// What the host keeps for itself.
        reserve_bytes: u64,
    },
    /// The kernel killed an instance that had the traffic, while the run had two of them up.
    #[error("the kernel killed {endpoint}, an instance of the live slot {slot}: out of memory; {next}")]
    LiveKilled {
        /// The instance.
        endpoint: Endpoint,
        /// Its slot.
        slot: SlotName,
        /// What becomes of it.
        next: AfterKill,
    },
    /// sshd forwards nothing, and no tool can ask in its place.
    #[error("sshd refuses forwarding, and none of curl, wget, nc and bash is there")]
    NoWayToAsk,
    /// sshd forwards nothing; a tool on the host asks in its place.
    #[error("sshd refuses forwarding; health is asked through a tool on the host, which is slower")]
    ForwardingRefused,
    /// A host's clock is far from the controller's.
    #[error("its clock is {seconds} s away from the controller's")]
    ClockSkew {
        /// How far.
        seconds: i64,
    },
    /// The release that was asked for is not on every WAS host.
    #[error("release {release} is not on this host")]
    ReleaseMissing {
        /// The release.
        release: ReleaseId,
    },
    /// A run takes more routings of more instances than its record may hold: let more hosts change at once.
    #[error("host by host this run has more than {most} instances in all of its routings together")]
    TooManyRoutings {
        /// How many a run may have.
        most: usize,
    },
    /// The live release is of another tool: a drill could not bring it back.
    #[error("nonstop did not bring the live release, so that a drill could not come back to it")]
    LiveReleaseUnknown,
    /// Another release is live than the one that a drill went back to.
    #[error("somebody came in between: the drill left {expected} live, and now it is {}", live.as_ref().map_or("another release", |live| live.as_str()))]
    DrillOvertaken {
        /// Where the drill went back to.
        expected: ReleaseId,
        /// What is live, where it is known.
        live: Option<ReleaseId>,
    },
    /// There is no release to go back to.
    #[error("there is no earlier release to go back to")]
    NothingToGoBackTo {
        /// Releases that were taken back, and that a person may name all the same, newest first.
        taken_back: Vec<ReleaseId>,
    },
    /// Nothing is live, so there is nothing to roll back.
    #[error("nothing is live")]
    NothingLive,
    /// There is nobody to go back to: traffic is left where it is, and both slots are left up.
    #[error("slot {}, where the traffic came from, no longer answers: traffic is left where it is", slot.as_ref().map_or("-", SlotName::as_str))]
    HomeGone {
        /// The slot.
        slot: Option<SlotName>,
    },
    /// A lock could not be given back.
    #[error("the lock could not be given back: {reason}")]
    LockLeft {
        /// Why.
        reason: String,
    },
    /// A part of the run's end did not work; traffic is not touched by it.
    #[error("{reason}")]
    LeftUndone {
        /// What.
        reason: String,
    },
    /// A single slot: what a person should know of it, or what speaks against a run.
    #[error("{what}")]
    Rolling {
        /// What.
        what: Rolling,
    },
    /// Everything that was looked at is well.
    #[error("{what}")]
    Fine {
        /// What.
        what: String,
    },
    /// What is wrong with the jars that a deploy agent has put there.
    #[error(transparent)]
    #[serde(untagged)]
    Jar(JarProblem),
    /// What a switch would take away with a file that is not ours.
    #[error(transparent)]
    #[serde(untagged)]
    Replaced(Replaced),
    /// Who is not told of the run.
    #[error(transparent)]
    #[serde(untagged)]
    Untold(Untold),
}

//! What happens during a run, as data. The engine sends events; reporters turn them into text.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::decision::{Newest, Slots, Way};
use super::endpoint::Endpoint;
use super::failure::{Failure, HealthAnswer};
use super::finding::Finding;
use super::hook::{HookId, HookPlace};
use super::lock::{Epoch, LockState, Owner};
use super::names::{AppName, HostName, ReleaseId, RunId, SlotName};
use super::outcome::{Cause, Exit, Outcome};
use super::phase::Phase;
use super::record::RunRecord;
use super::token::TokenState;

/// An event with its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stamped {
    /// When, by the controller's clock.
    pub at: Timestamp,
    /// How long after the run's start.
    #[serde(rename = "elapsed_seconds", serialize_with = "super::seconds::serialize")]
    pub elapsed: Duration,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A run begins.
    RunStarted {
        /// The run.
        run: RunId,
        /// The application.
        app: AppName,
        /// Who runs what.
        owner: Owner,
        /// The WAS hosts.
        was: BTreeSet<HostName>,
        /// The nginx hosts.
        nginx: BTreeSet<HostName>,
    },
    /// Hosts are left out of the run, because a person says so.
    LeftOut {
        /// Those that run the application: their endpoints leave every routing.
        was: BTreeSet<HostName>,
        /// Those that route to it: the person says that they carry no traffic.
        nginx: BTreeSet<HostName>,
    },
    /// A run that never ended was found, its locks are ours now, and it is decided which way it goes.
    InterruptedFound {
        /// What it meant to do.
        record: Box<RunRecord>,
        /// The newest token of each of its nginx hosts.
        tokens: BTreeMap<HostName, Newest>,
        /// Whether its two slots could carry the traffic.
        slots: Slots,
        /// The way that it goes.
        way: Way,
    },
    /// nginx hosts that disagree are brought to one slot.
    Converging {
        /// The slot.
        to: SlotName,
        /// The hosts that are switched.
        hosts: BTreeSet<HostName>,
    },
    /// The token of a switch was moved on one host, or was found moved by its watch.
    TokenMoved {
        /// The nginx host.
        host: HostName,
        /// What it is now.
        state: TokenState,
        /// Until its watch goes home by itself, where it is armed.
        #[serde(
            rename = "left_seconds",
            serialize_with = "super::seconds::optional::serialize"
        )]
        left: Option<Duration>,
    },
    /// Our leases were over, nobody had taken over, and the locks are ours again.
    LockRetaken {
        /// Under this epoch.
        epoch: Epoch,
    },
    /// The plan stands: this is what the run will do.
    Planned {
        /// The slot that has the traffic; absent on an empty fleet.
        from: Option<SlotName>,
        /// The slot that gets it.
        to: SlotName,
        /// The release that has the traffic, where it is known.
        from_release: Option<ReleaseId>,
        /// The release that gets it.
        release: ReleaseId,
        /// The phases, in order.
        phases: Vec<Phase>,
    },
    /// Somebody else holds the lock, and we wait.
    LockWaiting {
        /// Where.
        host: HostName,
        /// Who holds it.
        lock: LockState,
    },
    /// All of a phase's hosts begin.
    PhaseStarted {
        /// The phase.
        phase: Phase,
        /// Its hosts.
        hosts: BTreeSet<HostName>,
    },
    /// All of a phase's hosts are through, or one failed.
    PhaseEnded {
        /// The phase.
        phase: Phase,
        /// How long it took.
        #[serde(rename = "took_seconds", serialize_with = "super::seconds::serialize")]
        took: Duration,
        /// Whether every host did what it should.
        succeeded: bool,
    },
    /// A host begins its part.
    HostStarted {
        /// The host.
        host: HostName,
        /// The phase.
        phase: Phase,
    },
    /// Bytes of an upload.
    Uploaded {
        /// The host.
        host: HostName,
        /// How many are there.
        sent_bytes: u64,
        /// How many there will be.
        total_bytes: u64,
    },
    /// One health check.
    HealthTried {
        /// The endpoint.
        endpoint: Endpoint,
        /// The host whose view it is.
        seen_from: HostName,
        /// The count of tries so far.
        tries: u32,
        /// What came.
        answer: HealthAnswer,
        /// How long it has been healthy without a break.
        #[serde(rename = "healthy_for_seconds", serialize_with = "super::seconds::serialize")]
        healthy_for: Duration,
    },
    /// A host is through with its part.
    HostDone {
        /// The host.
        host: HostName,
        /// The phase.
        phase: Phase,
        /// How long it took.
        #[serde(rename = "took_seconds", serialize_with = "super::seconds::serialize")]
        took: Duration,
        /// What there is to say about it.
        note: Option<Note>,
    },
    /// A host's part failed.
    HostFailed {
        /// The host.
        host: HostName,
        /// The phase.
        phase: Phase,
        /// Why.
        failure: Failure,
    },
    /// The run ends here until a person lets it go on.
    Waits {
        /// What is on record of it.
        record: Box<RunRecord>,
        /// Up to which of its routings it came; 0 is the one before the run.
        reached: u32,
        /// What its new slot gets of the requests meanwhile, of a hundred.
        percent: u32,
        /// What it waits for.
        until: Until,
    },
    /// Something that a person should know, and the run goes on.
    Warned {
        /// What.
        finding: Finding,
    },
    /// The run is refused before any change.
    Refused {
        /// All reasons, of all hosts.
        findings: Vec<Finding>,
    },
    /// A signal came, or the time is up.
    Interrupted {
        /// Which of them.
        cause: Cause,
        /// Whether the run goes back (before the point of no return) or forward (after it).
        unwinds: bool,
    },
    /// The run ends.
    RunEnded {
        /// In what state the fleet is.
        outcome: Outcome,
        /// The exit code.
        exit: Exit,
        /// The release that has the traffic now, where it is known.
        live: Option<ReleaseId>,
        /// The slot that has the traffic now, where it is known.
        live_slot: Option<SlotName>,
        /// How long it took in all.
        #[serde(rename = "took_seconds", serialize_with = "super::seconds::serialize")]
        took: Duration,
        /// From the first rename to the last proof, where nginx was switched.
        #[serde(
            rename = "switch_took_seconds",
            serialize_with = "super::seconds::optional::serialize"
        )]
        switch_took: Option<Duration>,
    },
}

/// What there is to say about a host's part that went well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// The jar was there already.
    AlreadyThere,
    /// A process was started.
    Started {
        /// Its pid.
        pid: u32,
        /// Its port.
        endpoint: Endpoint,
    },
    /// A process was ended.
    Stopped {
        /// Its port.
        endpoint: Endpoint,
        /// Whether KILL was needed.
        killed: bool,
    },
    /// An old process was kept, for connections were left at the deadline.
    Kept {
        /// Its port.
        endpoint: Endpoint,
        /// How many connections were left.
        connections: u32,
    },
    /// The host ends its old instance by itself, later.
    EndsLater {
        /// Its port.
        endpoint: Endpoint,
        /// How much later.
        left: Duration,
    },
    /// The old slot stays up as the playbook says.
    StaysUp {
        /// Its port.
        endpoint: Endpoint,
    },
    /// nginx runs the new routing, and this shows it.
    Proven {
        /// Which proof was used.
        proof: ProofUsed,
    },
    /// Old releases were removed.
    Pruned {
        /// How many.
        count: u32,
    },
    /// A hook ended well.
    HookDone {
        /// Which.
        hook: HookId,
        /// Where it ran.
        on: HookPlace,
        /// The end of what it printed.
        output: String,
    },
    /// A hook had ended well before, and did not run again.
    HookWasDone {
        /// Which.
        hook: HookId,
    },
    /// A hook that ran was told to end.
    HookEnded {
        /// Which.
        hook: HookId,
    },
}

/// What a run waits for that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Somebody promotes it, or takes it back.
    Promoted,
    /// The hour comes at which the hosts stop its old slot.
    Hour,
}

/// What showed that a switch took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofUsed {
    /// Fresh workers, and the generation endpoint through the listener.
    Generation,
    /// Fresh workers, and the playbook's own request through the listener.
    Request,
    /// Fresh workers, and a connection that arrived at a new endpoint.
    Arrival,
    /// Fresh workers alone, for home has nothing to ask.
    Workers,
}

//! What hosts answer: one type for each command, read by `parse` from `key=value` lines.

use std::fmt;
use std::time::Duration;

use crate::model::lock::LockState;
use crate::model::names::{ReleaseId, RemotePath, UnitName};
use crate::model::observed::HostObserved;
use crate::model::process::{ListeningProcess, ProcessIdentity};
use crate::model::release::Offer;
use crate::model::timer::TimerState;
use crate::model::token::TokenState;

/// The answer to a [`super::command::Command`], of the variant of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What is true on the host.
    Observe(Box<HostObserved>),
    /// How taking the lock ended.
    Lock(LockAnswer),
    /// The lock was given back.
    Unlock(Fenced<()>),
    /// The lease's term began anew.
    Renew(Fenced<()>),
    /// How breaking the lock ended.
    BreakLock(LockAnswer),
    /// The record was written.
    Record(Fenced<()>),
    /// The digest; `None` where the jar is not there.
    Digest(Option<String>),
    /// How receiving ended.
    Put(Fenced<PutAnswer>),
    /// The newest jar.
    FindJar(Offer),
    /// How copying ended.
    Take(Fenced<PutAnswer>),
    /// The remains are gone.
    DiscardUpload(Fenced<()>),
    /// How starting ended.
    Start(Fenced<StartAnswer>),
    /// How stopping ended.
    Stop(Fenced<StopAnswer>),
    /// What became of a hook.
    Hook(Fenced<HookAnswer>),
    /// The timer is set: until its hour, by the host's own clock.
    SetTimer(Fenced<Duration>),
    /// What became of the run's timer; `None` where there is none.
    CancelTimer(Fenced<Option<TimerState>>),
    /// The mark is set.
    MarkRelease(Fenced<()>),
    /// How the test of the candidate ended.
    Prepare(Fenced<PrepareAnswer>),
    /// How the switch ended.
    Commit(Fenced<SwitchAnswer>),
    /// How arming ended.
    Arm(Fenced<ArmAnswer>),
    /// What the token is now.
    Confirm(Fenced<ConfirmAnswer>),
    /// How the way back ended.
    Revert(Fenced<SwitchAnswer>),
    /// The remains are gone.
    CleanNginx(Fenced<()>),
    /// Pids of workers that are still leaving at the deadline; none if all are gone.
    AwaitWorkers(Vec<u32>),
    /// How many connections are left at the deadline.
    AwaitConnections(u32),
    /// The releases that were removed.
    Prune(Fenced<Vec<ReleaseId>>),
    /// The log's end.
    LogTail(Option<LogEnd>),
    /// The audit trail's end, one JSON object a line as the host has them; empty where there is none.
    Audit(String),
    /// It is written down.
    NoteDrill,
    /// What the endpoint said.
    Fetch(FetchAnswer),
    /// Peers as `address:port`.
    Peers(Vec<String>),
    /// Every root command with whether sudo would run it.
    SudoCheck(Vec<SudoEntry>),
}

/// The answer of a command that passes the fence first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fenced<T> {
    /// The fence let it pass.
    Passed(T),
    /// The fence did not: nothing was changed. This is the lock that is there.
    Refused(LockState),
}

/// How taking or breaking a lock ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockAnswer {
    /// It is ours.
    Taken,
    /// Somebody holds it, or the epoch moved.
    Held(LockState),
}

/// How receiving a jar ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutAnswer {
    /// It is in place, with the right digest.
    Stored,
    /// The bytes that came are not those that were announced.
    Mismatch {
        /// How many bytes came.
        size_bytes: u64,
        /// Their digest.
        sha256: String,
    },
    /// The disk is full, or writing failed; the partial file was removed.
    WriteFailed {
        /// What the system said.
        reason: String,
    },
}

/// How starting an instance ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAnswer {
    /// The process listens.
    Listening {
        /// Who it is.
        identity: ProcessIdentity,
        /// Its log; `None` where that is systemd's journal.
        log: Option<RemotePath>,
    },
    /// It ended, or the user's script failed or started nothing.
    Exited {
        /// What is known of why: an exit status, or what the script said.
        reason: String,
        /// The end of its log.
        tail: String,
    },
    /// The kernel killed it for want of memory.
    OutOfMemory {
        /// What a new process could get when it was started.
        available_bytes: u64,
        /// How many processes the kernel killed since then.
        kills: u64,
        /// The end of its log.
        tail: String,
    },
    /// It runs and does not listen at the deadline.
    NotListening {
        /// Who it is.
        identity: ProcessIdentity,
        /// The end of its log.
        tail: String,
    },
    /// Somebody else listens on the port.
    PortTaken {
        /// Who.
        by: ListeningProcess,
        /// The end of the log.
        tail: String,
    },
}

/// How stopping ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopAnswer {
    /// It ended after TERM.
    Terminated,
    /// It ended after KILL.
    Killed,
    /// It was gone before.
    AlreadyGone,
    /// It is still there after KILL, or may not be signalled.
    StillRuns {
        /// What the system said.
        reason: String,
    },
    /// The successor is not alive and listening: no signal was sent.
    SuccessorMissing {
        /// What was found in its place.
        reason: String,
    },
}

/// What became of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookAnswer {
    /// It ran and ended well.
    Done {
        /// The end of what it printed.
        output: String,
    },
    /// It ran and did not.
    Failed {
        /// How it ended.
        reason: String,
        /// The end of what it printed.
        output: String,
    },
    /// It had ended well before: nothing was run.
    WasDone,
    /// It had failed before: nothing was run.
    HadFailed {
        /// How it ended then.
        reason: String,
    },
    /// It began before, and nobody knows how it ended: nothing was run.
    Unknown,
    /// It began before and still runs: nothing was run.
    Running,
    /// What was to be noted is, or what was to end has ended.
    Noted,
}

/// How the test of a candidate ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrepareAnswer {
    /// nginx accepts it.
    Accepted {
        /// What nginx warned of.
        warnings: String,
    },
    /// nginx does not; candidate and shadow were removed.
    Refused {
        /// What nginx said.
        output: String,
    },
    /// What is at the entry is not what was observed.
    Drifted,
}

/// How arming a token ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArmAnswer {
    /// The watch runs.
    Armed {
        /// Until its deadline, by the host's own clock.
        left: Duration,
    },
    /// No home of that run is saved: there is nothing to go back to.
    NoHome,
}

/// How confirming a token ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmAnswer {
    /// It is confirmed, now or since an earlier try.
    Confirmed,
    /// Somebody else moved it before; `None` where there is no such token.
    Lost(Option<TokenState>),
}

/// How a switch, or the way back, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchAnswer {
    /// Fresh workers serve and no old one takes connections.
    Proven {
        /// The workers that serve now.
        serving: Vec<u32>,
        /// Old workers that finish their requests.
        leaving: Vec<u32>,
        /// Until the watch's deadline, by the host's own clock, after a commit; `None` after a way back.
        watch_left: Option<Duration>,
    },
    /// What is at the entry is not what was observed: nothing was changed.
    Drifted,
    /// Another nginx master runs than the one that was observed: nothing was changed. Look again.
    Restarted,
    /// The file is in place, and it is not proven that nginx runs it.
    Unproven {
        /// Why, such as the reload's own words or `[emerg]` lines.
        reason: String,
    },
    /// Nothing was saved for that run: nothing was changed.
    NoHome,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// Where it is.
    pub place: LogPlace,
    /// Its last lines.
    pub text: String,
}

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlace {
    /// In a file.
    File(RemotePath),
    /// In systemd's journal, under a unit.
    Journal(UnitName),
}

impl fmt::Display for LogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Journal(unit) => write!(f, "journal of {unit}"),
        }
    }
}

/// What an endpoint said through a tool on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAnswer {
    /// It answered.
    Response {
        /// The HTTP status.
        status: u16,
        /// At most 64 KiB of the body.
        body: Vec<u8>,
    },
    /// It did not.
    Failed {
        /// The tool's words.
        reason: String,
    },
    /// The host has none of curl, wget, nc and bash.
    NoTool,
}

/// One root command and whether sudo would run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SudoEntry {
    /// The command as it would be called.
    pub command: String,
    /// Whether it is allowed without a password (always true where root is not needed).
    pub allowed: bool,
}

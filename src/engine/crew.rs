//! The hosts of a run, connected: sends commands with their deadlines and fences, and reads typed
//! answers. Everything that the engine does on a host goes through here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::model::failure::Failure;
use crate::model::lock::{Epoch, Fence};
use crate::model::names::{HostName, RunId};
use crate::remote::answer::{Answer, Fenced};
use crate::remote::command::{Command, Put};

use super::fleet::{CallError, Host, HttpError, HttpRequest, HttpResponse};

/// How long a command may take that does not wait for anything by itself.
pub const SHORT: Duration = Duration::from_secs(30);
/// What the way there and back may add to a command that waits on its host.
pub const MARGIN: Duration = Duration::from_secs(10);
/// How long a host may take to read a jar of its own from end to end, or to copy it.
pub const READS_A_JAR: Duration = Duration::from_secs(300);
/// How long an upload may stand still.
const STALL: Duration = Duration::from_secs(30);

/// The connected hosts.
#[derive(Debug)]
pub struct Crew<H> {
    members: BTreeMap<HostName, Member<H>>,
    run: RunId,
    epoch: Cell<Epoch>,
    lease: Cell<Lease>,
}

/// Whether there are locks to hold on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// None was taken yet, or all were given back.
    None,
    /// Locks are being taken, or are held.
    Held,
}

#[derive(Debug)]
struct Member<H> {
    host: H,
    sequence: Cell<u64>,
}

impl<H: Host> Crew<H> {
    /// The hosts of one run, none of them locked yet.
    pub fn new(run: RunId, hosts: BTreeMap<HostName, H>) -> Self {
        let member = |(name, host)| {
            (
                name,
                Member {
                    host,
                    sequence: Cell::new(0),
                },
            )
        };
        Self {
            members: hosts.into_iter().map(member).collect(),
            run,
            epoch: Cell::new(Epoch(0)),
            lease: Cell::new(Lease::None),
        }
    }

    /// The run.
    pub fn run_id(&self) -> &RunId {
        &self.run
    }

    /// All hosts, in order.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.members.keys()
    }

    /// Under which epoch the locks are held.
    pub fn epoch(&self) -> Epoch {
        self.epoch.get()
    }

    /// Says under which epoch the locks are held from now on.
    pub fn enter_epoch(&self, epoch: Epoch) {
        self.epoch.set(epoch);
        self.lease.set(Lease::Held);
    }

    /// Says that no lock is held any more.
    pub fn leave_epoch(&self) {
        self.lease.set(Lease::None);
    }

    /// Whether there are locks to hold on to.
    pub fn lease(&self) -> Lease {
        self.lease.get()
    }

    /// A fence that this host has not seen yet. A retry takes a new one.
    pub fn fence(&self, host: &HostName) -> Fence {
        let sequence = self.members.get(host).map_or(0, |member| {
            member.sequence.set(member.sequence.get() + 1);
            member.sequence.get()
        });
        Fence {
            epoch: self.epoch.get(),
            run: self.run.clone(),
            sequence,
        }
    }

    /// Runs a command that does not wait by itself.
    pub async fn call(&self, host: &HostName, command: Command) -> Result<Answer, CallError> {
        self.call_within(host, command, SHORT).await
    }

    /// Runs a command with a deadline.
    pub async fn call_within(
        &self,
        host: &HostName,
        command: Command,
        deadline: Duration,
    ) -> Result<Answer, CallError> {
        self.member(host)?.run(&command, deadline).await
    }

    /// Sends a jar.
    pub async fn put(
        &self,
        host: &HostName,
        put: Put,
        source: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        self.member(host)?.put(&put, source, STALL, progress).await
    }

    /// Asks an HTTP endpoint as seen from a host.
    pub async fn http(&self, host: &HostName, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.member(host) {
            Ok(member) => member.http(request).await,
            Err(error) => Err(HttpError::Failed {
                reason: error.to_string(),
            }),
        }
    }

    /// Closes what is kept alive to an address.
    pub async fn forget_http(&self, host: &HostName, address: &str, port: u16) {
        if let Ok(member) = self.member(host) {
            member.forget_http(address, port).await;
        }
    }

    fn member(&self, host: &HostName) -> Result<&H, CallError> {
        let missing = || CallError::NotSent {
            reason: format!("{host} is not connected"),
        };
        self.members
            .get(host)
            .map(|member| &member.host)
            .ok_or_else(missing)
    }
}

/// What passed the fence, or the failure that somebody else holds the host now.
pub fn passed<T>(fenced: Fenced<T>) -> Result<T, Failure> {
    match fenced {
        Fenced::Passed(answer) => Ok(answer),
        Fenced::Refused(lock) => Err(Failure::Fenced { lock }),
    }
}

/// The answer to another question than the one that was asked: a bug, or a host that lies.
pub fn unexpected(answer: &Answer) -> CallError {
    let kind = format!("{answer:?}")
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect::<String>();
    CallError::Script {
        reason: format!("the host answered another question: {kind}"),
    }
}

/// Takes the answer of the command's own kind, or fails.
macro_rules! answer {
    ($answer:expr, $kind:ident) => {
        match $answer {
            crate::remote::answer::Answer::$kind(answer) => Ok(answer),
            other => Err($crate::engine::crew::unexpected(&other)),
        }
    };
}
pub(super) use answer;

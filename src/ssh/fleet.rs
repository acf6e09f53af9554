//! The engine's fleet over SSH: turns typed commands into scripts, sends them, and reads answers.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::engine::fleet::{
    CallError, ConnectFailure, Controller, Fleet, Host, HttpError, HttpRequest, HttpResponse,
};
use crate::http;
use crate::local::ThisMachine;
use crate::model::inventory::Inventory;
use crate::model::names::{HostName, Port};
use crate::model::obstacle::{KeyFault, Obstacle};
use crate::model::topology::Topology;
use crate::remote::answer::{Answer, FetchAnswer};
use crate::remote::command::{Command, Fetch, Place, Put};
use crate::remote::parse::{self, RawOutput};
use crate::remote::render::{self, Stdin};

use super::connector::Connector;
use super::exec::{ExecError, ExecOutput, ExecRequest, Exit};
use super::session::Session;
use super::upload::UploadRequest;
use super::{ConnectCause, ConnectError, HostKeyError, KeyError, LoginError};

/// What an answer may take: an nginx dump of 1 MiB in base64, and the rest.
const ANSWER_BYTES: usize = 4 << 20;
/// An upload may take this long in all, so that one that creeps ends some day.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// Reaches the hosts of an inventory.
#[derive(Debug)]
pub struct SshFleet<'a> {
    way: Rc<Way>,
    topology: &'a Topology,
}

/// The way to the hosts, kept by each of them for when its connection is lost.
#[derive(Debug)]
struct Way {
    connector: Connector,
    inventory: Inventory,
}

impl Way {
    async fn reach(&self, host: &HostName) -> Result<Session, ConnectFailure> {
        let session = self.connector.connect(host, &self.inventory).await;
        // Hosts that share an address share its failure, but not its name.
        session.map_err(|error| {
            failure(&ConnectError {
                host: host.to_string(),
                ..error
            })
        })
    }
}

impl<'a> SshFleet<'a> {
    /// Reaches the hosts of `topology` as `inventory` says.
    pub fn new(connector: Connector, inventory: &Inventory, topology: &'a Topology) -> Self {
        Self {
            way: Rc::new(Way {
                connector,
                inventory: inventory.clone(),
            }),
            topology,
        }
    }
}

impl Fleet for SshFleet<'_> {
    type Host = SshHost;

    async fn connect(&self, host: &HostName) -> Result<SshHost, ConnectFailure> {
        let session = self.way.reach(host).await?;
        Ok(SshHost {
            way: Rc::clone(&self.way),
            name: host.clone(),
            session: RefCell::new(session),
            place: Place::on(self.topology, host),
            forwards: Cell::new(true),
        })
    }

    fn controller(&self) -> &dyn Controller {
        &ThisMachine
    }
}

fn failure(error: &ConnectError) -> ConnectFailure {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !reason.contains(&text) {
            reason = format!("{reason}: {text}");
        }
        source = cause.source();
    }
    ConnectFailure {
        reason,
        obstacle: obstacle(&error.cause),
    }
}

fn obstacle(cause: &ConnectCause) -> Obstacle {
    match cause {
        ConnectCause::HostKey(HostKeyError::Unknown { .. }) => Obstacle::HostKeyUnknown,
        ConnectCause::HostKey(_) => Obstacle::HostKeyRefused,
        ConnectCause::Login(LoginError::Key(error)) => key_file(error),
        // What is in the way to the bastion is in the way to the host.
        ConnectCause::Bastion(error) => obstacle(&error.cause),
        _ => Obstacle::Other,
    }
}

fn key_file(error: &KeyError) -> Obstacle {
    let (file, fault) = match error {
        KeyError::Missing(file) => (file, KeyFault::Missing),
        KeyError::Unreadable { file, .. } => (file, KeyFault::Unreadable),
        KeyError::TooOpen { file, .. } => (file, KeyFault::TooOpen),
        KeyError::Locked(file) | KeyError::WrongPassphrase(file) => (file, KeyFault::Locked),
        KeyError::Format { file, .. } => (file, KeyFault::Format),
    };
    Obstacle::KeyFile {
        file: file.display().to_string(),
        fault,
    }
}

/// A host that was reached.
#[derive(Debug)]
pub struct SshHost {
    way: Rc<Way>,
    name: HostName,
    session: RefCell<Session>,
    place: Place,
    /// Whether sshd forwards; once it refused, tools on the host ask in its place.
    forwards: Cell<bool>,
}

impl Host for SshHost {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        let invocation = render::invocation(&self.place, command);
        let Stdin::Script(stdin) = invocation.stdin else {
            return Err(CallError::NotSent {
                reason: "a jar is sent by `put`".to_owned(),
            });
        };
        tracing::debug!(host = %self.name, command = render::name(command), "run");
        let request = ExecRequest {
            command: invocation.command_line,
            stdin: stdin.into(),
            deadline,
            limit_bytes: ANSWER_BYTES,
        };
        let output = self.session().await?.exec(request).await;
        tracing::debug!(
            host = %self.name,
            command = render::name(command),
            ?output,
            "ran"
        );
        answer(command, output)
    }

    async fn put(
        &self,
        put: &Put,
        source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        let command = Command::Put(put.clone());
        let request = UploadRequest {
            command: render::invocation(&self.place, &command).command_line,
            source: source.to_owned(),
            size_bytes: put.size_bytes,
            stall,
            deadline: UPLOAD_DEADLINE,
            limit_bytes: ANSWER_BYTES,
        };
        answer(&command, self.session().await?.upload(request, progress).await)
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        if !self.forwards.get() {
            return self.fetch(request).await;
        }
        let session = self.session().await.map_err(|error| HttpError::Failed {
            reason: error.to_string(),
        })?;
        match session.http(&request.into()).await {
            Err(http::HttpError::ForwardingRefused { .. }) => {
                self.forwards.set(false);
                self.fetch(request).await
            }
            answer => Ok(answer?.into()),
        }
    }

    async fn forget_http(&self, address: &str, port: u16) {
        self.session.borrow().close_http(address, port);
    }
}

impl SshHost {
    /// The connection, made anew where it was lost: the way home and the locks need their hosts. What
    /// was under way on the old one stays unknown, and the fence keeps it from coming late.
    async fn session(&self) -> Result<Session, CallError> {
        let session = self.session.borrow().clone();
        if !session.is_lost() {
            return Ok(session);
        }
        tracing::info!(host = %self.name, loss = session.loss(), "the connection was lost, and is made anew");
        // Boxed: this is rare, and its future would be a part of every call's.
        let session = Box::pin(self.way.reach(&self.name))
            .await
            .map_err(|error| CallError::NotSent { reason: error.reason })?;
        self.session.replace(session.clone());
        Ok(session)
    }

    /// Asks with a tool on the host.
    async fn fetch(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let failed = |reason: String| HttpError::Failed { reason };
        if request.tls {
            return Err(failed(
                "sshd forwards nothing, and no other way speaks TLS".to_owned(),
            ));
        }
        let command = Command::Fetch(Fetch {
            address: request.address.clone(),
            port: Port::new(request.port).map_err(|error| failed(error.to_string()))?,
            path: request.path.clone(),
            host_header: request.host_header.clone(),
            timeout: request.timeout,
        });
        match self.run(&command, request.timeout + Duration::from_secs(5)).await {
            Ok(Answer::Fetch(FetchAnswer::Response { status, body })) => Ok(HttpResponse { status, body }),
            Ok(Answer::Fetch(FetchAnswer::Failed { reason })) if reason.contains("refused") => {
                Err(HttpError::Refused)
            }
            Ok(Answer::Fetch(FetchAnswer::Failed { reason })) => Err(failed(reason)),
            Ok(Answer::Fetch(FetchAnswer::NoTool)) => Err(HttpError::NoWay),
            Ok(_) => Err(failed("the host answered another question".to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn answer(command: &Command, output: Result<ExecOutput, ExecError>) -> Result<Answer, CallError> {
    let output = output.map_err(|error| match &error {
        ExecError::NotSent(reason) => CallError::NotSent {
            reason: reason.to_string(),
        },
        _ => CallError::OutcomeUnknown {
            reason: error.to_string(),
        },
    })?;
    let raw = RawOutput {
        exit: match &output.status {
            Exit::Code(code) => parse::Exit::Status(*code),
            Exit::Signal(name) => parse::Exit::Signal(name.clone()),
        },
        stdout: output.stdout.bytes,
        stderr: output.stderr.bytes,
    };
    Ok(parse::parse(command, &raw)?)
}

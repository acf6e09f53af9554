//! The engine's host that is this machine.

use std::fs::File;
use std::io::Seek as _;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::engine::fleet::{CallError, Host, HttpError, HttpRequest, HttpResponse};
use crate::http::{self, Client, Opens};
use crate::model::names::HostName;
use crate::model::topology::Topology;
use crate::remote::answer::Answer;
use crate::remote::command::{Command, Place, Put};
use crate::remote::parse::{self, RawOutput};
use crate::remote::render::{self, Stdin};

use super::child::{self, Input, Surroundings};

/// A copy may take this long in all, so that one that creeps ends some day.
const COPY_DEADLINE: Duration = Duration::from_secs(4 * 3600);
/// How often a copy is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// This machine as a host.
#[derive(Debug)]
pub struct LocalHost {
    name: HostName,
    place: Place,
    http: Client,
}

impl LocalHost {
    /// This machine under its name in the topology.
    pub fn new(topology: &Topology, name: &HostName) -> Self {
        Self {
            name: name.clone(),
            place: Place::on(topology, name),
            http: Client::default(),
        }
    }
}

impl Host for LocalHost {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        let invocation = render::invocation(&self.place, command);
        let Stdin::Script(script) = invocation.stdin else {
            return Err(CallError::NotSent {
                reason: "a jar is sent by `put`".to_owned(),
            });
        };
        tracing::debug!(host = %self.name, command = render::name(command), "run");
        let output = child::run(
            &invocation.command_line,
            Input::Text(script),
            Surroundings::of_a_login(),
            deadline,
        )
        .await;
        tracing::debug!(host = %self.name, command = render::name(command), ?output, "ran");
        answer(command, &output?)
    }

    async fn put(
        &self,
        put: &Put,
        source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        let command = Command::Put(put.clone());
        let line = render::invocation(&self.place, &command).command_line;
        let (file, mut watched) = open(source, put.size_bytes)?;
        let copying = child::run(
            &line,
            Input::File(file),
            Surroundings::of_a_login(),
            COPY_DEADLINE,
        );
        tokio::pin!(copying);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut copied_bytes, mut moved) = (0, Instant::now());
        let output = loop {
            tokio::select! {
                biased;
                output = &mut copying => break output?,
                _ = look.tick() => {}
            }
            // The script reads the very file that is open here, so that the place in it is shared.
            let now_bytes = watched.stream_position().unwrap_or(copied_bytes);
            if now_bytes != copied_bytes {
                (copied_bytes, moved) = (now_bytes, Instant::now());
                progress(copied_bytes);
            }
            if copied_bytes < put.size_bytes && moved.elapsed() > stall {
                let after = humantime::format_duration(stall);
                let reason = format!("the copy stood still for {after} after {copied_bytes} bytes");
                return Err(CallError::OutcomeUnknown { reason });
            }
        };
        progress(put.size_bytes);
        answer(&command, &output)
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Ok(self.http.send(&Direct, &request.into()).await?.into())
    }

    async fn forget_http(&self, address: &str, port: u16) {
        self.http.forget(address, port);
    }
}

/// The file twice, with one place in it.
fn open(source: &Path, size_bytes: u64) -> Result<(File, File), CallError> {
    let opened = File::open(source).and_then(|file| Ok((file.metadata()?.len(), file.try_clone()?, file)));
    let not_sent = |reason: String| CallError::NotSent {
        reason: format!("{} cannot be copied: {reason}", source.display()),
    };
    match opened {
        Ok((length, file, same)) if length == size_bytes => Ok((file, same)),
        Ok((length, ..)) => Err(not_sent(format!(
            "it has {length} bytes and should have {size_bytes}"
        ))),
        Err(error) => Err(not_sent(error.to_string())),
    }
}

fn answer(command: &Command, output: &RawOutput) -> Result<Answer, CallError> {
    Ok(parse::parse(command, output)?)
}

/// Connections from here, without a tunnel.
struct Direct;

impl Opens for Direct {
    type Stream = TcpStream;

    async fn open(&self, host: &str, port: u16) -> Result<TcpStream, http::HttpError> {
        TcpStream::connect((host, port))
            .await
            .map_err(|error| http::HttpError::Refused {
                target: format!("{host} port {port}"),
                detail: error.to_string(),
            })
    }
}

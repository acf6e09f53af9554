//! One command on one host: standard input in, bounded output out, an exit status or the plain word
//! that the outcome is unknown. Never a terminal.

use std::time::Duration;

use bytes::Bytes;
use russh::ChannelMsg;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::backoff::Backoff;
use super::output::{Captured, Collector, Lines};
use super::session::{ExecChannel, Session};

/// After the exit status, how long to wait for the end of the output. A child in the background may
/// hold it open for ever.
const GRACE: Duration = Duration::from_millis(300);

/// How often the grace may begin anew because output still comes.
const GRACES: u32 = 20;

/// A command to run.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// The command line for the login shell of the user.
    pub command: String,
    /// What the command reads.
    pub stdin: Bytes,
    /// How long everything may take, the wait for a free channel included.
    pub deadline: Duration,
    /// How many bytes of each output stream are kept.
    pub limit_bytes: usize,
}

impl ExecRequest {
    /// A command without input, with a minute of time and 256 KiB for each output stream.
    pub fn new(command: impl Into<String>) -> Self {
        let (command, stdin) = (command.into(), Bytes::new());
        Self {
            command,
            stdin,
            deadline: Duration::from_secs(60),
            limit_bytes: 256 * 1024,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(u32),
    /// By this signal, such as `KILL`.
    Signal(String),
}

impl Exit {
    /// Whether the status is 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

/// A command that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// How it ended.
    pub status: Exit,
    /// What it printed.
    pub stdout: Captured,
    /// What it complained of.
    pub stderr: Captured,
}

/// A command of which no exit status is known.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command certainly did not run.
    #[error("the command was not sent: {0}")]
    NotSent(NotSent),
    /// The command was sent and did not end in time; it may still run.
    #[error("the command gave no answer within {} s", after.as_secs_f32())]
    Deadline {
        /// The time it had.
        after: Duration,
        /// What it printed until then.
        stdout: Captured,
        /// What it complained of until then.
        stderr: Captured,
    },
    /// The connection was lost after the command was sent: it may have run, run in part, still run,
    /// or never have begun.
    #[error("the outcome is unknown: {reason}")]
    OutcomeUnknown {
        /// What became of the connection.
        reason: String,
        /// What it printed until then.
        stdout: Captured,
        /// What it complained of until then.
        stderr: Captured,
    },
    /// An upload stood still; the command on the other side may still run.
    #[error("the upload stood still for {} s after {sent_bytes} bytes", after.as_secs_f32())]
    Stalled {
        /// How much the server had taken.
        sent_bytes: u64,
        /// How long nothing moved.
        after: Duration,
    },
    /// The file to upload could not be read to its end; the command saw its input end early.
    #[error("the file to upload cannot be read to its end")]
    Source(#[source] std::io::Error),
}

impl ExecError {
    /// Whether the command may have had an effect.
    pub fn may_have_run(&self) -> bool {
        !matches!(self, Self::NotSent(_))
    }
}

/// Why a command was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The connection was gone before.
    #[error("the connection is lost ({0})")]
    ConnectionLost(String),
    /// No channel became free, or none was granted, within the deadline.
    #[error("no channel within {} s", .0.as_secs_f32())]
    NoChannel(Duration),
    /// The file to upload cannot be read, or is not as long as was said.
    #[error("the file to upload cannot be read: {0}")]
    Source(String),
    /// The server refuses to run commands for this user.
    #[error("the server refuses to run commands")]
    Refused,
}

impl Session {
    /// Runs a command. Dropping the future closes the channel and leaves the command to itself.
    pub async fn exec(&self, request: ExecRequest) -> Result<ExecOutput, ExecError> {
        self.exec_lines(request, |_| {}).await
    }

    /// Runs a command and hands on each line of its standard output as it comes.
    pub async fn exec_lines(
        &self,
        request: ExecRequest,
        mut each_line: impl FnMut(&str),
    ) -> Result<ExecOutput, ExecError> {
        let deadline = Deadline::after(request.deadline);
        let mut channel = self.channel(deadline).await?;
        let write = std::sync::Arc::clone(&channel.write);
        let feed = async move {
            // A command that has ended needs no input any more: an error here is no failure.
            if write.data_bytes(request.stdin).await.is_ok() {
                let _ = write.eof().await;
            }
            Ok(())
        };
        let run = Run {
            session: self,
            deadline,
            limit_bytes: request.limit_bytes,
        };
        run.command(&mut channel, request.command, feed, &mut each_line)
            .await
    }

    /// A channel for one command; where the server refuses it, in turn after those that are open.
    pub(super) async fn channel(&self, deadline: Deadline) -> Result<ExecChannel, ExecError> {
        let opening = async {
            let mut backoff = Backoff::new();
            loop {
                if self.is_lost() {
                    return Err(NotSent::ConnectionLost(self.loss()));
                }
                match self.open_exec(self.channels().turn().await).await {
                    Ok(channel) => return Ok(channel),
                    Err((turn, russh::Error::ChannelOpenFailure(reason))) => {
                        let others = self.channels().refused(turn);
                        let allowed = self.channels().allowed();
                        tracing::debug!(
                            host = self.name(),
                            allowed,
                            ?reason,
                            "the server refused a channel"
                        );
                        if !others {
                            sleep(backoff.pause()).await;
                        }
                    }
                    Err(_) => return Err(NotSent::ConnectionLost(self.loss())),
                }
            }
        };
        let opened = timeout_at(deadline.at, opening).await;
        opened
            .unwrap_or(Err(NotSent::NoChannel(deadline.after)))
            .map_err(ExecError::NotSent)
    }
}

/// A point in time, and the span it came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    pub(super) after: Duration,
}

impl Deadline {
    pub(super) fn after(after: Duration) -> Self {
        Self {
            at: Instant::now() + after,
            after,
        }
    }
}

/// The terms of one command.
pub(super) struct Run<'a> {
    pub(super) session: &'a Session,
    pub(super) deadline: Deadline,
    pub(super) limit_bytes: usize,
}

/// What is known of a command so far.
struct Progress {
    stdout: Collector,
    stderr: Collector,
    lines: Lines,
    status: Option<Exit>,
    /// The answer to the request to run it.
    refused: bool,
    /// Nothing more is to be waited for.
    ended: bool,
    /// No more output will come.
    eof: bool,
}

impl Run<'_> {
    /// Sends the command, feeds it, and drains it until it has ended.
    pub(super) async fn command(
        &self,
        channel: &mut ExecChannel,
        command: String,
        feed: impl Future<Output = Result<(), ExecError>>,
        each_line: &mut dyn FnMut(&str),
    ) -> Result<ExecOutput, ExecError> {
        if self.session.is_lost() || channel.write.exec(true, command).await.is_err() {
            return Err(ExecError::NotSent(NotSent::ConnectionLost(self.session.loss())));
        }
        let mut progress = Progress {
            stdout: Collector::new(self.limit_bytes),
            stderr: Collector::new(self.limit_bytes),
            lines: Lines::default(),
            status: None,
            refused: false,
            ended: false,
            eof: false,
        };
        tokio::pin!(feed);
        let mut all_sent = false;
        let grace = sleep_until(self.deadline.at);
        tokio::pin!(grace);
        let mut graces = 0;
        let in_time = loop {
            if progress.ended {
                break true;
            }
            tokio::select! {
                biased;
                message = channel.read.wait() => {
                    channel.closed |= matches!(message, None | Some(ChannelMsg::Close));
                    progress.take(message, each_line);
                    if progress.status.is_some() && graces < GRACES {
                        graces += 1;
                        grace.as_mut().reset(Instant::now() + GRACE);
                    }
                }
                result = &mut feed, if !all_sent && progress.status.is_none() => {
                    result?;
                    all_sent = true;
                }
                () = &mut grace => break progress.status.is_some(),
            }
        };
        progress.lines.flush(each_line);
        self.finish(progress, in_time)
    }

    fn finish(&self, progress: Progress, in_time: bool) -> Result<ExecOutput, ExecError> {
        let (stdout, stderr) = (progress.stdout.finish(), progress.stderr.finish());
        match progress.status {
            Some(status) => Ok(ExecOutput {
                status,
                stdout,
                stderr,
            }),
            None if progress.refused => Err(ExecError::NotSent(NotSent::Refused)),
            None if !in_time => Err(ExecError::Deadline {
                after: self.deadline.after,
                stdout,
                stderr,
            }),
            None => {
                let reason = if self.session.is_lost() {
                    self.session.loss()
                } else {
                    "the server closed the channel without an exit status".to_owned()
                };
                Err(ExecError::OutcomeUnknown {
                    reason,
                    stdout,
                    stderr,
                })
            }
        }
    }
}

impl Progress {
    fn take(&mut self, message: Option<ChannelMsg>, each_line: &mut dyn FnMut(&str)) {
        match message {
            Some(ChannelMsg::Data { data }) => {
                self.stdout.push(&data);
                self.lines.push(&data, each_line);
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => self.stderr.push(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(Exit::Code(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.status = Some(Exit::Signal(signal(signal_name)));
            }
            Some(ChannelMsg::Failure) => {
                self.refused = true;
                self.ended = true;
            }
            // The end of the output may come before the exit status, and after it.
            Some(ChannelMsg::Eof) => self.eof = true,
            Some(ChannelMsg::Close) | None => self.ended = true,
            Some(_) => {}
        }
        self.ended |= self.eof && self.status.is_some();
    }
}

fn signal(signal: russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name,
        known => format!("{known:?}"),
    }
}

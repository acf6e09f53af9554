//! One command on one host: standard input in, bounded output out, an exit status or the plain word
//! that the outcome is unknown. Never a terminal. What happens while it runs is in `running`.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout_at};

use super::backoff::Backoff;
use super::output::Captured;
use super::running::{Deadline, Run};
use super::session::{ExecChannel, Session};

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

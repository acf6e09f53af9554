//! A command while it runs: feeds it, drains both its outputs all the time (one unread channel would
//! block every other one of the connection), and knows when it has ended.

use std::time::Duration;

use russh::ChannelMsg;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::exec::{ExecError, ExecOutput, Exit, NotSent};
use super::output::{Collector, Lines};
use super::session::{ExecChannel, Session};

/// After the exit status, how long to wait for the end of the output. A child in the background may
/// hold it open for ever.
const GRACE: Duration = Duration::from_millis(300);

/// How often the grace may begin anew because output still comes.
const GRACES: u32 = 20;

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
        if self.session.is_lost() {
            return Err(ExecError::NotSent(NotSent::ConnectionLost(self.session.loss())));
        }
        let mut progress = Progress::new(self.limit_bytes);
        match timeout_at(self.deadline.at, channel.write.exec(true, command)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(ExecError::NotSent(NotSent::ConnectionLost(self.session.loss()))),
            // A server that reads nothing: what waits to be written may still go out.
            Err(_) => return self.finish(progress, false),
        }
        tokio::pin!(feed);
        let mut all_sent = false;
        let grace = sleep_until(self.deadline.at);
        tokio::pin!(grace);
        let (mut graces, mut late) = (0, None);
        let in_time = loop {
            if progress.ended {
                break true;
            }
            tokio::select! {
                biased;
                message = channel.read.wait() => {
                    channel.closed |= matches!(message, None | Some(ChannelMsg::Close));
                    progress.take(message, each_line);
                    // A server that never stops talking leaves no turn to the timer. What lay ready when we
                    // slept through the deadline is read all the same.
                    if Instant::now() > self.deadline.at {
                        let since = *late.get_or_insert_with(Instant::now);
                        if !progress.ended && since.elapsed() > GRACE * GRACES {
                            break progress.status.is_some();
                        }
                    }
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
    fn new(limit_bytes: usize) -> Self {
        Self {
            stdout: Collector::new(limit_bytes),
            stderr: Collector::new(limit_bytes),
            lines: Lines::default(),
            status: None,
            refused: false,
            ended: false,
            eof: false,
        }
    }

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

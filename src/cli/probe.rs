//! Requests that go on while the fleet is changed, from this machine and through the front door, to count those
//! that fail. They run on threads of their own: what is measured cannot slow the measurement down.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::report::units;

use super::args::Probing;
use super::failure::CliError;
use super::http;

/// When a request without an answer counts as failed.
const DEADLINE: Duration = Duration::from_secs(10);
/// How many different reasons are told.
const REASONS: usize = 5;

/// How the requests went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Probed {
    /// How many were sent.
    pub(super) requests: u64,
    /// How many of them failed.
    pub(super) failed: u64,
    /// The longest that one took.
    slowest: Duration,
    /// Why they failed, and how many did so.
    reasons: BTreeMap<String, u64>,
    /// When the first and the last of them were sent.
    between: Option<(Timestamp, Timestamp)>,
}

impl Probed {
    /// What is said where the prober itself broke off: nothing is known of its requests, which is no success.
    fn unknown() -> Self {
        Self {
            requests: 1,
            failed: 1,
            reasons: BTreeMap::from([("the prober itself broke off".to_owned(), 1)]),
            ..Self::default()
        }
    }

    fn note(&mut self, at: Timestamp, took: Duration, answer: Result<(), String>) {
        self.requests += 1;
        self.slowest = self.slowest.max(took);
        if let Err(reason) = answer {
            self.failed += 1;
            *self.reasons.entry(reason).or_default() += 1;
            let (first, last) = self.between.unwrap_or((at, at));
            self.between = Some((first.min(at), last.max(at)));
        }
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = units::count(usize::try_from(self.requests).unwrap_or(usize::MAX), "request");
        let slowest = units::duration(self.slowest);
        write!(
            f,
            "probe: {requests}, {} failed; the slowest took {slowest}",
            self.failed
        )?;
        for (reason, count) in self.reasons.iter().take(REASONS) {
            write!(f, "\n  {count} times: {reason}")?;
        }
        if self.reasons.len() > REASONS {
            write!(f, "\n  and {} other reasons", self.reasons.len() - REASONS)?;
        }
        if let Some((first, last)) = self.between {
            write!(f, "\n  between {first:.3} and {last:.3}")?;
        }
        Ok(())
    }
}

/// A stream of requests. Dropping it ends the stream.
pub(super) struct Prober {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Probed>>,
}

impl Prober {
    /// Begins, where a URL is named and answers as it should.
    pub(super) async fn start(probing: &Probing) -> Result<Option<Self>, CliError> {
        let Some(url) = probing.probe.clone() else {
            return Ok(None);
        };
        let pause = Duration::from_secs(1) / probing.probe_rate;
        let agent = http::agent(DEADLINE);
        let first = {
            let (agent, url) = (agent.clone(), url.clone());
            tokio::task::spawn_blocking(move || ask(&agent, &url)).await
        };
        let first = first.unwrap_or_else(|error| Err(error.to_string()));
        first.map_err(|reason| CliError::Refused {
            message: format!("the probe's first request failed, before anything was touched: {reason}"),
            hint: Some(format!(
                "`curl -i '{url}'` from this machine must show a 2xx or 3xx"
            )),
        })?;
        let (stop, stopped) = mpsc::channel();
        let probing = move || {
            let probed = Mutex::new(Probed::default());
            thread::scope(|scope| {
                let mut next = Instant::now();
                loop {
                    scope.spawn(|| {
                        let (at, began) = (Timestamp::now(), Instant::now());
                        let answer = ask(&agent, &url);
                        let mut probed = probed.lock().unwrap_or_else(PoisonError::into_inner);
                        probed.note(at, began.elapsed(), answer);
                    });
                    // A stall of ours must not lower the rate.
                    next += pause;
                    let left = next.saturating_duration_since(Instant::now());
                    if stopped.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
                        break;
                    }
                }
            });
            probed.into_inner().unwrap_or_else(PoisonError::into_inner)
        };
        let thread = thread::Builder::new().name("probe".to_owned()).spawn(probing);
        let thread =
            thread.map_err(|error| CliError::Internal(format!("cannot start the probe: {error}")))?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }

    /// Sends no more, waits for the answers that are still to come, and says how it went.
    pub(super) async fn stop(mut self) -> Probed {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else {
            return Probed::unknown();
        };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        joined.ok().and_then(Result::ok).unwrap_or_else(Probed::unknown)
    }
}

/// One request; the error says what is wrong with its answer.
fn ask(agent: &ureq::Agent, url: &str) -> Result<(), String> {
    let response = agent
        .get(url)
        .call()
        .map_err(|error| http::reason(&error, DEADLINE))?;
    let status = response.status();
    // The body is part of the answer: one that is cut off is a lost request.
    let mut body = response.into_body();
    let read = std::io::copy(&mut body.as_reader(), &mut std::io::sink());
    read.map_err(|error| format!("half an answer: {error}"))?;
    if status.is_success() || status.is_redirection() {
        return Ok(());
    }
    Err(format!("HTTP {}", status.as_u16()))
}

//! How requests went.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How many examples of failures are kept.
const MAX_EXAMPLES: usize = 10;

/// How many requests went how, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Answered as they should be.
    pub served: u64,
    /// Answered otherwise, or not at all.
    pub failed: u64,
    /// Sent a second time, because a kept-alive connection was closed before any byte of an answer.
    pub retried: u64,
}

impl std::ops::Sub for Counts {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            served: self.served - earlier.served,
            failed: self.failed - earlier.failed,
            retried: self.retried - earlier.retried,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} served, {} failed", self.served, self.failed)?;
        if self.retried > 0 {
            write!(f, ", {} retried by their clients", self.retried)?;
        }
        Ok(())
    }
}

/// How all requests of a stream went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// How many went how.
    pub counts: Counts,
    /// Failures by their reason.
    pub failures: BTreeMap<String, u64>,
    /// The first failures.
    pub examples: Vec<FailureExample>,
    /// Answers of `/version` by version.
    pub versions: BTreeMap<String, u64>,
    /// How long the served ones took.
    pub latency: Latency,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureExample {
    /// When, counted from the first request.
    pub at: Duration,
    /// `GET /version on a new connection`.
    pub request: String,
    /// What went wrong.
    pub reason: String,
}

/// How long requests took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Latency {
    /// Half of them were faster.
    pub p50: Duration,
    /// All but one in a hundred were faster.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

/// What the generator notes while it runs.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) summary: Summary,
    latencies: Vec<Duration>,
}

impl Notes {
    pub(super) fn serve(&mut self, took: Duration, version: Option<String>) {
        self.summary.counts.served += 1;
        self.latencies.push(took);
        if let Some(version) = version {
            *self.summary.versions.entry(version).or_default() += 1;
        }
    }

    pub(super) fn fail(&mut self, example: FailureExample) {
        self.summary.counts.failed += 1;
        *self.summary.failures.entry(example.reason.clone()).or_default() += 1;
        if self.summary.examples.len() < MAX_EXAMPLES {
            self.summary.examples.push(example);
        }
    }

    pub(super) fn finish(mut self, elapsed: Duration) -> Summary {
        self.latencies.sort_unstable();
        let nth = |percent: usize| {
            let at = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
            self.latencies.get(at).copied().unwrap_or_default()
        };
        self.summary.latency = Latency {
            p50: nth(50),
            p99: nth(99),
            max: nth(100),
        };
        self.summary.elapsed = elapsed;
        self.summary
    }
}

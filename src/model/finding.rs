//! What preflight, doctor and the planner find before anything is touched. All findings of all
//! hosts are listed together.

use serde::Serialize;

use super::names::HostName;

pub use super::problem::Problem;

/// Something found, on a host or on the fleet as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The host; `None` for the fleet as a whole.
    pub host: Option<HostName>,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    #[serde(flatten)]
    pub problem: Problem,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; said by `doctor`.
    Info,
    /// The run goes on.
    Warning,
    /// The run is refused.
    Refusal,
}

impl Finding {
    /// A finding that refuses the run.
    pub fn refusal(host: Option<&HostName>, problem: Problem) -> Self {
        Self {
            host: host.cloned(),
            severity: Severity::Refusal,
            problem,
        }
    }

    /// A finding that is said, and the run goes on.
    pub fn warning(host: Option<&HostName>, problem: Problem) -> Self {
        Self {
            host: host.cloned(),
            severity: Severity::Warning,
            problem,
        }
    }
}

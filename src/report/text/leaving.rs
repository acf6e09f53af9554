//! What is said when a second signal ends a run at once: what is left, and what mends it.

use std::time::Duration;

use crate::model::names::RunId;
use crate::report::units::duration;

/// After how long the hosts help themselves.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// A lock without a sign of life is anybody's after that.
    pub lease: Duration,
    /// An nginx host whose switch nobody confirmed is home after that.
    pub watch: Duration,
}

/// The run was left in the middle.
pub fn at_once(run: &RunId, deadlines: Deadlines) -> String {
    format!(
        "\nleft at once, in the middle of run {run}: nothing was cleaned up.\n\
         No slot that is still needed was stopped. An nginx host whose switch was not confirmed goes home by itself\n\
         within {watch}, and the locks free themselves in {lease}.\n\n  \
         nonstop resume   finishes the run, forward or back, from this machine or any other\n  \
         nonstop status   shows what is live, and what was left\n\n\
         The next deploy or rollback starts from there as well.",
        watch = duration(deadlines.watch),
        lease = duration(deadlines.lease),
    )
}

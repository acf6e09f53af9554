//! A drill: from the live release to the one before it, and forward again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::names::ReleaseId;

/// How a drill went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drill {
    /// What came of it.
    pub result: DrillResult,
    /// The release that was live, and is again where the drill came to its end.
    pub release: ReleaseId,
    /// The release before it, to which the drill went back.
    pub earlier: ReleaseId,
    /// From the first connection until the earlier release was confirmed on every nginx host; absent where
    /// it never was.
    #[serde(
        rename = "back_seconds",
        serialize_with = "super::seconds::optional::serialize"
    )]
    pub back: Option<Duration>,
    /// The same for the way forward.
    #[serde(
        rename = "forward_seconds",
        serialize_with = "super::seconds::optional::serialize"
    )]
    pub forward: Option<Duration>,
    /// How many requests the prober sent; none where nobody named a URL.
    pub requests: u64,
    /// How many of them failed.
    pub failed_requests: u64,
}

/// What came of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillResult {
    /// It went there and back, and no request failed.
    Passed,
    /// It went there and back, and requests failed.
    LostRequests,
    /// It did not get to the earlier release.
    NoWayBack,
    /// It got there, and not forward again.
    Stranded,
}

impl DrillResult {
    const ALL: [Self; 4] = [Self::Passed, Self::LostRequests, Self::NoWayBack, Self::Stranded];
}

impl fmt::Display for DrillResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::LostRequests => "lost_requests",
            Self::NoWayBack => "no_way_back",
            Self::Stranded => "stranded",
        })
    }
}

impl FromStr for DrillResult {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|result| result.to_string() == word)
            .ok_or(())
    }
}

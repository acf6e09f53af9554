//! Durations in JSON: a number of seconds, rounded to the millisecond.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Writes a duration as a number of seconds.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    rounded(*duration).serialize(serializer)
}

/// The same where there may be none.
pub mod optional {
    use std::time::Duration;

    use serde::{Serialize, Serializer};

    /// Writes a duration as a number of seconds, or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(super::rounded).serialize(serializer)
    }
}

fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

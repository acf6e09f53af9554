//! A host's own clock: its boots, and an uptime that runs a little faster or slower than time does.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of one host.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// How many times the host was booted.
    pub(crate) boot: u32,
    /// Millionths by which its uptime runs fast; negative where it is slow.
    pub(crate) skew_ppm: i32,
    since: Instant,
    /// The uptime at `since`.
    head_start: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            boot: 1,
            skew_ppm: 0,
            since: Instant::now(),
            head_start: Duration::from_secs(10_000),
        }
    }

    /// The time since boot, as the host counts it.
    pub(crate) fn uptime(&self) -> Duration {
        let real = Instant::now().saturating_duration_since(self.since);
        self.head_start + real.mul_f64(self.rate())
    }

    /// How long a stretch of the host's uptime takes in the world.
    pub(crate) fn takes(&self, uptime: Duration) -> Duration {
        uptime.div_f64(self.rate())
    }

    /// A new boot, that has just begun.
    pub(crate) fn reboot(&mut self) {
        self.boot += 1;
        self.since = Instant::now();
        self.head_start = Duration::from_secs(1);
    }

    /// The time since it came up.
    pub(crate) fn since_boot(&self) -> Duration {
        self.since.elapsed()
    }

    fn rate(&self) -> f64 {
        1.0 + f64::from(self.skew_ppm) / 1e6
    }
}

//! Finds and ends the processes of a fleet. Whatever a host's commands start inherits a variable
//! with a value that no other process has; a detached application carries it as well, wherever it
//! was re-parented to.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Leftover;

const VARIABLE: &str = "NONSTOP_DEMO_FLEET";

/// How often processes that were told to end are looked for.
const POLL: Duration = Duration::from_millis(20);

/// The processes with this fleet's mark.
#[derive(Debug)]
pub(super) struct Marked {
    value: String,
}

impl Marked {
    pub(super) fn new() -> Self {
        Self {
            value: uuid::Uuid::now_v7().to_string(),
        }
    }

    /// The variable and its value.
    pub(super) fn mark(&self) -> (&'static str, &str) {
        (VARIABLE, &self.value)
    }

    /// Ends them all: TERM, and after the grace KILL. One that is started meanwhile is found too.
    pub(super) fn end(&self, grace: Duration) {
        let began = Instant::now();
        let mut told: Vec<i32> = Vec::new();
        while began.elapsed() < grace * 2 {
            let alive = self.pids();
            if alive.is_empty() {
                return;
            }
            for pid in alive {
                let signal = if began.elapsed() >= grace {
                    Signal::SIGKILL
                } else if told.contains(&pid) {
                    continue;
                } else {
                    told.push(pid);
                    Signal::SIGTERM
                };
                // Gone meanwhile: what was wanted.
                let _ = kill(Pid::from_raw(pid), signal);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Those that are alive.
    pub(super) fn alive(&self) -> Vec<Leftover> {
        let leftover = |pid| Leftover {
            pid,
            command: command_line(pid),
        };
        self.pids().into_iter().map(leftover).collect()
    }

    fn pids(&self) -> Vec<i32> {
        let mark = format!("{VARIABLE}={}", self.value);
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let marked = pids.filter(|pid| {
            // Empty for zombies and unreadable for other users: neither is ours to end.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
        });
        marked.collect()
    }
}

fn command_line(pid: i32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words)
        .replace('\0', " ")
        .trim()
        .to_owned()
}

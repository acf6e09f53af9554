//! What tells one process from every other, so that a signal never reaches a stranger.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::names::{Port, ReleaseId, RemotePath, RunId, SlotName, StartWord};

/// Identifies a process beyond its pid, which the kernel gives out again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: clock ticks between boot and start.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id` of the boot in which it started.
    #[serde(deserialize_with = "boot_id")]
    pub boot_id: String,
    /// The numeric user that it runs as.
    pub uid: u32,
}

/// Whether a text can be a boot id: it is a word that no shell, file or terminal takes for more.
pub fn is_boot_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.contains("..")
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn boot_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_boot_id(&text) {
        Ok(text)
    } else {
        Err(D::Error::custom("a boot id that is none"))
    }
}

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListeningProcess {
    /// Who it is; `None` where another user's process cannot be looked into without root.
    pub identity: Option<ProcessIdentity>,
    /// The user that owns the listening socket.
    pub uid: u32,
    /// Its command line, words joined by spaces, at most 4096 bytes, control characters replaced.
    pub command: String,
}

/// What a start left on record in a host's state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceRecord {
    /// The slot.
    pub slot: SlotName,
    /// The port.
    pub port: Port,
    /// The release that was started.
    pub release: ReleaseId,
    /// The process.
    pub identity: ProcessIdentity,
    /// Where its output goes; `None` where that is systemd's journal.
    pub log: Option<RemotePath>,
}

/// A start that put no process on record: it was cut off, it failed, or it is under way. What it left behind
/// carries its word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfinishedStart {
    /// The word.
    pub word: StartWord,
    /// The run that started it.
    pub run: RunId,
    /// The release.
    pub release: ReleaseId,
    /// The processes that carry the word, as far as the login can tell.
    pub pids: Vec<u32>,
}

/// What a stop ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopTarget {
    /// A process; any other one under its pid is left alone.
    Process(ProcessIdentity),
    /// Whatever a start left behind: the processes that carry its word.
    Start(StartWord),
}

/// What becomes of an instance that the kernel killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterKill {
    /// The way back starts it again.
    StartsAgain,
    /// It stays down: it is not known how it was started.
    StaysDown,
}

impl fmt::Display for AfterKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StartsAgain => "it is started again once what this run started there is gone",
            Self::StaysDown => "it is down: start it as it was started before, for nonstop did not start it",
        })
    }
}

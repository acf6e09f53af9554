//! Units of systemd: what the runner `systemd` starts, and what a host says of them.

use std::fmt;

use serde::Serialize;

use super::names::UnitName;

/// The unit that runs a slot on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// What becomes of it at a boot.
    pub at_boot: AtBoot,
}

/// What becomes of a unit when its host boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtBoot {
    /// It is enabled when it is started, and disabled when it is stopped.
    Follows,
    /// Nothing is changed: somebody else says so.
    Untouched,
}

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitObserved {
    /// Its name.
    pub name: UnitName,
    /// Whether it can be started.
    pub state: UnitState,
    /// Whether its process listens on the slot's port, and no start of it is on record.
    pub listens: bool,
}

/// Whether a unit can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitState {
    /// It can, and it can be enabled.
    Ready,
    /// It can, and says nothing of when a boot starts it.
    Static,
    /// systemd does not know it.
    Unknown,
    /// It is masked.
    Masked,
    /// Its file cannot be read.
    Broken,
    /// No systemd answers.
    NoSystemd,
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "can be started",
            Self::Static => "has no [Install] section: no boot would start it",
            Self::Unknown => "is unknown to systemd",
            Self::Masked => "is masked",
            Self::Broken => "has a file that systemd cannot read",
            Self::NoSystemd => "cannot be asked for: no systemd answers",
        })
    }
}

/// A runner whose instances no boot starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LostAtBoot {
    /// `java`: certainly.
    Java,
    /// `command`: unless the user's script sees to it.
    Command,
}

impl fmt::Display for LostAtBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Java => "no reboot brings back what the runner `java` started",
            Self::Command => {
                "no reboot brings back what the runner `command` started, unless your script sees to it"
            }
        })
    }
}

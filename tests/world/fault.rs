//! What goes wrong between the engine and a host, and when.

use std::time::Duration;

use nonstop::model::names::HostName;
use nonstop::remote::answer::Answer;

/// What becomes of a call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The connection is refused; nothing was sent.
    NotSent,
    /// It is lost on its way.
    LostBefore,
    /// It takes place, and the answer is lost.
    LostAfter,
    /// The answer is lost, and the effect comes only later.
    Late(Duration),
    /// It takes its time on the way, and nothing else is wrong.
    Slow(Duration),
    /// It never arrives, and nobody says so.
    Vanishes,
    /// It takes place, and the answer never comes.
    Never,
    /// The host does nothing and answers this.
    Answers(Answer),
}

/// A fault with its place and time.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) host: HostName,
    /// The command's name; any command where it is empty.
    pub(crate) command: &'static str,
    /// Calls that are let through first.
    pub(crate) spares: u32,
    /// Calls that are hit then.
    pub(crate) hits: u32,
    pub(crate) fault: Fault,
}

impl Rule {
    /// The fault of this call, if it is hit.
    pub(super) fn meets(&mut self, host: &HostName, command: &str) -> Option<Fault> {
        if self.host != *host || !(self.command.is_empty() || self.command == command) || self.hits == 0 {
            return None;
        }
        if self.spares > 0 {
            self.spares -= 1;
            return None;
        }
        self.hits -= 1;
        Some(self.fault.clone())
    }
}

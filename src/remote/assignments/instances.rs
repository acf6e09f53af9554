//! The parameters of a start and a stop.

use super::Assignments;
use crate::model::process::{ProcessIdentity, StopTarget};
use crate::model::unit::{AtBoot, Unit};
use crate::remote::command::{Place, RenderedRunner, Start, Stop, Successor};
use crate::remote::quote::{milliseconds, optional_path, quoted, words};

use super::yes_or_no;

/// Pid, start, boot and user of a process; empty words where there is none.
fn identity_words(process: Option<&ProcessIdentity>) -> [String; 4] {
    process.map_or_else(Default::default, |it| {
        [
            it.pid.to_string(),
            it.start_ticks.to_string(),
            it.boot_id.clone(),
            it.uid.to_string(),
        ]
    })
}

impl Assignments {
    pub(super) fn start(&mut self, start: &Start) {
        let (runner, chdir, script_deadline) = match &start.runner {
            RenderedRunner::Process { .. } => ("process", None, "0".to_owned()),
            RenderedRunner::Script { chdir, deadline, .. } => {
                ("script", chdir.as_ref(), milliseconds(*deadline))
            }
            RenderedRunner::Unit(_) => ("unit", None, "0".to_owned()),
        };
        let unit = match &start.runner {
            RenderedRunner::Unit(unit) => Some(unit),
            RenderedRunner::Process { .. } | RenderedRunner::Script { .. } => None,
        };
        self.fence(&start.fence)
            .set("SLOT", &start.slot)
            .set("PORT", start.port)
            .set("RELEASE", &start.release)
            .set("RUNNER", runner)
            .unit(unit)
            .word("CHDIR", optional_path(chdir))
            .set("SCRIPT_DEADLINE_MS", script_deadline)
            .set("DEADLINE_MS", milliseconds(start.deadline));
    }

    pub(super) fn stop(&mut self, stop: &Stop) {
        let (process, word) = match &stop.target {
            StopTarget::Process(identity) => (Some(identity), String::new()),
            StopTarget::Start(word) => (None, word.to_string()),
        };
        self.fence(&stop.fence)
            .set("SLOT", &stop.slot)
            .victim(process)
            .set("START_WORD", word)
            .set("GRACE_MS", milliseconds(stop.grace))
            .successor(stop.successor.as_ref())
            .set("SUCCESSOR_SLOT", "");
    }

    /// The process that ends.
    pub(super) fn victim(&mut self, process: Option<&ProcessIdentity>) -> &mut Self {
        let [pid, start, boot, uid] = identity_words(process);
        self.set("PID", pid)
            .set("START_TICKS", start)
            .set("IDENTITY_BOOT", boot)
            .set("IDENTITY_UID", uid)
    }

    /// The one that has to be there before.
    pub(super) fn successor(&mut self, successor: Option<&Successor>) -> &mut Self {
        let [pid, start, boot, uid] = identity_words(successor.map(|it| &it.identity));
        self.set("SUCCESSOR_PID", pid)
            .set("SUCCESSOR_START", start)
            .set("SUCCESSOR_BOOT", boot)
            .set("SUCCESSOR_UID", uid)
            .set(
                "SUCCESSOR_PORT",
                successor.map_or_else(String::new, |s| s.port.to_string()),
            )
    }

    /// The unit of one slot, and whether it is enabled and disabled with it.
    pub(super) fn unit(&mut self, unit: Option<&Unit>) -> &mut Self {
        let enables = unit.is_some_and(|unit| unit.at_boot == AtBoot::Follows);
        self.set("UNIT", unit.map(|it| it.name.as_str()).unwrap_or_default())
            .set("UNIT_ENABLE", yes_or_no(enables))
    }

    /// The units of all slots of the host; all are enabled and disabled alike.
    pub(super) fn units(&mut self, place: &Place) -> &mut Self {
        let words_of = place
            .units
            .iter()
            .map(|(slot, unit)| quoted(&format!("{slot}={}", unit.name)));
        let enables = place.units.values().any(|unit| unit.at_boot == AtBoot::Follows);
        self.word("UNITS", words(words_of))
            .set("UNIT_ENABLE", yes_or_no(enables))
    }
}

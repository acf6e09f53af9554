//! How a run ended, in words: in what state the fleet is.

use crate::model::finding::{Finding, Problem};
use crate::model::names::{ReleaseId, SlotName};
use crate::model::outcome::{Cause, Exit, Outcome, Signal};
use crate::model::record::RunStatus;
use crate::model::run_view::{End, RunView};
use crate::report::text::waiting;

/// The headline: what became of the run.
pub fn headline(view: &RunView, end: &End) -> String {
    let command = view
        .start
        .as_ref()
        .map_or("run", |start| start.owner.command.as_str());
    match (end.outcome, end.exit) {
        (_, Exit::Internal) => format!("{command}: internal error"),
        (Outcome::Deployed, Exit::Signalled(_)) => format!("{command} interrupted, and finished forward"),
        (Outcome::Deployed, Exit::Mixed) => format!("{command} switched, and a person is needed"),
        (Outcome::Deployed, _) => format!("{command} done"),
        (Outcome::Waiting, _) => match view.waits.as_ref().filter(|waits| waits.record.window.is_some()) {
            Some(waits) => format!(
                "{command} done; the hosts stop the old slot {}",
                waiting::hour(&waits.record)
            ),
            None => format!("{command} waits for a person"),
        },
        (Outcome::Mixed, _) => "MIXED: a person is needed".to_owned(),
        (Outcome::TakenOver, _) => format!("{command} taken over by somebody else"),
        (Outcome::RolledBack, Exit::Done) => format!("{command} done: {} was taken back", found(view)),
        (Outcome::RolledBack, Exit::Signalled(_)) => format!("{command} interrupted, and rolled back"),
        (Outcome::RolledBack, Exit::Mixed) => {
            format!("{command} led traffic back, and a person is needed")
        }
        (Outcome::RolledBack, Exit::RolledBack) if view.is_late() => {
            format!("{command} ran out of time after the switch, rolled back")
        }
        (Outcome::RolledBack, _) => format!("{command} FAILED after the switch, rolled back"),
        (Outcome::AsItWas, Exit::Done) if view.found.is_some() => {
            format!("{command} done: {} was taken back", found(view))
        }
        (Outcome::AsItWas, Exit::Done) => "nothing to do".to_owned(),
        (Outcome::AsItWas, Exit::Refused) => format!("{command} REFUSED before any change"),
        (Outcome::AsItWas, Exit::Locked) if view.refusals.iter().any(keeps_its_hour) => {
            format!("{command} did not begin: another run has left its old slot up until an hour")
        }
        (Outcome::AsItWas, Exit::Locked) if view.refusals.iter().any(waits_already) => {
            format!("{command} did not begin: another run waits for a person")
        }
        (Outcome::AsItWas, Exit::Locked) => format!("{command} did not begin: locked by somebody else"),
        (Outcome::AsItWas, Exit::Mixed) => format!("{command} switched nothing, and a person is needed"),
        (Outcome::AsItWas, Exit::Signalled(_)) => format!("{command} interrupted and unwound"),
        (Outcome::AsItWas, Exit::Failed) if view.is_late() => {
            format!("{command} ran out of time before the switch, unwound")
        }
        (Outcome::AsItWas, _) => format!("{command} FAILED before the switch"),
    }
}

/// What was met and seen to.
fn found(view: &RunView) -> &'static str {
    match &view.found {
        Some(found) if found.record.status == RunStatus::Waiting => "the run that waited",
        _ => "the interrupted run",
    }
}

/// In what state the fleet is, a sentence a line.
pub fn state_of_the_fleet(view: &RunView, end: &End) -> Vec<String> {
    let live = live(end.live_slot.as_ref(), end.live.as_ref());
    let lines: &[&str] = match (end.outcome, end.exit) {
        (Outcome::Deployed, _) => {
            let live = live.unwrap_or_else(|| "the new release".to_owned());
            let every = match &view.left_out {
                Some((_, nginx)) if !nginx.is_empty() => "Every nginx that was not left out",
                _ => "Every nginx",
            };
            return vec![format!("{every} sends its requests to {live}.")];
        }
        (Outcome::Waiting, _) => return waits(view),
        (Outcome::RolledBack, _) => {
            let where_to = live.map_or_else(String::new, |live| format!(", on {live}"));
            let mut lines = vec![
                format!("Traffic is back where it was{where_to}."),
                "Every nginx was seen to run what it ran before.".to_owned(),
            ];
            lines.extend(stays_open(end));
            return lines;
        }
        (Outcome::AsItWas, exit) => {
            let untouched =
                matches!(exit, Exit::Refused | Exit::Locked) || (exit == Exit::Done && view.found.is_none());
            let first = if untouched {
                "Nothing was changed."
            } else {
                "No nginx was switched."
            };
            let first = first.to_owned();
            let lines = std::iter::once(first).chain(still(view, live));
            return lines.chain(stays_open(end)).collect();
        }
        (Outcome::Mixed, _) => &[
            "nginx hosts disagree on the live slot, or it is not known whether they agree.",
            "Nothing that is still needed was stopped: both slots were left up.",
            STAYS_OPEN,
        ],
        (Outcome::TakenOver, _) => &[
            "Another run took the hosts over; this one changed nothing from then on.",
            "What is true now is that run's to say: ask `nonstop status`.",
        ],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

const STAYS_OPEN: &str =
    "The run stays open: `nonstop resume`, or the next deploy or rollback, starts from it.";

/// Something is left to do although it is known where traffic goes.
fn stays_open(end: &End) -> Option<String> {
    (end.exit == Exit::Mixed).then(|| STAYS_OPEN.to_owned())
}

fn keeps_its_hour(finding: &Finding) -> bool {
    matches!(&finding.problem, Problem::RunWaits { record, .. } if record.window.is_some())
}

fn waits_already(finding: &Finding) -> bool {
    matches!(finding.problem, Problem::RunWaits { .. })
}

/// What is true while a run waits.
fn waits(view: &RunView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(waits) = &view.waits {
        let record = &waits.record;
        let stands = waiting::stands(record, waits.reached, record.switches(), waits.percent);
        lines.push(format!("{stands}."));
        if record.window.is_some() {
            lines.push(
                "Nothing is locked, and this machine is needed no more: until then both slots stay up, and going back is \
                 one switch."
                    .to_owned(),
            );
            return lines;
        }
    }
    lines.push(
        "Nothing is locked, and nothing acts by itself: both slots stay up until somebody says more."
            .to_owned(),
    );
    lines
}

/// What ended a run early, as people call it: its kind, and which.
pub fn describe_cause(cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::Deadline => ("deadline", "the time that is left is for the way back"),
        Cause::Signal(Signal::Hangup) => ("signal", "the terminal went away (HUP)"),
        Cause::Signal(Signal::Interrupt) => ("signal", "Ctrl-C (INT)"),
        Cause::Signal(Signal::Terminate) => ("signal", "asked to end (TERM)"),
    }
}

/// Where traffic still goes, unless the run ended before it was known.
fn still(view: &RunView, live: Option<String>) -> Option<String> {
    let was_empty = || view.plan.as_ref().is_some_and(|plan| plan.from.is_none());
    match live {
        Some(live) => Some(format!("Traffic goes to {live}, as before.")),
        None => was_empty().then(|| "Nothing was live before, and nothing is now.".to_owned()),
    }
}

fn live(slot: Option<&SlotName>, release: Option<&ReleaseId>) -> Option<String> {
    match (slot, release) {
        (Some(slot), Some(release)) => Some(format!("{slot} ({release})")),
        (Some(slot), None) => Some(slot.to_string()),
        (None, Some(release)) => Some(release.to_string()),
        (None, None) => None,
    }
}

//! What to do next: command lines that can be copied, each with what it is good for.

use crate::model::finding::{Finding, Problem};
use crate::model::names::SlotName;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::run_view::{End, RunView};
use crate::report::harmless::harmless_whole;
use crate::report::text::{failure, problem};

/// How many pieces of advice fit on the screen.
const LIMIT: usize = 6;

/// A command line, and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What to type.
    pub command: String,
    /// What it is good for.
    pub purpose: String,
}

impl Advice {
    /// Puts the two together.
    pub fn new(command: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            purpose: purpose.into(),
        }
    }
}

/// Options that were given by hand. A command that is advised needs them again: without them it acts on the files
/// of the folder, which may be another application's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Given(String);

impl Given {
    /// Takes them word by word, as they were given.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let quoted = |word: &'a str| {
            // A word with a NUL byte cannot have been given.
            let word = shlex::try_quote(word).unwrap_or_default();
            format!(" {}", harmless_whole(&word))
        };
        Self(words.into_iter().map(quoted).collect())
    }

    /// A command line of nonstop with them, behind the name of the command.
    fn to(&self, line: &str) -> String {
        let Some(rest) = line.strip_prefix("nonstop ") else {
            return line.to_owned();
        };
        let (command, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        format!("nonstop {command}{}{rest}", self.0)
    }
}

/// What to do after a run that ended like this, each command once, with the options that this one was given.
pub fn after_given(view: &RunView, end: &End, given: &Given) -> Vec<Advice> {
    let with = |advice: Advice| Advice {
        command: given.to(&advice.command),
        ..advice
    };
    after(view, end).into_iter().map(with).collect()
}

/// What to do after a run that ended like this, each command once.
fn after(view: &RunView, end: &End) -> Vec<Advice> {
    let mut all: Vec<Advice> = Vec::new();
    let command = view
        .start
        .as_ref()
        .map_or("deploy", |start| start.owner.command.as_str());
    if end.outcome == Outcome::Mixed || end.exit == Exit::Mixed {
        all.extend(mixed());
    }
    if end.outcome == Outcome::Waiting {
        all.extend(waiting(view));
    }
    if end.outcome == Outcome::TakenOver {
        all.extend(taken_over());
    }
    let waits = |finding: &Finding| matches!(finding.problem, Problem::RunWaits { .. });
    let waits = view.refusals.iter().any(waits);
    if (end.outcome, end.exit) == (Outcome::AsItWas, Exit::Locked) && !waits {
        let command = format!("nonstop {command} --lock-wait 5m");
        all.push(Advice::new(command, "waits until the other is done"));
    }
    // The findings of a refusal say the same as the failures that led to it.
    if view.refusals.is_empty() {
        let failures = view.failures();
        all.extend(failures.map(|(host, phase, failure)| failure::advice(failure, host, slot(view, phase))));
    }
    all.extend(view.refusals.iter().filter_map(problem::advice));
    all.extend(closing(view, end, command));
    let mut advice: Vec<Advice> = Vec::new();
    for one in all {
        if advice.len() < LIMIT && !advice.iter().any(|other| other.command == one.command) {
            advice.push(one);
        }
    }
    advice
}

/// The slot that a phase brings up: on its way back a run sees to the one that it came from.
fn slot(view: &RunView, phase: Phase) -> Option<&SlotName> {
    let planned = view.plan.as_ref()?;
    match phase {
        Phase::Revert => planned.from.as_ref(),
        _ => Some(&planned.to),
    }
}

fn mixed() -> [Advice; 3] {
    [
        Advice::new(
            "nonstop resume",
            "finishes this run, forward or back, once what failed can be reached again",
        ),
        Advice::new("nonstop status", "shows host by host what is live"),
        Advice::new("nonstop doctor", "shows what keeps the hosts apart"),
    ]
}

/// How a run goes on that waits.
pub fn waiting(view: &RunView) -> Vec<Advice> {
    let window = view.waits.as_ref().and_then(|waits| waits.record.window.as_ref());
    if window.is_some() {
        return vec![
            Advice::new("nonstop rollback", "takes it back: one switch, until the hour"),
            Advice::new("nonstop promote", "stops the old slot now"),
            Advice::new("nonstop status", "shows the hour, and what each host makes of it"),
        ];
    }
    vec![
        Advice::new("nonstop promote", "lets it go on, to where it waits next"),
        Advice::new("nonstop promote --full", "lets it go on to its end"),
        Advice::new("nonstop rollback", "takes it back"),
    ]
}

fn taken_over() -> [Advice; 2] {
    [
        Advice::new("nonstop status", "shows who took over, and what is live now"),
        Advice::new(
            "nonstop history",
            "shows what this run did, and what the other did after it",
        ),
    ]
}

fn closing(view: &RunView, end: &End, command: &str) -> Option<Advice> {
    match end.exit {
        Exit::Done => {
            let planned = view.plan.as_ref()?;
            // The same release again: where a rollback leads then, `status` knows.
            let earlier = planned
                .from_release
                .as_ref()
                .filter(|it| **it != planned.release)?;
            let went_forward = end.outcome == Outcome::Deployed && command == "deploy";
            went_forward.then(|| Advice::new("nonstop rollback", format!("goes back to {earlier}")))
        }
        Exit::Internal => Some(Advice::new(
            format!("nonstop {command} -vv --log-file nonstop.log"),
            "this is a bug in nonstop; the file says what to report",
        )),
        // What they went on with is over.
        Exit::Failed | Exit::RolledBack if matches!(command, "promote" | "resume") => Some(Advice::new(
            "nonstop deploy",
            "once that is mended: from the start",
        )),
        Exit::Refused | Exit::Failed | Exit::RolledBack if view.interrupts.is_empty() => Some(Advice::new(
            format!("nonstop {command}"),
            "once that is mended: the same again, from the start",
        )),
        Exit::Failed | Exit::RolledBack if view.is_late() => Some(Advice::new(
            format!("nonstop {command}"),
            "the same again with a longer --deadline, or with shorter waits in the playbook",
        )),
        Exit::Signalled(_) => Some(Advice::new(
            "nonstop status",
            "shows what is live, and that no lock is left",
        )),
        Exit::Mixed => Some(Advice::new(
            "nonstop history",
            "shows what was done on every host, in order",
        )),
        _ => None,
    }
}

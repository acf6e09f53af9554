//! Events in words, for the plain reporter.

use std::collections::BTreeSet;

use crate::model::event::Event;
use crate::model::finding::Severity;
use crate::model::lock::LockState;
use crate::model::names::HostName;
use crate::report::harmless::harmless;
use crate::report::text::{failure, health, interrupted, note, outcome, problem, token, waiting};
use crate::report::units::{bytes, count, duration};

/// A line about an event: about whom, under which heading, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The host; `fleet` where it is about all.
    pub who: String,
    /// The phase, or what else the line is about.
    pub about: String,
    /// What happened.
    pub text: String,
}

/// The name in place of a host's where a line is about all of them.
pub const FLEET: &str = "fleet";

/// The event in words. `None` where there is nothing to say that another line does not say.
pub fn describe(event: &Event) -> Option<Line> {
    let line = |who: &dyn ToString, about: &str, text: String| {
        Some(Line {
            who: who.to_string(),
            about: about.to_owned(),
            text,
        })
    };
    match event {
        Event::LockWaiting { host, lock } => line(host, "lock", format!("waits for {}", holder(lock))),
        Event::PhaseStarted { phase, hosts } => line(
            &FLEET,
            phase.as_str(),
            format!("begins on {}", count(hosts.len(), "host")),
        ),
        Event::PhaseEnded {
            phase,
            took,
            succeeded,
        } => {
            let how = if *succeeded { "done in" } else { "NOT PASSED after" };
            line(&FLEET, phase.as_str(), format!("{how} {}", duration(*took)))
        }
        Event::HostStarted { .. } => None,
        Event::Uploaded {
            host,
            sent_bytes,
            total_bytes,
        } => {
            let text = format!("{} of {} sent", bytes(*sent_bytes), bytes(*total_bytes));
            line(host, "upload", text)
        }
        Event::HealthTried {
            endpoint,
            seen_from,
            tries,
            answer,
            ..
        } => {
            let text = format!("{endpoint} answers: {} (try {tries})", health::describe(answer));
            line(seen_from, "health", text)
        }
        Event::HostDone {
            host,
            phase,
            took,
            note,
        } => {
            let done = format!("done in {}", duration(*took));
            let text = note
                .as_ref()
                .map_or(done.clone(), |note| format!("{done}: {}", note::describe(note)));
            line(host, phase.as_str(), text)
        }
        Event::HostFailed { host, phase, failure } => line(
            host,
            phase.as_str(),
            format!("FAILED: {}", failure::describe(failure)),
        ),
        Event::Warned { finding } => {
            let who = finding.host.as_ref().map_or(FLEET, |host| host.as_str());
            let about = match finding.severity {
                Severity::Info => "note",
                Severity::Warning | Severity::Refusal => "warning",
            };
            line(&who, about, problem::describe(&finding.problem))
        }
        Event::Interrupted { cause, unwinds } => {
            let way = if *unwinds {
                "going back"
            } else {
                "past the point of no return, going on to the end"
            };
            let (kind, which) = outcome::describe_cause(*cause);
            line(&FLEET, kind, format!("{which}: {way}"))
        }
        Event::Waits {
            record,
            reached,
            percent,
            ..
        } => {
            let stands = waiting::stands(record, *reached, record.switches(), *percent);
            let who = match record.window {
                Some(_) => "with both slots up",
                None => "for a person",
            };
            line(&FLEET, "waits", format!("{who}: {stands}"))
        }
        Event::TokenMoved { host, state, left } => line(host, "token", token::moved(*state, *left)),
        event => milestone(event).and_then(|(about, text)| line(&FLEET, about, text)),
    }
}

/// Who holds a lock, in words.
pub fn holder(lock: &LockState) -> String {
    let Some(owner) = &lock.owner else {
        return "a lock of somebody unknown".to_owned();
    };
    let build = owner
        .build_url
        .as_ref()
        .map_or_else(String::new, |url| format!(", {url}"));
    harmless(&format!(
        "the lock of {}@{} ({} since {}{build})",
        owner.who, owner.place, owner.command, owner.since
    ))
}

/// The hosts that a person leaves out, and what that means.
pub fn left_out(was: &BTreeSet<HostName>, nginx: &BTreeSet<HostName>) -> String {
    let mut words = Vec::new();
    if !was.is_empty() {
        words.push(format!("{} leaves every routing", names(was)));
    }
    if !nginx.is_empty() {
        let text = format!(
            "{} is neither switched nor asked: by your word it carries no traffic",
            names(nginx)
        );
        words.push(text);
    }
    words.join("; ")
}

fn names(hosts: &BTreeSet<HostName>) -> String {
    hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(", ")
}

fn milestone(event: &Event) -> Option<(&'static str, String)> {
    match event {
        Event::RunStarted {
            run,
            app,
            owner,
            was,
            nginx,
        } => {
            let who = harmless(&format!("{}@{}", owner.who, owner.place));
            let text = format!(
                "{} of {app} by {who}, run {run}: {}, {}",
                owner.command,
                count(was.len(), "WAS host"),
                count(nginx.len(), "nginx host")
            );
            Some(("run", text))
        }
        Event::Planned {
            from,
            to,
            from_release,
            release,
            ..
        } => {
            let from = match (from, from_release) {
                (Some(slot), Some(release)) => format!("{slot} ({release})"),
                (Some(slot), None) => format!("{slot} (a release that nonstop did not start)"),
                (None, _) => "nothing".to_owned(),
            };
            Some(("plan", format!("from {from} to {to} ({release})")))
        }
        Event::LeftOut { was, nginx } => Some(("without", left_out(was, nginx))),
        Event::InterruptedFound {
            record,
            tokens,
            slots,
            way,
        } => Some(("found", interrupted::describe(record, tokens, *slots, *way))),
        Event::Converging { to, hosts } => {
            let text = format!("nginx hosts disagree: bringing {} to {to}", names(hosts));
            Some(("converge", text))
        }
        Event::LockRetaken { epoch } => {
            let text = format!(
                "our lease was over and nobody had come: took the locks again, epoch {}",
                epoch.0
            );
            Some(("lock", text))
        }
        Event::Refused { findings } => {
            let refused = findings
                .iter()
                .filter(|finding| finding.severity == Severity::Refusal);
            let text = format!("for {}, listed below", count(refused.count(), "reason"));
            Some(("refused", text))
        }
        Event::RunEnded { outcome, took, .. } => {
            Some(("end", format!("{outcome} after {}", duration(*took))))
        }
        _ => None,
    }
}

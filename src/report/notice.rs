//! What webhooks are told of a run: the moments that are worth a message, and the message itself, for Slack and
//! as plain JSON. Sending it is the command line's.

use serde_json::{Value, json};

use crate::model::drill::Drill;
use crate::model::event::Event;
use crate::model::finding::Severity;
use crate::model::names::HostName;
use crate::model::notify::{Moment, Service};
use crate::model::outcome::{Exit, Outcome};
use crate::model::run_view::{Planned, RunView, Start};
use crate::model::secret::Secrets;
use crate::report::harmless::harmless;
use crate::report::text::{advice, failure, outcome, problem};
use crate::report::units::{count, duration};

/// How many hosts of a kind are named.
const HOSTS: usize = 10;
/// How many reasons are given.
const REASONS: usize = 5;

/// What an event is to those outside, where it is anything.
pub fn moment(event: &Event) -> Option<Moment> {
    match event {
        Event::Planned { .. } => Some(Moment::Start),
        Event::RunEnded { outcome, exit, .. } => Some(ending(*outcome, *exit)),
        _ => None,
    }
}

fn ending(outcome: Outcome, exit: Exit) -> Moment {
    match (outcome, exit) {
        (Outcome::Waiting, Exit::Done) => Moment::Waiting,
        (_, Exit::Done) => Moment::Success,
        _ => Moment::Failure,
    }
}

/// The message, as the service takes it.
pub fn message(service: Service, moment: Moment, view: &RunView, secrets: &Secrets) -> Value {
    titled(service, moment, view, &headline(view), secrets)
}

fn titled(service: Service, moment: Moment, view: &RunView, headline: &str, secrets: &Secrets) -> Value {
    let mut message = match service {
        Service::Slack => slack(moment, view, headline),
        Service::Webhook => plain(moment, view, headline),
    };
    secrets.hide_in(&mut message);
    message
}

/// How a drill ended, which is more than how the last of its ways did.
#[derive(Debug, Clone)]
pub struct DrillEnd<'a> {
    /// What is on record of it.
    pub drill: &'a Drill,
    /// The same in a sentence.
    pub verdict: String,
    /// The exit code.
    pub exit: Exit,
}

/// The message that a drill has begun; `view` is that of its first way.
pub fn drill_began(service: Service, view: &RunView, secrets: &Secrets) -> Value {
    let plan = view.plan.as_ref();
    let earlier = plan.map_or_else(String::new, |plan| {
        format!(": back to {}, and forward again", plan.release)
    });
    let headline = format!("{}drill begins{earlier}", app(view));
    titled(service, Moment::Start, view, &headline, secrets)
}

/// The message that a drill has ended; `view` is that of its last way.
pub fn drill_ended(service: Service, view: &RunView, end: &DrillEnd<'_>, secrets: &Secrets) -> Value {
    let headline = format!("{}{}", app(view), end.verdict);
    let mut message = titled(service, drill_moment(end.exit), view, &headline, secrets);
    if let (Service::Webhook, Some(fields)) = (service, message.as_object_mut()) {
        fields.insert("exit_code".to_owned(), json!(end.exit.code()));
        fields.insert("drill".to_owned(), json!(end.drill));
    }
    message
}

/// What the end of a drill is to those outside.
pub fn drill_moment(exit: Exit) -> Moment {
    match exit {
        Exit::Done => Moment::Success,
        _ => Moment::Failure,
    }
}

fn plain(moment: Moment, view: &RunView, headline: &str) -> Value {
    let start = view.start.as_ref();
    let plan = view.plan.as_ref();
    let end = view.end.as_ref();
    let without = view.left_out.as_ref().map(|(was, nginx)| was | nginx);
    let live = end.and_then(|end| end.live.as_ref());
    json!({
        "moment": moment,
        "text": headline,
        "app": start.map(|start| &start.app),
        "run": start.map(|start| &start.run),
        "command": start.map(|start| harmless(&start.owner.command)),
        "who": start.map(|start| harmless(&start.owner.who)),
        "place": start.map(|start| harmless(&start.owner.place)),
        "build_url": build(view),
        "at": start.map(|start| start.at),
        "was": start.map(|start| &start.was),
        "nginx": start.map(|start| &start.nginx),
        "without": without.unwrap_or_default(),
        "from_slot": plan.and_then(|plan| plan.from.as_ref()),
        "to_slot": plan.map(|plan| &plan.to),
        "from_release": plan.and_then(|plan| plan.from_release.as_ref()),
        "release": plan.map(|plan| &plan.release),
        "live_release": live,
        "live_slot": end.and_then(|end| end.live_slot.as_ref()),
        "outcome": end.map(|end| end.outcome),
        "exit_code": end.map(|end| end.exit.code()),
        "took_seconds": end.map(|end| end.took.as_secs_f64()),
        "reasons": reasons(view),
    })
}

/// One line for people and one attachment with the rest, which Mattermost, Rocket.Chat and Discord know as well.
fn slack(moment: Moment, view: &RunView, headline: &str) -> Value {
    let mut lines = Vec::new();
    if let Some(end) = view.end.as_ref() {
        lines.extend(outcome::state_of_the_fleet(view, end));
    }
    lines.extend(reasons(view).into_iter().map(|reason| format!("• {reason}")));
    if moment == Moment::Waiting {
        let next = advice::waiting(view).into_iter();
        lines.extend(next.map(|advice| format!("`{}` {}", advice.command, advice.purpose)));
    }
    lines.extend(view.plan.as_ref().map(switch));
    lines.extend(view.start.as_ref().map(hosts));
    let lines = lines.into_iter().map(|line| escaped(&line));
    let mut lines: Vec<String> = lines.collect();
    if let Some(start) = &view.start {
        let who = escaped(&harmless(&format!("{}@{}", start.owner.who, start.owner.place)));
        let build = build(view).map_or_else(String::new, |url| format!(" · {}", link(&url)));
        lines.push(format!("by {who}{build}"));
    }
    let color = match moment {
        Moment::Start => "#439FE0",
        Moment::Success => "good",
        Moment::Failure => "danger",
        Moment::Waiting => "warning",
    };
    json!({
        "text": escaped(headline),
        "attachments": [{ "color": color, "fallback": headline, "text": lines.join("\n") }],
    })
}

fn headline(view: &RunView) -> String {
    let app = app(view);
    let command = view
        .start
        .as_ref()
        .map_or("run", |start| start.owner.command.as_str());
    let command = harmless(command);
    let release = view.plan.as_ref().map(|plan| &plan.release);
    let Some(end) = &view.end else {
        let release = release.map_or_else(String::new, |release| format!(" of {release}"));
        return format!("{app}{command}{release} begins");
    };
    let release = release.map_or_else(String::new, |release| format!(", {release}"));
    let took = duration(end.took);
    format!("{app}{}{release} ({took})", outcome::headline(view, end))
}

fn app(view: &RunView) -> String {
    let start = view.start.as_ref();
    start.map_or_else(String::new, |start| format!("{}: ", start.app))
}

fn switch(plan: &Planned) -> String {
    let from = match (&plan.from, &plan.from_release) {
        (Some(slot), Some(release)) => format!("{slot} ({release})"),
        (Some(slot), None) => slot.to_string(),
        (None, _) => "nothing".to_owned(),
    };
    format!("from {from} to {} ({})", plan.to, plan.release)
}

fn hosts(start: &Start) -> String {
    format!("{} behind {}", names(start.was.iter()), names(start.nginx.iter()))
}

fn names<'a>(hosts: impl ExactSizeIterator<Item = &'a HostName>) -> String {
    let more = hosts.len().saturating_sub(HOSTS);
    let mut names: Vec<String> = hosts.take(HOSTS).map(ToString::to_string).collect();
    if more > 0 {
        names.push(count(more, "more host"));
    }
    names.join(", ")
}

/// Why it did not go as it should, the worst first; one line each.
fn reasons(view: &RunView) -> Vec<String> {
    let refusals = view.refusals.iter();
    let refusals = refusals.filter(|finding| finding.severity == Severity::Refusal);
    let refusals: Vec<String> = refusals
        .map(|finding| match &finding.host {
            Some(host) => format!("{host}: {}", problem::describe(&finding.problem)),
            None => problem::describe(&finding.problem),
        })
        .collect();
    // The findings of a refusal say the same as the failures that led to it.
    let mut reasons = if refusals.is_empty() {
        let failed = view.failures();
        let failed =
            failed.map(|(host, phase, failed)| format!("{host}, {phase}: {}", failure::describe(failed)));
        failed.collect()
    } else {
        refusals
    };
    let more = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    if more > 0 {
        reasons.push(format!("and {}", count(more, "more reason")));
    }
    reasons
}

fn build(view: &RunView) -> Option<String> {
    let start = view.start.as_ref()?;
    start.owner.build_url.as_ref().map(|url| harmless(url))
}

/// What Slack reads as markup or as a call to somebody is shown as it stands
/// (<https://api.slack.com/reference/surfaces/formatting#escaping>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn link(url: &str) -> String {
    let plain = url.starts_with("http://") || url.starts_with("https://");
    if plain && !url.contains(['|', '<', '>', ' ']) {
        format!("<{}|build>", escaped(url))
    } else {
        escaped(url)
    }
}

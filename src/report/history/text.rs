//! The history as people read it: run by run, the newest last, where the prompt is. What several hosts
//! did alike is one line.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::model::names::{HostName, RunId};
use crate::report::harmless::harmless;
use crate::report::output::Palette;
use crate::report::{table, units};

use super::{Entry, History, Run};

/// Steps that are further apart are not told as one.
const TOGETHER_SECONDS: i64 = 60;
/// How much of what was touched is shown.
const TOUCHED_LIMIT: usize = 120;

/// The history as people read it, with the times of day of `zone`.
pub fn render(history: &History, palette: Palette, zone: &TimeZone) -> String {
    let mut lines = Vec::new();
    for run in &history.runs {
        lines.push(palette.heading(&heading(run, &history.runs, zone)));
        lines.extend(steps(run, zone).into_iter().map(|line| format!("  {line}")));
        lines.push(String::new());
    }
    if history.runs.is_empty() {
        lines.push("No host has anything on record.".to_owned());
    }
    lines.extend(skipped(&history.skipped));
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn heading(run: &Run, runs: &[Run], zone: &TimeZone) -> String {
    let name = run.run.as_ref().map_or("outside any run", |run| run.as_str());
    let who: BTreeSet<&str> = run
        .entries
        .iter()
        .map(|entry| entry.who.as_str())
        .filter(|who| !who.is_empty())
        .collect();
    let who = harmless(&who.into_iter().collect::<Vec<_>>().join(", "));
    let text = |name| {
        run.entries
            .iter()
            .find_map(|entry| entry.text(name))
            .map(harmless)
    };
    let command = text("command").map_or_else(String::new, |command| format!("  {command}"));
    let place = text("place").map_or_else(String::new, |place| format!("@{place}"));
    let by = if who.is_empty() {
        String::new()
    } else {
        format!(" by {who}{place}")
    };
    let hosts: BTreeSet<&HostName> = run.entries.iter().map(|entry| &entry.host).collect();
    let hosts = units::count(hosts.len(), "host");
    let began = run.began().map_or_else(String::new, |began| day(began, zone));
    format!(
        "{began}  {name}{command}{by}, {hosts}{}{}",
        went_on_with(run),
        last_phase(run, runs)
    )
}

fn went_on_with(run: &Run) -> String {
    let others: Vec<_> = run.went_on_with.iter().map(ToString::to_string).collect();
    match others.len() {
        0 => String::new(),
        _ => format!(", went on with {}", others.join(", ")),
    }
}

/// How far the run came, as it was written down last, by itself or by whoever went on with it: a run that
/// died is told by its not having ended.
fn last_phase(run: &Run, runs: &[Run]) -> String {
    let name = run.run.as_ref();
    let went_on = |other: &&Run| name.is_some_and(|name| other.went_on_with.contains(name));
    let of_it = |entry: &&Entry| entry.goes_on_with() == name.map(RunId::as_str);
    let by_others = runs.iter().rev().find(went_on).and_then(|other| {
        let written = other.entries.iter().rev().find(of_it)?;
        Some((written, format!(" by {}", other.run.as_ref()?)))
    });
    let is_own = |entry: &&Entry| entry.event == "record" && entry.goes_on_with().is_none();
    let own = || Some((run.entries.iter().rev().find(is_own)?, String::new()));
    let Some((written, by)) = by_others.or_else(own) else {
        return String::new();
    };
    match (written.text("status"), written.text("phase")) {
        (Some("done"), _) => format!(", ended{by}"),
        (Some("waiting"), _) if ended_by_its_hosts(run) => ", ended by its hosts".to_owned(),
        (Some("waiting"), Some(phase)) => format!(", waits after its phase {}{by}", harmless(phase)),
        (Some(_), Some(phase)) => format!(", NOT ENDED: last phase {}{by}", harmless(phase)),
        _ => String::new(),
    }
}

/// Whether every host that was left the end of its old instance has ended it by itself.
fn ended_by_its_hosts(run: &Run) -> bool {
    let hosts = |is: fn(&Entry) -> bool| {
        let entries = run.entries.iter().filter(|entry| is(entry));
        entries.map(|entry| &entry.host).collect::<BTreeSet<_>>()
    };
    let left = hosts(|entry| entry.event == "set_timer" && entry.result == "set");
    let ended = hosts(|entry| {
        let is_end = matches!(entry.result.as_str(), "terminated" | "killed" | "already_gone");
        entry.event == "timer" && is_end
    });
    !left.is_empty() && left.is_subset(&ended)
}

/// What hosts did alike, at about the same time.
struct Group<'a> {
    first: &'a Entry,
    hosts: Vec<&'a HostName>,
}

impl Group<'_> {
    fn takes(&self, entry: &Entry) -> bool {
        let (first, apart) = (self.first, entry.time.as_second() - self.first.time.as_second());
        first.is_like(entry) && apart.abs() <= TOGETHER_SECONDS && !self.hosts.contains(&&entry.host)
    }
}

fn groups(run: &Run) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for entry in &run.entries {
        // A host's line never moves before another one of its own.
        let after = groups
            .iter()
            .rposition(|group| group.hosts.contains(&&entry.host))
            .map_or(0, |last| last + 1);
        match groups[after..].iter_mut().rev().find(|group| group.takes(entry)) {
            Some(group) => group.hosts.push(&entry.host),
            None => groups.push(Group {
                first: entry,
                hosts: vec![&entry.host],
            }),
        }
    }
    groups
}

fn steps(run: &Run, zone: &TimeZone) -> Vec<String> {
    let row = |group: Group<'_>| {
        let mut hosts = group.hosts;
        hosts.sort();
        let hosts: Vec<_> = hosts.into_iter().map(HostName::as_str).collect();
        [
            group
                .first
                .time
                .to_zoned(zone.clone())
                .strftime("%H:%M:%S")
                .to_string(),
            hosts.join(", "),
            harmless(&group.first.event),
            harmless(&group.first.result),
            touched(&group.first.touched),
        ]
    };
    table::aligned(&groups(run).into_iter().map(row).collect::<Vec<_>>())
}

fn touched(touched: &BTreeMap<String, Value>) -> String {
    let word = |(key, value): (&String, &Value)| match value {
        Value::String(text) if text.is_empty() => None,
        Value::Null => None,
        Value::String(text) => Some(format!("{key} {}", shortened(text))),
        value => Some(format!("{key} {value}")),
    };
    let words: Vec<_> = touched.iter().filter_map(word).collect();
    let text = harmless(&words.join(", "));
    if text.chars().count() <= TOUCHED_LIMIT {
        return text;
    }
    text.chars().take(TOUCHED_LIMIT).chain(['…']).collect()
}

/// A digest by its beginning: nobody compares the rest by eye.
fn shortened(text: &str) -> &str {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest { &text[..12] } else { text }
}

fn day(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

fn skipped(skipped: &BTreeMap<HostName, u32>) -> Vec<String> {
    let line = |(host, count): (&HostName, &u32)| {
        let lines = units::count(*count as usize, "unreadable line");
        format!("{host}: {lines} left out")
    };
    skipped.iter().map(line).collect()
}

//! The status as people read it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::live::Share;
use crate::model::lock::LockState;
use crate::model::names::{HostName, ReleaseId, SlotName};
use crate::model::plan::{By, WayBack};
use crate::report::output::Palette;
use crate::report::text::{event, interrupted, token, waiting};
use crate::report::{findings, harmless, table, units};

use super::{LiveSlot, OpenRun, RunState, SlotState, SlotStatus, Status};

/// The status as people read it.
pub fn render(status: &Status, palette: Palette) -> String {
    let mut lines = vec![headline(status, palette), String::new()];
    lines.extend(hosts(status, palette));
    let mut section = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.push(String::new());
            lines.push(palette.heading(title));
            lines.extend(body.into_iter().map(|line| format!("  {line}")));
        }
    };
    section("locks", locks(status));
    if let Some(run) = &status.open_run {
        section(run_title(run), run_lines(status, run));
    }
    section("releases", releases(status));
    let found = findings::render(&status.findings, palette);
    section("findings", found.lines().map(str::to_owned).collect());
    lines.push(String::new());
    lines.push(way_back(status));
    lines.join("\n") + "\n"
}

fn headline(status: &Status, palette: Palette) -> String {
    let with = |slot: &SlotName| {
        let release = status.release_of(slot);
        release.map_or_else(String::new, |release| format!(" with {release}"))
    };
    let text = match &status.live {
        LiveSlot::Uniform { slot } => palette.good(&format!("{slot} is live{}", with(slot))),
        LiveSlot::Nothing => "nothing is live yet".to_owned(),
        LiveSlot::Between { slot } => {
            format!("{slot}{} shares the traffic with the other slot", with(slot))
        }
        LiveSlot::Mixed => palette.bad("MIXED: nginx hosts disagree on the live slot"),
        LiveSlot::Incomplete { slot } => {
            let known = match slot {
                Some(slot) => format!("; {slot} is live on the others{}", with(slot)),
                None => String::new(),
            };
            palette.bad(&format!("NOT KNOWN: not every nginx host could be read{known}"))
        }
    };
    format!("{}: {text}", status.app)
}

/// What each host runs and routes to, a line a slot.
pub(in crate::report) fn hosts(status: &Status, palette: Palette) -> Vec<String> {
    let mut rows: Vec<[String; 5]> = Vec::new();
    for (host, nginx) in &status.nginx {
        let slot = nginx.slot.as_ref();
        let mut routes = slot.map_or_else(
            || "routes to no slot".to_owned(),
            |slot| match nginx.share {
                Share::Whole => format!("routes to {slot}"),
                Share::Between => format!("routes to {slot} and to the other slot"),
                Share::Part => format!("routes to some hosts of {slot}"),
            },
        );
        if let Some(file) = &nginx.takes_over {
            routes = format!("{routes}, by {}", harmless::harmless(file));
        }
        if let Some(seen) = &nginx.token {
            routes = format!("{routes}; {}", token::found(seen));
        }
        if !nginx.runs {
            routes = palette.bad("nginx does not run");
        }
        let blank = String::new();
        rows.push([host.to_string(), "nginx".to_owned(), blank.clone(), blank, routes]);
    }
    for (host, was) in &status.was {
        let mut name = host.to_string();
        for (slot, seen) in &was.slots {
            let mark = if status.live_slot() == Some(slot) {
                palette.good("live")
            } else {
                String::new()
            };
            let port = format!("{slot} {}", seen.port);
            rows.push([std::mem::take(&mut name), port, mark, process(seen), what(seen)]);
        }
    }
    let unasked = status.unasked.iter().map(|host| {
        let blank = String::new;
        [
            host.to_string(),
            blank(),
            blank(),
            blank(),
            palette.bad("could not be asked"),
        ]
    });
    rows.extend(unasked);
    let left_out = status.left_out.iter().map(|host| {
        let blank = String::new;
        let text = "left out, by your word".to_owned();
        [host.to_string(), blank(), blank(), blank(), text]
    });
    rows.extend(left_out);
    table::aligned(&rows)
}

fn process(seen: &SlotStatus) -> String {
    match (seen.state, seen.pid) {
        (SlotState::Empty, _) => "-".to_owned(),
        (_, Some(pid)) => format!("pid {pid}"),
        (_, None) => "pid unknown".to_owned(),
    }
}

fn what(seen: &SlotStatus) -> String {
    let release = seen
        .release
        .as_ref()
        .map_or_else(String::new, ToString::to_string);
    let connections = units::count(seen.connections as usize, "connection");
    match seen.state {
        SlotState::Ours => format!("{release}, {connections}"),
        SlotState::Foreign => format!("a process that nonstop did not start, {connections}"),
        SlotState::NotListening => format!("{release}, runs and does not listen"),
        SlotState::Unfinished => "of a start that is under way, or was cut off".to_owned(),
        SlotState::Empty => "empty".to_owned(),
    }
}

/// Who holds the locks of which hosts, and until when, a holder a line.
pub fn locks(status: &Status) -> Vec<String> {
    let mut holders: BTreeMap<String, (Vec<&str>, &LockState)> = BTreeMap::new();
    for (host, lock) in &status.locks {
        let (hosts, longest) = holders
            .entry(event::holder(lock))
            .or_insert_with(|| (Vec::new(), lock));
        hosts.push(host.as_str());
        // All of them are free when the last one is.
        if longest
            .lease_left
            .is_some_and(|left| lock.lease_left.is_none_or(|other| other > left))
        {
            *longest = lock;
        }
    }
    let line = |(holder, (hosts, longest)): (String, (Vec<&str>, &LockState))| {
        format!("{}: {holder}; {}", hosts.join(", "), token::lease(longest))
    };
    holders.into_iter().map(line).collect()
}

fn run_title(run: &OpenRun) -> &'static str {
    match run.state {
        RunState::AtWork => "run at work",
        RunState::Waits { .. } => "run that waits",
        RunState::BeingFinished | RunState::Interrupted { .. } => "run that never ended",
    }
}

fn run_lines(status: &Status, run: &OpenRun) -> Vec<String> {
    let record = &run.record;
    match run.state {
        RunState::AtWork => {
            let owner = &record.owner;
            let text = format!(
                "run {} of {}@{} ({}) is in its phase {}",
                record.place().0,
                owner.who,
                owner.place,
                owner.command,
                record.phase
            );
            vec![harmless::harmless(&text)]
        }
        RunState::BeingFinished => vec![format!(
            "{}; whoever holds the locks finishes it",
            interrupted::what(record)
        )],
        RunState::Waits {
            reached,
            switches,
            percent,
        } => {
            let mut lines = waiting::lines(record, reached, switches, percent);
            let timers = run.timers.iter();
            lines.extend(timers.map(|(host, timer)| waiting::timer(host, timer)));
            lines.extend(without_timer(status, run));
            lines
        }
        RunState::Interrupted { way, slots } => vec![
            interrupted::what(record),
            format!(
                "nonstop resume  {}",
                interrupted::way_on(record, &run.tokens, slots, way)
            ),
        ],
    }
}

/// Hosts that were asked, and have nothing left of the hour that the run left them.
fn without_timer(status: &Status, run: &OpenRun) -> Vec<String> {
    let window = run.record.window.as_ref();
    let hosts = window.iter().flat_map(|window| &window.hosts);
    let silent = |host: &&HostName| !run.timers.contains_key(*host) && status.was.contains_key(*host);
    hosts.filter(silent).map(waiting::without_timer).collect()
}

fn releases(status: &Status) -> Vec<String> {
    let mut kept: BTreeMap<&ReleaseId, (Vec<&str>, &str)> = BTreeMap::new();
    for (host, was) in &status.was {
        for release in &was.releases {
            let entry = kept.entry(&release.id).or_default();
            entry.0.push(host.as_str());
            if release.failed {
                entry.1 = "failed";
            } else if release.taken_back && entry.1.is_empty() {
                entry.1 = "taken back";
            }
        }
    }
    let row = |(id, (hosts, mark)): (&ReleaseId, (Vec<&str>, &str))| {
        let place = if hosts.len() == status.was.len() {
            String::new()
        } else {
            format!("only on {}", hosts.join(", "))
        };
        let runs = status
            .live_slot()
            .is_some_and(|slot| status.release_of(slot) == Some(id));
        [id.to_string(), if runs { "live" } else { mark }.to_owned(), place]
    };
    table::aligned(&kept.into_iter().rev().map(row).collect::<Vec<_>>())
}

fn way_back(status: &Status) -> String {
    let state = status.open_run.as_ref().map(|run| run.state);
    if status.is_mixed() {
        return format!(
            "Both slots must stay up until every nginx host routes to one of them{}",
            out_of_mixed(status, state)
        );
    }
    match state {
        None => {}
        Some(RunState::AtWork | RunState::BeingFinished) => {
            return "A run is at work: what there is to go back to is known when it is over.".to_owned();
        }
        Some(RunState::Waits { .. }) if in_window(status) => {
            return "`nonstop rollback` is one switch back while every host has the old slot up; `nonstop promote` stops it \
                    now; nothing else begins until then."
                .to_owned();
        }
        Some(RunState::Waits { .. }) => {
            return "`nonstop promote` lets that run go on, `nonstop rollback` takes it back; nothing else begins \
                    until then."
                .to_owned();
        }
        Some(RunState::Interrupted { .. }) => {
            return "`nonstop resume` finishes that run; a deploy or a rollback starts from it as well."
                .to_owned();
        }
    }
    if !status.unasked.is_empty() || matches!(status.live, LiveSlot::Incomplete { .. }) {
        return "What there is to go back to is known when every host can be asked.".to_owned();
    }
    if status.live_slot().is_none() {
        return "`nonstop deploy` is the first step.".to_owned();
    }
    let Some(WayBack { slot, release, by }) = &status.way_back else {
        let all = status.was.values().flat_map(|was| &was.releases);
        let mut others = all.filter(|kept| kept.taken_back && !kept.failed);
        return if others.next().is_some() {
            "There is no release to go back to that was not taken back; `nonstop rollback --to RELEASE` leads to one that was.".to_owned()
        } else {
            "There is no earlier release to go back to.".to_owned()
        };
    };
    match by {
        By::Switch => format!("`nonstop rollback` is an instant switch back to {slot} with {release}."),
        By::Start => format!("`nonstop rollback` starts {release} again and switches to it."),
        By::HostByHost => format!("`nonstop rollback` starts {release} again, host by host."),
    }
}

fn in_window(status: &Status) -> bool {
    let run = status.open_run.as_ref();
    run.is_some_and(|run| run.record.window.is_some())
}

fn out_of_mixed(status: &Status, state: Option<RunState>) -> String {
    match state {
        Some(RunState::AtWork | RunState::BeingFinished) => "; that run is at work on it.".to_owned(),
        Some(RunState::Waits { .. }) => ": `nonstop rollback` takes the run back that waits.".to_owned(),
        Some(RunState::Interrupted { .. }) => ": `nonstop resume` brings them together.".to_owned(),
        None => {
            let slots: BTreeSet<_> = status
                .nginx
                .values()
                .filter_map(|nginx| nginx.slot.as_ref())
                .collect();
            let commands: Vec<_> = slots
                .into_iter()
                .map(|slot| format!("`nonstop resume --to {slot}`"))
                .collect();
            format!(": {} brings them together.", commands.join(" or "))
        }
    }
}

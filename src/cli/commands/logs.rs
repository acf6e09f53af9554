//! `nonstop logs`: the end of the application's log on every WAS host.

use futures::future::join_all;

use crate::cli::Ended;
use crate::cli::args::{Common, Logs};
use crate::cli::console;
use crate::cli::failure::CliError;
use crate::cli::project::Project;
use crate::model::live::Live;
use crate::model::names::{HostName, SlotName};
use crate::model::outcome::Exit;
use crate::remote::answer::{Answer, LogEnd};
use crate::remote::command::{Command, LogTail};
use crate::report::findings;
use crate::report::harmless::harmless_tail;

use super::reading;

pub(super) async fn run(common: &Common, logs: &Logs) -> Ended {
    let mut project = Project::load_limited(common)?;
    if let Some(host) = &logs.host
        && !project.config.topology.was.contains_key(host)
    {
        return Err(CliError::Usage(format!(
            "`{host}` is no WAS host of this playbook"
        )));
    }
    if let Some(slot) = logs
        .slot
        .as_ref()
        .filter(|slot| project.config.playbook.slot(slot).is_none())
    {
        return Err(CliError::Usage(format!("the playbook has no slot `{slot}`")));
    }
    let wanted = |host: &HostName| logs.host.as_ref().is_none_or(|only| only == host);
    project.config.topology.was.retain(|host, _| wanted(host));
    let topology = &project.config.topology;
    let reading = reading::read(common, &project).await;
    let live = Live::read(topology, &reading.observed)
        .agreed()
        .ok()
        .and_then(|agreed| agreed.slot);
    let slot: Option<&SlotName> = logs.slot.as_ref().or(live.as_ref());
    if slot.is_none() {
        console::say("nothing is live, or the nginx hosts disagree: name a slot with --slot");
    }
    let tails = join_all(
        topology
            .was
            .keys()
            .filter(|host| reading.observed.hosts.contains_key(*host))
            .map(|host| {
                let slot = slot.cloned();
                let crew = &reading.crew;
                async move {
                    let command = Command::LogTail(LogTail {
                        slot: slot?,
                        lines: logs.lines,
                    });
                    match crew.call(host, command).await {
                        Ok(Answer::LogTail(end)) => Some((host, end)),
                        _ => Some((host, None)),
                    }
                }
            }),
    )
    .await;
    for (host, end) in tails.into_iter().flatten() {
        console::print(&section(host, slot, end, logs.lines));
    }
    if reading.missing.is_empty() && slot.is_some() {
        return Ok(Exit::Done);
    }
    console::say(&findings::render(&reading.missing, console::palette(common)));
    Ok(Exit::Refused)
}

fn section(host: &HostName, slot: Option<&SlotName>, end: Option<LogEnd>, lines: u32) -> String {
    let slot = slot.map(SlotName::as_str).unwrap_or_default();
    match end {
        None => format!("==> {host} {slot}: no log of a process that nonstop started\n"),
        Some(end) => {
            let lines = harmless_tail(&end.text, usize::try_from(lines).unwrap_or(usize::MAX));
            format!("==> {host} {slot} {}\n{}\n", end.place, lines.join("\n"))
        }
    }
}

//! `nonstop history`: the audit trails of all hosts, merged by run.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::tz::TimeZone;

use crate::cli::Ended;
use crate::cli::args::{Common, History as Wanted};
use crate::cli::console;
use crate::cli::failure::CliError;
use crate::cli::project::Project;
use crate::engine::crew::Crew;
use crate::engine::fleet::CallError;
use crate::engine::opening::findings_of;
use crate::model::finding::Finding;
use crate::model::names::HostName;
use crate::model::outcome::Exit;
use crate::reach::ReachedHost;
use crate::remote::answer::Answer;
use crate::remote::command::{Audit, Command};
use crate::report::findings;
use crate::report::history::{History, render};

use super::reading;

/// How many lines every host is asked for: some hundred runs.
const LINES: u32 = 5_000;

/// What the hosts that could be asked have on record.
pub(super) struct Read {
    pub(super) history: History,
    /// Why others could not be asked.
    pub(super) missing: Vec<Finding>,
}

/// Asks every host.
pub(super) async fn read(common: &Common) -> Result<Read, CliError> {
    let project = Project::load_limited(common)?;
    let (crew, mut missing) = reading::reach(common, &project).await;
    let (answers, failed) = trails(&crew).await;
    missing.extend(findings_of(failed));
    let history = History::merge(&answers);
    Ok(Read { history, missing })
}

/// Says which hosts are missing, and how a command ends that could not ask them.
pub(super) fn missing(common: &Common, missing: &[Finding]) -> Exit {
    if missing.is_empty() {
        return Exit::Done;
    }
    console::say(&findings::render(missing, console::palette(common)));
    Exit::Refused
}

pub(super) async fn run(common: &Common, wanted: &Wanted) -> Ended {
    let Read {
        mut history,
        missing: unasked,
    } = read(common).await?;
    let found = if let Some(run) = &wanted.run {
        history.keep_run(run)
    } else {
        history.keep_newest(usize::try_from(wanted.runs).unwrap_or(usize::MAX));
        true
    };
    if common.json {
        let answer = serde_json::json!({ "history": history, "missing": unasked });
        console::print_json(&answer)?;
    } else if found {
        let zone = TimeZone::system();
        console::print(&render(&history, console::stdout_palette(common), &zone));
    }
    let exit = missing(common, &unasked);
    match &wanted.run {
        Some(run) if !found => Err(CliError::Refused {
            message: format!("no host that was asked has run `{run}` on record"),
            hint: Some("`nonstop history -n 50` lists the runs with their names".to_owned()),
        }),
        _ => Ok(exit),
    }
}

/// The end of every host's trail, and why some could not be read.
async fn trails(crew: &Crew<ReachedHost>) -> (BTreeMap<HostName, String>, BTreeMap<HostName, CallError>) {
    let ask = |host: &HostName| {
        let host = host.clone();
        async move {
            let answer = match crew.call(&host, Command::Audit(Audit { lines: LINES })).await {
                Ok(Answer::Audit(text)) => Ok(text),
                Ok(other) => Err(crate::engine::crew::unexpected(&other)),
                Err(error) => Err(error),
            };
            (host, answer)
        }
    };
    let (mut answers, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for (host, answer) in join_all(crew.hosts().map(ask)).await {
        match answer {
            Ok(text) => {
                answers.insert(host, text);
            }
            Err(error) => {
                failed.insert(host, error);
            }
        }
    }
    (answers, failed)
}

//! `nonstop resume`: finishes a run that was interrupted, from any machine; with `--to`, brings nginx
//! hosts together that disagree.

use std::io::{IsTerminal, Write};

use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, HookAt, Resume};
use crate::cli::console;
use crate::cli::failure::CliError;
use crate::cli::identity;
use crate::cli::project::{Project, refuse_limit};
use crate::engine::run::{Wanted, make_plan};
use crate::model::hook::{HookWord, Recall};
use crate::model::names::SlotName;
use crate::model::outcome::Exit;
use crate::report::plan as text;

use super::{plan, reading};

/// What a person answered.
enum Answer {
    Yes,
    /// They did not want it, or it cannot be done: nothing was changed.
    No(Exit),
}

pub(super) async fn run(common: &Common, resume: &Resume) -> Ended {
    refuse_limit(common, "resume")?;
    let project = Project::load_without(common, &resume.changing.leaving)?;
    let Some(to) = &resume.to else {
        let words = words(resume, &project)?;
        return super::run::resumed(common, &resume.changing, &project, words).await;
    };
    if project.config.playbook.slot(to).is_none() {
        return Err(CliError::Usage(format!("the playbook has no slot `{to}`")));
    }
    if !resume.yes
        && let Answer::No(exit) = ask(common, &project, to).await?
    {
        return Ok(exit);
    }
    let wanted = Wanted::Converge { to: to.clone() };
    super::run::run(common, &resume.changing, "resume", &project, wanted).await
}

/// What a person says of hooks of which nobody knows how they ended.
fn words(resume: &Resume, project: &Project) -> Result<Vec<HookWord>, CliError> {
    let said = |at: &HookAt, recall| HookWord {
        hook: at.hook,
        host: at.host.clone(),
        recall,
    };
    let done = resume.hook_done.iter().map(|at| said(at, Recall::Done));
    let again = resume.hook_again.iter().map(|at| said(at, Recall::Again));
    let words: Vec<HookWord> = done.chain(again).collect();
    for word in &words {
        let hook = word.hook;
        if project.config.playbook.hooks.get(hook).is_none() {
            return Err(CliError::Usage(format!("the playbook has no hook `{hook}`")));
        }
        let other =
            |other: &HookWord| other.hook == hook && other.host == word.host && other.recall != word.recall;
        if words.iter().any(other) {
            let both = format!("hook `{hook}` cannot count as done and run again");
            return Err(CliError::Usage(both));
        }
    }
    Ok(words)
}

/// Shows what would be done, and asks.
async fn ask(common: &Common, project: &Project, to: &SlotName) -> Result<Answer, CliError> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(CliError::Usage(format!(
            "`resume --to` shows what it would do and asks, and there is no terminal: look with `nonstop status`, \
             then type `nonstop resume --to {to} --yes`"
        )));
    }
    let config = &project.config;
    let reading = reading::read(common, project).await;
    if !reading.missing.is_empty() {
        return plan::refuse(common, &reading.missing).map(Answer::No);
    }
    let planned = make_plan(
        &config.topology,
        &config.playbook,
        &reading.observed,
        &identity::run_id(),
        &Wanted::Converge { to: to.clone() },
        Timestamp::now(),
    );
    let planned = match planned {
        Ok(planned) => planned,
        Err(findings) => return plan::refuse(common, &findings).map(Answer::No),
    };
    let palette = console::stdout_palette(common);
    console::print(&text::render(
        &planned,
        &config.topology,
        &reading.observed,
        palette,
    ));
    drop(reading);
    Ok(confirmed(to))
}

fn confirmed(to: &SlotName) -> Answer {
    let mut out = std::io::stderr();
    let _ = write!(out, "Bring every nginx host to {to}? Type yes: ");
    let _ = out.flush();
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(_) if line.trim() == "yes" => Answer::Yes,
        _ => {
            console::say("not confirmed: nothing was changed");
            Answer::No(Exit::Refused)
        }
    }
}

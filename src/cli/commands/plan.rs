//! `nonstop plan`: what `deploy` would do now. Takes no lock and changes nothing.

use std::io::Write;

use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, Plan as Wish};
use crate::cli::console;
use crate::cli::project::{Project, refuse_limit};
use crate::cli::{artifact, identity};
use crate::engine::run::{Wanted, make_plan};
use crate::model::finding::Finding;
use crate::model::outcome::Exit;
use crate::report::{findings, plan as text};

use super::reading;

pub(super) async fn run(common: &Common, wish: &Wish) -> Ended {
    // A plan for a part of the fleet would show something that no deploy does.
    refuse_limit(common, "plan")?;
    let project = Project::load_without(common, &wish.leaving)?;
    let config = &project.config;
    let wanted = artifact::wanted(wish.jar.as_deref(), &config.playbook.artifact)?;
    reading::say_left_out(&project);
    let mut reading = reading::read(common, &project).await;
    if let Wanted::OnHosts(pattern) = &wanted {
        reading.look_for_jars(pattern).await;
    }
    if !reading.missing.is_empty() {
        return refuse(common, &reading.missing);
    }
    let (run, now) = (identity::run_id(), Timestamp::now());
    let plan = make_plan(
        &config.topology,
        &config.playbook,
        &reading.observed,
        &run,
        &wanted,
        now,
    );
    match plan {
        Err(findings) => refuse(common, &findings),
        Ok(plan) if common.json => {
            console::print_json(&plan)?;
            Ok(Exit::Done)
        }
        Ok(plan) => {
            let palette = console::stdout_palette(common);
            console::print(&text::render(&plan, &config.topology, &reading.observed, palette));
            let _ = std::io::stdout().flush();
            Ok(Exit::Done)
        }
    }
}

/// The reasons why there is no plan.
pub(super) fn refuse(common: &Common, found: &[Finding]) -> Ended {
    if common.json {
        let answer = serde_json::json!({ "refused": found });
        console::print_json(&answer)?;
    }
    console::say(&findings::render(found, console::palette(common)));
    Ok(Exit::Refused)
}

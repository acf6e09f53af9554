//! `nonstop status`: what runs where, and who is at work.

use crate::cli::Ended;
use crate::cli::args::{Common, Leaving};
use crate::cli::console;
use crate::cli::identity;
use crate::cli::project::Project;
use crate::model::outcome::Exit;
use crate::model::plan::{self, Scene};
use crate::report::{findings, status as text};

use super::reading;

pub(super) async fn run(common: &Common, leaving: &Leaving) -> Ended {
    let project = Project::load_for_reading(common, leaving)?;
    let topology = &project.config.topology;
    let reading = reading::read(common, &project).await;
    let way_back = plan::way_back(&Scene {
        topology,
        playbook: &project.config.playbook,
        observed: &reading.observed,
        run: &identity::run_id(),
    });
    let status = text::Status::read(topology, &reading.observed).with_way_back(way_back);
    if common.json {
        let answer = serde_json::json!({ "status": status, "missing": reading.missing });
        console::print_json(&answer)?;
    } else {
        console::print(&text::render(&status, console::stdout_palette(common)));
    }
    if reading.missing.is_empty() {
        // Hosts that disagree need a person, and whoever asked should not have to read to learn it.
        return Ok(if status.is_mixed() {
            Exit::Mixed
        } else {
            Exit::Done
        });
    }
    console::say(&findings::render(&reading.missing, console::palette(common)));
    Ok(Exit::Refused)
}

//! `nonstop check`: reads the files, offline.

use crate::cli::Ended;
use crate::cli::args::Common;
use crate::cli::console;
use crate::cli::project::Project;
use crate::config;
use crate::model::outcome::Exit;
use crate::report::units::count;

pub(super) fn run(common: &Common) -> Ended {
    let project = Project::load_limited(common)?;
    let (inventory, topology) = (&project.config.inventory, &project.config.topology);
    if common.json {
        console::print_json(&config::check_json(inventory, topology))?;
    } else {
        console::say(&format!(
            "{} and {} are fine: {} on {}, behind {}",
            common.inventory.display(),
            common.playbook.display(),
            topology.app,
            count(topology.was.len(), "WAS host"),
            count(topology.nginx.len(), "nginx host"),
        ));
    }
    // A note, for the files are right and others run them.
    for finding in project.webhooks().warnings {
        console::say(&format!("note: {}", finding.problem));
    }
    Ok(Exit::Done)
}

//! `nonstop doctor`: everything that would stand in the way of a deploy, of all hosts at once.

use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, Leaving};
use crate::cli::console;
use crate::cli::project::Project;
use crate::engine::examine;
use crate::model::finding::Severity;
use crate::model::outcome::Exit;
use crate::report::findings;

use super::reading;

pub(super) async fn run(common: &Common, leaving: &Leaving) -> Ended {
    let project = Project::load_for_reading(common, leaving)?;
    reading::say_left_out(&project);
    let reading = reading::read(common, &project).await;
    let context = reading.context(&project);
    let mut found = examine::examine(&context, &reading.observed, Timestamp::now()).await;
    found.extend(reading.missing.iter().cloned());
    found.extend(project.webhooks().warnings);
    found.sort_by(|one, other| (&one.host, other.severity).cmp(&(&other.host, one.severity)));
    if common.json {
        let answer = serde_json::json!({ "findings": found });
        console::print_json(&answer)?;
    } else {
        console::print(&findings::render(&found, console::stdout_palette(common)));
    }
    let refused = found.iter().any(|finding| finding.severity == Severity::Refusal);
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

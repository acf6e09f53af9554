//! `nonstop promote`: lets a run go on that waits for a person.

use crate::cli::Ended;
use crate::cli::args::{Common, Promote};
use crate::cli::project::{Project, refuse_limit};
use crate::engine::run::Wanted;
use crate::model::plan;

pub(super) async fn run(common: &Common, promote: &Promote) -> Ended {
    refuse_limit(common, "promote")?;
    let project = Project::load_without(common, &promote.changing.leaving)?;
    let how = if promote.full {
        plan::Promote::All
    } else {
        plan::Promote::Next
    };
    super::run::run(
        common,
        &promote.changing,
        "promote",
        &project,
        Wanted::Promote(how),
    )
    .await
}

//! `nonstop rollback`.

use crate::cli::Ended;
use crate::cli::args::{Common, Rollback};
use crate::cli::project::{Project, refuse_limit};
use crate::engine::run::Wanted;

pub(super) async fn run(common: &Common, rollback: &Rollback) -> Ended {
    refuse_limit(common, "rollback")?;
    let project = Project::load_without(common, &rollback.changing.leaving)?;
    let wanted = Wanted::Earlier(rollback.to.clone());
    super::run::run(common, &rollback.changing, "rollback", &project, wanted).await
}

//! `nonstop deploy`.

use crate::cli::Ended;
use crate::cli::args::{Common, Deploy};
use crate::cli::artifact;
use crate::cli::project::{Project, refuse_limit};

pub(super) async fn run(common: &Common, deploy: &Deploy) -> Ended {
    refuse_limit(common, "deploy")?;
    let project = Project::load_without(common, &deploy.changing.leaving)?;
    let wanted = artifact::wanted(deploy.jar.as_deref(), &project.config.playbook.artifact)?;
    super::run::run(common, &deploy.changing, "deploy", &project, wanted).await
}

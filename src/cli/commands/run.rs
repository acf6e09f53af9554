//! What deploy and rollback have in common: a run with reporters, signals and a verdict.

use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Changing, Common};
use crate::cli::console::{self, Ear};
use crate::cli::failure::CliError;
use crate::cli::project::Project;
use crate::cli::{identity, signals};
use crate::engine::run::{self, Request, Wanted};
use crate::report::text::leaving::{self, Deadlines};

/// Runs it to its end.
pub(super) async fn run(
    common: &Common,
    changing: &Changing,
    command: &str,
    project: &Project,
    wanted: Wanted,
) -> Ended {
    let began = Timestamp::now();
    let request = Request {
        topology: &project.config.topology,
        playbook: &project.config.playbook,
        wanted,
        run: identity::run_id(),
        owner: identity::owner(command, began),
        began,
        lock_wait: changing.lock_wait,
    };
    let fleet = project.fleet(common);
    let ear = Ear::new(common, changing, project)?;
    let events = |event| ear.hear(event);
    let verdict = signals::hearing(
        async |interrupt| {
            let run = Box::pin(run::run(&fleet, &request, interrupt, &events));
            ear.while_running(run).await
        },
        || {
            if ear.leave() {
                return;
            }
            let deadlines = Deadlines {
                lease: project.config.playbook.lock.lease,
                watch: project.config.playbook.watch.deadline,
            };
            console::say(&leaving::at_once(&request.run, deadlines));
        },
    );
    let verdict = verdict
        .await
        .map_err(|error| CliError::Internal(format!("cannot hear signals: {error}")))?;
    Ok(verdict.exit)
}

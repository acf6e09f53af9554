//! One file for each command.

mod check;
mod deploy;
mod doctor;
mod drill;
mod history;
pub(super) mod init;
mod lock;
mod logs;
mod plan;
mod promote;
mod reading;
mod resume;
mod rollback;
mod run;
mod show;
mod status;
mod unlock;

use super::Ended;
use super::args::{Args, Command};
use super::failure::CliError;

/// Runs the command of the command line.
pub(super) fn run(args: &Args) -> Ended {
    let common = &args.common;
    match &args.command {
        Command::DemoApp(app) => show::app(app),
        Command::Check => check::run(common),
        Command::Init(init) => init::run(common, init),
        Command::Demo(demo) => show::run(common, demo),
        Command::Deploy(deploy) => on_one_thread(deploy::run(common, deploy)),
        Command::Plan(plan) => on_one_thread(plan::run(common, plan)),
        Command::Rollback(rollback) => on_one_thread(rollback::run(common, rollback)),
        Command::Promote(promote) => on_one_thread(promote::run(common, promote)),
        Command::Resume(resume) => on_one_thread(resume::run(common, resume)),
        Command::Drill(drill) => on_one_thread(drill::run(common, drill)),
        Command::Status(leaving) => on_one_thread(status::run(common, leaving)),
        Command::Doctor(leaving) => on_one_thread(doctor::run(common, leaving)),
        Command::Lock(lock) => on_one_thread(lock::run(common, lock)),
        Command::Unlock(unlock) => on_one_thread(unlock::run(common, unlock)),
        Command::History(history) => on_one_thread(history::run(common, history)),
        Command::Logs(logs) => on_one_thread(logs::run(common, logs)),
    }
}

/// The engine lives on one thread: what it does is decided by answers and clock alone.
fn on_one_thread(command: impl Future<Output = Ended>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| CliError::Internal(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(command);
    // A passphrase prompt or a file read that nobody waits for any more must not hold us up.
    runtime.shutdown_background();
    ended
}

//! The show: real deploys on the embedded fleet under a stream of requests. It runs the very commands
//! that it prints, as children, so that what is seen is what a person would get.

mod jars;
mod stage;
mod steps;

use std::io;
use std::path::Path;
use std::time::Duration;

use super::fleet::{Application, Fleet, FleetError, FleetOptions, SERVER_NAME};
use super::traffic::{Traffic, TrafficOptions};
use crate::model::outcome::{Exit, Signal};
use jars::Jars;
use steps::{Step, Steps};

/// How many requests go by between two steps, so that each begins on a fleet at rest.
const BREATHER: u64 = 50;

/// Says why the show cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The fleet does not start.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// The jar given with `--jar` is none.
    #[error("`{0}` is not a jar: it does not end as a zip file does")]
    NoJar(String),
    /// A file, a process or a thread could not be made.
    #[error("failed to {what}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
    /// A signal came in the middle; [`show`] makes an exit code of it.
    #[error("interrupted")]
    Interrupted(Signal),
}

/// Runs the show, with the application inside nonstop or with a Spring Boot jar of the user's, and
/// prints it: progress to standard error, the table at the end to standard output.
///
/// Returns `Done` if every step ended as foretold, no request failed and nothing is left running, and
/// `Failed` otherwise.
pub fn show(jar: Option<&Path>) -> Result<Exit, DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed("set up the process"))?;
    let program = std::env::current_exe().map_err(failed("find this program"))?;
    let options = FleetOptions {
        program: program.clone(),
        application: match jar {
            Some(_) => Application::Java,
            None => Application::BuiltIn,
        },
    };
    let mut steps = Steps::new(program, &runtime)?;
    let fleet = Fleet::start(&options)?;
    stage::say(&format!(
        "Two WAS hosts and one nginx host on this machine, each behind an SSH server of its own.\n\
         Inventory, playbook and hosts lie in {} until the demo ends.",
        fleet.folder().display()
    ));
    let jars = Jars::write(&fleet.jars(), jar)?;
    let played = runtime.block_on(play(&fleet, &jars, &mut steps));
    // Before the fleet, which would take the applications away from under the requests.
    let summary = played.map(|traffic| traffic.map(Traffic::stop));
    let leftovers = fleet.stop();
    let summary = match summary {
        Ok(summary) => summary.unwrap_or_default(),
        Err(DemoError::Interrupted(signal)) if leftovers.is_empty() => {
            stage::say("interrupted; everything that the demo started has ended");
            return Ok(Exit::Signalled(signal));
        }
        Err(error) => return Err(error),
    };
    steps.print(&summary);
    for leftover in &leftovers {
        stage::say(&format!(
            "still running: pid {} ({})",
            leftover.pid, leftover.command
        ));
    }
    let all_well = steps.went_well() && summary.counts.failed == 0 && leftovers.is_empty();
    Ok(if all_well { Exit::Done } else { Exit::Failed })
}

/// Plays all steps, or up to the first that ends otherwise than foretold.
async fn play(fleet: &Fleet, jars: &Jars, steps: &mut Steps) -> Result<Option<Traffic>, DemoError> {
    let mut script = script(jars).into_iter();
    if let Some(first) = script.next() {
        steps.play(first, fleet, None).await?;
    }
    if !steps.went_well() {
        return Ok(None);
    }
    let options = jars.traffic(TrafficOptions::new(fleet.listener(), SERVER_NAME));
    stage::say(&format!(
        "\nFrom now on {} requests a second go to http://{} (Host: {SERVER_NAME}).",
        options.requests_per_second, options.address
    ));
    let traffic = Traffic::start(options).map_err(failed("start the requests"))?;
    for step in script {
        if !steps.went_well() {
            break;
        }
        steps.unless_interrupted(breathe(&traffic)).await?;
        steps.play(step, fleet, Some(&traffic)).await?;
    }
    steps.unless_interrupted(breathe(&traffic)).await?;
    Ok(Some(traffic))
}

fn script(jars: &Jars) -> Vec<Step> {
    vec![
        Step::deploy("deploy v1, the first one", &jars.first, 0),
        Step::deploy("deploy v2", &jars.second, 0),
        Step::deploy(jars.broken_title, &jars.broken, jars.broken_exit),
        Step::rollback("roll back to v1"),
    ]
}

async fn breathe(traffic: &Traffic) {
    let before = traffic.counts().await;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let since = traffic.counts().await - before;
        if since.served + since.failed >= BREATHER {
            return;
        }
    }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> DemoError {
    move |source| DemoError::Io { what, source }
}

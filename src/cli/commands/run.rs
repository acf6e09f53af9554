//! What commands that change the fleet have in common: a run with reporters, signals and a verdict.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::cli::Ended;
use crate::cli::args::{Changing, Common};
use crate::cli::console::{self, Ear, Voice};
use crate::cli::failure::CliError;
use crate::cli::probe::Prober;
use crate::cli::project::Project;
use crate::cli::{identity, signals};
use crate::engine::run::{self, Request, Verdict, Wanted};
use crate::model::deadline::Deadline;
use crate::model::event::Event;
use crate::model::hook::HookWord;
use crate::model::playbook::AfterBake;
use crate::report::text::leaving::{self, Deadlines};

/// What is asked for, and under which name.
pub(super) struct Asked<'a> {
    /// The command, as the lock shows it.
    pub(super) command: &'a str,
    /// The goal.
    pub(super) wanted: Wanted,
    /// How long to wait for the lock.
    pub(super) lock_wait: Duration,
    /// When it turns around at the latest.
    pub(super) turn: Option<Instant>,
    /// What a person says of hooks of which nobody knows how they ended.
    pub(super) hook_words: Vec<HookWord>,
}

/// Runs it to its end.
pub(super) async fn run(
    common: &Common,
    changing: &Changing,
    command: &str,
    project: &Project,
    wanted: Wanted,
) -> Ended {
    saying(common, changing, project, (command, wanted), Vec::new()).await
}

/// Resumes a run, with what a person says of its hooks.
pub(super) async fn resumed(
    common: &Common,
    changing: &Changing,
    project: &Project,
    hook_words: Vec<HookWord>,
) -> Ended {
    let asked = ("resume", Wanted::Resume);
    saying(common, changing, project, asked, hook_words).await
}

async fn saying(
    common: &Common,
    changing: &Changing,
    project: &Project,
    (command, wanted): (&str, Wanted),
    hook_words: Vec<HookWord>,
) -> Ended {
    let began = Instant::now();
    let deadline = deadline(changing.deadline, project, &wanted)?;
    let prober = Prober::start(&changing.probing).await?;
    let courier = console::courier(project);
    let ear = Ear::new(common, Some(changing), project, &Voice::Streams, courier)?;
    let asked = Asked {
        command,
        wanted,
        lock_wait: changing.lock_wait,
        turn: deadline.map(|it| began + it.forward()),
        hook_words,
    };
    let verdict = led(common, project, &ear, asked, &|_| {}).await;
    if let Some(prober) = prober {
        console::say(&prober.stop().await.to_string());
    }
    Ok(verdict?.exit)
}

const NO_DEADLINE: &str = "`--deadline` does not go with a single slot: its way back is a rolling run of its own, and \
                           takes as long as the way forward";

/// What a run with a deadline has of it.
///
/// Returns an error where it is too short for what the playbook waits for.
pub(super) fn deadline(
    whole: Option<Duration>,
    project: &Project,
    wanted: &Wanted,
) -> Result<Option<Deadline>, CliError> {
    let Some(whole) = whole else {
        return Ok(None);
    };
    let playbook = &project.config.playbook;
    if playbook.only_slot().is_some() {
        return Err(CliError::Usage(NO_DEADLINE.to_owned()));
    }
    let least = match wanted {
        Wanted::Earlier(_) | Wanted::Drill(_) | Wanted::Converge { .. } => Duration::ZERO,
        Wanted::Jar(_) | Wanted::OnHosts(_) | Wanted::Resume | Wanted::Promote(_) => {
            let bakes = match playbook.bake.then {
                AfterBake::LeftToHosts => Duration::ZERO,
                AfterBake::Stop | AfterBake::Keep => playbook.bake.duration,
            };
            playbook.health.min_healthy_time + bakes
        }
    };
    let deadline = Deadline::new(whole, least, playbook);
    deadline
        .map(Some)
        .map_err(|error| CliError::Usage(error.to_string()))
}

/// Leads a run to its end, with signals heard; `also` gets every event before the reporters do.
pub(super) async fn led(
    common: &Common,
    project: &Project,
    ear: &Ear,
    asked: Asked<'_>,
    also: &dyn Fn(&Event),
) -> Result<Verdict, CliError> {
    let began = Timestamp::now();
    let request = Request {
        topology: &project.config.topology,
        playbook: &project.config.playbook,
        wanted: asked.wanted,
        run: identity::run_id(),
        owner: identity::owner(asked.command, began),
        began,
        lock_wait: asked.lock_wait,
        hook_words: asked.hook_words,
    };
    let fleet = project.fleet(common);
    let events = |event| {
        also(&event);
        ear.hear(event);
    };
    let verdict = signals::hearing(
        async |interrupt| {
            let run = Box::pin(run::run(&fleet, &request, interrupt.until(asked.turn), &events));
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
    verdict
        .await
        .map_err(|error| CliError::Internal(format!("cannot hear signals: {error}")))
}

//! The streams: which reporter writes where, the log of -v, and errors before a run began.

use std::cell::RefCell;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use tracing_subscriber::EnvFilter;

use crate::model::event::{Event, Stamped};
use crate::report::json::JsonLines;
use crate::report::output::{Palette, Quiet};
use crate::report::plain::Plain;
use crate::report::progress::Progress;
use crate::report::{Reporter, Tee};

use super::args::Common;
use super::failure::CliError;

/// How often reporters get the time while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// Starts the log of -v.
pub(super) fn start_tracing(common: &Common) -> Result<(), CliError> {
    let level = match common.verbose {
        0 if common.log_file.is_none() => return Ok(()),
        0 | 1 => "nonstop=info,warn",
        2 => "nonstop=debug,info",
        _ => "debug",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(false);
    match &common.log_file {
        Some(path) => builder.with_writer(Mutex::new(create(path)?)).init(),
        None => builder.with_writer(|| Quiet::new(std::io::stderr())).init(),
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, CliError> {
    File::create(path).map_err(|error| CliError::Refused {
        message: format!("cannot write {}: {error}", path.display()),
        hint: None,
    })
}

/// How standard error is coloured.
pub(super) fn palette(common: &Common) -> Palette {
    resolve(common, std::io::stderr().is_terminal())
}

/// How standard output is coloured.
pub(super) fn stdout_palette(common: &Common) -> Palette {
    resolve(common, std::io::stdout().is_terminal())
}

fn resolve(common: &Common, terminal: bool) -> Palette {
    common.color.resolve(
        terminal,
        std::env::var_os("NO_COLOR").as_deref(),
        std::env::var_os("TERM").as_deref(),
    )
}

/// Prints data. A reader that went away is no failure.
pub(super) fn print(text: &str) {
    let mut out = Quiet::new(std::io::stdout());
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints something for people.
pub(super) fn say(text: &str) {
    let mut out = Quiet::new(std::io::stderr());
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
}

/// Says why a command could not begin.
pub(super) fn say_error(common: &Common, error: &CliError) {
    let palette = palette(common);
    say(&format!("{} {error}", palette.bad("error:")));
    if let Some(hint) = error.hint() {
        say(&format!("{} {hint}", palette.heading("hint:")));
    }
}

/// Hears the events of a run, stamps them, and hands them to the reporters.
pub(super) struct Ear {
    reporters: RefCell<Tee>,
    began: std::time::Instant,
}

impl Ear {
    /// Reporters as the streams and options call for.
    pub(super) fn new(common: &Common, events: Option<&Path>) -> Result<Self, CliError> {
        let palette = palette(common);
        let mut tee = Tee::default();
        if std::io::stderr().is_terminal() && common.verbose == 0 {
            tee.reporters.push(Box::new(Progress::stderr(palette)));
        } else {
            let zone = TimeZone::system();
            tee.reporters
                .push(Box::new(Plain::new(std::io::stderr(), palette, zone)));
        }
        if common.json {
            tee.reporters.push(Box::new(JsonLines::new(std::io::stdout())));
        }
        if let Some(path) = events {
            tee.reporters.push(Box::new(JsonLines::new(create(path)?)));
        }
        Ok(Self {
            reporters: RefCell::new(tee),
            began: std::time::Instant::now(),
        })
    }

    /// Takes one event.
    pub(super) fn hear(&self, event: Event) {
        let stamped = Stamped {
            at: Timestamp::now(),
            elapsed: self.began.elapsed(),
            event,
        };
        self.reporters.borrow_mut().event(&stamped);
    }

    /// Runs a future while reporters get the time.
    pub(super) async fn while_running<T>(&self, run: impl Future<Output = T>) -> T {
        tokio::pin!(run);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                ended = &mut run => return ended,
                _ = ticks.tick() => self.reporters.borrow_mut().tick(Timestamp::now()),
            }
        }
    }
}

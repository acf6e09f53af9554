//! The streams: which reporter writes where, the log of -v, and errors before a run began.

use std::cell::RefCell;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::model::event::{Event, Stamped};
use crate::model::finding::{Finding, Problem};
use crate::model::secret::Secrets;
use crate::report::harmless::tamed;
use crate::report::json::{self, JsonLines};
use crate::report::junit::{self, Junit};
use crate::report::output::{Palette, Quiet};
use crate::report::plain::Plain;
use crate::report::progress::Progress;
use crate::report::veil::Veiled;
use crate::report::{Reporter, Tee};

use super::args::{Changing, Command, Common};
use super::courier::Courier;
use super::failure::CliError;
use super::project::Project;

/// What no stream shows, from the moment when inventory and playbook are read.
static SECRETS: OnceLock<Secrets> = OnceLock::new();

/// From now on these are hidden on every stream.
pub(super) fn hide(secrets: Secrets) {
    // A command reads its files once; the first word counts.
    let _ = SECRETS.set(secrets);
}

fn secrets() -> Secrets {
    SECRETS.get().cloned().unwrap_or_default()
}

/// A text as it may be shown: without secrets, and with nothing that steers a terminal but colours.
fn shown(text: &str) -> String {
    tamed(&secrets().hide(text)).into_owned()
}

/// The log of -v, which writes one whole line at a time.
struct LogLines<W>(W);

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0
            .write_all(shown(&String::from_utf8_lossy(buffer)).as_bytes())?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

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
        Some(path) => builder.with_writer(Mutex::new(LogLines(create(path)?))).init(),
        None => builder
            .with_writer(|| LogLines(Quiet::new(std::io::stderr())))
            .init(),
    }
    Ok(())
}

fn create(path: &Path) -> Result<File, CliError> {
    File::create(path).map_err(|error| cannot_write(path, &error))
}

/// Says why a file could not be written.
pub(super) fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Refused {
        message: format!("cannot write {}: {error}", path.display()),
        hint: None,
    }
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

/// Prints data as JSON over several lines.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let internal = |error: serde_json::Error| CliError::Internal(error.to_string());
    let mut value = serde_json::to_value(value).map_err(internal)?;
    secrets().hide_in(&mut value);
    put(&json::pretty(&value).map_err(internal)?);
    Ok(())
}

/// Prints data for people. A reader that went away is no failure.
pub(super) fn print(text: &str) {
    put(&shown(text));
}

fn put(text: &str) {
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
    let _ = out.write_all(shown(text).as_bytes());
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

/// Leaves a report of an error where a report was asked for.
pub(super) fn report_error(command: &Command, error: &CliError) {
    let Some(file) = command.changing().and_then(|changing| changing.junit.as_deref()) else {
        return;
    };
    let text = match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    // If there is no writing there, that is the very error that was just said.
    let _ = junit::write_refusal(file, &shown(&text));
}

/// Where a run speaks to people.
pub(super) enum Voice {
    /// On standard error, as it happens.
    Streams,
    /// Nowhere for now: its words are kept.
    Kept(Kept),
}

/// Words that are kept, for a person who wants to read them only if something is wrong.
#[derive(Clone, Default)]
pub(super) struct Kept(Rc<RefCell<Vec<u8>>>);

impl Kept {
    /// Says all of them.
    pub(super) fn say(&self) {
        say(&String::from_utf8_lossy(&self.0.take()));
    }
}

impl Write for Kept {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Who tells the playbook's webhooks.
pub(super) fn courier(project: &Project) -> Courier {
    Courier::new(project.webhooks(), secrets())
}

/// Hears the events of a run, stamps them, and hands them to the reporters.
pub(super) struct Ear {
    reporters: RefCell<Tee>,
    junit: Option<RefCell<Junit>>,
    courier: Courier,
    /// The end of the run, while messages about it are on their way: what becomes of them is said before it.
    ending: RefCell<Option<Stamped>>,
    began: std::time::Instant,
}

impl Ear {
    /// Reporters as the streams and options call for.
    pub(super) fn new(
        common: &Common,
        changing: Option<&Changing>,
        project: &Project,
        voice: &Voice,
        courier: Courier,
    ) -> Result<Self, CliError> {
        let palette = palette(common);
        let given = common.given.clone();
        let mut tee = Tee::default();
        let lines = |out: Box<dyn Write>| JsonLines::new(out).hiding(secrets());
        if let Voice::Kept(kept) = voice {
            let out = Veiled::new(kept.clone(), secrets());
            tee.reporters.push(Box::new(
                Plain::new(out, palette, TimeZone::system()).given(given),
            ));
        } else if std::io::stderr().is_terminal() && common.verbose == 0 {
            tee.reporters
                .push(Box::new(Progress::stderr(palette).hiding(secrets()).given(given)));
        } else {
            let zone = TimeZone::system();
            let out = Veiled::new(std::io::stderr(), secrets());
            tee.reporters
                .push(Box::new(Plain::new(out, palette, zone).given(given)));
        }
        if common.json {
            tee.reporters.push(Box::new(lines(Box::new(std::io::stdout()))));
        }
        if let Some(path) = changing.and_then(|changing| changing.events.as_deref()) {
            tee.reporters.push(Box::new(lines(Box::new(create(path)?))));
        }
        let junit = changing
            .and_then(|changing| changing.junit.as_deref())
            .map(|path| {
                let app = &project.config.topology.app;
                let junit = Junit::begin(path, app, secrets()).map_err(|error| cannot_write(path, &error));
                junit.map(|junit| RefCell::new(junit.given(common.given.clone())))
            });
        Ok(Self {
            reporters: RefCell::new(tee),
            junit: junit.transpose()?,
            courier,
            ending: RefCell::new(None),
            began: std::time::Instant::now(),
        })
    }

    /// Takes one event.
    pub(super) fn hear(&self, event: Event) {
        let stamped = self.stamp(event);
        if let Some(junit) = &self.junit {
            junit.borrow_mut().event(&stamped);
        }
        self.courier.hear(&stamped);
        if matches!(stamped.event, Event::RunEnded { .. }) {
            self.ending.replace(Some(stamped));
            return;
        }
        self.reporters.borrow_mut().event(&stamped);
        if matches!(stamped.event, Event::RunStarted { .. }) {
            self.warn(self.courier.warnings().iter().cloned());
        }
    }

    fn warn(&self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            let warning = self.stamp(Event::Warned { finding });
            self.reporters.borrow_mut().event(&warning);
        }
    }

    /// Says that the run ended, if it did: the last line is the outcome's, so warnings come before it.
    fn say_end(&self, warnings: Vec<Finding>) {
        let Some(ending) = self.ending.take() else { return };
        let unwritten = self.junit.as_ref().and_then(|junit| {
            let junit = junit.borrow();
            let reason = format!("the JUnit report could not be written: {}", junit.error()?);
            Some(Finding::warning(None, Problem::LeftUndone { reason }))
        });
        self.warn(warnings.into_iter().chain(unwritten));
        self.reporters.borrow_mut().event(&ending);
    }

    /// Says how the run ended, where it has and messages are still on their way; whether it has.
    pub(super) fn leave(&self) -> bool {
        let ended = self.ending.borrow().is_some();
        self.say_end(Vec::new());
        ended
    }

    fn stamp(&self, event: Event) -> Stamped {
        Stamped {
            at: Timestamp::now(),
            elapsed: self.began.elapsed(),
            event,
        }
    }

    /// Runs a future while reporters get the time, and waits for the messages about it.
    pub(super) async fn while_running<T>(&self, run: impl Future<Output = T>) -> T {
        let run = async {
            let ended = run.await;
            let warnings = self.courier.finish().await;
            self.say_end(warnings);
            ended
        };
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

//! The reporter for terminals: finished phases scroll by as one line each, and below them every host
//! has one line that moves. The cursor stays as it is, so nothing has to be restored at the end.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use console::truncate_str;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::model::event::{Event, Stamped};
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::run_view::{HostView, Part, RunView, Upload};
use crate::model::secret::Secrets;
use crate::model::token::TokenState;
use crate::report::output::{Palette, Quiet};
use crate::report::text::advice::Given;
use crate::report::text::{event, health, note};
use crate::report::{Reporter, summary, table, units};

/// More live lines than this would push each other off the screen.
const LIVE_LINES: usize = 20;
/// The longest phase's name.
const PHASE_WIDTH: usize = 9;
/// How wide the bar of an upload is.
const BAR_WIDTH: u64 = 16;

/// Draws a live line for each host, and the summary at the end.
pub struct Progress {
    lines: MultiProgress,
    bars: BTreeMap<HostName, ProgressBar>,
    overflow: Option<ProgressBar>,
    view: RunView,
    palette: Palette,
    given: Given,
    width: Box<dyn Fn() -> usize>,
    out: Quiet<Box<dyn Write>>,
    secrets: Secrets,
    now: Timestamp,
}

impl Progress {
    /// Makes one that draws on standard error.
    pub fn stderr(palette: Palette) -> Self {
        let term = console::Term::stderr();
        let width = move || usize::from(term.size().1);
        Self::new(
            ProgressDrawTarget::stderr(),
            palette,
            width,
            Box::new(io::stderr()),
        )
    }

    /// Makes one that draws on any target; `width` tells how many columns it has now, and the
    /// summary goes to `out` once the live lines are gone.
    pub fn new(
        target: ProgressDrawTarget,
        palette: Palette,
        width: impl Fn() -> usize + 'static,
        out: Box<dyn Write>,
    ) -> Self {
        Self {
            lines: MultiProgress::with_draw_target(target),
            bars: BTreeMap::new(),
            overflow: None,
            view: RunView::default(),
            palette,
            given: Given::default(),
            width: Box::new(width),
            out: Quiet::new(out),
            secrets: Secrets::default(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// The same of a run that was given options by hand.
    pub fn given(self, given: Given) -> Self {
        Self { given, ..self }
    }

    /// The same, with secrets hidden.
    pub fn hiding(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// A line that stays, above the live ones.
    fn scroll(&self, text: &str) {
        // A terminal that went away is no reason to fail a run.
        let _ = self.lines.println(self.secrets.hide(text));
    }

    /// What fits into a live line.
    fn fitting(&self, text: &str, width: usize) -> String {
        // One column is left free: a full line makes some terminals wrap.
        truncate_str(&self.secrets.hide(text), width.saturating_sub(1), "…").into_owned()
    }

    fn scroll_event(&self, event: &Event) {
        let line = match event {
            // What goes on and what went well on a host is in its live line, the end in the summary.
            Event::PhaseStarted { .. }
            | Event::Uploaded { .. }
            | Event::HealthTried { .. }
            | Event::HostDone { .. }
            | Event::RunEnded { .. } => None,
            // Of the tokens, only what a watch did is out of the ordinary.
            Event::TokenMoved { state, .. } if *state != TokenState::Fired => None,
            event => event::describe(event),
        };
        let Some(line) = line else { return };
        let about = table::pad(&line.about, PHASE_WIDTH);
        let text = match event {
            Event::PhaseEnded { succeeded: true, .. } => {
                format!("{} {about} {}", self.palette.good("✓"), line.text)
            }
            Event::PhaseEnded { .. } => format!("{} {about} {}", self.palette.bad("✗"), line.text),
            Event::HostFailed { .. } => {
                format!("{} {about} {}: {}", self.palette.bad("✗"), line.who, line.text)
            }
            Event::Warned { .. }
            | Event::Interrupted { .. }
            | Event::LockWaiting { .. }
            | Event::LeftOut { .. }
            | Event::InterruptedFound { .. }
            | Event::LockRetaken { .. }
            | Event::Waits { .. }
            | Event::TokenMoved { .. } => {
                format!(
                    "{} {about} {}: {}",
                    self.palette.warning("!"),
                    line.who,
                    line.text
                )
            }
            _ => format!("  {about} {}", line.text),
        };
        self.scroll(&text);
    }

    fn draw(&mut self) {
        let width = (self.width)();
        let names: Vec<HostName> = self.view.hosts.keys().cloned().collect();
        let host_width = names
            .iter()
            .map(|name| name.as_str().len())
            .max()
            .unwrap_or(0)
            .min(width / 3);
        for name in names.iter().take(LIVE_LINES) {
            let text = self.live_line(name, host_width);
            let text = self.fitting(&text, width);
            let bar = self
                .bars
                .entry(name.clone())
                .or_insert_with(|| live_bar(&self.lines));
            bar.set_message(text);
        }
        if names.len() > LIVE_LINES {
            let busy = self
                .view
                .working()
                .filter(|(name, ..)| !self.bars.contains_key(*name))
                .count();
            let text = format!(
                "and {} more, {busy} at work",
                units::count(names.len() - LIVE_LINES, "host")
            );
            let text = self.fitting(&text, width);
            let overflow = self.overflow.get_or_insert_with(|| live_bar(&self.lines));
            overflow.set_message(text);
        }
    }

    fn live_line(&self, name: &HostName, host_width: usize) -> String {
        let Some(host) = self.view.hosts.get(name) else {
            return String::new();
        };
        let who = table::pad(&truncate_str(name.as_str(), host_width, "…"), host_width);
        let (mark, phase, rest) = match host.part {
            Part::Idle => (" ".to_owned(), "", String::new()),
            Part::Working { phase, since } => {
                let elapsed = Duration::try_from(self.now.duration_since(since)).unwrap_or_default();
                ("·".to_owned(), phase.as_str(), at_work(host, phase, elapsed))
            }
            Part::Done { phase, took } => (
                self.palette.good("✓"),
                phase.as_str(),
                self.palette.dim(&done(host, phase, took)),
            ),
            Part::Failed { phase } => (self.palette.bad("✗"), phase.as_str(), "FAILED".to_owned()),
        };
        format!("{mark} {who} {} {rest}", table::pad(phase, PHASE_WIDTH))
    }

    fn end(&mut self) {
        for bar in std::mem::take(&mut self.bars)
            .into_values()
            .chain(self.overflow.take())
        {
            bar.finish_and_clear();
        }
        let _ = self.lines.clear();
        let summary = summary::render_given(&self.view, self.palette, &self.given);
        // Not through the live lines: those leave the cursor at the end of a line.
        let _ = writeln!(self.out, "\n{}", self.secrets.hide(&summary));
        let _ = self.out.flush();
    }
}

impl Reporter for Progress {
    fn event(&mut self, stamped: &Stamped) {
        self.now = stamped.at;
        let repeated = match &stamped.event {
            // What its lease has left changes all the time.
            Event::LockWaiting { host, lock } => {
                self.view.lock_waits.get(host).map(|seen| &seen.run) == Some(&lock.run)
            }
            _ => false,
        };
        self.view.apply(stamped);
        if !repeated {
            self.scroll_event(&stamped.event);
        }
        if let Event::RunEnded { .. } = stamped.event {
            self.end();
        } else {
            self.draw();
        }
    }

    fn tick(&mut self, now: Timestamp) {
        if self.view.end.is_none() {
            self.now = now;
            self.draw();
        }
    }
}

fn live_bar(lines: &MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    lines.add(ProgressBar::new_spinner().with_style(style))
}

fn at_work(host: &HostView, phase: Phase, elapsed: Duration) -> String {
    let elapsed = units::duration(elapsed);
    match (phase, host.upload) {
        (Phase::Upload, Some(upload)) => format!("{} {elapsed}", upload_bar(upload)),
        _ => match host.awaited_health() {
            Some((endpoint, health)) => format!(
                "{elapsed}  {endpoint} {} (try {})",
                health::describe(&health.answer),
                health.tries
            ),
            None => elapsed,
        },
    }
}

fn done(host: &HostView, phase: Phase, took: Duration) -> String {
    let took = units::duration(took);
    let of_phase = host.notes.iter().rev().find(|(noted, _)| *noted == phase);
    of_phase.map_or(took.clone(), |(_, note)| {
        format!("{took}  {}", note::describe(note))
    })
}

fn upload_bar(upload: Upload) -> String {
    let total = upload.total_bytes.max(1);
    let filled = upload.sent_bytes.min(total).saturating_mul(BAR_WIDTH) / total;
    let bar: String = (0..BAR_WIDTH)
        .map(|cell| if cell < filled { '█' } else { '░' })
        .collect();
    format!(
        "{bar} {} of {}",
        units::bytes(upload.sent_bytes),
        units::bytes(upload.total_bytes)
    )
}

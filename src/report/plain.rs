//! The reporter for logs and CI: a timestamped line an event, never a flood, and a sign of life
//! when nothing happens for a while.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::endpoint::Endpoint;
use crate::model::event::{Event, Note, Stamped};
use crate::model::names::{HostName, RunId};
use crate::model::phase::Phase;
use crate::model::run_view::RunView;
use crate::report::harmless::harmless_tail;
use crate::report::output::{Palette, Quiet};
use crate::report::text::advice::Given;
use crate::report::text::event::{FLEET, Line};
use crate::report::text::{event, health};
use crate::report::{Reporter, summary, table, units};

/// After how much silence a sign of life is given.
const SILENCE: Duration = Duration::from_secs(10);
/// An upload's progress comes at most this often …
const UPLOAD_PACE: Duration = Duration::from_secs(1);
/// … and, while it goes on, at least this often.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(5);
/// How many hosts a sign of life names.
const NAMED_WAITS: usize = 8;
/// No column of host names is wider.
const HOST_WIDTH_LIMIT: usize = 30;
/// How many lines of what a hook printed are shown.
const HOOK_LINES: usize = 40;
/// The longest phase's name.
const ABOUT_WIDTH: usize = 9;

/// Writes plain lines, and the summary at the end.
pub struct Plain<W> {
    out: Quiet<W>,
    palette: Palette,
    given: Given,
    zone: TimeZone,
    view: RunView,
    host_width: usize,
    last_line: Option<Timestamp>,
    uploads: BTreeMap<HostName, UploadLine>,
    answers: BTreeMap<(Endpoint, HostName), String>,
    lock_holders: BTreeMap<HostName, Option<RunId>>,
}

/// The last word on an upload.
struct UploadLine {
    at: Timestamp,
    quarter: u64,
}

impl<W: Write> Plain<W> {
    /// Makes one that writes to `out`, with the times of day of `zone`.
    pub fn new(out: W, palette: Palette, zone: TimeZone) -> Self {
        Self {
            out: Quiet::new(out),
            palette,
            given: Given::default(),
            zone,
            view: RunView::default(),
            host_width: FLEET.len(),
            last_line: None,
            uploads: BTreeMap::new(),
            answers: BTreeMap::new(),
            lock_holders: BTreeMap::new(),
        }
    }

    /// The same of a run that was given options by hand.
    pub fn given(self, given: Given) -> Self {
        Self { given, ..self }
    }

    fn widen(&mut self) {
        let widest = self.view.hosts.keys().map(|host| host.as_str().len()).max();
        let widest = widest.unwrap_or(0).min(HOST_WIDTH_LIMIT);
        self.host_width = self.host_width.max(widest);
    }

    /// Whether the event says something that the lines before did not.
    fn is_news(&mut self, stamped: &Stamped) -> bool {
        match &stamped.event {
            Event::Uploaded {
                host,
                sent_bytes,
                total_bytes,
            } => self.upload_is_news(host, stamped.at, *sent_bytes, *total_bytes),
            Event::HealthTried {
                endpoint,
                seen_from,
                answer,
                ..
            } => {
                let key = (endpoint.clone(), seen_from.clone());
                let answer = health::describe(answer);
                self.answers.insert(key, answer.clone()) != Some(answer)
            }
            Event::LockWaiting { host, lock } => {
                self.lock_holders.insert(host.clone(), lock.run.clone()) != Some(lock.run.clone())
            }
            _ => true,
        }
    }

    fn upload_is_news(&mut self, host: &HostName, at: Timestamp, sent: u64, total: u64) -> bool {
        let quarter = (sent.saturating_mul(4)).checked_div(total).unwrap_or(4);
        let Some(last) = self.uploads.get_mut(host) else {
            self.uploads.insert(host.clone(), UploadLine { at, quarter });
            return false;
        };
        let silence = since(last.at, at);
        let news = silence >= UPLOAD_PATIENCE || (quarter > last.quarter && silence >= UPLOAD_PACE);
        if news {
            *last = UploadLine { at, quarter };
        }
        news
    }

    fn write_line(&mut self, at: Timestamp, line: &Line) {
        let who = table::pad(&line.who, self.host_width);
        let about = table::pad(&line.about, ABOUT_WIDTH);
        self.write(at, &format!("{who} {about} {}", line.text));
    }

    fn write(&mut self, at: Timestamp, text: &str) {
        let time = at
            .to_zoned(self.zone.clone())
            .strftime("%H:%M:%S%.3f")
            .to_string();
        self.put(&format!("{} {text}\n", self.palette.dim(&time)));
        self.last_line = Some(at);
    }

    fn put(&mut self, text: &str) {
        // Lines for people have nowhere else to go; what they say is also in the exit code.
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    fn signs_of_life(&self, now: Timestamp) -> Vec<String> {
        let locks = self
            .view
            .lock_waits
            .iter()
            .map(|(host, lock)| format!("still waiting on {host} for {}", event::holder(lock)));
        let hosts = self.view.working().map(|(name, host, phase, since_when)| {
            let waited = units::duration(since(since_when, now));
            let answer = host
                .awaited_health()
                .map_or_else(String::new, |(endpoint, health)| {
                    let from = if endpoint.host == *name {
                        String::new()
                    } else {
                        format!(" of {endpoint}")
                    };
                    format!(", last health answer{from}: {}", health::describe(&health.answer))
                });
            let sent = host.upload.filter(|_| phase == Phase::Upload);
            let sent = sent.map_or_else(String::new, |upload| {
                format!(
                    ", {} of {} sent",
                    units::bytes(upload.sent_bytes),
                    units::bytes(upload.total_bytes)
                )
            });
            format!("still waiting for {name}: {phase} ({waited}){sent}{answer}")
        });
        let mut lines: Vec<String> = locks.chain(hosts).collect();
        if lines.len() > NAMED_WAITS {
            let rest = lines.len() - NAMED_WAITS;
            lines.truncate(NAMED_WAITS);
            lines.push(format!("still waiting for {} more", units::count(rest, "host")));
        }
        lines
    }
}

impl<W: Write> Reporter for Plain<W> {
    fn event(&mut self, stamped: &Stamped) {
        self.view.apply(stamped);
        self.widen();
        if !self.is_news(stamped) {
            return;
        }
        if let Some(line) = event::describe(&stamped.event) {
            self.write_line(stamped.at, &line);
        }
        if let Event::HostDone {
            note: Some(Note::HookDone { output, .. }),
            host,
            ..
        } = &stamped.event
        {
            for text in harmless_tail(output, HOOK_LINES) {
                let (who, about, text) = (host.to_string(), "hook".to_owned(), format!("| {text}"));
                self.write_line(stamped.at, &Line { who, about, text });
            }
        }
        if let Event::RunEnded { .. } = stamped.event {
            let summary = summary::render_given(&self.view, self.palette, &self.given);
            self.put(&format!("\n{summary}\n"));
        }
    }

    fn tick(&mut self, now: Timestamp) {
        let Some(last) = self.last_line else { return };
        if self.view.end.is_some() || since(last, now) < SILENCE {
            return;
        }
        for line in self.signs_of_life(now) {
            self.write(now, &line);
        }
        // Also where there was nothing to say, so that the next look is a whole silence away.
        self.last_line = Some(now);
    }
}

/// The time between two readings of the wall clock, none where it was set back.
fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

//! Whatever a host says reaches no terminal and no program as more than text: every text of a failure, a
//! finding or a lock that comes from a host, through every reporter.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use nonstop::model::endpoint::Endpoint;
use nonstop::model::event::{Event, Stamped};
use nonstop::model::failure::{Failure, HealthAnswer};
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::{Epoch, LockState, Owner};
use nonstop::model::names::{AppName, HostName, RunId, SlotName};
use nonstop::model::obstacle::{KeyFault, Obstacle};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::process::ListeningProcess;
use nonstop::model::record::RunRecord;
use nonstop::model::run_view::RunView;
use nonstop::model::secret::Secrets;
use nonstop::report::harmless::is_dangerous;
use nonstop::report::history::{History, render};
use nonstop::report::json::{self, JsonLines};
use nonstop::report::output::Palette;
use nonstop::report::plain::Plain;
use nonstop::report::progress::Progress;
use nonstop::report::{Reporter, findings, junit};
use proptest::prelude::*;

use crate::cases::{NASTY, cases, nasty};
use crate::vocabulary::{identity, port, run};

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A terminal that keeps what is written to it, one line after another.
impl TermLike for Kept {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        writeln!(self.clone(), "{text}")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        write!(self.clone(), "{text}")
    }

    fn clear_line(&self) -> io::Result<()> {
        writeln!(self.clone())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

fn host() -> HostName {
    HostName::new("was-1").unwrap()
}

fn owner(text: &str) -> Owner {
    let text = || text.to_owned();
    Owner {
        who: text(),
        place: text(),
        command: "deploy".to_owned(),
        build_url: Some(text()),
        since: text(),
    }
}

fn lock(text: &str) -> LockState {
    LockState {
        epoch: Epoch(7),
        run: Some(run()),
        owner: Some(owner(text)),
        lease_left: None,
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        host: host(),
        port: port(),
    }
}

fn failures(said: &str) -> Vec<Failure> {
    let text = || said.to_owned();
    let by = ListeningProcess {
        identity: None,
        uid: 0,
        command: text(),
    };
    let wrong = HealthAnswer::Failed { reason: text() };
    vec![
        Failure::Unreachable {
            reason: text(),
            obstacle: Obstacle::Other,
        },
        Failure::OutcomeUnknown { reason: text() },
        Failure::Script { reason: text() },
        Failure::Sudo { command: text() },
        Failure::Fenced { lock: lock(said) },
        Failure::UploadMismatch {
            size_bytes: u64::MAX,
            sha256: text(),
        },
        Failure::UploadFailed { reason: text() },
        Failure::Exited {
            endpoint: endpoint(),
            reason: text(),
            tail: text(),
        },
        Failure::OutOfMemory {
            endpoint: endpoint(),
            available_bytes: u64::MAX,
            kills: u64::MAX,
            tail: text(),
        },
        Failure::NotListening {
            endpoint: endpoint(),
            identity: identity(),
            waited: Duration::from_secs(1),
            tail: text(),
        },
        Failure::PortTaken {
            endpoint: endpoint(),
            by,
            tail: text(),
        },
        Failure::Unhealthy {
            endpoint: endpoint(),
            seen_from: host(),
            answer: wrong,
            identity: None,
            tail: text(),
        },
        Failure::CandidateRefused { output: text() },
        Failure::Unproven { reason: text() },
    ]
}

fn problems(said: &str) -> Vec<Problem> {
    let text = || said.to_owned();
    vec![
        Problem::Unreachable {
            reason: text(),
            obstacle: Obstacle::KeyFile {
                file: text(),
                fault: KeyFault::TooOpen,
            },
        },
        Problem::CannotObserve { reason: text() },
        Problem::MissingTool { tool: text() },
        Problem::SudoRefused { command: text() },
        Problem::NginxTestFails { output: text() },
        Problem::CannotShadow { reason: text() },
        Problem::StrayFile {
            file: text(),
            reason: text(),
        },
        Problem::UnknownEndpoint {
            file: text(),
            target: text(),
        },
        Problem::NameInVariable {
            file: text(),
            address: text(),
        },
        Problem::AnswersAsOther {
            endpoint: endpoint(),
            slot: SlotName::new("blue").unwrap(),
            answer: text(),
            other: None,
        },
        Problem::Locked { lock: lock(said) },
        Problem::InterruptedRun {
            record: Box::new(RunRecord::opened(run(), Epoch(7), owner(said))),
        },
        Problem::LockLeft { reason: text() },
        Problem::ClockSkew { seconds: i64::MIN },
    ]
}

/// A run in which everything goes wrong that can, with the words of the host.
fn events(said: &str) -> Vec<Stamped> {
    let hosts = || [host()].into();
    let mut events = vec![
        Event::RunStarted {
            run: RunId::new("run-1").unwrap(),
            app: AppName::new("sokdak").unwrap(),
            owner: owner(said),
            was: hosts(),
            nginx: hosts(),
        },
        Event::LockWaiting {
            host: host(),
            lock: lock(said),
        },
        Event::PhaseStarted {
            phase: Phase::Start,
            hosts: hosts(),
        },
    ];
    events.extend(failures(said).into_iter().map(|failure| Event::HostFailed {
        host: host(),
        phase: Phase::Start,
        failure,
    }));
    events.extend(problems(said).into_iter().map(|problem| Event::Warned {
        finding: Finding::warning(Some(&host()), problem),
    }));
    events.push(Event::RunEnded {
        outcome: Outcome::Mixed,
        exit: Exit::Mixed,
        live_slot: None,
        live: None,
        took: Duration::from_secs(1),
        switch_took: None,
    });
    let at = Timestamp::UNIX_EPOCH;
    events
        .into_iter()
        .map(|event| Stamped {
            at,
            elapsed: Duration::ZERO,
            event,
        })
        .collect()
}

/// Everything that people and programs see of it.
fn shown(said: &str) -> Vec<(&'static str, String)> {
    let (plain, lines, summary) = (Kept::default(), Kept::default(), Kept::default());
    let term = Kept::default();
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(term.clone()), 255);
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(Plain::new(plain.clone(), Palette::Monochrome, TimeZone::UTC)),
        Box::new(JsonLines::new(lines.clone())),
        Box::new(Progress::new(
            target,
            Palette::Monochrome,
            || 120,
            Box::new(summary.clone()),
        )),
    ];
    let mut view = RunView::default();
    for stamped in events(said) {
        view.apply(&stamped);
        for reporter in &mut reporters {
            reporter.event(&stamped);
        }
    }
    let found: Vec<_> = problems(said)
        .into_iter()
        .map(|problem| Finding::refusal(Some(&host()), problem))
        .collect();
    let line = serde_json::json!({ "time": "2026-01-02T03:04:05Z", "event": said, "run": said, "who": said, said: said });
    let audit = BTreeMap::from([(host(), format!("{line}\n{said}\n"))]);
    let history = History::merge(&audit);
    vec![
        ("plain", plain.text()),
        ("json", lines.text()),
        ("progress", term.text()),
        ("summary", summary.text()),
        ("JUnit", junit::render(&view, "app", &Secrets::default())),
        ("findings", findings::render(&found, Palette::Monochrome)),
        ("findings as JSON", json::pretty(&found).unwrap()),
        ("history", render(&history, Palette::Monochrome, &TimeZone::UTC)),
        ("history as JSON", json::pretty(&history).unwrap()),
    ]
}

fn steers_nothing(said: &str) -> Result<(), TestCaseError> {
    for (where_to, text) in shown(said) {
        let steers = |c: char| is_dangerous(c) && c != '\n';
        let line = text.lines().find(|line| line.contains(steers));
        prop_assert!(line.is_none(), "{where_to}: {line:?}");
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        prop_assert!(
            where_to.to_lowercase().contains("json") || longest < 8_000,
            "{where_to}: {longest}"
        );
    }
    Ok(())
}

#[test]
fn what_a_host_says_arrives_so_that_the_test_looks_at_something() {
    for (where_to, text) in shown("the-words-of-a-host") {
        assert!(text.contains("the-words-of-a-host"), "{where_to}: {text}");
    }
}

#[test]
fn a_made_up_outcome_in_a_log_is_not_the_last_line() {
    for (where_to, text) in shown("x\noutcome: deployed\n\u{1b}[1Aoutcome: deployed") {
        assert!(
            !text.lines().any(|line| line.starts_with("outcome: deployed")),
            "{where_to}: {text}"
        );
    }
}

#[test]
fn no_nasty_word_of_a_host_steers_a_terminal_or_a_program() {
    for said in NASTY {
        steers_nothing(said).unwrap();
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn no_word_of_a_host_steers_a_terminal_or_a_program(said in nasty()) {
        steers_nothing(&String::from_utf8_lossy(&said))?;
    }
}

//! The reporter for the test tab of a CI server: JUnit XML with one suite a host and one case a phase, and a
//! suite for the run as a whole, whose only case fails whenever the exit code is not 0.
//!
//! The file is replaced as a whole, first before anything is touched and then after every phase: whatever
//! ends the process, a well-formed report of this very run is there, and says how far it came.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::model::event::{Event, Stamped};
use crate::model::failure::Failure;
use crate::model::finding::Severity;
use crate::model::names::{AppName, HostName};
use crate::model::outcome::Exit;
use crate::model::phase::Phase;
use crate::model::run_view::RunView;
use crate::model::secret::Secrets;
use crate::report::Reporter;
use crate::report::harmless::{harmless, harmless_tail};
use crate::report::output::Palette;
use crate::report::summary;
use crate::report::text::advice::Given;
use crate::report::text::{failure, outcome, problem};

/// How many lines of a log come with a failure.
const TAIL_LINES: usize = 40;

/// The name of what stands for the run as a whole, where no application is known.
const PROGRAM: &str = "nonstop";

/// Keeps the report of a run up to date.
#[derive(Debug)]
pub struct Junit {
    file: PathBuf,
    app: String,
    secrets: Secrets,
    given: Given,
    view: RunView,
    error: Option<io::Error>,
}

impl Junit {
    /// Begins the report of a run in place of whatever report was there.
    ///
    /// Returns an error if the file cannot be written.
    pub fn begin(file: &Path, app: &AppName, secrets: Secrets) -> io::Result<Self> {
        let junit = Self {
            file: file.to_owned(),
            app: app.to_string(),
            secrets,
            given: Given::default(),
            view: RunView::default(),
            error: None,
        };
        junit.write()?;
        Ok(junit)
    }

    /// The same of a run that was given options by hand.
    pub fn given(self, given: Given) -> Self {
        Self { given, ..self }
    }

    /// The last error of writing; none where a later report was written.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn write(&self) -> io::Result<()> {
        let sheet = Sheet {
            app: &self.app,
            secrets: &self.secrets,
            given: &self.given,
        };
        replace(&self.file, &text_of(&sheet.report(&self.view)))
    }
}

impl Reporter for Junit {
    fn event(&mut self, stamped: &Stamped) {
        self.view.apply(stamped);
        if matches!(stamped.event, Event::PhaseEnded { .. } | Event::RunEnded { .. }) {
            self.error = self.write().err();
        }
    }
}

/// Writes the report of a run that could not begin, and why.
///
/// Returns an error if the file cannot be written.
pub fn write_refusal(file: &Path, reason: &str) -> io::Result<()> {
    let first = reason.lines().next().unwrap_or_default();
    let case = failed(NonSuccessKind::Failure, first, reason);
    let sheet = Sheet {
        app: PROGRAM,
        secrets: &Secrets::default(),
        given: &Given::default(),
    };
    let mut report = Report::new(PROGRAM);
    report.add_test_suite(sheet.suite(
        PROGRAM,
        vec![sheet.case(PROGRAM, "outcome", case, Duration::ZERO)],
    ));
    replace(file, &text_of(&report))
}

/// The report of a run, as far as it is known.
pub fn render(view: &RunView, app: &str, secrets: &Secrets) -> String {
    let given = &Given::default();
    text_of(&Sheet { app, secrets, given }.report(view))
}

fn text_of(report: &Report) -> String {
    report.to_string().expect("a String takes every write")
}

/// The whole file at once, by a rename in its folder.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut new = tempfile::Builder::new()
        .prefix(".nonstop-")
        // As any other file: what the umask leaves of it.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        // Which name it has until it is whole is nobody's concern.
        .map_err(|error| io::Error::new(error.kind(), reason(&error)))?;
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

/// What the system says, without the path that tempfile adds.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let (reason, _) = text.rsplit_once(" at path ").unwrap_or((&text, ""));
    reason.to_owned()
}

/// What all suites of a report share.
struct Sheet<'a> {
    app: &'a str,
    secrets: &'a Secrets,
    given: &'a Given,
}

impl Sheet<'_> {
    fn report(&self, view: &RunView) -> Report {
        let mut report = Report::new(self.clean(self.app));
        report.add_test_suite(self.run(view));
        for host in view.hosts.keys() {
            report.add_test_suite(self.host(view, host));
        }
        report
    }

    /// A text as XML may hold it, without secrets.
    fn clean(&self, text: &str) -> String {
        let mut text = self.secrets.hide(text).into_owned();
        text.retain(|c| !matches!(c, '\u{fffe}' | '\u{ffff}'));
        text
    }

    fn suite(&self, name: &str, cases: Vec<TestCase>) -> TestSuite {
        let mut suite = TestSuite::new(self.clean(name));
        suite.set_time(cases.iter().filter_map(|case| case.time).sum());
        suite.add_test_cases(cases);
        suite
    }

    fn case(&self, class: &str, name: &str, mut status: TestCaseStatus, took: Duration) -> TestCase {
        if let TestCaseStatus::NonSuccess {
            message, description, ..
        }
        | TestCaseStatus::Skipped {
            message, description, ..
        } = &mut status
        {
            for text in [message, description].into_iter().flatten() {
                *text = self.clean(text.as_str()).into();
            }
        }
        let mut case = TestCase::new(name, status);
        // Readers take what stands before the last dot for a package.
        let class = match class {
            class if class == self.app => class.replace('.', "_"),
            class => format!("{}.{}", self.app.replace('.', "_"), class.replace('.', "_")),
        };
        case.set_classname(self.clean(&class)).set_time(took);
        case
    }

    /// The run as a whole.
    fn run(&self, view: &RunView) -> TestSuite {
        let (status, took) = match &view.end {
            Some(end) => {
                let headline = outcome::headline(view, end);
                let status = match end.exit {
                    Exit::Done => TestCaseStatus::success(),
                    _ => failed(
                        NonSuccessKind::Failure,
                        &headline,
                        &summary::render_given(view, Palette::Monochrome, self.given),
                    ),
                };
                (status, end.took)
            }
            None => (unfinished(), Duration::ZERO),
        };
        let mut suite = self.suite(self.app, vec![self.case(self.app, "outcome", status, took)]);
        for (name, value) in properties(view) {
            suite.add_property((name, self.clean(&value).as_str()));
        }
        if let Some(start) = &view.start {
            suite
                .extra
                .insert("timestamp".into(), start.at.to_string().into());
        }
        suite
    }

    /// One host: a case for each phase in which it took part, in the order of the run.
    fn host(&self, view: &RunView, host: &HostName) -> TestSuite {
        let mut phases: Vec<Phase> = Vec::new();
        let failures = view.hosts[host].failures.iter().map(|(phase, _)| *phase);
        let took_part = view.phases.iter().filter(|phase| phase.hosts.contains(host));
        for phase in took_part.map(|phase| phase.phase).chain(failures) {
            if !phases.contains(&phase) {
                phases.push(phase);
            }
        }
        let last = phases.last().copied();
        let cases = phases.into_iter().map(|phase| {
            let (mut status, took) = part(view, host, phase);
            if last == Some(phase)
                && let Some(refused) = refusals(view, host)
            {
                status = refused;
            }
            self.case(host.as_str(), phase.as_str(), status, took)
        });
        self.suite(host.as_str(), cases.collect())
    }
}

fn properties(view: &RunView) -> Vec<(&'static str, String)> {
    let mut properties = Vec::new();
    if let Some(start) = &view.start {
        properties.push(("run", start.run.to_string()));
        properties.push(("command", harmless(&start.owner.command)));
        properties.push((
            "who",
            harmless(&format!("{}@{}", start.owner.who, start.owner.place)),
        ));
        let build = start.owner.build_url.as_ref().map(|url| ("build", harmless(url)));
        properties.extend(build);
    }
    if let Some(plan) = &view.plan {
        properties.push(("release", plan.release.to_string()));
    }
    if let Some(end) = &view.end {
        properties.push(("outcome", end.outcome.to_string()));
        properties.push(("exit_code", end.exit.code().to_string()));
    }
    properties
}

/// What became of a host's part in a phase, all of its turns together.
fn part(view: &RunView, host: &HostName, phase: Phase) -> (TestCaseStatus, Duration) {
    let mut took = Duration::ZERO;
    let mut called_off = false;
    let mut open = false;
    let turns = view.phases.iter().filter(|turn| turn.phase == phase);
    for turn in turns.filter(|turn| turn.hosts.contains(host)) {
        match (turn.done.get(host), turn.end) {
            (Some(time), _) => took += *time,
            (None, Some(end)) => {
                took += end.took;
                called_off |= !end.succeeded;
            }
            (None, None) => open = true,
        }
    }
    let failures = view.hosts[host].failures.iter();
    let failures: Vec<&Failure> = failures
        .filter(|(failed, _)| *failed == phase)
        .map(|(_, failure)| failure)
        .collect();
    let status = if let Some(first) = failures.first() {
        let text: Vec<String> = failures.iter().flat_map(|failure| in_full(failure)).collect();
        failed(
            NonSuccessKind::Failure,
            &failure::describe(first),
            &text.join("\n"),
        )
    } else if open {
        unfinished()
    } else if called_off {
        let mut status = TestCaseStatus::skipped();
        status.set_message("called off: the phase was not passed");
        status
    } else {
        TestCaseStatus::success()
    };
    (status, took)
}

/// The reasons for which a host made the run be refused.
fn refusals(view: &RunView, host: &HostName) -> Option<TestCaseStatus> {
    let refusals = view
        .refusals
        .iter()
        .filter(|finding| finding.severity == Severity::Refusal && finding.host.as_ref() == Some(host));
    let lines: Vec<String> = refusals
        .flat_map(|finding| {
            let hint = problem::hint(&finding.problem).map(|hint| format!("  hint: {hint}"));
            std::iter::once(problem::describe(&finding.problem)).chain(hint)
        })
        .collect();
    let first = lines.first()?;
    Some(failed(NonSuccessKind::Failure, first, &lines.join("\n")))
}

fn in_full(failed: &Failure) -> Vec<String> {
    let mut lines = vec![failure::describe(failed)];
    lines.extend(failure::details(failed));
    if let Some(tail) = failed.log_tail().filter(|tail| !tail.trim().is_empty()) {
        lines.push("the end of its log:".to_owned());
        lines.extend(
            harmless_tail(tail, TAIL_LINES)
                .into_iter()
                .map(|line| format!("| {line}")),
        );
    }
    lines
}

fn failed(kind: NonSuccessKind, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_description(text);
    status
}

fn unfinished() -> TestCaseStatus {
    let text = "The process that wrote this report came no further: it goes on, or it was killed. `nonstop status` \
                shows what is live and what was left, and `nonstop resume` finishes the run.";
    failed(NonSuccessKind::Error, "the run did not end", text)
}

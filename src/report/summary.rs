//! The screen at the end of a run: what became of it, why, in what state the fleet is, and what to do
//! next. Its last line is `outcome: …` with the word that the JSON has too.

use crate::model::failure::Failure;
use crate::model::finding::{Finding, Severity};
use crate::model::outcome::{Exit, Outcome};
use crate::model::run_view::{End, HostView, Part, PhaseView, RunView};
use crate::model::token::TokenState;
use crate::report::harmless::harmless_tail;
use crate::report::output::Palette;
use crate::report::text::advice::Given;
use crate::report::text::{advice, event, failure, health, interrupted, note, outcome};
use crate::report::units::{self, duration};
use crate::report::{findings, table};

/// How many lines of logs are shown, shared by the hosts that failed.
const TAIL_LINES: usize = 15;
/// How many failed hosts are shown with their logs; the others get a line.
const TAILS: usize = 3;
/// How many hosts that did well are listed.
const HOSTS: usize = 12;

/// The summary of a run, without a line break at its end. Empty while the run goes on.
pub fn render(view: &RunView, palette: Palette) -> String {
    render_given(view, palette, &Given::default())
}

/// The same of a run that was given options by hand, which the commands to come need again.
pub fn render_given(view: &RunView, palette: Palette, given: &Given) -> String {
    let Some(end) = &view.end else {
        return String::new();
    };
    let sections = [
        head(view, end, palette),
        section(
            "state of the fleet",
            outcome::state_of_the_fleet(view, end),
            palette,
        ),
        why(view, palette),
        hosts(view, palette),
        phases(view, palette),
        warnings(view, palette),
        next(view, end, given, palette),
    ];
    let mut lines: Vec<String> = Vec::new();
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        lines.extend(section);
        lines.push(String::new());
    }
    lines.push(format!("outcome: {}", end.outcome));
    lines.join("\n")
}

fn head(view: &RunView, end: &End, palette: Palette) -> Vec<String> {
    let headline = outcome::headline(view, end);
    let headline = match (end.outcome, end.exit) {
        (Outcome::Deployed, _) | (_, Exit::Done) => palette.good(&headline),
        _ => palette.bad(&headline),
    };
    let app = view
        .start
        .as_ref()
        .map_or_else(String::new, |start| format!("{}: ", start.app));
    let mut lines = vec![format!("{app}{headline} ({})", duration(end.took))];
    let mut rows = Vec::new();
    if let Some(planned) = &view.plan {
        let from = match (&planned.from, &planned.from_release) {
            (Some(slot), Some(release)) => format!("{slot} ({release})"),
            (Some(slot), None) => slot.to_string(),
            (None, _) => "nothing".to_owned(),
        };
        rows.push(["from".to_owned(), from]);
        rows.push(["to".to_owned(), format!("{} ({})", planned.to, planned.release)]);
    }
    if let Some(took) = end.switch_took.filter(|_| end.outcome == Outcome::Deployed) {
        let nginx = view.start.as_ref().map_or(0, |start| start.nginx.len());
        let on = units::count(nginx, "nginx host");
        rows.push([
            "switch".to_owned(),
            format!("{} from the first rename to the last proof, {on}", duration(took)),
        ]);
    }
    if let Some(found) = &view.found {
        let text = interrupted::describe(&found.record, &found.tokens, found.slots, found.way);
        rows.push(["found".to_owned(), text]);
    }
    if let Some((was, nginx)) = &view.left_out {
        rows.push(["without".to_owned(), event::left_out(was, nginx)]);
    }
    for interrupt in &view.interrupts {
        let during = interrupt
            .phase
            .map_or_else(String::new, |phase| format!(" during {phase}"));
        let (kind, which) = outcome::describe_cause(interrupt.cause);
        rows.push([kind.to_owned(), format!("{which}{during}")]);
    }
    if let Some(start) = &view.start {
        rows.push(["run".to_owned(), start.run.to_string()]);
    }
    lines.extend(indented(table::aligned(&rows)));
    lines
}

/// The findings of a refusal say the same as the failures that led to it, and more.
fn why(view: &RunView, palette: Palette) -> Vec<String> {
    if view.refusals.is_empty() {
        failures(view, palette)
    } else {
        refusals(view, palette)
    }
}

fn refusals(view: &RunView, palette: Palette) -> Vec<String> {
    let findings = findings::render(&view.refusals, palette);
    let lines = findings.lines().map(str::to_owned).collect();
    let refused = view
        .refusals
        .iter()
        .filter(|finding| finding.severity == Severity::Refusal);
    section(
        &format!("refused for {}", units::count(refused.count(), "reason")),
        lines,
        palette,
    )
}

fn warnings(view: &RunView, palette: Palette) -> Vec<String> {
    let (said, warned): (Vec<_>, Vec<_>) = view
        .warnings
        .iter()
        .cloned()
        .partition(|finding| finding.severity == Severity::Info);
    let list = |title, found: &[Finding]| {
        let text = findings::render(found, palette);
        section(title, text.lines().map(str::to_owned).collect(), palette)
    };
    let mut lines = list("notes", &said);
    lines.extend(list("warnings", &warned));
    lines
}

fn failures(view: &RunView, palette: Palette) -> Vec<String> {
    let width = view
        .failures()
        .map(|(host, ..)| host.as_str().len())
        .max()
        .unwrap_or(0);
    let with_tail = view.failures().filter(|(.., failed)| has_tail(failed)).count();
    let limit = TAIL_LINES / with_tail.clamp(1, TAILS);
    let mut tails = 0;
    let mut lines = Vec::new();
    for (host, phase, failed) in view.failures() {
        let who = table::pad(host.as_str(), width);
        let about = table::pad(phase.as_str(), 9);
        lines.push(format!("{who}  {about}  {}", failure::describe(failed)));
        let indent = " ".repeat(width + 2);
        lines.extend(
            failure::details(failed)
                .into_iter()
                .map(|detail| format!("{indent}{detail}")),
        );
        if tails < TAILS && has_tail(failed) {
            tails += 1;
            lines.extend(tail(failed, limit, &indent, palette));
        }
    }
    section("what failed", lines, palette)
}

fn has_tail(failed: &Failure) -> bool {
    failed.log_tail().is_some_and(|tail| !tail.trim().is_empty())
}

fn tail(failed: &Failure, limit: usize, indent: &str, palette: Palette) -> Vec<String> {
    let log = harmless_tail(failed.log_tail().unwrap_or_default(), limit);
    let lines = log
        .into_iter()
        .map(|line| format!("{indent}{}", palette.dim(&format!("| {line}"))));
    std::iter::once(format!("{indent}the end of its log:"))
        .chain(lines)
        .collect()
}

fn hosts(view: &RunView, palette: Palette) -> Vec<String> {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut left_out = 0;
    for (name, host) in &view.hosts {
        let Some(state) = state(host, view) else { continue };
        if rows.len() < HOSTS || matches!(host.part, Part::Failed { .. }) {
            rows.push([name.to_string(), state]);
        } else {
            left_out += 1;
        }
    }
    let mut lines = table::aligned(&rows);
    if left_out > 0 {
        lines.push(format!("and {} like these", units::count(left_out, "more host")));
    }
    section("hosts", lines, palette)
}

/// What became of a host, in words: its notes, where it failed, and what kept it waiting in vain.
fn state(host: &HostView, view: &RunView) -> Option<String> {
    let mut words: Vec<String> = host.notes.iter().map(|(_, note)| note::describe(note)).collect();
    let mixed = view.end.as_ref().is_some_and(|end| end.outcome == Outcome::Mixed);
    words.extend(
        host.token
            .and_then(|token| match token {
                TokenState::Fired => Some("its watch was first and went home"),
                TokenState::Armed if mixed => Some("still ARMED: its watch goes home by itself"),
                TokenState::Confirmed if mixed => Some("confirmed"),
                TokenState::Reverted if mixed => Some("taken back"),
                _ => None,
            })
            .map(str::to_owned),
    );
    if !host.failures.is_empty() && view.refusals.is_empty() {
        let phases: Vec<&str> = host.failures.iter().map(|(phase, _)| phase.as_str()).collect();
        words.push(format!("FAILED in {}", phases.join(", ")));
    } else if view.failures().next().is_some() {
        let unhealthy = host
            .health
            .iter()
            .filter(|(_, health)| !health.answer.is_healthy());
        words.extend(unhealthy.map(|(endpoint, unhealthy)| {
            let answer = health::describe(&unhealthy.answer);
            format!("last health answer of {endpoint}: {answer}")
        }));
    }
    (!words.is_empty()).then(|| words.join("; "))
}

fn phases(view: &RunView, palette: Palette) -> Vec<String> {
    if view.phases.len() < 2 {
        return Vec::new();
    }
    let cell = |view: &PhaseView| match view.end {
        Some(end) if end.succeeded => format!("{} {}", view.phase, duration(end.took)),
        Some(end) => format!("{} {} NOT PASSED", view.phase, duration(end.took)),
        None => format!("{} not ended", view.phase),
    };
    // Three a row: the times of a whole deploy in five lines.
    let rows: Vec<[String; 3]> = view
        .phases
        .chunks(3)
        .map(|chunk| std::array::from_fn(|column| chunk.get(column).map_or_else(String::new, cell)))
        .collect();
    section("phases", table::aligned(&rows), palette)
}

fn next(view: &RunView, end: &End, given: &Given, palette: Palette) -> Vec<String> {
    let advice = advice::after_given(view, end, given);
    let rows: Vec<[String; 2]> = advice.into_iter().map(|one| [one.command, one.purpose]).collect();
    section("what to do next", table::aligned(&rows), palette)
}

fn section(title: &str, lines: Vec<String>, palette: Palette) -> Vec<String> {
    if lines.is_empty() {
        return lines;
    }
    let mut section = vec![palette.heading(title)];
    section.extend(indented(lines));
    section
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines
        .into_iter()
        .map(|line| format!("  {line}").trim_end().to_owned())
}

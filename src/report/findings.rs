//! The list of findings: all of them, host by host, for refusals, warnings and `nonstop doctor`.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Problem, Severity};
use crate::model::names::HostName;
use crate::report::harmless::harmless_tail;
use crate::report::output::Palette;
use crate::report::table;
use crate::report::text::event::FLEET;
use crate::report::text::problem;

/// How many lines of nginx's own words are shown.
const OUTPUT_LINES: usize = 6;

/// The findings, those of the fleet first, then host by host; the worst of each first. A hint that
/// several of them share is given once.
pub fn render(findings: &[Finding], palette: Palette) -> String {
    let mut by_host: BTreeMap<Option<&HostName>, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_host.entry(finding.host.as_ref()).or_default().push(finding);
    }
    let names = by_host.keys().map(|host| name(*host).len());
    let width = names.max().unwrap_or(0);
    let mut hinted: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for (host, mut findings) in by_host {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let mut who = table::pad(name(host), width);
        for finding in findings {
            let mark = mark(finding.severity, palette);
            let text = describe(&finding.problem);
            let mut words = text.into_iter();
            lines.push(format!("{who}  {mark}  {}", words.next().unwrap_or_default()));
            let indent = " ".repeat(width + 2 + MARK_WIDTH + 2);
            lines.extend(words.map(|line| format!("{indent}{line}")));
            let hint = problem::hint(&finding.problem).filter(|hint| !hinted.contains(hint));
            if let Some(hint) = hint {
                lines.push(format!("{indent}{}", palette.dim(&format!("hint: {hint}"))));
                hinted.push(hint);
            }
            who = " ".repeat(width);
        }
    }
    lines.join("\n")
}

const MARK_WIDTH: usize = 7;

fn mark(severity: Severity, palette: Palette) -> String {
    match severity {
        Severity::Info => palette.good("ok     "),
        Severity::Warning => palette.warning("warning"),
        Severity::Refusal => palette.bad("REFUSED"),
    }
}

fn name(host: Option<&HostName>) -> &str {
    host.map_or(FLEET, HostName::as_str)
}

fn describe(problem: &Problem) -> Vec<String> {
    match problem {
        // nginx says where and what in several lines; on one line they would be cut.
        Problem::NginxTestFails { output } => {
            let mut lines = vec!["`nginx -t` fails on what is there:".to_owned()];
            let output = harmless_tail(output, OUTPUT_LINES);
            lines.extend(output.into_iter().map(|line| format!("| {line}")));
            lines
        }
        problem => vec![problem::describe(problem)],
    }
}

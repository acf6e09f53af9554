//! What is wrong with the files: every problem with its place, the line itself and a hint. The
//! command line prints a report as it stands and exits with 3.

use std::fmt;

use crate::model::secret::{HIDDEN, Secrets};

use super::secrets::redacted;
use super::source::Spot;

/// The longest part of a line that is shown, in characters.
const SHOWN: usize = 140;
/// More problems than this are counted and not shown.
const MOST: usize = 50;

/// One mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// The line itself.
    pub source_line: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem at a place. Where a secret stands there, it is not shown.
    pub fn at(spot: &Spot, message: impl Into<String>) -> Self {
        let (source_line, secret) = redacted(spot.source.line(spot.line));
        let message: String = message.into();
        Self {
            file: spot.source.name().to_owned(),
            line: spot.line,
            column: spot.column,
            length: spot.length,
            source_line,
            message: secret
                .filter(|secret| !secret.is_empty())
                .map_or(message.clone(), |secret| message.replace(&secret, HIDDEN)),
            hint: None,
        }
    }

    /// A problem with a file as a whole.
    pub fn with_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            length: 0,
            source_line: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem with advice where there is some.
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = harmless(&self.file);
        let message = harmless(&self.message);
        if self.line == 0 {
            write!(f, "{file}: {message}")?;
        } else {
            writeln!(f, "{file}:{}:{}: {message}", self.line, self.column)?;
            let gutter = self.line.to_string();
            let blank = " ".repeat(gutter.len());
            let (shown, before, marked) = excerpt(&self.source_line, self.column, self.length);
            writeln!(f, "{blank} |")?;
            writeln!(f, "{gutter} | {shown}")?;
            write!(f, "{blank} | {}{}", " ".repeat(before), "^".repeat(marked))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", harmless(hint)),
            None => Ok(()),
        }
    }
}

/// All mistakes of one or more files, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub struct Report {
    /// The mistakes.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds the problems of another report.
    pub fn append(&mut self, other: Report) {
        self.problems.extend(other.problems);
    }

    /// Takes secrets out of whatever is quoted.
    pub(super) fn hide(&mut self, secrets: &Secrets) {
        for problem in &mut self.problems {
            for text in [&mut problem.source_line, &mut problem.message] {
                *text = secrets.hide(text).into_owned();
            }
            problem.hint = problem.hint.as_ref().map(|hint| secrets.hide(hint).into_owned());
        }
    }

    /// `value` where nothing is wrong, otherwise the report, sorted and each problem once.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Report> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                self.problems.sort_by(|a, b| {
                    (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
                });
                self.problems.dedup();
                debug_assert!(
                    !self.problems.is_empty(),
                    "a value is missing and nobody said why"
                );
                Err(self)
            }
        }
    }
}

impl From<Problem> for Report {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(MOST) {
            writeln!(f, "{problem}\n")?;
        }
        let count = self.problems.len();
        if count > MOST {
            writeln!(f, "… and {} more", count - MOST)?;
        }
        write!(f, "{count} problem{}", if count == 1 { "" } else { "s" })
    }
}

/// Makes a text fit for a terminal: control characters, and those that change the direction of
/// writing, become escapes.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\t' => out.push(' '),
            '\n' => out.push(c),
            c if c.is_control() || steers => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The part of a line around a place, with the widths before and below the marked characters.
fn excerpt(line: &str, column: usize, length: usize) -> (String, usize, usize) {
    let characters: Vec<char> = line.chars().collect();
    let at = column.saturating_sub(1).min(characters.len());
    let start = if characters.len() <= SHOWN {
        0
    } else {
        at.saturating_sub(SHOWN / 3)
    };
    let end = characters.len().min(start + SHOWN);
    let piece = |from: usize, to: usize| -> String {
        let text: String = characters[from.min(end)..to.min(end)].iter().collect();
        harmless(&text).replace('\n', " ")
    };
    let lead = if start > 0 { "… " } else { "" };
    let tail = if end < characters.len() { " …" } else { "" };
    let before = format!("{lead}{}", piece(start, at));
    let marked = piece(at, at + length.max(1));
    let width = console::measure_text_width;
    let shown = format!("{lead}{}{tail}", piece(start, end));
    (shown, width(&before), width(&marked).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;

    #[test]
    fn the_caret_stands_below_what_is_meant_also_after_wide_characters() {
        let source = Source::new("p.yml", "이름: vlaue\n");
        let problem = Problem::at(&source.spot(1, 5, 5), "no").hint("write `value`");
        assert_eq!(
            problem.to_string(),
            "p.yml:1:5: no\n  |\n1 | 이름: vlaue\n  |       ^^^^^\n  hint: write `value`"
        );
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000));
        let source = Source::new("i.json", line);
        let shown = Problem::at(&source.spot(1, 5001, 4), "no").to_string();
        assert!(shown.contains("aaHEREbb") && shown.len() < 600, "{shown}");
        assert!(shown.ends_with("^^^^"), "{shown}");
    }

    #[test]
    fn escape_sequences_in_a_file_do_not_reach_the_terminal() {
        let source = Source::new("p.yml", "a: \u{1b}[31mred");
        let shown = Problem::at(&source.spot(1, 4, 1), "bad \u{1b}]0;x").to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}

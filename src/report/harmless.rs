//! Makes text that came from a host safe to print. A log line may hold escape sequences that move
//! the cursor, rewrite what was printed before, change the window's title or type into the shell;
//! bidirectional controls make a line read as what it is not. Everything that a reporter prints and
//! that did not come from this program passes through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How many characters of one line are shown.
const LINE_LIMIT: usize = 300;

/// One line in which nothing can move the cursor: colours are taken out, every other control
/// character is shown (`^[` for ESC, `\u{202e}` for a Unicode one), tabs become spaces, line breaks
/// ` / `, and what is beyond 300 characters is cut.
pub fn harmless(text: &str) -> String {
    harmless_within(text, LINE_LIMIT)
}

/// The same of what a person has to see all of, such as a command line of the playbook: nothing is cut.
pub fn harmless_whole(text: &str) -> String {
    harmless_within(text, usize::MAX)
}

fn harmless_within(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(4 * LINE_LIMIT));
    let mut rest = text.trim();
    let mut count = 0;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = after_color(rest) {
            rest = after;
            continue;
        }
        if count == limit {
            line.push('…');
            break;
        }
        rest = &rest[first.len_utf8()..];
        count += 1;
        match first {
            '\r' if rest.starts_with('\n') => {}
            '\n' => {
                line.push_str(" / ");
                rest = rest.trim_start();
            }
            first => push(&mut line, first),
        }
    }
    line
}

/// The last `limit` lines of a text, each harmless; empty lines at its end do not count. The frames of
/// a stack trace are folded into one line, or they would push what went wrong out of sight.
pub fn harmless_tail(text: &str, limit: usize) -> Vec<String> {
    let lines = folded(text.trim_end().lines());
    let skipped = lines.len().saturating_sub(limit);
    lines[skipped..]
        .iter()
        .map(|line| harmless_indented(line))
        .collect()
}

/// How many frames of a stack trace are shown one by one.
const FRAMES_SHOWN: usize = 2;

/// Every run of stack frames shortened to its first ones and a count.
fn folded<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
    let mut out: Vec<Cow<'a, str>> = Vec::new();
    let mut frames: usize = 0;
    for line in lines {
        frames = if line.trim_start().starts_with("at ") && line.starts_with([' ', '\t']) {
            frames + 1
        } else {
            0
        };
        match frames.checked_sub(FRAMES_SHOWN) {
            None | Some(0) => out.push(Cow::Borrowed(line)),
            Some(hidden) => {
                if hidden > 1 {
                    out.pop();
                }
                out.push(Cow::Owned(format!("    … {hidden} more frames")));
            }
        }
    }
    out
}

/// A whole text for a terminal: line breaks and our own colours stay, whatever else could steer it is shown.
/// What came from a host is harmless before it is made part of a text; this catches what was forgotten.
pub fn tamed(text: &str) -> Cow<'_, str> {
    let steers = |c: char| is_dangerous(c) && c != '\n';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut tame = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = after_color(rest).unwrap_or(&rest[first.len_utf8()..]);
        if first == '\n' || after_color(rest).is_some() {
            tame.push_str(&rest[..rest.len() - after.len()]);
        } else {
            push(&mut tame, first);
        }
        rest = after;
    }
    Cow::Owned(tame)
}

/// Whether a character can change how a terminal or a reader sees the text around it.
pub fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// One harmless line that keeps its indentation.
pub fn harmless_indented(line: &str) -> String {
    let indent = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
    let width: usize = indent.map(|c| if c == '\t' { 4 } else { 1 }).sum();
    " ".repeat(width.min(40)) + &harmless(line)
}

fn push(line: &mut String, character: char) {
    match character {
        '\t' => line.push_str("    "),
        '\u{0}'..='\u{1f}' => {
            line.push('^');
            line.push(char::from(character as u8 + b'@'));
        }
        '\u{7f}' => line.push_str("^?"),
        character if is_dangerous(character) => {
            // Writing to a String cannot fail.
            let _ = write!(line, "{}", character.escape_unicode());
        }
        character => line.push(character),
    }
}

/// What follows a well-formed colour sequence, `ESC [ digits and semicolons m`.
fn after_color(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].strip_prefix('m')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_vanish_and_other_escapes_become_visible() {
        let log = "\u{1b}[32mINFO\u{1b}[0;39m up\u{1b}[2J\u{1b}]0;owned\u{7}";
        assert_eq!(harmless(log), "INFO up^[[2J^[]0;owned^G");
    }

    #[test]
    fn an_eight_bit_escape_and_a_right_to_left_override_become_visible() {
        assert_eq!(
            harmless("a\u{9b}31mb\u{202e}exe.txt"),
            "a\\u{9b}31mb\\u{202e}exe.txt"
        );
    }

    #[test]
    fn a_carriage_return_cannot_overwrite_a_line() {
        assert_eq!(harmless("real\rfake\r\nnext"), "real^Mfake / next");
    }

    #[test]
    fn a_whole_text_keeps_its_lines_and_colours_and_nothing_else_that_steers() {
        let text = "\u{1b}[31merror:\u{1b}[0m a\nb\u{1b}[2J\u{202e}c\rd\u{1b}[1;31mm";
        assert_eq!(
            tamed(text),
            "\u{1b}[31merror:\u{1b}[0m a\nb^[[2J\\u{202e}c^Md\u{1b}[1;31mm"
        );
        assert!(matches!(tamed("plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn letters_of_every_language_stay() {
        assert_eq!(harmless("무중단 배포 – café"), "무중단 배포 – café");
    }

    #[test]
    fn a_tail_is_bounded_in_lines_and_in_width() {
        let lines: Vec<String> = (0..100)
            .map(|n| format!("  line {n} {}", "x".repeat(500)))
            .collect();
        let tail = harmless_tail(&lines.join("\n"), 15);
        assert_eq!(tail.len(), 15);
        assert!(tail[14].starts_with("  line 99 "), "{}", tail[14]);
        assert!(tail.iter().all(|line| line.chars().count() <= LINE_LIMIT + 3));
    }

    proptest! {
        #[test]
        fn whatever_a_host_says_is_one_line_without_controls(text in any::<String>()) {
            let line = harmless(&text);
            prop_assert!(!line.contains(is_dangerous), "{line:?}");
        }

        #[test]
        fn whatever_a_log_holds_no_line_of_its_tail_has_controls(text in any::<String>()) {
            for line in harmless_tail(&text, 15) {
                prop_assert!(!line.contains(is_dangerous), "{line:?}");
            }
        }
    }
}

//! The live reporter, on a terminal that keeps its lines.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{ProgressDrawTarget, TermLike};
use insta::assert_snapshot;
use nonstop::model::phase::Phase;
use nonstop::report::Reporter;
use nonstop::report::output::Palette;
use nonstop::report::progress::Progress;

use crate::fixture::Story;

/// A screen that is high enough for everything, and wraps at its width as terminals do: a full line
/// leaves the cursor on it until the next character comes.
#[derive(Debug, Clone)]
struct Screen {
    width: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl State {
    fn put(&mut self, character: char, width: usize) {
        match character {
            '\r' => self.column = 0,
            '\n' => (self.row, self.column) = (self.row + 1, 0),
            character => {
                if self.column == width {
                    (self.row, self.column) = (self.row + 1, 0);
                }
                let column = self.column;
                let line = self.line();
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                self.column += 1;
            }
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        let rows = self.cells.len().max(self.row + 1);
        self.cells.resize(rows, Vec::new());
        &mut self.cells[self.row]
    }
}

impl Screen {
    fn new(width: usize) -> Self {
        let state = Arc::default();
        Self { width, state }
    }

    fn text(&self) -> String {
        let state = self.state.lock().unwrap();
        let line = |cells: &Vec<char>| cells.iter().collect::<String>().trim_end().to_owned();
        let lines: Vec<String> = state.cells.iter().map(line).collect();
        lines.join("\n").trim_end().to_owned()
    }

    fn reporter(&self) -> Progress {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(self.clone()), 255);
        let width = self.width;
        Progress::new(target, Palette::Monochrome, move || width, Box::new(self.clone()))
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }
}

impl io::Write for Screen {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_str(std::str::from_utf8(buffer).unwrap())?;
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        u16::try_from(self.width).unwrap()
    }
    fn height(&self) -> u16 {
        100
    }
    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.change(|state| state.row = state.row.saturating_sub(n));
        Ok(())
    }
    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.change(|state| state.row += n);
        Ok(())
    }
    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.change(|state| state.column += n);
        Ok(())
    }
    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.change(|state| state.column = state.column.saturating_sub(n));
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.write_str("\n")
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        let width = self.width;
        self.change(|state| text.chars().for_each(|character| state.put(character, width)));
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.change(|state| {
            state.line().clear();
            state.column = 0;
        });
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// An upload that is half through, two seconds in.
fn half_way() -> Story {
    let mut story = Story::of("deploy");
    story.passes(Phase::Lock, &["was-1", "was-2", "nginx-1"], 120);
    story.planned().uploads();
    let begun = |stamped: &nonstop::model::event::Stamped| stamped.elapsed < Duration::from_millis(2_500);
    story.events.retain(begun);
    story
}

fn show(story: &Story, screen: &Screen) -> Progress {
    let mut reporter = screen.reporter();
    story.events.iter().for_each(|event| reporter.event(event));
    reporter
}

#[test]
fn every_host_has_a_line_and_finished_phases_are_above() {
    let screen = Screen::new(100);
    let story = half_way();
    let mut reporter = show(&story, &screen);
    std::thread::sleep(Duration::from_millis(20));
    reporter.tick(story.events.last().unwrap().at);
    assert_snapshot!(screen.text(), @"
      run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    ✓ lock      done in 120 ms
      plan      from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    ✓ nginx-1 lock      120 ms
    · was-1   upload    █████░░░░░░░░░░░ 22.5 MB of 60.1 MB 1.8 s
    · was-2   upload    █████░░░░░░░░░░░ 22.5 MB of 60.1 MB 1.8 s
    ");
}

#[test]
fn no_live_line_wraps_on_a_narrow_terminal() {
    let screen = Screen::new(32);
    let mut story = half_way();
    story.starts().verifies();
    let _reporter = show(&story, &screen);
    let text = screen.text();
    let live: Vec<&str> = text.lines().rev().take(3).collect();
    assert!(live[0].contains("was-2") && live[2].contains("nginx-1"), "{text}");
}

#[test]
fn at_the_end_the_live_lines_are_gone_and_the_summary_stands() {
    let screen = Screen::new(100);
    let _reporter = show(&Story::deploy(), &screen);
    let text = screen.text();
    assert!(text.ends_with("outcome: deployed"), "{text}");
    assert!(!text.contains("· was-1"), "{text}");
}

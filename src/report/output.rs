//! Streams and colours. Text for people goes to standard error, data to standard output; a reader
//! that went away is no error.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::str::FromStr;

use console::Style;

/// A writer whose reader may go away: from the first broken pipe on, everything is swallowed.
#[derive(Debug)]
pub struct Quiet<W> {
    inner: W,
    closed: bool,
}

impl<W: Write> Quiet<W> {
    /// Wraps a writer.
    pub fn new(inner: W) -> Self {
        Self { inner, closed: false }
    }

    /// Whether the reader went away.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn forgive<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(instead)
            }
            result => result,
        }
    }
}

impl<W: Write> Write for Quiet<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(buffer.len());
        }
        let result = self.inner.write(buffer);
        self.forgive(result, buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let result = self.inner.flush();
        self.forgive(result, ())
    }
}

/// When colours are used: `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal that can show them, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// Decides for one stream.
    ///
    /// `no_color` is the variable `NO_COLOR` (any text but the empty one counts, see
    /// <https://no-color.org>), `term` the variable `TERM`.
    pub fn resolve(self, is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Palette {
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let declined = no_color.is_some_and(|value| !value.is_empty());
                is_terminal && !declined && term.is_none_or(|term| term != "dumb")
            }
        };
        if wanted {
            Palette::Colored
        } else {
            Palette::Monochrome
        }
    }
}

impl FromStr for ColorChoice {
    type Err = String;
    fn from_str(value: &str) -> Result<Self, String> {
        <Self as clap::ValueEnum>::from_str(value, false)
    }
}

/// Whether a stream gets colours. No meaning is ever carried by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// With colours.
    Colored,
    /// Without.
    Monochrome,
}

impl Palette {
    /// Something that went well.
    pub fn good(self, text: &str) -> String {
        self.paint(&Style::new().green(), text)
    }

    /// Something that a person should look at.
    pub fn warning(self, text: &str) -> String {
        self.paint(&Style::new().yellow(), text)
    }

    /// Something that failed.
    pub fn bad(self, text: &str) -> String {
        self.paint(&Style::new().red().bold(), text)
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint(&Style::new().bold(), text)
    }

    /// Something of lesser weight.
    pub fn dim(self, text: &str) -> String {
        self.paint(&Style::new().dim(), text)
    }

    fn paint(self, style: &Style, text: &str) -> String {
        match self {
            Self::Monochrome => text.to_owned(),
            // The decision is ours, so console's own look at the terminal is overruled.
            Self::Colored => style.clone().force_styling(true).apply_to(text).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    struct FullDisk;

    impl Write for FullDisk {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let mut writer = Quiet::new(ClosedPipe);
        writer.write_all(b"line\n").unwrap();
        writer.flush().unwrap();
        assert!(writer.is_closed());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let error = Quiet::new(FullDisk).write_all(b"line\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn no_color_is_honoured_unless_colour_is_asked_for() {
        let no_color = Some(OsStr::new("1"));
        let auto = |terminal, no_color| ColorChoice::Auto.resolve(terminal, no_color, None);
        assert_eq!(auto(true, None), Palette::Colored);
        assert_eq!(auto(true, Some(OsStr::new(""))), Palette::Colored);
        assert_eq!(auto(true, no_color), Palette::Monochrome);
        assert_eq!(auto(false, None), Palette::Monochrome);
        assert_eq!(
            ColorChoice::Always.resolve(false, no_color, None),
            Palette::Colored
        );
        assert_eq!(ColorChoice::Never.resolve(true, None, None), Palette::Monochrome);
        let dumb = Some(OsStr::new("dumb"));
        assert_eq!(ColorChoice::Auto.resolve(true, None, dumb), Palette::Monochrome);
    }

    #[test]
    fn colours_come_and_go_with_the_palette() {
        assert_eq!(Palette::Monochrome.bad("no"), "no");
        assert!(Palette::Colored.bad("no").contains("\u{1b}[31m"));
    }
}

//! The text of a file and places in it. Every node of a parsed file carries such a place, so that a
//! mistake that shows much later still points at its line.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::report::Problem;
use super::yaml::MAX_BYTES;

/// A file as read: its name for messages and its text.
#[derive(PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    path: Option<PathBuf>,
}

impl Source {
    /// A text with the name that messages give it. No files are looked for beside it.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::made(name.into(), text.into(), None)
    }

    /// Reads a file.
    ///
    /// Returns a problem for a file that is not there, not text, or larger than 16 MiB.
    pub fn read(path: &Path) -> Result<Arc<Self>, Problem> {
        let name = path.display().to_string();
        let failed = |reason: String| Problem::with_file(name.clone(), reason);
        let size = fs::metadata(path)
            .map_err(|error| failed(format!("cannot be read: {error}")))?
            .len();
        if size > MAX_BYTES as u64 {
            return Err(failed(format!("is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let bytes = fs::read(path).map_err(|error| failed(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            failed(format!("is not UTF-8 text: byte {at} belongs to no character"))
        })?;
        Ok(Self::made(name, text, Some(path.to_owned())))
    }

    fn made(name: String, text: String, path: Option<PathBuf>) -> Arc<Self> {
        // A byte order mark is no content, and would shift every column of the first line.
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Arc::new(Self { name, text, path })
    }

    /// Where the text was read from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The name as messages show it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder of the file; `.` where there is none.
    pub fn folder(&self) -> &Path {
        match self.path.as_deref().and_then(Path::parent) {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// A line without its end, counted from 1.
    pub fn line(&self, number: usize) -> &str {
        self.text
            .lines()
            .nth(number.saturating_sub(1))
            .unwrap_or_default()
    }

    /// A place in this text.
    pub fn spot(self: &Arc<Self>, line: usize, column: usize, length: usize) -> Spot {
        Spot {
            source: Arc::clone(self),
            line,
            column,
            length,
        }
    }

    /// The place that stands for the file as a whole.
    pub fn whole(self: &Arc<Self>) -> Spot {
        self.spot(0, 0, 0)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A place in a file: some characters of one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub source: Arc<Source>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters, at least 1 within a line.
    pub length: usize,
}

impl Spot {
    /// The part of this place that holds `text`, or the whole place where the line does not show it.
    pub fn narrowed_to(&self, text: &str) -> Self {
        let line = self.source.line(self.line);
        let start: usize = line
            .chars()
            .take(self.column.saturating_sub(1))
            .map(char::len_utf8)
            .sum();
        let own: usize = line[start..].chars().take(self.length).map(char::len_utf8).sum();
        let found = line[start..start + own].find(text);
        match found {
            Some(at) if !text.is_empty() => {
                let before = line[start..start + at].chars().count();
                self.source
                    .spot(self.line, self.column + before, text.chars().count())
            }
            _ => self.clone(),
        }
    }
}

impl fmt::Debug for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.name, self.line, self.column)
    }
}

//! A stream on which no secret is ever written. The command line puts one around every stream for people.

use std::io::{self, Write};

use crate::model::secret::Secrets;

/// A line that never ends is written in pieces.
const LONGEST_LINE: usize = 64 * 1024;

/// Writes line by line, with every secret hidden.
#[derive(Debug)]
pub struct Veiled<W: Write> {
    out: W,
    secrets: Secrets,
    line: Vec<u8>,
}

impl<W: Write> Veiled<W> {
    /// Hides `secrets` in whatever is written to `out`.
    pub fn new(out: W, secrets: Secrets) -> Self {
        let line = Vec::new();
        Self { out, secrets, line }
    }

    fn write_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        self.out.write_all(self.secrets.hide(&text).as_bytes())
    }
}

impl<W: Write> Write for Veiled<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.secrets.is_empty() {
            return self.out.write(buffer);
        }
        for part in buffer.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") || self.line.len() > LONGEST_LINE {
                self.write_line()?;
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.write_line()?;
        }
        self.out.flush()
    }
}

impl<W: Write> Drop for Veiled<W> {
    fn drop(&mut self) {
        // Whoever cares for errors has flushed.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::secret::Gathering;

    #[test]
    fn a_secret_is_hidden_wherever_the_writes_are_cut() {
        let mut gathering = Gathering::default();
        gathering.secret("hunter2");
        let mut kept = Vec::new();
        let mut veiled = Veiled::new(&mut kept, gathering.finish());
        for part in ["pass", "word: hun", "ter2\nnext ", "hunter2"] {
            veiled.write_all(part.as_bytes()).unwrap();
        }
        drop(veiled);
        assert_eq!(String::from_utf8(kept).unwrap(), "password: ***\nnext ***");
    }
}

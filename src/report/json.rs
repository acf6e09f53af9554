//! The reporter for programs: one JSON object a line, one line an event. Field names are stable;
//! fields may be added.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::event::{Event, Stamped};
use crate::model::secret::Secrets;
use crate::report::Reporter;
use crate::report::harmless::is_dangerous;
use crate::report::output::Quiet;

/// Writes every event as a line of JSON.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: Quiet<W>,
    secrets: Secrets,
    error: Option<io::Error>,
}

impl<W: Write> JsonLines<W> {
    /// Makes one that writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out: Quiet::new(out),
            secrets: Secrets::default(),
            error: None,
        }
    }

    /// The same, with secrets hidden.
    pub fn hiding(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// The first error of writing, such as a full disk. A reader that went away is none.
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_ref()
    }

    fn write(&mut self, stamped: &Stamped) -> io::Result<()> {
        let mut value = serde_json::to_value(stamped)?;
        if let (Event::RunEnded { exit, .. }, Value::Object(fields)) = (&stamped.event, &mut value) {
            fields.insert("exit_code".to_owned(), json!(exit.code()));
        }
        self.secrets.hide_in(&mut value);
        let line = line(&value)? + "\n";
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Reporter for JsonLines<W> {
    fn event(&mut self, stamped: &Stamped) {
        if let Err(error) = self.write(stamped) {
            self.error.get_or_insert(error);
        }
    }
}

/// One line of JSON. Characters that could steer a terminal are escaped as JSON allows.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(|text| escaped(&text))
}

/// The same over several lines, for `--json` of commands that answer with one object.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| escaped(&text))
}

fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        // A line break is serde_json's own layout: inside a string it is written as `\n`.
        if is_dangerous(character) && character != '\n' {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_no_control_character_and_reads_back_as_it_was() {
        let text = "\u{1b}[2J \u{9b}31m \u{202e} \u{7f} \u{e0041}\n무중단";
        let line = line(&text).unwrap();
        assert!(!line.contains(is_dangerous), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}

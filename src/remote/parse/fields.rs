//! An answer's lines as keys and values, each to be taken once and in order.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use super::{ParseError, harmless};

const MARK: &[u8] = b"nonstop-answer ";
const MAX_LINES: usize = 50_000;
/// What a login may print before the answer.
const MAX_NOISE_BYTES: usize = 64 * 1024;
/// The scripts cut every value here or before.
const MAX_VALUE_BYTES: usize = 1024 * 1024;
/// A text that is shown: nobody reads more, and reports keep it for as long as the run goes on.
const MAX_TEXT_BYTES: usize = 256 * 1024;
/// Numbers in one list. No host runs as many workers of nginx.
const MAX_NUMBERS: usize = 10_000;
/// As long as any time that a host is asked to wait, or can have left.
const MAX_MILLISECONDS: u64 = 31_536_000_000;

/// The fields of an answer that were not taken yet.
#[derive(Debug)]
pub(super) struct Fields {
    list: VecDeque<(String, Vec<u8>)>,
}

impl Fields {
    /// Reads an answer; what was printed before its begin is left out.
    pub(super) fn read(stdout: &[u8]) -> Result<Self, ParseError> {
        let start = begin(stdout)?;
        let mut list = VecDeque::new();
        let mut lines = stdout[start..].split(|byte| *byte == b'\n').enumerate().skip(1);
        for (number, line) in lines.by_ref() {
            if line.starts_with(MARK) {
                return match (&line[MARK.len()..], lines.next(), lines.next()) {
                    (b"1 end", Some((_, b"")), None) => Ok(Self { list }),
                    (b"1 end", Some(_), _) => Err(ParseError::BadLine { line: number + 1 }),
                    (_, None, _) => Err(ParseError::Truncated),
                    _ => Err(ParseError::UnknownVersion),
                };
            }
            if list.len() >= MAX_LINES {
                return Err(ParseError::TooLong);
            }
            match field(line) {
                Some((_, value)) if value.len() > MAX_VALUE_BYTES => return Err(ParseError::TooLong),
                Some(field) => list.push_back(field),
                None if stdout.ends_with(line) => return Err(ParseError::Truncated),
                None => return Err(ParseError::BadLine { line: number }),
            }
        }
        Err(ParseError::Truncated)
    }

    /// Takes the value of `key`, which must be there, as text that can be shown.
    pub(super) fn text(&mut self, key: &'static str) -> Result<String, ParseError> {
        self.maybe_text(key).ok_or(ParseError::Missing { key })
    }

    /// Takes the value of `key`, where it is there, as text that can be shown; the end of it, where it is
    /// longer than anybody reads.
    pub(super) fn maybe_text(&mut self, key: &str) -> Option<String> {
        self.maybe_bytes(key).map(|bytes| shown(&bytes))
    }

    /// Takes the value of `key`, which must be there, as text that can be shown, however long it is.
    pub(super) fn long_text(&mut self, key: &'static str) -> Result<String, ParseError> {
        self.bytes(key).map(|bytes| harmless(&bytes, bytes.len()))
    }

    /// Takes every value of `key`, in order, as text that can be shown.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        self.all(key).iter().map(|bytes| shown(bytes)).collect()
    }

    /// Takes every value of `key`, in order; each must be of its type.
    pub(super) fn values<T: FromStr<Err: ToString>>(&mut self, key: &str) -> Result<Vec<T>, ParseError> {
        self.all(key).iter().map(|bytes| typed(key, bytes)).collect()
    }

    /// Takes every value of `key` in one go: one by one would take time by the square of their number.
    fn all(&mut self, key: &str) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        let mut rest = VecDeque::with_capacity(self.list.len());
        for (name, value) in std::mem::take(&mut self.list) {
            if name == key {
                values.push(value);
            } else {
                rest.push_back((name, value));
            }
        }
        self.list = rest;
        values
    }

    /// Takes the bytes of `key`, where it is there.
    pub(super) fn maybe_bytes(&mut self, key: &str) -> Option<Vec<u8>> {
        let at = self.list.iter().position(|(name, _)| name == key)?;
        self.list.remove(at).map(|(_, value)| value)
    }

    /// Takes the bytes of `key`, which must be there.
    pub(super) fn bytes(&mut self, key: &'static str) -> Result<Vec<u8>, ParseError> {
        self.maybe_bytes(key).ok_or(ParseError::Missing { key })
    }

    /// Takes the exact text of `key`, where it is there; other bytes than UTF-8 are refused.
    pub(super) fn maybe_exact(&mut self, key: &str) -> Result<Option<String>, ParseError> {
        let Some(bytes) = self.maybe_bytes(key) else {
            return Ok(None);
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| bad(key, "is not UTF-8"))
    }

    /// Takes the value of `key`, which must be there and of its type.
    pub(super) fn value<T: FromStr<Err: ToString>>(&mut self, key: &'static str) -> Result<T, ParseError> {
        self.maybe_value(key)?.ok_or(ParseError::Missing { key })
    }

    /// Takes the value of `key`, where it is there; it must be of its type.
    pub(super) fn maybe_value<T: FromStr<Err: ToString>>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, ParseError> {
        self.maybe_bytes(key).map(|bytes| typed(key, &bytes)).transpose()
    }

    /// Takes a time in milliseconds, where it is there; none may be so long that no clock can count it.
    pub(super) fn maybe_milliseconds(&mut self, key: &str) -> Result<Option<Duration>, ParseError> {
        match self.maybe_value(key)? {
            Some(milliseconds) if milliseconds > MAX_MILLISECONDS => Err(bad(key, "is too long a time")),
            milliseconds => Ok(milliseconds.map(Duration::from_millis)),
        }
    }

    /// Takes the value of `key`, where it is there and not empty; it must be of its type.
    pub(super) fn filled<T: FromStr<Err: ToString>>(&mut self, key: &str) -> Result<Option<T>, ParseError> {
        if self
            .list
            .iter()
            .any(|(name, value)| name == key && value.is_empty())
        {
            self.maybe_bytes(key);
            return Ok(None);
        }
        self.maybe_value(key)
    }

    /// Takes numbers that are separated by spaces.
    pub(super) fn numbers(&mut self, key: &'static str) -> Result<Vec<u32>, ParseError> {
        let text = self.text(key)?;
        let number = |word: &str| word.parse().map_err(|_| bad(key, "holds no number"));
        if text.split_whitespace().nth(MAX_NUMBERS).is_some() {
            return Err(bad(key, "holds too many numbers"));
        }
        text.split_whitespace().map(number).collect()
    }

    /// Takes every group that starts with `key`: that field and those after it named `key.…`.
    pub(super) fn groups(&mut self, key: &str) -> Vec<Fields> {
        let mut groups: Vec<Fields> = Vec::new();
        let mut rest = VecDeque::with_capacity(self.list.len());
        for (name, value) in std::mem::take(&mut self.list) {
            let below = name
                .strip_prefix(key)
                .is_some_and(|suffix| suffix.starts_with('.'));
            match groups.last_mut() {
                _ if name == key => groups.push(Fields {
                    list: VecDeque::from([(name, value)]),
                }),
                Some(group) if below => group.list.push_back((name, value)),
                _ => rest.push_back((name, value)),
            }
        }
        self.list = rest;
        groups
    }

    /// Refuses whatever was not taken.
    pub(super) fn finish(self) -> Result<(), ParseError> {
        match self.list.into_iter().next() {
            Some((key, _)) => Err(ParseError::Unexpected { key }),
            None => Ok(()),
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(MAX_TEXT_BYTES);
    harmless(&bytes[from..], MAX_TEXT_BYTES)
}

fn typed<T: FromStr<Err: ToString>>(key: &str, bytes: &[u8]) -> Result<T, ParseError> {
    let text = std::str::from_utf8(bytes).map_err(|_| bad(key, "is not UTF-8"))?;
    text.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        bad(key, &format!("is wrong: {}", harmless(error.as_bytes(), 256)))
    })
}

/// An error about a key's value.
pub(super) fn bad(key: &str, reason: &str) -> ParseError {
    ParseError::BadValue {
        key: key.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Where the line with the begin is.
fn begin(stdout: &[u8]) -> Result<usize, ParseError> {
    let mut at = 0;
    for line in stdout.split(|byte| *byte == b'\n') {
        if at > MAX_NOISE_BYTES {
            break;
        }
        if let Some(version) = line.strip_prefix(MARK) {
            return match version {
                b"1 begin" => Ok(at),
                _ => Err(ParseError::UnknownVersion),
            };
        }
        at += line.len() + 1;
    }
    Err(ParseError::NoAnswer {
        printed: harmless(stdout, 256),
    })
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let at = line.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&line[..at], &line[at + 1..]);
    let (key, value) = match key.strip_suffix(b":") {
        Some(key) => (key, data_encoding::BASE64.decode(value).ok()?),
        None if value.iter().all(|byte| (b' '..=b'~').contains(byte)) => (key, value.to_vec()),
        None => return None,
    };
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(byte);
    if key.is_empty() || key.len() > 64 || !key.iter().all(plain) {
        return None;
    }
    Some((String::from_utf8(key.to_vec()).ok()?, value))
}

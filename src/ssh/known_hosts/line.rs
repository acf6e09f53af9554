//! One line of a known_hosts file: `[@marker] names keytype base64 [comment]`.

use std::fmt;
use std::path::{Path, PathBuf};

use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};

use super::pattern::field_means;

/// A word in front of a line that changes what its key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The key signs host certificates.
    CertAuthority,
    /// The key must never be accepted.
    Revoked,
}

/// A line that makes no sense; it is passed over, as `ssh` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl BadLine {
    pub(super) fn new((file, line): (&Path, usize), reason: &'static str) -> Self {
        Self {
            file: file.to_path_buf(),
            line,
            reason,
        }
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.reason)
    }
}

/// What a line says about one host.
pub(super) enum Parsed {
    /// Nothing: a comment, an empty line, or another host.
    Nothing,
    /// A key of this host.
    Entry(Option<Marker>, PublicKey),
    /// No sense.
    Bad(&'static str),
}

/// Reads what a line says about the host of this name. The key of another host's line is not read.
pub(super) fn parse(line: &str, name: &str) -> Parsed {
    let mut rest = skip_blanks(line);
    if rest.is_empty() || rest.starts_with('#') {
        return Parsed::Nothing;
    }
    let mut marker = None;
    if rest.starts_with('@') {
        let (word, after) = split_word(rest);
        marker = match word {
            "@cert-authority" => Some(Marker::CertAuthority),
            "@revoked" => Some(Marker::Revoked),
            _ => return Parsed::Bad("unknown marker"),
        };
        rest = after;
        if rest.starts_with('@') {
            return Parsed::Bad("more than one marker");
        }
    }
    let (names, rest) = split_word(rest);
    if rest.is_empty() {
        return Parsed::Bad("no key");
    }
    if !field_means(names, name) {
        return Parsed::Nothing;
    }
    match key(rest) {
        Ok(key) => Parsed::Entry(marker, key),
        Err(reason) => Parsed::Bad(reason),
    }
}

fn key(text: &str) -> Result<PublicKey, &'static str> {
    let (kind, rest) = split_word(text);
    let (base64, _comment) = split_word(rest);
    if base64.is_empty() {
        return Err("no key");
    }
    let key = parse_public_key_base64(base64).map_err(|_| "unreadable key")?;
    let named = Algorithm::new(kind).map_err(|_| "unknown type of key")?;
    if named != key.algorithm() {
        return Err("the key is not of the type that the line names");
    }
    Ok(key)
}

fn skip_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r'])
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, skip_blanks(rest)),
        None => (text, ""),
    }
}

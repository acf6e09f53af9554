//! Values as words of a POSIX shell. Every parameter of every script passes through here.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::names::RemotePath;

/// Single quotes around anything: within them a POSIX shell reads every byte as it is, except the
/// quote itself, and NUL, which no text of a shell can hold and which is left out.
pub(super) fn quoted(value: &str) -> String {
    let mut result = String::with_capacity(value.len() + 2);
    result.push('\'');
    for character in value.chars() {
        match character {
            '\'' => result.push_str("'\\''"),
            '\0' => {}
            other => result.push(other),
        }
    }
    result.push('\'');
    result
}

/// A value that must stay on one line of a file on the host: control characters become spaces.
pub(super) fn one_line(value: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    quoted(&value.chars().take(1024).map(printable).collect::<String>())
}

/// A path, with `~/` led to the login's home.
pub(super) fn path(value: &RemotePath) -> String {
    match value.as_str().strip_prefix("~/") {
        Some(rest) => format!("\"$HOME\"{}", quoted(&format!("/{rest}"))),
        None => quoted(value.as_str()),
    }
}

/// A path, or an empty word.
pub(super) fn optional_path(value: Option<&RemotePath>) -> String {
    value.map_or_else(|| "''".to_owned(), path)
}

/// Several words in one: none of them may hold a space.
pub(super) fn words(values: impl IntoIterator<Item = String>) -> String {
    let joined = values.into_iter().collect::<Vec<_>>().join("' '");
    if joined.is_empty() {
        "''".to_owned()
    } else {
        joined
    }
}

/// A large value: base64, which the script decodes.
pub(super) fn base64(value: &str) -> String {
    quoted(&data_encoding::BASE64.encode(value.as_bytes()))
}

/// A time in milliseconds; at most a year, for the shell counts in signed 64 bits.
pub(super) fn milliseconds(value: Duration) -> String {
    value.as_millis().min(31_536_000_000).to_string()
}

/// SHA-256 in lower-case hex.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

//! Recording a host that nobody knows yet, for `--host-key accept-new`.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use russh::keys::{PublicKey, PublicKeyBase64};

use super::Lookup;
use super::pattern::hashed;

/// Appends one line to a known_hosts file, under a lock and with a single write, and makes the file
/// (0600) and its folder (0700) where they are absent. Returns an error if the file cannot be written.
pub fn append(file: &Path, lookup: &Lookup, key: &PublicKey, salt: Option<[u8; 20]>) -> io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    opened.lock()?;
    let name = lookup.recorded_name();
    let name = salt.map_or_else(|| name.clone(), |salt| hashed(&name, salt));
    let line = format!("{name} {} {}\n", key.algorithm(), key.public_key_base64());
    let text = if ends_within_a_line(&mut opened)? {
        format!("\n{line}")
    } else {
        line
    };
    opened.write_all(text.as_bytes())
}

/// Whether somebody's last line lacks its end, which would swallow ours.
fn ends_within_a_line(file: &mut std::fs::File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

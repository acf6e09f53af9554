//! Owns the question "is this the host that we know?": reads OpenSSH's known_hosts files and gives
//! the verdict that `ssh` itself would give. The handshake asks before any authentication; russh's
//! own check is not used, for it knows neither `@revoked` nor wildcards nor authorities.
//!
//! The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; the rules of matching are those of
//! OpenSSH's `hostfile.c` and `sshconnect.c`, held by a test that asks `ssh` about the same files.

mod append;
mod certificate;
mod line;
mod pattern;
mod verdict;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use russh::keys::{Algorithm, PublicKey};

pub use append::append;
pub use certificate::CertificateFault;
pub use line::{BadLine, Marker};
pub use verdict::{Recorded, Verdict};

use line::Parsed;

/// The name under which a host's key is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The host as SSH connects to it, or its alias; lower case.
    name: String,
    /// The port; `None` under an alias, which stands for itself.
    port: Option<u16>,
}

impl Lookup {
    /// Looks a host up by what SSH connects to.
    pub fn host(host: &str, port: u16) -> Self {
        Self {
            name: host.to_ascii_lowercase(),
            port: Some(port),
        }
    }

    /// Looks a host up by its `HostKeyAlias`, without a port.
    pub fn alias(alias: &str) -> Self {
        Self {
            name: alias.to_ascii_lowercase(),
            port: None,
        }
    }

    /// The name as a line of the file writes it: `host`, or `[host]:port` for another port than 22.
    pub fn recorded_name(&self) -> String {
        match self.port {
            Some(port) if port != 22 => format!("[{}]:{port}", self.name),
            _ => self.name.clone(),
        }
    }

    /// The name without its port, where `ssh` looks second.
    fn without_port(&self) -> Option<Self> {
        let other = self.port.is_some_and(|port| port != 22);
        other.then(|| Self {
            name: self.name.clone(),
            port: Some(22),
        })
    }

    /// The name that a host certificate must carry.
    fn principal(&self) -> &str {
        &self.name
    }
}

/// One line that speaks about the host.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    marker: Option<Marker>,
    key: PublicKey,
    file: PathBuf,
    line: usize,
}

/// What the known_hosts files say about one host.
#[derive(Debug, Clone)]
pub struct KnownHost {
    lookup: Lookup,
    entries: Vec<Entry>,
    without_port: Vec<Entry>,
    bad_lines: Vec<BadLine>,
}

impl KnownHost {
    /// Reads all lines about a host, in the order of the files; a file that does not exist is empty.
    /// Returns an error if a file exists and cannot be read.
    pub fn read(lookup: Lookup, files: &[PathBuf]) -> Result<Self, UnreadableFile> {
        let mut found = Self::new(lookup);
        for file in files {
            match read_bounded(file) {
                Ok(bytes) => found.take_in(file, &String::from_utf8_lossy(&bytes)),
                Err(source) if is_absent(&source) => {}
                Err(source) => {
                    return Err(UnreadableFile {
                        file: file.clone(),
                        source,
                    });
                }
            }
        }
        Ok(found)
    }

    fn new(lookup: Lookup) -> Self {
        Self {
            lookup,
            entries: Vec::new(),
            without_port: Vec::new(),
            bad_lines: Vec::new(),
        }
    }

    /// Reads all lines about a host of one file that is there already.
    pub fn of_text(lookup: Lookup, file: &Path, text: &str) -> Self {
        let mut found = Self::new(lookup);
        found.take_in(file, text);
        found
    }

    /// Takes in the lines of one file.
    fn take_in(&mut self, file: &Path, text: &str) {
        let name = self.lookup.recorded_name();
        let plain = self.lookup.without_port().map(|lookup| lookup.recorded_name());
        for (index, text) in text.lines().enumerate() {
            let at = (file, index + 1);
            match line::parse(text, &name) {
                Parsed::Nothing => {}
                Parsed::Bad(reason) => self.bad_lines.push(BadLine::new(at, reason)),
                Parsed::Entry(marker, key) => self.entries.push(Entry::new(at, marker, key)),
            }
            if let Some(plain) = &plain
                && let Parsed::Entry(marker, key) = line::parse(text, plain)
            {
                self.without_port.push(Entry::new(at, marker, key));
            }
        }
    }

    /// The lines that were passed over because they make no sense.
    pub fn bad_lines(&self) -> &[BadLine] {
        &self.bad_lines
    }

    /// The types of the keys that are recorded, so that the handshake can ask for one of those.
    pub fn recorded_algorithms(&self) -> Vec<Algorithm> {
        let entries = self.entries.iter().chain(&self.without_port);
        let plain = entries.filter(|entry| entry.marker.is_none());
        let mut algorithms = Vec::new();
        for algorithm in plain.map(|entry| entry.key.algorithm()) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        algorithms
    }

    /// Whether a certificate authority is recorded for the host.
    pub fn has_authority(&self) -> bool {
        let mut entries = self.entries.iter().chain(&self.without_port);
        entries.any(|entry| entry.marker == Some(Marker::CertAuthority))
    }
}

impl Entry {
    fn new((file, line): (&Path, usize), marker: Option<Marker>, key: PublicKey) -> Self {
        Self {
            marker,
            key,
            file: file.to_path_buf(),
            line,
        }
    }
}

/// No list of hosts is larger: this is a device, or a file by mistake.
const LARGEST_BYTES: u64 = 64 << 20;

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut opened = std::fs::File::open(file)?.take(LARGEST_BYTES + 1);
    opened.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        let message = format!("it is larger than {} MiB", LARGEST_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// A known_hosts file exists and cannot be read; the caller should show it and not connect.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", file.display())]
pub struct UnreadableFile {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

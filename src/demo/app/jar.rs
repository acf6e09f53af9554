//! The file that stands in for a jar: a few lines that name a version and how it behaves, and then
//! as many bytes as one wants to upload.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

const MAGIC: &str = "nonstop demo app";

/// The head of a jar is never longer than this.
const HEAD_BYTES: u64 = 4096;

/// What a demo jar holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoJar {
    /// What `/version` answers.
    pub version: String,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// The size to which the file is filled up; a head that is longer stays whole.
    pub size_bytes: u64,
}

/// How a version behaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// What happens when it is started.
    pub at_start: AtStart,
    /// What its health endpoint says.
    pub health: Health,
    /// What it does with TERM.
    pub on_term: OnTerm,
    /// The one host on which it behaves so, by host name or by the name of the home folder; on any
    /// other it behaves well.
    pub only_on: Option<String>,
}

/// What happens at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtStart {
    /// It listens at once.
    #[default]
    Listen,
    /// It listens after this time.
    ListenAfter(Duration),
    /// It takes so many MiB of memory, and listens then.
    Eat(usize),
    /// It ends with exit code 1 before it listens.
    Crash,
}

/// What the health endpoint says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// 200 and `UP`.
    #[default]
    Up,
    /// 503 and `DOWN`.
    Down,
    /// 200 and `UNKNOWN`.
    Unknown,
    /// `UP` until it has answered this many requests other than for health, `DOWN` from then on.
    DownAfterRequests(u64),
}

/// What it does with TERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTerm {
    /// It finishes what is in flight and ends.
    #[default]
    Finish,
    /// Nothing.
    Ignore,
}

/// Says why a file is no demo jar.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    /// The file cannot be read.
    #[error("failed to read the jar")]
    Unreadable(#[from] io::Error),
    /// The file does not begin like a demo jar.
    #[error("no demo jar: its first line is not `{MAGIC}`")]
    Foreign,
    /// A line of the head has no meaning.
    #[error("the jar's head has a line without a meaning: `{0}`")]
    BadLine(String),
}

impl DemoJar {
    /// A version that behaves well, of 64 KiB.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            behaviour: Behaviour::default(),
            size_bytes: 64 * 1024,
        }
    }

    /// The same with another behaviour.
    pub fn behaving(self, behaviour: Behaviour) -> Self {
        Self { behaviour, ..self }
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let head = self.head();
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        file.write_all(head.as_bytes())?;
        let mut left = self.size_bytes.saturating_sub(head.len() as u64);
        // Bytes that do not compress, and differ from version to version.
        let mut state = head.bytes().fold(0x9E37_79B9_7F4A_7C15_u64, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        }) | 1;
        while left > 0 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bytes = state.to_le_bytes();
            let count = usize::try_from(left.min(8)).unwrap_or(8);
            file.write_all(&bytes[..count])?;
            left -= count as u64;
        }
        file.flush()
    }

    /// Reads the head of the file; `size_bytes` is the file's own size.
    pub fn read(path: &Path) -> Result<Self, JarError> {
        let file = std::fs::File::open(path)?;
        let size_bytes = file.metadata()?.len();
        let mut head = Vec::new();
        file.take(HEAD_BYTES).read_to_end(&mut head)?;
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        if lines.next() != Some(MAGIC) {
            return Err(JarError::Foreign);
        }
        let mut jar = Self {
            size_bytes,
            ..Self::new("")
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            jar.understand(line)
                .ok_or_else(|| JarError::BadLine(line.to_owned()))?;
        }
        Ok(jar)
    }

    fn head(&self) -> String {
        let mut head = format!("{MAGIC}\nversion={}\n", self.version);
        let mut line = |key: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(head, "{key}={value}");
        };
        match self.behaviour.at_start {
            AtStart::Listen => {}
            AtStart::ListenAfter(delay) => line("start-delay-ms", &delay.as_millis().to_string()),
            AtStart::Eat(mebibytes) => line("eat-mib", &mebibytes.to_string()),
            AtStart::Crash => line("crash-at-start", "true"),
        }
        match self.behaviour.health {
            Health::Up => {}
            Health::Down => line("health", "down"),
            Health::Unknown => line("health", "unknown"),
            Health::DownAfterRequests(count) => line("down-after-requests", &count.to_string()),
        }
        if self.behaviour.on_term == OnTerm::Ignore {
            line("ignore-term", "true");
        }
        if let Some(host) = &self.behaviour.only_on {
            line("only-on", host);
        }
        head.push('\n');
        head
    }

    fn understand(&mut self, line: &str) -> Option<()> {
        let (key, value) = line.split_once('=')?;
        let behaviour = &mut self.behaviour;
        match (key, value) {
            ("version", _) => value.clone_into(&mut self.version),
            ("start-delay-ms", _) => {
                behaviour.at_start = AtStart::ListenAfter(Duration::from_millis(value.parse().ok()?));
            }
            ("eat-mib", _) => behaviour.at_start = AtStart::Eat(value.parse().ok()?),
            ("crash-at-start", "true") => behaviour.at_start = AtStart::Crash,
            ("health", "down") => behaviour.health = Health::Down,
            ("health", "unknown") => behaviour.health = Health::Unknown,
            ("down-after-requests", _) => {
                behaviour.health = Health::DownAfterRequests(value.parse().ok()?);
            }
            ("ignore-term", "true") => behaviour.on_term = OnTerm::Ignore,
            ("only-on", _) => behaviour.only_on = Some(value.to_owned()),
            _ => return None,
        }
        Some(())
    }
}

impl Behaviour {
    /// How it behaves on a host that goes by these names.
    pub(super) fn on(&self, names: &[String]) -> Self {
        match &self.only_on {
            Some(only) if !names.contains(only) => Self::default(),
            _ => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_is_read_as_it_was_written_whatever_it_is_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.jar");
        let behaviours = [
            Behaviour::default(),
            Behaviour {
                at_start: AtStart::Crash,
                health: Health::Unknown,
                on_term: OnTerm::Ignore,
                only_on: Some("was-2".to_owned()),
            },
            Behaviour {
                at_start: AtStart::Eat(120),
                ..Behaviour::default()
            },
            Behaviour {
                at_start: AtStart::ListenAfter(Duration::from_millis(1500)),
                health: Health::DownAfterRequests(7),
                ..Behaviour::default()
            },
        ];
        for behaviour in behaviours {
            let jar = DemoJar::new("v1").behaving(behaviour);
            jar.write(&path).unwrap();
            assert_eq!(DemoJar::read(&path).unwrap(), jar);
        }
    }

    #[test]
    fn two_versions_differ_in_more_than_their_head() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = |version| {
            let path = folder.path().join(version);
            DemoJar::new(version).write(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        let (one, two) = (bytes("v1"), bytes("v2"));
        assert_eq!((one.len(), two.len()), (65536, 65536));
        assert_ne!(one[4096..], two[4096..]);
    }

    #[test]
    fn another_file_is_no_demo_jar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("real.jar");
        std::fs::write(&path, b"PK\x03\x04").unwrap();
        assert!(matches!(DemoJar::read(&path), Err(JarError::Foreign)));
        std::fs::write(&path, "nonstop demo app\nhealth=fine\n\n").unwrap();
        assert!(matches!(DemoJar::read(&path), Err(JarError::BadLine(_))));
    }

    #[test]
    fn a_fault_on_one_host_is_none_on_the_others() {
        let sick = Behaviour {
            health: Health::Down,
            only_on: Some("was-2".to_owned()),
            ..Behaviour::default()
        };
        assert_eq!(sick.on(&["was-1".to_owned()]).health, Health::Up);
        assert_eq!(
            sick.on(&["x".to_owned(), "was-2".to_owned()]).health,
            Health::Down
        );
    }
}

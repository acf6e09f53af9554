//! The three jars of the show: two that work and one that does not.

use std::path::{Path, PathBuf};

use super::super::app::{Behaviour, DemoJar, Health};
use super::super::traffic::TrafficOptions;
use super::{DemoError, failed};
use crate::model::outcome::Exit;

/// When the broken version turns ill: at fifty requests a second and host, about a second after
/// users first see it.
const REQUESTS_UNTIL_ILL: u64 = 60;

/// A zip file ends with this record, followed by the length of a comment and the comment; APPNOTE
/// 4.3.16.
const END_OF_ZIP: &[u8] = b"PK\x05\x06";
const END_OF_ZIP_BYTES: usize = 22;

pub(super) struct Jars {
    pub(super) first: PathBuf,
    pub(super) second: PathBuf,
    pub(super) broken: PathBuf,
    pub(super) broken_title: &'static str,
    /// The exit code with which the broken one's deploy has to end.
    pub(super) broken_exit: u8,
    is_built_in: bool,
}

impl Jars {
    /// Writes them: the built-in application's, or three made of the user's jar.
    pub(super) fn write(folder: &Path, jar: Option<&Path>) -> Result<Self, DemoError> {
        let path = |version: &str| folder.join(format!("demo-{version}.jar"));
        let (first, second, broken) = (path("v1"), path("v2"), path("v3"));
        if let Some(jar) = jar {
            let bytes = std::fs::read(jar).map_err(failed("read the jar"))?;
            let with_comment =
                with_comment(&bytes).ok_or_else(|| DemoError::NoJar(jar.display().to_string()))?;
            write(&first, &bytes)?;
            write(&second, &with_comment)?;
            write(&broken, &bytes[..bytes.len() / 2])?;
            return Ok(Self {
                first,
                second,
                broken,
                broken_title: "deploy v3, half a jar that cannot start",
                broken_exit: Exit::Failed.code(),
                is_built_in: false,
            });
        }
        let ill = Behaviour {
            health: Health::DownAfterRequests(REQUESTS_UNTIL_ILL),
            ..Behaviour::default()
        };
        let jars = [
            (&first, DemoJar::new("v1")),
            (&second, DemoJar::new("v2")),
            (&broken, DemoJar::new("v3").behaving(ill)),
        ];
        for (path, jar) in jars {
            jar.write(path).map_err(failed("write a jar"))?;
        }
        Ok(Self {
            first,
            second,
            broken,
            broken_title: "deploy v3, which turns ill once users see it",
            broken_exit: Exit::RolledBack.code(),
            is_built_in: true,
        })
    }

    /// Asks only for what the application has.
    pub(super) fn traffic(&self, options: TrafficOptions) -> TrafficOptions {
        if self.is_built_in {
            return options;
        }
        TrafficOptions {
            get_path: "/actuator/health".to_owned(),
            echo_path: None,
            ..options
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    std::fs::write(path, bytes).map_err(failed("write a jar"))
}

/// The same jar with other bytes: a comment at its end, which no JVM looks at.
fn with_comment(jar: &[u8]) -> Option<Vec<u8>> {
    let comment = b"v2";
    let earliest = jar.len().checked_sub(END_OF_ZIP_BYTES + usize::from(u16::MAX));
    let window = &jar[earliest.unwrap_or(0)..];
    let found = window
        .windows(END_OF_ZIP.len())
        .rposition(|bytes| bytes == END_OF_ZIP)?;
    let end = earliest.unwrap_or(0) + found;
    let mut bytes = jar.get(..end + END_OF_ZIP_BYTES)?.to_vec();
    let length = u16::try_from(comment.len()).ok()?.to_le_bytes();
    bytes[end + END_OF_ZIP_BYTES - 2..].copy_from_slice(&length);
    bytes.extend_from_slice(comment);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jar_with_a_comment_is_another_file_with_the_same_entries() {
        let mut zip = b"entries".to_vec();
        zip.extend_from_slice(END_OF_ZIP);
        zip.extend_from_slice(&[0; 16]);
        zip.extend_from_slice(&[3, 0]);
        zip.extend_from_slice(b"old");
        let changed = with_comment(&zip).unwrap();
        assert_eq!(changed[..27], zip[..27]);
        assert_eq!(&changed[27..], b"\x02\x00v2");
        assert_eq!(with_comment(b"no zip at all"), None);
        assert_eq!(with_comment(b"PK\x05\x06cut"), None);
    }

    #[test]
    fn the_jars_differ_and_the_last_one_turns_ill() {
        let folder = tempfile::tempdir().unwrap();
        let jars = Jars::write(folder.path(), None).unwrap();
        assert_eq!(DemoJar::read(&jars.second).unwrap().version, "v2");
        let broken = DemoJar::read(&jars.broken).unwrap();
        assert_eq!(
            broken.behaviour.health,
            Health::DownAfterRequests(REQUESTS_UNTIL_ILL)
        );
    }
}

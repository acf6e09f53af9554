//! A release: one jar under an id that sorts by time and names it.

use jiff::Timestamp;
use serde::Serialize;

use super::names::{InvalidName, JarPattern, ReleaseId, RemotePath};

/// A release, as it is or will be on every WAS host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The jar's SHA-256, lower-case hex.
    pub sha256: String,
    /// The jar's size.
    pub size_bytes: u64,
    /// The jar's file name where it was built, or where an agent has put it.
    pub jar_name: String,
}

/// What a host has of jars that a deploy agent brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// No file of that pattern.
    None,
    /// It is not clear which is the newest, or that one cannot be used.
    Unfit {
        /// Why.
        reason: String,
    },
    /// The newest.
    Jar(OfferedJar),
}

/// The newest jar that a deploy agent has put on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferedJar {
    /// Where it lies.
    pub path: RemotePath,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

impl Release {
    /// Names a jar that no host has yet: `20261122T051500Z-sokdak-0.0.1-3fa9c1d2`.
    ///
    /// Characters of the jar's name that an id may not hold become `_`.
    pub fn new(at: Timestamp, jar_name: &str, sha256: &str, size_bytes: u64) -> Result<Self, InvalidName> {
        let stem = jar_name.strip_suffix(".jar").unwrap_or(jar_name);
        let allowed = |c: char| {
            if c.is_ascii_alphanumeric() || "_+-".contains(c) {
                c
            } else {
                '_'
            }
        };
        let dotted = |c: char| if c == '.' { c } else { allowed(c) };
        let stem: String = stem
            .chars()
            .take(80)
            .map(dotted)
            .collect::<String>()
            .replace("..", "__");
        let digest: String = sha256.chars().take(8).collect();
        let id = ReleaseId::new(format!("{}-{stem}-{digest}", at.strftime("%Y%m%dT%H%M%SZ")))?;
        Ok(Self {
            id,
            sha256: sha256.to_owned(),
            size_bytes,
            jar_name: jar_name.to_owned(),
        })
    }

    /// The version that the jar's name carries: its stem without the application's name, or the
    /// whole stem.
    pub fn version(&self) -> &str {
        let stem = self.jar_name.strip_suffix(".jar").unwrap_or(&self.jar_name);
        let starts_version = |at: &usize| stem[*at..].starts_with(|c: char| c.is_ascii_digit());
        let at = stem.match_indices('-').map(|(at, _)| at + 1).find(starts_version);
        at.map_or(stem, |at| &stem[at..])
    }
}

/// What is wrong with the jars that a deploy agent has put on the hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum JarProblem {
    /// No deploy agent has put a jar there.
    #[error("no file matches `{pattern}`")]
    NoJarOnHost {
        /// The playbook's pattern.
        pattern: JarPattern,
    },
    /// Which jar of a deploy agent is meant is not clear, or it cannot be used.
    #[error("of the files that match `{pattern}`, {reason}")]
    JarUnfit {
        /// The playbook's pattern.
        pattern: JarPattern,
        /// What is wrong.
        reason: String,
    },
    /// A deploy agent has put different jars on the hosts of a slot.
    #[error("not all hosts have the same jar: here the newest is {path}, sha256 {sha256}")]
    JarsDiffer {
        /// The newest on this host.
        path: RemotePath,
        /// Its digest.
        sha256: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_sorts_by_time_and_names_the_jar() {
        let early = Release::new(
            "2026-11-22T05:15:00Z".parse().unwrap(),
            "sokdak-0.0.1-SNAPSHOT.jar",
            "3fa9c1d2e5",
            1,
        );
        let late = Release::new("2026-11-22T05:15:01Z".parse().unwrap(), "a b.jar", "00", 1).unwrap();
        let early = early.unwrap();
        assert_eq!(
            early.id.as_str(),
            "20261122T051500Z-sokdak-0.0.1-SNAPSHOT-3fa9c1d2"
        );
        assert_eq!(late.id.as_str(), "20261122T051501Z-a_b-00");
        assert!(early.id < late.id);
        assert_eq!(early.version(), "0.0.1-SNAPSHOT");
        assert_eq!(late.version(), "a b");
    }
}

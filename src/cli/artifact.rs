//! Finds the jar that is deployed: the one given, or the newest that the playbook's glob matches. What lies on
//! the hosts already is the engine's to find.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use crate::engine::run::{LocalJar, Wanted};
use crate::model::playbook::Artifact;

use super::failure::CliError;

/// What a deploy brings.
///
/// Returns an error if it is to come from here and cannot.
pub(super) fn wanted(given: Option<&Path>, artifact: &Artifact) -> Result<Wanted, CliError> {
    match (given, artifact) {
        (None, Artifact::OnHost(pattern)) => Ok(Wanted::OnHosts(pattern.clone())),
        (Some(path), Artifact::OnHost(_)) => find(Some(path), "").map(Wanted::Jar),
        (given, Artifact::Controller(pattern)) => find(given, pattern).map(Wanted::Jar),
    }
}

/// The jar to deploy, read once for its digest.
///
/// Returns an error if there is none, if two are equally new, or if it cannot be read.
fn find(given: Option<&Path>, pattern: &str) -> Result<LocalJar, CliError> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => newest(pattern)?,
    };
    read(&path).map_err(|error| refused(format!("cannot read {}: {error}", path.display()), None))
}

fn newest(pattern: &str) -> Result<PathBuf, CliError> {
    let paths =
        glob::glob(pattern).map_err(|error| CliError::Config(format!("artifact `{pattern}`: {error}")))?;
    let mut found: Vec<(SystemTime, PathBuf)> = paths
        .filter_map(Result::ok)
        .filter(|path| path.is_file() && !is_plain(path))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    found.sort();
    let folder = std::env::current_dir()
        .map(|folder| folder.display().to_string())
        .unwrap_or_default();
    let Some((time, path)) = found.pop() else {
        return Err(refused(
            format!("no file matches the artifact `{pattern}` in {folder}"),
            Some(
                "build the jar first, run nonstop where the pattern leads from, or name the file with --jar",
            ),
        ));
    };
    match found.pop() {
        Some((other_time, other)) if other_time == time => Err(refused(
            format!(
                "{} and {} are equally new, and both match `{pattern}`",
                other.display(),
                path.display()
            ),
            Some("remove the one that is not meant, or name the file with --jar"),
        )),
        _ => Ok(path),
    }
}

/// Spring Boot's build writes a jar without its libraries beside the one that runs.
fn is_plain(path: &Path) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.ends_with("-plain.jar"))
}

fn read(path: &Path) -> std::io::Result<LocalJar> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size_bytes = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        size_bytes += count as u64;
    }
    if size_bytes == 0 {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "the file is empty",
        ));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(LocalJar {
        path: path.to_owned(),
        name,
        sha256: data_encoding::HEXLOWER.encode(&hash.finalize()),
        size_bytes,
    })
}

fn refused(message: String, hint: Option<&str>) -> CliError {
    CliError::Refused {
        message,
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn touch(path: &Path, seconds: u64) {
        fs::write(path, "x").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    #[test]
    fn the_newest_match_is_taken_and_plain_jars_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("a.jar"), 1);
        touch(&folder.path().join("b.jar"), 2);
        touch(&folder.path().join("b-plain.jar"), 3);
        let pattern = format!("{}/*.jar", folder.path().display());
        assert_eq!(find(None, &pattern).unwrap().name, "b.jar");
    }

    #[test]
    fn two_equally_new_jars_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder.path().join("a.jar"), 1);
        touch(&folder.path().join("b.jar"), 1);
        let error = find(None, &format!("{}/*.jar", folder.path().display())).unwrap_err();
        assert!(
            error.to_string().contains("a.jar") && error.to_string().contains("b.jar"),
            "{error}"
        );
    }
}

//! What a script here finds in its environment: what a login over SSH would have. What was meant for
//! nonstop alone (a passphrase, a build server's variables, by which it finds and ends what a build left
//! running) reaches no application.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

const KEPT: [&str; 9] = [
    "HOME",
    "JAVA_HOME",
    "LANG",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
];

/// Picks from an environment what a script may have.
pub(super) fn picked(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    let is_kept = |name: &OsStr| {
        let name = name.to_str();
        name.is_some_and(|name| KEPT.contains(&name) || name.starts_with("LC_"))
    };
    all.filter(move |(name, _)| is_kept(name))
}

/// Where a login begins: at home, where there is one.
pub(super) fn folder() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    home.filter(|home| home.is_dir())
        .unwrap_or_else(|| PathBuf::from("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_server_sets_does_not_reach_a_script() {
        let names = [
            "BUILD_ID",
            "HOME",
            "JENKINS_NODE_COOKIE",
            "LC_TIME",
            "NONSTOP_KEY_PASSPHRASE",
            "PATH",
        ];
        let all = names.map(|name| (name.into(), "x".into()));
        let kept: Vec<_> = picked(all.into_iter()).map(|(name, _)| name).collect();
        assert_eq!(kept, ["HOME", "LC_TIME", "PATH"]);
    }
}

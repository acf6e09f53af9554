//! Who runs this, for locks and records: the person or the CI job, and where.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::lock::Owner;
use crate::model::names::RunId;

/// Stands for a name that this machine does not tell.
pub(super) const UNKNOWN: &str = "unknown";

/// Who runs `command` now.
pub(super) fn owner(command: &str, now: Timestamp) -> Owner {
    let variable = |names: &[&str]| {
        let of = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        names.iter().find_map(of).map(|value| plain(&value))
    };
    let login = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map(|user| user.name);
    Owner {
        // Jenkins' build-user plugin, GitLab, GitHub.
        who: variable(&["BUILD_USER_ID", "GITLAB_USER_LOGIN", "GITHUB_ACTOR"])
            .or(login)
            .unwrap_or_else(|| UNKNOWN.to_owned()),
        place: nix::sys::utsname::uname()
            .ok()
            .and_then(|machine| machine.nodename().to_str().map(plain))
            .unwrap_or_else(|| UNKNOWN.to_owned()),
        command: command.to_owned(),
        build_url: variable(&["BUILD_URL", "CI_JOB_URL"]).map(|url| without_login(&url)),
        since: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// A new run's name.
pub(super) fn run_id() -> RunId {
    RunId::new(Uuid::now_v7().simple().to_string()).expect("32 hex digits are a run id")
}

fn plain(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// A URL without user and password: it is kept on every host, for everybody to read.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builds_page_is_kept_without_a_login() {
        for (url, kept) in [
            (
                "https://kim:hunter2@ci.example/job/1/",
                "https://ci.example/job/1/",
            ),
            ("https://token@ci.example", "https://ci.example"),
            ("https://ci.example/@kim", "https://ci.example/@kim"),
            ("ci", "ci"),
        ] {
            assert_eq!(without_login(url), kept);
        }
    }
}

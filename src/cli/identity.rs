//! Who runs this, for locks and records: the person or the CI job, and where.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::lock::Owner;
use crate::model::names::RunId;

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
            .unwrap_or_else(|| "unknown".to_owned()),
        place: nix::sys::utsname::uname()
            .ok()
            .and_then(|machine| machine.nodename().to_str().map(plain))
            .unwrap_or_else(|| "unknown".to_owned()),
        command: command.to_owned(),
        build_url: variable(&["BUILD_URL", "CI_JOB_URL"]),
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

//! Failures in words.

use crate::model::failure::{Failure, HealthAnswer};
use crate::model::names::{HostName, SlotName};
use crate::model::obstacle::Obstacle;
use crate::model::process::ProcessIdentity;
use crate::report::harmless::harmless;
use crate::report::text::advice::Advice;
use crate::report::text::{health, problem};
use crate::report::units;

/// The failure in words, on one line.
pub fn describe(failure: &Failure) -> String {
    match failure {
        Failure::UploadMismatch { size_bytes, sha256 } => format!(
            "the upload arrived as {} with sha256 {}, which is not what was sent",
            units::bytes(*size_bytes),
            harmless(sha256)
        ),
        Failure::Unreachable { reason, .. } => problem::unreachable(reason),
        Failure::OutOfMemory {
            available_bytes,
            kills,
            ..
        } => format!(
            "{failure} ({} were available before it was started; {} for want of memory since then)",
            units::bytes(*available_bytes),
            units::count(usize::try_from(*kills).unwrap_or(usize::MAX), "kill")
        ),
        failure => harmless(&failure.to_string()),
    }
}

/// The process that failed, where one is known.
pub fn pid(failure: &Failure) -> Option<u32> {
    let identity: Option<&ProcessIdentity> = match failure {
        Failure::NotListening { identity, .. } => Some(identity),
        Failure::Unhealthy { identity, .. } => identity.as_ref(),
        _ => None,
    };
    identity.map(|identity| identity.pid)
}

/// The health answer that made it fail, where one did.
pub fn last_answer(failure: &Failure) -> Option<&HealthAnswer> {
    match failure {
        Failure::Unhealthy { answer, .. } => Some(answer),
        _ => None,
    }
}

/// More that is known, a line each: the pid, and the start of the answer's body.
pub fn details(failure: &Failure) -> Vec<String> {
    let pid = pid(failure).map(|pid| format!("pid {pid}"));
    let body = last_answer(failure).and_then(health::body);
    let body = body.map(|body| format!("body: {body}"));
    pid.into_iter().chain(body).collect()
}

/// What a person can do about it; the slot is the one that the run brings up.
pub fn advice(failure: &Failure, host: &HostName, slot: Option<&SlotName>) -> Advice {
    let doctor = |what: &str| Advice::new(format!("nonstop doctor --limit {host}"), what);
    // Without a slot it would be the log of the live one.
    let slot = slot.map_or_else(String::new, |slot| format!(" --slot {slot}"));
    let logs = |host: &HostName, what: &str| Advice::new(format!("nonstop logs --host {host}{slot}"), what);
    let status = |what: &str| Advice::new("nonstop status", what);
    match failure {
        Failure::Unreachable { obstacle, .. } if obstacle.is_host_key() => Advice::new(
            format!("ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub   (on {host}'s own console)"),
            match obstacle {
                Obstacle::HostKeyUnknown => {
                    "compare it with what was offered; `--host-key accept-new` then records it"
                }
                _ => "compare it with what was offered; if the host was rebuilt, mend known_hosts",
            },
        ),
        Failure::Unreachable { .. } => doctor("says how far the connection gets"),
        Failure::OutcomeUnknown { .. } => status("shows what is true now, whatever the lost answer was"),
        Failure::Script { .. } => doctor("checks everything that the scripts need"),
        Failure::Sudo { .. } => doctor("tries every entry of the sudoers file"),
        Failure::Fenced { .. } => status("shows who holds the hosts now, and what is live"),
        Failure::UploadMismatch { .. } => doctor("checks disk and inodes; nothing was left behind"),
        Failure::UploadFailed { .. } => doctor("shows what is free; nothing was left behind"),
        Failure::Exited { endpoint, .. } | Failure::NotListening { endpoint, .. } => {
            logs(&endpoint.host, "shows why the application did not come up")
        }
        Failure::OutOfMemory { .. } => doctor(
            "shows the memory that is there: lower -Xmx, give the host more, or put the slots on two sets of hosts \
             (docs/strategies.md); `memory` in the playbook sets what is refused beforehand",
        ),
        Failure::Unhealthy { endpoint, .. } => {
            logs(&endpoint.host, "shows what the application says about itself")
        }
        Failure::PortTaken { endpoint, .. } => Advice::new(
            format!("ss -ltnp 'sport = :{}'   (on {host})", endpoint.port),
            "names the process that has the port; stop it, or give the slot another port",
        ),
        Failure::CandidateRefused { .. } => Advice::new(
            "nonstop plan",
            "shows the file as it would be written; mend what nginx complains of",
        ),
        Failure::Drifted => Advice::new(
            "nonstop plan",
            "shows the file as it is now; find out who else edits it before the next deploy",
        ),
        Failure::Unproven { .. } => doctor("checks nginx: its test, its listener, what it runs"),
        Failure::TooLate { .. } => {
            doctor("checks nginx; if it is only slow, give `watch.deadline` more time")
        }
        Failure::Unconfirmed { .. } => status("shows what every nginx runs, and what its token says"),
        Failure::StillRuns { .. } => status("shows the old process; the next deploy retires it"),
        Failure::Hook { .. } => Advice::new(
            format!("nonstop history   (and the hook's own log on {host})"),
            "shows which hooks ran where; what this one printed last is above",
        ),
        Failure::SuccessorMissing { .. } => logs(host, "shows what became of the new instance"),
    }
}

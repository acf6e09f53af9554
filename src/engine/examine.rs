//! Looks at a fleet as a doctor does: everything that a deploy would be refused or warned for, and
//! what is well, host by host. Changes nothing.

use futures::future::join_all;
use jiff::Timestamp;

use crate::model::finding::{Finding, Problem, Severity};
use crate::model::identity;
use crate::model::live::{Live, NginxView};
use crate::model::names::HostName;
use crate::model::observed::{HostObserved, NginxObserved, Observed, StateStatus, WasObserved};
use crate::model::plan;
use crate::model::playbook::Runner;
use crate::model::record::RunRecord;
use crate::model::unit::LostAtBoot;

use super::context::Context;
use super::fleet::Host;
use super::preflight;

/// A clock further away than this confuses whoever reads logs of several hosts.
const CLOCK_TOLERANCE_SECONDS: u64 = 5;

/// All findings on the hosts that were observed.
pub async fn examine<H: Host>(context: &Context<'_, H>, observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let mut found: Vec<_> = plan::preflight(context.topology, observed)
        .into_iter()
        .filter(|finding| {
            finding
                .host
                .as_ref()
                .is_none_or(|host| observed.hosts.contains_key(host))
        })
        .collect();
    let live = Live::read(context.topology, observed);
    found.extend(live.findings.iter().cloned());
    found.extend(live.agreed().err());
    found.extend(plan::start_needs(context.topology, observed, None));
    found.extend(identity::findings(context.topology, observed));
    for (host, view) in &live.hosts {
        found.push(routing(host, view));
        found.push(include(context, host, view));
    }
    let tried = observed.hosts.keys().map(|host| tried(context, host));
    found.extend(join_all(tried).await.into_iter().flatten());
    let interrupted = plan::interrupted(observed);
    for (host, seen) in &observed.hosts {
        found.extend(machine(host, seen, interrupted, now));
        if context.topology.was.contains_key(host) {
            found.extend(instances_last(&context.playbook.start, host, seen));
        }
        found.extend(
            seen.was
                .as_ref()
                .map(|was| slots(host, seen, was))
                .unwrap_or_default(),
        );
        found.extend(seen.nginx.as_ref().and_then(|nginx| nginx_runs(host, nginx)));
    }
    found
}

/// What ends an instance though nobody stops it: the end of a login, and a reboot.
fn instances_last(runner: &Runner, host: &HostName, seen: &HostObserved) -> Vec<Finding> {
    let lost = |runner| Finding::warning(Some(host), Problem::LostAtBoot { runner });
    match runner {
        Runner::Java(_) => plan::instance_lives_on(host, seen)
            .into_iter()
            .chain([lost(LostAtBoot::Java)])
            .collect(),
        Runner::Command(_) => vec![lost(LostAtBoot::Command)],
        Runner::Systemd(_) => Vec::new(),
    }
}

async fn tried<H: Host>(context: &Context<'_, H>, host: &HostName) -> Vec<Finding> {
    let mut found = preflight::on_host(context, host).await;
    if !found
        .iter()
        .any(|finding| matches!(finding.problem, Problem::NoWayToAsk))
    {
        found.push(fine(host, "health can be asked from it".to_owned()));
    }
    let sudo = found
        .iter()
        .any(|finding| matches!(finding.problem, Problem::SudoRefused { .. }));
    let was = context.topology.was.get(host);
    let asks_root = context.topology.nginx.contains_key(host) || was.is_some_and(|was| !was.units.is_empty());
    if asks_root && !sudo {
        found.push(fine(host, "every command that needs root may be run".to_owned()));
    }
    found
}

fn routing(host: &HostName, view: &NginxView) -> Finding {
    let slot = view
        .slot
        .as_ref()
        .map_or_else(|| "no slot yet".to_owned(), |slot| format!("slot {slot}"));
    let through = match &view.takes_over {
        Some(path) => format!(" through {path}, which the next deploy takes over"),
        None => String::new(),
    };
    fine(host, format!("nginx routes to {slot}{through}"))
}

/// Whether the file is included where it can be led elsewhere, so that a candidate can be tested
/// without being live.
fn include<H>(context: &Context<'_, H>, host: &HostName, view: &NginxView) -> Finding {
    let nginx = &context.topology.nginx[host];
    match view.shadow(nginx, None) {
        Ok(_) => fine(
            host,
            format!(
                "nginx includes {}, and a candidate can be tested beside it",
                nginx.file
            ),
        ),
        Err(error) => Finding::refusal(
            Some(host),
            Problem::CannotShadow {
                reason: error.to_string(),
            },
        ),
    }
}

fn nginx_runs(host: &HostName, nginx: &NginxObserved) -> Option<Finding> {
    let master = nginx.master.as_ref().filter(|_| nginx.test_failure.is_none())?;
    let workers = master.serving.len();
    let pid = master.identity.pid;
    Some(fine(
        host,
        format!("nginx runs (master {pid}, {workers} workers), and `nginx -t` accepts what is there"),
    ))
}

fn machine(
    host: &HostName,
    seen: &HostObserved,
    interrupted: Option<&RunRecord>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let seconds = seen.machine.clock_seconds.saturating_sub(now.as_second());
    if seconds.unsigned_abs() > CLOCK_TOLERANCE_SECONDS {
        found.push(Finding::warning(Some(host), Problem::ClockSkew { seconds }));
    }
    if seen.lock.is_held() {
        found.push(Finding::warning(
            Some(host),
            Problem::Locked {
                lock: seen.lock.clone(),
            },
        ));
    } else if let Some(record) = seen
        .record
        .as_ref()
        .filter(|own| interrupted.is_some_and(|open| open.run == own.run))
    {
        let problem = Problem::InterruptedRun {
            record: Box::new(record.clone()),
        };
        found.push(Finding::warning(Some(host), problem));
    }
    let (user, uid) = (&seen.machine.user, seen.machine.uid);
    found.push(fine(
        host,
        format!("reached as {user} (uid {uid}), and its clock is {seconds} s off"),
    ));
    if seen.machine.missing_tools.is_empty() {
        found.push(fine(
            host,
            "every program that the scripts need is there".to_owned(),
        ));
    }
    let state = match seen.state.status {
        StateStatus::Ready => "is there",
        StateStatus::Absent => "will be made",
        StateStatus::ForeignOwner => return found,
    };
    found.push(fine(host, format!("state folder {} {state}", seen.state.path)));
    found
}

fn slots(host: &HostName, seen: &HostObserved, was: &WasObserved) -> Vec<Finding> {
    let (disk, memory) = (
        mebibytes(was.disk_free_bytes),
        mebibytes(seen.machine.memory_available_bytes),
    );
    let mut found = vec![fine(
        host,
        format!("{disk} of disk free for releases, {memory} of memory available"),
    )];
    for (slot, seen) in &was.slots {
        let what = match (&seen.listener, seen.release()) {
            (None, _) => "nothing listens".to_owned(),
            (Some(_), Some(release)) => {
                format!(
                    "release {release} listens, and took up to {}",
                    mebibytes(seen.peak_memory_bytes)
                )
            }
            (Some(listener), None) => format!(
                "a process that nonstop did not start listens: {}",
                listener.command
            ),
        };
        found.push(fine(host, format!("slot {slot}, port {}: {what}", seen.port)));
    }
    found
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn fine(host: &HostName, what: String) -> Finding {
    Finding {
        host: Some(host.clone()),
        severity: Severity::Info,
        problem: Problem::Fine { what },
    }
}

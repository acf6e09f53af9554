//! Looks at a fleet as a doctor does: everything that a deploy would be refused or warned for, and
//! what is well, host by host. Changes nothing.

use futures::future::join_all;
use jiff::Timestamp;

use crate::model::finding::{Finding, Problem, Severity};
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::observed::{HostObserved, Observed};
use crate::model::plan;
use crate::model::record::RunStatus;

use super::context::Context;
use super::fleet::Host;
use super::preflight;

/// A clock further away than this confuses whoever reads logs of several hosts.
const CLOCK_TOLERANCE_SECONDS: i64 = 5;

/// All findings on the hosts that were observed.
pub async fn examine<H: Host>(context: &Context<'_, H>, observed: &Observed, now: Timestamp) -> Vec<Finding> {
    let mut found: Vec<_> = plan::preflight(context.topology, observed, 0)
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
    match live.agreed() {
        Err(finding) => found.push(finding),
        Ok(agreed) => {
            for (host, view) in &live.hosts {
                let slot = agreed
                    .slot
                    .as_ref()
                    .map_or_else(|| "no slot yet".to_owned(), |slot| format!("slot {slot}"));
                let how = view
                    .takes_over
                    .as_ref()
                    .map(|path| format!(" through {path}, which the next deploy takes over"));
                found.push(fine(
                    host,
                    format!("nginx routes to {slot}{}", how.unwrap_or_default()),
                ));
                if let Err(error) = shadow(context, host, view) {
                    found.push(Finding::refusal(
                        Some(host),
                        Problem::CannotShadow { reason: error },
                    ));
                }
            }
        }
    }
    let tried = observed
        .hosts
        .keys()
        .map(|host| preflight::on_host(context, host));
    found.extend(join_all(tried).await.into_iter().flatten());
    for (host, seen) in &observed.hosts {
        found.extend(host_findings(host, seen, now));
    }
    found
}

fn shadow<H>(
    context: &Context<'_, H>,
    host: &HostName,
    view: &crate::model::live::NginxView,
) -> Result<(), String> {
    let Some(nginx) = context.topology.nginx.get(host) else {
        return Ok(());
    };
    let takes_over = view
        .takes_over
        .as_ref()
        .map(crate::model::names::RemotePath::as_str);
    view.dump
        .shadow(nginx.file.as_str(), takes_over)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn host_findings(host: &HostName, seen: &HostObserved, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    let seconds = seen.machine.clock_seconds - now.as_second();
    if seconds.abs() > CLOCK_TOLERANCE_SECONDS {
        found.push(Finding::warning(Some(host), Problem::ClockSkew { seconds }));
    }
    if seen.lock.run.is_some() {
        found.push(Finding::warning(
            Some(host),
            Problem::Locked {
                lock: seen.lock.clone(),
            },
        ));
    }
    if let Some(record) = seen
        .record
        .as_ref()
        .filter(|record| record.status == RunStatus::Open && seen.lock.run.is_none())
    {
        let problem = Problem::InterruptedRun {
            record: Box::new(record.clone()),
        };
        found.push(Finding::warning(Some(host), problem));
    }
    let memory = mebibytes(seen.machine.memory_available_bytes);
    found.push(fine(
        host,
        format!(
            "reached as {} (uid {}), {memory} of memory available",
            seen.machine.user, seen.machine.uid
        ),
    ));
    if let Some(was) = &seen.was {
        found.push(fine(
            host,
            format!("{} free for releases", mebibytes(was.disk_free_bytes)),
        ));
        for (slot, seen) in &was.slots {
            let what = match (&seen.listener, seen.release()) {
                (None, _) => "nothing listens".to_owned(),
                (Some(_), Some(release)) => format!("release {release} listens"),
                (Some(listener), None) => format!(
                    "a process that nonstop did not start listens: {}",
                    listener.command
                ),
            };
            found.push(fine(host, format!("slot {slot}, port {}: {what}", seen.port)));
        }
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

//! Everything that speaks against a run before anything is touched, of all hosts at once.

use std::collections::BTreeSet;

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::names::{HostName, SlotName};
use crate::model::observed::{
    EntryKind, HostObserved, NginxObserved, Observed, StateStatus, WasObserved, WatchKeeper,
};
use crate::model::playbook::{Memory, MemoryCheck};
use crate::model::record::{RunRecord, RunStatus};
use crate::model::release::Release;
use crate::model::topology::Topology;

use super::{hooks, units};

/// Room for logs and for the file system's own needs beside the jar.
const DISK_RESERVE_BYTES: u64 = 16 << 20;
/// Inodes that an upload and its logs take, generously.
const INODES_NEEDED: u64 = 64;

/// What speaks against changing this fleet, whatever the goal.
pub fn preflight(topology: &Topology, observed: &Observed) -> Vec<Finding> {
    let mut findings = unready(topology, observed);
    findings.extend(room(topology.was.keys().collect(), observed, None));
    findings
}

/// WAS hosts without the room that a run needs; `sends` goes to each of them that has it not.
pub(super) fn room(hosts: Vec<&HostName>, observed: &Observed, sends: Option<&Release>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for host in hosts {
        if let Some(was) = observed.hosts.get(host).and_then(|seen| seen.was.as_ref()) {
            room_on(host, was, sends, &mut findings);
        }
    }
    findings
}

/// What speaks against any change, also one that starts nothing.
pub(super) fn unready(topology: &Topology, observed: &Observed) -> Vec<Finding> {
    let mut findings = unreadable_records(topology, observed);
    findings.extend(hooks::running(observed));
    if let Some(last) = observed.last_run() {
        findings.extend(hosts_gone(topology, last));
    }
    for host in topology.hosts() {
        match observed.hosts.get(host) {
            Some(seen) => {
                machine(host, seen, &mut findings);
                whole(topology, host, seen, &mut findings);
                if let Some(was) = &seen.was {
                    opaque(host, was, &mut findings);
                }
                if let Some(nginx) = &seen.nginx {
                    nginx_works(topology, host, nginx, &mut findings);
                    watch_lives(host, seen, &mut findings);
                }
            }
            None => findings.push(no_answer(host)),
        }
    }
    findings
}

fn machine(host: &HostName, seen: &HostObserved, findings: &mut Vec<Finding>) {
    for tool in &seen.machine.missing_tools {
        findings.push(Finding::refusal(
            Some(host),
            Problem::MissingTool { tool: tool.clone() },
        ));
    }
    if seen.state.status == StateStatus::ForeignOwner {
        let path = seen.state.path.to_string();
        findings.push(Finding::refusal(Some(host), Problem::StateFolderForeign { path }));
    }
}

/// A host that was not observed.
pub(super) fn no_answer(host: &HostName) -> Finding {
    let reason = "it gave no answer".to_owned();
    Finding::refusal(Some(host), Problem::CannotObserve { reason })
}

/// Records that are there and cannot be read: each could tell of a run that nobody else knows.
pub(super) fn unreadable_records(topology: &Topology, observed: &Observed) -> Vec<Finding> {
    let hosts = topology.hosts().into_iter();
    let finding = |host: &HostName| {
        let seen = observed.hosts.get(host)?;
        let reason = seen.record_unreadable.clone()?;
        let path = format!("{}/record", seen.state.path);
        Some(Finding::refusal(
            Some(host),
            Problem::RecordUnreadable { path, reason },
        ))
    };
    hosts.filter_map(finding).collect()
}

/// Hosts of a run that nobody asks, for the inventory lacks them and no person left them out. An nginx host
/// may still have traffic for the slot that the next run stops. A WAS host is missed only while its run is
/// open: afterwards nginx itself tells whether it is still routed to.
pub(super) fn hosts_gone(topology: &Topology, record: &RunRecord) -> Vec<Finding> {
    let without = &topology.without;
    let nginx = record.nginx.iter();
    let nginx =
        nginx.filter(|host| !topology.nginx.contains_key(*host) && !without.nginx.contains_key(*host));
    let was = record.was.iter().filter(|_| record.status != RunStatus::Done);
    let was = was.filter(|host| !topology.was.contains_key(*host) && !without.was.contains_key(*host));
    let gone: BTreeSet<_> = nginx.chain(was).collect();
    let finding = |missing: &HostName| {
        let missing = missing.clone();
        Finding::refusal(None, Problem::RecordedHostMissing { missing })
    };
    gone.into_iter().map(finding).collect()
}

/// A part of the answer that is missing must not be taken for an empty host.
fn whole(topology: &Topology, host: &HostName, seen: &HostObserved, findings: &mut Vec<Finding>) {
    let mut missing = |what: &str| {
        let reason = format!("its answer says nothing about {what}");
        findings.push(Finding::refusal(Some(host), Problem::CannotObserve { reason }));
    };
    if topology.nginx.contains_key(host) && seen.nginx.is_none() {
        missing("nginx");
    }
    let slots = topology
        .was
        .get(host)
        .into_iter()
        .flat_map(|was| was.ports.keys());
    for slot in slots {
        if !seen.was.as_ref().is_some_and(|was| was.slots.contains_key(slot)) {
            missing(&format!("slot {slot}"));
        }
    }
}

fn room_on(host: &HostName, was: &WasObserved, sends: Option<&Release>, findings: &mut Vec<Finding>) {
    let is_there = |release: &&Release| was.releases.iter().any(|known| known.id == release.id);
    let jar_bytes = sends
        .filter(|release| !is_there(release))
        .map_or(0, |release| release.size_bytes);
    let needed_bytes = jar_bytes.saturating_add(DISK_RESERVE_BYTES);
    if jar_bytes > 0 && was.disk_free_bytes < needed_bytes {
        let problem = Problem::DiskFull {
            free_bytes: was.disk_free_bytes,
            needed_bytes,
        };
        findings.push(Finding::refusal(Some(host), problem));
    }
    if let Some(free) = was.disk_free_inodes.filter(|free| *free < INODES_NEEDED) {
        findings.push(Finding::refusal(Some(host), Problem::InodesFull { free }));
    }
}

/// What a start needs and a host has not, of `slot` or of every slot: files that the application is told to read,
/// and the unit that is started.
pub fn start_needs(topology: &Topology, observed: &Observed, slot: Option<&SlotName>) -> Vec<Finding> {
    let mut findings = config_files(topology, observed, slot);
    findings.extend(units::findings(topology, observed, slot));
    findings
}

fn config_files(topology: &Topology, observed: &Observed, slot: Option<&SlotName>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (host, was) in &topology.was {
        let Some(seen) = observed.hosts.get(host).and_then(|seen| seen.was.as_ref()) else {
            continue;
        };
        let slots = was.config_files.iter();
        for (slot, files) in slots.filter(|(name, _)| slot.is_none_or(|slot| slot == *name)) {
            findings.extend(files.intersection(&seen.missing_files).map(|path| {
                let (slot, path) = (slot.clone(), path.to_string());
                Finding::refusal(Some(host), Problem::ConfigFileMissing { slot, path })
            }));
        }
    }
    findings
}

/// What speaks against a second instance on a host beside the live one: too little memory. Where the slot has
/// an instance already, the host carries two.
pub(super) fn memory(
    host: &HostName,
    seen: &HostObserved,
    [live, starts]: [&SlotName; 2],
    wanted: Memory,
) -> Option<Finding> {
    let slots = &seen.was.as_ref()?.slots;
    let carries_two = slots.get(starts).is_some_and(|slot| slot.listener.is_some());
    let peak_bytes = slots.get(live)?.peak_memory_bytes;
    let available_bytes = seen.machine.memory_available_bytes;
    let needed_bytes = peak_bytes.saturating_add(wanted.reserve_bytes);
    if carries_two || peak_bytes == 0 || available_bytes >= needed_bytes {
        return None;
    }
    let problem = Problem::MemoryTight {
        available_bytes,
        peak_bytes,
        reserve_bytes: wanted.reserve_bytes,
    };
    match wanted.check {
        MemoryCheck::Refuse => Some(Finding::refusal(Some(host), problem)),
        MemoryCheck::Warn => Some(Finding::warning(Some(host), problem)),
        MemoryCheck::Off => None,
    }
}

fn opaque(host: &HostName, was: &WasObserved, findings: &mut Vec<Finding>) {
    for seen in was.slots.values() {
        let listener = seen.listener.as_ref();
        if let Some(listener) = listener.filter(|listener| listener.identity.is_none()) {
            let endpoint = Endpoint {
                host: host.clone(),
                port: seen.port,
            };
            let uid = listener.uid;
            findings.push(Finding::refusal(
                Some(host),
                Problem::ProcessOpaque { endpoint, uid },
            ));
        }
    }
}

/// Without its watch a host waits for the next command where the controller dies in mid-switch: nothing that
/// is promised for that case would hold, and one command of a person mends it.
fn watch_lives(host: &HostName, seen: &HostObserved, findings: &mut Vec<Finding>) {
    if seen.machine.keeper == WatchKeeper::Nobody {
        let user = seen.machine.user.clone();
        findings.push(Finding::refusal(Some(host), Problem::WatchNotKept { user }));
    }
}

/// What ends a process that is started on a host, when the connection that started it ends. It refuses where that
/// is certain.
pub fn instance_lives_on(host: &HostName, seen: &HostObserved) -> Option<Finding> {
    let user = seen.machine.user.clone();
    let problem = Problem::InstanceNotKept { user };
    match seen.machine.keeper {
        WatchKeeper::Session => None,
        WatchKeeper::Nobody if seen.machine.uid != 0 => Some(Finding::refusal(Some(host), problem)),
        _ => Some(Finding::warning(Some(host), problem)),
    }
}

fn nginx_works(topology: &Topology, host: &HostName, nginx: &NginxObserved, findings: &mut Vec<Finding>) {
    if nginx.master.is_none() {
        findings.push(Finding::refusal(Some(host), Problem::NginxNotRunning));
    }
    if let Some(output) = &nginx.test_failure {
        findings.push(Finding::refusal(
            Some(host),
            Problem::NginxTestFails {
                output: output.clone(),
            },
        ));
    }
    if nginx.entry.kind == EntryKind::Other {
        let path = topology
            .nginx
            .get(host)
            .map(|it| it.file.to_string())
            .unwrap_or_default();
        let what = "neither a file nor a link to one".to_owned();
        findings.push(Finding::refusal(
            Some(host),
            Problem::EntryUnusable { path, what },
        ));
    }
    for (slot, content) in &nginx.slot_files {
        if content.is_none() {
            findings.push(Finding::refusal(
                Some(host),
                Problem::SlotFileMissing { slot: slot.clone() },
            ));
        }
    }
}

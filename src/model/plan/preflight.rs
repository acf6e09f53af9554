//! Everything that speaks against a run before anything is touched, of all hosts at once.

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::names::HostName;
use crate::model::observed::{EntryKind, HostObserved, NginxObserved, Observed, StateStatus, WasObserved};
use crate::model::topology::Topology;

/// Room for logs and for the file system's own needs beside the jar.
const DISK_RESERVE_BYTES: u64 = 16 << 20;
/// Inodes that an upload and its logs take, generously.
const INODES_NEEDED: u64 = 64;
/// Memory that the machine keeps for itself beside a second instance.
const MEMORY_RESERVE_BYTES: u64 = 128 << 20;

/// What speaks against changing this fleet, whatever the goal; `jar_bytes` is what will be sent.
pub fn preflight(topology: &Topology, observed: &Observed, jar_bytes: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for host in topology.hosts() {
        match observed.hosts.get(host) {
            Some(seen) => {
                machine(host, seen, &mut findings);
                recorded_hosts(topology, host, seen, &mut findings);
                if let Some(was) = &seen.was {
                    room(host, seen, was, jar_bytes, &mut findings);
                }
                if let Some(nginx) = &seen.nginx {
                    nginx_works(topology, host, nginx, &mut findings);
                }
            }
            None => findings.push(Finding::refusal(
                Some(host),
                Problem::CannotObserve {
                    reason: "it gave no answer".to_owned(),
                },
            )),
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

fn recorded_hosts(topology: &Topology, host: &HostName, seen: &HostObserved, findings: &mut Vec<Finding>) {
    let Some(record) = &seen.record else { return };
    let gone = record.was.iter().filter(|name| !topology.was.contains_key(*name));
    let gone = gone.chain(
        record
            .nginx
            .iter()
            .filter(|name| !topology.nginx.contains_key(*name)),
    );
    for missing in gone {
        let problem = Problem::RecordedHostMissing {
            missing: missing.clone(),
        };
        findings.push(Finding::refusal(Some(host), problem));
    }
}

fn room(
    host: &HostName,
    seen: &HostObserved,
    was: &WasObserved,
    jar_bytes: u64,
    findings: &mut Vec<Finding>,
) {
    let needed_bytes = jar_bytes + DISK_RESERVE_BYTES;
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
    let peak_bytes = was
        .slots
        .values()
        .map(|slot| slot.peak_memory_bytes)
        .max()
        .unwrap_or(0);
    let available_bytes = seen.machine.memory_available_bytes;
    if peak_bytes > 0 && available_bytes < peak_bytes + MEMORY_RESERVE_BYTES {
        let problem = Problem::MemoryTight {
            available_bytes,
            peak_bytes,
        };
        findings.push(Finding::warning(Some(host), problem));
    }
    for seen in was.slots.values() {
        if let Some(listener) = seen
            .listener
            .as_ref()
            .filter(|listener| listener.identity.is_none())
        {
            let endpoint = Endpoint {
                host: host.clone(),
                port: seen.port,
            };
            findings.push(Finding::refusal(
                Some(host),
                Problem::ProcessOpaque {
                    endpoint,
                    uid: listener.uid,
                },
            ));
        }
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

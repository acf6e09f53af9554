//! Inventory and playbook together: which hosts the application has, and everything about them that
//! does not need a release. Templates that do need one are tried with a sample, so that a misspelt
//! variable is found here and not in the middle of a deploy.

mod config_files;
mod hosts;
mod include;
mod render;
mod samples;
mod service;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::inventory::Way;
use crate::model::names::{GroupName, HostName};
use crate::model::playbook::AfterBake;
use crate::model::topology::{Topology, Without};

use super::inventory::LoadedInventory;
use super::playbook::LoadedPlaybook;
use super::report::{Problem, Report};
use super::suggest;

/// The hosts of the application.
///
/// Returns all that is wrong with the two files beside each other.
pub fn resolve(playbook: &LoadedPlaybook, inventory: &LoadedInventory) -> Result<Topology, Report> {
    let mut resolver = Resolver {
        playbook,
        inventory,
        by_host: BTreeMap::new(),
        report: Report::default(),
    };
    let mut was = BTreeSet::new();
    let mut groups = BTreeSet::new();
    for slot in &playbook.playbook.slots {
        if groups.insert(&slot.group) {
            was.extend(resolver.members(&slot.group, &format!("slots.{}.group", slot.name)));
        }
    }
    let nginx = resolver.members(&playbook.playbook.nginx.group, "nginx.group");
    for host in was.union(&nginx) {
        resolver
            .report
            .problems
            .extend(inventory.problems.get(host).cloned().unwrap_or_default());
    }
    let identities = playbook
        .playbook
        .identify
        .as_ref()
        .map(|identify| identify.is.clone());
    let topology = Topology {
        app: playbook.playbook.app.clone(),
        was: was
            .iter()
            .filter_map(|host| Some((host.clone(), resolver.was(host)?)))
            .collect(),
        nginx: nginx
            .iter()
            .filter_map(|host| Some((host.clone(), resolver.nginx(host)?)))
            .collect(),
        identities: identities.unwrap_or_default(),
        without: Without::default(),
    };
    resolver.distinct(&topology);
    resolver.one_is_here(&topology);
    resolver.service_url(&topology);
    resolver.in_service(&topology);
    resolver.window(&topology);
    resolver.samples(&topology);
    resolver.tell_by_host();
    resolver.report.finish(Some(topology))
}

struct Resolver<'a> {
    playbook: &'a LoadedPlaybook,
    inventory: &'a LoadedInventory,
    /// Problems that templates have on hosts, with the hosts and a hint.
    by_host: BTreeMap<OnHost, (Vec<HostName>, Option<String>)>,
    report: Report,
}

/// A problem that several hosts may share.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct OnHost {
    /// The key in the playbook.
    path: String,
    /// The part of the value that is meant.
    part: String,
    message: String,
}

impl Resolver<'_> {
    fn problem(&mut self, path: &str, message: impl Into<String>, hint: Option<String>) {
        let problem = self.playbook.places.problem(path, message);
        self.report.push(problem.maybe_hint(hint));
    }

    /// Notes a problem with a value on one host; the same one on other hosts becomes one problem.
    fn on_host(&mut self, host: &HostName, problem: OnHost, hint: Option<String>) {
        let (hosts, _) = self.by_host.entry(problem).or_insert_with(|| (Vec::new(), hint));
        if !hosts.contains(host) {
            hosts.push(host.clone());
        }
    }

    fn tell_by_host(&mut self) {
        for (problem, (hosts, hint)) in std::mem::take(&mut self.by_host) {
            let message = format!("{} on {}", problem.message, some(&hosts));
            let places = &self.playbook.places;
            let told = match places.spot(&problem.path) {
                Some(spot) => Problem::at(&spot.narrowed_to(&problem.part), message),
                None => places.problem(&problem.path, message),
            };
            self.report.push(told.maybe_hint(hint));
        }
    }

    /// This machine has one state folder for the application: under two names it would lock itself out.
    fn one_is_here(&mut self, topology: &Topology) {
        let hosts = &self.inventory.inventory.hosts;
        let is_here = |host: &&HostName| {
            let host = hosts.get(*host);
            host.is_some_and(|host| host.connection.way == Way::Local)
        };
        let here: Vec<HostName> = topology.hosts().into_iter().filter(is_here).cloned().collect();
        if here.len() > 1 {
            let message = format!(
                "{} are the same machine: `ansible_connection: local`",
                some(&here)
            );
            let hint = "one host of the inventory may be in both groups".to_owned();
            self.problem("nginx.group", message, Some(hint));
        }
    }

    /// A host ends its old instance by itself only where it can look at the new one: on the same host.
    fn window(&mut self, topology: &Topology) {
        let apart = topology.was.iter().find(|(_, was)| was.ports.len() < 2);
        let leaves = self.playbook.playbook.bake.then == AfterBake::LeftToHosts;
        if let Some((host, _)) = apart.filter(|_| leaves) {
            let single = self.playbook.playbook.only_slot().is_some();
            let (message, hint) = if single {
                (
                    "`detach` leaves an old instance to its host, and with a single slot none is left"
                        .to_owned(),
                    "take it away: each host has stopped its old instance before it starts the new one",
                )
            } else {
                (
                    format!("`detach` needs both slots on every host, and `{host}` has one of them"),
                    "take it away: where the slots are two sets of hosts, the run itself waits and stops the old one",
                )
            };
            self.problem("bake.detach", message, Some(hint.to_owned()));
        }
    }

    /// The members of a group that the playbook names.
    fn members(&mut self, group: &GroupName, path: &str) -> BTreeSet<HostName> {
        let groups = &self.inventory.inventory.groups;
        match groups.get(group) {
            Some(members) if members.is_empty() => {
                self.problem(path, format!("group `{group}` has no hosts"), None);
                BTreeSet::new()
            }
            Some(members) => members.clone(),
            None => {
                let names = || groups.keys().map(GroupName::as_str);
                let hint = suggest::did_you_mean(group.as_str(), names()).unwrap_or_else(|| {
                    format!("the inventory has: {}", names().collect::<Vec<_>>().join(", "))
                });
                self.problem(path, format!("the inventory has no group `{group}`"), Some(hint));
                BTreeSet::new()
            }
        }
    }
}

/// The first few of some hosts.
fn some(hosts: &[HostName]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = hosts.iter().take(SHOWN).map(|host| format!("`{host}`")).collect();
    let rest = match hosts.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "host{} {}{rest}",
        if hosts.len() == 1 { "" } else { "s" },
        names.join(", ")
    )
}

//! Groups and hosts as they stand to each other while an inventory is read: what Ansible keeps in its
//! `InventoryData`, without the order of hosts, which means nothing here.

mod circles;
mod precedence;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::config::report::{Problem, Report};
use crate::config::scalar;
use crate::config::source::Spot;
use crate::config::yaml::Node;

/// A variable's value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) value: Value,
    pub(super) spot: Spot,
}

pub(super) type VarMap = BTreeMap<String, Rc<Var>>;

/// The most hosts of one inventory.
const MAX_HOSTS: usize = 10_000;
/// The most groups of one inventory.
const MAX_GROUPS: usize = 2_000;
/// The most groups that are written as a part of another one.
const MAX_CHILDREN: usize = 20_000;
/// The most memberships and variables of hosts, after ranges are written out.
const MAX_EFFORT: usize = 1_000_000;

struct Group {
    spot: Spot,
    vars: VarMap,
    /// From `group_vars/`: they come after the variables of all groups in the file itself.
    file_vars: VarMap,
    /// The groups that are a part of this one, and where that is written.
    children: BTreeMap<String, Spot>,
    hosts: BTreeSet<String>,
    priority: i64,
}

struct Host {
    spot: Spot,
    vars: VarMap,
    file_vars: VarMap,
    groups: BTreeSet<String>,
}

/// The groups and hosts of an inventory while it is read.
pub(super) struct Graph {
    groups: BTreeMap<String, Group>,
    hosts: BTreeMap<String, Host>,
    ancestors: BTreeMap<String, BTreeSet<String>>,
    children: usize,
    effort: usize,
    /// What there is too much of was said once, and nothing more is taken in.
    full: bool,
    pub(super) report: Report,
}

impl Graph {
    pub(super) fn new(report: Report) -> Self {
        Self {
            groups: BTreeMap::new(),
            hosts: BTreeMap::new(),
            ancestors: BTreeMap::new(),
            children: 0,
            effort: 0,
            full: false,
            report,
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.report.push(problem);
    }

    /// Whether nothing more is taken in.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    fn overflow(&mut self, spot: &Spot, what: &str) {
        if !self.full {
            self.full = true;
            self.push(Problem::at(
                spot,
                format!("the inventory is too large: more than {what}"),
            ));
        }
    }

    fn spend(&mut self, amount: usize, spot: &Spot) -> bool {
        self.effort += amount;
        if self.effort > MAX_EFFORT {
            self.overflow(spot, "1,000,000 memberships and variables of hosts");
        }
        !self.full
    }

    /// Makes the group unless it is there.
    pub(super) fn add_group(&mut self, name: &str, spot: &Spot) {
        if self.full || self.groups.contains_key(name) {
            return;
        }
        if self.groups.len() >= MAX_GROUPS {
            self.overflow(spot, "2,000 groups");
            return;
        }
        let group = Group {
            spot: spot.clone(),
            vars: VarMap::new(),
            file_vars: VarMap::new(),
            children: BTreeMap::new(),
            hosts: BTreeSet::new(),
            priority: 1,
        };
        self.groups.insert(name.to_owned(), group);
    }

    /// Makes `child` a part of `group`; circles are found in the end.
    pub(super) fn add_child(&mut self, group: &str, child: &str, spot: &Spot) {
        self.add_group(child, spot);
        self.children += 1;
        if self.children > MAX_CHILDREN {
            self.overflow(spot, "20,000 groups within groups");
        }
        if self.full {
            return;
        }
        if let Some(group) = self.groups.get_mut(group) {
            group
                .children
                .entry(child.to_owned())
                .or_insert_with(|| spot.clone());
        }
    }

    /// Makes the host unless it is there, and a member of `group`. `port` is the one after the name;
    /// as in Ansible it counts only where the host is written first.
    pub(super) fn add_host(&mut self, name: &str, group: &str, port: Option<u16>, spot: &Spot) {
        if !self.spend(1, spot) {
            return;
        }
        if !self.hosts.contains_key(name) {
            if self.hosts.len() >= MAX_HOSTS {
                self.overflow(spot, "10,000 hosts");
                return;
            }
            let port = port.map(|port| Var {
                value: Value::from(port),
                spot: spot.clone(),
            });
            let host = Host {
                spot: spot.clone(),
                vars: port
                    .map(|port| ("ansible_port".to_owned(), Rc::new(port)))
                    .into_iter()
                    .collect(),
                file_vars: VarMap::new(),
                groups: BTreeSet::new(),
            };
            self.hosts.insert(name.to_owned(), host);
        }
        if let (Some(group_entry), Some(host)) = (self.groups.get_mut(group), self.hosts.get_mut(name)) {
            group_entry.hosts.insert(name.to_owned());
            host.groups.insert(group.to_owned());
        }
    }

    /// The variables of a map node.
    pub(super) fn vars(&mut self, node: &Node) -> VarMap {
        let mut vars = VarMap::new();
        for (key, value) in node.entries().unwrap_or_default() {
            match (scalar::key_text(key), scalar::value(value)) {
                (Ok(name), Ok(typed)) => {
                    let spot = if value.text().is_some() {
                        value.spot.clone()
                    } else {
                        key.spot.clone()
                    };
                    vars.insert(name, Rc::new(Var { value: typed, spot }));
                }
                (Err(problem), _) | (_, Err(problem)) => self.push(problem),
            }
        }
        vars
    }

    pub(super) fn set_group_vars(&mut self, group: &str, mut vars: VarMap) {
        if let Some(priority) = vars.remove("ansible_group_priority") {
            let number = match &priority.value {
                Value::Number(number) => number.as_i64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            match (number, self.groups.get_mut(group)) {
                (Some(number), Some(group)) => group.priority = number,
                _ => self.push(Problem::at(
                    &priority.spot,
                    "`ansible_group_priority` takes a whole number",
                )),
            }
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.vars.extend(vars);
        }
    }

    pub(super) fn set_host_vars(&mut self, host: &str, vars: &VarMap, spot: &Spot) {
        if !self.spend(vars.len(), spot) {
            return;
        }
        if let Some(host) = self.hosts.get_mut(host) {
            host.vars
                .extend(vars.iter().map(|(key, var)| (key.clone(), Rc::clone(var))));
        }
    }

    pub(super) fn set_group_file_vars(&mut self, group: &str, vars: VarMap) {
        if let Some(group) = self.groups.get_mut(group) {
            group.file_vars.extend(vars);
        }
    }

    pub(super) fn set_host_file_vars(&mut self, host: &str, vars: VarMap) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.file_vars.extend(vars);
        }
    }

    /// Puts every group below `all`, every host without a group into `ungrouped`, and finds what is
    /// wrong with the whole.
    pub(super) fn reconcile(&mut self) {
        let Some(spot) = self.groups.values().next().map(|group| group.spot.clone()) else {
            return;
        };
        self.add_group("all", &spot);
        self.add_group("ungrouped", &spot);
        self.cut_circles();
        let children: BTreeSet<String> = self
            .groups
            .values()
            .flat_map(|group| group.children.keys().cloned())
            .collect();
        let names: Vec<String> = self.groups.keys().cloned().collect();
        for name in names
            .iter()
            .filter(|name| *name != "all" && !children.contains(*name))
        {
            self.add_child("all", name, &spot);
        }
        for name in &names {
            for below in self.below(name) {
                self.ancestors.entry(below).or_default().insert(name.clone());
            }
        }
        let mut ungrouped = BTreeSet::new();
        for (name, host) in &mut self.hosts {
            let free = host
                .groups
                .iter()
                .all(|group| group == "all" || group == "ungrouped");
            if free {
                host.groups.insert("ungrouped".to_owned());
                ungrouped.insert(name.clone());
            } else {
                host.groups.remove("ungrouped");
            }
        }
        if let Some(group) = self.groups.get_mut("ungrouped") {
            group.hosts = ungrouped;
        }
        let same = self
            .hosts
            .iter()
            .filter(|(name, _)| self.groups.contains_key(*name));
        let clashes = same.map(|(name, host)| {
            let message = format!("`{name}` is the name of a host and of a group");
            Problem::at(&host.spot, message).hint("Ansible mixes their variables up: rename one of them")
        });
        self.report.problems.extend(clashes);
    }

    /// All groups below a group.
    fn below(&self, group: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![group];
        while let Some(name) = open.pop() {
            for child in self
                .groups
                .get(name)
                .into_iter()
                .flat_map(|group| group.children.keys())
            {
                if found.insert(child.clone()) {
                    open.push(child);
                }
            }
        }
        found
    }

    /// The names of all hosts, with the place where each is written first.
    pub(super) fn hosts(&self) -> Vec<(String, Spot)> {
        self.hosts
            .iter()
            .map(|(name, host)| (name.clone(), host.spot.clone()))
            .collect()
    }

    /// The names of all groups.
    pub(super) fn group_names(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }
}

//! Groups and hosts as they stand to each other, and the precedence of variables: what Ansible keeps
//! in its `InventoryData`, without the order of hosts, which means nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::Value;

use crate::model::names::HostName;

use super::super::report::{Problem, Report};
use super::super::scalar;
use super::super::source::Spot;
use super::super::yaml::Node;
use super::MAX_HOSTS;

/// A variable's value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Var {
    pub(super) value: Value,
    pub(super) spot: Spot,
}

pub(super) type VarMap = BTreeMap<String, Rc<Var>>;

/// Variables that Ansible owns: what an inventory writes under these names is never seen.
const INTERNAL: [&str; 19] = [
    "ansible_diff_mode",
    "ansible_config_file",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_playbook_python",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "groups",
    "group_names",
    "omit",
    "playbook_dir",
];

struct Group {
    spot: Spot,
    vars: VarMap,
    /// From `group_vars/`: they come after the variables of all groups in the file itself.
    file_vars: VarMap,
    children: BTreeSet<String>,
    hosts: BTreeSet<String>,
    priority: i64,
}

struct Host {
    spot: Spot,
    vars: VarMap,
    file_vars: VarMap,
}

/// The groups and hosts of an inventory while it is read.
pub(super) struct Graph {
    groups: BTreeMap<String, Group>,
    hosts: BTreeMap<String, Host>,
    ancestors: BTreeMap<String, BTreeSet<String>>,
    pub(super) report: Report,
}

impl Graph {
    pub(super) fn new(report: Report) -> Self {
        Self {
            groups: BTreeMap::new(),
            hosts: BTreeMap::new(),
            ancestors: BTreeMap::new(),
            report,
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.report.push(problem);
    }

    /// Makes the group unless it is there.
    pub(super) fn add_group(&mut self, name: &str, spot: &Spot) {
        self.groups.entry(name.to_owned()).or_insert_with(|| Group {
            spot: spot.clone(),
            vars: VarMap::new(),
            file_vars: VarMap::new(),
            children: BTreeSet::new(),
            hosts: BTreeSet::new(),
            priority: 1,
        });
    }

    /// Makes `child` a part of `group`; a circle is a problem.
    pub(super) fn add_child(&mut self, group: &str, child: &str, spot: &Spot) {
        self.add_group(child, spot);
        if group == child || self.below(child).contains(group) {
            let message = format!("`{child}` below `{group}` makes a circle of groups");
            self.push(Problem::at(spot, message));
            return;
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.children.insert(child.to_owned());
        }
    }

    /// Makes the host unless it is there, and a member of `group`. `port` is the one after the name;
    /// as in Ansible it counts only where the host is written first.
    pub(super) fn add_host(&mut self, name: &str, group: &str, port: Option<u16>, spot: &Spot) {
        if !self.hosts.contains_key(name) {
            if self.hosts.len() >= MAX_HOSTS {
                if self.hosts.len() == MAX_HOSTS {
                    self.push(Problem::at(
                        spot,
                        format!("more than {MAX_HOSTS} hosts in one inventory"),
                    ));
                }
                return;
            }
            let mut vars = VarMap::new();
            if let Some(port) = port {
                let value = Value::from(port);
                let spot = spot.clone();
                vars.insert("ansible_port".to_owned(), Rc::new(Var { value, spot }));
            }
            let host = Host {
                spot: spot.clone(),
                vars,
                file_vars: VarMap::new(),
            };
            self.hosts.insert(name.to_owned(), host);
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.hosts.insert(name.to_owned());
        }
    }

    /// How many more hosts the inventory may have.
    pub(super) fn room(&self) -> usize {
        MAX_HOSTS.saturating_sub(self.hosts.len())
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

    pub(super) fn set_host_vars(&mut self, host: &str, vars: &VarMap) {
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

    /// Puts every group below `all` and every host without a group into `ungrouped`.
    pub(super) fn reconcile(&mut self) {
        let spot = self.groups.values().next().map(|group| group.spot.clone());
        let Some(spot) = spot else { return };
        self.add_group("all", &spot);
        self.add_group("ungrouped", &spot);
        let children: BTreeSet<String> = self
            .groups
            .values()
            .flat_map(|group| group.children.clone())
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
        let mut grouped = BTreeSet::new();
        for (name, group) in &self.groups {
            if name != "all" && name != "ungrouped" {
                grouped.extend(group.hosts.iter().cloned());
            }
        }
        let free: BTreeSet<String> = self
            .hosts
            .keys()
            .filter(|host| !grouped.contains(*host))
            .cloned()
            .collect();
        if let Some(ungrouped) = self.groups.get_mut("ungrouped") {
            ungrouped.hosts = free;
        }
        let clashes: Vec<Problem> = self
            .hosts
            .iter()
            .filter(|(name, _)| self.groups.contains_key(*name))
            .map(|(name, host)| {
                let message = format!("`{name}` is the name of a host and of a group");
                Problem::at(&host.spot, message).hint("Ansible mixes their variables up: rename one of them")
            })
            .collect();
        self.report.problems.extend(clashes);
    }

    /// All groups below a group.
    fn below(&self, group: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![group.to_owned()];
        while let Some(name) = open.pop() {
            for child in self
                .groups
                .get(&name)
                .into_iter()
                .flat_map(|group| &group.children)
            {
                if found.insert(child.clone()) {
                    open.push(child.clone());
                }
            }
        }
        found
    }

    /// All groups but `all`, in the order in which their variables are put over each other: by depth,
    /// then priority, then name.
    pub(super) fn precedence(&self) -> Vec<String> {
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        // The longest way from the top; without circles this ends after as many rounds as there are levels.
        let mut level: BTreeSet<&str> = self.groups.keys().map(String::as_str).collect();
        let mut depth = 0;
        while !level.is_empty() && depth <= self.groups.len() {
            for name in &level {
                depths.insert(name, depth);
            }
            level = level
                .iter()
                .filter_map(|name| self.groups.get(*name))
                .flat_map(|group| group.children.iter().map(String::as_str))
                .collect();
            depth += 1;
        }
        let mut names: Vec<&String> = self.groups.keys().filter(|name| *name != "all").collect();
        names.sort_by_key(|name| (depths.get(name.as_str()), self.groups[*name].priority, *name));
        names.into_iter().cloned().collect()
    }

    pub(super) fn host_names(&self) -> Vec<String> {
        self.hosts.keys().cloned().collect()
    }

    pub(super) fn all_group_names(&self) -> Vec<String> {
        self.groups.keys().cloned().collect()
    }

    /// The name as a host name, or a problem.
    pub(super) fn checked_host(&mut self, name: &str) -> Option<HostName> {
        match HostName::new(name) {
            Ok(name) => Some(name),
            Err(error) => {
                let problem = Problem::at(&self.hosts[name].spot, error.to_string());
                self.push(problem);
                None
            }
        }
    }

    /// The groups of a host, `all` left out, in order.
    pub(super) fn group_names(&self, host: &str) -> Vec<String> {
        let direct = self.groups.iter().filter(|(_, group)| group.hosts.contains(host));
        let mut names = BTreeSet::new();
        for (name, _) in direct {
            names.insert(name.clone());
            names.extend(self.ancestors.get(name).into_iter().flatten().cloned());
        }
        names.remove("all");
        names.into_iter().collect()
    }

    /// The variables of a host after Ansible's precedence.
    pub(super) fn host_vars(&self, host: &str, order: &[String]) -> VarMap {
        let own: BTreeSet<String> = self.group_names(host).into_iter().collect();
        let all = self.groups.get("all");
        let groups = || {
            order
                .iter()
                .filter(|name| own.contains(*name))
                .map(|name| &self.groups[name])
        };
        let mut vars = VarMap::new();
        let layers = all
            .map(|group| &group.vars)
            .into_iter()
            .chain(groups().map(|group| &group.vars))
            .chain(all.map(|group| &group.file_vars))
            .chain(groups().map(|group| &group.file_vars))
            .chain(
                self.hosts
                    .get(host)
                    .into_iter()
                    .flat_map(|host| [&host.vars, &host.file_vars]),
            );
        for layer in layers {
            vars.extend(layer.iter().map(|(key, var)| (key.clone(), Rc::clone(var))));
        }
        for name in INTERNAL {
            vars.remove(name);
        }
        vars
    }

    /// Every group with its place and its members, those of the groups below included.
    pub(super) fn memberships(&self) -> Vec<(String, Spot, BTreeSet<String>)> {
        let members = |name: &String, group: &Group| {
            if name == "all" {
                return self.hosts.keys().cloned().collect();
            }
            let below = self.below(name);
            let below = below.iter().filter_map(|name| self.groups.get(name));
            below
                .flat_map(|group| &group.hosts)
                .chain(&group.hosts)
                .cloned()
                .collect()
        };
        self.groups
            .iter()
            .map(|(name, group)| (name.clone(), group.spot.clone(), members(name, group)))
            .collect()
    }
}

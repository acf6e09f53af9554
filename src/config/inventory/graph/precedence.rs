//! Which variables win: all groups by depth, priority and name, then the host's own.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::config::source::Spot;

use super::{Graph, Group, VarMap};

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

impl Graph {
    /// All groups but `all`, in the order in which their variables are put over each other: by depth,
    /// then priority, then name.
    pub(in crate::config::inventory) fn precedence(&self) -> Vec<String> {
        let mut depths: BTreeMap<&str, usize> = BTreeMap::new();
        // A group's depth is the longest way to it from the top; there are no circles any more.
        let mut level: BTreeSet<&str> = self.groups.keys().map(String::as_str).collect();
        let mut depth = 0;
        while !level.is_empty() && depth <= self.groups.len() {
            for name in &level {
                depths.insert(name, depth);
            }
            let groups = level.iter().filter_map(|name| self.groups.get(*name));
            level = groups
                .flat_map(|group| group.children.keys().map(String::as_str))
                .collect();
            depth += 1;
        }
        let mut names: Vec<&String> = self.groups.keys().filter(|name| *name != "all").collect();
        names.sort_by_key(|name| (depths.get(name.as_str()), self.groups[*name].priority, *name));
        names.into_iter().cloned().collect()
    }

    /// The groups of a host, `all` left out, in order.
    pub(in crate::config::inventory) fn groups_of(&self, host: &str) -> BTreeSet<String> {
        let direct = self.hosts.get(host).into_iter().flat_map(|host| &host.groups);
        let mut names = BTreeSet::new();
        for name in direct {
            names.insert(name.clone());
            names.extend(self.ancestors.get(name).into_iter().flatten().cloned());
        }
        names.remove("all");
        names
    }

    /// The variables of a host after Ansible's precedence, groups in the order of [`Self::precedence`].
    pub(in crate::config::inventory) fn host_vars(&mut self, host: &str, order: &[String]) -> VarMap {
        let own = self.groups_of(host);
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
        let mut effort = 0;
        for layer in layers {
            effort += layer.len();
            vars.extend(layer.iter().map(|(key, var)| (key.clone(), Rc::clone(var))));
        }
        for name in INTERNAL {
            vars.remove(name);
        }
        let spot = self.hosts.get(host).map(|host| host.spot.clone());
        match spot {
            Some(spot) if !self.spend(effort, &spot) => VarMap::new(),
            _ => vars,
        }
    }

    /// Every group with its place and its members, those of the groups below included.
    pub(in crate::config::inventory) fn memberships(&self) -> Vec<(String, Spot, BTreeSet<String>)> {
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

//! The inventory's file, as Ansible reads it: groups, hosts, ranges, variables and their precedence,
//! `group_vars/` and `host_vars/` beside the file. The tests compare the outcome with
//! `ansible-inventory --list`.

mod connection;
mod graph;
mod groups;
mod jinja;
mod listing;
mod range;
mod ssh_args;
mod vars_files;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::model::inventory::{Host, Inventory, Vars};
use crate::model::names::{Address, GroupName, HostName};

use self::graph::{Graph, VarMap};
use super::report::{Problem, Report};
use super::source::{Source, Spot};
use super::{suggest, yaml};

pub(super) use jinja::rendered;

/// An inventory, and what is wrong with the connections of single hosts: that only matters for hosts
/// that the playbook uses.
#[derive(Debug, Clone, Default)]
pub struct LoadedInventory {
    /// The inventory.
    pub inventory: Inventory,
    /// Problems by host.
    pub problems: BTreeMap<HostName, Vec<Problem>>,
}

impl From<Inventory> for LoadedInventory {
    /// An inventory that was made without a file.
    fn from(inventory: Inventory) -> Self {
        Self {
            inventory,
            problems: BTreeMap::new(),
        }
    }
}

/// Reads an inventory: Ansible's YAML form, or the JSON of `ansible-inventory --list`.
///
/// Returns all that is wrong with it.
pub fn load_inventory(source: &Arc<Source>) -> Result<LoadedInventory, Report> {
    let mut report = Report::default();
    let Some(root) = yaml::parse(source, &mut report) else {
        if report.problems.is_empty() {
            report.push(Problem::with_file(source.name(), "the inventory is empty"));
        }
        if is_ini(source.text()) {
            let hinted = |problem: Problem| problem.hint(ini_hint(source));
            report.problems = report.problems.into_iter().map(hinted).collect();
        }
        return Err(report);
    };
    let mut graph = Graph::new(report);
    if root.entries().is_none() && is_ini(source.text()) {
        let problem = Problem::at(&root.spot, "the inventory is no map of groups");
        graph.push(problem.hint(ini_hint(source)));
    } else if listing::is_listing(&root) {
        listing::read(&root, &mut graph);
    } else {
        groups::read(&root, &mut graph);
    }
    graph.reconcile();
    vars_files::read(source, &mut graph);
    finish(graph)
}

/// Whether a text that is no YAML has the sections of Ansible's INI form.
fn is_ini(text: &str) -> bool {
    let is_section = |line: &str| {
        let name = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let may_be_of_a_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        name.is_some_and(|name| !name.is_empty() && name.chars().all(may_be_of_a_name))
    };
    text.lines().any(|line| is_section(line.trim_end()))
}

fn ini_hint(source: &Source) -> String {
    format!(
        "it looks like Ansible's INI form, which is read by a detour: `ansible-inventory -i {} --list > inventory.json`, and \
         then that file",
        source.name()
    )
}

fn finish(mut graph: Graph) -> Result<LoadedInventory, Report> {
    let mut inventory = Inventory::default();
    let mut problems = BTreeMap::new();
    let order = graph.precedence();
    for (name, spot) in graph.hosts() {
        let host_name = match HostName::new(name.as_str()) {
            Ok(host_name) => host_name,
            Err(error) => {
                graph.push(Problem::at(&spot, error.to_string()));
                continue;
            }
        };
        let vars = graph.host_vars(&name, &order);
        let groups = graph.groups_of(&name).into_iter().collect();
        let (host, wrong) = host(&host_name, &vars, groups, &spot);
        if !wrong.is_empty() {
            problems.insert(host_name.clone(), wrong);
        }
        inventory.hosts.insert(host_name, host);
    }
    for (name, spot, members) in graph.memberships() {
        match GroupName::new(name) {
            Ok(group) => {
                let members = members.iter().filter_map(|host| HostName::new(host.clone()).ok());
                inventory.groups.insert(group, members.collect());
            }
            Err(error) => graph.report.push(Problem::at(&spot, error.to_string())),
        }
    }
    graph.report.finish(Some(LoadedInventory { inventory, problems }))
}

fn host(name: &HostName, vars: &VarMap, groups: Vec<String>, spot: &Spot) -> (Host, Vec<Problem>) {
    let plain: Vars = vars
        .iter()
        .map(|(key, var)| (key.clone(), var.value.clone()))
        .collect();
    let magic = magic(name, groups);
    let mut wrong = Vec::new();
    let mut reader = connection::Reader::new(vars, rendered(&plain, &magic), &mut wrong);
    let connection = reader.connection();
    let address = reader.address().or_else(|| Address::new(name.as_str()).ok());
    let address = address.unwrap_or_else(|| {
        let message = format!("`{name}` is no address that nginx could proxy to");
        let problem = Problem::at(spot, message);
        wrong.push(problem.hint(format!("give {name} the variable `address`")));
        Address::new("invalid").expect("a plain word is an address")
    });
    let host = Host {
        address,
        connection,
        vars: plain,
    };
    (host, wrong)
}

/// What Ansible's own variables say about a host, as far as an inventory may refer to them.
pub(super) fn magic(name: &HostName, groups: Vec<String>) -> Vars {
    let is_ip = name.as_str().parse::<std::net::IpAddr>().is_ok();
    let short = if is_ip {
        name.as_str()
    } else {
        name.as_str().split('.').next().unwrap_or_default()
    };
    let text = |text: &str| Value::String(text.to_owned());
    Vars::from([
        ("inventory_hostname".to_owned(), text(name.as_str())),
        ("inventory_hostname_short".to_owned(), text(short)),
        ("group_names".to_owned(), Value::from(groups)),
    ])
}

/// A hint for a key that is none of a group's sections.
fn section_hint(key: &str) -> Option<String> {
    suggest::did_you_mean(key, ["hosts", "children", "vars"])
}

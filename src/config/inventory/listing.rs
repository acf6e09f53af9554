//! The JSON that `ansible-inventory --list` and dynamic inventory scripts write: groups with lists of
//! hosts and children, and the variables of all hosts under `_meta`.

use super::super::report::Problem;
use super::super::yaml::{Kind, Node};
use super::graph::Graph;

/// Whether a file has this form and not the YAML one.
pub(super) fn is_listing(root: &Node) -> bool {
    let is_list = |node: Option<&Node>| node.is_some_and(|node| matches!(node.kind, Kind::List(_)));
    let groups = root.entries().unwrap_or_default();
    root.get("_meta").is_some()
        || groups.iter().any(|(_, group)| {
            is_list(Some(group)) || is_list(group.get("hosts")) || is_list(group.get("children"))
        })
}

/// Reads all groups and hosts into the graph.
pub(super) fn read(root: &Node, graph: &mut Graph) {
    for (key, node) in root.entries().unwrap_or_default() {
        match key.text() {
            Some("_meta") | None => {}
            Some(name) => group(name, key, node, graph),
        }
    }
    let Some(hosts) = root.get("_meta").and_then(|meta| meta.get("hostvars")) else {
        return;
    };
    for (key, node) in hosts.entries().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        graph.add_host(name, "all", None, &key.spot);
        let vars = graph.vars(node);
        graph.set_host_vars(name, &vars, &key.spot);
    }
}

fn group(name: &str, key: &Node, node: &Node, graph: &mut Graph) {
    graph.add_group(name, &key.spot);
    if let Kind::List(_) = node.kind {
        names(node, graph, |graph, host| {
            graph.add_host(host.text().unwrap_or_default(), name, None, &host.spot);
        });
        return;
    }
    for (section, node) in node.entries().unwrap_or_default() {
        match section.text().unwrap_or_default() {
            "hosts" => names(node, graph, |graph, host| {
                graph.add_host(host.text().unwrap_or_default(), name, None, &host.spot);
            }),
            "children" => names(node, graph, |graph, child| {
                graph.add_child(name, child.text().unwrap_or_default(), &child.spot);
            }),
            "vars" => {
                let vars = graph.vars(node);
                graph.set_group_vars(name, vars);
            }
            other => {
                let problem = Problem::at(&section.spot, format!("unknown key `{other}` in group `{name}`"));
                graph.push(problem.maybe_hint(super::section_hint(other)));
            }
        }
    }
}

fn names(node: &Node, graph: &mut Graph, add: impl Fn(&mut Graph, &Node)) {
    let Kind::List(items) = &node.kind else {
        graph.push(Problem::at(
            &node.spot,
            format!("expected a list of names, found {}", node.describe()),
        ));
        return;
    };
    for item in items {
        match item.text() {
            Some(_) => add(graph, item),
            None => graph.push(Problem::at(
                &item.spot,
                format!("expected a name, found {}", item.describe()),
            )),
        }
    }
}

//! Ansible's YAML form: groups at the top, each with `hosts`, `children` and `vars`.

use super::super::report::Problem;
use super::super::yaml::{Form, Kind, Node, Scalar};
use super::graph::Graph;
use super::{range, section_hint};

/// The most hosts that one pattern may stand for.
const MAX_RANGE: usize = 10_000;

/// Reads all groups of a file into the graph.
pub(super) fn read(root: &Node, graph: &mut Graph) {
    let Some(groups) = root.entries() else {
        let message = format!("the inventory is {} and not a map of groups", root.describe());
        graph.push(Problem::at(&root.spot, message));
        return;
    };
    if let Some(plugin) = root.get("plugin") {
        let problem = Problem::at(
            &plugin.spot,
            "this configures an inventory plugin and is no inventory",
        );
        graph.push(problem.hint("save the output of `ansible-inventory -i FILE --list` and use that"));
        return;
    }
    for (key, node) in groups {
        if let Some(name) = name(key, "group", graph) {
            group(name, key, node, graph);
        }
    }
}

/// A name that was written as a text.
fn name<'n>(key: &'n Node, what: &str, graph: &mut Graph) -> Option<&'n str> {
    match (key.text(), super::super::scalar::value(key)) {
        (Some(text), Ok(serde_json::Value::String(_))) if !text.is_empty() => Some(text),
        _ => {
            let problem = Problem::at(
                &key.spot,
                format!(
                    "the name of a {what} must be a text, and this is {}",
                    key.describe()
                ),
            );
            graph.push(problem.hint("put it in quotes"));
            None
        }
    }
}

fn group(name: &str, key: &Node, node: &Node, graph: &mut Graph) {
    graph.add_group(name, &key.spot);
    if node.is_null() {
        return;
    }
    let Some(sections) = node.entries() else {
        let message = format!(
            "group `{name}` must be a map with `hosts`, `children` or `vars`, and this is {}",
            node.describe()
        );
        graph.push(Problem::at(&node.spot, message));
        return;
    };
    for (key, node) in sections {
        match key.text().unwrap_or_default() {
            _ if node.is_null() => {}
            "vars" if node.entries().is_some() => {
                let vars = graph.vars(node);
                graph.set_group_vars(name, vars);
            }
            "children" => {
                for (child, node) in members(key, node, graph) {
                    if let Some(child_name) = self::name(&child, "group", graph) {
                        graph.add_child(name, child_name, &child.spot);
                        group(child_name, &child, &node, graph);
                    }
                }
            }
            "hosts" => {
                for (pattern, node) in members(key, node, graph) {
                    hosts(name, &pattern, &node, graph);
                }
            }
            "vars" => graph.push(Problem::at(
                &key.spot,
                format!("`vars` of `{name}` must be a map"),
            )),
            other => {
                let problem = Problem::at(&key.spot, format!("unknown key `{other}` in group `{name}`"));
                let known = || "a group has `hosts`, `children` and `vars`".to_owned();
                graph.push(problem.hint(section_hint(other).unwrap_or_else(known)));
            }
        }
    }
}

/// The entries of `hosts` or `children`: a map, or a single name.
fn members(key: &Node, node: &Node, graph: &mut Graph) -> Vec<(Node, Node)> {
    match &node.kind {
        Kind::Map(entries) => entries.clone(),
        Kind::Scalar(_) => {
            let kind = Kind::Scalar(Scalar {
                text: String::new(),
                form: Form::Plain,
                tag: None,
            });
            let spot = node.spot.clone();
            vec![(node.clone(), Node { spot, kind })]
        }
        Kind::List(_) => {
            let section = key.text().unwrap_or_default();
            let problem = Problem::at(
                &key.spot,
                format!("`{section}` must be a map, and this is a list"),
            );
            graph.push(problem.hint("write `name:` for each instead of `- name`"));
            Vec::new()
        }
    }
}

fn hosts(group: &str, pattern: &Node, node: &Node, graph: &mut Graph) {
    let Some(text) = name(pattern, "host", graph).filter(|_| !graph.is_full()) else {
        return;
    };
    if !node.is_null() && node.entries().is_none() {
        let message = format!(
            "host `{text}` takes a map of variables, and this is {}",
            node.describe()
        );
        graph.push(Problem::at(&node.spot, message));
        return;
    }
    let (names, port) = range::split_port(text);
    match range::expand(names, MAX_RANGE) {
        Ok(names) => {
            let vars = graph.vars(node);
            for name in names {
                graph.add_host(&name, group, port, &pattern.spot);
                graph.set_host_vars(&name, &vars, &pattern.spot);
            }
        }
        Err(reason) => graph.push(Problem::at(&pattern.spot, format!("the range {reason}"))),
    }
}

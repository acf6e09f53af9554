//! `<<` and keys that are written twice.

use std::collections::HashMap;

use super::report::{Problem, Report};
use super::yaml::{Form, Kind, Node};

/// The entries of a map with merged ones first, as PyYAML orders them: what is written in the map
/// itself wins over what is merged, and of several merged maps the first wins. A key that is written
/// twice is a problem.
pub(super) fn flatten(pairs: Vec<(Node, Node)>, report: &mut Report) -> Vec<(Node, Node)> {
    let mut merged = Entries::default();
    let mut own = Entries::default();
    for (key, value) in pairs {
        if is_merge(&key) {
            merge(value, &mut merged, report);
            continue;
        }
        let Kind::Scalar(_) = key.kind else {
            let problem = Problem::at(&key.spot, "a key must be a single word or text");
            report.push(problem.hint("put a value that begins with `{{` in quotes"));
            continue;
        };
        if let Some(first) = own.line_of(&key) {
            let problem = Problem::at(&key.spot, format!("key {} is written twice", key.describe()));
            report.push(problem.hint(format!("the first one is at line {first}")));
            continue;
        }
        own.put(key, value);
    }
    if merged.list.is_empty() {
        return own.list;
    }
    for (key, value) in own.list {
        merged.put(key, value);
    }
    merged.list
}

/// Entries in the order of their first appearance, each key once.
#[derive(Default)]
struct Entries {
    list: Vec<(Node, Node)>,
    places: HashMap<String, usize>,
}

impl Entries {
    fn put(&mut self, key: Node, value: Node) {
        let Kind::Scalar(scalar) = &key.kind else { return };
        if let Some(place) = self.places.get(&scalar.text) {
            self.list[*place] = (key, value);
        } else {
            self.places.insert(scalar.text.clone(), self.list.len());
            self.list.push((key, value));
        }
    }

    fn line_of(&self, key: &Node) -> Option<usize> {
        let Kind::Scalar(scalar) = &key.kind else {
            return None;
        };
        let place = self.places.get(&scalar.text)?;
        Some(self.list[*place].0.spot.line)
    }
}

fn merge(value: Node, merged: &mut Entries, report: &mut Report) {
    let maps = match value.kind {
        Kind::Map(entries) => vec![entries],
        Kind::List(items) if items.iter().all(|item| item.entries().is_some()) => {
            let maps = items.into_iter().rev().filter_map(|item| match item.kind {
                Kind::Map(entries) => Some(entries),
                _ => None,
            });
            maps.collect()
        }
        _ => {
            report.push(Problem::at(&value.spot, "`<<` takes a map or a list of maps"));
            return;
        }
    };
    for (key, value) in maps.into_iter().flatten() {
        merged.put(key, value);
    }
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.kind, Kind::Scalar(scalar) if scalar.form == Form::Plain && scalar.text == "<<")
}

//! Reading a map key by key: every mistake is noted and the reading goes on, and what was not asked
//! for in the end is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::report::{Problem, Report};
use super::source::Spot;
use super::suggest;
use super::yaml::Node;

/// What one reading of a file gathers.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) report: RefCell<Report>,
    pub(super) spots: RefCell<BTreeMap<String, Spot>>,
}

impl Notes {
    pub(super) fn push(&self, problem: Problem) {
        self.report.borrow_mut().push(problem);
    }

    fn entry<'n>(&'n self, path: &str, name: &str, key: &Spot, node: &'n Node) -> Item<'n> {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        let spot = if node.text().is_some() { &node.spot } else { key };
        self.spots.borrow_mut().insert(path.clone(), spot.clone());
        Item {
            notes: self,
            path,
            key: key.clone(),
            node,
        }
    }
}

/// A value under its key.
pub(super) struct Item<'n> {
    notes: &'n Notes,
    /// The keys from the top, joined by dots.
    pub(super) path: String,
    pub(super) key: Spot,
    pub(super) node: &'n Node,
}

/// What a reading function returns: the value, or what is wrong with it.
pub(super) type Read<T> = Result<T, Problem>;

impl<'n> Item<'n> {
    /// Notes a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.notes.push(problem);
    }

    /// A value below this one, whose place is remembered.
    pub(super) fn below(&self, name: &str, key: &Spot, node: &'n Node) -> Self {
        self.notes.entry(&self.path, name, key, node)
    }

    /// Where a key below this value stands, or this value's own key.
    pub(super) fn place(&self, key: &str) -> Spot {
        let spots = self.notes.spots.borrow();
        let spot = spots.get(&format!("{}.{key}", self.path));
        spot.unwrap_or(&self.key).clone()
    }

    /// A problem with this value.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        let spot = if self.node.text().is_some() {
            &self.node.spot
        } else {
            &self.key
        };
        Problem::at(spot, message)
    }

    /// The problem that something else was wanted.
    pub(super) fn expected(&self, what: &str) -> Problem {
        self.problem(format!(
            "`{}` takes {what}, and this is {}",
            self.path,
            self.node.describe()
        ))
    }
}

/// A map that is being read.
pub(super) struct Fields<'n> {
    notes: &'n Notes,
    path: String,
    spot: Spot,
    entries: &'n [(Node, Node)],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The top of a file.
    pub(super) fn top(notes: &'n Notes, node: &'n Node) -> Option<Self> {
        let Some(entries) = node.entries() else {
            notes.push(Problem::at(
                &node.spot,
                format!("the file is {} and not a map of keys", node.describe()),
            ));
            return None;
        };
        Some(Self {
            notes,
            path: String::new(),
            spot: node.spot.clone(),
            entries,
            known: Vec::new(),
        })
    }

    /// The map below a key; a problem is noted where it is none.
    pub(super) fn of(item: &Item<'n>) -> Option<Self> {
        let Some(entries) = item.node.entries() else {
            item.note(item.expected("a map"));
            return None;
        };
        Some(Self {
            notes: item.notes,
            path: item.path.clone(),
            spot: item.key.clone(),
            entries,
            known: Vec::new(),
        })
    }

    /// Notes a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.notes.push(problem);
    }

    /// Where the map itself is.
    pub(super) fn spot(&self) -> &Spot {
        &self.spot
    }

    /// The value of a key that may be absent.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'n>> {
        self.known.push(key);
        let (name, node) = self.entries.iter().find(|(name, _)| name.text() == Some(key))?;
        Some(self.entry(name, node))
    }

    fn entry(&self, name: &'n Node, node: &'n Node) -> Item<'n> {
        let key = name.text().unwrap_or_default();
        self.notes.entry(&self.path, key, &name.spot, node)
    }

    /// All entries, whatever their keys are; none of them is unknown then.
    pub(super) fn items(&self) -> Vec<(String, Item<'n>)> {
        let named = |(name, node): &'n (Node, Node)| {
            let text = name.text().unwrap_or_default().to_owned();
            (text, self.entry(name, node))
        };
        self.entries.iter().map(named).collect()
    }

    /// The value of a key, or `None` where it is absent or wrong.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Item<'n>) -> Read<T>,
    ) -> Option<T> {
        let item = self.item(key)?;
        self.keep(parse(&item))
    }

    /// The value of a key, or `default` where it is absent.
    pub(super) fn read_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        parse: impl FnOnce(&Item<'n>) -> Read<T>,
    ) -> T {
        self.read(key, parse).unwrap_or(default)
    }

    /// The value of a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Item<'n>) -> Read<T>,
    ) -> Option<T> {
        let item = self.require_item(key)?;
        self.keep(parse(&item))
    }

    /// A key that must be there, unread.
    pub(super) fn require_item(&mut self, key: &'static str) -> Option<Item<'n>> {
        let item = self.item(key);
        if item.is_none() {
            let place = if self.path.is_empty() {
                "the playbook".to_owned()
            } else {
                format!("`{}`", self.path)
            };
            let problem = Problem::at(&self.spot, format!("{place} lacks `{key}`"));
            let slip = self
                .entries
                .iter()
                .filter_map(|(name, _)| name.text())
                .find_map(|written| {
                    suggest::nearest(written, [key]).map(|_| format!("is `{written}` meant to be `{key}`?"))
                });
            self.notes.push(problem.maybe_hint(slip));
        }
        item
    }

    /// The value, or `None` with the problem noted.
    pub(super) fn keep<T>(&self, read: Read<T>) -> Option<T> {
        read.map_err(|problem| self.notes.push(problem)).ok()
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for (name, _) in self.entries {
            let Some(key) = name.text() else {
                self.note(Problem::at(&name.spot, "a key is missing here"));
                continue;
            };
            if self.known.contains(&key) {
                continue;
            }
            let within = if self.path.is_empty() {
                String::new()
            } else {
                format!(" in `{}`", self.path)
            };
            let hint = suggest::did_you_mean(key, self.known.iter().copied())
                .unwrap_or_else(|| format!("known here: {}", self.known.join(", ")));
            self.note(Problem::at(&name.spot, format!("unknown key `{key}`{within}")).hint(hint));
        }
    }
}

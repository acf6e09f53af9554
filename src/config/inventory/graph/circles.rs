//! Groups that are, by a chain of others, a part of themselves.

use std::collections::BTreeSet;

use crate::config::report::Problem;

use super::Graph;

/// A group on the way, and those of its children that were not looked at yet.
struct Step {
    name: String,
    left: Vec<String>,
}

impl Graph {
    /// Notes every circle at the line that closes it, and takes that line out.
    pub(super) fn cut_circles(&mut self) {
        let mut done = BTreeSet::new();
        // `all` first: whatever has it as a part closes a circle.
        let names = std::iter::once("all".to_owned()).chain(self.group_names());
        let mut closing = self.parents_of_all();
        for start in names {
            self.walk(start, &mut done, &mut closing);
        }
        for (group, child) in closing {
            let spot = self
                .groups
                .get_mut(&group)
                .and_then(|group| group.children.remove(&child));
            if let Some(spot) = spot {
                self.push(Problem::at(
                    &spot,
                    format!("`{child}` below `{group}` makes a circle of groups"),
                ));
            }
        }
    }

    fn parents_of_all(&self) -> Vec<(String, String)> {
        let parents = self
            .groups
            .iter()
            .filter(|(_, group)| group.children.contains_key("all"));
        parents
            .map(|(name, _)| (name.clone(), "all".to_owned()))
            .collect()
    }

    fn walk(&self, start: String, done: &mut BTreeSet<String>, closing: &mut Vec<(String, String)>) {
        if done.contains(&start) {
            return;
        }
        let mut on_the_way = BTreeSet::from([start.clone()]);
        let mut way = vec![self.step(start)];
        while let Some(step) = way.last_mut() {
            match step.left.pop() {
                Some(child) if on_the_way.contains(&child) => closing.push((step.name.clone(), child)),
                Some(child) if done.contains(&child) => {}
                Some(child) => {
                    on_the_way.insert(child.clone());
                    way.push(self.step(child));
                }
                None => {
                    on_the_way.remove(&step.name);
                    done.insert(step.name.clone());
                    way.pop();
                }
            }
        }
    }

    fn step(&self, name: String) -> Step {
        let left = self
            .groups
            .get(&name)
            .map(|group| group.children.keys().cloned().collect());
        Step {
            left: left.unwrap_or_default(),
            name,
        }
    }
}

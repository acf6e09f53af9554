//! `slots`: two names, or one, each with a group, a port and variables.

use std::collections::BTreeMap;

use crate::model::names::SlotName;
use crate::model::playbook::Slot;

use super::super::fields::{Fields, Item};
use super::super::report::Problem;
use super::super::{rules, values};

/// The slots in the order in which they are written.
pub(super) fn read(item: &Item<'_>) -> Option<Vec<Slot>> {
    let fields = Fields::of(item)?;
    let items = fields.items();
    let count = items.len();
    let slots: Vec<Option<Slot>> = items.iter().map(|(name, item)| slot(name, item)).collect();
    if count == 0 || count > 2 {
        let problem = Problem::at(
            &item.key,
            format!(
                "`slots` takes two slots, or one where a host cannot carry two instances, and these are {count}"
            ),
        );
        item.note(
            problem
                .hint("such as `blue: { group: was, port: 8080 }` and `green: { group: was, port: 8081 }`"),
        );
        return None;
    }
    let slots = slots.into_iter().collect::<Option<Vec<Slot>>>()?;
    if let [first, second] = slots.as_slice()
        && first.group == second.group
        && first.port == second.port
    {
        let message = format!(
            "`{}` has the same port as `{}`: {}",
            second.name,
            first.name,
            first.port.as_str()
        );
        let spot = item.place(&format!("{}.port", second.name));
        item.note(
            Problem::at(&spot, message)
                .hint("both run on one host while traffic moves: give each its own port"),
        );
    }
    Some(slots)
}

fn slot(name: &str, item: &Item<'_>) -> Option<Slot> {
    let name = SlotName::new(name)
        .map_err(|error| item.note(Problem::at(&item.key, error.to_string())))
        .ok();
    let mut fields = Fields::of(item)?;
    let group = fields.require("group", values::name);
    let port = fields.require("port", |item| values::ruled_template(item, rules::port));
    let vars = fields.read_or("vars", BTreeMap::new(), |item| {
        values::map(item, rules::variable_name, values::text)
    });
    fields.finish();
    Some(Slot {
        name: name?,
        group: group?,
        port: port?,
        vars,
    })
}

//! `identify`: what each slot answers when it is asked which one it is.

use std::collections::BTreeMap;

use crate::model::names::SlotName;
use crate::model::playbook::Identify;

use super::super::fields::{Fields, Item};
use super::super::report::Problem;
use super::super::{rules, suggest, values};

/// The path, and the answer of each slot.
pub(super) fn read(item: &Item<'_>, slots: Option<&[SlotName]>) -> Option<Identify> {
    let mut fields = Fields::of(item)?;
    let path = fields.require("path", |item| values::ruled(item, rules::url_path));
    let is = fields.require_item("is").and_then(|item| answers(&item, slots));
    fields.finish();
    Some(Identify { path: path?, is: is? })
}

fn answers(item: &Item<'_>, slots: Option<&[SlotName]>) -> Option<BTreeMap<SlotName, String>> {
    let fields = Fields::of(item)?;
    let mut answers: BTreeMap<SlotName, String> = BTreeMap::new();
    for (name, item) in fields.items() {
        let answer = fields
            .keep(values::text(&item))
            .map(|text| text.trim().to_owned());
        let slot = SlotName::new(name.clone()).ok();
        match slot.filter(|slot| slots.is_none_or(|slots| slots.contains(slot))) {
            None => {
                let known = slots.into_iter().flatten().map(SlotName::as_str);
                let hint = suggest::did_you_mean(&name, known);
                fields.note(Problem::at(&item.key, format!("there is no slot `{name}`")).maybe_hint(hint));
            }
            Some(slot) => {
                let same = answers.iter().find(|(_, other)| Some(*other) == answer.as_ref());
                if let Some((other, _)) = same {
                    let message =
                        format!("`{slot}` answers the same as `{other}`: nobody could tell them apart");
                    fields.note(item.problem(message));
                }
                answers.extend(answer.map(|answer| (slot, answer)));
            }
        }
    }
    let written: Vec<String> = fields.items().into_iter().map(|(name, _)| name).collect();
    for slot in slots.into_iter().flatten() {
        if !written.iter().any(|name| name == slot.as_str()) {
            let message = format!("`{}` lacks the answer of slot `{slot}`", item.path);
            fields.note(Problem::at(&item.key, message));
        }
    }
    Some(answers)
}

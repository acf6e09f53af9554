//! A run that never ended, in words: what it was, which way it goes now, and what says so.

use std::collections::BTreeMap;

use crate::model::decision::{Newest, Slots, Way, Why};
use crate::model::names::{HostName, SlotName};
use crate::model::record::RunRecord;
use crate::model::token::TokenState;
use crate::report::harmless::harmless;

/// The run, who started it, and where it stopped.
pub fn what(record: &RunRecord) -> String {
    let owner = &record.owner;
    harmless(&format!(
        "run {} of {}@{} ({}) was interrupted in its phase {}",
        record.run, owner.who, owner.place, owner.command, record.phase
    ))
}

/// The same with the way that it goes, and why.
pub fn describe(record: &RunRecord, tokens: &BTreeMap<HostName, Newest>, slots: Slots, way: Way) -> String {
    format!("{}; {}", what(record), way_on(record, tokens, slots, way))
}

fn way_on(record: &RunRecord, tokens: &BTreeMap<HostName, Newest>, slots: Slots, way: Way) -> String {
    let slot = |slot: &Option<SlotName>, otherwise: &str| {
        slot.as_ref()
            .map_or_else(|| otherwise.to_owned(), |slot| format!("to {slot}"))
    };
    let new = slot(&record.to_slot, "to the new slot");
    let old = slot(&record.from_slot, "to what was before");
    let with = |wanted: Newest| {
        let of = tokens.iter().filter(|(_, newest)| **newest == wanted);
        of.map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(", ")
    };
    let confirmed = with(Newest::Is(TokenState::Confirmed));
    match way {
        Way::Forward => format!("going forward {new}, because the switch was confirmed on {confirmed}"),
        Way::Back if !confirmed.is_empty() && !slots.new_is_healthy => {
            format!("going back {old}, because the new slot is not healthy on every endpoint")
        }
        Way::Back if tokens.values().all(|newest| *newest == Newest::None) => {
            format!("going back {old}, because no nginx host was switched")
        }
        Way::Back => format!("going back {old}, because no switch was confirmed"),
        Way::Hold(Why::Unreadable) => format!(
            "both slots are left up, because nobody can tell whether the switch was confirmed on {}",
            with(Newest::Unreadable)
        ),
        Way::Hold(Why::BothSlotsDead) => {
            "nothing is touched, because neither slot could carry the traffic".to_owned()
        }
    }
}

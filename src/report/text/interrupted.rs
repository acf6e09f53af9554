//! A run that never ended, in words: what it was, which way it goes now, and what says so.

use std::collections::BTreeMap;

use crate::model::decision::{Newest, Slots, Way, Why};
use crate::model::names::{HostName, SlotName};
use crate::model::record::{RunRecord, RunStatus};
use crate::model::token::TokenState;
use crate::report::harmless::harmless;

/// The run, who started it, and where it stopped.
pub fn what(record: &RunRecord) -> String {
    let owner = &record.owner;
    let state = match record.status {
        RunStatus::Waiting if record.window.is_some() => "waits for the hour of its hosts after".to_owned(),
        RunStatus::Waiting => "waits for a person after".to_owned(),
        RunStatus::Open | RunStatus::Done => "was interrupted in".to_owned(),
    };
    harmless(&format!(
        "run {} of {}@{} ({}) {state} its phase {}",
        record.place().0,
        owner.who,
        owner.place,
        owner.command,
        record.phase
    ))
}

/// The same with the way that it goes, and why.
pub fn describe(record: &RunRecord, tokens: &BTreeMap<HostName, Newest>, slots: Slots, way: Way) -> String {
    format!("{}; it {}", what(record), way_on(record, tokens, slots, way))
}

/// The way that it goes, and why, as what it does.
pub fn way_on(record: &RunRecord, tokens: &BTreeMap<HostName, Newest>, slots: Slots, way: Way) -> String {
    let slot = |slot: &Option<SlotName>, otherwise: &str| {
        slot.as_ref()
            .map_or_else(|| otherwise.to_owned(), |slot| format!("to {slot}"))
    };
    let (new, old) = match &record.journey {
        Some(journey) => (
            format!("with its leg {}, and from there host by host", journey.leg),
            format!("behind its leg {}, and from there on host by host", journey.leg),
        ),
        None => (
            slot(&record.to_slot, "to the new slot"),
            slot(&record.from_slot, "to what was before"),
        ),
    };
    let with = |wanted: Newest| {
        let of = tokens.iter().filter(|(_, newest)| **newest == wanted);
        of.map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(", ")
    };
    let confirmed = with(Newest::Is(TokenState::Confirmed));
    match way {
        Way::Back if record.status == RunStatus::Waiting => format!("goes back {old}, because somebody says so"),
        Way::Forward => format!("goes forward {new}, because the switch was confirmed on {confirmed}"),
        Way::Back if !confirmed.is_empty() && slots.new_is_healthy == Some(false) => {
            format!("goes back {old}, because the new slot is not healthy on every endpoint")
        }
        Way::Back if tokens.values().all(|newest| *newest == Newest::None) => {
            format!("goes back {old}, because no nginx host was switched")
        }
        Way::Back => format!("goes back {old}, because no switch was confirmed"),
        Way::Hold(Why::Unreadable) if !confirmed.is_empty() => format!(
            "touches nothing, because {} cannot be asked, and the old slot is not there for it to go home to",
            with(Newest::Unreadable)
        ),
        Way::Hold(Why::Unreadable) => format!(
            "leaves both slots up, because nobody can tell whether the switch was confirmed on {}",
            with(Newest::Unreadable)
        ),
        Way::Hold(Why::NewUnknown) => {
            "leaves both slots up, because not every endpoint of the new slot could be asked".to_owned()
        }
        Way::Hold(Why::OldDead) => {
            "touches nothing, because the old slot, which still has a share of the traffic, is not there to go back to: \
             `nonstop resume` goes forward"
                .to_owned()
        }
        Way::Hold(Why::BothSlotsDead) => {
            "touches nothing, because the new slot is not healthy on every endpoint, and the old one is gone or on its way out".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lock::{Epoch, Owner};
    use crate::model::names::RunId;

    const BOTH: Slots = Slots {
        new_is_healthy: Some(true),
        old_is_alive: true,
    };

    fn said(tokens: &[(&str, Newest)], slots: Slots) -> String {
        let record = RunRecord {
            from_slot: Some(SlotName::new("blue").unwrap()),
            to_slot: Some(SlotName::new("green").unwrap()),
            ..RunRecord::opened(RunId::new("r1").unwrap(), Epoch(3), Owner::default())
        };
        let tokens = tokens
            .iter()
            .map(|(host, newest)| (HostName::new(*host).unwrap(), *newest));
        let tokens: BTreeMap<_, _> = tokens.collect();
        let way = crate::model::decision::decide(tokens.values().copied(), slots);
        way_on(&record, &tokens, slots, way)
    }

    #[test]
    fn every_way_comes_with_its_reason() {
        let [armed, confirmed] = [TokenState::Armed, TokenState::Confirmed].map(Newest::Is);
        let sick = Slots {
            new_is_healthy: Some(false),
            ..BOTH
        };
        let gone = Slots {
            old_is_alive: false,
            ..BOTH
        };
        let dead = Slots {
            old_is_alive: false,
            ..sick
        };
        let all = [
            said(&[("a", confirmed), ("b", armed), ("c", confirmed)], BOTH),
            said(&[("a", armed), ("b", Newest::None)], BOTH),
            said(&[("a", Newest::None)], BOTH),
            said(&[("a", confirmed)], sick),
            said(&[("a", armed), ("b", Newest::Unreadable)], BOTH),
            said(&[("a", confirmed), ("b", Newest::Unreadable)], gone),
            said(&[("a", confirmed)], dead),
        ];
        assert_eq!(
            all,
            [
                "goes forward to green, because the switch was confirmed on a, c",
                "goes back to blue, because no switch was confirmed",
                "goes back to blue, because no nginx host was switched",
                "goes back to blue, because the new slot is not healthy on every endpoint",
                "leaves both slots up, because nobody can tell whether the switch was confirmed on b",
                "touches nothing, because b cannot be asked, and the old slot is not there for it to go home to",
                "touches nothing, because the new slot is not healthy on every endpoint, and the old one is gone or on its way out",
            ]
        );
    }
}

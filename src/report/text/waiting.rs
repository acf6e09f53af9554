//! A run that waits for a person, in words.

use crate::model::record::RunRecord;
use crate::report::harmless::harmless;

/// Which run it is, what it brings, and what its new slot has of the traffic.
pub fn lines(record: &RunRecord, reached: u32, switches: u32, percent: u32) -> Vec<String> {
    let owner = &record.owner;
    let release = record.release.as_ref();
    let who = format!(
        "run {} of {}@{} ({}) waits with {}",
        record.run,
        owner.who,
        owner.place,
        owner.command,
        release.map_or("its release", |release| release.as_str())
    );
    vec![harmless(&who), stands(record, reached, switches, percent)]
}

/// How far it came.
pub fn stands(record: &RunRecord, reached: u32, switches: u32, percent: u32) -> String {
    let to = record
        .to_slot
        .as_ref()
        .map_or("the new slot", |slot| slot.as_str());
    match reached {
        0 => format!("{to} is up and healthy, and has no traffic yet"),
        _ => format!("{to} has {percent} % of the requests, after step {reached} of {switches}"),
    }
}

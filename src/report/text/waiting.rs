//! A run that waits for a person, in words.

use crate::model::names::HostName;
use crate::model::record::RunRecord;
use crate::model::timer::{Timer, TimerProgram, TimerState};
use crate::report::harmless::harmless;
use crate::report::units;

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
        _ if record.window.is_some() => window(record, to),
        0 => format!("{to} is up and healthy, and has no traffic yet"),
        _ => format!("{to} has {percent} % of the requests, after step {reached} of {switches}"),
    }
}

/// What follows once all traffic is with the new slot, and the hosts are to stop the old one.
fn window(record: &RunRecord, to: &str) -> String {
    let from = record.from_slot.as_ref();
    let from = from.map_or("the old slot", |slot| slot.as_str());
    format!(
        "{to} has all of the requests, and the hosts stop {from} by themselves {}",
        hour(record)
    )
}

/// When, by the clock of the controller that said so.
pub fn hour(record: &RunRecord) -> String {
    let ends = record.window.as_ref().map_or("", |window| window.ends.as_str());
    match ends {
        "" => "at their hour".to_owned(),
        ends => format!("at {}", harmless(ends)),
    }
}

/// A host's own hour, or what became of it.
pub fn timer(host: &HostName, timer: &Timer) -> String {
    let slot = &timer.slot;
    let because = |reason: &Option<String>| {
        let reason = reason.as_deref().unwrap_or("it does not say why");
        harmless(reason)
    };
    let text = match (timer.state, timer.program) {
        (TimerState::Pending | TimerState::Stopping, TimerProgram::Rebooted) => match &timer.unit {
            None if timer.reason.is_some() => format!(
                "was booted since, and stops {slot} no more: {}; stop that by hand, or `nonstop promote`, which leaves it alone, ends this",
                because(&timer.reason)
            ),
            None => format!("was booted since: what ran on {slot} then is gone"),
            Some(unit) => format!(
                "was booted since, and stops {slot} no more: its unit {unit} may be up again; `nonstop promote` stops it"
            ),
        },
        (TimerState::Pending, TimerProgram::Alive) => match timer.left {
            Some(left) if left.is_zero() => {
                format!("stops {slot} once nginx has left it alone for a while")
            }
            left => format!("stops {slot} in {}", units::duration(left.unwrap_or_default())),
        },
        (TimerState::Pending, TimerProgram::Gone) => {
            format!("would stop {slot}, but what waited for the hour was ended: `nonstop promote` stops it")
        }
        (TimerState::Stopping, TimerProgram::Alive) => format!("is stopping {slot}"),
        (TimerState::Stopping, TimerProgram::Gone) => match &timer.reason {
            Some(reason) => format!("told {slot} to end, and it is still there: {}", harmless(reason)),
            None => format!("began to stop {slot}, and was ended at it: `nonstop promote` sees to the rest"),
        },
        (TimerState::Stopped, _) => match &timer.reason {
            Some(reason) => format!("has stopped {slot}; {}", harmless(reason)),
            None => format!("has stopped {slot}"),
        },
        (TimerState::Cancelled, _) => {
            let why = timer.reason.as_deref().unwrap_or("somebody came");
            let why = harmless(why);
            format!("stops {slot} no more: {why}; `nonstop promote` or `nonstop rollback` ends this")
        }
        (TimerState::Refused, _) => format!(
            "left {slot} up: {}; `nonstop promote` ends this, and leads back to {slot} where the new slot is not well",
            because(&timer.reason)
        ),
    };
    format!("{host} {text}")
}

/// A host that knows nothing of its hour any more.
pub fn without_timer(host: &HostName) -> String {
    format!(
        "{host} has nothing on record of its hour, and stops nothing by itself: `nonstop promote` does it"
    )
}

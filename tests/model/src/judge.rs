//! What is promised, looked at in every state, and what has to be possible for that to mean anything.

use nonstop::model::token::TokenState;

use stateright::Property;

use crate::host;
use crate::protocol::Protocol;
use crate::rules::Rules;
use crate::state::{Broken, Controller, LAST, New, Nginx, Old, Phase, Said, Slot, State, Watch};

/// Notes the promise that this state breaks, if any.
pub(crate) fn judge(state: &mut State, rules: Rules) {
    if state.broken.is_some() {
        return;
    }
    let runs = |slot| state.nginx.iter().any(|nginx| nginx.runs == slot);
    let (some_old, some_new) = (runs(Slot::Old), runs(Slot::New));
    state.broken = if state.old == Old::Ending && some_old || state.new == New::Withdrawn && some_new {
        Some(Broken::NeededStopped)
    } else if state.said == Said::AllNew && some_old || state.said == Said::AllOld && some_new {
        Some(Broken::ExitUntrue)
    } else if some_old && some_new && is_at_rest(state, rules) && !is_named(state) {
        Some(Broken::SplitAtRest)
    } else {
        None
    };
}

/// Whether nobody acts and no watch will: only the last resume could still change something. What is
/// still under way may be lost.
fn is_at_rest(state: &State, rules: Rules) -> bool {
    let nobody_acts = !state.controllers.into_iter().any(Controller::acts);
    nobody_acts && (0..state.nginx.len()).all(|host| !host::can_fire(state, rules, host))
}

/// Whether the design names this split: between the first and the last confirm, or between the first and
/// the last arming of a way back after a confirm, when the watch went home on the host that was not
/// reached; or an nginx host whose watch was lost.
fn is_named(state: &State) -> bool {
    let [one, other] = &state.nginx;
    let between = |kept: &Nginx, left: &Nginx| {
        (kept.token, left.token) == (Some(TokenState::Confirmed), Some(TokenState::Fired))
    };
    let was_proven = one.was_proven && other.was_proven;
    was_proven && (between(one, other) || between(other, one))
        || state.nginx.iter().any(|nginx| nginx.watch == Watch::Lost)
}

/// What has to hold in every state.
pub(crate) fn promises() -> Vec<Property<Protocol>> {
    vec![
        Property::always("nothing that is needed is ever stopped", |_, state: &State| {
            state.broken != Some(Broken::NeededStopped)
        }),
        Property::always("exits 0, 6 and 7 are true and stay true", |_, state: &State| {
            state.broken != Some(Broken::ExitUntrue)
        }),
        Property::always(
            "a split at rest is one that the design names",
            |_, state: &State| state.broken != Some(Broken::SplitAtRest),
        ),
        Property::always(
            "the last resume converges, or says 8 where a slot is dead",
            |_, state: &State| state.broken != Some(Broken::NotConverged),
        ),
        Property::always("no revert meets a confirmed token", |_, state: &State| {
            state.broken != Some(Broken::Astray)
        }),
    ]
}

/// What has to happen in some state.
pub(crate) fn possibilities() -> Vec<Property<Protocol>> {
    vec![
        Property::sometimes("a run says exit 0", |_, state: &State| state.said == Said::AllNew),
        Property::sometimes("a run says exit 6 or 7", |_, state: &State| {
            state.said == Said::AllOld
        }),
        Property::sometimes(
            "the nginx hosts disagree at rest",
            |protocol: &Protocol, state: &State| {
                let [one, other] = &state.nginx;
                one.runs != other.runs && is_at_rest(state, protocol.rules)
            },
        ),
        Property::sometimes(
            "a watch brings both nginx hosts home",
            |protocol: &Protocol, state: &State| {
                let fired = |nginx: &Nginx| nginx.token == Some(TokenState::Fired) && nginx.runs == Slot::Old;
                state.nginx.iter().all(fired) && is_at_rest(state, protocol.rules)
            },
        ),
        Property::sometimes("the last resume ends", |_, state: &State| {
            state.controllers[LAST].phase == Phase::Gone && state.said != Said::Nothing
        }),
        Property::sometimes(
            "the last resume says exit 8 where a slot is dead",
            |_, state: &State| {
                let is_over = state.controllers[LAST].phase == Phase::Gone;
                is_over && state.new == New::Dead && state.said == Said::Nothing
            },
        ),
    ]
}

//! Which way a run goes on that somebody has to finish: the tokens decide, for what was recorded before
//! them is only intent. The same function serves `resume`, the simulator and the model of the protocol.

use serde::Serialize;

use super::token::TokenState;

/// The newest token of the run on one nginx host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Newest {
    /// The host could not be asked: there may be any.
    Unreadable,
    /// The host was never armed.
    None,
    /// It was.
    Is(TokenState),
}

/// Whether the two slots could carry the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slots {
    /// Whether the new slot is healthy on every endpoint.
    pub new_is_healthy: bool,
    /// Whether the old slot is there to go back to: enough of its endpoints answer, and no record says
    /// that its end has begun. A process that was told to end may answer for a while longer.
    pub old_is_alive: bool,
}

/// The way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the new slot: whatever is not confirmed is committed anew.
    Forward,
    /// To the routing before the run.
    Back,
    /// Neither: both slots stay up, and a person is needed.
    Hold(Why),
}

/// Why there is no way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An nginx host could not be asked, and no other says that the run was decided; or it was decided,
    /// and the old slot is not there any more: a watch armed on that host would have no home.
    Unreadable,
    /// Neither slot could carry the traffic.
    BothSlotsDead,
}

/// Decides. A confirmed token says that every nginx host was proven, so that the way is forward while
/// the new slot is healthy; without one the way is back, once every nginx host has been asked. A host
/// that cannot be asked is committed anew on the way forward only while the old slot is there: its token
/// may be confirmed, and a new one's watch would put home back.
pub fn decide(tokens: impl IntoIterator<Item = Newest>, slots: Slots) -> Way {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let confirmed = tokens.contains(&Newest::Is(TokenState::Confirmed));
    let unreadable = tokens.contains(&Newest::Unreadable);
    if unreadable && !(confirmed && slots.old_is_alive) {
        return Way::Hold(Why::Unreadable);
    }
    if confirmed && slots.new_is_healthy {
        return Way::Forward;
    }
    if slots.old_is_alive {
        Way::Back
    } else {
        Way::Hold(Why::BothSlotsDead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Slots = Slots {
        new_is_healthy: true,
        old_is_alive: true,
    };
    const CONFIRMED: Newest = Newest::Is(TokenState::Confirmed);
    const ARMED: Newest = Newest::Is(TokenState::Armed);

    #[test]
    fn one_confirmed_token_leads_forward_even_past_a_host_that_cannot_be_asked() {
        assert_eq!(decide([CONFIRMED, ARMED], BOTH), Way::Forward);
        assert_eq!(decide([CONFIRMED, Newest::Unreadable], BOTH), Way::Forward);
    }

    #[test]
    fn without_a_confirmed_token_the_way_is_back() {
        assert_eq!(decide([ARMED, Newest::None], BOTH), Way::Back);
    }

    #[test]
    fn a_host_that_cannot_be_asked_may_hold_the_confirmed_token() {
        assert_eq!(
            decide([ARMED, Newest::Unreadable], BOTH),
            Way::Hold(Why::Unreadable)
        );
    }

    #[test]
    fn once_the_old_slot_ends_nobody_arms_a_host_that_was_not_asked() {
        let slots = Slots {
            old_is_alive: false,
            ..BOTH
        };
        assert_eq!(
            decide([CONFIRMED, Newest::Unreadable], slots),
            Way::Hold(Why::Unreadable)
        );
        assert_eq!(decide([CONFIRMED, CONFIRMED], slots), Way::Forward);
        assert_eq!(decide([CONFIRMED, ARMED], slots), Way::Forward);
    }

    #[test]
    fn a_sick_new_slot_leads_back_while_the_old_one_lives() {
        let slots = Slots {
            new_is_healthy: false,
            ..BOTH
        };
        assert_eq!(decide([CONFIRMED, CONFIRMED], slots), Way::Back);
        let slots = Slots {
            old_is_alive: false,
            ..slots
        };
        assert_eq!(
            decide([CONFIRMED, CONFIRMED], slots),
            Way::Hold(Why::BothSlotsDead)
        );
    }
}

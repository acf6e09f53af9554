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

/// What the newest tokens of a run say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Up to which of its routings the run came for certain: some host is told to stay with it, and every
    /// host had it or is on its way to or from it. 0 is the routing before the run.
    pub reached: u32,
    /// Each host's newest token, as the token of the switch to that routing.
    pub tokens: Vec<Newest>,
}

/// With which of its run's routings a host stays for certain, whose newest token is of the switch to
/// `number`. What another run has superseded is its own to say.
pub fn stays_with(number: u32, state: TokenState) -> u32 {
    match state {
        TokenState::Confirmed => number,
        TokenState::Armed | TokenState::Fired | TokenState::Reverted => number.saturating_sub(1),
        TokenState::Superseded => 0,
    }
}

/// What was found on one nginx host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It could not be asked.
    Unreadable,
    /// No token of the run.
    None,
    /// Its newest token.
    Token {
        /// Which switch of the run it is of.
        number: u32,
        /// What became of it.
        state: TokenState,
    },
}

/// Reads the newest tokens of all nginx hosts, in their order. A switch begins only once the one before is
/// confirmed on every host, so that a token which does not say that its own switch stays says that the one
/// before did.
pub fn evidence(found: impl IntoIterator<Item = Found>) -> Evidence {
    let found: Vec<_> = found.into_iter().collect();
    let of = |found: &Found| match *found {
        Found::Token { number, state } => stays_with(number, state),
        Found::None | Found::Unreadable => 0,
    };
    let reached = found.iter().map(of).max().unwrap_or(0);
    let newest = |found: &Found| match found {
        Found::Unreadable => Newest::Unreadable,
        Found::Token { .. } if reached > 0 && of(found) == reached => Newest::Is(TokenState::Confirmed),
        Found::None
        | Found::Token {
            state: TokenState::Confirmed,
            ..
        } => Newest::None,
        Found::Token { state, .. } => Newest::Is(*state),
    };
    let tokens = found.iter().map(newest).collect();
    Evidence { reached, tokens }
}

/// Whether the two slots could carry the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slots {
    /// Whether the new slot is healthy on every endpoint; `None` where some could not be asked, and nothing
    /// else speaks against it.
    pub new_is_healthy: Option<bool>,
    /// Whether the old slot is there to go back to: enough of its endpoints answer, and no record says
    /// that its end has begun. A process that was told to end may answer for a while longer.
    pub old_is_alive: bool,
}

/// What the endpoints of a slot answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// How many there are.
    pub endpoints: usize,
    /// How many answer, whatever they say.
    pub answering: usize,
    /// How many are healthy.
    pub healthy: usize,
    /// How many could not be asked.
    pub unknown: usize,
}

impl Census {
    /// Whether every endpoint is healthy; `None` where some could not be asked, and all others are.
    pub fn is_healthy(self) -> Option<bool> {
        match self.endpoints {
            0 => Some(false),
            all if self.healthy == all => Some(true),
            all if self.healthy + self.unknown == all => None,
            _ => Some(false),
        }
    }
}

/// How far the switch of a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switched {
    /// No nginx host was armed.
    Nowhere,
    /// Some were: their watches lead home by themselves.
    Armed,
    /// Some were told that it stays.
    Confirmed,
}

impl Switched {
    /// What the tokens say.
    pub fn of(tokens: &[Newest]) -> Self {
        if tokens.contains(&Newest::Is(TokenState::Confirmed)) {
            Self::Confirmed
        } else if tokens.iter().all(|newest| *newest == Newest::None) {
            Self::Nowhere
        } else {
            Self::Armed
        }
    }
}

/// What a way back would lead to, and from.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    /// The slot that had the traffic before; `None` on a fleet that was empty.
    pub old: Option<Census>,
    /// The slot that the run led traffic to.
    pub new: Census,
    /// How far the switch came.
    pub switched: Switched,
    /// Whether the end of the old slot has begun: a process that was told to end may answer for a while longer.
    pub point_of_no_return: bool,
}

/// Whether there is anybody to go back to. Where nothing was confirmed, watches go home by themselves, and one
/// endpoint that answers is enough. Afterwards home must be whole, or have as many healthy endpoints as what
/// has the traffic now; an endpoint that could not be asked counts against going back.
pub fn home_is_there(home: Home) -> bool {
    let led_away = home.new.healthy + home.new.unknown;
    match (home.switched, home.old) {
        _ if home.point_of_no_return => false,
        (Switched::Nowhere, _) | (Switched::Armed, None) => true,
        (Switched::Armed, Some(old)) => old.answering >= 1,
        // To a fleet that was empty nothing is led back while anybody is served.
        (Switched::Confirmed, None) => led_away == 0,
        (Switched::Confirmed, Some(old)) => {
            old.answering >= 1 && (old.answering == old.endpoints || old.healthy >= led_away)
        }
    }
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
    /// The old slot could not carry the traffic that the run has not yet led away.
    OldDead,
    /// The run was decided, and an endpoint of the new slot could not be asked: it may be sick or not.
    NewUnknown,
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
    match slots.new_is_healthy {
        Some(true) if confirmed => return Way::Forward,
        None if confirmed => return Way::Hold(Why::NewUnknown),
        _ => {}
    }
    if slots.old_is_alive {
        Way::Back
    } else {
        Way::Hold(Why::BothSlotsDead)
    }
}

/// The way of a run that somebody meets who wants something else: one that came to a routing between its two
/// slots is taken back, for nobody plans from there.
pub fn for_another(way: Way, slots: Slots) -> Way {
    match way {
        Way::Forward if slots.old_is_alive => Way::Back,
        Way::Forward => Way::Hold(Why::OldDead),
        way => way,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Slots = Slots {
        new_is_healthy: Some(true),
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
            new_is_healthy: Some(false),
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
    #[test]
    fn a_new_slot_that_could_not_be_asked_is_neither_sick_nor_well() {
        let slots = Slots {
            new_is_healthy: None,
            ..BOTH
        };
        assert_eq!(decide([CONFIRMED, CONFIRMED], slots), Way::Hold(Why::NewUnknown));
        assert_eq!(decide([ARMED, ARMED], slots), Way::Back);
        let two = |healthy, unknown| Census {
            endpoints: 2,
            answering: healthy,
            healthy,
            unknown,
        };
        assert_eq!(two(2, 0).is_healthy(), Some(true));
        assert_eq!(two(1, 1).is_healthy(), None);
        assert_eq!(two(1, 0).is_healthy(), Some(false));
        assert_eq!(two(0, 1).is_healthy(), Some(false));
        assert_eq!(Census::default().is_healthy(), Some(false));
    }

    fn slot(answering: usize, healthy: usize, unknown: usize) -> Census {
        Census {
            endpoints: 2,
            answering,
            healthy,
            unknown,
        }
    }

    fn back(switched: Switched, old: Option<Census>, new: Census) -> bool {
        home_is_there(Home {
            old,
            new,
            switched,
            point_of_no_return: false,
        })
    }

    #[test]
    fn home_is_whole_or_no_worse_than_what_has_the_traffic() {
        let confirmed = |old, new| back(Switched::Confirmed, Some(old), new);
        assert!(confirmed(slot(1, 1, 0), slot(2, 0, 0)), "one for none");
        assert!(confirmed(slot(1, 1, 0), slot(1, 1, 0)));
        assert!(!confirmed(slot(1, 1, 0), slot(2, 2, 0)), "one for two");
        assert!(!confirmed(slot(1, 1, 0), slot(1, 1, 1)), "perhaps one for two");
        assert!(
            confirmed(slot(2, 0, 0), slot(2, 1, 0)),
            "as it was, whatever its health says"
        );
        assert!(!confirmed(slot(0, 0, 0), slot(0, 0, 0)), "nobody for nobody");
    }

    #[test]
    fn where_watches_go_home_by_themselves_one_endpoint_is_enough() {
        assert!(back(Switched::Armed, Some(slot(1, 0, 0)), slot(2, 2, 0)));
        assert!(!back(Switched::Armed, Some(slot(0, 0, 0)), slot(2, 2, 0)));
        assert!(back(Switched::Nowhere, Some(slot(0, 0, 0)), slot(2, 2, 0)));
    }

    #[test]
    fn nobody_who_is_served_is_led_back_to_an_empty_fleet() {
        assert!(back(Switched::Armed, None, slot(2, 2, 0)));
        assert!(!back(Switched::Confirmed, None, slot(2, 1, 0)));
        assert!(!back(Switched::Confirmed, None, slot(0, 0, 1)));
        assert!(back(Switched::Confirmed, None, slot(2, 0, 0)));
    }

    #[test]
    fn once_its_end_has_begun_the_old_slot_is_no_home() {
        for switched in [Switched::Nowhere, Switched::Armed, Switched::Confirmed] {
            let home = Home {
                old: Some(slot(2, 2, 0)),
                new: slot(0, 0, 0),
                switched,
                point_of_no_return: true,
            };
            assert!(!home_is_there(home));
        }
    }
}

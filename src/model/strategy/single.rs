//! A single slot: which hosts leave the routing next, and which come back. A pure function of what every host runs
//! and of what nginx routes to, so that a deploy, a rollback, a way back and whoever goes on with either ask the same.

use std::collections::BTreeSet;

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;

use super::{Share, Strategy};

/// One endpoint of the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub endpoint: Endpoint,
    /// Whether nginx routes to it.
    pub is_routed: bool,
    /// What is there.
    pub runs: Runs,
}

/// What an endpoint runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// The release that every host is led to.
    Wanted,
    /// Another one.
    Other,
    /// Nothing that could serve.
    Nothing,
}

/// How fast hosts may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many at once.
    pub at_once: usize,
    /// How many stay in service, at least one.
    pub least: usize,
}

impl Pace {
    /// The pace of a strategy on so many hosts.
    pub fn of(strategy: &Strategy, hosts: usize) -> Self {
        let (at_once, least) = match strategy {
            Strategy::Rolling {
                max_parallel,
                min_in_service,
            } => (
                max_parallel.of(hosts),
                min_in_service.map_or(1, |share: Share| share.at_least_of(hosts)),
            ),
            Strategy::BlueGreen | Strategy::Canary { .. } => (1, 1),
        };
        Self {
            at_once,
            least: least.max(1),
        }
    }
}

/// One switch of nginx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// What it is for.
    pub kind: LegKind,
    /// Who gets requests afterwards.
    pub routed: BTreeSet<Endpoint>,
}

/// What a leg is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegKind {
    /// These get no requests any more.
    Out(BTreeSet<Endpoint>),
    /// These get requests, once the wanted release runs there.
    In(BTreeSet<Endpoint>),
}

/// No more hosts may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFew {
    /// How many are in service.
    pub serving: usize,
    /// How many have to be.
    pub least: usize,
}

/// The next leg; none where every host runs the wanted release and is routed to. Who is out comes back before anybody
/// else leaves. What is routed to and down leaves first, all of it at once: nobody is served by it. `others` are routed
/// to as well, and no part of it: they leave with the first leg after which somebody is known to serve, for whether
/// they serve nobody can tell.
pub fn next(places: &[Place], others: &BTreeSet<Endpoint>, pace: Pace) -> Result<Option<Leg>, TooFew> {
    let endpoints = |is: &dyn Fn(&Place) -> bool| -> BTreeSet<Endpoint> {
        let found = places.iter().filter(|place| is(place));
        found.map(|place| place.endpoint.clone()).collect()
    };
    let is_down = |place: &Place| place.runs == Runs::Nothing && !planted(Defect::LastInServiceLeaves);
    let serving = endpoints(&|place| place.is_routed && !is_down(place));
    let out = endpoints(&|place| !place.is_routed);
    if !out.is_empty() {
        let routed = serving.union(&out).cloned().collect();
        let kind = LegKind::In(out);
        return Ok(Some(Leg { kind, routed }));
    }
    let mut leaves = endpoints(&is_down);
    if serving.is_empty() && others.is_empty() {
        // Nobody is served anyway; but nginx takes no upstream without a server.
        leaves.pop_first();
    }
    if leaves.is_empty() {
        let others = places
            .iter()
            .filter(|place| place.runs != Runs::Wanted && serving.contains(&place.endpoint));
        let mut others = others.map(|place| place.endpoint.clone()).peekable();
        let spare = serving.len().saturating_sub(pace.least);
        if others.peek().is_some() && spare == 0 {
            return Err(TooFew {
                serving: serving.len(),
                least: pace.least,
            });
        }
        leaves = others.take(pace.at_once.min(spare)).collect();
    }
    if leaves.is_empty() && others.is_empty() {
        return Ok(None);
    }
    let mut routed = endpoints(&|place| place.is_routed && !leaves.contains(&place.endpoint));
    if serving.is_empty() {
        routed.extend(others.iter().cloned());
    }
    let kind = LegKind::Out(leaves);
    Ok(Some(Leg { kind, routed }))
}

/// All legs, as they follow one another where all goes well.
pub fn legs(mut places: Vec<Place>, mut others: BTreeSet<Endpoint>, pace: Pace) -> Result<Vec<Leg>, TooFew> {
    let mut legs = Vec::new();
    while let Some(leg) = next(&places, &others, pace)? {
        for place in &mut places {
            place.is_routed = leg.routed.contains(&place.endpoint);
            if matches!(&leg.kind, LegKind::In(comes) if comes.contains(&place.endpoint)) {
                place.runs = Runs::Wanted;
            }
        }
        others.retain(|endpoint| leg.routed.contains(endpoint));
        legs.push(leg);
    }
    Ok(legs)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::fixtures::on;
    use super::*;

    /// Places in words: `a=old`, `b=new`, `c=down`, a leading `-` for one that nginx does not route to.
    fn places(text: &str) -> Vec<Place> {
        let place = |word: &str| {
            let (name, runs) = word.split_once('=').unwrap();
            Place {
                endpoint: on(&[name.trim_start_matches('-')], 8080).remove(0).endpoint,
                is_routed: !name.starts_with('-'),
                runs: match runs {
                    "new" => Runs::Wanted,
                    "old" => Runs::Other,
                    _ => Runs::Nothing,
                },
            }
        };
        text.split(' ').map(place).collect()
    }

    fn rolling(max_parallel: Share, min_in_service: Option<u32>) -> Strategy {
        let min_in_service = min_in_service.map(|number| Share::Count(NonZeroU32::new(number).unwrap()));
        Strategy::Rolling {
            max_parallel,
            min_in_service,
        }
    }

    fn count(number: u32) -> Share {
        Share::Count(NonZeroU32::new(number).unwrap())
    }

    /// Each routing that follows, as the names of its hosts.
    fn told(text: &str, strategy: &Strategy) -> Result<Vec<String>, TooFew> {
        let places = places(text);
        let pace = Pace::of(strategy, places.len());
        Ok(named(&legs(places, BTreeSet::new(), pace)?))
    }

    fn named(legs: &[Leg]) -> Vec<String> {
        let name = |endpoint: &Endpoint| endpoint.host.to_string();
        let routing = |leg: &Leg| leg.routed.iter().map(name).collect::<String>();
        legs.iter().map(routing).collect()
    }

    /// Each routing that follows, where `x` is routed to and no part of it.
    fn without_x(text: &str) -> Vec<String> {
        let others = on(&["x"], 8080).into_iter().map(|it| it.endpoint).collect();
        named(&legs(places(text), others, Pace { at_once: 1, least: 1 }).unwrap())
    }

    #[test]
    fn hosts_leave_and_come_back_one_after_another() {
        let one = rolling(count(1), None);
        assert_eq!(told("a=old b=old", &one).unwrap(), ["b", "ab", "a", "ab"]);
        let three = told("a=old b=old c=old", &one).unwrap();
        assert_eq!(three, ["bc", "abc", "ac", "abc", "ab", "abc"]);
    }

    #[test]
    fn several_leave_at_once_as_long_as_enough_stay() {
        let five = "a=old b=old c=old d=old e=old";
        let two = told(five, &rolling(count(2), None)).unwrap();
        assert_eq!(two, ["cde", "abcde", "abe", "abcde", "abcd", "abcde"]);
        let quarter = rolling(Share::Percent(NonZeroU32::new(25).unwrap()), None);
        assert_eq!(told(five, &quarter).unwrap()[0], "bcde");
        let four = told(five, &rolling(count(3), Some(4))).unwrap();
        assert_eq!(four[..2], ["bcde", "abcde"]);
        let all = told(five, &rolling(count(9), None)).unwrap();
        assert_eq!(all, ["e", "abcde", "abcd", "abcde"]);
    }

    #[test]
    fn the_last_one_in_service_never_leaves() {
        let one = rolling(count(1), None);
        let too_few = TooFew { serving: 1, least: 1 };
        assert_eq!(told("a=old", &one), Err(too_few));
        let both = rolling(count(1), Some(2));
        assert_eq!(told("a=old b=old", &both), Err(TooFew { serving: 2, least: 2 }));
        assert_eq!(told("a=new", &one).unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_down_leaves_first_and_all_at_once() {
        let one = rolling(count(1), None);
        let legs = told("a=old b=down c=down", &one).unwrap();
        assert_eq!(legs, ["a", "abc", "bc", "abc"]);
        let two = told("a=old b=down", &rolling(count(1), Some(2)));
        assert_eq!(two, Err(TooFew { serving: 2, least: 2 }), "it comes back first");
    }

    #[test]
    fn where_nobody_serves_one_stays_until_the_others_are_back() {
        let one = rolling(count(1), None);
        let legs = told("a=down b=down c=down", &one).unwrap();
        assert_eq!(legs, ["a", "bc", "abc"]);
    }

    #[test]
    fn hosts_that_run_it_already_are_left_alone_and_who_is_out_comes_back() {
        let one = rolling(count(1), None);
        assert_eq!(told("a=new b=old c=new", &one).unwrap(), ["ac", "abc"]);
        assert_eq!(told("-a=new b=new", &one).unwrap(), ["ab"]);
        assert_eq!(told("-a=down b=old c=old", &one).unwrap()[0], "abc");
        assert_eq!(told("-a=old -b=down", &one).unwrap(), ["ab"]);
    }

    #[test]
    fn a_host_that_is_left_out_leaves_the_routing() {
        assert_eq!(without_x("a=new b=new"), ["ab"]);
        assert_eq!(without_x("a=old b=old"), ["b", "ab", "a", "ab"]);
        assert_eq!(without_x("a=old b=down"), ["a", "ab", "b", "ab"]);
    }

    #[test]
    fn a_host_that_is_left_out_stays_until_somebody_else_serves() {
        assert_eq!(without_x("a=down b=down"), ["x", "ab"]);
        assert_eq!(without_x("-a=down -b=down"), ["ab"]);
    }
}

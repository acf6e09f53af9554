//! Host by host: in each step some new instances come, and as many old ones leave. With two slots on a host
//! the old one leaves when the new one on its host comes, so that every host has one instance in each
//! routing; with slots on different hosts the same share of the old hosts leaves as of the new ones came, or
//! fewer, where more have to be in service.

use std::collections::BTreeMap;

use crate::model::endpoint::Instance;
use crate::model::names::HostName;
use crate::model::routing::Routing;

use super::{Share, Station};

/// The routings; every one but the last has at least `least` instances, where there are as many at all.
pub(super) fn stations(from: &Routing, new: &[Instance], max_parallel: Share, least: usize) -> Vec<Station> {
    let batch = max_parallel.of(new.len());
    let comes: BTreeMap<&HostName, usize> = new
        .iter()
        .enumerate()
        .map(|(place, instance)| (&instance.endpoint.host, place))
        .collect();
    let (paired, alone): (Vec<_>, Vec<_>) = from
        .instances()
        .partition(|old| comes.contains_key(&old.endpoint.host));
    let mut came = 0;
    let mut stations = Vec::new();
    while came < new.len() {
        came = (came + batch).min(new.len());
        let stays = paired.iter().filter(|old| comes[&old.endpoint.host] >= came);
        let may_leave = (came + stays.clone().count() + alone.len()).saturating_sub(least);
        let left = match alone.len() * came / new.len() {
            share if came < new.len() => share.min(may_leave),
            all => all,
        };
        let old = stays.chain(&alone[left..]).map(|old| (*old).clone());
        let routed = new[..came].iter().cloned().chain(old);
        stations.push(Routing::even(routed).into());
    }
    stations
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::fixtures::{on, told};
    use super::*;

    fn told_all(old: &[Instance], new: &[Instance], at_once: u32) -> Vec<String> {
        told_with(old, new, at_once, 0)
    }

    fn told_with(old: &[Instance], new: &[Instance], at_once: u32, least: usize) -> Vec<String> {
        let share = Share::Count(NonZeroU32::new(at_once).unwrap());
        let from = Routing::even(old.iter().cloned());
        let stations = stations(&from, new, share, least);
        stations.iter().map(|station| told(&station.routing)).collect()
    }

    #[test]
    fn every_host_has_one_instance_in_each_routing() {
        let (old, new) = (on(&["a", "b", "c"], 8080), on(&["a", "b", "c"], 8081));
        assert_eq!(
            told_all(&old, &new, 1),
            [
                "a:8081 b:8080 c:8080",
                "a:8081 b:8081 c:8080",
                "a:8081 b:8081 c:8081"
            ]
        );
        assert_eq!(
            told_all(&old, &new, 2),
            ["a:8081 b:8081 c:8080", "a:8081 b:8081 c:8081"]
        );
    }

    #[test]
    fn more_at_once_than_there_are_hosts_is_one_step() {
        let (old, new) = (on(&["a", "b"], 8080), on(&["a", "b"], 8081));
        assert_eq!(told_all(&old, &new, 9), ["a:8081 b:8081"]);
    }

    #[test]
    fn of_other_hosts_the_same_share_leaves_as_comes() {
        let (old, new) = (on(&["a", "b"], 8080), on(&["w", "x", "y", "z"], 8080));
        assert_eq!(
            told_all(&old, &new, 1),
            [
                "a:8080 b:8080 w:8080",
                "b:8080 w:8080 x:8080",
                "b:8080 w:8080 x:8080 y:8080",
                "w:8080 x:8080 y:8080 z:8080",
            ]
        );
        assert_eq!(told_all(&new, &old, 1), ["a:8080 y:8080 z:8080", "a:8080 b:8080"]);
    }

    #[test]
    fn old_hosts_stay_until_enough_are_in_service_without_them() {
        let (old, new) = (on(&["w", "x", "y"], 8080), on(&["a", "b", "c"], 8080));
        assert_eq!(
            told_with(&old, &new, 1, 3),
            [
                "a:8080 x:8080 y:8080",
                "a:8080 b:8080 y:8080",
                "a:8080 b:8080 c:8080"
            ]
        );
        let old = on(&["x"], 8080);
        assert_eq!(
            told_with(&old, &new, 1, 3),
            ["a:8080 x:8080", "a:8080 b:8080 x:8080", "a:8080 b:8080 c:8080"]
        );
        let (old, new) = (on(&["w", "x", "y", "z"], 8080), on(&["a", "b"], 8080));
        assert_eq!(
            told_with(&old, &new, 1, 0),
            ["a:8080 y:8080 z:8080", "a:8080 b:8080"]
        );
        assert_eq!(
            told_with(&old, &new, 1, 4),
            ["a:8080 x:8080 y:8080 z:8080", "a:8080 b:8080"]
        );
    }

    #[test]
    fn a_host_that_is_new_comes_without_anybody_leaving() {
        let (old, new) = (on(&["a"], 8080), on(&["a", "b"], 8081));
        assert_eq!(told_all(&old, &new, 1), ["a:8081", "a:8081 b:8081"]);
    }
}

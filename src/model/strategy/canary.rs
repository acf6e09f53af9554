//! By weights: all new instances together get the share of each step, and all old ones the rest.

use crate::model::endpoint::Instance;
use crate::model::routing::{Routing, Weight};

use super::{CanaryStep, Station, blue_green};

pub(super) fn stations(from: &Routing, new: &[Instance], steps: &[CanaryStep]) -> Vec<Station> {
    let mut stations: Vec<_> = steps.iter().map(|step| station(from, new, *step)).collect();
    stations.extend(blue_green::stations(new));
    stations
}

/// Of a hundred requests `weight` go to the new instances: each old one weighs `(100 - weight) * new`, each new
/// one `weight * old`, in the smallest whole numbers.
fn station(from: &Routing, new: &[Instance], step: CanaryStep) -> Station {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (old, weight) = (from.instances().count(), step.weight.min(100));
    let each_old = (100 - weight).saturating_mul(count(new.len()));
    let each_new = weight.saturating_mul(count(old));
    let common = gcd(each_old, each_new).max(1);
    let with = |weight: u32| move |instance: &Instance| (instance.clone(), Weight(weight / common));
    let old = from.instances().map(with(each_old));
    Station {
        routing: Routing::weighted(old.chain(new.iter().map(with(each_new)))),
        hold: step.hold,
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::super::Hold;
    use super::super::fixtures::{on, told};
    use super::*;

    fn told_all(old: &[&str], new: &[&str], weights: &[u32]) -> Vec<String> {
        let step = |weight: &u32| CanaryStep {
            weight: *weight,
            hold: Hold::None,
        };
        let steps: Vec<_> = weights.iter().map(step).collect();
        let from = Routing::even(on(old, 8080));
        let stations = stations(&from, &on(new, 8081), &steps);
        stations.iter().map(|station| told(&station.routing)).collect()
    }

    #[test]
    fn the_new_instances_together_get_the_share_of_each_step() {
        assert_eq!(
            told_all(&["a", "b"], &["a", "b"], &[5, 25]),
            [
                "a:8080*19 a:8081 b:8080*19 b:8081",
                "a:8080*3 a:8081 b:8080*3 b:8081",
                "a:8081 b:8081",
            ]
        );
    }

    #[test]
    fn sets_of_different_sizes_share_as_the_step_says() {
        // 75 of 100 to three old ones, 25 to one new one: 25 each.
        assert_eq!(
            told_all(&["a", "b", "c"], &["x"], &[25]),
            ["a:8080 b:8080 c:8080 x:8081", "x:8081"]
        );
    }

    #[test]
    fn what_follows_a_step_stands_beside_its_routing() {
        let steps = [CanaryStep {
            weight: 50,
            hold: Hold::UntilPromoted,
        }];
        let from = Routing::even(on(&["a"], 8080));
        let holds: Vec<_> = stations(&from, &on(&["a"], 8081), &steps)
            .into_iter()
            .map(|station| station.hold)
            .collect();
        assert_eq!(holds, [Hold::UntilPromoted, Hold::None]);
    }
}

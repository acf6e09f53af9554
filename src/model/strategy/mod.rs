//! How traffic moves from the old instances to the new ones, as a list of routings: a strategy is nothing
//! else. One file each. The planner makes steps of them, and `nonstop plan` prints them.

mod blue_green;
mod canary;
mod rolling;
pub mod single;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::Instance;
use super::routing::Routing;

/// How traffic moves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "strategy")]
pub enum Strategy {
    /// All of it in one step.
    #[default]
    BlueGreen,
    /// Host by host: an old instance leaves when the new one on its host comes.
    Rolling {
        /// How many hosts change in one step.
        max_parallel: Share,
        /// How many instances every routing has at least, of as many as the new slot has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_in_service: Option<Share>,
    },
    /// By weights, between all old and all new instances.
    Canary {
        /// What the new release gets before it gets everything.
        steps: Vec<CanaryStep>,
    },
}

/// A part of some hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// So many.
    Count(NonZeroU32),
    /// So many of a hundred.
    Percent(NonZeroU32),
}

impl Share {
    /// How many of `all` that is at least.
    pub fn at_least_of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count.get() as usize,
            Self::Percent(percent) => all.saturating_mul(percent.get() as usize).div_ceil(100),
        }
    }

    /// How many of `all` that is at most, and at least one.
    pub fn of(self, all: usize) -> usize {
        let share = match self {
            Self::Count(count) => count.get() as usize,
            Self::Percent(percent) => all.saturating_mul(percent.get() as usize) / 100,
        };
        share.max(1)
    }
}

/// A step of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryStep {
    /// What the new release gets of the requests, of a hundred.
    pub weight: u32,
    /// What follows.
    pub hold: Hold,
}

/// What follows once a routing is confirmed everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The next one.
    #[default]
    None,
    /// The new instances are watched for as long as this.
    For {
        /// How long.
        milliseconds: u64,
    },
    /// A person says when: until then no lock, no lease and no watch.
    UntilPromoted,
}

impl Hold {
    /// A hold of that length; none where that is no time.
    pub fn lasting(duration: Duration) -> Self {
        match u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) {
            0 => Self::None,
            milliseconds => Self::For { milliseconds },
        }
    }

    /// How long it lasts, where a clock tells it.
    pub fn duration(self) -> Duration {
        match self {
            Self::For { milliseconds } => Duration::from_millis(milliseconds),
            Self::None | Self::UntilPromoted => Duration::ZERO,
        }
    }
}

/// A routing on the way, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Station {
    /// The routing.
    pub routing: Routing,
    /// What follows once it is confirmed everywhere.
    pub hold: Hold,
}

/// Who says that traffic may move once the new slot is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promotion {
    /// The run itself.
    #[default]
    Automatic,
    /// A person: the run waits before its first switch.
    ByHand,
}

/// How a run moves traffic, and who lets it. From this and the two routings at its ends follow all routings
/// of the run, which is why no more than this is on record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// How traffic moves.
    #[serde(flatten)]
    pub strategy: Strategy,
    /// Who lets it move at first.
    #[serde(default)]
    pub promotion: Promotion,
}

impl Course {
    /// How many instances all routings of a run can have together: host by host, those of five hundred hosts.
    pub(super) const MAX_ROUTED: usize = 500_000;

    /// All routings from `from` to `to`, both included. Instances that `gone` names are in no other than the
    /// first: nobody asks for their hosts any more.
    pub fn stations(&self, from: &Routing, to: &Routing, gone: impl Fn(&Instance) -> bool) -> Vec<Station> {
        let hold = match self.promotion {
            Promotion::Automatic => Hold::None,
            Promotion::ByHand => Hold::UntilPromoted,
        };
        let first = Station {
            routing: from.clone(),
            hold,
        };
        let stays = from.only(|instance| !gone(instance));
        let new: Vec<_> = to.instances().cloned().collect();
        std::iter::once(first)
            .chain(self.strategy.stations(&stays, &new))
            .collect()
    }

    /// Whether it takes one step and waits for nobody.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a playbook could say so of a fleet with that many old and new instances: a record may hold
    /// anything, and all routings of its run are written out.
    pub(super) fn is_sound(&self, old: usize, new: usize) -> bool {
        let steps = match &self.strategy {
            Strategy::Rolling { .. } if old == 0 => 1,
            Strategy::BlueGreen => 1,
            Strategy::Rolling { max_parallel, .. } => new.div_ceil(max_parallel.of(new)),
            Strategy::Canary { steps } => {
                if steps.iter().any(|step| !(1..100).contains(&step.weight)) {
                    return false;
                }
                steps.len()
            }
        };
        steps.saturating_mul(old + new) <= Self::MAX_ROUTED
    }
}

impl From<Routing> for Station {
    fn from(routing: Routing) -> Self {
        let hold = Hold::None;
        Self { routing, hold }
    }
}

impl Strategy {
    /// The routings from `from` to one of the new instances alone, which is the last. A fleet without traffic
    /// has nothing to move.
    pub fn stations(&self, from: &Routing, new: &[Instance]) -> Vec<Station> {
        match self {
            _ if from.is_empty() => blue_green::stations(new),
            Self::BlueGreen => blue_green::stations(new),
            Self::Rolling {
                max_parallel,
                min_in_service,
            } => {
                let least = min_in_service.map_or(0, |share| share.at_least_of(new.len()));
                rolling::stations(from, new, *max_parallel, least)
            }
            Self::Canary { steps } => canary::stations(from, new, steps),
        }
    }
}

#[cfg(test)]
pub(super) mod fixtures {
    //! Instances in few words.

    use crate::model::endpoint::{Endpoint, Instance};
    use crate::model::names::{HostName, Port};
    use crate::model::routing::Routing;

    /// An instance of each of these hosts.
    pub(crate) fn on(hosts: &[&str], port: u16) -> Vec<Instance> {
        let instance = |host: &&str| Instance {
            endpoint: Endpoint {
                host: HostName::new(*host).unwrap(),
                port: Port::new(port).unwrap(),
            },
            release: None,
        };
        hosts.iter().map(instance).collect()
    }

    /// A routing as `host:port*weight`.
    pub(crate) fn told(routing: &Routing) -> String {
        let entries = routing.iter();
        let told = entries.map(|(instance, weight)| match weight.0 {
            1 => instance.endpoint.to_string(),
            weight => format!("{}*{weight}", instance.endpoint),
        });
        told.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::fixtures::on;
    use super::*;

    #[test]
    fn a_fleet_without_traffic_takes_one_step_whatever_the_strategy() {
        let steps = vec![CanaryStep {
            weight: 5,
            hold: Hold::UntilPromoted,
        }];
        let one = Share::Count(NonZeroU32::MIN);
        for strategy in [
            Strategy::BlueGreen,
            Strategy::Rolling {
                max_parallel: one,
                min_in_service: Some(one),
            },
            Strategy::Canary { steps },
        ] {
            let new = on(&["a", "b"], 8081);
            let stations = strategy.stations(&Routing::default(), &new);
            assert_eq!(stations, [Station::from(Routing::even(new))]);
        }
    }

    #[test]
    fn a_run_host_by_host_over_too_many_hosts_has_no_record() {
        let max_parallel = Share::Count(NonZeroU32::MIN);
        let course = Course {
            strategy: Strategy::Rolling {
                max_parallel,
                min_in_service: None,
            },
            promotion: Promotion::Automatic,
        };
        assert!(course.is_sound(500, 500));
        assert!(!course.is_sound(501, 501));
        assert!(course.is_sound(0, 501), "without traffic it is one step");
    }

    #[test]
    fn a_share_is_never_nothing() {
        let percent = |percent| Share::Percent(NonZeroU32::new(percent).unwrap());
        assert_eq!(percent(25).of(8), 2);
        assert_eq!(percent(25).of(3), 1);
        assert_eq!(percent(100).of(3), 3);
        assert_eq!(Share::Count(NonZeroU32::new(4).unwrap()).of(3), 4);
        assert_eq!(percent(80).at_least_of(4), 4);
        assert_eq!(percent(50).at_least_of(3), 2);
    }
}

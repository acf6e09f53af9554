//! What nginx is told: which instances get requests, and how many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, Instance};

/// A share of the requests, relative to the other weights of the same routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weight(pub u32);

/// Instances with their weights. An empty routing is what a fleet has before its first deploy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Routing {
    #[serde(with = "entries")]
    weights: BTreeMap<Instance, Weight>,
}

impl Routing {
    /// A routing that gives every instance the same share.
    pub fn even(instances: impl IntoIterator<Item = Instance>) -> Self {
        Self {
            weights: instances
                .into_iter()
                .map(|instance| (instance, Weight(1)))
                .collect(),
        }
    }

    /// A routing with these weights.
    pub fn weighted(entries: impl IntoIterator<Item = (Instance, Weight)>) -> Self {
        let weights = entries.into_iter().collect();
        Self { weights }
    }

    /// The routing without the instances that `keep` refuses.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&Instance) -> bool) -> Self {
        let kept = self.weights.iter().filter(|(instance, _)| keep(instance));
        Self::weighted(kept.map(|(instance, weight)| (instance.clone(), *weight)))
    }

    /// Whether nothing is routed to.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The instances with their weights, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Instance, Weight)> {
        self.weights.iter().map(|(instance, weight)| (instance, *weight))
    }

    /// What some endpoints get of all requests, of a hundred, rounded.
    pub fn percent(&self, of: impl Fn(&Endpoint) -> bool) -> u32 {
        let sum = |wanted: &dyn Fn(&Endpoint) -> bool| -> u64 {
            let entries = self.weights.iter();
            let entries = entries.filter(|(instance, _)| wanted(&instance.endpoint));
            entries.map(|(_, weight)| u64::from(weight.0)).sum()
        };
        let all = sum(&|_| true).max(1);
        u32::try_from((sum(&of) * 100 + all / 2) / all).unwrap_or(100)
    }

    /// The instances, in order.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.weights.keys()
    }

    /// The endpoints, in order.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.weights.keys().map(|instance| &instance.endpoint)
    }

    /// Whether an instance at `endpoint` gets requests.
    pub fn routes_to(&self, endpoint: &Endpoint) -> bool {
        self.endpoints().any(|routed| routed == endpoint)
    }

    /// The instances of `self` that `next` has not: those that a step to `next` takes out of service.
    pub fn leaving<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a Instance> {
        self.weights
            .keys()
            .filter(|instance| !next.weights.contains_key(*instance))
    }
}

mod entries {
    //! A routing in JSON is a list: its keys are no strings.

    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Instance, Weight};

    #[derive(Serialize, Deserialize)]
    struct Entry {
        #[serde(flatten)]
        instance: Instance,
        weight: Weight,
    }

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Instance, Weight>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map.iter().map(|(instance, weight)| Entry {
            instance: instance.clone(),
            weight: *weight,
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Instance, Weight>, D::Error> {
        let entries = Vec::<Entry>::deserialize(deserializer)?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.instance, entry.weight))
            .collect())
    }
}

//! All at once: from every old instance to every new one.

use crate::model::endpoint::Instance;
use crate::model::routing::Routing;

use super::Station;

pub(super) fn stations(new: &[Instance]) -> Vec<Station> {
    vec![Routing::even(new.iter().cloned()).into()]
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{on, told};
    use super::*;

    #[test]
    fn the_only_routing_has_every_new_instance() {
        let stations = stations(&on(&["a", "b"], 8081));
        assert_eq!(stations.len(), 1);
        assert_eq!(told(&stations[0].routing), "a:8081 b:8081");
    }
}

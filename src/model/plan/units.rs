//! What speaks against starting the unit of a slot, of all hosts at once.

use crate::model::finding::{Finding, Problem};
use crate::model::names::SlotName;
use crate::model::observed::Observed;
use crate::model::topology::Topology;
use crate::model::unit::{AtBoot, UnitState};

/// Units that cannot be started: of `slot`, or of every slot.
pub(super) fn findings(topology: &Topology, observed: &Observed, slot: Option<&SlotName>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (host, was) in &topology.was {
        let units = was.units.iter();
        for (name, unit) in units.filter(|(name, _)| slot.is_none_or(|slot| slot == *name)) {
            let seen = observed.slot(host, name).and_then(|seen| seen.unit.as_ref());
            let Some(seen) = seen.filter(|seen| seen.name == unit.name) else {
                continue;
            };
            let problem = Problem::UnitUnfit {
                slot: name.clone(),
                unit: seen.clone(),
            };
            findings.extend(match (seen.state, unit.at_boot) {
                (UnitState::Ready, _) | (UnitState::Static, AtBoot::Untouched) => None,
                (UnitState::Static, AtBoot::Follows) => Some(Finding::warning(Some(host), problem)),
                _ => Some(Finding::refusal(Some(host), problem)),
            });
        }
    }
    findings
}

//! The unit of systemd that runs each slot on a host, with the runner `systemd`.

use std::collections::BTreeMap;

use crate::model::context;
use crate::model::inventory::Vars;
use crate::model::names::{HostName, Port, SlotName, UnitName};
use crate::model::playbook::Runner;
use crate::model::unit::Unit;

use super::Resolver;

const KEY: &str = "start.systemd.unit";

impl Resolver<'_> {
    /// The units of one host: one for each of its slots, and none for two.
    pub(super) fn units(
        &mut self,
        host: &HostName,
        vars: &Vars,
        ports: &BTreeMap<SlotName, Port>,
    ) -> BTreeMap<SlotName, Unit> {
        let playbook = &self.playbook.playbook;
        let Runner::Systemd(systemd) = &playbook.start else {
            return BTreeMap::new();
        };
        let mut units: BTreeMap<SlotName, Unit> = BTreeMap::new();
        let parse = |text: &str| UnitName::new(text).map_err(|error| error.to_string());
        for (slot, port) in ports {
            let Some(slot) = playbook.slot(slot) else { continue };
            let context = context::placed(vars, slot, *port);
            let Some(name) = self.value(KEY, &systemd.unit, host, &context, parse) else {
                continue;
            };
            if let Some((other, _)) = units.iter().find(|(_, unit)| unit.name == name) {
                let message = format!(
                    "slots `{other}` and `{}` have the same unit on host `{host}`: {name}",
                    slot.name
                );
                let hint = "tell them apart by `{{ slot.port }}` or `{{ slot.name }}`".to_owned();
                self.problem(KEY, message, Some(hint));
            }
            let at_boot = systemd.at_boot;
            units.insert(slot.name.clone(), Unit { name, at_boot });
        }
        units
    }
}

//! Slots that units of systemd run: a boot starts again what is on record, and so does a crash. Whoever knew the process
//! of before means the one that the unit runs now.

use std::time::Duration;

use nonstop::model::names::{Port, SlotName, UnitName};
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::topology::WasHost;
use nonstop::model::unit::Unit;
use tokio::time::Instant;

use super::SimHost;

/// How long an application takes until it listens when systemd starts it again.
const AGAIN: Duration = Duration::from_secs(2);

impl SimHost {
    /// Gives it the slots that a configuration has for it.
    pub(crate) fn carries(&mut self, was: &WasHost) {
        let unit = |(slot, unit): (&SlotName, &Unit)| (slot.clone(), unit.name.clone());
        self.ports = was.ports.clone();
        self.units = was.units.iter().map(unit).collect();
    }

    /// Starts every unit that is enabled: whatever a start put on record, to its end or not.
    pub(super) fn units_boot(&mut self) {
        let slots: Vec<SlotName> = self.units.keys().cloned().collect();
        for slot in slots {
            if self.instances.contains_key(&slot) {
                self.unit_again(&slot);
            } else if let Some(start) = self.unfinished.get(&slot).cloned() {
                let port = self.ports[&slot];
                self.spawn(port, AGAIN).word = Some(start.word);
            }
        }
    }

    /// systemd starts the process of a slot on record once more.
    fn unit_again(&mut self, slot: &SlotName) {
        let port = self.instances[slot].port;
        let identity = self.spawn(port, AGAIN).identity.clone();
        if let Some(record) = self.instances.get_mut(slot) {
            record.identity = identity;
        }
    }

    /// What listens on a port crashes, and systemd starts it again unless it was told to end it.
    pub(crate) fn crashes(&mut self, port: Port) {
        let mut records = self.instances.iter();
        let slot = records.find(|(_, record)| record.port == port);
        let slot = slot.map(|(slot, _)| slot.clone());
        let slot = slot.filter(|slot| self.units.contains_key(slot));
        let is_its = |slot: &SlotName| {
            let identity = &self.instances[slot].identity;
            let mut processes = self.processes.iter();
            processes.any(|it| it.identity == *identity && it.lives() && it.ends_at.is_none())
        };
        let again = slot.filter(is_its);
        self.strike(port);
        if let Some(slot) = again {
            self.unit_again(&slot);
            self.struck.insert(port, Instant::now());
        }
    }

    /// The unit that runs a slot on record.
    pub(super) fn unit_on_record(&self, slot: &SlotName) -> Option<UnitName> {
        let is_on_record = self.instances.contains_key(slot) || self.unfinished.contains_key(slot);
        self.units.get(slot).filter(|_| is_on_record).cloned()
    }

    /// The process that is meant by one of before: the one that the slot's unit runs now, where that is gone.
    pub(super) fn now(&self, slot: &SlotName, identity: &ProcessIdentity) -> ProcessIdentity {
        let record = self.instances.get(slot).filter(|_| self.units.contains_key(slot));
        match record {
            Some(record) if !self.runs(identity) => record.identity.clone(),
            _ => identity.clone(),
        }
    }

    /// The same of what a stop means.
    pub(super) fn target_now(&self, slot: &SlotName, target: StopTarget) -> StopTarget {
        match target {
            StopTarget::Process(identity) => StopTarget::Process(self.now(slot, &identity)),
            StopTarget::Start(word) => StopTarget::Start(word),
        }
    }
}

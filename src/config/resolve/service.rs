//! `min_in_service` beside the inventory: no slot keeps a promise that is larger than itself, and of a single slot a
//! host has to be left that may leave.

use crate::model::strategy::single::Pace;
use crate::model::strategy::{Share, Strategy};
use crate::model::topology::Topology;

use super::Resolver;

impl Resolver<'_> {
    /// Each slot has as many hosts as are to be in service.
    pub(super) fn in_service(&mut self, topology: &Topology) {
        self.one_may_leave(topology);
        let Strategy::Rolling {
            min_in_service: Some(Share::Count(wanted)),
            ..
        } = self.playbook.playbook.update.course.strategy
        else {
            return;
        };
        for slot in &self.playbook.playbook.slots {
            let there = topology.endpoints(&slot.name).len();
            if there < wanted.get() as usize {
                let message = format!(
                    "{wanted} are to be in service, and slot `{}` has {there}",
                    slot.name
                );
                let hint = "a share such as `100%` fits every slot".to_owned();
                self.problem("update.min_in_service", message, Some(hint));
            }
        }
    }

    /// With a single slot a host is out of service while its release changes.
    fn one_may_leave(&mut self, topology: &Topology) {
        let Some(slot) = self.playbook.playbook.only_slot() else {
            return;
        };
        let there = topology.endpoints(&slot.name).len();
        let least = Pace::of(&self.playbook.playbook.update.course.strategy, there).least;
        match there {
            0 => {}
            1 => {
                let message = format!(
                    "slot `{}` is the only one and has one host: the last one in service never leaves",
                    slot.name
                );
                let hint =
                    "a second host, or a second slot beside it: its port and memory for two".to_owned();
                self.problem(&format!("slots.{}.group", slot.name), message, Some(hint));
            }
            there if least == there => {
                let message = format!(
                    "all {there} hosts of slot `{}` are to be in service, and it is the only one: none may leave",
                    slot.name
                );
                self.problem("update.min_in_service", message, None);
            }
            _ => {}
        }
    }
}

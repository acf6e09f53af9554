//! `min_in_service` beside the inventory: no slot keeps a promise that is larger than itself.

use crate::model::strategy::{Share, Strategy};
use crate::model::topology::Topology;

use super::Resolver;

impl Resolver<'_> {
    /// Each slot has as many hosts as are to be in service.
    pub(super) fn in_service(&mut self, topology: &Topology) {
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
}

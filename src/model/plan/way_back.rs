//! Where a rollback would lead that names no release: `status` says no more than what would be planned.

use serde::Serialize;

use crate::model::live::Live;
use crate::model::names::{ReleaseId, SlotName};

use super::forward::{Goal, Scene, TargetSlot, decide};
use super::single;

/// Where a rollback leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayBack {
    /// The slot that gets the traffic.
    pub slot: SlotName,
    /// The release that runs there then.
    pub release: ReleaseId,
    /// What it takes.
    pub by: By,
}

/// What a rollback takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// One switch: the release is still up.
    Switch,
    /// It is started again, and then switched to.
    Start,
    /// It is started again host by host, in place of the live one.
    HostByHost,
}

/// Where a rollback leads, or `None` where there is nothing to go back to.
pub fn way_back(scene: &Scene<'_>) -> Option<WayBack> {
    let live = Live::read(scene.topology, scene.observed);
    let goal = Goal::Rollback(None);
    if let Some(slot) = scene.playbook.only_slot() {
        let release = single::wanted(scene, &goal, &slot.name, &live).ok()?;
        return Some(WayBack {
            slot: slot.name.clone(),
            release: release.id,
            by: By::HostByHost,
        });
    }
    let decision = decide(scene, &goal, live.agreed().ok()?.slot).ok()?;
    Some(WayBack {
        slot: decision.to,
        release: decision.release.id,
        by: match decision.target {
            TargetSlot::Up => By::Switch,
            TargetSlot::Idle | TargetSlot::Begun => By::Start,
        },
    })
}

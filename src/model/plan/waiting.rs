//! A run that waits for a person: which one it is, and how it goes on when it is promoted.

use crate::model::finding::{Finding, Problem};
use crate::model::observed::Observed;
use crate::model::record::{RunRecord, RunStatus};

use super::forward::Scene;
use super::forward_again::forward_again;
use super::going_on::onward;
use super::resume::{evidence, gone_on_with};
use super::step::Plan;
use super::window::Bake;

/// The run that waits. One host that says so is enough, unless another says that it is over: who waits has no
/// lock, and whoever goes on takes a higher epoch.
pub fn waiting(observed: &Observed) -> Option<&RunRecord> {
    let records = || observed.hosts.values().filter_map(|seen| seen.record.as_ref());
    let newest = records().map(|record| record.epoch).max()?;
    let of_newest = || records().filter(|record| record.epoch == newest);
    let waits = of_newest().find(|record| record.status == RunStatus::Waiting)?;
    let is_over = |record: &RunRecord| record.run == waits.run && record.status == RunStatus::Done;
    (!of_newest().any(is_over)).then_some(waits)
}

/// Why nothing else may begin.
pub(super) fn refusal(scene: &Scene<'_>) -> Option<Finding> {
    let record = Box::new(waiting(scene.observed)?.clone());
    let run = scene.run.clone();
    Some(Finding::refusal(None, Problem::RunWaits { record, run }))
}

/// How far a person lets a run that waits go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promote {
    /// To where it waits next.
    Next,
    /// To its end, without waiting any more.
    All,
}

/// The record of a run that a person has promoted.
#[must_use]
pub fn promote(scene: &Scene<'_>, record: &RunRecord, how: Promote) -> RunRecord {
    let reached = evidence(scene.topology, scene.observed, record).reached;
    let beyond = match how {
        Promote::Next => reached + 1,
        Promote::All => record.switches().max(reached + 1),
    };
    RunRecord {
        promoted: record.promoted.max(beyond),
        status: RunStatus::Open,
        ..gone_on_with(scene, record)
    }
}

/// Plans how the run that waits goes on.
pub fn promoted(scene: &Scene<'_>, how: Promote) -> Result<Plan, Vec<Finding>> {
    let nothing = || vec![Finding::refusal(None, Problem::NothingWaits)];
    let record = waiting(scene.observed).ok_or_else(nothing)?;
    let promoted = promote(scene, record, how);
    match Bake::of(&promoted) {
        Bake::Ahead => onward(scene, &promoted),
        Bake::Promoted => forward_again(scene, &promoted),
    }
}

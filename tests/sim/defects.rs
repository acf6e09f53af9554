//! The deliberate defects, each of which has to be found: a simulator that cannot fail shows nothing.

use nonstop::model::defect::{self, Defect};

use crate::world::{Flaw, World};

/// What is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// In the program.
    Program(Defect),
    /// On every host.
    Hosts(Flaw),
}

/// Every defect, by the name under which it can be asked for.
pub(crate) const ALL: [(&str, Planted); 28] = [
    (
        "no_barrier_before_commit",
        Planted::Program(Defect::NoBarrierBeforeCommit),
    ),
    ("stop_before_proof", Planted::Program(Defect::StopBeforeProof)),
    ("no_undo_of_unknown", Planted::Program(Defect::NoUndoOfUnknown)),
    ("no_fence", Planted::Hosts(Flaw::NoFence)),
    ("fence_without_lease", Planted::Hosts(Flaw::FenceWithoutLease)),
    (
        "fence_without_sequence",
        Planted::Hosts(Flaw::FenceWithoutSequence),
    ),
    (
        "revert_past_point_of_no_return",
        Planted::Program(Defect::RevertPastPointOfNoReturn),
    ),
    (
        "take_over_without_higher_epoch",
        Planted::Program(Defect::TakeOverWithoutHigherEpoch),
    ),
    (
        "confirm_before_all_are_proven",
        Planted::Program(Defect::ConfirmBeforeAllAreProven),
    ),
    (
        "confirm_without_margin",
        Planted::Program(Defect::ConfirmWithoutMargin),
    ),
    (
        "lost_confirm_is_confirmed",
        Planted::Program(Defect::LostConfirmIsConfirmed),
    ),
    ("stop_without_look", Planted::Hosts(Flaw::StopWithoutLook)),
    ("watch_forgets_home", Planted::Hosts(Flaw::WatchForgetsHome)),
    ("watch_obeys_epoch", Planted::Hosts(Flaw::WatchObeysEpoch)),
    ("trusts_reload", Planted::Hosts(Flaw::TrustsReload)),
    ("stop_by_port", Planted::Hosts(Flaw::StopByPort)),
    ("start_without_word", Planted::Hosts(Flaw::StartWithoutWord)),
    (
        "stop_by_the_hour_after_a_rollback",
        Planted::Hosts(Flaw::TimerOutlivesRollback),
    ),
    (
        "stop_by_the_hour_with_the_new_slot_dead",
        Planted::Hosts(Flaw::TimerWithoutLook),
    ),
    ("writes_in_place", Planted::Hosts(Flaw::WritesInPlace)),
    (
        "stop_while_unreachable",
        Planted::Program(Defect::StopWhileUnreachable),
    ),
    ("stop_without_drain", Planted::Program(Defect::StopWithoutDrain)),
    (
        "verify_from_own_host_only",
        Planted::Program(Defect::VerifyFromOwnHostOnly),
    ),
    (
        "forgets_who_is_left_out",
        Planted::Program(Defect::ForgetsWhoIsLeftOut),
    ),
    ("weights_left_behind", Planted::Program(Defect::WeightsLeftBehind)),
    (
        "last_in_service_leaves",
        Planted::Program(Defect::LastInServiceLeaves),
    ),
    (
        "waiting_is_interrupted",
        Planted::Program(Defect::WaitingIsInterrupted),
    ),
    ("hook_runs_twice", Planted::Program(Defect::HookRunsTwice)),
];

/// The rules that find a defect of a certain shape, whatever else finds it: words of what each of them says.
const RULES: [(&str, &str); 6] = [
    ("last_in_service_leaves", "was led to where nobody serves"),
    ("stop_by_the_hour_after_a_rollback", "was stopped while"),
    (
        "stop_by_the_hour_with_the_new_slot_dead",
        "was stopped at its hour",
    ),
    ("hook_runs_twice", "ran twice"),
    ("waiting_is_interrupted", "touched it"),
    ("weights_left_behind", "is led back to"),
];

/// What has to be found of a defect: words of its own rules, or anything at all.
pub(crate) fn found_by(name: &str) -> Vec<&'static str> {
    let of_it = RULES.iter().filter(|(defect, _)| *defect == name);
    let rules: Vec<_> = of_it.map(|(_, words)| *words).collect();
    if rules.is_empty() { vec![""] } else { rules }
}

impl Planted {
    /// The defect of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, planted)| *planted)
    }

    /// Plants it, in this thread's program and in a world.
    pub(crate) fn plant(self, world: &mut World) {
        defect::plant(match self {
            Self::Program(defect) => Some(defect),
            _ => None,
        });
        if let Self::Hosts(flaw) = self {
            for host in world.hosts.values_mut() {
                host.flaws.insert(flaw);
            }
        }
    }
}

//! The simulated host and a real one (the scripts, a shell and nginx) are asked the same in the same order,
//! and have to answer the same and to be in the same state. What the simulator shows is worth as much as
//! this.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test expects and does not find is a failed test"
)]

#[path = "../scripts/host.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod host;
mod moves;
mod real;
mod simulated;
#[path = "../scripts/site.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod site;
#[path = "../world/mod.rs"]
mod world;

use moves::{Fence, Move, Move::*};

/// Makes the moves on both hosts, and compares after each.
fn alike(moves: &[Move]) {
    let mut real = real::Real::new();
    let mut simulated = simulated::Simulated::new();
    for (number, made) in moves.iter().enumerate() {
        let (wanted, found) = (real.makes(made), simulated.makes(made));
        assert_eq!(found, wanted, "move {number}, {made:?}: simulated and real");
    }
}

const fn by(run: u32, epoch: u64, sequence: u64) -> Fence {
    Fence { run, epoch, sequence }
}

const TAKEN: Move = Lock {
    run: 1,
    expected: 0,
    epoch: 1,
};

#[test]
fn a_lock_is_taken_once_and_again_by_its_owner_and_by_others_only_when_it_is_over() {
    alike(&[
        TAKEN,
        TAKEN,
        Lock {
            run: 2,
            expected: 1,
            epoch: 2,
        },
        Lock {
            run: 2,
            expected: 0,
            epoch: 1,
        },
        Later(20),
        Renew { run: 1, epoch: 1 },
        Later(20),
        Lock {
            run: 2,
            expected: 1,
            epoch: 2,
        },
        Later(20),
        Renew { run: 1, epoch: 1 },
        Record(by(1, 1, 1)),
        Lock {
            run: 2,
            expected: 1,
            epoch: 1,
        },
        Lock {
            run: 2,
            expected: 1,
            epoch: 2,
        },
        Record(by(1, 1, 2)),
        Record(by(2, 2, 1)),
        Unlock(by(2, 2, 2)),
        Record(by(2, 2, 3)),
        Lock {
            run: 1,
            expected: 2,
            epoch: 3,
        },
    ]);
}

#[test]
fn a_late_number_changes_nothing() {
    alike(&[
        TAKEN,
        Record(by(1, 1, 5)),
        Record(by(1, 1, 5)),
        Prepare(by(1, 1, 4)),
        Prepare(by(1, 1, 6)),
        Commit(by(1, 1, 3), 300),
        Look,
        Commit(by(1, 1, 7), 300),
        Revert(by(1, 1, 8)),
        Commit(by(1, 1, 7), 300),
        Look,
    ]);
}

#[test]
fn a_switch_is_confirmed_once_and_stays() {
    alike(&[
        TAKEN,
        Commit(by(1, 1, 1), 300),
        Prepare(by(1, 1, 2)),
        Commit(by(1, 1, 3), 300),
        Look,
        Confirm(by(1, 1, 4), (1, 2)),
        Confirm(by(1, 1, 5), (1, 3)),
        Confirm(by(1, 1, 6), (1, 3)),
        Look,
        Clean(by(1, 1, 7)),
        Revert(by(1, 1, 8)),
        Look,
    ]);
}

#[test]
fn a_switch_that_is_taken_back_cannot_be_confirmed_and_is_committed_anew() {
    alike(&[
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        Revert(by(1, 1, 3)),
        Look,
        Confirm(by(1, 1, 4), (1, 2)),
        Revert(by(1, 1, 5)),
        Prepare(by(1, 1, 6)),
        Commit(by(1, 1, 7), 300),
        Commit(by(1, 1, 8), 300),
        Look,
        Confirm(by(1, 1, 9), (1, 7)),
        Confirm(by(1, 1, 10), (1, 8)),
        Look,
    ]);
}

#[test]
fn a_watch_that_fires_goes_home_and_whoever_comes_then_finds_it_so() {
    alike(&[
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 1),
        Fires,
        Look,
        Confirm(by(1, 1, 3), (1, 2)),
        Revert(by(1, 1, 4)),
        Look,
        Prepare(by(1, 1, 5)),
        Commit(by(1, 1, 6), 300),
        Confirm(by(1, 1, 7), (1, 6)),
        Look,
    ]);
}

#[test]
fn a_way_back_after_a_confirm_is_armed_first_and_its_watch_knows_home() {
    alike(&[
        TAKEN,
        Arm(by(1, 1, 1), 300),
        Prepare(by(1, 1, 2)),
        Commit(by(1, 1, 3), 300),
        Confirm(by(1, 1, 4), (1, 3)),
        Arm(by(1, 1, 5), 300),
        Look,
        Revert(by(1, 1, 6)),
        Look,
        Prepare(by(1, 1, 7)),
        Commit(by(1, 1, 8), 300),
        Confirm(by(1, 1, 9), (1, 8)),
        Arm(by(1, 1, 10), 1),
        Fires,
        Look,
    ]);
}

#[test]
fn somebody_who_took_over_leaves_the_watch_alone_and_ends_its_token() {
    alike(&[
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        Later(40),
        Lock {
            run: 2,
            expected: 1,
            epoch: 2,
        },
        Look,
        Confirm(by(1, 1, 3), (1, 2)),
        Revert(by(2, 2, 1)),
        Look,
    ]);
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten() {
    alike(&[
        TAKEN,
        Prepare(by(1, 1, 1)),
        SomebodyEdits,
        Commit(by(1, 1, 2), 300),
        Look,
        Revert(by(1, 1, 3)),
        Look,
    ]);
    alike(&[
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        SomebodyEdits,
        Revert(by(1, 1, 3)),
        Look,
        Confirm(by(1, 1, 4), (1, 2)),
        Clean(by(1, 1, 5)),
        Look,
    ]);
}

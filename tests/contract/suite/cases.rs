//! What is played on two hosts.

use super::moves::Fence;
use super::moves::Hooked::{Begins, CountsAsDone, Ends, EndsBadly, Runs, RunsAgain};
use super::moves::Move::{self, *};
use super::moves::Slot::{Blue, Green};
use super::moves::Whom::{AnotherBoot, AnotherStart, AnotherUser, Itself};

const fn by(run: u32, epoch: u64, sequence: u64) -> Fence {
    Fence { run, epoch, sequence }
}

const TAKEN: Move = Lock {
    run: 1,
    expected: 0,
    epoch: 1,
};

macro_rules! cases {
    ($($name:ident: $moves:expr;)*) => {
        /// Every case by its name.
        pub(crate) const ALL: &[(&str, &[Move])] = &[$((stringify!($name), &$moves)),*];
    };
}

/// The moves of a case.
pub(crate) fn named(name: &str) -> &'static [Move] {
    let found = ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no case is named {name}")).1
}

cases! {
    a_lock_is_taken_once_and_again_by_its_owner_and_by_others_only_when_it_is_over: [
        TAKEN,
        TAKEN,
        Lock { run: 2, expected: 1, epoch: 2 },
        Lock { run: 2, expected: 0, epoch: 1 },
        Later(20),
        Renew { run: 1, epoch: 1 },
        Later(20),
        Lock { run: 2, expected: 1, epoch: 2 },
        Later(20),
        Renew { run: 1, epoch: 1 },
        Record(by(1, 1, 1)),
        Lock { run: 2, expected: 1, epoch: 1 },
        Lock { run: 2, expected: 1, epoch: 2 },
        Record(by(1, 1, 2)),
        Record(by(2, 2, 1)),
        Unlock(by(2, 2, 2)),
        Record(by(2, 2, 3)),
        Lock { run: 1, expected: 2, epoch: 3 },
    ];
    a_late_number_changes_nothing: [
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
    ];
    a_switch_is_confirmed_once_and_stays: [
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
    ];
    a_switch_that_is_taken_back_cannot_be_confirmed_and_is_committed_anew: [
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
    ];
    a_watch_that_fires_goes_home_and_whoever_comes_then_finds_it_so: [
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
    ];
    a_way_back_after_a_confirm_is_armed_first_and_its_watch_knows_home: [
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
    ];
    somebody_who_took_over_leaves_the_watch_alone_and_ends_its_token: [
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        Later(40),
        Lock { run: 2, expected: 1, epoch: 2 },
        Look,
        Confirm(by(1, 1, 3), (1, 2)),
        Revert(by(2, 2, 1)),
        Look,
    ];
    what_somebody_else_wrote_is_not_overwritten: [
        TAKEN,
        Prepare(by(1, 1, 1)),
        SomebodyEdits,
        Commit(by(1, 1, 2), 300),
        Look,
        Revert(by(1, 1, 3)),
        Look,
    ];
    what_somebody_else_wrote_is_not_overwritten_nor_after_the_switch: [
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        SomebodyEdits,
        Revert(by(1, 1, 3)),
        Look,
        Confirm(by(1, 1, 4), (1, 2)),
        Clean(by(1, 1, 5)),
        Look,
    ];
    an_instance_is_started_once_and_ends_by_its_identity: [
        TAKEN,
        Start(by(1, 1, 1), Blue, 1),
        Look,
        Put(by(1, 1, 2), 1),
        Put(by(1, 1, 3), 1),
        Start(by(1, 1, 4), Blue, 1),
        Look,
        Start(by(1, 1, 5), Blue, 1),
        Start(by(1, 1, 5), Blue, 1),
        Stop(by(1, 1, 5), Blue, Itself, None),
        Look,
        Stop(by(1, 1, 6), Blue, Itself, None),
        Look,
        Stop(by(1, 1, 7), Blue, Itself, None),
        Look,
    ];
    a_process_that_is_not_the_one_that_is_meant_is_left_alone: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Start(by(1, 1, 2), Blue, 1),
        Stop(by(1, 1, 3), Blue, AnotherStart, None),
        Stop(by(1, 1, 4), Blue, AnotherBoot, None),
        Stop(by(1, 1, 5), Blue, AnotherUser, None),
        Look,
    ];
    nothing_is_stopped_while_its_successor_is_not_there: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Put(by(1, 1, 2), 2),
        Start(by(1, 1, 3), Blue, 1),
        Start(by(1, 1, 4), Green, 2),
        Look,
        Stop(by(1, 1, 5), Blue, Itself, Some((Green, AnotherStart))),
        Dies(Green),
        Look,
        Stop(by(1, 1, 6), Blue, Itself, Some((Green, Itself))),
        Look,
        Start(by(1, 1, 7), Green, 2),
        Stop(by(1, 1, 8), Blue, Itself, Some((Green, Itself))),
        Look,
    ];
    a_process_that_is_dead_already_needs_no_successor: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Start(by(1, 1, 2), Blue, 1),
        Start(by(1, 1, 3), Green, 1),
        Dies(Blue),
        Dies(Green),
        Look,
        Stop(by(1, 1, 4), Blue, Itself, Some((Green, Itself))),
        Look,
        Start(by(1, 1, 5), Blue, 1),
        Look,
    ];
    a_slot_that_was_kept_takes_no_other_release_until_it_is_stopped: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Put(by(1, 1, 2), 2),
        Start(by(1, 1, 3), Blue, 1),
        Start(by(1, 1, 4), Green, 2),
        Start(by(1, 1, 5), Blue, 2),
        Look,
        Stop(by(1, 1, 6), Blue, Itself, None),
        Start(by(1, 1, 7), Blue, 2),
        Look,
    ];
    whoever_lost_the_lock_starts_and_stops_nothing: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Start(by(1, 1, 2), Blue, 1),
        Later(40),
        Start(by(1, 1, 3), Green, 1),
        Stop(by(1, 1, 4), Blue, Itself, None),
        Lock { run: 2, expected: 1, epoch: 2 },
        Put(by(1, 1, 5), 2),
        Stop(by(1, 1, 6), Blue, Itself, None),
        Look,
        Stop(by(2, 2, 1), Blue, Itself, None),
        Look,
    ];
    a_reboot_ends_processes_and_watches_and_the_lease_begins_anew: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Start(by(1, 1, 2), Blue, 1),
        Prepare(by(1, 1, 3)),
        Commit(by(1, 1, 4), 300),
        Later(20),
        Look,
        Reboots,
        Look,
        Later(15),
        Look,
        Renew { run: 1, epoch: 1 },
        Stop(by(1, 1, 5), Blue, Itself, None),
        Look,
        Later(400),
        Look,
        Renew { run: 1, epoch: 1 },
        Lock { run: 2, expected: 1, epoch: 2 },
        Start(by(2, 2, 1), Blue, 1),
        Revert(by(2, 2, 2)),
        Look,
    ];
    what_was_armed_before_a_reboot_can_be_confirmed_or_committed_anew: [
        TAKEN,
        Prepare(by(1, 1, 1)),
        Commit(by(1, 1, 2), 300),
        Reboots,
        Confirm(by(1, 1, 3), (1, 2)),
        Look,
        Arm(by(1, 1, 4), 300),
        Reboots,
        Commit(by(1, 1, 5), 300),
        Look,
        Confirm(by(1, 1, 6), (1, 4)),
        Confirm(by(1, 1, 7), (1, 5)),
        Look,
    ];
    a_wall_clock_that_jumps_moves_no_lease_no_watch_and_no_process: [
        TAKEN,
        Put(by(1, 1, 1), 1),
        Start(by(1, 1, 2), Blue, 1),
        Prepare(by(1, 1, 3)),
        Commit(by(1, 1, 4), 300),
        ClockJumps(1_000_000),
        Look,
        Renew { run: 1, epoch: 1 },
        Lock { run: 2, expected: 1, epoch: 2 },
        ClockJumps(-2_000_000),
        Look,
        Confirm(by(1, 1, 5), (1, 4)),
        Later(40),
        Lock { run: 2, expected: 1, epoch: 2 },
        Stop(by(2, 2, 1), Blue, Itself, None),
        Look,
    ];    a_hook_runs_once_in_its_run_and_what_became_of_it_is_kept: [
        TAKEN,
        Hook(by(1, 1, 1), 1, Runs),
        Hook(by(1, 1, 2), 1, Runs),
        Hook(by(1, 1, 3), 2, Begins),
        Look,
        Hook(by(1, 1, 4), 2, Begins),
        Hook(by(1, 1, 5), 2, Runs),
        Hook(by(1, 1, 6), 2, RunsAgain),
        Hook(by(1, 1, 7), 3, Begins),
        Hook(by(1, 1, 8), 3, EndsBadly),
        Hook(by(1, 1, 9), 3, Runs),
        Hook(by(1, 1, 10), 3, CountsAsDone),
        Hook(by(1, 1, 11), 3, Runs),
        Hook(by(1, 1, 9), 4, Runs),
        Hook(by(1, 1, 12), 4, Ends),
        Hook(by(1, 1, 13), 4, Begins),
        Look,
        Reboots,
        Look,
        Later(40),
        Lock { run: 2, expected: 1, epoch: 2 },
        Hook(by(1, 1, 14), 5, Runs),
        Look,
        Hook(by(2, 2, 1), 1, Runs),
        Look,
    ];
}

//! The simulated host and a real one (the scripts, a shell and nginx) are asked the same in the same order,
//! and have to answer the same and to be in the same state. What the simulator shows is worth as much as
//! this. `tests/fleet` plays the same cases on a host that is reached by SSH.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test expects and does not find is a failed test"
)]

#[path = "../scripts/helper.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod helper;
#[path = "../scripts/host.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod host;
mod local;
#[path = "../scripts/site.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod site;
mod suite;
#[path = "../scripts/units/systemd.rs"]
#[allow(dead_code, reason = "the tests of the scripts use all of it")]
mod systemd;
#[path = "../world/mod.rs"]
mod world;

macro_rules! played {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                suite::alike(name, suite::cases::named(name), local::Local::new());
            }
        )*

        const PLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

played! {
    a_lock_is_taken_once_and_again_by_its_owner_and_by_others_only_when_it_is_over
    a_late_number_changes_nothing
    a_switch_is_confirmed_once_and_stays
    a_switch_that_is_taken_back_cannot_be_confirmed_and_is_committed_anew
    a_watch_that_fires_goes_home_and_whoever_comes_then_finds_it_so
    a_way_back_after_a_confirm_is_armed_first_and_its_watch_knows_home
    somebody_who_took_over_leaves_the_watch_alone_and_ends_its_token
    what_somebody_else_wrote_is_not_overwritten
    what_somebody_else_wrote_is_not_overwritten_nor_after_the_switch
    an_instance_is_started_once_and_ends_by_its_identity
    a_process_that_is_not_the_one_that_is_meant_is_left_alone
    nothing_is_stopped_while_its_successor_is_not_there
    a_process_that_is_dead_already_needs_no_successor
    a_slot_that_was_kept_takes_no_other_release_until_it_is_stopped
    whoever_lost_the_lock_starts_and_stops_nothing
    a_reboot_ends_processes_and_watches_and_the_lease_begins_anew
    what_was_armed_before_a_reboot_can_be_confirmed_or_committed_anew
    a_wall_clock_that_jumps_moves_no_lease_no_watch_and_no_process
    a_hook_runs_once_in_its_run_and_what_became_of_it_is_kept
    at_its_hour_the_old_instance_ends_if_the_run_still_waits
    a_timer_that_is_cancelled_or_set_anew_stops_nothing
    whoever_takes_the_lock_takes_the_hour_away
    a_run_that_does_not_wait_at_the_hour_keeps_both
    nothing_ends_at_the_hour_of_a_host_whose_new_instance_is_dead
    nothing_ends_at_the_hour_of_a_host_whose_new_instance_is_sick
    what_was_started_anew_in_the_old_slot_is_not_what_ends_at_the_hour
    a_reboot_ends_a_timer_and_whoever_comes_can_still_cancel_it
    what_a_deploy_agent_has_put_there_is_taken_only_if_it_is_the_jar_that_was_meant
}

/// The cases of instances and of the hour at which one ends, where units of systemd run both slots.
mod by_units {
    use crate::{local, suite};

    macro_rules! played {
        ($($name:ident)*) => {
            $(
                #[test]
                fn $name() {
                    let name = stringify!($name);
                    suite::alike_by_units(name, suite::cases::named(name), local::Local::by_units());
                }
            )*
        };
    }

    played! {
        an_instance_is_started_once_and_ends_by_its_identity
        nothing_is_stopped_while_its_successor_is_not_there
        a_process_that_is_dead_already_needs_no_successor
        whoever_lost_the_lock_starts_and_stops_nothing
        at_its_hour_the_old_instance_ends_if_the_run_still_waits
        a_timer_that_is_cancelled_or_set_anew_stops_nothing
        whoever_takes_the_lock_takes_the_hour_away
        a_run_that_does_not_wait_at_the_hour_keeps_both
        nothing_ends_at_the_hour_of_a_host_whose_new_instance_is_dead
        nothing_ends_at_the_hour_of_a_host_whose_new_instance_is_sick
        a_reboot_ends_a_timer_and_whoever_comes_can_still_cancel_it
    }
}

#[test]
fn every_case_is_played() {
    let cases: Vec<_> = suite::cases::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(cases, PLAYED);
}

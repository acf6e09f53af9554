//! The table of what goes together, and the cases of these tests that show it: every pair of strategy and style that
//! `check` allows has a deploy under load and one that goes back by itself, and so has every topology.

use nonstop::config::combinations::{StrategyName, StyleName, TABLE};

/// Where the slots are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slots {
    TwoPorts,
    HostSets,
    Single,
}

/// What is shown, and by which cases.
struct Shown {
    what: (StrategyName, StyleName, Slots),
    deploy: &'static str,
    goes_back: &'static str,
}

const SHOWN: [Shown; 7] = [
    Shown {
        what: (StrategyName::BlueGreen, StyleName::Site, Slots::TwoPorts),
        deploy: "deploys::three_deploys_in_a_row_lose_no_request_and_leave_one_slot_running",
        goes_back: "reverted::a_release_that_gets_ill_under_traffic_goes_back_by_itself",
    },
    Shown {
        what: (StrategyName::BlueGreen, StyleName::ConfPerSlot, Slots::TwoPorts),
        deploy: "migration::a_fleet_of_the_old_script_is_taken_over_without_a_lost_request",
        goes_back: "migration::a_release_that_gets_ill_under_traffic_gives_the_old_scripts_file_back",
    },
    Shown {
        what: (StrategyName::BlueGreen, StyleName::Include, Slots::TwoPorts),
        deploy: "include::a_line_in_the_users_own_server_is_switched_without_a_lost_request",
        goes_back: "include::a_release_that_gets_ill_under_traffic_gives_the_line_back",
    },
    Shown {
        what: (StrategyName::Rolling, StyleName::Site, Slots::TwoPorts),
        deploy: "strategies::rolling_changes_host_by_host_and_loses_nothing",
        goes_back: "strategies::a_rolling_release_that_is_bad_on_the_last_host_leaves_the_first_one_as_well",
    },
    Shown {
        what: (StrategyName::Rolling, StyleName::Site, Slots::Single),
        deploy: "single::hosts_with_one_slot_change_their_release_and_lose_nothing",
        goes_back: "single::a_release_that_is_bad_on_the_second_host_is_led_back_host_by_host",
    },
    Shown {
        what: (StrategyName::Canary, StyleName::Site, Slots::TwoPorts),
        deploy: "strategies::a_canary_gets_what_it_was_given_waits_and_is_promoted_from_another_machine",
        goes_back: "strategies::a_canary_that_gets_ill_leaves_no_weights_behind",
    },
    Shown {
        what: (StrategyName::BlueGreen, StyleName::Site, Slots::HostSets),
        deploy: "strategies::slots_on_two_sets_of_hosts_change_places",
        goes_back: "strategies::a_release_that_gets_ill_on_its_set_of_hosts_gives_the_other_its_place_back",
    },
];

#[test]
fn whatever_goes_together_is_shown_by_a_deploy_and_by_one_that_goes_back() {
    let own = std::env::current_exe().expect("this program");
    let list = std::process::Command::new(own).arg("--list").output();
    let list = String::from_utf8(list.expect("it can be run").stdout).expect("text");
    let cases: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    for Shown {
        what,
        deploy,
        goes_back,
    } in &SHOWN
    {
        for case in [deploy, goes_back] {
            assert!(cases.contains(case), "{what:?}: there is no `{case}`");
        }
    }
    for row in TABLE {
        let allowed = [(Slots::TwoPorts, row.two_slots), (Slots::Single, row.single_slot)];
        for (slots, goes) in allowed {
            let what = (row.strategy, row.style, slots);
            let is_shown = SHOWN.iter().any(|shown| shown.what == what);
            assert_eq!(is_shown, goes.is_ok(), "{what:?}");
        }
    }
    let is_host_sets = |shown: &Shown| shown.what.2 == Slots::HostSets;
    assert!(SHOWN.iter().any(is_host_sets));
}

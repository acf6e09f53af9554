//! A window that is left to the hosts, under load: they stop the old slot at their hour with nobody there, unless
//! somebody goes back before, or ends the window.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fixture::{App, Fleet};

/// What a host waits for after its hour, with room for a busy machine.
const QUIET: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(60);

fn windowed<'f>(fleet: &'f Fleet, window: &str) -> App<'f> {
    fleet
        .shop()
        .with("/bake", json!({ "for": window, "detach": true }))
}

#[test]
#[ignore = "waits two minutes: make test-all"]
fn the_hosts_stop_the_old_slot_at_their_hour_and_nobody_is_there() {
    let fleet = Fleet::reset();
    let shop = windowed(&fleet, "20s");
    shop.has_deployed("v1");
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.ends(0, "waiting").says("the hosts stop the old slot");
    let ended = Instant::now();
    shop.runs_on(&[8080, 8081]);
    shop.command("status").run().exits(0).says("stops blue");
    let is_over = || {
        !shop
            .command("status")
            .run()
            .exits(0)
            .stdout
            .contains("run that waits")
    };
    while !is_over() {
        let waited = ended.elapsed();
        assert!(
            waited < Duration::from_secs(20) + QUIET + PATIENCE,
            "still up after {waited:?}"
        );
        std::thread::sleep(Duration::from_secs(2));
    }
    assert!(
        ended.elapsed() > QUIET,
        "the old port was quiet for as long as it has to be"
    );
    load.lost_nothing();
    shop.stands("v2", 8081);
    // What comes next starts from there.
    let load = shop.load();
    shop.rollback().run().deployed();
    load.lost_nothing();
    shop.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_rollback_in_the_window_is_one_switch_and_no_host_stops_anything() {
    let fleet = Fleet::reset();
    let shop = windowed(&fleet, "30s");
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    shop.deploy("v2").run().ends(0, "waiting");
    shop.deploy("v3").run().exits(5).says("nonstop promote");
    shop.rollback().run().exits(0);
    std::thread::sleep(Duration::from_secs(30) + QUIET + Duration::from_secs(15));
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_window_is_ended_from_another_machine() {
    let fleet = Fleet::reset();
    let shop = windowed(&fleet, "10m");
    shop.has_deployed("v1");
    let load = shop.load();
    shop.deploy("v2").run().ends(0, "waiting");
    let elsewhere = shop.clone().elsewhere().promote().in_another_folder().run();
    elsewhere.deployed();
    load.lost_nothing();
    // What waited for the hour looks every ten seconds whether somebody came.
    std::thread::sleep(Duration::from_secs(12));
    shop.stands("v2", 8081);
}

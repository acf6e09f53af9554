//! What is in flight when the traffic moves, and who keeps the old slot.

use std::time::Duration;

use serde_json::json;

use crate::fixture::{App, Fleet, Is, get, sick, small};

#[test]
fn a_slow_request_in_flight_across_the_switch_completes() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let load = shop.load();
    let slow: Vec<_> = App::listeners()
        .map(|(_, port)| std::thread::spawn(move || get(port, "shop.test", "/slow?ms=9000")))
        .collect();
    let run = shop.deploy("v2").run();
    run.deployed();
    assert!(run.took > Duration::from_secs(5), "it was waited for:\n{run}");
    for answer in slow {
        let answer = answer.join().expect("no panic").expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (200, "v1"));
    }
    load.lost_nothing();
    shop.stands("v2", 8081);
}

/// Lets a process of the login user hold a connection to the old port, and gives its pid.
fn holds_a_connection(fleet: &Fleet, host: &str, port: u16) -> String {
    let script = format!(
        "su deploy -s /bin/bash -c 'exec setsid bash -c \"exec 3<>/dev/tcp/127.0.0.1/{port}; exec sleep 300\" \
         >/dev/null 2>&1 & echo $!'"
    );
    let pid = fleet.on(host, &script).trim().to_owned();
    // Connected as soon as it sleeps.
    fleet.on(
        host,
        &format!("until grep -q sleep /proc/{pid}/cmdline; do sleep 0.05; done"),
    );
    pid
}

#[test]
fn a_client_that_is_connected_to_the_old_port_is_not_killed() {
    let fleet = Fleet::reset();
    let shop = fleet
        .shop()
        .with("/drain", json!({ "deadline": "1s", "on_deadline": "cut" }));
    shop.has_deployed("v1");
    let client = holds_a_connection(&fleet, "was-1", 8080);
    let load = shop.load();
    shop.has_deployed("v2");
    load.lost_nothing();
    fleet.on(
        "was-1",
        &format!("grep -q sleep /proc/{client}/cmdline && kill {client}"),
    );
    shop.stands("v2", 8081);
}

#[test]
fn an_old_slot_that_is_still_in_use_is_kept_then_in_the_way_and_then_retired() {
    let fleet = Fleet::reset();
    let shop = fleet
        .shop()
        .with("/drain", json!({ "deadline": "1s", "on_deadline": "keep" }));
    shop.has_deployed("v1");
    let client = holds_a_connection(&fleet, "was-1", 8080);
    let load = shop.load();
    shop.has_deployed("v2");
    shop.serves("v2");
    assert!(
        fleet.photograph().listeners("was-1").contains_key(&8080),
        "the old one was stopped"
    );

    let refused = shop.deploy("v3").run();
    refused.refused().says("was-1").says("8080").says("connection");
    shop.serves("v2");

    fleet.on("was-1", &format!("kill {client}"));
    let run = shop.has_deployed("v3");
    assert!(run.came(Is::PhaseEnded("retire")), "{run}");
    load.lost_nothing();
    shop.stands("v3", 8080);
}

#[test]
fn a_live_app_that_answers_503_on_health_is_not_deployed_over() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.says_health("down");
    let before = fleet.photograph();
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("verify"));
    for host in crate::fixture::WAS {
        let live = before.listeners(host)[&8080];
        assert_eq!(
            fleet.photograph().listeners(host)[&8080],
            live,
            "the live one of {host} still runs"
        );
    }
    run.wait().deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn an_old_app_that_ignores_term_is_killed_after_the_grace() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/stop/grace", json!("1s"));
    shop.has_deployed(small("v1").behaving(sick::ignoring_term()));
    let load = shop.load();
    shop.has_deployed("v2");
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn a_slot_that_was_kept_is_retired_by_the_next_deploy() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/bake/then", json!("keep"));
    shop.has_deployed("v1");
    let load = shop.load();
    shop.has_deployed("v2");
    shop.runs_on(&[8080, 8081]);
    let run = shop.deploy("v3").run();
    run.deployed();
    assert!(run.came(Is::PhaseEnded("retire")), "{run}");
    load.lost_nothing();
    shop.serves("v3");
    shop.runs_on(&[8080, 8081]);
}

//! `nonstop drill` on the live fleet, with requests all the while.

use serde_json::{Value, json};

use crate::fixture::{Fleet, HTTP};

#[test]
fn a_drill_goes_there_and_back_without_a_lost_request_and_is_on_record() {
    let fleet = Fleet::reset();
    // A prober has no other name for a host than its address.
    let shop = fleet
        .shop()
        .with("/nginx/site/server_name", json!(["shop.test", "127.0.0.1"]));
    shop.has_deployed("v1");
    shop.command("drill")
        .run()
        .exits(4)
        .says("no earlier release to go back to");
    shop.has_deployed("v2");
    let load = shop.load();
    let drill = || {
        shop.command("drill")
            .arg("--probe")
            .arg(&format!("http://127.0.0.1:{}/version", HTTP[0]))
            .arg("--quiet")
    };
    let run = drill().run();
    run.exits(0);
    assert_eq!((run.stderr.as_str(), run.stdout.as_str()), ("", ""), "{run}");
    load.lost_nothing();
    shop.serves("v2");
    shop.rollback().run().deployed();
    shop.serves("v1");

    let history = shop.command("drill").arg("--history").arg("--json").run();
    let drills = history.json()["drills"].clone();
    let drills = drills.as_array().expect("a list");
    assert_eq!(drills.len(), 1, "{history}");
    assert_eq!(drills[0]["result"], "passed", "{history}");
    assert_eq!(drills[0]["failed_requests"], 0, "{history}");
    let positive = |value: &Value| value.as_f64().is_some_and(|value| value > 0.0);
    for measured in ["back_seconds", "forward_seconds", "requests"] {
        assert!(positive(&drills[0][measured]), "{measured}: {history}");
    }
}

#[test]
fn a_probe_that_fails_from_the_start_touches_nothing() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.has_deployed("v2");
    let before = fleet.photograph();
    let run = shop
        .command("drill")
        .arg("--probe")
        .arg("http://127.0.0.1:1/version")
        .run();
    run.exits(4).says("before anything was touched");
    assert!(fleet.photograph().quiet() == before.quiet());
}

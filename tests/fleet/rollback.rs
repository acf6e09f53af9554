//! `nonstop rollback`: at once while the old slot is up, like a deploy when it is not.

use nonstop::demo::app::Health;
use serde_json::json;

use crate::fixture::{Fleet, Is, sick, small, spring};

#[test]
fn a_rollback_to_a_slot_that_was_kept_is_a_switch_alone() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/bake/then", json!("keep"));
    shop.has_deployed("v1");
    shop.has_deployed("v2");
    let old = fleet.photograph().listeners("was-1")[&8080];
    let load = shop.load();
    let run = shop.rollback().run();
    run.deployed();
    load.lost_nothing();
    for phase in ["upload", "start"] {
        assert!(!run.came(Is::PhaseStarted(phase)), "{run}");
    }
    let switch = run.end()["switch_took_seconds"].as_f64().expect("a time");
    println!(
        "rollback: {:?} in all, {switch:.3} s to the proof on every nginx",
        run.took
    );
    // The aim is two seconds; a busy machine gets some more.
    assert!(switch < 10.0, "{run}");
    shop.serves("v1");
    assert_eq!(
        fleet.photograph().listeners("was-1")[&8080],
        old,
        "the process that was kept"
    );
}

#[test]
fn a_rollback_to_a_slot_that_was_stopped_is_like_a_deploy() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.has_deployed("v2");
    let load = shop.load();
    let run = shop.rollback().run();
    run.deployed();
    assert!(run.came(Is::PhaseStarted("start")), "{run}");
    load.lost_nothing();
    shop.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn spring_boot_goes_back_to_the_slot_that_was_kept() {
    let fleet = Fleet::reset();
    let shop = fleet.spring_shop().with("/bake/then", json!("keep"));
    shop.has_deployed(spring("v1"));
    shop.has_deployed(spring("v2"));
    let load = shop.load();
    let run = shop.rollback().run();
    run.deployed();
    load.lost_nothing();
    println!(
        "rollback: {:?} in all, {} s to the proof",
        run.took,
        run.end()["switch_took_seconds"]
    );
    shop.serves("v1");
}

#[test]
fn a_rollback_goes_to_the_release_that_was_asked_for() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.has_deployed("v2");
    shop.has_deployed("v3");
    let now = fleet.photograph();
    let first = now
        .all("was-1", "release shop")
        .find(|id| id.contains("-v1-"))
        .expect("v1")
        .to_owned();
    let load = shop.load();
    shop.rollback().arg("--to").arg(&first).run().deployed();
    load.lost_nothing();
    shop.stands("v1", 8081);
}

#[test]
fn a_release_that_failed_is_never_gone_back_to_by_itself() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let bad = small("v2").behaving(sick::health(Health::Down));
    shop.deploy(bad).run().failed_before_the_switch();
    shop.has_deployed("v3");
    shop.rollback().run().deployed();
    shop.stands("v1", 8080);
}

#[test]
fn without_an_earlier_release_there_is_nothing_to_go_back_to() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.rollback().run().refused();
    shop.has_deployed("v1");
    let before = fleet.photograph();
    shop.rollback().run().refused();
    fleet.is_as_it_was(&before);
}

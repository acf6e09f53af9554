//! A single slot under load: hosts leave, change their release on the same port and come back, forward and back.

use nonstop::demo::app::Health;
use serde_json::json;

use crate::fixture::{App, Fleet, Is, WAS, sick, small};
use crate::hooks::{TOLD, told};

/// What a resume waits for at most: the lease of the one that died, and the watch of its last switch.
const PATIENCE: &str = "60s";

fn single(fleet: &Fleet) -> App<'_> {
    fleet
        .shop()
        .with(
            "/slots",
            json!({ "blue": { "group": "was", "port": 8080, "vars": { "profile": "real1" } } }),
        )
        .with("/update", json!({ "strategy": "rolling", "max_parallel": 1 }))
        .with("/bake", json!({ "for": "0s" }))
        .with("/lock", json!({ "lease": "5s" }))
        .with("/watch", json!({ "deadline": "10s" }))
}

#[test]
fn hosts_with_one_slot_change_their_release_and_lose_nothing() {
    let fleet = Fleet::reset();
    let shop = single(&fleet);
    shop.has_deployed("v1");
    shop.plan("v2").run().exits(0).says("going back is rolling too");
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.deployed().says("at least 1 of 2 stay in service");
    let commits = run
        .events
        .iter()
        .filter(|event| Is::PhaseStarted("commit").met(event));
    assert_eq!(commits.count(), 4, "out and in for each of two hosts:\n{run}");
    shop.stands("v2", 8080);
    shop.rollback().run().deployed();
    load.lost_nothing();
    shop.stands("v1", 8080);
}

#[test]
fn a_release_that_is_bad_on_the_second_host_is_led_back_host_by_host() {
    let fleet = Fleet::reset();
    let shop = single(&fleet);
    shop.has_deployed("v1");
    let load = shop.load();
    let bad = small("v2").behaving(sick::only_on("was-2", sick::health(Health::Down)));
    shop.deploy(bad).run().rolled_back().says("was-2");
    let summaries = load.lost_nothing();
    assert!(
        summaries.iter().any(|it| it.versions.contains_key("v2")),
        "v2 had traffic on was-1: {summaries:?}"
    );
    shop.stands("v1", 8080);
}

#[test]
fn a_controller_that_dies_while_a_host_is_out_is_gone_on_with() {
    let fleet = Fleet::reset();
    let shop = single(&fleet);
    shop.has_deployed("v1");
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    let second = run.awaits(|run| run.count(Is::PhaseStarted("start")) == 2);
    assert!(second, "the second host's instance starts");
    run.dies();
    shop.resume().arg("--lock-wait").arg(PATIENCE).run().deployed();
    load.lost_nothing();
    shop.stands("v2", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_controller_that_dies_before_any_host_has_changed_is_taken_back() {
    let fleet = Fleet::reset();
    let shop = single(&fleet);
    shop.has_deployed("v1");
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("drain"));
    run.dies();
    let resumed = shop.resume().arg("--lock-wait").arg(PATIENCE).run();
    resumed.ends(0, "rolled_back");
    load.lost_nothing();
    shop.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_hook_that_fails_on_the_second_host_leads_both_back_and_each_ran_once() {
    let fleet = Fleet::reset();
    for host in WAS {
        fleet.on(host, &format!("rm -f {TOLD}"));
    }
    let shop = single(&fleet);
    shop.has_deployed("v1");
    let tells = format!("echo \"$NONSTOP_HOOK $NONSTOP_PHASE $NONSTOP_OUTCOME\" >>{TOLD}");
    let validates = format!("{tells}; echo what is wrong; test \"$NONSTOP_HOST\" = was-1");
    let hooks = json!({ "before_stop": tells, "validate_service": validates, "on_failure": tells });
    let shop = shop.with("/hooks", hooks);
    let load = shop.load();
    shop.deploy("v2").run().rolled_back().says("what is wrong");
    load.lost_nothing();
    shop.stands("v1", 8080);
    for host in WAS {
        assert_eq!(
            told(&fleet, host),
            [
                "before_stop  ",
                "validate_service  ",
                "on_failure validate_service rolled_back"
            ],
            "{host}"
        );
    }
}

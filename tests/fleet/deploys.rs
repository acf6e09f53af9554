//! Deploys that go well: no request is lost, and afterwards one slot runs one release.

use serde_json::json;

use crate::fixture::{Fleet, Is, spring};

#[test]
fn three_deploys_in_a_row_lose_no_request_and_leave_one_slot_running() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.stands("v1", 8080);
    let load = shop.load();
    shop.has_deployed("v2");
    shop.stands("v2", 8081);
    shop.has_deployed("v3");
    shop.stands("v3", 8080);
    load.lost_nothing();
}

#[test]
fn spring_boot_is_deployed_three_times_and_loses_no_request() {
    let fleet = Fleet::reset();
    let shop = fleet.spring_shop();
    shop.has_deployed(spring("v1"));
    shop.stands("v1", 8080);
    assert_eq!(shop.answers("/profile"), ["real1"]);
    let load = shop.load();
    shop.has_deployed(spring("v2"));
    shop.stands("v2", 8081);
    assert_eq!(shop.answers("/profile"), ["real2"]);
    shop.has_deployed(spring("v3"));
    load.lost_nothing();
    shop.stands("v3", 8080);
}

#[test]
fn the_first_deploy_of_an_empty_fleet_stands() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    let run = shop.deploy("v1").run();
    run.deployed();
    shop.stands("v1", 8080);
    let planned = run.event(Is::Named("planned"));
    assert_eq!((&planned["from"], &planned["to"]), (&json!(null), &json!("blue")));
}

#[test]
fn a_deploy_through_the_bastion_loses_no_request_and_opens_one_connection_to_it() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with_inventory("inventory/fleet-bastion.yml");
    shop.has_deployed("v1");
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("verify"));
    let sessions = "for entry in /proc/[0-9]*; do tr '\\0' ' ' <$entry/cmdline; echo; done 2>/dev/null";
    let sessions = fleet.on(
        "bastion",
        &format!("{sessions} | grep -c '^sshd: deploy [[]priv' || true"),
    );
    run.wait().deployed();
    assert_eq!(sessions.trim(), "1", "sessions on the bastion");
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn the_same_jar_deployed_again_sends_nothing_and_moves_to_the_other_slot() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let load = shop.load();
    let run = shop.has_deployed("v1");
    load.lost_nothing();
    assert!(!run.came(Is::Named("uploaded")), "{run}");
    shop.stands("v1", 8081);
    assert_eq!(fleet.photograph().all("was-1", "release shop").count(), 1);
}

#[test]
fn only_as_many_releases_are_kept_as_the_playbook_says_and_never_fewer_than_run() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/release/keep", json!(2));
    for version in ["v1", "v2", "v3", "v4", "v5"] {
        shop.has_deployed(version);
    }
    shop.stands("v5", 8080);
    let now = fleet.photograph();
    let kept: Vec<&str> = now.all("was-1", "release shop").collect();
    // Those of both slots are not counted.
    assert!((2..=4).contains(&kept.len()), "{kept:?}");
    assert!(kept.iter().any(|release| release.contains("-v5-")), "{kept:?}");
    assert!(!kept.iter().any(|release| release.contains("-v1-")), "{kept:?}");
}

#[test]
fn plan_shows_what_deploy_will_do_and_changes_nothing() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let before = fleet.photograph().quiet();
    let plan = shop.plan("v2").run();
    plan.exits(0)
        .says("green")
        .says("8081")
        .says("shop.conf")
        .says("was-2");
    assert_eq!(fleet.photograph().quiet(), before, "a plan changes nothing");
    let plan = shop.plan("v2").arg("--json").run();
    plan.exits(0);
    assert!(plan.json().is_object());
}

#[test]
fn status_and_doctor_read_without_a_change() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let before = fleet.photograph().quiet();
    shop.command("status").run().exits(0).says("blue").says("v1");
    shop.command("status").arg("--json").run().exits(0).json();
    shop.command("doctor").run().exits(0);
    shop.command("doctor").arg("--json").run().exits(0).json();
    shop.command("logs").run().exits(0).says("Started demo-app");
    shop.command("status").arg("--limit").arg("was-*").run().exits(0);
    assert_eq!(fleet.photograph().quiet(), before, "reading changes nothing");
}

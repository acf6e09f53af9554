//! One at a time: who comes second waits or is told who is at work.

use serde_json::json;

use crate::fixture::{Fleet, Is, NGINX, WAS};

#[test]
fn a_second_deploy_exits_5_and_names_the_first() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/health/min_healthy_time", json!("3s"));
    shop.clone()
        .with("/health/min_healthy_time", json!("300ms"))
        .has_deployed("v1");
    let load = shop.load();
    let mut first = shop
        .deploy("v2")
        .env("BUILD_URL", "https://ci.test/job/shop/42/")
        .start();
    first.reaches(Is::PhaseStarted("verify"));
    let second = shop.deploy("v3").run();
    second.exits(5).says("https://ci.test/job/shop/42/");
    first.wait().deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn a_second_deploy_waits_when_it_is_told_to_and_nothing_interleaves() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let load = shop.load();
    let mut first = shop.deploy("v2").start();
    first.reaches(Is::PhaseStarted("start"));
    let second = shop.deploy("v3").arg("--lock-wait").arg("60s").start();
    let (first, second) = (first.wait(), second.wait());
    first.deployed();
    second.deployed();
    assert!(second.came(Is::Named("lock_waiting")), "{second}");
    let planned = second.event(Is::Named("planned"))["at"]
        .as_str()
        .expect("a time")
        .to_owned();
    let ended = first.end()["at"].as_str().expect("a time").to_owned();
    let times = (time(&ended), time(&planned));
    assert!(
        times.0 <= times.1,
        "the second planned at {planned}, the first ended at {ended}"
    );
    load.lost_nothing();
    shop.stands("v3", 8080);
}

fn time(text: &str) -> jiff::Timestamp {
    text.parse().expect("a time")
}

#[test]
fn two_deploys_that_begin_at_once_do_not_stop_each_other() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let load = shop.load();
    let one = shop.deploy("v2").start();
    let other = shop.deploy("v3").start();
    let (one, other) = (one.wait(), other.wait());
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 5], "{one}{other}");
    load.lost_nothing();
    shop.stands(if one.code() == 0 { "v2" } else { "v3" }, 8081);
}

#[test]
fn a_lock_that_a_person_took_holds_until_it_is_given_back() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    shop.command("lock")
        .arg("--message")
        .arg("release freeze")
        .run()
        .exits(0);
    let before = fleet.photograph();
    for host in WAS.into_iter().chain(NGINX) {
        assert_eq!(before.all(host, "lock").count(), 1, "{host} is locked");
    }
    shop.deploy("v2").run().exits(5).says("release freeze");
    shop.serves("v1");
    shop.command("unlock")
        .run()
        .exits(0)
        .says("release freeze")
        .says("freed on nginx-1, ");
    fleet.is_tidy();
    shop.has_deployed("v2");
    shop.stands("v2", 8081);
}

#[test]
fn a_lock_that_was_broken_in_the_middle_stops_the_run_that_held_it() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/health/min_healthy_time", json!("3s"));
    shop.clone()
        .with("/health/min_healthy_time", json!("300ms"))
        .has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("verify"));
    shop.command("unlock").arg("--force").run().exits(0);
    let run = run.wait();
    run.ends(5, "taken_over");
    load.lost_nothing();
    shop.serves("v1");
    let after = fleet.photograph();
    assert_eq!(
        after.of_files(),
        before.of_files(),
        "nginx was touched without the lock"
    );
}

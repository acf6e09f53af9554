//! Little memory: a cgroup's limit on one host, seen before a run begins, and the kernel's own end of processes.

use nonstop::demo::app::{AtStart, Behaviour, Health};
use serde_json::json;

use crate::fixture::{App, Fleet, Small, sick, small};

/// The host that has little.
const POOR: &str = "was-2";

/// A version that takes so much of it there.
fn hungry(version: &str, mebibytes: usize, health: Health) -> Small {
    let behaviour = Behaviour {
        at_start: AtStart::Eat(mebibytes),
        health,
        ..Behaviour::default()
    };
    small(version).behaving(sick::only_on(POOR, behaviour))
}

/// The shop on a fleet whose poor host has so many MiB.
fn shop(fleet: &Fleet, mebibytes: u32) -> App<'_> {
    fleet.ctl(&["memory", POOR, &mebibytes.to_string()]);
    fleet.shop()
}

/// The same for somebody who does not look before.
fn careless<'f>(shop: &App<'f>) -> App<'f> {
    shop.clone().with("/memory", json!({ "check": "off" }))
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_release_that_the_kernel_kills_at_its_start_is_told_as_that_and_taken_back() {
    let fleet = Fleet::reset();
    let shop = shop(&fleet, 160);
    careless(&shop).has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let run = careless(&shop).deploy(hungry("v2", 400, Health::Up)).run();
    run.failed_before_the_switch().says(POOR).says("out of memory");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_live_instance_that_the_kernel_kills_for_a_new_one_is_started_again() {
    let fleet = Fleet::reset();
    let shop = shop(&fleet, 220);
    careless(&shop).has_deployed(hungry("v1", 120, Health::Up));
    let before = fleet.photograph();
    let killed_before = before.listeners(POOR)[&8080];
    let load = shop.load();
    // Who looks is told before anything is touched.
    let bad = || hungry("v2", 100, Health::Down);
    shop.deploy(bad())
        .run()
        .refused()
        .says(POOR)
        .says("of memory available, and a second instance needs");
    load.lost_nothing();
    fleet.is_as_it_was(&before);

    let run = careless(&shop).deploy(bad()).run();
    run.failed_before_the_switch().says(&format!("{POOR}:8080"));
    shop.stands("v1", 8080);
    let now = fleet.photograph();
    assert_ne!(
        now.listeners(POOR)[&8080],
        killed_before,
        "the kernel killed it:\n{run}"
    );
    let (other, was) = (now.listeners("was-1")[&8080], before.listeners("was-1")[&8080]);
    assert_eq!(other, was, "the other host's is the one of before");
}

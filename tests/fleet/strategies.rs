//! Every strategy under load: the routings that it has, a bad release in the middle, a person who says when, a
//! controller that dies between two routings, and slots on two sets of hosts.

use std::collections::HashMap;

use nonstop::demo::app::Health;
use serde_json::{Value, json};

use crate::fixture::{App, Fleet, Is, WAS, get, sick, small};

/// How many requests a weight is measured by.
const ASKED: u32 = 1_000;

/// What a resume waits for at most: the lease of the one that died, and the watch of its last switch.
const PATIENCE: &str = "60s";

fn rolling(fleet: &Fleet) -> App<'_> {
    with_short_lease(fleet.shop()).with("/update", json!({ "strategy": "rolling", "max_parallel": 1 }))
}

fn canary(fleet: &Fleet, steps: Value) -> App<'_> {
    let update = HashMap::from([("strategy", json!("canary")), ("steps", steps)]);
    with_short_lease(fleet.shop()).with("/update", json!(update))
}

fn with_short_lease(shop: App<'_>) -> App<'_> {
    shop.with("/lock", json!({ "lease": "5s" }))
        .with("/watch", json!({ "deadline": "10s" }))
}

/// What each of the two nginx hosts answers a number of times: how often it is this version.
fn share_of(version: &str) -> f64 {
    let mut of_version = 0;
    for (_, port) in App::listeners() {
        for _ in 0..ASKED / 2 {
            let answer = get(port, "shop.test", "/version").expect("an answer");
            of_version += u32::from(answer.body == version);
        }
    }
    f64::from(of_version) / f64::from(ASKED)
}

/// A thousand requests of which `share` go to one side are within four standard deviations of it.
#[track_caller]
fn gets(version: &str, share: f64) {
    let seen = share_of(version);
    let deviation = (share * (1.0 - share) / f64::from(ASKED)).sqrt();
    println!("{version} gets {:.1} % of {ASKED} requests", seen * 100.0);
    assert!(
        (seen - share).abs() < 4.0 * deviation,
        "{version} gets {seen}, not {share}"
    );
}

#[test]
fn rolling_changes_host_by_host_and_loses_nothing() {
    let fleet = Fleet::reset();
    let shop = rolling(&fleet);
    shop.has_deployed("v1");
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.deployed();
    load.lost_nothing();
    let commits = run
        .events
        .iter()
        .filter(|event| Is::PhaseStarted("commit").met(event));
    assert_eq!(commits.count(), 2, "a switch for each of two hosts:\n{run}");
    shop.stands("v2", 8081);
    // Whoever goes back wants it at once.
    let run = shop.rollback().run();
    run.deployed();
    shop.stands("v1", 8080);
}

#[test]
fn a_rolling_release_that_is_bad_on_the_last_host_leaves_the_first_one_as_well() {
    let fleet = Fleet::reset();
    let shop = rolling(&fleet);
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let bad = small("v2").behaving(sick::only_on("was-2", sick::health(Health::Down)));
    let run = shop.deploy(bad).run();
    run.rolled_back().says("was-2");
    let summaries = load.lost_nothing();
    assert!(
        summaries.iter().any(|it| it.versions.contains_key("v2")),
        "v2 had traffic on was-1: {summaries:?}"
    );
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_controller_that_dies_between_two_hosts_is_gone_on_with() {
    let fleet = Fleet::reset();
    let shop = rolling(&fleet);
    shop.has_deployed("v1");
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    let second = run.awaits(|run| run.count(Is::PhaseStarted("start")) == 2);
    assert!(second, "the second host's instance starts");
    run.dies();
    let resumed = shop.resume().arg("--lock-wait").arg(PATIENCE).run();
    resumed.deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn a_canary_gets_what_it_was_given_waits_and_is_promoted_from_another_machine() {
    let fleet = Fleet::reset();
    let steps = json!([
        { "weight": 5, "hold": "1s" },
        { "weight": 25, "hold": "until_promoted" }
    ]);
    let shop = canary(&fleet, steps);
    shop.has_deployed("v1");
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.ends(0, "waiting").says("nonstop promote");
    gets("v2", 0.25);
    shop.runs_on(&[8080, 8081]);
    let status = shop.command("status").run();
    status.exits(0).says("promote");
    // Nothing else begins meanwhile, and what resume is for is not this.
    let waits = run.event(Is::Named("run_started"))["run"]
        .as_str()
        .expect("a run")
        .to_owned();
    let before = fleet.photograph();
    shop.deploy("v3").run().exits(5).says(&waits);
    shop.resume().run().exits(0);
    fleet.is_as_it_was(&before);
    let elsewhere = shop.clone().elsewhere().promote().in_another_folder().run();
    elsewhere.deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_canary_that_waits_is_taken_back_by_a_rollback() {
    let fleet = Fleet::reset();
    let shop = canary(&fleet, json!([{ "weight": 50, "hold": "until_promoted" }]));
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    shop.deploy("v2").run().ends(0, "waiting");
    gets("v2", 0.5);
    shop.rollback().run().exits(0);
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_canary_that_gets_ill_leaves_no_weights_behind() {
    let fleet = Fleet::reset();
    let steps = json!([{ "weight": 10, "hold": "300ms" }, { "weight": 50, "hold": "20s" }]);
    let shop = canary(&fleet, steps);
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let bad = small("v2").behaving(sick::health(Health::DownAfterRequests(60)));
    shop.deploy(bad).run().rolled_back().says("503");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_controller_that_dies_while_a_canary_is_watched_is_gone_on_with() {
    let fleet = Fleet::reset();
    let shop = canary(&fleet, json!([{ "weight": 20, "hold": "3s" }]));
    shop.has_deployed("v1");
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("hold"));
    run.dies();
    gets("v2", 0.2);
    shop.resume().arg("--lock-wait").arg(PATIENCE).run().deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn a_new_slot_waits_for_a_person_before_it_gets_anything() {
    let fleet = Fleet::reset();
    let shop = with_short_lease(fleet.shop()).with("/update", json!({ "auto_promote": false }));
    fleet.shop().has_deployed("v1");
    let load = shop.load();
    shop.deploy("v2").run().ends(0, "waiting");
    shop.serves("v1");
    shop.runs_on(&[8080, 8081]);
    shop.promote().run().deployed();
    load.lost_nothing();
    shop.stands("v2", 8081);
}

/// A shop whose slots are a host each.
fn on_two_sets(fleet: &Fleet) -> App<'_> {
    let set = |host: &str| json!({ "hosts": { host: {} } });
    with_short_lease(fleet.shop())
        .inventory("/all/children/was_a", set("was-1"))
        .inventory("/all/children/was_b", set("was-2"))
        .with(
            "/slots",
            json!({
                "blue": { "group": "was_a", "port": 8080, "vars": { "profile": "real1" } },
                "green": { "group": "was_b", "port": 8080, "vars": { "profile": "real2" } },
            }),
        )
}

/// Demands that this version alone is live, and up on this host alone.
#[track_caller]
fn is_live_on(fleet: &Fleet, shop: &App<'_>, host: &str, version: &str) {
    shop.serves(version);
    let now = fleet.is_tidy();
    for it in WAS {
        let ports: Vec<u16> = now.listeners(it).into_keys().collect();
        let wanted: &[u16] = if it == host { &[8080] } else { &[] };
        assert_eq!(ports, wanted, "ports that are listened on on {it}");
    }
}

#[test]
fn slots_on_two_sets_of_hosts_change_places() {
    let fleet = Fleet::reset();
    let shop = on_two_sets(&fleet);
    shop.has_deployed("v1");
    is_live_on(&fleet, &shop, "was-1", "v1");
    let load = shop.load();
    shop.has_deployed("v2");
    is_live_on(&fleet, &shop, "was-2", "v2");
    let before = fleet.photograph();
    let bad = small("v3").behaving(sick::health(Health::Down));
    shop.deploy(bad).run().failed_before_the_switch();
    fleet.is_as_it_was(&before);
    shop.rollback().run().deployed();
    load.lost_nothing();
    is_live_on(&fleet, &shop, "was-1", "v1");
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_release_that_gets_ill_on_its_set_of_hosts_gives_the_other_its_place_back() {
    let fleet = Fleet::reset();
    let shop = on_two_sets(&fleet);
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let bad = small("v2").behaving(sick::health(Health::DownAfterRequests(40)));
    let baking = shop.clone().with("/bake/for", json!("20s"));
    baking.deploy(bad).run().rolled_back().says("503");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    is_live_on(&fleet, &shop, "was-1", "v1");
}

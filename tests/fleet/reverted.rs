//! Deploys that fail after the switch: traffic goes back to where it was, without a lost request, and
//! the exit code is 7.

use nonstop::demo::app::Health;
use serde_json::json;

use crate::fixture::{Fleet, Is, sick, small};

#[test]
fn a_reload_that_answers_0_and_is_refused_is_seen_and_all_is_put_back() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    // nginx tests no port that it does not have yet: only the reload finds out.
    fleet.ctl(&["squat", "nginx-2", "8088"]);
    let before = fleet.photograph();
    let load = shop.load();
    let shop = shop.with_site_line("listen 8088;");
    let run = shop.deploy("v2").run();
    run.rolled_back().says("nginx-2").says("8088");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_release_that_gets_ill_under_traffic_goes_back_by_itself() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/bake/for", json!("20s"));
    shop.clone().with("/bake/for", json!("0s")).has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let bad = small("v2").behaving(sick::health(Health::DownAfterRequests(40)));
    let run = shop.deploy(bad).run();
    run.rolled_back().says("503");
    let summaries = load.lost_nothing();
    assert!(
        summaries.iter().all(|it| it.versions.contains_key("v2")),
        "v2 had traffic: {summaries:?}"
    );
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_new_instance_that_dies_in_the_bake_goes_back_by_itself() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/bake/for", json!("20s"));
    shop.clone().with("/bake/for", json!("0s")).has_deployed("v1");
    let before = fleet.photograph();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("bake"));
    fleet.ctl(&["kill-app", "was-2", "8081"]);
    run.wait().rolled_back().says("was-2");
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn the_revert_of_a_first_deploy_leaves_what_was_there_before() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    let before = fleet.photograph();
    fleet.ctl(&["squat", "nginx-2", "8088"]);
    let run = shop.clone().with_site_line("listen 8088;").deploy("v1").run();
    run.rolled_back().says("nginx-2");
    let after = fleet.photograph();
    assert!(
        after.of_files() == before.of_files(),
        "changed:\n{}",
        after.of_files().difference(&before.of_files())
    );
    shop.runs_on(&[]);
    fleet.is_tidy();
    shop.has_deployed("v2");
    shop.stands("v2", 8080);
}

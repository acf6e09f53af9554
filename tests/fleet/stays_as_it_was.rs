//! Deploys that fail before the switch: nginx and every process that serves stay what they were, no
//! request is lost, and the exit code is 6.

use std::time::Duration;

use nonstop::demo::app::{AtStart, Health};
use serde_json::json;

use crate::fixture::{App, Artifact, Fleet, Is, Run, sick, small, spring};

/// Deploys v1, then something that fails, under load.
fn fails(fleet: &Fleet, shop: &App<'_>, first: impl Into<Artifact>, bad: impl Into<Artifact>) -> Run {
    shop.has_deployed(first);
    let before = fleet.photograph();
    let load = shop.load();
    let run = shop.deploy(bad).run();
    run.failed_before_the_switch();
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
    run
}

#[test]
fn one_was_host_that_is_never_healthy() {
    let fleet = Fleet::reset();
    let bad = small("v2").behaving(sick::only_on("was-2", sick::health(Health::Down)));
    let run = fails(&fleet, &fleet.shop(), "v1", bad);
    run.says("was-2").says("503");
}

#[test]
fn one_was_host_that_crashes_at_start_ends_the_wait_at_once_with_its_log() {
    let fleet = Fleet::reset();
    let bad = small("v2").behaving(sick::only_on("was-2", sick::start(AtStart::Crash)));
    let shop = fleet.shop().with("/health/healthy_deadline", json!("60s"));
    let run = fails(&fleet, &shop, "v1", bad);
    run.says("was-2").says("this version crashes at start");
    assert!(
        run.took < Duration::from_secs(30),
        "waited for a process that was gone: {:?}",
        run.took
    );
}

#[test]
fn health_that_answers_200_with_unknown() {
    let fleet = Fleet::reset();
    let bad = small("v2").behaving(sick::health(Health::Unknown));
    let run = fails(&fleet, &fleet.shop(), "v1", bad);
    run.says("UNKNOWN");
}

#[test]
#[ignore = "a minute, and its like with the small application stays: make test-all"]
fn spring_boot_that_is_unhealthy_on_one_host() {
    let fleet = Fleet::reset();
    let shop = fleet.spring_shop().with("/health/healthy_deadline", json!("40s"));
    let run = fails(&fleet, &shop, spring("v1"), spring("unhealthy-was-2"));
    run.says("was-2").says("503");
}

#[test]
fn spring_boot_that_crashes_on_one_host() {
    let fleet = Fleet::reset();
    let run = fails(&fleet, &fleet.spring_shop(), spring("v1"), spring("crash-was-2"));
    run.says("was-2").says("this release crashes at start");
}

#[test]
#[ignore = "a minute, and its like with the small application stays: make test-all"]
fn spring_boot_that_says_unknown() {
    let fleet = Fleet::reset();
    let shop = fleet.spring_shop().with("/health/healthy_deadline", json!("40s"));
    let run = fails(&fleet, &shop, spring("v1"), spring("unknown"));
    run.says("UNKNOWN");
}

#[test]
fn an_upload_that_is_cut_in_the_middle() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let mut run = shop.deploy(small("v2").sized(96 << 20)).start();
    run.reaches(Is::Named("uploaded"));
    fleet.ctl(&["hangup", "was-2"]);
    let run = run.wait();
    run.failed_before_the_switch().says("was-2");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
    // What was cut off does not stand in the way of the next one.
    shop.has_deployed("v2");
    shop.stands("v2", 8081);
}

#[test]
fn a_disk_that_fills_up_in_mid_upload() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/release/dir", json!("/srv/small/shop"));
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let load = shop.load();
    let mut run = shop.deploy(small("v2").sized(36 << 20)).start();
    run.reaches(Is::Named("uploaded"));
    fleet.fills_up("was-2");
    let run = run.wait();
    run.failed_before_the_switch().says("was-2").says("No space left");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn a_candidate_that_one_nginx_refuses() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    // There on the first host alone.
    fleet.on(
        "nginx-1",
        "echo 'add_header X-Shop yes;' >/etc/nginx/snippets/shop-headers.conf",
    );
    let before = fleet.photograph();
    let load = shop.load();
    let shop = shop.with_site_line("include snippets/shop-headers.conf;");
    let run = shop.deploy("v2").run();
    run.failed_before_the_switch()
        .says("nginx-2")
        .says("shop-headers.conf");
    load.lost_nothing();
    assert!(
        fleet.photograph().of_files() == before.of_files(),
        "files below /etc/nginx changed"
    );
    fleet.on("nginx-1", "rm /etc/nginx/snippets/shop-headers.conf");
    shop.stands("v1", 8080);
}

#[test]
fn a_release_that_failed_is_marked_and_a_good_one_goes_through_afterwards() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    fails(
        &fleet,
        &shop,
        "v1",
        small("v2").behaving(sick::health(Health::Down)),
    );
    let now = fleet.photograph();
    for host in crate::fixture::WAS {
        let marked: Vec<&str> = now
            .all(host, "release shop")
            .filter(|it| it.ends_with(" failed"))
            .collect();
        assert!(
            marked.len() == 1 && marked[0].contains("v2"),
            "{host}: {marked:?}"
        );
    }
    shop.has_deployed("v3");
    shop.stands("v3", 8081);
}

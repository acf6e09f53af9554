//! A fleet that an older script left behind: start scripts and an nginx file for each port. It works
//! at once, and the way back leads to exactly what the script had left.

use nonstop::demo::app::Health;
use serde_json::json;

use crate::fixture::{App, Fleet, HomeMade, Is, sick, small, spring};

/// The playbook that keeps using the script's own files.
fn sokdak(fleet: &Fleet) -> App<'_> {
    fleet
        .shop()
        .with_playbook("playbooks/fleet-conf-per-slot.yml", "sokdak.test")
}

#[test]
fn a_fleet_of_the_old_script_is_taken_over_without_a_lost_request() {
    let fleet = Fleet::reset();
    HomeMade::small().set_up(&fleet, "v1");
    let sokdak = sokdak(&fleet);
    let load = sokdak.load();
    let run = sokdak.has_deployed("v2");
    let planned = run.event(Is::Named("planned"));
    assert_eq!(
        (&planned["from"], &planned["to"]),
        (&json!("blue"), &json!("green"))
    );
    sokdak.stands("v2", 8081);
    sokdak.has_deployed("v3");
    load.lost_nothing();
    sokdak.stands("v3", 8080);
    let files = fleet.on(
        "nginx-1",
        "ls /etc/nginx/sites-enabled; cat /etc/nginx/sites-enabled/sokdak.conf",
    );
    assert!(
        !files.contains("sokdak-80"),
        "the old name is still there: {files}"
    );
    assert!(files.contains("8080"), "{files}");
}

#[test]
#[ignore = "for the time: make test-all"]
fn spring_boot_that_the_old_script_started_is_stopped_by_its_identity() {
    let fleet = Fleet::reset();
    HomeMade::spring().set_up(&fleet, "v1");
    let sokdak = sokdak(&fleet);
    let load = sokdak.load();
    sokdak.has_deployed(spring("v2"));
    load.lost_nothing();
    sokdak.stands("v2", 8081);
}

#[test]
fn the_revert_of_a_take_over_brings_the_old_name_back() {
    let fleet = Fleet::reset();
    HomeMade::small().set_up(&fleet, "v1");
    let before = fleet.photograph();
    let sokdak = sokdak(&fleet).with("/bake", json!({ "for": "20s", "then": "stop" }));
    let mut run = sokdak.deploy("v2").start();
    run.reaches(Is::PhaseStarted("bake"));
    sokdak.serves("v2");
    fleet.ctl(&["kill-app", "was-1", "8081"]);
    run.wait().rolled_back();
    fleet.is_as_it_was(&before);
    sokdak.stands("v1", 8080);
}

#[test]
#[ignore = "for the time: make test-all"]
fn a_release_that_gets_ill_under_traffic_gives_the_old_scripts_file_back() {
    let fleet = Fleet::reset();
    HomeMade::small().set_up(&fleet, "v1");
    let before = fleet.photograph();
    let sokdak = sokdak(&fleet).with("/bake", json!({ "for": "20s", "then": "stop" }));
    let load = sokdak.load();
    let bad = small("v2").behaving(sick::health(Health::DownAfterRequests(40)));
    sokdak.deploy(bad).run().rolled_back().says("503");
    let summaries = load.lost_nothing();
    assert!(
        summaries.iter().all(|it| it.versions.contains_key("v2")),
        "v2 had traffic: {summaries:?}"
    );
    fleet.is_as_it_was(&before);
    sokdak.stands("v1", 8080);
}

#[test]
fn a_site_that_we_render_takes_the_old_scripts_file_over_and_gives_it_back() {
    let fleet = Fleet::reset();
    HomeMade::small().set_up(&fleet, "v1");
    let before = fleet.photograph();
    let mut sokdak = fleet
        .shop()
        .with("/app", json!("sokdak"))
        .with("/release/dir", json!("/home/deploy/sokdak"));
    sokdak = sokdak
        .with("/nginx/site/file", json!("/etc/nginx/sites-enabled/sokdak.conf"))
        .with("/nginx/site/server_name", json!("sokdak.test"));
    sokdak.site = "sokdak.test".to_owned();
    let baking = sokdak.clone().with("/bake/for", json!("20s"));
    let mut run = baking.deploy("v2").start();
    run.reaches(Is::PhaseStarted("bake"));
    run.interrupt();
    run.wait().ends(130, "rolled_back");
    fleet.is_as_it_was(&before);
    let load = sokdak.load();
    sokdak.has_deployed("v3");
    load.lost_nothing();
    sokdak.stands("v3", 8081);
}

#[test]
fn an_entry_that_links_into_sites_available_stays_a_link() {
    let fleet = Fleet::reset();
    HomeMade::small().set_up(&fleet, "v1");
    for host in crate::fixture::NGINX {
        fleet.on(
            host,
            "cd /etc/nginx && mv sites-enabled/sokdak-8080.conf sites-available/sokdak.conf &&
             ln -s ../sites-available/sokdak.conf sites-enabled/sokdak.conf && nginx -s reload",
        );
    }
    let sokdak = sokdak(&fleet);
    let load = sokdak.load();
    sokdak.has_deployed("v2");
    load.lost_nothing();
    sokdak.serves("v2");
    let link = fleet.on("nginx-1", "readlink /etc/nginx/sites-enabled/sokdak.conf");
    assert_eq!(link.trim(), "../sites-available/sokdak.conf");
}

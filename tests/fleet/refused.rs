//! Deploys that are refused before any change: the exit code is 4, all reasons are said, and nothing on
//! any host is another than before.

use serde_json::json;

use crate::fixture::{App, Fleet, NGINX, Run};

/// Demands that a deploy is refused, under load, and that nothing at all changes.
fn is_refused(fleet: &Fleet, shop: &App<'_>) -> Run {
    let before = fleet.photograph();
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.refused();
    load.lost_nothing();
    let after = fleet.photograph().quiet();
    assert!(
        after == before.quiet(),
        "changed:\n{}",
        after.difference(&before.quiet())
    );
    shop.serves("v1");
    run
}

#[test]
fn one_host_that_cannot_be_reached() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.on("was-2", "kill $(cat /run/sshd.pid)");
    is_refused(&fleet, &shop).says("was-2");
}

#[test]
#[ignore = "for the time: make test-all"]
fn one_host_that_does_not_answer_at_all() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["cut", "nginx-2", "controller"]);
    // Its listener cannot be reached either: no load here.
    let run = shop.deploy("v2").run();
    fleet.ctl(&["mend", "nginx-2"]);
    run.refused().says("nginx-2");
    shop.stands("v1", 8080);
}

#[test]
fn a_changed_host_key_is_named_with_its_file_and_line() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let known = std::fs::read_to_string(fleet.state().join("known_hosts")).expect("known_hosts");
    let key_of = |name: &str| {
        let line = known.lines().find(|line| line.contains(name)).expect("a host");
        line.split_once(' ').expect("a key").1.to_owned()
    };
    let forged = known.replace(&key_of("was-1"), &key_of("bastion"));
    let file = fleet.file("known_hosts", &forged);
    let file = file.to_str().expect("text");
    let shop = shop.inventory("/all/vars/user_known_hosts_file", json!(file));
    is_refused(&fleet, &shop).says("was-1").says(&format!("{file}:1"));
}

#[test]
fn a_foreign_process_on_the_idle_port() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["squat", "was-2", "8081"]);
    is_refused(&fleet, &shop).says("was-2").says("8081");
}

#[test]
fn too_little_disk() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/release/dir", json!("/srv/small/shop"));
    shop.has_deployed("v1");
    fleet.ctl(&["fill", "was-1", "20"]);
    is_refused(&fleet, &shop).says("was-1").says("free for releases");
}

#[test]
fn sudo_that_refuses() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["sudoers", "nginx-2", "none"]);
    is_refused(&fleet, &shop).says("nginx-2").says("sudo");
}

#[test]
fn nginx_hosts_that_disagree_on_the_live_slot() {
    let fleet = Fleet::reset();
    let shop = fleet.shop().with("/bake/then", json!("keep"));
    shop.has_deployed("v0");
    fleet.on("nginx-2", "cp -a /etc/nginx/sites-enabled/shop.conf /root/blue");
    shop.has_deployed("v1");
    fleet.on(
        "nginx-2",
        "cp -a /root/blue /etc/nginx/sites-enabled/shop.conf && nginx -s reload",
    );
    let before = fleet.photograph();
    let load = shop.load();
    let run = shop.deploy("v2").run();
    run.refused()
        .says("nginx-1")
        .says("nginx-2")
        .says("blue")
        .says("green");
    load.lost_nothing();
    let after = fleet.photograph().quiet();
    assert!(
        after == before.quiet(),
        "changed:\n{}",
        after.difference(&before.quiet())
    );
}

#[test]
fn a_stray_file_that_would_win_over_ours() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let stray = "server { listen 80; server_name shop.test; location / { proxy_pass http://was-1:8080; } }";
    fleet.on(
        "nginx-1",
        &format!("echo '{stray}' >/etc/nginx/sites-enabled/a-shop.conf"),
    );
    is_refused(&fleet, &shop).says("nginx-1").says("a-shop.conf");
}

#[test]
fn all_findings_of_all_hosts_are_said_at_once() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["squat", "was-2", "8081"]);
    fleet.ctl(&["sudoers", "nginx-1", "none"]);
    fleet.on("nginx-2", "echo 'nonsense' >/etc/nginx/conf.d/broken.conf");
    let run = is_refused(&fleet, &shop);
    for words in ["was-2", "8081", "nginx-1", "sudo", "nginx-2", "broken.conf"] {
        run.says(words);
    }
}

#[test]
fn an_nginx_host_that_an_earlier_run_knew_and_the_inventory_lacks() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let without = shop
        .clone()
        .inventory_without(&format!("/all/children/nginx/hosts/{}", NGINX[1]));
    is_refused(&fleet, &without).says("nginx-2");
    // The same host back in the inventory: nothing to mend.
    shop.has_deployed("v2");
    shop.stands("v2", 8081);
}

#[test]
fn limit_on_a_command_that_changes_the_fleet_is_a_usage_error() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let before = fleet.photograph();
    shop.deploy("v2")
        .arg("--limit")
        .arg("was-1")
        .run()
        .exits(2)
        .says("--limit");
    shop.rollback()
        .arg("--limit")
        .arg("was-1")
        .run()
        .exits(2)
        .says("--limit");
    shop.command("lock").arg("--limit").arg("was-1").run().exits(2);
    assert_eq!(fleet.photograph().quiet(), before.quiet());
}

//! A host dies or restarts in the middle of a deploy, or stays away.

use serde_json::json;

use super::links::says_the_truth;
use super::scene::Scene;
use crate::fixture::{Edge, Fate, Fleet, Is, Stop};

/// Waits until the file leads to the new slot.
const IN_PLACE: &str = "tries=0
    until grep -q ':8081 ' /etc/nginx/sites-enabled/shop.conf; do
        tries=$((tries + 1))
        [ $tries -lt 500 ] || { echo 'the new file does not come'; exit 1; }
        sleep 0.02
    done";

#[test]
fn nginx_that_is_killed_in_mid_commit_and_started_again() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    let old = scene.live.clone();
    let commit = Stop {
        script: "commit",
        host: "nginx-2",
        edge: Edge::Begin,
    };
    let shop = scene.patient_shop();
    let load = shop.load();
    scene.gate.clear();
    scene.gate.hold(commit);
    let mut run = shop.deploy("v2").start();
    assert!(run.awaits(|_| scene.gate.count(commit) > 0), "no commit");
    // A master that sleeps hears of no reload: the new file is in place, and nothing is proven.
    fleet.on("nginx-2", "kill -STOP \"$(cat /run/nginx.pid)\"");
    scene.gate.open(commit, Fate::GoesOn);
    fleet.on("nginx-2", IN_PLACE);
    fleet.ctl(&["crash-nginx", "nginx-2"]);
    fleet.on("nginx-2", "nginx");
    let run = run.wait();
    println!("exit code {}, {}", run.code(), run.end()["outcome"]);
    scene.awaits_watches();
    says_the_truth(&scene, &run, &old, "v2");
    scene.deploys(&shop, "v3");
    load.lost_nothing_through(&["nginx-1"]);
    shop.stands("v3", scene.live.port);
}

/// A reload that nginx answers with 0 and refuses: it tests no port that it does not have yet.
pub(super) fn refused(scene: &mut Scene<'_>) {
    let old = scene.live.clone();
    let version = scene.next_version();
    let shop = scene.patient_shop();
    let load = shop.load();
    scene.fleet.ctl(&["squat", "nginx-2", "8088"]);
    let run = shop.with_site_line("listen 8088;").deploy(version.as_str()).run();
    println!("exit code {}, {}", run.code(), run.end()["outcome"]);
    scene.awaits_watches();
    run.rolled_back();
    says_the_truth(scene, &run, &old, &version);
    load.lost_nothing();
    scene.fleet.shop().stands(&old.version, old.port);
}

#[test]
#[ignore = "the same as in `reverted`, with gates and watches: make test-all"]
fn a_reload_that_is_refused_while_every_watch_is_armed() {
    let fleet = Fleet::reset();
    refused(&mut Scene::begin(&fleet));
}

#[test]
fn a_was_host_that_restarts_in_the_bake() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    let old = scene.live.clone();
    let shop = scene.patient_shop().with("/bake/for", json!("30s"));
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("bake"));
    fleet.ctl(&["power-off", "was-2"]);
    fleet.ctl(&["power-on", "was-2"]);
    let run = run.wait();
    println!("exit code {}, {}", run.code(), run.end()["outcome"]);
    let routes = scene.routes();
    let live = routes.uniform().unwrap_or_else(|| panic!("{routes}{run}"));
    if run.code() == 7 {
        assert_eq!(*live, old, "{routes}{run}");
    } else {
        // Each slot has lost an instance: it may not go back to less than it has.
        run.exits(8);
    }
    let now = fleet.photograph();
    assert!(now.listeners("was-1").contains_key(&live.port), "{routes}{run}");
    let shop = fleet.shop();
    scene.deploys(&shop, "v3");
    load.lost_nothing();
    shop.stands("v3", scene.live.port);
}

#[test]
#[ignore = "for the time: make test-all"]
fn an_nginx_host_that_restarts_while_it_is_armed() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    let confirms = ["nginx-1", "nginx-2"].map(|host| Stop {
        script: "confirm",
        host,
        edge: Edge::Begin,
    });
    let shop = scene.patient_shop();
    let load = shop.load();
    scene.gate.clear();
    for confirm in confirms {
        scene.gate.hold(confirm);
    }
    let mut run = shop.deploy("v2").start();
    let held = run.awaits(|_| confirms.iter().all(|confirm| scene.gate.count(*confirm) > 0));
    assert!(held, "no confirm");
    run.dies();
    for confirm in confirms {
        scene.gate.open(confirm, Fate::Lost);
    }
    fleet.ctl(&["power-off", "nginx-2"]);
    fleet.ctl(&["power-on", "nginx-2"]);
    scene.awaits_watches();
    // One watch has gone home; the other died with its host: the split that the design names.
    let routes = scene.routes();
    assert!(routes.is_split(), "{routes}");
    scene.is_up(&routes);
    shop.command("status").run().says("MIXED");
    scene.deploys(&shop, "v3");
    load.lost_nothing_through(&["nginx-1"]);
    shop.stands("v3", scene.live.port);
}

#[test]
fn a_was_host_that_is_gone_is_left_out_and_comes_back() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["power-off", "was-2"]);
    let load = shop.load();
    shop.deploy("v2").run().exits(4).says("was-2");
    shop.deploy("v2").arg("--without").arg("was-2").run().deployed();
    shop.serves("v2");
    fleet.ctl(&["power-on", "was-2"]);
    shop.command("status").run().says("was-2").says("behind");
    shop.has_deployed("v3");
    load.lost_nothing();
    shop.stands("v3", 8080);
}

#[test]
fn an_nginx_host_that_is_gone_is_left_out_and_comes_back_behind() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    fleet.ctl(&["power-off", "nginx-2"]);
    let load = shop.load();
    shop.deploy("v2").run().exits(4).says("nginx-2");
    shop.deploy("v2").arg("--without").arg("nginx-2").run().deployed();
    fleet.ctl(&["power-on", "nginx-2"]);
    shop.command("status").run().says("nginx-2").says("behind");
    shop.resume().arg("--to").arg("green").arg("--yes").run().exits(0);
    shop.serves("v2");
    shop.has_deployed("v3");
    load.lost_nothing_through(&["nginx-1"]);
    shop.serves("v3");
    fleet.is_tidy();
}

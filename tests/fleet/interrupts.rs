//! Ctrl-C in every phase: the run goes back, or past the point of no return it goes on to its end. The
//! exit code is 130 either way, and the outcome says which; no lock and no process is left behind.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fixture::{App, Fleet, Is, get, sick, small};
use nonstop::demo::app::AtStart;
use std::time::Duration;

/// An application whose phases last long enough to be interrupted.
fn slow_shop(fleet: &Fleet) -> App<'_> {
    fleet
        .shop()
        .with("/health/min_healthy_time", json!("1s"))
        .with("/health/healthy_deadline", json!("10s"))
        .with("/bake/for", json!("2s"))
        .with("/stop/grace", json!("2s"))
}

/// Starts a deploy of v2 over v1, sends Ctrl-C at `moment`, and demands that what the run says is true.
fn interrupted(fleet: &Fleet, moment: Is) -> String {
    let shop = slow_shop(fleet);
    let before = fleet.photograph();
    let load = shop.load();
    let mut jar = small("v2");
    if [Is::PhaseEnded("lock"), Is::PhaseStarted("upload")].contains(&moment) {
        jar = jar.sized(24 << 20);
    }
    if ["start", "verify"].map(Is::PhaseStarted).contains(&moment) {
        jar = jar.behaving(sick::start(AtStart::ListenAfter(Duration::from_millis(1500))));
    }
    let mut run = shop.deploy(jar).start();
    run.reaches(moment);
    run.interrupt();
    let run = run.wait();
    run.exits(130);
    let outcome = run.end()["outcome"].as_str().expect("an outcome").to_owned();
    run.ends(130, &outcome);
    load.lost_nothing();
    match outcome.as_str() {
        "as_it_was" | "rolled_back" => {
            fleet.is_as_it_was(&before);
            shop.stands("v1", 8080);
        }
        "deployed" => shop.stands("v2", 8081),
        other => panic!("outcome {other}:\n{run}"),
    }
    outcome
}

#[test]
fn ctrl_c_before_the_switch_leaves_everything_as_it_was() {
    let fleet = Fleet::reset();
    fleet.shop().has_deployed("v1");
    let phases = ["connect", "observe", "lock", "upload", "start", "verify"].map(Is::PhaseStarted);
    let locked = Is::PhaseEnded("lock");
    for moment in phases.into_iter().chain([locked, Is::Named("planned")]) {
        assert_eq!(
            interrupted(&fleet, moment),
            "as_it_was",
            "interrupted at {moment:?}"
        );
    }
    fleet.shop().has_deployed("v3");
    fleet.shop().stands("v3", 8081);
}

#[test]
fn ctrl_c_around_the_switch_goes_back() {
    let fleet = Fleet::reset();
    fleet.shop().has_deployed("v1");
    for moment in [
        Is::PhaseStarted("prepare"),
        Is::PhaseEnded("prepare"),
        Is::PhaseStarted("commit"),
    ] {
        let outcome = interrupted(&fleet, moment);
        assert!(
            outcome == "as_it_was" || outcome == "rolled_back",
            "{outcome} at {moment:?}"
        );
    }
    for moment in [Is::PhaseEnded("commit"), Is::PhaseStarted("bake")] {
        assert_eq!(
            interrupted(&fleet, moment),
            "rolled_back",
            "interrupted at {moment:?}"
        );
    }
}

#[test]
fn ctrl_c_while_the_old_connections_drain_goes_back() {
    let fleet = Fleet::reset();
    let shop = fleet.shop();
    shop.has_deployed("v1");
    let before = fleet.photograph();
    let slow = std::thread::spawn(|| get(22281, "shop.test", "/slow?ms=9000"));
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("drain"));
    run.interrupt();
    run.wait().ends(130, "rolled_back");
    let answer = slow.join().expect("no panic").expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "v1"));
    fleet.is_as_it_was(&before);
    shop.stands("v1", 8080);
}

#[test]
fn ctrl_c_past_the_point_of_no_return_finishes_the_deploy() {
    let fleet = Fleet::reset();
    let shop = slow_shop(&fleet);
    shop.has_deployed(small("v1").behaving(sick::ignoring_term()));
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("stop"));
    run.interrupt();
    run.wait().ends(130, "deployed");
    load.lost_nothing();
    shop.stands("v2", 8081);
}

#[test]
fn hangup_and_term_are_heard_as_well() {
    let fleet = Fleet::reset();
    let shop = slow_shop(&fleet);
    shop.has_deployed("v1");
    let before = fleet.photograph();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let mut run = shop.deploy("v2").start();
        run.reaches(Is::PhaseStarted("verify"));
        run.signal(signal);
        run.wait().ends(code, "as_it_was");
        fleet.is_as_it_was(&before);
    }
}

#[test]
fn ctrl_c_during_a_first_deploy_leaves_the_fleet_empty() {
    let fleet = Fleet::reset();
    let shop = slow_shop(&fleet);
    let before = fleet.photograph();
    let mut run = shop.deploy("v1").start();
    run.reaches(Is::PhaseStarted("verify"));
    run.interrupt();
    run.wait().ends(130, "as_it_was");
    fleet.is_as_it_was(&before);
    shop.runs_on(&[]);
}

//! The window after a run whose slots units of systemd run: what a boot or a crash brings back is ended at the hour, and
//! a host that has lost its hour leaves the old unit to a person.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::names::{HostName, Port};
use nonstop::model::outcome::Outcome;
use nonstop::model::plan::{Promote, settle, waiting};
use nonstop::model::record::RunStatus;
use nonstop::model::timer::TimerState;

use crate::scene::{Scene, jar};
use crate::window::{DETACHED, HOUR, QUIET, states};

async fn detached() -> Scene {
    let scene = Scene::by_units(DETACHED);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    scene
}

/// The host loses its power, and comes up again with the units that are enabled.
async fn reboots(scene: &Scene, host: &str) {
    let name = HostName::new(host).unwrap();
    scene.world.borrow_mut().crash(&name);
    scene.world.borrow_mut().boot(&name);
    scene.rests(5).await;
}

fn is_waiting(scene: &Scene) -> bool {
    let mut observed = scene.world.borrow().observed();
    settle(&mut observed);
    waiting(&observed).is_some()
}

#[tokio::test(start_paused = true)]
async fn at_the_hour_the_old_units_end_and_no_boot_brings_them_back() {
    let scene = detached().await;
    scene.has_processes(2);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    scene.has_processes(1);
    assert!(!is_waiting(&scene));
    reboots(&scene, "was-1").await;
    scene.has_processes(1);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn until_then_a_rollback_is_one_switch_and_the_new_units_end() {
    let scene = detached().await;
    scene.rests(600).await;
    let starts = scene.times("start").len();
    scene.rollback().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(states(&scene), [Some(TimerState::Cancelled); 2]);
    assert_eq!(scene.times("start").len(), starts);
    scene.rests(2 * HOUR).await;
    scene.is_as_it_was();
    reboots(&scene, "was-2").await;
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn promoting_stops_the_old_units_now() {
    let scene = detached().await;
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.rests(2 * HOUR).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn what_systemd_started_again_since_ends_at_the_hour_beside_what_it_started_again() {
    let scene = detached().await;
    {
        let mut world = scene.world.borrow_mut();
        world.host("was-1").crashes(Port::new(8080).unwrap());
        world.host("was-2").crashes(Port::new(8081).unwrap());
    }
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    assert_eq!(scene.listeners(8080), [""; 0]);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_booted_keeps_the_old_unit_until_somebody_promotes_the_run() {
    let scene = detached().await;
    reboots(&scene, "was-1").await;
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Pending), Some(TimerState::Stopped)]
    );
    assert_eq!(scene.listeners(8080), ["was-1"]);
    assert!(is_waiting(&scene), "its old instance is up");
    let another = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::AsItWas, 5);
    let promote = scene.run("run-3", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(scene.listeners(8080), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    reboots(&scene, "was-1").await;
    assert_eq!(scene.listeners(8080), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_after_a_boot_is_one_switch_too_while_no_host_has_stopped_anything() {
    let scene = detached().await;
    for host in ["was-1", "was-2"] {
        reboots(&scene, host).await;
    }
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Pending); 2]);
    assert!(is_waiting(&scene));
    let starts = scene.times("start").len();
    scene.rollback().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(scene.times("start").len(), starts);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_after_a_boot_that_comes_too_late_on_another_host_starts_what_is_missing() {
    let scene = detached().await;
    reboots(&scene, "was-1").await;
    scene.rests(HOUR + QUIET).await;
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_was_told_to_end_when_its_host_went_down_is_up_again_and_waits_for_a_person() {
    let scene = detached().await;
    crate::window::process(&mut scene.world.borrow_mut(), "was-1", 8080, |it| {
        it.heeds_term = false;
    });
    scene.rests(HOUR + QUIET - 8).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Stopping), Some(TimerState::Stopped)]
    );
    reboots(&scene, "was-1").await;
    assert_eq!(scene.listeners(8080), ["was-1"]);
    assert!(is_waiting(&scene));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

/// What runs on the old slot is the user's own, and was there before nonstop: nothing of it is on record.
async fn with_what_was_there_before(scene: Scene) -> Scene {
    for host in ["was-1", "was-2"] {
        scene.world.borrow_mut().host(host).instances.clear();
    }
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    // A unit that is enabled brings it back.
    reboots(&scene, "was-1").await;
    let port = Port::new(8080).unwrap();
    scene.world.borrow_mut().host("was-1").spawn(port, Duration::ZERO);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Pending), Some(TimerState::Stopped)]
    );
    assert_eq!(scene.listeners(8080), ["was-1"]);
    scene
}

#[tokio::test(start_paused = true)]
async fn what_a_boot_brings_back_that_nonstop_did_not_start_keeps_the_run_waiting_for_a_person() {
    let scene = with_what_was_there_before(Scene::by_units(DETACHED)).await;
    assert!(is_waiting(&scene));
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    assert_eq!(scene.listeners(8080), ["was-1"], "it is not ours to stop");
}

#[tokio::test(start_paused = true)]
async fn once_a_person_has_stopped_what_a_boot_brought_back_the_run_is_over() {
    let scene = with_what_was_there_before(Scene::with(DETACHED)).await;
    assert!(is_waiting(&scene));
    let another = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::AsItWas, 5);
    scene.world.borrow_mut().host("was-1").kill(8080);
    assert!(!is_waiting(&scene));
    let another = scene.run("run-3", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::Waiting, 0);
}

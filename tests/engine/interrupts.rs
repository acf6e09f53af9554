//! Signals: before the point of no return they unwind, after it the run finishes forward.

use std::time::Duration;

use nonstop::model::event::Event;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;

use crate::scene::Scene;
use crate::world::Fault;

const BAKE: &str = "bake: { for: 10s, then: stop }\n";

#[tokio::test(start_paused = true)]
async fn a_signal_in_any_phase_before_the_switch_leaves_all_as_it_was() {
    for phase in [
        Phase::Connect,
        Phase::Observe,
        Phase::Lock,
        Phase::Preflight,
        Phase::Upload,
        Phase::Start,
        Phase::Verify,
        Phase::Prepare,
    ] {
        let scene = Scene::with(BAKE).signal(phase, Signal::Interrupt);
        scene.deploy().await.ends(&scene, Outcome::AsItWas, 130);
        assert_eq!(scene.world.borrow().times("commit"), [0; 0], "{phase}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        scene.is_as_it_was();
        assert_eq!(scene.marked(), 0, "{phase}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_between_switch_and_point_of_no_return_rolls_back() {
    for phase in [Phase::Commit, Phase::Bake, Phase::Drain] {
        let scene = Scene::with(BAKE).signal(phase, Signal::Terminate);
        let ended = scene.deploy().await;
        ended.ends(&scene, Outcome::RolledBack, 143);
        let unwinds = |event: &Event| matches!(event, Event::Interrupted { unwinds: true, .. });
        assert!(ended.events.iter().any(unwinds), "{phase}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        scene.is_as_it_was();
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_in_the_last_phase_before_the_point_of_no_return_rolls_back() {
    // Nothing is drained where the old slot is kept: the end comes right behind the switch.
    let scene = Scene::with("bake: { for: 0s, then: keep }\n").signal(Phase::Commit, Signal::Interrupt);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 130);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_is_under_way_is_seen_through_before_it_is_taken_back() {
    let scene = Scene::on_blue().signal(Phase::Commit, Signal::Hangup);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 129);
    let world = scene.world.borrow();
    assert_eq!(world.hosts_with("commit"), ["nginx-1", "nginx-2"]);
    assert_eq!(world.hosts_with("revert"), ["nginx-1", "nginx-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_after_the_point_of_no_return_finishes_forward() {
    for phase in [Phase::Stop, Phase::Finish] {
        let scene = Scene::on_blue().signal(phase, Signal::Interrupt);
        scene.deploy().await.ends(&scene, Outcome::Deployed, 130);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.live_port(), 8081, "{phase}");
        assert_eq!(scene.listeners(8080), [""; 0], "{phase}");
        scene.is_unlocked();
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_under_way_leaves_no_orphan() {
    for late in [1, 6, 11, 16, 21, 50] {
        for scene in [Scene::on_blue(), Scene::by_script()] {
            let scene = scene
                .fault("was-1", "start", Fault::Late(Duration::from_millis(late)))
                .signal(Phase::Start, Signal::Interrupt);
            scene.deploy().await.ends(&scene, Outcome::AsItWas, 130);
            tokio::time::sleep(Duration::from_secs(60)).await;
            scene.is_as_it_was();
            scene.has_processes(1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_does_not_hide_that_the_fleet_is_mixed() {
    let scene = Scene::on_blue().signal(Phase::Commit, Signal::Interrupt).faults(
        "nginx-1",
        "revert",
        (0, 9),
        Fault::LostAfter,
    );
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
}

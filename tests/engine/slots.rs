//! What the slots answer decides with the tokens: which way an interrupted run goes, and whether it still goes there
//! after its bake.

use std::time::Duration;

use nonstop::model::decision::{Way, Why};
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;

use crate::scene::Scene;
use crate::world::{Fault, Health};

const BAKE: &str = "bake: { for: 60s, then: stop }\n";

/// The new slot answers 503 wherever it runs, on these hosts.
fn falls_ill(scene: &Scene, names: &[&str], port: u16) {
    for name in names {
        for process in &mut scene.world.borrow_mut().host(name).processes {
            if process.port.number() == port {
                process.health = Health::Down;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sick_slot_is_left_for_the_one_endpoint_that_was_up_before() {
    let scene = Scene::with(BAKE).change(|world| world.host("was-2").kill(8080));
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    falls_ill(&scene, &["was-1", "was-2"], 8081);
    scene.rests(60).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(ended.way(), Some(Way::Back));
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn one_lost_answer_does_not_take_a_good_release_back() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let scene = scene.fault("was-1", "http", Fault::NotSent);
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_asked_is_not_taken_for_a_dead_one() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let scene = scene.faults("was-1", "http", (0, 9999), Fault::NotSent);
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(ended.way(), Some(Way::Hold(Why::NewUnknown)));
    assert_eq!(scene.times("arm"), [0; 0]);
    scene.world.borrow_mut().rules.clear();
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_first_release_that_serves_anybody_is_not_taken_off_the_air() {
    let scene = Scene::empty().faults("nginx-2", "confirm", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_secs(1)).await;
    scene.world.borrow_mut().rules.clear();
    falls_ill(&scene, &["was-2"], 8080);
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("revert"), [0; 0]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    // Where nobody is served there is nothing to lose.
    falls_ill(&scene, &["was-1"], 8080);
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(scene.listeners(8080), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_sees_a_run_through_bakes_it_for_as_long_as_the_playbook_says() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let began = tokio::time::Instant::now();
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    assert!(began.elapsed() >= Duration::from_secs(60));
    let ill = |world: &mut crate::world::World| {
        for process in &mut world.host("was-2").processes {
            process.health = Health::Down;
        }
    };

    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let scene = scene.when(Phase::Bake, ill);
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(scene.live_port(), 8080);

    let scene = Scene::with(&format!("{BAKE}update: {{ auto_revert: false }}\n"));
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let scene = scene.when(Phase::Bake, ill);
    scene.resume().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.times("stop"), [0; 0]);
}

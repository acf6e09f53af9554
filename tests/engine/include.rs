//! The style `include`, whose switch has no generation to ask for: a connection that arrives is its proof.
//! And slots that say which one they are.

use nonstop::model::event::{Event, Note, ProofUsed};
use nonstop::model::failure::{Failure, HealthAnswer};
use nonstop::model::finding::Problem;
use nonstop::model::names::Port;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;

use crate::scene::Scene;
use crate::texts::SERVICE_URL;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

/// The file that sets the variable, on one host.
fn line(scene: &Scene) -> String {
    scene.world.borrow_mut().nginx("nginx-1").files[SERVICE_URL].clone()
}

#[tokio::test(start_paused = true)]
async fn a_deploy_is_proven_by_a_connection_that_arrives_and_a_rollback_too() {
    let scene = Scene::with_include();
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    let arrived = Note::Proven {
        proof: ProofUsed::Arrival,
    };
    let notes = ended
        .events
        .iter()
        .filter(|event| matches!(event, Event::HostDone { note: Some(note), .. } if *note == arrived));
    assert_eq!(notes.count(), 2);
    scene.is_deployed();
    assert!(line(&scene).starts_with("set $service_url http://nonstop_sokdak_green_"));
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_nothing_shows_is_taken_back_to_the_line_that_was_there() {
    let scene = Scene::with_include();
    scene.world.borrow_mut().nginx("nginx-2").refuses_reload = true;
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    scene.is_as_it_was();
    assert_eq!(line(&scene), "set $service_url http://old;\n");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_in_the_commit_is_followed_by_a_resume() {
    let scene = Scene::with_include();
    scene
        .dies(Phase::Commit, std::time::Duration::from_millis(60))
        .await;
    scene.rests(60).await;
    scene.resume().await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_answers_as_the_other_slot_never_gets_healthy() {
    let scene = Scene::with_include();
    scene
        .world
        .borrow_mut()
        .host("was-2")
        .profiles
        .insert(port(8081), "blue".to_owned());
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    scene.is_as_it_was();
    let said = ended.events.iter().any(|event| {
        matches!(event, Event::HostFailed { failure: Failure::Unhealthy {
            answer: HealthAnswer::Wrong { reason, .. }, .. }, .. }
            if reason == "it answers as slot blue, and is slot green")
    });
    assert!(said, "{:?}", ended.events);
}

#[tokio::test(start_paused = true)]
async fn a_live_instance_that_answers_as_the_other_slot_keeps_a_deploy_from_beginning() {
    let scene = Scene::with_include();
    scene
        .world
        .borrow_mut()
        .host("was-1")
        .profiles
        .insert(port(8080), "green".to_owned());
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(
        |it| matches!(it, Problem::AnswersAsOther { other: Some(other), .. } if other.as_str() == "green")
    ));
    assert!(scene.times("start").is_empty());
}

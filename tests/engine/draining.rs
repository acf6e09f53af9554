//! The end of old connections, and the old slot that they are connected to.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::{Event, Note};
use nonstop::model::finding::Problem;
use nonstop::model::names::Port;
use nonstop::model::outcome::Outcome;

use crate::scene::{Scene, jar};
use crate::world::Fault;

fn with_cut() -> Scene {
    let mut scene = Scene::on_blue();
    scene.config.playbook.drain.on_deadline = nonstop::model::playbook::OnDeadline::Cut;
    scene
}

fn busy(scene: Scene) -> Scene {
    scene.change(|world| {
        world
            .host("was-1")
            .connections
            .insert(Port::new(8080).unwrap(), 3);
    })
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_end_keep_their_instance_and_only_theirs() {
    let scene = busy(Scene::on_blue());
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.listeners(8080), ["was-1"]);
    let kept = |event: &Event| {
        matches!(
            event,
            Event::HostDone {
                note: Some(Note::Kept { connections: 3, .. }),
                ..
            }
        )
    };
    assert!(ended.events.iter().any(kept));
    assert!(ended.says(|it| it.to_string().contains("drain's deadline")));
}

#[tokio::test(start_paused = true)]
async fn connections_that_do_not_end_are_cut_where_the_playbook_says_so() {
    let scene = busy(with_cut());
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
    assert!(ended.says(|it| it.to_string().contains("cut")));
}

#[tokio::test(start_paused = true)]
async fn old_workers_that_do_not_end_keep_the_whole_old_slot() {
    let scene = Scene::on_blue().change(|world| world.nginx("nginx-1").old_workers = 2);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert!(ended.says(|it| it.to_string().contains("2 old nginx workers")));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_cannot_be_seen_moves_no_traffic_and_stops_nothing() {
    let scene = Scene::on_blue().fault("nginx-2", "await_workers", Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert!(ended.says(|it| matches!(it, Problem::LeftUndone { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_kept_is_not_retired_while_old_workers_are_left() {
    let scene = Scene::with("bake: { for: 0s, then: keep }\n");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.world.borrow_mut().nginx("nginx-2").old_workers = 1;
    let next = || Wanted::Jar(jar("sokdak-3.jar", "c"));
    scene.run("run-2", next()).await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    scene.world.borrow_mut().nginx("nginx-2").old_workers = 0;
    scene
        .run("run-3", next())
        .await
        .ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
}

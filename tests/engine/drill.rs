//! A drill: to the release before the live one, and forward again.

use nonstop::engine::run::{Leg, Wanted};
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::names::ReleaseId;
use nonstop::model::outcome::Outcome;

use crate::scene::{Ended, Scene, V1, jar};

/// The live release and the one that a run brought.
fn planned(ended: &Ended) -> (ReleaseId, ReleaseId) {
    let planned = ended.events.iter().find_map(|event| match event {
        Event::Planned {
            from_release,
            release,
            ..
        } => Some((from_release.clone()?, release.clone())),
        _ => None,
    });
    planned.expect("a plan from a known release")
}

/// Version 2 is live, and a drill has gone back from it; the way forward.
async fn went_back(scene: &Scene) -> Leg {
    scene.deploy().await.ends(scene, Outcome::Deployed, 0);
    let back = scene.run("run-2", Wanted::Drill(Leg::Back)).await;
    back.ends(scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    let (to, from) = planned(&back);
    assert_eq!(from.as_str(), V1);
    Leg::Forward { from, to }
}

#[tokio::test(start_paused = true)]
async fn a_drill_ends_where_it_began_and_leaves_no_release_behind() {
    let scene = Scene::on_blue();
    let leg = went_back(&scene).await;
    let forward = scene.run("run-3", Wanted::Drill(leg)).await;
    forward.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    // A rollback afterwards goes where it would have gone without the drill.
    let rollback = scene.run("run-4", Wanted::Earlier(None)).await;
    rollback.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(planned(&rollback).1.as_str(), V1);
}

#[tokio::test(start_paused = true)]
async fn whoever_came_in_between_is_not_overrun() {
    let scene = Scene::on_blue();
    let leg = went_back(&scene).await;
    let between = scene.run("run-3", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    between.ends(&scene, Outcome::Deployed, 0);
    let forward = scene.run("run-4", Wanted::Drill(leg)).await;
    forward.ends(&scene, Outcome::AsItWas, 4);
    assert!(forward.says(|problem| matches!(problem, Problem::DrillOvertaken { .. })));
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_go_back_to_nothing_is_touched() {
    let scene = Scene::on_blue();
    let back = scene.run("run-1", Wanted::Drill(Leg::Back)).await;
    back.ends(&scene, Outcome::AsItWas, 4);
    assert!(back.says(|problem| matches!(problem, Problem::NothingToGoBackTo { .. })));
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_live_release_that_could_not_be_brought_back_is_not_left() {
    let scene = Scene::on_blue();
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let scene = scene.change(|world| {
        for host in ["was-1", "was-2"] {
            world.host(host).instances.clear();
        }
    });
    let back = scene.run("run-2", Wanted::Drill(Leg::Back)).await;
    back.ends(&scene, Outcome::AsItWas, 4);
    assert!(back.says(|problem| *problem == Problem::LiveReleaseUnknown));
    assert_eq!(scene.live_port(), 8081);
}

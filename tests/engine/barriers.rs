//! The way forward: nothing begins on one host before what has to come first is done on all.

use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;

use crate::scene::{Scene, V1};
use crate::world::{Fault, Health, Start};

#[tokio::test(start_paused = true)]
async fn a_deploy_goes_through_and_leaves_one_slot_and_no_lock() {
    let scene = Scene::on_blue();
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
    scene.is_unlocked();
    for host in scene.world.borrow().hosts.values() {
        let record = host.record.as_ref().unwrap();
        assert_eq!((record.status, record.phase), (RunStatus::Done, Phase::Finish));
        assert_eq!(record.from_release.as_ref().unwrap().as_str(), V1);
        assert!(record.point_of_no_return);
    }
}

#[tokio::test(start_paused = true)]
async fn each_phase_waits_for_every_host() {
    let scene =
        Scene::on_blue().change(|world| world.host("was-2").start = Start::Listens(Duration::from_secs(40)));
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let world = scene.world.borrow();
    for (first, then) in [
        ("lock", "put"),
        ("put", "start"),
        ("start", "prepare"),
        ("prepare", "commit"),
        ("commit", "await_workers"),
        ("await_connections", "stop"),
        ("stop", "prune"),
        ("prune", "unlock"),
    ] {
        let (first_times, then_times) = (world.times(first), world.times(then));
        assert!(
            !first_times.is_empty() && !then_times.is_empty(),
            "{first}, {then}"
        );
        assert!(
            first_times.last() < then_times.first(),
            "{then} began before {first} was done: {:?}",
            world.trace
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nginx_is_left_alone_where_one_host_never_gets_healthy() {
    let scene = Scene::on_blue().change(|world| world.host("was-2").health = Health::Down);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.world.borrow().times("prepare"), [0; 0]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.is_as_it_was();
    assert_eq!(scene.marked(), 2, "the release itself is to blame");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_one_nginx_refuses_switches_none() {
    let scene = Scene::on_blue().change(|world| world.nginx("nginx-2").refuses_candidate = true);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.world.borrow().times("commit"), [0; 0]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    scene.is_as_it_was();
    assert_eq!(scene.marked(), 0, "nginx refused, and not the release");
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_on_an_empty_fleet_goes_through() {
    let scene = Scene::empty();
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_fails_leaves_nothing_behind() {
    let scene = Scene::empty().fault("nginx-2", "commit", Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.live_port(), 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
    for host in scene.world.borrow().hosts.values() {
        assert!(host.nginx.as_ref().is_none_or(|nginx| nginx.files.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn one_host_with_both_parts_passes_its_own_fence_in_order() {
    let scene = Scene::on_one_host().fault("was-1", "mark_release", Fault::Slow(Duration::from_millis(200)));
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(!ended.says(|_| true), "{:?}", ended.events);
    let world = scene.world.borrow();
    assert_eq!(world.times("prune").len(), 1);
    assert_eq!(world.times("clean_nginx").len(), 1);
    drop(world);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_refuses_the_run_before_anything_is_sent() {
    let scene = Scene::on_blue().fault("was-2", "connect", Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 4);
    assert!(scene.world.borrow().trace.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_live_application_that_answers_503_is_a_warning_and_keeps_its_port() {
    let scene = Scene::on_blue().change(|world| {
        for process in &mut world.host("was-1").processes {
            process.health = Health::Down;
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(|it| matches!(it, Problem::LiveInstanceUnhealthy { .. })));
    assert_eq!(scene.live_port(), 8081);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_right_after_a_deploy_that_kept_the_old_slot_is_a_switch_and_nothing_else() {
    let scene = Scene::with("bake: { for: 1s, then: keep }\n");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let began = tokio::time::Instant::now();
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(
        scene.world.borrow().times("start").len(),
        2,
        "only those of the deploy"
    );
    let world = scene.world.borrow();
    let record = world.hosts.values().next().unwrap().record.as_ref().unwrap();
    assert_eq!(
        record.left.len(),
        1,
        "a second rollback must not go forward again"
    );
}

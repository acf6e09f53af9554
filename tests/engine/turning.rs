//! A single slot: how runs end that turn round, that somebody goes on with, or that meet one which never ended.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::names::ReleaseId;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;

use crate::scene::{Ended, SITE, Scene, V1, jar};
use crate::single::{dies, dies_at_start, is_on, release, runs, turns};
use crate::world::{Fault, Health, Start};

const ROLLBACK: Wanted = Wanted::Earlier(None);

/// The release of version 2.
fn second(scene: &Scene) -> ReleaseId {
    let world = scene.world.borrow();
    let mut known = world.hosts.values().flat_map(|host| host.releases.keys());
    known
        .find(|id| id.as_str() != V1)
        .expect("it was deployed")
        .clone()
}

/// Somebody takes a jar away by hand.
fn loses(scene: &Scene, host: &str, id: &ReleaseId) {
    scene.world.borrow_mut().host(host).releases.remove(id);
}

fn misses(ended: &Ended) -> bool {
    ended.says(|problem| matches!(problem, Problem::ReleaseMissing { .. }))
}

/// What runs was started by another tool, and is on record nowhere.
fn by_another_tool(scene: Scene) -> Scene {
    scene.change(|world| {
        for host in world.hosts.values_mut() {
            host.instances.clear();
            host.releases.clear();
        }
    })
}

/// Who has left what behind, by the last word of a run.
fn left(scene: &Scene) -> Vec<ReleaseId> {
    let world = scene.world.borrow();
    let record = world.hosts.values().find_map(|host| host.record.clone());
    record.expect("a run has ended").left.into_iter().collect()
}

/// Of which run every host has the record, and who wrote it.
fn told(scene: &Scene) -> Vec<(String, String)> {
    let world = scene.world.borrow();
    let records = world.hosts.values().filter_map(|host| host.record.as_ref());
    let told = records.map(|record| (record.run.to_string(), record.owner.who.clone()));
    told.collect()
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lost_the_jar_is_not_left_out_by_a_resume() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    loses(&scene, "was-3", &second(&scene));
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert!(misses(&ended));
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_lost_the_old_jar_holds_the_way_back() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    for process in &mut scene.world.borrow_mut().host("was-1").processes {
        process.health = Health::Down;
    }
    loses(&scene, "was-1", &release(V1));
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert!(misses(&ended));
    assert_eq!(
        runs(&scene),
        ["2", "1", "1"],
        "who can has come back, and nobody was dropped"
    );
    assert!(scene.records().contains(&RunStatus::Open));
}

#[tokio::test(start_paused = true)]
async fn a_new_host_that_never_had_the_old_release_is_left_out_again_by_a_way_back() {
    let scene = Scene::on_a_single_slot("").change(|world| {
        let new = world.host("was-1");
        new.kill(8080);
        new.releases.clear();
        new.instances.clear();
        let address = format!("server {}:8080;", new.address);
        for name in ["nginx-1", "nginx-2"] {
            let nginx = world.nginx(name);
            let text = nginx.files[SITE].replace(&address, "");
            nginx.site(SITE, &text);
        }
    });
    assert_eq!(runs(&scene), ["-!", "1", "1"]);
    let scene = scene.when(Phase::Start, |world| {
        // The second start is that of the new release, the third one that of the old one.
        world.host("was-2").start = match world.times("start").len() {
            1 => Start::Exits,
            _ => Start::Listens(Duration::from_secs(2)),
        };
    });
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    scene.rests(90).await;
    assert_eq!(runs(&scene)[1..], ["1", "1"]);
    assert!(
        runs(&scene)[0].ends_with('!'),
        "it had no part in the traffic before"
    );
    assert!(scene.world.borrow().broken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_take_over_whose_first_drain_fails_leads_back_to_what_was() {
    let keeps = |world: &mut crate::world::World| {
        let port = 8080.try_into().unwrap();
        world.host("was-1").connections.insert(port, 1);
    };
    let scene = by_another_tool(Scene::on_a_single_slot("")).change(keeps);
    let before = scene.world.borrow_mut().nginx("nginx-1").files.clone();
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    scene.rests(90).await;
    assert!(scene.times("stop").is_empty() && scene.times("start").is_empty());
    assert_eq!(scene.world.borrow_mut().nginx("nginx-1").files, before);
    assert_eq!(scene.records(), [RunStatus::Done; 5]);
    scene.has_processes(1);
    scene.is_unlocked();
    assert!(scene.world.borrow().broken.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_take_over_whose_first_drain_fails_under_a_resume_leads_back_as_well() {
    let scene = by_another_tool(Scene::on_a_single_slot(""));
    let before = scene.world.borrow_mut().nginx("nginx-1").files.clone();
    scene.dies(Phase::Drain, Duration::from_millis(1)).await;
    scene.rests(90).await;
    let port = 8080.try_into().unwrap();
    scene.world.borrow_mut().host("was-1").connections.insert(port, 1);
    scene.resume().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.world.borrow_mut().nginx("nginx-1").files, before);
    assert_eq!(scene.records(), [RunStatus::Done; 5]);
    scene.has_processes(1);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_over_one_that_died_leads_on_to_where_that_was_going() {
    let scene = Scene::on_a_single_slot("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    dies(&scene, 5, "run-2", ROLLBACK).await;
    assert_eq!(runs(&scene), ["1", "1!", "2"]);
    scene
        .run("run-3", ROLLBACK)
        .await
        .ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "1").await;
    assert_eq!(
        left(&scene),
        [second(&scene)],
        "no rollback leads there by itself"
    );
    scene
        .run("run-4", ROLLBACK)
        .await
        .ends(&scene, Outcome::AsItWas, 4);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_over_a_deploy_that_died_leaves_what_that_brought() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "1").await;
    assert_eq!(left(&scene), [second(&scene)]);
    scene
        .run("run-3", ROLLBACK)
        .await
        .ends(&scene, Outcome::AsItWas, 4);
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_deploy_over_a_rollback_that_died_goes_back_to_where_that_was_going() {
    let scene = Scene::on_a_single_slot("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    dies(&scene, 5, "run-2", ROLLBACK).await;
    let scene = scene.signal(Phase::Start, Signal::Terminate);
    let third = Wanted::Jar(jar("sokdak-3.jar", "c"));
    scene
        .run("run-3", third)
        .await
        .ends(&scene, Outcome::RolledBack, 143);
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_way_home_that_left_something_leaves_the_run_open() {
    let scene = Scene::on_a_single_slot("").faults("was-1", "discard_upload", (0, 9), Fault::NotSent);
    let scene = scene.faults("was-2", "put", (0, 9), Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert!(
        scene.records().contains(&RunStatus::Open),
        "{:?}",
        scene.records()
    );
    scene.world.borrow_mut().rules.clear();
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_run_keeps_its_name_when_somebody_goes_on_with_it() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    let found = ended.events.iter().find_map(|event| match event {
        Event::InterruptedFound { record, .. } => Some(record.place().0.to_string()),
        _ => None,
    });
    assert_eq!(found.as_deref(), Some("run-1"));
    assert_eq!(told(&scene), vec![("run-1".to_owned(), "run-9".to_owned()); 5]);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_while_a_leg_saves_its_home_is_gone_on_with() {
    for milliseconds in [1, 5, 20, 60] {
        let scene = Scene::on_a_single_slot("");
        dies_at_start(&scene, 1).await;
        scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
        is_on(&scene, "1").await;
        scene
            .dies(Phase::Prepare, Duration::from_millis(milliseconds))
            .await;
        scene.rests(90).await;
        scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
        is_on(&scene, "1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_signal_does_not_end_a_way_back_and_a_second_one_leaves_it_to_a_resume() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    for process in &mut scene.world.borrow_mut().host("was-1").processes {
        process.health = Health::Down;
    }
    let scene = scene.signal(Phase::Start, Signal::Terminate);
    let ended = scene.resume().await;
    assert!(ended.says(turns));
    ended.ends(&scene, Outcome::RolledBack, 143);
    is_on(&scene, "1").await;

    // The second one ends the program, wherever it is on its way back.
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    for process in &mut scene.world.borrow_mut().host("was-1").processes {
        process.health = Health::Down;
    }
    dies(&scene, 3, "run-9", Wanted::Resume).await;
    scene
        .run("run-10", Wanted::Resume)
        .await
        .ends(&scene, Outcome::RolledBack, 0);
    is_on(&scene, "1").await;
}

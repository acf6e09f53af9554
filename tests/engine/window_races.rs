//! Somebody comes to a window while something else befalls it: a host that is at its end, a signal, a person's edit.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::finding::Problem;
use nonstop::model::names::HostName;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::plan::Promote;
use nonstop::model::playbook::AfterBake;
use nonstop::model::record::RunStatus;
use nonstop::model::timer::TimerState;

use crate::scene::{SITE, Scene, jar};
use crate::window::{DETACHED, HOUR, QUIET, detached, process, states};
use crate::world::Health;

/// The old instance of was-2 does not heed TERM, and its hour is over.
async fn ending_slowly() -> Scene {
    let scene = detached().await;
    process(&mut scene.world.borrow_mut(), "was-2", 8080, |it| {
        it.heeds_term = false;
    });
    scene.rests(HOUR + 62).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Stopped), Some(TimerState::Stopping)]
    );
    assert_eq!(scene.listeners(8080), ["was-2"]);
    scene
}

#[tokio::test(start_paused = true)]
async fn a_rollback_waits_for_an_end_that_has_begun_and_starts_the_old_release_after_it() {
    let scene = ending_slowly().await;
    let starts = scene.times("start").len();
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.times("start").len(), starts + 2);
    scene.rests(120).await;
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(
        scene.listeners(8080),
        ["was-1", "was-2"],
        "neither is the one that was told to end"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollback_where_an_old_instance_is_gone_starts_the_old_release_again_before_anything_moves() {
    let scene = detached().await;
    scene.world.borrow_mut().host("was-1").kill(8080);
    scene.rests(600).await;
    let (starts, commits) = (scene.times("start").len(), scene.times("commit").len());
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert!(scene.times("revert").is_empty());
    assert!(scene.times("start").get(starts + 1) < scene.times("commit").get(commits));
    assert_eq!(scene.live_port(), 8080);
    scene.rests(2 * HOUR).await;
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_can_start_nothing_where_an_old_instance_is_gone_moves_nothing() {
    let scene = detached().await;
    scene.world.borrow_mut().host("was-1").kill(8080);
    for name in ["was-1", "was-2"] {
        let mut world = scene.world.borrow_mut();
        world.host(name).releases.pop_first();
    }
    let rollback = scene.rollback().await;
    rollback.ends(&scene, Outcome::AsItWas, 4);
    assert!(rollback.says(|problem| matches!(problem, Problem::NothingToGoBackTo { .. })));
    assert_eq!(scene.live_port(), 8081);
    scene.rests(2 * HOUR).await;
    assert_eq!(scene.listeners(8080), ["was-2"], "its hour was cancelled");
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    // The run is over, and whoever comes next begins at once.
    let another = scene.run("run-3", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn promoting_waits_for_an_end_that_has_begun() {
    let scene = ending_slowly().await;
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    assert!(
        scene.world.borrow().hosts_with("stop").is_empty(),
        "each host has seen to its own"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_goes_back_to_an_instance_whose_end_may_have_begun() {
    let scene = detached().await;
    // was-1 was cut off between the move of its timer and its record; the new release is sick.
    {
        let mut world = scene.world.borrow_mut();
        let timer = world.host("was-1").timer.as_mut().expect("a timer");
        timer.state = TimerState::Stopping;
        for host in ["was-1", "was-2"] {
            process(&mut world, host, 8081, |it| it.health = Health::Down);
        }
    }
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_only_the_record_tells_of_is_one() {
    let scene = detached().await;
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Down;
    });
    scene.rests(HOUR + 4 * QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Stopped), Some(TimerState::Refused)]
    );
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Up;
    });
    scene.world.borrow_mut().host("was-1").timer = None;
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_without_a_host_leads_nobody_to_it_for_its_hour_still_comes() {
    let scene = detached().await.without("was-2");
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    {
        let mut world = scene.world.borrow_mut();
        for nginx in ["nginx-1", "nginx-2"] {
            let targets = world.nginx(nginx).targets();
            let hosts: Vec<_> = targets.iter().map(|(host, _)| host.clone()).collect();
            assert_eq!(hosts, ["10.0.0.1"], "{nginx}");
        }
    }
    scene.rests(HOUR + QUIET).await;
    let gone = HostName::new("was-2").unwrap();
    let timer = scene.world.borrow().hosts[&gone].timer.clone().expect("a timer");
    assert_eq!(timer.state, TimerState::Stopped, "nobody has asked it");
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_timers_takes_the_run_back() {
    let scene = Scene::with(DETACHED).signal(Phase::Bake, Signal::Terminate);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 143);
    assert!(scene.times("set_timer").is_empty());
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_somebody_edits_before_the_timers_keeps_both_slots_up() {
    let back: fn(&str) -> String = |site| site.replace(":8081", ":8080");
    // Where requests still go to the new slot, too: it is not what was confirmed.
    let commented: fn(&str) -> String = |site| format!("{site}# by hand\n");
    for edits in [back, commented] {
        let scene = Scene::with(DETACHED).when(Phase::Bake, move |world| {
            let site = edits(world.nginx("nginx-2").content().unwrap());
            world.nginx("nginx-2").site(SITE, &site);
        });
        scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
        assert_eq!(states(&scene), [None; 2]);
        scene.rests(HOUR + QUIET).await;
        scene.has_processes(2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_nginx_on_the_host_itself_may_come_over_the_loopback() {
    let mut scene = Scene::on_one_host();
    scene.config.playbook.bake.then = AfterBake::LeftToHosts;
    scene.config.playbook.bake.duration = Duration::from_secs(HOUR);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    let timer = scene
        .world
        .borrow_mut()
        .host("was-1")
        .timer
        .clone()
        .expect("a timer");
    assert!(timer.set.nginx.iter().any(std::net::IpAddr::is_loopback));
    scene.rests(HOUR + QUIET).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
}

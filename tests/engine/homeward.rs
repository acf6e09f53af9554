//! The way home: what was told comes back, what is unknown is said, and nothing is stopped that may be
//! needed.

use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::lock::{Epoch, LockState};
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use nonstop::remote::answer::{Answer, Fenced, SwitchAnswer};

use crate::scene::Scene;
use crate::world::{Fault, Health, Start};

async fn settled(scene: &Scene) {
    tokio::time::sleep(Duration::from_secs(60)).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_taken_back_everywhere_and_proven() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let scene = Scene::on_blue().fault("nginx-2", "commit", fault);
        scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
        let mut reverted = scene.world.borrow().hosts_with("revert").join(" ");
        reverted.push(' ');
        assert_eq!(reverted, "nginx-1 nginx-2 ");
        assert_eq!(scene.marked(), 0);
        settled(&scene).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_comes_late_changes_nothing_any_more() {
    let scene = Scene::on_blue().fault("nginx-2", "commit", Fault::Late(Duration::from_secs(2)));
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert!(
        scene.world.borrow().times("commit").len() < 2,
        "it must still be under way"
    );
    settled(&scene).await;
    // What comes last is asked for by whoever looks.
    scene.rollback().await;
    assert_eq!(scene.world.borrow().times("commit").len(), 2);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_late_is_fenced_off_before_the_way_home_looks() {
    // It would come after the look and before the withdrawal if nothing fenced it off first.
    for late in [1, 4, 6, 8, 11, 14, 16, 20, 30] {
        let scene = Scene::on_blue().fault("was-2", "start", Fault::Late(Duration::from_millis(late)));
        scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
        settled(&scene).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_is_refused_is_seen_and_every_nginx_goes_home() {
    let scene = Scene::on_blue().change(|world| world.nginx("nginx-1").refuses_reload = true);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn all_nginx_hosts_have_answered_before_any_goes_home() {
    let scene = Scene::on_blue().fault(
        "nginx-1",
        "commit",
        Fault::Answers(Answer::Commit(Fenced::Passed(SwitchAnswer::Drifted))),
    );
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    let world = scene.world.borrow();
    assert_eq!(world.hosts_with("commit"), ["nginx-2"]);
    assert_eq!(
        world.hosts_with("revert"),
        ["nginx-2"],
        "the other one was never touched"
    );
    assert!(world.times("commit").last() < world.times("revert").first());
}

#[tokio::test(start_paused = true)]
async fn where_no_nginx_was_touched_it_is_as_it_was() {
    let drifted = || Fault::Answers(Answer::Commit(Fenced::Passed(SwitchAnswer::Drifted)));
    let scene =
        Scene::on_blue()
            .fault("nginx-1", "commit", drifted())
            .fault("nginx-2", "commit", Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.world.borrow().times("revert"), [0; 0]);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_way_back_whose_answer_is_lost_is_mixed_and_nothing_is_stopped() {
    let scene = Scene::on_blue()
        .fault("nginx-1", "commit", Fault::LostAfter)
        .faults("nginx-2", "revert", (0, 9), Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    scene.is_unlocked();
    for host in scene.world.borrow().hosts.values() {
        assert_eq!(host.record.as_ref().unwrap().status, RunStatus::Open);
        assert!(
            host.nginx.as_ref().is_none_or(|nginx| !nginx.homes.is_empty()),
            "home is still needed"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_was_told_and_is_gone_is_mixed() {
    let scene = Scene::on_blue()
        .fault("nginx-2", "commit", Fault::LostAfter)
        .faults("nginx-2", "revert", (0, 9), Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_was_never_told_and_is_gone_leaves_all_as_it_was() {
    let scene = Scene::on_blue()
        .change(|world| world.host("was-1").start = Start::Exits)
        .faults("nginx-2", "record", (2, 99), Fault::NotSent)
        .faults("nginx-2", "observe", (1, 99), Fault::NotSent);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert!(ended.says(|it| matches!(it, Problem::CannotObserve { .. })));
    assert_eq!(scene.live_port(), 8080);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.listeners(8081), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_fenced_off_touches_nothing_more() {
    let taken = LockState {
        epoch: Epoch(9),
        ..LockState::default()
    };
    let fault = Fault::Answers(Answer::Prepare(Fenced::Refused(taken)));
    let scene = Scene::on_blue().fault("nginx-1", "prepare", fault);
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    let world = scene.world.borrow();
    for later in [
        "commit",
        "revert",
        "stop",
        "discard_upload",
        "clean_nginx",
        "unlock",
    ] {
        assert_eq!(world.times(later), [0; 0], "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_fenced_off_on_the_way_home_stops_there() {
    let scene = Scene::on_blue()
        .fault("nginx-1", "commit", Fault::LostAfter)
        .when(Phase::Commit, |world| {
            // Somebody breaks the lock and takes it, just as the switch begins.
            world.host("was-1").lock.epoch = Epoch(9);
        });
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    assert_eq!(scene.world.borrow().times("revert"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn with_nobody_home_both_slots_are_held() {
    let scene = Scene::with("bake: { for: 10s, then: stop }\n").when(Phase::Bake, |world| {
        for name in ["was-1", "was-2"] {
            world.host(name).kill(8080);
            world
                .host(name)
                .processes
                .iter_mut()
                .for_each(|process| process.health = Health::Down);
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert!(ended.says(|it| matches!(it, Problem::HomeGone { .. })));
    assert_eq!(scene.live_port(), 8081, "traffic is left where it is");
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_slot_that_falls_ill_in_the_bake_sends_traffic_home() {
    let scene = Scene::with("bake: { for: 10s, then: stop }\n").when(Phase::Bake, |world| {
        let processes = &mut world.host("was-2").processes;
        let green = processes
            .iter_mut()
            .filter(|process| process.port.number() == 8081);
        green.for_each(|process| process.health = Health::Down);
    });
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.marked(), 2);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_exits_is_marked_and_its_neighbour_is_stopped() {
    let scene = Scene::on_blue().change(|world| world.host("was-1").start = Start::Exits);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.marked(), 2);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_network_between_nginx_and_a_healthy_instance_says_nothing_against_the_release() {
    let scene = Scene::on_blue().faults("nginx-1", "http", (2, 9999), Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.marked(), 0);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_hangs_on_its_own_host_is_to_blame() {
    let scene = Scene::on_blue().change(|world| world.host("was-1").health = Health::Silent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.marked(), 2);
    settled(&scene).await;
}

#[tokio::test(start_paused = true)]
async fn a_release_is_marked_even_where_its_process_cannot_be_ended() {
    let scene = Scene::on_blue()
        .change(|world| world.host("was-2").health = Health::Down)
        .faults("was-2", "stop", (0, 9), Fault::LostBefore);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.marked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_way_back_whose_answer_is_lost_once_is_asked_for_again() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::NotSent] {
        let scene = Scene::on_blue()
            .fault("nginx-1", "commit", Fault::LostAfter)
            .fault("nginx-2", "revert", fault);
        scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
        assert_eq!(scene.records(), [RunStatus::Done; 4]);
        settled(&scene).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_still_have_requests_is_not_withdrawn() {
    let green = |world: &mut crate::world::World| {
        let processes = &mut world.host("was-2").processes;
        let green = processes
            .iter_mut()
            .filter(|process| process.port.number() == 8081);
        green.for_each(|process| process.health = Health::Down);
        world.nginx("nginx-1").old_workers = 1;
    };
    let scene = Scene::with("bake: { for: 10s, then: stop }\n").when(Phase::Bake, green);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    scene.is_unlocked();
}

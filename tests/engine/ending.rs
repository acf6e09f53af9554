//! The end of a run: the last look before the old slot goes, and what only warns.

use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::lock::{Epoch, LockState};
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use nonstop::remote::answer::{Answer, Fenced};

use crate::scene::{SITE, Scene};
use crate::world::{Fault, Start};

fn undone(problem: &Problem) -> bool {
    matches!(problem, Problem::LeftUndone { .. })
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_that_will_not_end_is_a_warning() {
    let scene = Scene::on_blue().fault("was-2", "stop", Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(undone));
    assert_eq!(scene.live_port(), 8081);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_that_ignores_term_is_killed() {
    let scene = Scene::on_blue().change(|world| {
        for process in &mut world.host("was-1").processes {
            process.heeds_term = false;
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(!ended.says(undone));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_stays_where_the_new_one_has_just_died() {
    let scene = Scene::on_blue().when(Phase::Stop, |world| world.host("was-1").kill(8081));
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 8);
    assert!(ended.says(undone));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.listeners(8080), ["was-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_somebody_led_back_meanwhile_is_mixed_and_nothing_is_stopped() {
    let scene = Scene::on_blue().when(Phase::Drain, |world| {
        let nginx = world.nginx("nginx-2");
        let back = nginx.content().unwrap().replace("8081", "8080");
        nginx.site(SITE, &back);
    });
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    let world = scene.world.borrow();
    assert_eq!(world.times("stop"), [0; 0]);
    assert_eq!(world.times("prune"), [0; 0]);
    assert!(
        world
            .hosts
            .values()
            .all(|host| host.record.as_ref().unwrap().status == RunStatus::Open)
    );
}

#[tokio::test(start_paused = true)]
async fn an_nginx_that_cannot_be_looked_at_keeps_the_old_slot_up() {
    let scene = Scene::on_blue().faults("nginx-1", "observe", (1, 9), Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(undone));
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_point_of_no_return_that_is_not_on_record_everywhere_stops_nothing() {
    // Upload, start, commit, and then the point of no return.
    let scene = Scene::on_blue().faults("was-2", "record", (3, 1), Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(undone));
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_finish_that_fails_takes_nothing_back() {
    for scene in [Scene::on_blue(), Scene::empty()] {
        let scene = scene.faults("was-1", "prune", (0, 9), Fault::LostBefore);
        let ended = scene.deploy().await;
        ended.ends(&scene, Outcome::Deployed, 0);
        assert!(ended.says(undone));
        assert_eq!(scene.world.borrow().times("revert"), [0; 0]);
        assert_eq!(scene.world.borrow().times("prune").len(), 1, "the other host's");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_fenced_off_at_the_end_says_so_and_touches_nothing_more() {
    let refused = || LockState {
        epoch: Epoch(9),
        ..LockState::default()
    };
    let scene = Scene::on_blue().fault(
        "was-1",
        "stop",
        Fault::Answers(Answer::Stop(Fenced::Refused(refused()))),
    );
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    assert_eq!(scene.world.borrow().times("prune"), [0; 0]);
    assert_eq!(scene.world.borrow().times("unlock"), [0; 0]);
    let scene = Scene::on_blue().fault(
        "was-1",
        "prune",
        Fault::Answers(Answer::Prune(Fenced::Refused(refused()))),
    );
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    assert_eq!(scene.world.borrow().times("unlock"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_waited_for() {
    let scene =
        Scene::on_blue().change(|world| world.host("was-1").start = Start::Listens(Duration::from_secs(55)));
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_nobody_hears_of_is_not_called_a_success() {
    // Upload, start, commit; and then nobody takes the word that it is over.
    let mut scene = Scene::empty();
    for host in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        scene = scene.faults(host, "record", (3, 99), Fault::LostBefore);
    }
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    let mut scene = Scene::on_blue();
    for host in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        scene = scene.faults(host, "record", (4, 99), Fault::LostBefore);
    }
    // The point of no return was on record everywhere: nobody turns back any more.
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_slept_while_another_finished_the_run_was_taken_over() {
    let scene = Scene::on_blue().when(Phase::Drain, |world| {
        for host in world.hosts.values_mut() {
            host.lock.epoch = Epoch(9);
            host.lock.run = None;
            if let Some(nginx) = &mut host.nginx {
                nginx.tokens.clear();
            }
        }
    });
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    assert_eq!(scene.world.borrow().times("stop"), [0; 0]);
}

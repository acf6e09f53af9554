//! One writer: a lock that is held, a lock that is waited for, and two runs that begin at once.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::lock::{Epoch, LockState, Owner};
use nonstop::model::names::{HostName, RunId};
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;

use crate::scene::{Scene, jar};
use crate::world::Fault;

fn held() -> LockState {
    LockState {
        epoch: Epoch(4),
        run: Some(RunId::new("run-of-kim").unwrap()),
        owner: Some(Owner {
            who: "kim".to_owned(),
            ..Owner::default()
        }),
        lease_left: None,
    }
}

/// Kim holds one host.
fn held_scene() -> Scene {
    Scene::on_blue().change(|world| world.host("was-2").lock = held())
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_somebody_holds_ends_the_run_and_says_who() {
    let scene = held_scene();
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 5);
    assert!(ended.says(|it| matches!(it, Problem::Locked { lock } if *lock == held())));
    assert_eq!(
        scene.world.borrow().times("lock"),
        [0; 0],
        "no host is touched unless all are free"
    );
    assert_eq!(scene.world.borrow_mut().host("was-2").lock, held());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_given_back_in_time_is_taken_with_a_higher_epoch() {
    let mut scene = held_scene();
    scene.lock_wait = Duration::from_secs(300);
    let world = scene.world.clone();
    let (ended, ()) = futures::join!(scene.deploy(), async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.borrow_mut().host("was-2").lock.run = None;
    });
    ended.ends(&scene, Outcome::Deployed, 0);
    let waiting = |event: &&Event| matches!(event, Event::LockWaiting { .. });
    assert_eq!(ended.events.iter().filter(waiting).count(), 1);
    for host in scene.world.borrow().hosts.values() {
        assert_eq!(host.lock.epoch, Epoch(5));
    }
}

#[tokio::test(start_paused = true)]
async fn what_changed_while_a_run_waited_is_looked_at_anew() {
    let mut scene = held_scene();
    scene.lock_wait = Duration::from_secs(300);
    let world = scene.world.clone();
    let (ended, ()) = futures::join!(scene.deploy(), async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let mut world = world.borrow_mut();
        world.host("was-2").lock.run = None;
        let port = 8081.try_into().unwrap();
        world.host("was-1").spawn(port, Duration::ZERO);
    });
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(|it| matches!(it, Problem::ForeignProcess { .. })));
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_over_ends_like_no_wait_at_all() {
    let mut scene = held_scene();
    scene.lock_wait = Duration::from_secs(10);
    let began = tokio::time::Instant::now();
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 5);
    assert!(began.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_wait() {
    let mut scene = held_scene().signal(Phase::Lock, Signal::Interrupt);
    scene.lock_wait = Duration::from_secs(300);
    let began = tokio::time::Instant::now();
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 130);
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_that_begin_at_once_one_wins_and_the_other_leaves_nothing() {
    let scene = Scene::on_blue();
    let (one, two) = futures::join!(
        scene.run("run-1", Wanted::Jar(jar("sokdak-2.jar", "b"))),
        scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c")))
    );
    one.ends(&scene, Outcome::Deployed, 0);
    two.ends(&scene, Outcome::AsItWas, 5);
    assert!(two.says(|it| matches!(it, Problem::Locked { .. })));
    assert_eq!(scene.live_port(), 8081);
    scene.is_unlocked();
    assert_eq!(
        scene.world.borrow().times("put").len(),
        2,
        "the loser sent nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_that_begin_at_once_the_loser_that_waits_goes_second() {
    let mut scene = Scene::on_blue();
    scene.lock_wait = Duration::from_secs(600);
    let (one, two) = futures::join!(
        scene.run("run-1", Wanted::Jar(jar("sokdak-2.jar", "b"))),
        scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c")))
    );
    one.ends(&scene, Outcome::Deployed, 0);
    two.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(
        scene.live_port(),
        8080,
        "the second one planned from what the first one left"
    );
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_lock_whose_answer_is_lost_is_given_back_on_every_host() {
    for host in ["nginx-1", "was-2"] {
        let scene = Scene::on_blue().fault(host, "lock", Fault::LostAfter);
        scene.deploy().await.ends(&scene, Outcome::AsItWas, 4);
        scene.is_unlocked();
        scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_could_not_be_given_back_is_said() {
    let scene = Scene::on_blue().faults("was-1", "unlock", (0, 9), Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(|it| matches!(it, Problem::LockLeft { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_longer_than_its_lease_keeps_its_locks() {
    let scene = Scene::with("bake: { for: 10m, then: stop }\nlock: { lease: 5s }\n");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert!(scene.world.borrow().times("renew").len() > 4 * 100);
}

#[tokio::test(start_paused = true)]
async fn a_heart_that_beats_in_vain_on_one_host_beats_on_for_the_others() {
    let scene =
        Scene::with("bake: { for: 2m, then: stop }\n").faults("was-1", "renew", (0, 9999), Fault::LostBefore);
    // The other three are still ours when the first one refuses.
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    let world = scene.world.borrow();
    assert_eq!(world.times("stop"), [0; 0]);
    for name in ["was-2", "nginx-1", "nginx-2"] {
        assert!(
            world.hosts[&HostName::new(name).unwrap()].lock_now().is_held(),
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn locks_of_a_dead_controller_are_taken_over_when_their_lease_is_over() {
    let scene = Scene::on_blue();
    scene.dies(Phase::Lock, Duration::from_millis(7)).await;
    let locked = |scene: &Scene| {
        let world = scene.world.borrow();
        world
            .hosts
            .values()
            .filter(|host| host.lock_now().is_held())
            .count()
    };
    scene.rests(1).await;
    assert!(locked(&scene) > 0);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 5);
    scene.rests(31).await;
    assert_eq!(locked(&scene), 0);
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-2.jar", "b"))).await;
    ended.ends(&scene, Outcome::Deployed, 0);
    let looks = |event: &&Event| {
        matches!(
            event,
            Event::PhaseStarted {
                phase: Phase::Observe,
                ..
            }
        )
    };
    assert_eq!(ended.events.iter().filter(looks).count(), 2, "it looks anew");
    for host in scene.world.borrow().hosts.values() {
        assert_eq!(host.lock.epoch, Epoch(2), "one epoch everywhere");
    }
}

#[tokio::test(start_paused = true)]
async fn no_lock_is_taken_over_while_one_of_them_is_held() {
    let scene = Scene::with("bake: { for: 10m, then: stop }\n");
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(29).await;
    {
        let mut world = scene.world.borrow_mut();
        let mut lock = held();
        lock.epoch = Epoch(1);
        world.host("was-2").lock = lock;
    }
    scene.rests(5).await;
    scene
        .run("run-2", Wanted::Resume)
        .await
        .ends(&scene, Outcome::AsItWas, 5);
    assert_eq!(
        scene.world.borrow().times("lock").len(),
        4,
        "those of the dead run"
    );
}

#[tokio::test(start_paused = true)]
async fn a_way_home_whose_leases_are_over_takes_the_locks_again_first() {
    // Nothing gets through for longer than the lease, and nobody comes.
    let scene = Scene::with("bake: { for: 10m, then: stop }\n").when(Phase::Bake, |world| {
        let until = tokio::time::Instant::now() + Duration::from_secs(90);
        for host in world.hosts.keys().cloned().collect::<Vec<_>>() {
            world.cut_off.insert(host, until);
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert!(
        ended
            .events
            .iter()
            .any(|event| matches!(event, Event::LockRetaken { epoch: Epoch(2) }))
    );
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_way_home_after_somebody_else_came_touches_nothing() {
    let scene = Scene::with("bake: { for: 10m, then: stop }\n").when(Phase::Bake, |world| {
        let until = tokio::time::Instant::now() + Duration::from_secs(90);
        for host in world.hosts.keys().cloned().collect::<Vec<_>>() {
            world.cut_off.insert(host, until);
        }
        let at = tokio::time::Instant::now() + Duration::from_secs(60);
        let host = HostName::new("was-1").unwrap();
        world.happens(at, &host, "kim comes", |world| world.host("was-1").lock = held());
    });
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    let world = scene.world.borrow();
    assert_eq!(world.times("revert"), [0; 0]);
    assert_eq!(world.times("unlock"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn one_lost_answer_does_not_end_the_wait() {
    let mut scene = held_scene().faults("was-1", "observe", (1, 2), Fault::LostBefore);
    scene.lock_wait = Duration::from_secs(300);
    let world = scene.world.clone();
    let (ended, ()) = futures::join!(scene.deploy(), async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.borrow_mut().host("was-2").lock.run = None;
    });
    ended.ends(&scene, Outcome::Deployed, 0);
}

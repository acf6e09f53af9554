//! What a run says at its end is true although another run was met on the way, somebody else came meanwhile, or
//! something could not be taken back.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::lock::{Epoch, LockState};
use nonstop::model::names::{HostName, SlotName};
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use nonstop::remote::answer::{Answer, Fenced};

use crate::scene::{Ended, SITE, Scene, jar};
use crate::world::Fault;

const BAKE: &str = "bake: { for: 60s, then: stop }\n";

async fn half_confirmed() -> Scene {
    let scene = Scene::with(BAKE).faults("nginx-2", "confirm", (0, 999), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_millis(200)).await;
    scene.world.borrow_mut().rules.clear();
    scene.rests(60).await;
    scene
}

/// A deploy that dies while it switches; the watches led everybody home.
async fn gone_home() -> Scene {
    let scene = Scene::with(BAKE).fault("nginx-2", "commit", Fault::Slow(Duration::from_secs(2)));
    scene.dies(Phase::Commit, Duration::from_secs(1)).await;
    scene.rests(60).await;
    scene
}

fn live_slot(ended: &Ended) -> Option<String> {
    ended.events.iter().find_map(|event| match event {
        Event::RunEnded { live_slot, .. } => live_slot.as_ref().map(ToString::to_string),
        _ => None,
    })
}

/// A host answers that somebody else has it now.
fn foreign() -> Fault {
    let lock = LockState {
        epoch: Epoch(9),
        ..LockState::default()
    };
    Fault::Answers(Answer::Record(Fenced::Refused(lock)))
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_is_refused_after_it_moved_traffic_does_not_say_that_nothing_was_changed() {
    let scene = half_confirmed().await.when(Phase::Confirm, |world| {
        world
            .host("was-1")
            .spawn(8080.try_into().unwrap(), Duration::ZERO);
        world.host("was-1").disk_is_full = true;
    });
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::Deployed, 8);
    assert!(ended.events.iter().any(|it| matches!(it, Event::Refused { .. })));
    assert_eq!(live_slot(&ended).as_deref(), Some("green"));
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_hears_a_signal_after_it_moved_traffic_says_where_it_is() {
    let scene = half_confirmed().await.signal(Phase::Confirm, Signal::Interrupt);
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::Deployed, 130);
    assert_eq!(live_slot(&ended).as_deref(), Some("green"));
    assert_eq!(scene.live_port(), 8081);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn the_last_word_of_a_way_home_tells_that_somebody_else_came() {
    // Upload, start, commit, revert, and then that it is over.
    let scene = Scene::on_blue()
        .fault("nginx-2", "commit", Fault::LostAfter)
        .faults("was-1", "record", (4, 9), foreign());
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    // The same where something is left to do.
    let scene = Scene::on_blue()
        .fault("nginx-2", "commit", Fault::LostAfter)
        .faults("was-2", "stop", (0, 9), Fault::LostBefore)
        .faults("was-1", "record", (4, 9), foreign());
    scene.deploy().await.ends(&scene, Outcome::TakenOver, 5);
    let scene = gone_home().await.faults("was-1", "record", (1, 9), foreign());
    scene.resume().await.ends(&scene, Outcome::TakenOver, 5);
}

#[tokio::test(start_paused = true)]
async fn a_resume_that_leaves_something_of_the_run_is_not_done() {
    let scene = gone_home()
        .await
        .faults("was-2", "stop", (0, 1), Fault::LostBefore);
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::RolledBack, 8);
    assert_eq!(live_slot(&ended).as_deref(), Some("blue"));
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_resume_of_which_no_host_hears_that_it_is_over_is_not_done() {
    let mut scene = gone_home().await;
    for host in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        scene = scene.faults(host, "record", (1, 99), Fault::LostBefore);
    }
    scene.resume().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.world.borrow_mut().rules.clear();
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_own_locks_does_not_blame_somebody_else() {
    // Nothing gets through for longer than the lease, and then one lock is not taken again.
    let scene = Scene::with("bake: { for: 10m, then: stop }\n")
        .when(Phase::Bake, |world| {
            let until = tokio::time::Instant::now() + Duration::from_secs(90);
            for host in world.hosts.keys().cloned().collect::<Vec<_>>() {
                world.cut_off.insert(host, until);
            }
        })
        .faults("nginx-2", "lock", (1, 1), Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("revert"), [0; 0]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.is_unlocked();
}

/// Both slots are up, and nginx-2 was led back by hand.
async fn apart() -> Scene {
    let scene = Scene::with("bake: { for: 0s, then: keep }\n");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let old = {
        let mut world = scene.world.borrow_mut();
        let nginx = world.nginx("nginx-2");
        nginx.content().unwrap().replace(":8081", ":8080")
    };
    scene.world.borrow_mut().nginx("nginx-2").site(SITE, &old);
    scene
}

fn disagree(problem: &Problem) -> bool {
    matches!(problem, Problem::NginxDisagree { .. })
}

#[tokio::test(start_paused = true)]
async fn nginx_hosts_that_are_led_back_to_where_they_were_apart_are_mixed() {
    let to = || Wanted::Converge {
        to: SlotName::new("blue").unwrap(),
    };
    let scene = apart().await.fault("nginx-1", "commit", Fault::LostAfter);
    let ended = scene.run("run-3", to()).await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(live_slot(&ended), None);
    assert!(ended.says(disagree));

    let scene = apart().await.fault("nginx-1", "commit", Fault::Never);
    {
        let run = scene.run("run-3", to());
        let dies = tokio::time::sleep(Duration::from_secs(10));
        tokio::select! { _ = run => panic!("it ended"), () = dies => {} }
    }
    scene.rests(60).await;
    assert_eq!(scene.live_port(), 0, "its watch went home");
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(live_slot(&ended), None);
    assert!(ended.says(disagree));
    scene.run("run-5", to()).await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn where_no_process_is_told_to_end_nobody_says_that_its_end_has_begun() {
    for playbook in ["bake: { for: 0s, then: keep }\n", ""] {
        let scene = Scene::with(playbook).when(Phase::Drain, |world| world.nginx("nginx-1").old_workers = 1);
        scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(scene.times("stop"), [0; 0]);
        let world = scene.world.borrow();
        let record = world.hosts[&HostName::new("was-1").unwrap()]
            .record
            .as_ref()
            .unwrap();
        assert!(!record.point_of_no_return, "{playbook}");
        assert_eq!(record.status, RunStatus::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_is_refused_where_nothing_had_to_be_moved_changed_nothing() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(31).await;
    let scene = scene.when(Phase::Drain, |world| world.host("was-1").disk_is_full = true);
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert_eq!(scene.times("commit").len(), 2, "those of the first run");
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_is_refused_because_hosts_were_apart_before_changed_nothing() {
    let to = SlotName::new("blue").unwrap();
    let scene = apart().await.fault("nginx-1", "prepare", Fault::Never);
    {
        let run = scene.run("run-3", Wanted::Converge { to });
        let dies = tokio::time::sleep(Duration::from_secs(10));
        tokio::select! { _ = run => panic!("it ended"), () = dies => {} }
    }
    scene.rests(60).await;
    let ended = scene.run("run-4", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::AsItWas, 4);
}

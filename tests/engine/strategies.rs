//! Runs of several routings: each in its order, back to the routing before the run from any of them, on again
//! from any of them, and runs that wait for a person.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::finding::Problem;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::plan::Promote;
use nonstop::model::record::RunStatus;

use crate::scene::{Scene, jar};
use crate::world::{Fault, Health, Shares};

const ROLLING: &str = "update: { strategy: rolling, max_parallel: 1 }\n";
const CANARY: &str =
    "update: { strategy: canary, steps: [{ weight: 10, hold: 30s }, { weight: 50, hold: 30s }] }\n";
const CANARY_BY_HAND: &str = "update: { strategy: canary, steps: [{ weight: 10, hold: until_promoted }, { weight: 50, hold: until_promoted }] }\n";
const BY_HAND: &str = "update: { auto_promote: false }\n";

/// What every nginx runs, each routing once.
fn routings(scene: &Scene) -> Vec<String> {
    let world = scene.world.borrow();
    let nginx = world.hosts.values().filter_map(|host| host.nginx.as_ref());
    let mut routings: Vec<_> = nginx
        .map(|nginx| {
            let shares = nginx.shares().into_iter();
            let told = shares.map(|((address, port), weight)| match weight {
                1 => format!("{address}:{port}"),
                weight => format!("{address}:{port}*{weight}"),
            });
            told.collect::<Vec<_>>().join(" ")
        })
        .collect();
    routings.sort();
    routings.dedup();
    routings
}

fn sick(world: &mut crate::world::World) {
    for name in ["was-1", "was-2"] {
        for process in &mut world.host(name).processes {
            if process.port.number() == 8081 {
                process.health = Health::Down;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rolling_starts_a_host_just_before_it_gets_traffic() {
    let scene = Scene::with(ROLLING);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    let (starts, commits) = (scene.times("start"), scene.times("commit"));
    assert_eq!(
        (starts.len(), commits.len()),
        (2, 4),
        "one reload a step on each nginx"
    );
    assert!(starts[0] < commits[0] && commits[1] < starts[1] && starts[1] < commits[2]);
    assert_eq!(scene.world.borrow().hosts_with("start"), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_old_is_stopped_before_the_last_routing_is_confirmed() {
    for playbook in [ROLLING, CANARY] {
        let scene = Scene::with(playbook);
        scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
        scene.is_deployed();
        let (confirms, stops) = (scene.times("confirm"), scene.times("stop"));
        assert!(confirms.last() < stops.first(), "{playbook}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_gets_the_share_of_each_step() {
    let scene = Scene::with(CANARY);
    scene.dies(Phase::Hold, Duration::from_secs(10)).await;
    assert_eq!(
        routings(&scene),
        ["10.0.0.1:8080*9 10.0.0.1:8081 10.0.0.2:8080*9 10.0.0.2:8081"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_goes_back_to_the_routing_before_the_run() {
    for playbook in [ROLLING, CANARY] {
        // The first step is confirmed on both, and the second one is refused on one of them.
        let scene = Scene::with(playbook).faults("nginx-2", "prepare", (1, 1), Fault::NotSent);
        scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
        assert_eq!(routings(&scene), ["10.0.0.1:8080 10.0.0.2:8080"], "{playbook}");
        scene.rests(60).await;
        scene.is_as_it_was();
        assert_eq!(scene.records(), [RunStatus::Done; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_gets_sick_while_it_is_held_goes_back() {
    let scene = Scene::with(CANARY).when(Phase::Hold, sick);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    scene.rests(60).await;
    scene.is_as_it_was();
    assert_eq!(routings(&scene), ["10.0.0.1:8080 10.0.0.2:8080"]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_between_two_routings_takes_all_of_it_back() {
    let scene = Scene::with(CANARY).signal(Phase::Hold, Signal::Terminate);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 143);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_between_two_routings_is_resumed_to_its_end() {
    let scene = Scene::with(CANARY);
    scene.dies(Phase::Hold, Duration::from_secs(12)).await;
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_rolling_run_whose_next_host_was_just_starting_is_resumed_to_its_end() {
    let scene = Scene::with(ROLLING).faults("was-2", "start", (0, 1), Fault::Vanishes);
    let second = async {
        while scene.times("confirm").len() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    };
    tokio::select! {
        biased;
        () = second => {}
        _ = scene.deploy() => panic!("it ended before it died"),
    }
    scene.rests(90).await;
    assert_eq!(routings(&scene), ["10.0.0.1:8081 10.0.0.2:8080"]);
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_while_it_switched_for_the_second_time_stays_with_its_first_routing() {
    let scene = Scene::with(CANARY).faults("nginx-2", "commit", (1, 1), Fault::Slow(Duration::from_secs(5)));
    let second = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if scene.times("commit").len() >= 3 {
                tokio::time::sleep(Duration::from_millis(500)).await;
                return;
            }
        }
    };
    let deploy = scene.deploy();
    tokio::select! {
        biased;
        () = second => {}
        _ = deploy => panic!("it ended before it died"),
    }
    scene.rests(90).await;
    assert_eq!(
        routings(&scene),
        ["10.0.0.1:8080*9 10.0.0.1:8081 10.0.0.2:8080*9 10.0.0.2:8081"],
        "every watch went back to the same"
    );
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn another_deploy_takes_back_a_run_that_died_between_its_routings() {
    let scene = Scene::with(CANARY);
    scene.dies(Phase::Hold, Duration::from_secs(10)).await;
    scene.rests(60).await;
    let another = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_holds_nothing_and_nothing_else_begins() {
    let scene = Scene::with(CANARY_BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    scene.rests(120).await;
    let waiting = routings(&scene);
    assert_eq!(
        waiting,
        ["10.0.0.1:8080*9 10.0.0.1:8081 10.0.0.2:8080*9 10.0.0.2:8081"]
    );
    scene.is_unlocked();
    assert_eq!(scene.records(), [RunStatus::Waiting; 4]);
    let another = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::AsItWas, 5);
    let names_both = |problem: &Problem| {
        let text = problem.to_string();
        text.contains("run run-1 ") && text.contains("run run-2 ")
    };
    assert!(another.says(names_both));
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
    assert_eq!(routings(&scene), waiting);
    assert_eq!(scene.records(), [RunStatus::Waiting; 4]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_run_is_promoted_to_where_it_waits_next_and_then_to_its_end() {
    let scene = Scene::with(CANARY_BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    let next = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    next.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(
        routings(&scene),
        ["10.0.0.1:8080 10.0.0.1:8081 10.0.0.2:8080 10.0.0.2:8081"]
    );
    scene.is_unlocked();
    let last = scene.run("run-3", Wanted::Promote(Promote::Next)).await;
    last.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_run_is_promoted_to_its_end_at_once() {
    for playbook in [CANARY_BY_HAND, BY_HAND] {
        let scene = Scene::with(playbook);
        scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
        let last = scene.run("run-2", Wanted::Promote(Promote::All)).await;
        last.ends(&scene, Outcome::Deployed, 0);
        scene.is_deployed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_is_taken_back_by_a_rollback() {
    for (playbook, outcome) in [(CANARY_BY_HAND, Outcome::RolledBack), (BY_HAND, Outcome::AsItWas)] {
        let scene = Scene::with(playbook);
        scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
        scene.rollback().await.ends(&scene, outcome, 0);
        scene.rests(60).await;
        scene.is_as_it_was();
        assert_eq!(scene.records(), [RunStatus::Done; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_promotion_the_new_slot_is_ready_and_gets_nothing() {
    let scene = Scene::with(BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    assert_eq!(scene.times("commit"), [0; 0]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn what_got_sick_while_it_waited_is_not_promoted() {
    let scene = Scene::with(BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    sick(&mut scene.world.borrow_mut());
    let promoted = scene.run("run-2", Wanted::Promote(Promote::All)).await;
    promoted.ends(&scene, Outcome::AsItWas, 6);
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn an_nginx_host_that_was_left_out_between_two_routings_is_led_back_when_it_is_here_again() {
    let mut scene = Scene::with(CANARY_BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    let whole = scene.config.clone();
    scene = scene.without("nginx-2");
    scene.world.borrow_mut().host("nginx-2").is_left_out = true;
    let run = nonstop::model::names::RunId::new("run-2").unwrap();
    scene.world.borrow_mut().leavers.insert(run);
    scene.rollback().await.ends(&scene, Outcome::RolledBack, 0);
    scene.config = whole;
    scene.world.borrow_mut().host("nginx-2").is_left_out = false;
    let another = scene.run("run-3", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::AsItWas, 4);
    let to = nonstop::model::names::SlotName::new("blue").unwrap();
    let led = scene.run("run-4", Wanted::Converge { to }).await;
    led.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(routings(&scene), ["10.0.0.1:8080 10.0.0.2:8080"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_reboot_ended_while_it_waited_is_started_again_by_a_promotion() {
    let scene = Scene::with(CANARY_BY_HAND);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    scene.world.borrow_mut().shares = Shares::Split;
    for name in ["was-1", "was-2"] {
        scene.world.borrow_mut().host(name).processes.clear();
    }
    let promoted = scene.run("run-2", Wanted::Promote(Promote::All)).await;
    promoted.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(routings(&scene), ["10.0.0.1:8081 10.0.0.2:8081"]);
}

#[tokio::test(start_paused = true)]
async fn with_nobody_who_waits_there_is_nothing_to_promote() {
    let scene = Scene::on_blue();
    let promoted = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promoted.ends(&scene, Outcome::AsItWas, 4);
    assert!(promoted.says(|it| matches!(it, Problem::NothingWaits)));
    assert_eq!(scene.times("lock"), [0; 0]);
}

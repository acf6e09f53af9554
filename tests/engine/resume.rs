//! A controller dies at any instant, and another one goes on: with `resume`, with a goal of its own, or not at
//! all.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::decision::{Way, Why};
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::lock::Epoch;
use nonstop::model::names::{HostName, Port, SlotName};
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;

use crate::scene::{Scene, jar};
use crate::world::{Fault, Health, Start, World};

const BAKE: &str = "bake: { for: 60s, then: stop }\n";

/// A deploy whose controller dies between the first and the last confirm.
async fn half_confirmed() -> Scene {
    let scene = Scene::with(BAKE).faults("nginx-2", "confirm", (0, 999), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_millis(200)).await;
    assert_eq!(scene.tokens(), ["confirmed", "armed"]);
    scene.world.borrow_mut().rules.clear();
    scene
}

#[tokio::test(start_paused = true)]
async fn with_nothing_to_resume_nothing_is_done_and_no_lock_is_taken() {
    let scene = Scene::on_blue();
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 0);
    assert!(ended.says(|it| matches!(it, Problem::Fine { .. })));
    assert_eq!(scene.times("lock"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_alive_is_not_resumed() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 5);
    assert!(ended.says(|it| matches!(it, Problem::Locked { .. })));
    assert_eq!(ended.way(), None);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_before_its_switch_goes_back() {
    for phase in [Phase::Upload, Phase::Start, Phase::Verify, Phase::Prepare] {
        let scene = Scene::with(BAKE);
        scene.dies(phase, Duration::from_millis(3)).await;
        scene.rests(31).await;
        let ended = scene.resume().await;
        ended.ends(&scene, Outcome::AsItWas, 0);
        assert_eq!(ended.way(), Some(Way::Back), "{phase}");
        scene.rests(60).await;
        scene.is_as_it_was();
        assert_eq!(scene.records(), [RunStatus::Done; 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_while_it_switched_goes_home_by_itself() {
    let scene = Scene::with(BAKE).fault("nginx-2", "commit", Fault::Slow(Duration::from_secs(2)));
    scene.dies(Phase::Commit, Duration::from_secs(1)).await;
    scene.rests(60).await;
    assert_eq!(scene.live_port(), 8080, "nobody acted but the watches");
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_before_its_first_confirm_goes_back_although_its_watches_still_wait() {
    let scene = Scene::with(&format!("{BAKE}watch: {{ deadline: 10m }}\n")).faults(
        "nginx-1",
        "confirm",
        (0, 9),
        Fault::Vanishes,
    );
    let scene = scene.faults("nginx-2", "confirm", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_secs(1)).await;
    scene.rests(31).await;
    assert_eq!(scene.live_port(), 8081);
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(scene.times("arm"), [0; 0]);
    scene.rests(700).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn one_confirmed_switch_leads_all_of_them_forward() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    assert_eq!(scene.live_port(), 0, "the fleet is split");
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(ended.way(), Some(Way::Forward));
    scene.rests(60).await;
    scene.is_deployed();
    let world = scene.world.borrow();
    let record = world.hosts[&HostName::new("was-1").unwrap()]
        .record
        .as_ref()
        .unwrap();
    assert_eq!(record.run.as_str(), "run-1", "it is still the same run");
    assert_eq!(record.epoch, Epoch(2));
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_switch_to_a_slot_that_died_goes_back_and_arms_first() {
    let scene = half_confirmed().await;
    scene.world.borrow_mut().host("was-2").kill(8081);
    scene.rests(60).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(ended.way(), Some(Way::Back));
    assert_eq!(scene.times("arm").len(), 2);
    assert!(scene.times("arm").last() < scene.times("revert").first());
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn with_both_slots_dead_nothing_is_touched() {
    let scene = half_confirmed().await;
    for name in ["was-1", "was-2"] {
        scene.world.borrow_mut().host(name).kill(8081);
        scene.world.borrow_mut().host(name).kill(8080);
    }
    scene.rests(60).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(ended.way(), Some(Way::Hold(Why::BothSlotsDead)));
    assert_eq!(scene.times("revert"), [0; 0]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_in_its_bake_is_finished() {
    for phase in [Phase::Bake, Phase::Drain, Phase::Stop] {
        let scene = Scene::with("bake: { for: 10s, then: stop }\n");
        scene.dies(phase, Duration::from_millis(3)).await;
        scene.rests(31).await;
        scene.resume().await.ends(&scene, Outcome::Deployed, 0);
        scene.rests(60).await;
        scene.is_deployed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_resume_that_dies_is_resumed() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let scene = scene.fault("nginx-2", "commit", Fault::Never);
    {
        let resume = scene.resume();
        let dies = tokio::time::sleep(Duration::from_secs(5));
        tokio::select! { _ = resume => panic!("it ended"), () = dies => {} }
    }
    scene.rests(60).await;
    scene
        .run("run-10", Wanted::Resume)
        .await
        .ends(&scene, Outcome::Deployed, 0);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_meets_an_interrupted_run_brings_nginx_to_one_mind_and_plans_its_own_goal() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(ended.way(), Some(Way::Forward));
    scene.rests(60).await;
    assert_eq!(scene.live_port(), 8080, "it was planned from green");
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_went_forward_first_lets_requests_to_the_old_slot_end() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let port = Port::new(8080).unwrap();
    let scene = scene.change(|world| {
        let host = HostName::new("was-1").unwrap();
        world.host("was-1").connections.insert(port, 1);
        let soon = tokio::time::Instant::now() + Duration::from_secs(20);
        world.happens(soon, &host, "a request ends", |world| {
            world.host("was-1").connections.clear();
        });
    });
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(ended.way(), Some(Way::Forward));
}

#[tokio::test(start_paused = true)]
async fn a_deploy_after_one_that_died_early_starts_where_that_began() {
    for phase in [
        Phase::Upload,
        Phase::Start,
        Phase::Verify,
        Phase::Prepare,
        Phase::Commit,
    ] {
        let scene = Scene::on_blue();
        scene.dies(phase, Duration::from_millis(3)).await;
        scene.rests(60).await;
        let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
        ended.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(ended.way(), Some(Way::Back), "{phase}");
        scene.rests(60).await;
        scene.is_deployed();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_script_started_for_a_controller_that_died_is_cleared_by_whoever_comes() {
    for after in [20, 500, 1_900] {
        // The process listens, and the script that waited for it has no lock any more.
        for rests in [40, 60] {
            let slow = |world: &mut World| {
                for host in ["was-1", "was-2"] {
                    world.host(host).start = Start::Listens(Duration::from_secs(45));
                }
            };
            let scene = Scene::by_script().change(slow);
            scene.dies(Phase::Start, Duration::from_millis(after)).await;
            scene.rests(rests).await;
            scene.has_processes(2);
            scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
            scene.rests(60).await;
            scene.is_as_it_was();
            scene.has_processes(1);

            let scene = Scene::by_script().change(slow);
            scene.dies(Phase::Start, Duration::from_millis(after)).await;
            scene.rests(rests).await;
            let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
            ended.ends(&scene, Outcome::Deployed, 0);
            scene.rests(60).await;
            scene.is_deployed();
            scene.has_processes(1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_after_a_deploy_that_died_behind_its_switch_goes_back() {
    let scene = Scene::with(BAKE);
    scene.dies(Phase::Bake, Duration::from_secs(1)).await;
    scene.rests(60).await;
    let ended = scene.rollback().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(ended.way(), Some(Way::Forward));
    assert_eq!(scene.live_port(), 8080);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_cannot_converge_is_mixed_and_plans_nothing() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let scene = scene.faults("nginx-2", "commit", (0, 99), Fault::LostBefore);
    let ended = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("put").len(), 2, "those of the first run");
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_signal_before_the_old_slots_end_leaves_a_resumed_run_open_and_live() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let scene = scene.signal(Phase::Commit, Signal::Interrupt);
    scene.resume().await.ends(&scene, Outcome::Deployed, 130);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_gone_for_good_is_left_out_by_a_person() {
    let scene = half_confirmed().await;
    let gone = HostName::new("nginx-2").unwrap();
    scene.world.borrow_mut().crash(&gone);
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::AsItWas, 4);
    let scene = scene.without("nginx-2");
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    scene.rests(60).await;
    assert_eq!(scene.listeners(8080), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_host_that_nobody_knows_any_more_is_refused() {
    let mut scene = half_confirmed().await;
    scene.rests(60).await;
    scene
        .config
        .topology
        .nginx
        .remove(&HostName::new("nginx-2").unwrap());
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(|it| matches!(it, Problem::RecordedHostMissing { .. })));
    for name in ["was-1", "was-2", "nginx-1"] {
        assert_eq!(scene.world.borrow_mut().host(name).lock.run, None);
    }
}

#[tokio::test(start_paused = true)]
async fn nginx_hosts_that_disagree_without_a_record_are_brought_to_one_slot() {
    let scene = Scene::with("bake: { for: 0s, then: keep }\n");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let old = {
        let mut world = scene.world.borrow_mut();
        let nginx = world.nginx("nginx-2");
        nginx.content().unwrap().replace(":8081", ":8080")
    };
    scene
        .world
        .borrow_mut()
        .nginx("nginx-2")
        .site(crate::scene::SITE, &old);
    assert_eq!(scene.live_port(), 0);
    let to = SlotName::new("green").unwrap();
    let ended = scene.run("run-3", Wanted::Converge { to: to.clone() }).await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(
        ended
            .events
            .iter()
            .any(|event| matches!(event, Event::Converging { hosts, .. } if hosts.len() == 1))
    );
    assert_eq!(scene.live_port(), 8081);
    scene.rests(60).await;
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"], "nothing is stopped");
    let again = scene.run("run-4", Wanted::Converge { to }).await;
    again.ends(&scene, Outcome::AsItWas, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_slot_that_falls_ill_on_the_way_forward_turns_it_around() {
    let scene = half_confirmed().await;
    scene.rests(60).await;
    let scene = scene.when(Phase::Verify, |world| {
        for process in &mut world.host("was-2").processes {
            if process.port.number() == 8081 {
                process.health = Health::Down;
            }
        }
    });
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn past_the_point_of_no_return_nobody_turns_back() {
    let scene = Scene::on_blue().faults("was-1", "stop", (0, 9), Fault::Vanishes);
    let scene = scene.faults("was-2", "stop", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Stop, Duration::from_secs(1)).await;
    scene.world.borrow_mut().rules.clear();
    for name in ["was-1", "was-2"] {
        scene.world.borrow_mut().host(name).kill(8081);
    }
    scene.rests(31).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(ended.way(), Some(Way::Hold(Why::BothSlotsDead)));
    assert_eq!(scene.times("arm"), [0; 0]);
    assert_eq!(scene.times("revert"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn past_the_point_of_no_return_no_host_is_armed() {
    let scene = Scene::on_blue().faults("was-1", "stop", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Stop, Duration::from_secs(1)).await;
    scene.world.borrow_mut().rules.clear();
    {
        // Somebody leads one nginx elsewhere by hand.
        let mut world = scene.world.borrow_mut();
        let nginx = world.nginx("nginx-1");
        let edited = nginx.content().unwrap().replace(":8081", ":8080");
        nginx.site(crate::scene::SITE, &edited);
    }
    scene.rests(31).await;
    scene.resume().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("commit").len(), 2, "those of the deploy");
    assert_eq!(scene.times("stop").len(), 1, "the one that came through before");
}

#[tokio::test(start_paused = true)]
async fn a_first_deploy_that_died_goes_back_to_nothing_or_forward_by_its_tokens() {
    let scene = Scene::empty().faults("nginx-1", "confirm", (0, 9), Fault::Vanishes);
    let scene = scene.faults("nginx-2", "confirm", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_secs(1)).await;
    scene.world.borrow_mut().rules.clear();
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(scene.live_port(), 0);
    assert_eq!(scene.listeners(8080), [""; 0]);
    scene.is_unlocked();

    let scene = Scene::empty().faults("nginx-2", "confirm", (0, 9), Fault::Vanishes);
    scene.dies(Phase::Confirm, Duration::from_secs(1)).await;
    scene.world.borrow_mut().rules.clear();
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn a_single_host_with_both_parts_is_resumed_as_well() {
    for phase in [Phase::Start, Phase::Commit, Phase::Drain, Phase::Stop] {
        let scene = Scene::on_one_host();
        scene.dies(phase, Duration::from_millis(3)).await;
        scene.rests(60).await;
        let ended = scene.resume().await;
        assert_eq!(ended.verdict.exit.code(), 0, "{phase}");
        scene.rests(60).await;
        let live = scene.live_port();
        let forward = phase >= Phase::Drain;
        assert_eq!(live, if forward { 8081 } else { 8080 }, "{phase}");
        assert_eq!(
            scene.listeners(if forward { 8080 } else { 8081 }),
            [""; 0],
            "{phase}"
        );
        scene.is_unlocked();
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_not_taken_for_none() {
    let scene = Scene::on_blue().change(|world| world.host("was-1").unreadable = Some("torn".to_owned()));
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(|it| matches!(it, Problem::RecordUnreadable { .. })));
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn what_a_way_home_could_not_take_back_is_taken_back_by_whoever_comes_next() {
    let scene = Scene::on_blue()
        .change(|world| world.host("was-1").start = crate::world::Start::Exits)
        .faults("was-2", "stop", (0, 1), Fault::LostBefore);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    scene.rests(5).await;
    assert_eq!(scene.listeners(8081), ["was-2"]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
    scene.rests(60).await;
    scene.is_as_it_was();
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_while_it_tidied_up_is_over() {
    // With what is removed then go the tokens: the record said before that it is done.
    for after in [3, 7, 12] {
        let scene = Scene::on_blue();
        scene.dies(Phase::Finish, Duration::from_millis(after)).await;
        scene.rests(31).await;
        scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
        assert_eq!(scene.live_port(), 8081);
        let next = Wanted::Jar(jar("sokdak-3.jar", "c"));
        scene.run("run-2", next).await.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(scene.live_port(), 8080);
        scene.is_unlocked();
    }
}

//! What becomes of the hooks of a run that somebody goes on with.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::finding::Problem;
use nonstop::model::hook::{HookPoint, Recall};
use nonstop::model::names::HostName;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;

use crate::hooks::{
    EVERYWHERE, begun, dies_at_hook, dies_in, failed, failing, id, lasting, place, says, with_fate,
};
use crate::scene::{Scene, jar};
use crate::world::HookFate;

#[tokio::test(start_paused = true)]
async fn resume_waits_for_a_hook_that_still_runs_and_then_knows_how_it_ended() {
    let mut scene = lasting(HookPoint::BeforeStop, 100);
    dies_at_hook(&scene, HookPoint::BeforeStop, Duration::from_secs(2)).await;
    scene.rests(5).await;
    scene.lock_wait = Duration::from_secs(60);
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(
        ended.says(|problem| matches!(problem, Problem::HookRuns { .. })),
        "{:#?}",
        ended.events
    );
    scene.rests(100).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(begun(&scene, HookPoint::BeforeStop), 1);
}

#[tokio::test(start_paused = true)]
async fn resume_asks_where_nobody_knows_how_a_hook_ended_and_does_what_a_person_says() {
    for (recall, times) in [(Recall::Done, 1), (Recall::Again, 2)] {
        let scene = dies_in(HookPoint::AfterAllowTraffic).await;
        scene.rests(60).await;
        let ended = scene.resume().await;
        ended.ends(&scene, Outcome::AsItWas, 4);
        let asks = |problem: &Problem| matches!(problem, Problem::HookUnknown { hook, .. } if *hook == id(HookPoint::AfterAllowTraffic));
        assert!(ended.says(asks), "{:#?}", ended.events);
        assert_eq!(scene.live_port(), 8081);
        scene.is_unlocked();
        let mut scene = scene.change(|world| {
            world.hooks.person_says_again = true;
            world.hooks.fates.clear();
        });
        scene.hook_words = vec![says(HookPoint::AfterAllowTraffic, recall)];
        scene.resume().await.ends(&scene, Outcome::Deployed, 0);
        scene.is_deployed();
        assert_eq!(begun(&scene, HookPoint::AfterAllowTraffic), times);
    }
}

#[tokio::test(start_paused = true)]
async fn resume_runs_a_hook_again_that_says_it_may() {
    let more = "hooks: { after_allow_traffic: { run: f, on: controller, repeatable: true } }\n";
    let fate = HookFate {
        takes: Duration::from_secs(30),
        fails: false,
        ..HookFate::default()
    };
    let scene = with_fate(more, HookPoint::AfterAllowTraffic, fate);
    dies_at_hook(&scene, HookPoint::AfterAllowTraffic, Duration::from_secs(2)).await;
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(begun(&scene, HookPoint::AfterAllowTraffic), 2);
}

#[tokio::test(start_paused = true)]
async fn resume_goes_back_where_a_hook_had_failed() {
    let fate = HookFate {
        takes: Duration::from_secs(30),
        fails: true,
        ..HookFate::default()
    };
    let scene = with_fate(EVERYWHERE, HookPoint::BeforeStop, fate);
    dies_at_hook(&scene, HookPoint::BeforeStop, Duration::from_secs(2)).await;
    scene.rests(60).await;
    let ended = scene.resume().await;
    assert!(failed(&ended, HookPoint::BeforeStop));
    ended.ends(&scene, Outcome::RolledBack, 0);
    scene.is_as_it_was();
    assert_eq!(begun(&scene, HookPoint::BeforeStop), 1);
}

#[tokio::test(start_paused = true)]
async fn resume_takes_a_run_back_that_died_in_a_hook_before_the_switch_and_asks_nobody() {
    for point in [HookPoint::BeforeInstall, HookPoint::ValidateService] {
        let scene = dies_in(point).await;
        scene.rests(60).await;
        scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
        scene.is_as_it_was();
        assert_eq!(
            begun(&scene, point),
            u32::from(point == HookPoint::ValidateService) + 1
        );
        let world = scene.world.borrow();
        let (_, hook, env) = world.hooks.told.last().unwrap();
        assert_eq!(
            (hook.point, env["NONSTOP_PHASE"].as_str()),
            (HookPoint::OnFailure, "taken_back")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_meets_an_interrupted_run_runs_none_of_its_hooks() {
    let scene = dies_in(HookPoint::AfterAllowTraffic).await;
    scene.rests(60).await;
    let scene = scene.change(|world| world.hooks.fates.clear());
    let jar = jar("sokdak-3.jar", "c");
    let ended = scene.run("run-3", Wanted::Jar(jar)).await;
    ended.ends(&scene, Outcome::Deployed, 0);
    let world = scene.world.borrow();
    let again = world
        .hooks
        .begun
        .keys()
        .filter(|(_, run, _)| run.as_str() == "run-1");
    let after = again.filter(|(_, _, hook)| hook.point > HookPoint::AfterAllowTraffic);
    assert_eq!(after.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_resume_ends_its_hook_and_leaves_the_run_open() {
    let scene = lasting(HookPoint::BeforeStop, 200).turns(Duration::from_secs(60));
    scene.dies(Phase::Drain, Duration::ZERO).await;
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    assert_eq!(begun(&scene, HookPoint::BeforeStop), 1);
    // That says nothing of the hook, and the release that has the traffic stays there.
    let ended = scene.resume().await;
    assert!(ended.says(|problem| matches!(problem, Problem::HookUnknown { .. })));
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert_eq!(scene.live_port(), 8081);
    let mut scene = scene.change(|world| {
        world.hooks.person_says_again = true;
        world.hooks.fates.clear();
    });
    scene.hook_words = vec![says(HookPoint::BeforeStop, Recall::Again)];
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn resume_ends_a_hook_that_nobody_ended_in_time_and_goes_back() {
    let fate = HookFate {
        takes: Duration::from_secs(100_000),
        orphaned: true,
        ..HookFate::default()
    };
    let scene = with_fate(EVERYWHERE, HookPoint::BeforeStop, fate);
    dies_at_hook(&scene, HookPoint::BeforeStop, Duration::from_secs(2)).await;
    scene.rests(60).await;
    let ended = scene.resume().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(|problem| matches!(problem, Problem::HookRuns { .. })));
    scene.rests(600).await;
    let ended = scene.resume().await;
    assert!(failed(&ended, HookPoint::BeforeStop), "{:#?}", ended.events);
    ended.ends(&scene, Outcome::RolledBack, 0);
    scene.is_as_it_was();
    assert_eq!(begun(&scene, HookPoint::BeforeStop), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_again_does_not_run_a_third_time_where_there_is_no_way_back() {
    let mut scene = dies_in(HookPoint::AfterAllowTraffic).await.change(|world| {
        world.hooks.person_says_again = true;
        let fate = HookFate {
            fails: true,
            ..HookFate::default()
        };
        let point = HookPoint::AfterAllowTraffic;
        world.hooks.fates.insert((place(point), point), fate);
        for host in ["was-1", "was-2"] {
            world.host(host).kill(8080);
        }
    });
    scene.rests(60).await;
    scene.hook_words = vec![says(HookPoint::AfterAllowTraffic, Recall::Again)];
    let ended = scene.resume().await;
    assert!(failed(&ended, HookPoint::AfterAllowTraffic));
    ended.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(begun(&scene, HookPoint::AfterAllowTraffic), 2);
}

#[tokio::test(start_paused = true)]
async fn resume_asks_where_the_playbook_has_another_hook_by_now() {
    let hooks = |line: &str| format!("hooks: {{ after_allow_traffic: {line} }}\n");
    for (recall, times) in [(Recall::Done, 1), (Recall::Again, 2)] {
        let scene = Scene::with(&hooks("g"));
        scene.dies(Phase::Drain, Duration::ZERO).await;
        scene.rests(60).await;
        assert_eq!(begun(&scene, HookPoint::AfterAllowTraffic), 2);
        let mut scene = scene;
        scene.config = Scene::with(&hooks("another")).config;
        let ended = scene.resume().await;
        ended.ends(&scene, Outcome::AsItWas, 4);
        let asks = |problem: &Problem| matches!(problem, Problem::HookChanged { .. });
        assert!(ended.says(asks), "{:#?}", ended.events);
        scene.world.borrow_mut().hooks.person_says_again = true;
        scene.hook_words = vec![says(HookPoint::AfterAllowTraffic, recall)];
        scene.resume().await.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(begun(&scene, HookPoint::AfterAllowTraffic), times * 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_last_hook_of_which_nobody_knows_asks_nobody_and_does_not_run_again() {
    let scene = failing(HookPoint::ValidateService).change(|world| {
        let fate = HookFate {
            takes: Duration::from_secs(30),
            fails: false,
            ..HookFate::default()
        };
        let point = HookPoint::OnFailure;
        world.hooks.fates.insert((place(point), point), fate);
    });
    dies_at_hook(&scene, HookPoint::OnFailure, Duration::from_secs(2)).await;
    let was = HostName::new("was-1").unwrap();
    let scene = scene.change(|world| world.crash(&was));
    scene.rests(5).await;
    let scene = scene.change(|world| world.boot(&was));
    scene.rests(60).await;
    let ended = scene.resume().await;
    assert!(failed(&ended, HookPoint::OnFailure), "{:#?}", ended.events);
    assert_eq!(begun(&scene, HookPoint::OnFailure), 1);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

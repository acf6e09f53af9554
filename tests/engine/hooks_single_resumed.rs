//! What becomes of the hooks of a run with a single slot that somebody goes on with.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::{Event, Note};
use nonstop::model::finding::Problem;
use nonstop::model::hook::{HookId, HookPoint, HookWord, Recall};
use nonstop::model::outcome::Outcome;
use nonstop::model::record::RunStatus;

use crate::hooks::{failed, id, says};
use crate::hooks_single::{
    HOOKS, TURN, begun, dies_in, dies_when, failing, host, last, lasting, of_a_deploy, told, with_fate,
};
use crate::scene::{Ended, Scene, jar};
use crate::single::{is_on, runs};
use crate::world::{Health, HookFate};

/// The second host loses its power, and comes up again.
async fn reboots(scene: Scene) -> Scene {
    let scene = scene.change(|world| world.crash(&host("was-2")));
    scene.rests(5).await;
    let scene = scene.change(|world| world.boot(&host("was-2")));
    scene.rests(60).await;
    scene
}

fn asks(ended: &Ended, point: HookPoint) -> bool {
    ended.says(|problem| matches!(problem, Problem::HookUnknown { hook, .. } if *hook == id(point)))
}

#[tokio::test(start_paused = true)]
async fn resume_does_not_run_again_what_ended_well_after_its_controller_died() {
    for point in TURN {
        let scene = lasting(HOOKS, point);
        dies_in(&scene, point).await;
        scene.rests(60).await;
        scene.resume().await.ends(&scene, Outcome::Deployed, 0);
        is_on(&scene, "2").await;
        let (mut told, mut all) = (told(&scene), of_a_deploy());
        told.sort();
        all.sort();
        assert_eq!(told, all, "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn resume_waits_for_one_that_still_runs() {
    let fate = HookFate {
        takes: Duration::from_secs(100),
        ..HookFate::default()
    };
    let mut scene = with_fate(HOOKS, HookPoint::ValidateService, fate);
    scene.lock_wait = Duration::from_secs(60);
    dies_in(&scene, HookPoint::ValidateService).await;
    scene.rests(5).await;
    let ended = scene.resume().await;
    assert!(ended.says(|problem| matches!(problem, Problem::HookRuns { .. })));
    assert_eq!(ended.verdict.exit.code(), 4);
    assert_eq!(runs(&scene), ["2", "2!", "1"]);
    scene.rests(100).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    assert_eq!(begun(&scene, "validate_service.1@was-2"), 1);
}

#[tokio::test(start_paused = true)]
async fn resume_goes_back_where_one_had_failed() {
    let fate = HookFate {
        takes: Duration::from_secs(30),
        fails: true,
        ..HookFate::default()
    };
    let scene = with_fate(HOOKS, HookPoint::AfterAllowTraffic, fate);
    dies_in(&scene, HookPoint::AfterAllowTraffic).await;
    scene.rests(60).await;
    let ended = scene.resume().await;
    assert!(failed(&ended, HookPoint::AfterAllowTraffic));
    ended.ends(&scene, Outcome::RolledBack, 7);
    is_on(&scene, "1").await;
    assert_eq!(begun(&scene, "after_allow_traffic.1@was-2"), 1);
    assert_eq!(begun(&scene, "on_failure.1@was-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn resume_asks_where_nobody_knows_how_one_ended_and_does_what_a_person_says() {
    for point in [HookPoint::ApplicationStart, HookPoint::AfterAllowTraffic] {
        for (recall, times) in [(Recall::Done, 1), (Recall::Again, 2)] {
            let scene = lasting(HOOKS, point);
            dies_in(&scene, point).await;
            let scene = reboots(scene).await;
            let before = (runs(&scene), scene.times("commit").len());
            let ended = scene.resume().await;
            ended.ends(&scene, Outcome::AsItWas, 4);
            assert!(asks(&ended, point), "{:#?}", ended.events);
            assert_eq!((runs(&scene), scene.times("commit").len()), before);
            scene.is_unlocked();
            let mut scene = scene.change(|world| {
                world.hooks.person_says_again = true;
                world.hooks.fates.clear();
            });
            scene.hook_words = vec![HookWord {
                host: Some(host("was-2")),
                ..says(point, recall)
            }];
            scene.resume().await.ends(&scene, Outcome::Deployed, 0);
            is_on(&scene, "2").await;
            assert_eq!(begun(&scene, &format!("{}@was-2", id(point))), times, "{point}");
            assert_eq!(begun(&scene, &format!("{}@was-1", id(point))), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn resume_runs_one_again_that_says_it_may() {
    let more = "hooks: { validate_service: { run: x, repeatable: true } }\n";
    let scene = lasting(more, HookPoint::ValidateService);
    dies_in(&scene, HookPoint::ValidateService).await;
    let scene = reboots(scene).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    assert_eq!(begun(&scene, "validate_service.1@was-2"), 2);
    assert_eq!(begun(&scene, "validate_service.1@was-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_way_back_asks_nobody() {
    let scene = lasting(HOOKS, HookPoint::ApplicationStart);
    dies_in(&scene, HookPoint::ApplicationStart).await;
    let scene = reboots(scene).await;
    for process in &mut scene.world.borrow_mut().host("was-1").processes {
        process.health = Health::Down;
    }
    let ended = scene.resume().await;
    assert!(!asks(&ended, HookPoint::ApplicationStart));
    assert_eq!(ended.verdict.outcome, Outcome::RolledBack);
    is_on(&scene, "1").await;
    assert_eq!(last(&scene).1["NONSTOP_PHASE"], "taken_back");
}

#[tokio::test(start_paused = true)]
async fn a_way_back_ends_one_that_still_runs() {
    for point in [
        HookPoint::BeforeStop,
        HookPoint::ApplicationStart,
        HookPoint::AfterAllowTraffic,
    ] {
        let fate = HookFate {
            takes: Duration::from_secs(100),
            ..HookFate::default()
        };
        let mut scene = with_fate(HOOKS, point, fate);
        scene.lock_wait = Duration::from_secs(60);
        dies_in(&scene, point).await;
        scene.rests(5).await;
        for name in ["was-1", "was-2"] {
            for process in &mut scene.world.borrow_mut().host(name).processes {
                process.health = Health::Down;
            }
        }
        let ended = scene.resume().await;
        ended.ends(&scene, Outcome::RolledBack, 0);
        let was_ended = |event: &Event| matches!(event, Event::HostDone { note: Some(Note::HookEnded { hook }), .. } if *hook == id(point));
        assert!(ended.events.iter().any(was_ended), "{point}");
        is_on(&scene, "1").await;
        assert_eq!(begun(&scene, "on_failure.1@was-1"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_hook_runs_once_though_its_controller_dies_in_it() {
    let scene = failing(HOOKS, HookPoint::ValidateService).change(|world| {
        let fate = HookFate {
            takes: Duration::from_secs(30),
            ..HookFate::default()
        };
        world
            .hooks
            .fates
            .insert((Some(host("was-1")), HookPoint::OnFailure), fate);
    });
    assert!(dies_when(&scene, |scene| begun(scene, "on_failure.1@was-1") == 1).await);
    scene.rests(60).await;
    assert_eq!(scene.records(), [RunStatus::Open; 5]);
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    is_on(&scene, "1").await;
    assert_eq!(begun(&scene, "on_failure.1@was-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_that_meets_an_interrupted_run_runs_none_of_its_hooks() {
    let scene = lasting(HOOKS, HookPoint::ValidateService);
    dies_in(&scene, HookPoint::ValidateService).await;
    scene.rests(60).await;
    scene.world.borrow_mut().hooks.told.clear();
    let third = Wanted::Jar(jar("sokdak-3.jar", "c"));
    scene.run("run-3", third).await.ends(&scene, Outcome::Deployed, 0);
    let world = scene.world.borrow();
    assert!(
        world
            .hooks
            .told
            .iter()
            .all(|(_, _, env)| env["NONSTOP_RUN"] == "run-3")
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_came_in_as_its_controller_died_has_its_hook_when_somebody_goes_on() {
    let scene = Scene::on_a_single_slot(HOOKS);
    assert!(dies_when(&scene, |scene| scene.times("confirm").len() == 8).await);
    assert_eq!(begun(&scene, "after_allow_traffic.1@was-2"), 0);
    assert_eq!(runs(&scene), ["2", "2", "1"]);
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    let (mut told, mut all) = (told(&scene), of_a_deploy());
    told.sort();
    all.sort();
    assert_eq!(told, all);
}

#[tokio::test(start_paused = true)]
async fn wherever_its_controller_dies_no_hook_is_left_out_or_runs_twice() {
    let mut resumed = 0;
    for moment in 1.. {
        let mut scene = Scene::on_a_single_slot(HOOKS);
        let dies_at = tokio::time::Instant::now() + Duration::from_millis(moment * 650);
        if !dies_when(&scene, |_| tokio::time::Instant::now() >= dies_at).await {
            break;
        }
        scene.rests(90).await;
        let is_open = scene.records().contains(&RunStatus::Open);
        let points = HookPoint::ALL
            .into_iter()
            .flat_map(|point| (1..=2).map(move |number| HookId { point, number }));
        scene.hook_words = points
            .map(|hook| HookWord {
                hook,
                host: None,
                recall: Recall::Done,
            })
            .collect();
        let ended = scene.resume().await;
        assert!(
            scene.world.borrow().broken.is_empty(),
            "{moment}: {:?}",
            scene.world.borrow().broken
        );
        let (mut told, mut all) = (told(&scene), of_a_deploy());
        match ended.verdict.outcome {
            Outcome::Deployed => {
                resumed += 1;
                told.sort();
                all.sort();
                assert_eq!(told, all, "{moment}");
                is_on(&scene, "2").await;
            }
            Outcome::RolledBack => {
                is_on(&scene, "1").await;
                assert_eq!(begun(&scene, "on_failure.1@was-1"), 1, "{moment}");
            }
            outcome => assert!(!is_open && outcome == Outcome::AsItWas, "{moment}: {outcome:?}"),
        }
    }
    assert!(resumed > 10, "{resumed}");
}

//! Hooks of a run: at each point in turn, failing before and after the switch, interrupted, and met again by whoever
//! resumes.

use std::time::Duration;

use nonstop::engine::context::Interrupt;
use nonstop::engine::run::{Wanted, run};
use nonstop::model::event::{Event, Note};
use nonstop::model::failure::Failure;
use nonstop::model::finding::Problem;
use nonstop::model::hook::{HookId, HookPlace, HookPoint, HookWord, Recall};
use nonstop::model::names::{HostName, Port};
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;

use crate::scene::{Ended, Scene, jar};
use crate::world::{Fault, HookFate, SimFleet};

pub(crate) const EVERYWHERE: &str = "hooks:
  before_install: { run: a, on: first }
  after_install: b
  application_start: c
  validate_service: d
  before_allow_traffic: { run: e, on: nginx }
  after_allow_traffic: { run: f, on: controller }
  before_stop: { run: g, on: first }
  on_failure: { run: h, on: first }
";

const POINTS: [HookPoint; 7] = [
    HookPoint::BeforeInstall,
    HookPoint::AfterInstall,
    HookPoint::ApplicationStart,
    HookPoint::ValidateService,
    HookPoint::BeforeAllowTraffic,
    HookPoint::AfterAllowTraffic,
    HookPoint::BeforeStop,
];

pub(crate) fn place(point: HookPoint) -> Option<HostName> {
    let name = match point {
        HookPoint::BeforeAllowTraffic => "nginx-2",
        HookPoint::AfterAllowTraffic => return None,
        HookPoint::AfterInstall | HookPoint::ApplicationStart | HookPoint::ValidateService => "was-2",
        HookPoint::BeforeInstall | HookPoint::BeforeStop | HookPoint::OnFailure => "was-1",
    };
    Some(HostName::new(name).unwrap())
}

/// A fleet with hooks, of which those of one point take so long and end so.
pub(crate) fn with_fate(more: &str, point: HookPoint, fate: HookFate) -> Scene {
    Scene::with(more).change(|world| {
        world.hooks.fates.insert((place(point), point), fate);
    })
}

pub(crate) fn failing(point: HookPoint) -> Scene {
    let fate = HookFate {
        fails: true,
        ..HookFate::default()
    };
    with_fate(EVERYWHERE, point, fate)
}

pub(crate) fn lasting(point: HookPoint, seconds: u64) -> Scene {
    let fate = HookFate {
        takes: Duration::from_secs(seconds),
        ..HookFate::default()
    };
    with_fate(EVERYWHERE, point, fate)
}

pub(crate) fn id(point: HookPoint) -> HookId {
    HookId { point, number: 1 }
}

/// The points of all hooks that were begun, in order, without those of further hosts.
fn points(scene: &Scene) -> Vec<HookPoint> {
    let world = scene.world.borrow();
    let mut points: Vec<_> = world.hooks.told.iter().map(|(_, hook, _)| hook.point).collect();
    points.dedup();
    points
}

pub(crate) fn begun(scene: &Scene, point: HookPoint) -> u32 {
    let world = scene.world.borrow();
    let of = |((_, _, hook), _): &(&(_, _, HookId), &u32)| hook.point == point;
    world.hooks.begun.iter().filter(of).map(|(_, times)| *times).sum()
}

pub(crate) fn failed(ended: &Ended, point: HookPoint) -> bool {
    let of = |event: &Event| {
        matches!(event, Event::HostFailed { phase: Phase::Hook, failure: Failure::Hook { hook, .. }, .. }
            if *hook == id(point))
    };
    ended.events.iter().any(of)
}

pub(crate) fn says(point: HookPoint, recall: Recall) -> HookWord {
    HookWord {
        hook: id(point),
        host: None,
        recall,
    }
}

#[tokio::test(start_paused = true)]
async fn every_hook_runs_at_its_point_and_its_output_is_told() {
    let scene = Scene::with(EVERYWHERE);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(points(&scene), POINTS);
    assert_eq!(begun(&scene, HookPoint::ValidateService), 2);
    let output = |event: &&Event| match event {
        Event::HostDone {
            note: Some(Note::HookDone { output, on, .. }),
            ..
        } => output == "what it printed" && *on == HookPlace::Controller,
        _ => false,
    };
    assert_eq!(ended.events.iter().filter(output).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_before_the_switch_leaves_the_fleet_as_it_was() {
    for point in &POINTS[..5] {
        let scene = failing(*point);
        let ended = scene.deploy().await;
        assert!(failed(&ended, *point), "{point}");
        ended.ends(&scene, Outcome::AsItWas, 6);
        scene.is_as_it_was();
        assert_eq!(scene.records(), [RunStatus::Done; 4]);
        assert!(
            !scene.world.borrow().hosts_with("commit").contains(&"nginx-1"),
            "{point}"
        );
        let known: Vec<_> = POINTS.into_iter().filter(|it| it <= point).collect();
        assert_eq!(points(&scene), [known, vec![HookPoint::OnFailure]].concat());
        let world = scene.world.borrow();
        let (_, _, env) = world.hooks.told.last().unwrap();
        assert_eq!(
            (env["NONSTOP_PHASE"].as_str(), env["NONSTOP_OUTCOME"].as_str()),
            (point.as_str(), "as_it_was")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_after_the_switch_takes_traffic_back() {
    for point in [HookPoint::AfterAllowTraffic, HookPoint::BeforeStop] {
        let scene = failing(point);
        let ended = scene.deploy().await;
        assert!(failed(&ended, point), "{point}");
        ended.ends(&scene, Outcome::RolledBack, 7);
        scene.is_as_it_was();
        let world = scene.world.borrow();
        let (_, hook, env) = world.hooks.told.last().unwrap();
        assert_eq!(
            (hook.point, env["NONSTOP_OUTCOME"].as_str()),
            (HookPoint::OnFailure, "rolled_back")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_way_back_by_itself_a_person_decides() {
    let more = format!("{EVERYWHERE}update: {{ auto_revert: false }}\n");
    let fate = HookFate {
        fails: true,
        ..HookFate::default()
    };
    let scene = with_fate(&more, HookPoint::AfterAllowTraffic, fate);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn that_the_last_hook_fails_is_said_and_changes_nothing() {
    let scene = failing(HookPoint::ValidateService).change(|world| {
        let fate = HookFate {
            fails: true,
            ..HookFate::default()
        };
        let point = HookPoint::OnFailure;
        world.hooks.fates.insert((place(point), point), fate);
    });
    let ended = scene.deploy().await;
    assert!(failed(&ended, HookPoint::OnFailure));
    assert!(ended.says(|problem| matches!(problem, Problem::LeftUndone { .. })));
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_too_long_has_failed() {
    let scene = lasting(HookPoint::ValidateService, 400);
    let ended = scene.deploy().await;
    assert!(failed(&ended, HookPoint::ValidateService));
    ended.ends(&scene, Outcome::AsItWas, 6);
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_lock_lives_for_as_long_as_a_hook_runs() {
    let scene = lasting(HookPoint::BeforeAllowTraffic, 200);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_hook_and_the_run_unwinds() {
    for point in [HookPoint::ValidateService, HookPoint::BeforeStop] {
        let scene = lasting(point, 200).turns(Duration::from_secs(60));
        let ended = scene.deploy().await;
        let (outcome, exit) = if point == HookPoint::BeforeStop {
            (Outcome::RolledBack, 7)
        } else {
            (Outcome::AsItWas, 6)
        };
        ended.ends(&scene, outcome, exit);
        scene.is_as_it_was();
        let was_ended = |event: &Event| matches!(event, Event::HostDone { note: Some(Note::HookEnded { hook }), .. } if *hook == id(point));
        assert!(ended.events.iter().any(was_ended), "{point}: {:#?}", ended.events);
    }
    let scene = lasting(HookPoint::AfterAllowTraffic, 200).signal(Phase::Hook, Signal::Terminate);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 143);
    scene.is_as_it_was();
}

/// The hosts of the hooks before the stop, `-` for the controller, in a deploy or in its resume after the switch.
async fn before_stop(place: &str, resumes: bool, kept: &[&str]) -> Vec<String> {
    let more = format!("hooks: {{ before_stop: {{ run: x, on: {place} }} }}\n");
    let scene = Scene::with(&more);
    if resumes {
        scene.dies(Phase::Drain, Duration::ZERO).await;
        scene.rests(60).await;
    }
    let scene = scene.change(|world| {
        for host in kept {
            let port = Port::new(8080).unwrap();
            world.host(host).connections.insert(port, 3);
        }
    });
    let ended = if resumes {
        scene.resume().await
    } else {
        scene.deploy().await
    };
    ended.ends(&scene, Outcome::Deployed, 0);
    scene.rests(1).await;
    assert_eq!(scene.listeners(8080), kept);
    let world = scene.world.borrow();
    let told = world.hooks.told.iter();
    told.map(|(host, ..)| host.as_ref().map_or("-", HostName::as_str).to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn before_a_stop_that_will_not_be_nothing_runs() {
    for resumes in [false, true] {
        for place in ["was", "first", "nginx", "controller"] {
            let ran = before_stop(place, resumes, &["was-1", "was-2"]).await;
            assert_eq!(ran, [""; 0], "{place}, resumes: {resumes}");
        }
        assert_eq!(before_stop("was", resumes, &["was-1"]).await, ["was-2"]);
        assert_eq!(before_stop("controller", resumes, &["was-1"]).await, ["-"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_whose_answer_was_lost_did_not_go_well() {
    let scene = Scene::with(EVERYWHERE).fault("was-1", "hook", Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    scene.is_as_it_was();
    assert_eq!(begun(&scene, HookPoint::BeforeInstall), 1);
}

/// A deploy whose controller dies some time after a hook of that point was begun.
pub(crate) async fn dies_at_hook(scene: &Scene, point: HookPoint, after: Duration) {
    let request = scene.request("run-1", Wanted::Jar(jar("sokdak-2.jar", "b")));
    let fleet = SimFleet(scene.world.clone());
    let run = run(&fleet, &request, Interrupt::never(), &|_| {});
    let begun = || {
        let world = scene.world.borrow();
        world.hooks.told.iter().any(|(_, hook, _)| hook.point == point)
    };
    let dies = async {
        while !begun() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(after).await;
    };
    tokio::select! {
        biased;
        () = dies => {}
        _ = run => panic!("it ended before it died"),
    }
}

/// A deploy whose controller dies while a hook runs.
pub(crate) async fn dies_in(point: HookPoint) -> Scene {
    let scene = lasting(point, 30);
    let dies = dies_at_hook(&scene, point, Duration::from_secs(2));
    dies.await;
    scene
}

#[tokio::test(start_paused = true)]
async fn the_last_hook_runs_on_the_controller_though_a_host_is_silent_and_no_other_does() {
    let hooks = "hooks: { before_allow_traffic: { run: x, on: controller }, on_failure: { run: y, on: controller } }\n";
    let scene = Scene::with(hooks).faults("nginx-2", "hook", (0, 9), Fault::NotSent);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(begun(&scene, HookPoint::BeforeAllowTraffic), 0);
    let kept = |point| {
        let world = scene.world.borrow();
        let hosts = world.hosts.values();
        let keys = hosts.flat_map(|host| host.hooks.keys());
        keys.filter(|(_, hook)| *hook == id(point)).count()
    };
    assert_eq!(kept(HookPoint::BeforeAllowTraffic), 0);
    assert_eq!(begun(&scene, HookPoint::OnFailure), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_as_whom_sudo_runs_nothing_is_refused_before_any_change() {
    let more = "hooks: { before_stop: { run: x, run_as: app }, before_allow_traffic: { run: y, on: nginx, run_as: app } }\n";
    let scene = Scene::with(more);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    for (on, hosts) in [("was", ["was-1", "was-2"]), ("nginx", ["nginx-1", "nginx-2"])] {
        let scene = Scene::with(&format!(
            "hooks: {{ before_stop: {{ run: x, on: {on}, run_as: root }} }}\n"
        ));
        let ended = scene.deploy().await;
        ended.ends(&scene, Outcome::AsItWas, 4);
        let refused = ended.events.iter().filter_map(|event| match event {
            Event::Refused { findings } => Some(findings),
            _ => None,
        });
        let refused = refused.flatten().filter_map(|finding| match &finding.problem {
            Problem::SudoRefused { command } if command == "-u root env" => finding.host.as_ref(),
            _ => None,
        });
        assert_eq!(refused.map(HostName::as_str).collect::<Vec<_>>(), hosts);
        scene.is_as_it_was();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_nobody_saw_end_keeps_the_run_open() {
    let scene = lasting(HookPoint::BeforeAllowTraffic, 200)
        .turns(Duration::from_secs(60))
        .faults("nginx-2", "observe", (1, 99), Fault::NotSent);
    let ended = scene.deploy().await;
    assert_eq!(ended.verdict.outcome, Outcome::AsItWas);
    assert_eq!(scene.records(), [RunStatus::Open; 4], "{:#?}", ended.events);
    // A way back that sees it ends it.
    let scene = scene.change(|world| world.rules.clear());
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

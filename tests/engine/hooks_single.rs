//! Hooks of a run with a single slot: those of a host in its turn, the others once, whatever befalls the run.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::engine::context::Interrupt;
use nonstop::engine::run::{Wanted, run};
use nonstop::model::hook::{HookPoint, Recall};
use nonstop::model::names::HostName;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::strategy::{Share, Strategy};

use crate::hooks::{failed, id, says};
use crate::scene::{Scene, jar};
use crate::single::{is_on, runs};
use crate::world::{HookFate, SimFleet, Start};

pub(crate) const HOOKS: &str = "hooks:
  before_install: { run: a, on: first }
  after_install: b
  application_start: [c, { run: d, on: first }]
  validate_service: e
  before_allow_traffic: [f, { run: g, on: nginx }]
  after_allow_traffic: [h, { run: i, on: controller }]
  before_stop: [j, { run: k, on: controller }]
  on_failure: { run: l, on: first }
";

/// The points that a host passes in its turn.
pub(crate) const TURN: [HookPoint; 5] = [
    HookPoint::BeforeStop,
    HookPoint::ApplicationStart,
    HookPoint::ValidateService,
    HookPoint::BeforeAllowTraffic,
    HookPoint::AfterAllowTraffic,
];

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

/// Every hook that was begun, in order, with its host; `-` for the controller.
pub(crate) fn told(scene: &Scene) -> Vec<String> {
    let world = scene.world.borrow();
    let told = world.hooks.told.iter();
    told.map(|(host, hook, _)| format!("{hook}@{}", host.as_ref().map_or("-", HostName::as_str)))
        .collect()
}

/// What the last hook was told.
pub(crate) fn last(scene: &Scene) -> (HookPoint, BTreeMap<String, String>) {
    let world = scene.world.borrow();
    let (_, hook, env) = world.hooks.told.last().expect("one was begun").clone();
    (hook.point, env)
}

pub(crate) fn begun(scene: &Scene, name: &str) -> usize {
    told(scene).iter().filter(|it| *it == name).count()
}

/// A fleet on which the hooks of a point on the second host take so long and end so.
pub(crate) fn with_fate(more: &str, point: HookPoint, fate: HookFate) -> Scene {
    Scene::on_a_single_slot(more).change(|world| {
        world.hooks.fates.insert((Some(host("was-2")), point), fate);
    })
}

pub(crate) fn failing(more: &str, point: HookPoint) -> Scene {
    let fate = HookFate {
        fails: true,
        ..HookFate::default()
    };
    with_fate(more, point, fate)
}

pub(crate) fn lasting(more: &str, point: HookPoint) -> Scene {
    let fate = HookFate {
        takes: Duration::from_secs(30),
        ..HookFate::default()
    };
    with_fate(more, point, fate)
}

/// A deploy whose controller dies as soon as that is so.
pub(crate) async fn dies_when(scene: &Scene, is_so: impl Fn(&Scene) -> bool) -> bool {
    let request = scene.request("run-1", Wanted::Jar(jar("sokdak-2.jar", "b")));
    let fleet = SimFleet(scene.world.clone());
    let run = run(&fleet, &request, Interrupt::never(), &|_| {});
    let dies = async {
        while !is_so(scene) {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    tokio::select! {
        biased;
        () = dies => true,
        _ = run => false,
    }
}

/// The controller dies while a hook runs on the second host, in the middle of the run.
pub(crate) async fn dies_in(scene: &Scene, point: HookPoint) {
    let name = format!("{}@was-2", id(point));
    assert!(dies_when(scene, |scene| begun(scene, &name) == 1).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// What a deploy begins, in order.
pub(crate) fn of_a_deploy() -> Vec<String> {
    let mut all: Vec<String> = vec!["before_install.1@was-1".to_owned()];
    all.extend((1..=3).map(|number| format!("after_install.1@was-{number}")));
    for number in 1..=3 {
        let first = number == 1;
        let mut turn = vec![(format!("before_stop.1@was-{number}"), true)];
        turn.push(("before_stop.2@-".to_owned(), first));
        turn.push((format!("application_start.1@was-{number}"), true));
        turn.push(("application_start.2@was-1".to_owned(), first));
        turn.push((format!("validate_service.1@was-{number}"), true));
        turn.push((format!("before_allow_traffic.1@was-{number}"), true));
        turn.push(("before_allow_traffic.2@nginx-1".to_owned(), first));
        turn.push(("before_allow_traffic.2@nginx-2".to_owned(), first));
        turn.push((format!("after_allow_traffic.1@was-{number}"), true));
        turn.push(("after_allow_traffic.2@-".to_owned(), number == 3));
        all.extend(turn.into_iter().filter(|(_, is)| *is).map(|(name, _)| name));
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_host_has_its_hooks_in_its_turn_and_what_is_about_no_host_runs_once() {
    let scene = Scene::on_a_single_slot(HOOKS);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    assert_eq!(told(&scene), of_a_deploy());
    let world = scene.world.borrow();
    for (at, _, env) in &world.hooks.told {
        assert_eq!(
            (env["NONSTOP_RUN"].as_str(), env["NONSTOP_KIND"].as_str()),
            ("run-1", "deploy")
        );
        let port = at
            .as_ref()
            .is_some_and(|it| it.as_str().starts_with("was"))
            .then_some("8080");
        assert_eq!(env["NONSTOP_PORT"], port.unwrap_or_default());
        assert_eq!(env["NONSTOP_FROM_SLOT"], "blue");
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_ends_and_a_host_comes_in_only_after_the_hooks_before() {
    for (point, runs_then) in [
        (HookPoint::BeforeStop, ["2", "1!", "1"]),
        (HookPoint::ApplicationStart, ["2", "2!", "1"]),
        (HookPoint::BeforeAllowTraffic, ["2", "2!", "1"]),
        (HookPoint::AfterAllowTraffic, ["2", "2", "1"]),
    ] {
        let scene = lasting(HOOKS, point);
        dies_in(&scene, point).await;
        assert_eq!(runs(&scene), runs_then, "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_hosts_at_once_have_their_hooks_at_once() {
    let mut scene = Scene::on_a_single_slot(HOOKS);
    scene.config.playbook.update.course.strategy = Strategy::Rolling {
        max_parallel: Share::Count(2.try_into().unwrap()),
        min_in_service: None,
    };
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    let (mut told, mut all) = (told(&scene), of_a_deploy());
    let starts: Vec<_> = told
        .iter()
        .filter(|it| it.starts_with("application_start"))
        .cloned()
        .collect();
    assert_eq!(
        starts,
        [
            "application_start.1@was-1",
            "application_start.1@was-2",
            "application_start.2@was-1",
            "application_start.1@was-3"
        ]
    );
    told.sort();
    all.sort();
    assert_eq!(told, all);
}

#[tokio::test(start_paused = true)]
async fn the_first_deploy_has_them_as_with_two_slots() {
    let scene = Scene::single(HOOKS);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    let mut all = of_a_deploy();
    all.retain(|it| !it.starts_with("before_stop"));
    all.sort();
    let mut told = told(&scene);
    assert_eq!(told.last().unwrap(), "after_allow_traffic.2@-");
    told.sort();
    assert_eq!(told, all);
    assert_eq!(last(&scene).1["NONSTOP_FROM_SLOT"], "");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_has_them_and_one_that_moves_nobody_has_none() {
    let scene = Scene::on_a_single_slot(HOOKS);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.world.borrow_mut().hooks.told.clear();
    let again = Wanted::Jar(jar("sokdak-2.jar", "b"));
    scene.run("run-3", again).await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(told(&scene), [""; 0]);
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "1").await;
    assert_eq!(told(&scene), of_a_deploy());
    assert_eq!(last(&scene).1["NONSTOP_KIND"], "rollback");
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_on_the_second_host_turns_the_run_round_and_no_hook_runs_on_the_way_back() {
    for point in TURN {
        let scene = failing(HOOKS, point);
        let ended = scene.deploy().await;
        assert!(failed(&ended, point), "{point}");
        ended.ends(&scene, Outcome::RolledBack, 7);
        is_on(&scene, "1").await;
        let known = of_a_deploy();
        let name = format!("{}@was-2", id(point));
        let until = known.iter().position(|it| *it == name).unwrap();
        let mut all = known[..=until].to_vec();
        all.push("on_failure.1@was-1".to_owned());
        assert_eq!(told(&scene), all);
        let (_, env) = last(&scene);
        assert_eq!(
            (
                env["NONSTOP_PHASE"].as_str(),
                env["NONSTOP_OUTCOME"].as_str(),
                env["NONSTOP_RUN"].as_str()
            ),
            (point.as_str(), "rolled_back", "run-1")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_before_anybody_leaves_leaves_the_fleet_as_it_was() {
    let scene = failing(HOOKS, HookPoint::AfterInstall);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    is_on(&scene, "1").await;
    assert_eq!(scene.times("commit"), [0; 0]);
    assert_eq!(begun(&scene, "on_failure.1@was-1"), 1);
    assert_eq!(last(&scene).1["NONSTOP_OUTCOME"], "as_it_was");
}

#[tokio::test(start_paused = true)]
async fn any_other_failure_has_the_last_hook_once_as_well() {
    let scene = Scene::on_a_single_slot(HOOKS).when(Phase::Start, |world| {
        // The second start is that of the new release, the third one that of the old one.
        let starts = world.times("start").len();
        world.host("was-2").start = if starts == 1 {
            Start::Exits
        } else {
            Start::Listens(Duration::from_secs(2))
        };
    });
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    let (point, env) = last(&scene);
    assert_eq!(
        (point, env["NONSTOP_PHASE"].as_str()),
        (HookPoint::OnFailure, "start")
    );
    assert_eq!(begun(&scene, "on_failure.1@was-1"), 1);
}

#[tokio::test(start_paused = true)]
async fn no_nginx_is_led_back_to_where_something_was_started_and_ended() {
    // What runs was started by another tool, and the second host is down.
    let scene = failing(HOOKS, HookPoint::ValidateService).change(|world| {
        for host in world.hosts.values_mut() {
            host.instances.clear();
            host.releases.clear();
        }
        world.host("was-2").kill(8080);
    });
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    let world = scene.world.borrow();
    let down = world.hosts[&host("was-2")].address.clone();
    let nginx = world.hosts.values().filter_map(|host| host.nginx.as_ref());
    for nginx in nginx {
        let targets = nginx.targets();
        assert_eq!(targets.len(), 2);
        assert!(targets.iter().all(|(address, _)| *address != down.as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_decides_where_a_host_that_came_in_fails_and_nothing_goes_back_by_itself() {
    let more = format!("{HOOKS}bake: {{ for: 1s }}\n");
    let mut scene = failing(&more, HookPoint::AfterAllowTraffic);
    scene.config.playbook.update.auto_revert = false;
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(runs(&scene), ["2", "2", "1"]);
    scene.rests(60).await;
    scene.resume().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(begun(&scene, "after_allow_traffic.1@was-2"), 1);
    scene.rests(60).await;
    scene.hook_words = vec![says(HookPoint::AfterAllowTraffic, Recall::Done)];
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    assert_eq!(begun(&scene, "after_allow_traffic.1@was-2"), 1);
    assert_eq!(begun(&scene, "on_failure.1@was-1"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_hook_and_leads_back() {
    for point in TURN {
        let scene = lasting(HOOKS, point);
        let (sender, receiver) = tokio::sync::watch::channel(None);
        let request = scene.request("run-1", Wanted::Jar(jar("sokdak-2.jar", "b")));
        let fleet = SimFleet(scene.world.clone());
        let verdict = run(&fleet, &request, Interrupt::new(receiver), &|_| {});
        let name = format!("{}@was-2", id(point));
        let signals = async {
            while begun(&scene, &name) == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            sender.send_replace(Some(Signal::Terminate));
        };
        let (verdict, ()) = tokio::join!(verdict, signals);
        assert_eq!(
            (verdict.outcome, verdict.exit.code()),
            (Outcome::RolledBack, 143),
            "{point}"
        );
        is_on(&scene, "1").await;
        let (last, env) = last(&scene);
        assert_eq!(
            (last, env["NONSTOP_PHASE"].as_str()),
            (HookPoint::OnFailure, "interrupted")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_stop_that_will_not_be_nothing_runs() {
    let scene = Scene::on_a_single_slot("hooks: { before_stop: [x, { run: y, on: controller }] }\n");
    let scene = scene.when(Phase::Drain, |world| {
        let port = 8080.try_into().unwrap();
        world.host("was-1").connections.insert(port, 3);
    });
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(told(&scene), [""; 0]);
}

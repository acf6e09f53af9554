//! The window after a run that has ended: the hosts stop the old slot at their hour, unless somebody comes before.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{Promote, settle};
use nonstop::model::record::{RunRecord, RunStatus};
use nonstop::model::timer::TimerState;

use crate::scene::{Scene, jar};
use crate::world::{Fault, Health, World};

pub(crate) const DETACHED: &str = "bake: { for: 1h, detach: true }\n";
pub(crate) const HOUR: u64 = 3600;
/// What a host waits for after its hour, with some seconds to spare.
pub(crate) const QUIET: u64 = 70;
/// How long it asks a new instance that is not well.
const LOOKS: u64 = 3 * QUIET;

pub(crate) async fn detached() -> Scene {
    let scene = Scene::with(DETACHED);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    scene
}

pub(crate) fn states(scene: &Scene) -> Vec<Option<TimerState>> {
    let mut world = scene.world.borrow_mut();
    let state = |name: &str| world.host(name).timer.as_ref().map(|timer| timer.state);
    ["was-1", "was-2"].map(state).to_vec()
}

fn reason(scene: &Scene, host: &str) -> String {
    let mut world = scene.world.borrow_mut();
    let timer = world.host(host).timer.clone();
    timer.and_then(|timer| timer.reason).unwrap_or_default()
}

pub(crate) fn process(world: &mut World, host: &str, port: u16, change: impl Fn(&mut crate::world::Process)) {
    for process in &mut world.host(host).processes {
        if process.port.number() == port {
            change(process);
        }
    }
}

/// What the run writes once it has set its timers does not arrive on was-2, so often.
fn last_word_fails(hits: u32) -> Scene {
    Scene::with(DETACHED).when(Phase::Bake, move |world| {
        if world.rules.is_empty() {
            world.rules.push(crate::world::Rule {
                host: nonstop::model::names::HostName::new("was-2").unwrap(),
                command: "record",
                // Before the timers the record is written once more.
                spares: 1,
                hits,
                fault: Fault::NotSent,
            });
        }
    })
}

fn record(scene: &Scene) -> RunRecord {
    scene
        .world
        .borrow_mut()
        .host("was-1")
        .record
        .clone()
        .expect("a record")
}

#[tokio::test(start_paused = true)]
async fn the_run_ends_and_leaves_nothing_but_two_slots_and_an_hour() {
    let scene = detached().await;
    scene.is_unlocked();
    assert_eq!(scene.records(), [RunStatus::Waiting; 4]);
    assert_eq!(scene.live_port(), 8081);
    scene.has_processes(2);
    assert_eq!(states(&scene), [Some(TimerState::Pending); 2]);
    let window = record(&scene).window.expect("a window");
    assert_eq!(window.hosts.len(), 2);
    assert!(!window.ends.is_empty());
    let (confirms, timers) = (scene.times("confirm"), scene.times("set_timer"));
    assert!(
        confirms.last() < timers.first(),
        "every switch stays before any timer is set"
    );
    assert!(scene.times("stop").is_empty());
}

#[tokio::test(start_paused = true)]
async fn at_the_hour_the_hosts_stop_the_old_slot_and_the_run_is_over() {
    let scene = detached().await;
    scene.rests(HOUR - 60).await;
    scene.has_processes(2);
    scene.rests(60 + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    scene.has_processes(1);
    let mut observed = scene.world.borrow().observed();
    settle(&mut observed);
    let done = |record: &RunRecord| record.status == RunStatus::Done && record.brought_live();
    assert!(
        observed
            .hosts
            .values()
            .all(|seen| seen.record.as_ref().is_some_and(done))
    );
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::AsItWas, 4);
    assert!(promote.says(|problem| *problem == Problem::NothingWaits));
    // The next one goes on from there, and going back is a start again.
    let another = scene.run("run-3", Wanted::Earlier(None)).await;
    another.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    scene.has_processes(1);
}

#[tokio::test(start_paused = true)]
async fn until_then_a_rollback_is_one_switch_and_no_host_stops_anything() {
    let scene = detached().await;
    scene.rests(600).await;
    let starts = scene.times("start").len();
    scene.rollback().await.ends(&scene, Outcome::RolledBack, 0);
    assert_eq!(states(&scene), [Some(TimerState::Cancelled); 2]);
    let (cancels, reverts) = (scene.times("cancel_timer"), scene.times("revert"));
    assert!(
        cancels.len() == 2 && cancels.last() < reverts.first(),
        "cancelled before any nginx moves"
    );
    assert_eq!(scene.times("start").len(), starts);
    scene.rests(2 * HOUR).await;
    scene.is_as_it_was();
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_cancel_a_timer_moves_nothing() {
    let scene = detached().await;
    let scene = scene.fault("was-2", "cancel_timer", Fault::NotSent);
    let rollback = scene.rollback().await;
    rollback.ends(&scene, Outcome::AsItWas, 4);
    assert!(rollback.says(|problem| problem.to_string().contains("its timer could not be cancelled")));
    assert_eq!(scene.live_port(), 8081);
    assert!(scene.times("revert").is_empty());
    // Whoever took the lock once has taken the hour away.
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Cancelled), Some(TimerState::Refused)]
    );
    scene.has_processes(2);
    scene.rollback().await.ends(&scene, Outcome::RolledBack, 0);
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_comes_too_late_on_one_host_starts_the_old_release_again() {
    let scene = detached().await;
    // was-1 still has somebody on its old port, and waits for the end of that.
    scene
        .world
        .borrow_mut()
        .host("was-1")
        .connections
        .insert(nonstop::model::names::Port::new(8080).unwrap(), 1);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Pending), Some(TimerState::Stopped)]
    );
    scene.world.borrow_mut().host("was-1").connections.clear();
    scene.rests(5).await;
    let starts = scene.times("start").len();
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8080);
    assert_eq!(
        scene.times("start").len(),
        starts + 2,
        "on both hosts, before anything moves"
    );
    let (starts, commits) = (scene.times("start"), scene.times("commit"));
    assert!(starts.last() < commits.get(2));
    scene.has_processes(1);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn promoting_ends_the_window_now() {
    let scene = detached().await;
    scene.rests(600).await;
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(record(&scene).window, None);
    assert_eq!(states(&scene), [Some(TimerState::Cancelled); 2]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.rests(2 * HOUR).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn promoting_where_one_host_refused_ends_what_is_left() {
    let scene = detached().await;
    scene.rests(HOUR - 60).await;
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Down;
    });
    scene.rests(60 + LOOKS).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Stopped), Some(TimerState::Refused)]
    );
    assert!(reason(&scene, "was-2").contains("not healthy"));
    assert_eq!(scene.listeners(8080), ["was-2"]);
    assert_eq!(scene.live_port(), 8081);
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Up;
    });
    let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
    promote.ends(&scene, Outcome::Deployed, 0);
    scene.is_deployed();
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn promoting_a_slot_that_got_sick_leads_back_while_the_old_one_is_there_and_says_that_it_failed() {
    // Before the hour, and after one at which every host found the new instance sick.
    for rests in [600, HOUR + LOOKS] {
        let scene = detached().await;
        for host in ["was-1", "was-2"] {
            process(&mut scene.world.borrow_mut(), host, 8081, |it| {
                it.health = Health::Down;
            });
        }
        scene.rests(rests).await;
        let is_late = rests > HOUR;
        assert_eq!(states(&scene) == [Some(TimerState::Refused); 2], is_late);
        let promote = scene.run("run-2", Wanted::Promote(Promote::Next)).await;
        promote.ends(&scene, Outcome::RolledBack, 7);
        assert_eq!(scene.live_port(), 8080);
        scene.rests(2 * HOUR).await;
        scene.is_as_it_was();
    }
}

#[tokio::test(start_paused = true)]
async fn another_deploy_in_the_window_does_not_begin() {
    let scene = detached().await;
    let another = scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::AsItWas, 5);
    let names_both = |problem: &Problem| {
        let text = problem.to_string();
        text.contains("run run-1 ") && text.contains("run run-2 ")
    };
    assert!(another.says(names_both));
    scene.rests(HOUR + QUIET).await;
    scene.has_processes(1);
    let another = scene.run("run-3", Wanted::Jar(jar("sokdak-3.jar", "c"))).await;
    another.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(scene.live_port(), 8080);
}

#[tokio::test(start_paused = true)]
async fn without_a_proof_no_timer_is_set() {
    let scene = Scene::with(DETACHED).change(|world| {
        for name in ["was-1", "was-2"] {
            world.host(name).hides_peers = true;
        }
    });
    scene.deploy().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(states(&scene), [None; 2]);
    scene.has_processes(2);
    scene.is_unlocked();
    for name in ["was-1", "was-2"] {
        scene.world.borrow_mut().host(name).hides_peers = false;
    }
    // Whoever sees the run through tries again.
    scene.resume().await.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(states(&scene), [Some(TimerState::Pending); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_cannot_be_set_takes_the_others_back() {
    let scene = Scene::with(DETACHED).fault("was-2", "set_timer", Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(states(&scene), [Some(TimerState::Cancelled), None]);
    scene.rests(HOUR + QUIET).await;
    scene.has_processes(2);
    assert_eq!(scene.live_port(), 8081);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hears_only_later_that_the_run_waits_has_its_hour_all_the_same() {
    // The last word of the run, which comes after its timers: once in vain, and twice.
    for hits in [1, 2] {
        let scene = last_word_fails(hits);
        scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
        assert_eq!(scene.records(), [RunStatus::Waiting; 4]);
        scene.rests(HOUR + QUIET).await;
        assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_host_never_hears_that_the_run_waits_no_host_has_an_hour_and_a_person_is_told() {
    let scene = last_word_fails(20);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(states(&scene)[0], Some(TimerState::Cancelled));
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.rests(HOUR + QUIET).await;
    scene.has_processes(2);
    assert_eq!(scene.live_port(), 8081);
    let scene = scene.mended();
    scene.world.borrow_mut().rules.clear();
    scene.resume().await.ends(&scene, Outcome::Waiting, 0);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_while_it_sets_timers_leaves_none_that_stops_anything() {
    let scene = Scene::with(DETACHED).fault("was-2", "set_timer", Fault::Vanishes);
    scene.dies(Phase::Bake, Duration::from_secs(3)).await;
    assert_eq!(states(&scene), [Some(TimerState::Pending), None]);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene)[0], Some(TimerState::Refused));
    assert!(reason(&scene, "was-1").contains("does not wait"));
    scene.has_processes(2);
    scene.resume().await.ends(&scene, Outcome::Waiting, 0);
    assert_eq!(states(&scene), [Some(TimerState::Pending); 2]);
    scene.rests(HOUR + QUIET).await;
    scene.has_processes(1);
}

#[tokio::test(start_paused = true)]
async fn a_reboot_in_the_window_harms_nothing() {
    let scene = detached().await;
    let name = nonstop::model::names::HostName::new("was-1").unwrap();
    scene.world.borrow_mut().crash(&name);
    scene.world.borrow_mut().boot(&name);
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Pending), Some(TimerState::Stopped)]
    );
    let mut observed = scene.world.borrow().observed();
    settle(&mut observed);
    let seen = observed.hosts.values().filter_map(|seen| seen.record.as_ref());
    assert!(
        seen.into_iter().all(|record| record.status == RunStatus::Done),
        "it is over there as well"
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_release_that_goes_back_gets_no_window() {
    let scene = Scene::with(DETACHED);
    scene.deploy().await.ends(&scene, Outcome::Waiting, 0);
    scene.rests(HOUR + QUIET).await;
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    scene.has_processes(1);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_sick_for_a_moment_at_the_hour_keeps_no_old_one_up() {
    let scene = detached().await;
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Down;
    });
    scene.rests(HOUR + QUIET).await;
    assert_eq!(
        states(&scene),
        [Some(TimerState::Stopped), Some(TimerState::Pending)]
    );
    process(&mut scene.world.borrow_mut(), "was-2", 8081, |it| {
        it.health = Health::Up;
    });
    scene.rests(LOOKS).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waited_for_the_lock_of_such_a_run_leaves_its_hour_alone() {
    let mut scene = Scene::with(DETACHED);
    scene.lock_wait = Duration::from_secs(600);
    let another = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        scene.run("run-2", Wanted::Jar(jar("sokdak-3.jar", "c"))).await
    };
    let resumed = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        scene.run("run-3", Wanted::Resume).await
    };
    let (first, another, resumed) = futures::join!(scene.deploy(), another, resumed);
    first.ends(&scene, Outcome::Waiting, 0);
    another.ends(&scene, Outcome::AsItWas, 5);
    assert!(another.says(|problem| matches!(problem, Problem::RunWaits { .. })));
    resumed.ends(&scene, Outcome::AsItWas, 0);
    let waited = |ended: &crate::scene::Ended| {
        let mut events = ended.events.iter();
        events.any(|event| matches!(event, Event::LockWaiting { .. }))
    };
    assert!(waited(&another) && waited(&resumed));
    scene.rests(HOUR + QUIET).await;
    assert_eq!(states(&scene), [Some(TimerState::Stopped); 2]);
    scene.has_processes(1);
}

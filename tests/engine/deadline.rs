//! A run with a deadline: it turns around while there is time for the way back, and says so.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use nonstop::model::deadline::Deadline;
use nonstop::model::event::Event;
use nonstop::model::lock::{Epoch, LockState};
use nonstop::model::names::RunId;
use nonstop::model::outcome::{Cause, Outcome};
use nonstop::model::phase::Phase;
use tokio::time::Instant;

use crate::scene::{Ended, Scene};
use crate::world::Health;

const HOUR: Duration = Duration::from_secs(3600);
const BAKE: &str = "bake: { for: 10s, then: stop }\nstop: { grace: 10s }\n";

/// What the playbook keeps for a way back.
fn reserve(scene: &Scene) -> Duration {
    let deadline = Deadline::new(HOUR, Duration::ZERO, &scene.config.playbook);
    deadline.unwrap().reserve()
}

/// The deadline's word, if it was said: whether the run went back.
fn unwinds(ended: &Ended) -> Option<bool> {
    ended.events.iter().find_map(|event| match event {
        Event::Interrupted {
            cause: Cause::Deadline,
            unwinds,
        } => Some(*unwinds),
        _ => None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_release_that_does_not_get_healthy_in_time_is_taken_back_before_the_deadline() {
    let scene = Scene::on_blue()
        .turns(Duration::from_secs(20))
        .change(|world| world.host("was-2").health = Health::Silent);
    let began = Instant::now();
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(unwinds(&ended), Some(true));
    assert!(began.elapsed() >= Duration::from_secs(20));
    assert!(began.elapsed() <= Duration::from_secs(20) + reserve(&scene));
    assert_eq!(scene.world.borrow().times("commit"), [0; 0]);
    scene.is_as_it_was();
    assert_eq!(scene.marked(), 0, "the release is not to blame");
}

#[tokio::test(start_paused = true)]
async fn whenever_the_time_is_up_the_run_ends_within_its_reserve_and_says_what_is_true() {
    let undisturbed = Scene::with(BAKE);
    let began = Instant::now();
    undisturbed
        .deploy()
        .await
        .ends(&undisturbed, Outcome::Deployed, 0);
    let whole = began.elapsed();
    let mut codes = Vec::new();
    for step in 0..60 {
        let turn = whole * step / 58;
        let scene = Scene::with(BAKE).turns(turn);
        let began = Instant::now();
        let ended = scene.deploy().await;
        let late = began.elapsed().saturating_sub(turn);
        assert!(late <= reserve(&scene), "{late:?} after {turn:?}");
        let code = ended.verdict.exit.code();
        codes.push(code);
        tokio::time::sleep(Duration::from_secs(60)).await;
        match code {
            6 | 7 => {
                let outcome = if code == 6 {
                    Outcome::AsItWas
                } else {
                    Outcome::RolledBack
                };
                ended.ends(&scene, outcome, code);
                assert_eq!(unwinds(&ended), Some(true), "{turn:?}");
                scene.is_as_it_was();
            }
            _ => {
                ended.ends(&scene, Outcome::Deployed, 0);
                assert_ne!(unwinds(&ended), Some(true), "{turn:?}");
                assert_eq!(scene.live_port(), 8081);
                assert_eq!(scene.listeners(8080), [""; 0]);
                scene.is_unlocked();
            }
        }
    }
    let order = |code: &u8| if *code == 0 { 8 } else { *code };
    assert!(codes.is_sorted_by_key(order), "{codes:?}");
    assert_eq!(
        [6, 7, 0].map(|code| codes.contains(&code)),
        [true; 3],
        "{codes:?}"
    );
}

/// The old version is ended by KILL only.
fn stubborn() -> Scene {
    Scene::with("stop: { grace: 10s }\n").change(|world| {
        for host in ["was-1", "was-2"] {
            for process in &mut world.host(host).processes {
                process.heeds_term = false;
            }
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_run_past_the_point_of_no_return_goes_on_to_its_end() {
    let (began, stops) = (Instant::now(), Rc::new(Cell::new(Duration::ZERO)));
    let at = stops.clone();
    let scene = stubborn().when(Phase::Stop, move |_| at.set(began.elapsed()));
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let whole = began.elapsed();
    let turn = stops.get() + Duration::from_millis(1);
    assert!(
        whole > turn + Duration::from_secs(9),
        "it waits for the old version"
    );
    let scene = stubborn().turns(turn);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8081);
    assert_eq!(scene.listeners(8080), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_lock_until_the_time_is_up_is_told_who_has_it() {
    let held = LockState {
        epoch: Epoch(4),
        run: Some(RunId::new("run-of-kim").unwrap()),
        owner: None,
        lease_left: None,
    };
    let mut scene = Scene::on_blue()
        .turns(Duration::from_secs(20))
        .change(|world| world.host("was-2").lock = held);
    scene.lock_wait = HOUR;
    let began = Instant::now();
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 5);
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_deadline_that_leaves_no_time_to_go_forward_is_refused_with_its_numbers() {
    let scene = Scene::with("watch: { deadline: 10s }\nstop: { grace: 7s }\n");
    // Twice a proof of 5 s, 30 s of drain, 7 s of grace, 5 s between.
    assert_eq!(reserve(&scene), Duration::from_secs(52));
    let seconds = Duration::from_secs;
    let short = Deadline::new(seconds(55), seconds(3), &scene.config.playbook).unwrap_err();
    let said = short.to_string();
    for number in [
        "55s",
        "52s",
        "watch.deadline: 5s",
        "drain.deadline: 30s",
        "stop.grace: 7s",
        "3s pass",
    ] {
        assert!(said.contains(number), "{number}: {said}");
    }
    let enough = Deadline::new(seconds(56), seconds(3), &scene.config.playbook).unwrap();
    assert_eq!(enough.forward(), seconds(4));
    // Of two ways that take as long the second one ends in time.
    assert_eq!(enough.halfway(), seconds(2));
}

//! Deliberate defects in the real binary: for each, a case of these tests must fail. By hand, for it builds
//! everything anew: `cargo test --features defects --test fleet -- --ignored --nocapture crash::defects`;
//! `NONSTOP_POINT` leaves only the defects whose name holds it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::json;

use super::controllers::{Meanwhile, sleeps};
use super::hosts;
use super::point::{Then, beginnings, between, ends, scripts};
use super::scene::Scene;
use crate::fixture::{App, Fleet, Is, WAS};

/// A case that has to find a defect.
enum Case {
    /// As it stands.
    Plain(fn(&mut Scene<'_>)),
    /// Once a run has left its old slot to the hosts: a fault of that finds nothing.
    Windowed(fn(&Scene<'_>, &App<'_>)),
}

use Case::{Plain, Windowed};

/// Where more than one demand may be the first to find the defect, as the machine is fast or slow.
const ANYTHING: &str = "";

/// The ports on which the hosts listen are others than those that are demanded.
const PORTS: &str = "ports that are listened on";

/// The defects, who has to find them, and the words that the failure must hold.
const HUNTS: [(&str, Case, &str); 10] = [
    (
        "no_fence",
        Plain(|scene| dies(scene, "start on was-1, and it runs after all", Then::Resume)),
        ANYTHING,
    ),
    (
        "no_fence",
        Plain(|scene| sleeps(scene, "commit", Meanwhile::SomebodyResumes)),
        ANYTHING,
    ),
    (
        "watch_never_fires",
        Plain(|scene| {
            dies(
                scene,
                "commit on nginx-1, with its answer on the way",
                Then::Nobody,
            );
        }),
        ANYTHING,
    ),
    ("stop_before_proof", Plain(hosts::refused), ANYTHING),
    ("trusts_reload", Plain(hosts::refused), ANYTHING),
    (
        "confirm_before_all_are_proven",
        Plain(|scene| {
            dies(
                scene,
                "nginx-1 through, commit on nginx-2, before it begins",
                Then::Nobody,
            );
        }),
        ANYTHING,
    ),
    (
        "take_over_without_higher_epoch",
        Plain(|scene| dies(scene, "bake begins", Then::Resume)),
        ANYTHING,
    ),
    (
        "revert_past_point_of_no_return",
        Plain(|scene| dies(scene, "stop on was-1, with its answer on the way", Then::Resume)),
        ANYTHING,
    ),
    (
        "stop_by_the_hour_after_a_rollback",
        Windowed(|_, shop| {
            // The other slot is still up, so that the timer finds a successor.
            let mut run = shop.rollback().start();
            run.reaches(Is::PhaseStarted("drain"));
            run.dies();
            std::thread::sleep(PAST_THE_HOUR);
            shop.runs_on(&[8080, 8081]);
        }),
        PORTS,
    ),
    (
        "stop_by_the_hour_with_the_new_slot_dead",
        Windowed(|scene, shop| {
            for host in WAS {
                scene.fleet.ctl(&["kill-app", host, "8081"]);
            }
            std::thread::sleep(PAST_THE_HOUR);
            shop.runs_on(&[8080]);
        }),
        PORTS,
    ),
];

/// The hour of these cases, the time for which a connection that is over is still seen, what a host waits for then,
/// and room for a busy machine.
const PAST_THE_HOUR: Duration = Duration::from_secs(10 + 60 + 60 + 30);

/// Deploys a version whose old slot is left to the hosts.
fn windowed<'f>(scene: &Scene<'f>) -> App<'f> {
    let shop = scene.fleet.shop();
    let shop = shop.with("/bake", json!({ "for": "10s", "detach": true }));
    shop.deploy("v2").run().ends(0, "waiting");
    shop
}

/// The controller dies at the point of that name.
fn dies(scene: &mut Scene<'_>, name: &str, then: Then) {
    let points = [beginnings(), ends(), between(), scripts()].concat();
    let point = points.iter().find(|point| point.to_string() == name);
    scene.play(point.expect("a point of that name"), then, 7);
}

#[test]
#[ignore = "builds everything with the defects: by hand"]
fn every_planted_defect_fails_a_case() {
    let only = std::env::var("NONSTOP_POINT").unwrap_or_default();
    let mut missed = Vec::new();
    for (number, (defect, case, says)) in HUNTS.into_iter().enumerate() {
        if !defect.contains(&only) {
            continue;
        }
        let fleet = Fleet::reset();
        let mut scene = Scene::begin(&fleet);
        fleet.plants(Some(defect));
        let played = match case {
            Plain(case) => catch_unwind(AssertUnwindSafe(|| case(&mut scene))),
            Windowed(case) => {
                let shop = windowed(&scene);
                catch_unwind(AssertUnwindSafe(|| case(&scene, &shop)))
            }
        };
        let words = match &played {
            Ok(()) => "nothing failed",
            Err(words) => words_of(words.as_ref()),
        };
        let first = words.lines().next().unwrap_or_default();
        if played.is_err() && words.contains(says) {
            println!("{defect} (hunt {number}): found: {first}");
        } else {
            missed.push(format!("{defect} (hunt {number}): {first}"));
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

fn words_of(words: &(dyn Any + Send)) -> &str {
    let text = words.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| words.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic")
}

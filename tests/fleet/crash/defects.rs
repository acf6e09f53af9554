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
type Case = fn(&mut Scene<'_>);

/// The defects, and who has to find them.
const HUNTS: [(&str, Case); 10] = [
    ("no_fence", |scene| {
        dies(scene, "start on was-1, and it runs after all", Then::Resume);
    }),
    ("no_fence", |scene| {
        sleeps(scene, "commit", Meanwhile::SomebodyResumes);
    }),
    ("watch_never_fires", |scene| {
        dies(
            scene,
            "commit on nginx-1, with its answer on the way",
            Then::Nobody,
        );
    }),
    ("stop_before_proof", hosts::refused),
    ("trusts_reload", hosts::refused),
    ("confirm_before_all_are_proven", |scene| {
        dies(
            scene,
            "nginx-1 through, commit on nginx-2, before it begins",
            Then::Nobody,
        );
    }),
    ("take_over_without_higher_epoch", |scene| {
        dies(scene, "bake begins", Then::Resume);
    }),
    ("revert_past_point_of_no_return", |scene| {
        dies(scene, "stop on was-1, with its answer on the way", Then::Resume);
    }),
    ("stop_by_the_hour_after_a_rollback", |scene| {
        // The other slot is still up, so that the timer finds a successor.
        let shop = windowed(scene);
        let mut run = shop.rollback().start();
        run.reaches(Is::PhaseStarted("drain"));
        run.dies();
        std::thread::sleep(PAST_THE_HOUR);
        shop.runs_on(&[8080, 8081]);
    }),
    ("stop_by_the_hour_with_the_new_slot_dead", |scene| {
        let shop = windowed(scene);
        for host in WAS {
            scene.fleet.ctl(&["kill-app", host, "8081"]);
        }
        std::thread::sleep(PAST_THE_HOUR);
        shop.runs_on(&[8080]);
    }),
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
    for (number, (defect, case)) in HUNTS.into_iter().enumerate() {
        if !defect.contains(&only) {
            continue;
        }
        let fleet = Fleet::reset();
        let mut scene = Scene::begin(&fleet);
        fleet.plants(Some(defect));
        let played = catch_unwind(AssertUnwindSafe(|| case(&mut scene)));
        match played {
            Ok(()) => missed.push(format!("{defect} (hunt {number})")),
            Err(words) => println!("{defect} (hunt {number}): found: {}", first_line(words.as_ref())),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

fn first_line(words: &(dyn Any + Send)) -> &str {
    let text = words
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| words.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("a panic")
}

//! KILL for the controller at every instant that a deploy has. `make test` takes a sample, half of it where a phase
//! begins, `make test-all` everything; the seed chooses the sample, who comes
//! after each death, and the milliseconds. A failure prints the command that repeats it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::point::{Point, Then, beginnings, between, ends, mixed, scripts};
use super::scene::Scene;
use crate::fixture::Fleet;

/// How many points the sample has where a phase begins, and as many elsewhere.
const SAMPLE: usize = 6;

type Case = (Point, Then);

/// The seed: `NONSTOP_SEED`, or the time.
pub(super) fn seed() -> u64 {
    let given = std::env::var("NONSTOP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs()
    };
    given.unwrap_or_else(now)
}

fn with_both(points: Vec<Point>) -> impl Iterator<Item = Case> {
    points
        .into_iter()
        .flat_map(|point| [(point, Then::Resume), (point, Then::Nobody)])
}

fn name((point, then): &Case) -> String {
    format!("{point}, {then}")
}

/// Plays the cases; `NONSTOP_POINT` leaves only those whose name holds it.
fn play(test: &str, cases: Vec<Case>, seed: u64) {
    let only = std::env::var("NONSTOP_POINT").unwrap_or_default();
    let cases: Vec<Case> = cases
        .into_iter()
        .filter(|case| name(case).contains(&only))
        .collect();
    println!("{} points, seed {seed}", cases.len());
    let mut failed = Vec::new();
    let mut left = cases.iter().enumerate();
    while left.len() > 0 {
        let fleet = Fleet::reset();
        let mut scene = Scene::begin(&fleet);
        for (index, case) in left.by_ref() {
            let began = Instant::now();
            let (point, then) = case;
            let played = catch_unwind(AssertUnwindSafe(|| scene.play(point, *then, seed)));
            let word = *played.as_ref().unwrap_or(&"FAILED");
            let took = began.elapsed().as_secs_f32();
            println!(
                "{:>3}/{} {took:>5.1} s  {word:<6} {}",
                index + 1,
                cases.len(),
                name(case)
            );
            if played.is_err() {
                fleet.print_what_is_known();
                failed.push(name(case));
                break;
            }
        }
    }
    let repeat = |name: &String| {
        format!(
            "  NONSTOP_SEED={seed} NONSTOP_POINT='{name}' cargo test --test fleet -- --include-ignored --nocapture {test}"
        )
    };
    let commands: Vec<String> = failed.iter().map(repeat).collect();
    assert!(
        failed.is_empty(),
        "{} failed; repeat with:\n{}",
        failed.len(),
        commands.join("\n")
    );
}

#[test]
fn a_controller_that_dies_at_a_sample_of_points() {
    let seed = seed();
    let coin = |point: Point| {
        let then = [Then::Resume, Then::Nobody][usize::from(mixed(seed, &point.to_string()) % 2 == 1)];
        (point, then)
    };
    let sample = |mut cases: Vec<Case>| {
        cases.sort_by_key(|case| mixed(seed, &name(case)));
        cases.truncate(SAMPLE);
        cases
    };
    let mut cases = sample(beginnings().into_iter().map(coin).collect());
    cases.extend(sample(
        with_both([ends(), between(), scripts()].concat()).collect(),
    ));
    play(
        "killed::a_controller_that_dies_at_a_sample_of_points",
        cases,
        seed,
    );
}

#[test]
#[ignore = "takes a quarter of an hour: make test-all"]
fn a_controller_that_dies_at_any_point() {
    let cases = with_both([beginnings(), ends(), between(), scripts()].concat()).collect();
    play("killed::a_controller_that_dies_at_any_point", cases, seed());
}

//! The simulator: the engine as it is, on a fleet in memory, with everything going wrong that may.
//!
//! Without arguments it plays `SEEDS` seeds (20 000), shows that a seed is told twice alike, and that every
//! deliberate defect is found. `--seed N` tells one story step by step, `--defect NAME` plants a defect, and
//! `--only seeds|twice|drawn|defects` leaves the rest out. Whatever is found prints its seed and the command that
//! repeats it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what the simulator expects and does not find is a failed run of it, and it speaks by itself"
)]

mod controller;
mod defects;
mod drawn;
mod ending;
mod fleet;
mod hooks;
mod judge;
mod limit;
mod random;
mod stage;
mod story;
mod strike;
mod twist;
#[path = "../world/mod.rs"]
mod world;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use defects::Planted;
use stage::Telling;
use story::Story;
use twist::Twists;

/// Within how many seeds every defect is found.
const BOUND: u64 = 20_000;
/// How many broken seeds are shown before the rest is not played any more.
const ENOUGH: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str| after(name).and_then(|text| text.parse::<u64>().ok());
    let planted = after("--defect").map_or(Planted::Nothing, |name| {
        Planted::named(name).unwrap_or_else(|| panic!("there is no defect `{name}`"))
    });
    if let Some(seed) = number("--seed") {
        let broken = one(seed, Telling::Aloud, planted);
        return exit(broken.is_empty());
    }
    // A panic is told as what was found, in one line.
    panic::set_hook(Box::new(|_| {}));
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let seeds = number("--seeds").or(seeds).unwrap_or(20_000);
    let from = number("--from").unwrap_or(0);
    let only = after("--only");
    let wanted = |part: &str| only.is_none_or(|only| only == part);
    let mut is_well = true;
    if wanted("twice") {
        is_well &= twice();
    }
    if wanted("drawn") {
        is_well &= drawn::fairly();
    }
    if wanted("defects") {
        is_well &= all_found();
    }
    if wanted("seeds") {
        is_well &= many(from, seeds, planted);
    }
    exit(is_well)
}

fn exit(is_well: bool) -> ExitCode {
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays one seed on a clock of its own.
fn one(seed: u64, telling: Telling, planted: Planted) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but memory");
    let playing = AssertUnwindSafe(|| runtime.block_on(stage::play(seed, telling, planted)));
    panic::catch_unwind(playing).unwrap_or_else(|panicked| {
        let text = panicked.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        vec![format!("a panic: {}", text.unwrap_or_default())]
    })
}

/// The seeds that break something, in order, of those that were played; and how many were.
fn broken_seeds(from: u64, seeds: u64, planted: Planted, enough: usize) -> (Vec<(u64, String)>, u64) {
    broken_by(from, seeds, planted, enough, "")
}

/// The same with the words of one rule.
fn broken_by(
    from: u64,
    seeds: u64,
    planted: Planted,
    enough: usize,
    rule: &str,
) -> (Vec<(u64, String)>, u64) {
    let next = AtomicU64::new(from);
    let found = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let is_enough = || found.lock().expect("no thread panics with it").len() >= enough;
    let play = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds || is_enough() {
                return;
            }
            let broken = one(seed, Telling::Silent, planted);
            if let Some(first) = broken.into_iter().find(|line| line.contains(rule)) {
                found
                    .lock()
                    .expect("no thread panics with it")
                    .push((seed, first));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(play);
        }
    });
    let played = next.into_inner().min(from + seeds) - from;
    let mut found = found.into_inner().expect("no thread panics with it");
    found.sort();
    (found, played)
}

/// Plays many seeds on every core.
fn many(from: u64, seeds: u64, planted: Planted) -> bool {
    let began = Instant::now();
    let (found, played) = broken_seeds(from, seeds, planted, ENOUGH);
    for (seed, broken) in &found {
        println!("seed {seed}: {broken}\n  make sim ARGS='--seed {seed}'");
    }
    let took = began.elapsed().as_secs_f64();
    println!("{played} seeds in {took:.1} s, {} of them broken", found.len());
    if played == seeds {
        println!("of these: {}", shares(from, seeds));
    }
    found.is_empty()
}

/// How many of the stories are of which kind.
fn shares(from: u64, seeds: u64) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in from..from + seeds {
        for kind in Twists::kinds(&Story::of(seed)) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    let shares = counts
        .into_iter()
        .map(|(kind, count)| format!("{kind} {} %", count * 100 / seeds));
    shares.collect::<Vec<_>>().join(", ")
}

/// Whether every deliberate defect is found.
fn all_found() -> bool {
    let mut is_well = true;
    let rules = |(name, planted)| {
        defects::found_by(name)
            .into_iter()
            .map(move |rule| (name, planted, rule))
    };
    for (name, planted, rule) in defects::ALL.into_iter().flat_map(rules) {
        let (found, played) = broken_by(0, BOUND, planted, 1, rule);
        if let Some((seed, broken)) = found.first() {
            println!("{name}: found by seed {seed}: {broken}");
        } else {
            println!("{name}: NOT FOUND by {played} seeds, where somebody says `{rule}`");
            is_well = false;
        }
    }
    is_well
}

/// Whether two processes tell a seed alike, byte for byte.
fn twice() -> bool {
    let program = std::env::current_exe().expect("this program has a path");
    let told = |seed: u64| {
        let output = Command::new(&program)
            .args(["--seed", &seed.to_string()])
            .output();
        output.expect("this program runs").stdout
    };
    for seed in [3, 77, 4_711] {
        let (first, second) = (told(seed), told(seed));
        if first.is_empty() || first != second {
            println!("seed {seed} is told in two ways:\n  make sim ARGS='--seed {seed}'");
            return false;
        }
    }
    println!("a seed is told twice alike, byte for byte");
    true
}

//! The simulator: the engine as it is, on a fleet in memory, with everything going wrong that may.
//!
//! `--seed N` tells one story step by step; `SEEDS=N` plays that many. Whatever is found prints its seed
//! and the command that repeats it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what the simulator expects and does not find is a failed run of it"
)]

mod controller;
mod fleet;
mod judge;
mod random;
mod stage;
mod story;
#[path = "../world/mod.rs"]
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use stage::Telling;
use world::Flaw;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse().ok()
    };
    if let Some(seed) = after("--seed") {
        let broken = one(seed, Telling::Aloud, None);
        return exit(broken.is_empty());
    }
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let from = after("--from").unwrap_or(0);
    exit(many(from, seeds.unwrap_or(20_000)))
}

fn exit(is_well: bool) -> ExitCode {
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Plays one seed on a clock of its own.
fn one(seed: u64, telling: Telling, flaw: Option<Flaw>) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but memory");
    let played = panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(stage::play(seed, telling, flaw))
    }));
    played.unwrap_or_else(|_| vec!["a panic".to_owned()])
}

/// Plays many seeds on every core.
fn many(from: u64, seeds: u64) -> bool {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let found = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || found.lock().expect("no thread panics with it").len() >= 20 {
                        break;
                    }
                    let broken = one(seed, Telling::Silent, None);
                    if let Some(first) = broken.into_iter().next() {
                        found
                            .lock()
                            .expect("no thread panics with it")
                            .push((seed, first));
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().expect("no thread panics with it");
    found.sort();
    for (seed, broken) in &found {
        println!("seed {seed}: {broken}\n  make sim ARGS='--seed {seed}'");
    }
    let played = next.load(Ordering::Relaxed).min(from + seeds) - from;
    println!(
        "{played} seeds in {:.1} s, {} broken",
        began.elapsed().as_secs_f64(),
        found.len()
    );
    found.is_empty()
}

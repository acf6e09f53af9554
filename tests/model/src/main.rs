//! Explores the commit protocol exhaustively: two nginx hosts, a WAS host with both slots, a controller that
//! deploys, others that resume, faults within a budget, and a last resume without faults. Every promise is
//! looked at in every state; and for each rule that is taken away there has to be a schedule that breaks one.
//!
//! `quick` is what fits into a CI run, `full` is everything; `faults N resumers M` explores one world, and
//! `without RULE` shows one schedule. Exits with 1 where something is not as it should be.

mod controller;
mod explore;
mod host;
mod judge;
mod protocol;
mod rules;
mod schedule;
mod state;

use std::process::ExitCode;

use explore::World;
use rules::Rule;

/// What a CI run has time for.
const QUICK: [World; 2] = [
    World {
        faults: 3,
        resumers: 0,
    },
    World {
        faults: 2,
        resumers: 1,
    },
];
/// Everything: beside the last one, a resumer and three faults, and two that get in each other's way.
const FULL: [World; 2] = [
    World {
        faults: 3,
        resumers: 1,
    },
    World {
        faults: 0,
        resumers: 2,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let holds = match words[..] {
        [] | ["quick"] => everything(&QUICK),
        ["full"] => everything(&FULL),
        ["faults", faults, "resumers", resumers] => {
            let (Ok(faults @ 0..=3), Ok(resumers @ 0..=2)) = (faults.parse(), resumers.parse()) else {
                return usage();
            };
            explore::keeps_its_promises(World { faults, resumers })
        }
        ["without", word] => match Rule::named(word) {
            Some(rule) => explore::all_are_needed(&[rule]),
            None => return usage(),
        },
        _ => return usage(),
    };
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn everything(worlds: &[World]) -> bool {
    let possible = explore::is_possible();
    let needed = explore::all_are_needed(&Rule::ALL.map(|(rule, ..)| rule));
    let kept = worlds
        .iter()
        .filter(|world| explore::keeps_its_promises(**world))
        .count();
    possible && needed && kept == worlds.len()
}

fn usage() -> ExitCode {
    eprintln!("model [quick | full | faults 0..3 resumers 0..2 | without RULE]");
    for (_, word, says) in Rule::ALL {
        eprintln!("  {word:<18} {says}");
    }
    ExitCode::from(2)
}

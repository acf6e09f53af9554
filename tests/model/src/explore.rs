//! Runs the searches and prints what they found: how many states, and a schedule for what is broken.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::protocol::{Asks, Protocol};
use crate::rules::{Rule, Rules};
use crate::schedule::schedule;
use crate::state::State;

/// How much is explored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// How many faults there are.
    pub(crate) faults: u8,
    /// How many controllers may come between the deploy and the last.
    pub(crate) resumers: u8,
}

/// The worlds in which a missing rule is looked for, the small ones first: one that is found there has a
/// short schedule.
const SMALL: [World; 5] = [
    World {
        faults: 1,
        resumers: 0,
    },
    World {
        faults: 2,
        resumers: 0,
    },
    World {
        faults: 0,
        resumers: 1,
    },
    World {
        faults: 1,
        resumers: 1,
    },
    World {
        faults: 2,
        resumers: 1,
    },
];

impl World {
    fn protocol(self, rules: Rules, asks: Asks) -> Protocol {
        Protocol {
            rules,
            asks,
            faults: self.faults,
            resumers: self.resumers,
        }
    }

    fn name(self) -> String {
        let faults = self.faults;
        match self.resumers {
            0 => format!("{faults} faults, the deploy and the last resume"),
            1 => format!("{faults} faults, the deploy, one that resumes, and the last"),
            more => format!("{faults} faults, the deploy, {more} that resume, and the last"),
        }
    }
}

/// Explores a whole world, and says whether every promise holds in every state.
pub(crate) fn keeps_its_promises(world: World) -> bool {
    println!("{}:", world.name());
    let began = Instant::now();
    let protocol = world.protocol(Rules { without: None }, Asks::Promises);
    let promises = protocol.properties();
    let checker = protocol
        .checker()
        .threads(cores())
        .symmetry_fn(State::representative)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    count(&checker, began.elapsed());
    let mut broken = checker.discoveries();
    for promise in promises {
        let verdict = if broken.contains_key(promise.name) {
            "BROKEN"
        } else {
            "holds"
        };
        println!("  {verdict:<7} {}", promise.name);
        if let Some(path) = broken.remove(promise.name) {
            println!("{}", schedule(&path.into_vec()));
        }
    }
    println!();
    checker.discoveries().is_empty()
}

/// Takes each rule away, and says whether each time a promise breaks.
pub(crate) fn all_are_needed(rules: &[Rule]) -> bool {
    let left = Mutex::new(rules.iter());
    let next = || left.lock().expect("no search panics with it").next().copied();
    thread::scope(|scope| {
        let work = || {
            let mut all = true;
            while let Some(rule) = next() {
                all &= is_needed(rule);
            }
            all
        };
        let workers: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        let ends = workers
            .into_iter()
            .map(|worker| worker.join().expect("a search ends"));
        // Not `all`: every one of them has to end.
        ends.fold(true, |all, one| all & one)
    })
}

fn is_needed(rule: Rule) -> bool {
    let (_, word, says) = Rule::ALL
        .into_iter()
        .find(|(each, ..)| *each == rule)
        .expect("the list has every rule");
    for world in SMALL {
        let rules = Rules { without: Some(rule) };
        // One thread and breadth first: the schedule is a shortest one, and the same each time.
        let checker = world
            .protocol(rules, Asks::Promises)
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let Some((promise, path)) = checker.discoveries().into_iter().min_by_key(|(name, _)| *name) else {
            continue;
        };
        let steps = schedule(&path.into_vec());
        println!("without {word} ({says}), BROKEN: {promise}\n{steps}");
        return true;
    }
    println!("without {word} ({says}): no counterexample, so that either the rule or the model is no good\n");
    false
}

/// Whether what should be possible is: a model in which nothing happens keeps every promise.
pub(crate) fn is_possible() -> bool {
    let world = World {
        faults: 1,
        resumers: 1,
    };
    let protocol = world.protocol(Rules { without: None }, Asks::Possibilities);
    let names: Vec<_> = protocol.properties().iter().map(|it| it.name).collect();
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::All)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    for name in &names {
        let verdict = if found.contains_key(name) {
            "happens"
        } else {
            "NEVER"
        };
        println!("{verdict:<7} {name}");
    }
    println!();
    names.len() == found.len()
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, NonZeroUsize::get)
}

fn count(checker: &impl Checker<Protocol>, took: Duration) {
    let steps = u128::try_from(checker.state_count()).expect("a count is small");
    let rate = steps / took.as_millis().max(1);
    println!(
        "  {} states, {steps} steps, {} deep, {:.1} s, {rate} thousand steps a second",
        checker.unique_state_count(),
        checker.max_depth(),
        took.as_secs_f64(),
    );
}

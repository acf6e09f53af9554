//! The hooks that some stories carry: which, where, for how long they run, and which of them fail.

use std::fmt::Write as _;
use std::time::Duration;

use nonstop::config::Config;
use nonstop::model::hook::{HookPoint, HookWord, Recall};
use nonstop::model::names::HostName;

use crate::random::Random;
use crate::world::{HookFate, World};

/// Where they may run.
const PLACES: [&str; 5] = ["was", "was", "nginx", "first", "controller"];
/// How long each may run.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The hooks of a story, one at each of some points.
#[derive(Debug, Clone)]
pub(crate) struct Hooks(Vec<Carried>);

#[derive(Debug, Clone, Copy)]
struct Carried {
    point: HookPoint,
    place: &'static str,
    repeatable: bool,
    takes: Duration,
    fails: bool,
}

impl Hooks {
    /// None.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Those of a seed: of most there are none.
    pub(crate) fn of(random: &mut Random, is_calm: bool) -> Self {
        if !random.one_in(4) {
            return Self::none();
        }
        let mut carried = Vec::new();
        for point in HookPoint::ALL {
            if random.one_in(2) {
                continue;
            }
            let place = *random.of(&PLACES);
            carried.push(Carried {
                point,
                place,
                repeatable: random.one_in(4),
                takes: random.millis(50, if is_calm { 4_000 } else { 6_000 }),
                fails: random.one_in(12) && !is_calm,
            });
        }
        Self(carried)
    }

    /// Takes out those before the old slot's end: hosts that are alone by then run none.
    pub(crate) fn leave_out_before_stop(&mut self) {
        self.0.retain(|carried| carried.point != HookPoint::BeforeStop);
    }

    /// Whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether one of them fails: a run goes back then without any other fault.
    pub(crate) fn may_fail(&self) -> bool {
        self.0
            .iter()
            .any(|carried| carried.fails || carried.takes >= TIMEOUT)
    }

    /// As the playbook says it.
    pub(crate) fn told(&self) -> String {
        let mut text = String::new();
        for (number, carried) in self.0.iter().enumerate() {
            if number == 0 {
                text.push_str("hooks:\n");
            }
            let Carried {
                point,
                place,
                repeatable,
                ..
            } = carried;
            let _ = writeln!(
                text,
                "  {point}: {{ run: x, on: {place}, timeout: 5s, repeatable: {repeatable} }}"
            );
        }
        text
    }

    /// Puts what becomes of them into the world.
    pub(crate) fn befall(&self, config: &Config, world: &mut World) {
        for carried in &self.0 {
            let hosts: Vec<HostName> = config.topology.hosts().into_iter().cloned().collect();
            for host in hosts.into_iter().map(Some).chain([None]) {
                let fate = HookFate {
                    takes: carried.takes,
                    fails: carried.fails,
                    orphaned: false,
                };
                world.hooks.fates.insert((host, carried.point), fate);
            }
        }
    }
}

/// What a person says of all hooks who has looked.
pub(crate) fn done(config: &Config) -> Vec<HookWord> {
    let words = config.playbook.hooks.all().map(|hook| HookWord {
        hook: hook.id,
        host: None,
        recall: Recall::Done,
    });
    words.collect()
}

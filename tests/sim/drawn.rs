//! Whether stories are drawn of everything that the program allows: each strategy with each style on each topology, and
//! with each of them runs that somebody goes on with, lets go on or takes back, and controllers that die.

use std::collections::BTreeMap;

use nonstop::config::combinations::{StrategyName, StyleName, TABLE};

use crate::story::{Fate, Story, What};
use crate::twist::{Moves, Slots, Style};

/// So many seeds are looked at.
const SEEDS: u64 = 8_000;
/// How many stories there are at least of each combination.
const FAIR: u32 = 20;
/// How many of them have each deed at least.
const SOME: u32 = 3;

/// What carries the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topology {
    TwoPorts,
    HostSets,
    SingleSlot,
    OneMachine,
}

impl Topology {
    const ALL: [Self; 4] = [Self::TwoPorts, Self::HostSets, Self::SingleSlot, Self::OneMachine];

    fn of(story: &Story) -> Self {
        match story.twists.slots {
            Slots::Single => Self::SingleSlot,
            Slots::Hosts => Self::HostSets,
            Slots::Ports if story.size.1 == 0 => Self::OneMachine,
            Slots::Ports => Self::TwoPorts,
        }
    }

    /// Whether there are two ports on each host, so that the end of the old slot can be left to it.
    fn has_two_ports(self) -> bool {
        matches!(self, Self::TwoPorts | Self::OneMachine)
    }
}

fn strategy(story: &Story) -> StrategyName {
    match story.twists.moves {
        Moves::AtOnce | Moves::AtOnceByHand => StrategyName::BlueGreen,
        Moves::Rolling => StrategyName::Rolling,
        Moves::Canary(_) | Moves::CanaryByHand => StrategyName::Canary,
    }
}

fn style(story: &Story) -> StyleName {
    match story.twists.style {
        Style::Site => StyleName::Site,
        Style::PerSlot => StyleName::ConfPerSlot,
        Style::Include => StyleName::Include,
    }
}

/// How many stories of a combination there are, and how many of them have what.
#[derive(Debug, Default)]
struct Count {
    all: u32,
    resumes: u32,
    promotions: u32,
    rollbacks: u32,
    deaths: u32,
}

impl Count {
    fn takes(&mut self, story: &Story) {
        let acts = || story.rounds.iter().flat_map(|round| &round.acts);
        let has = |is: &dyn Fn(What) -> bool| u32::from(acts().any(|act| is(act.what)));
        self.all += 1;
        self.resumes += has(&|what| what == What::Resume);
        // Somebody has to wait for it.
        let promotes = |what| matches!(what, What::Promote | What::PromoteFull);
        self.promotions += if story.twists.wait() { has(&promotes) } else { 0 };
        self.rollbacks += has(&|what| what == What::Rollback);
        self.deaths += u32::from(acts().any(|act| matches!(act.fate, Fate::Dies(_))));
    }

    fn lacks(&self, may_wait: bool) -> Option<&'static str> {
        let deeds = [
            ("a resume", self.resumes),
            ("a promotion", if may_wait { self.promotions } else { SOME }),
            ("a rollback", self.rollbacks),
            ("a controller that dies", self.deaths),
        ];
        let few = deeds.into_iter().find(|(_, count)| *count < SOME);
        few.map(|(deed, _)| deed)
    }
}

/// Whether all of it is drawn, and nothing else.
pub(crate) fn fairly() -> bool {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    let named = |strategy: StrategyName, style: StyleName, topology: Topology| {
        format!("{} with {} on {topology:?}", strategy.as_str(), style.as_str())
    };
    for seed in 0..SEEDS {
        let story = Story::of(seed);
        let name = named(strategy(&story), style(&story), Topology::of(&story));
        counts.entry(name).or_default().takes(&story);
    }
    let mut is_well = true;
    let mut least = u32::MAX;
    for row in TABLE {
        for topology in Topology::ALL {
            let goes = match topology {
                Topology::SingleSlot => row.single_slot,
                _ => row.two_slots,
            };
            let name = named(row.strategy, row.style, topology);
            let count = counts.remove(&name).unwrap_or_default();
            if goes.is_err() {
                if count.all > 0 {
                    println!("{name} is refused by `check`, and drawn");
                    is_well = false;
                }
                continue;
            }
            least = least.min(count.all);
            let may_wait = row.strategy != StrategyName::Rolling || topology.has_two_ports();
            if let Some(deed) = count.lacks(may_wait) {
                println!(
                    "of {} stories of {name} there are not {SOME} with {deed}",
                    count.all
                );
                is_well = false;
            }
            if count.all < FAIR {
                println!("{name}: {} of {SEEDS} stories", count.all);
                is_well = false;
            }
        }
    }
    println!(
        "every strategy, style and topology that go together is drawn {least} times of {SEEDS} at least"
    );
    is_well
}

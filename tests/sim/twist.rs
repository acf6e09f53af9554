//! What makes some stories another kind of story: the style of nginx's files, a host that people leave out,
//! nginx hosts that disagree from the start, little memory, long requests. Drawn apart from the rest, so that a
//! seed's other events stay what they were.

use std::time::Duration;

use nonstop::model::outcome::Signal;
use nonstop::model::playbook::MemoryCheck;

use crate::random::Random;
use crate::story::{Act, Fate, Leaves, Round, Runner, Story, Strike, What};
use crate::world::{Killed, Tight};

/// What is special about a story.
#[derive(Debug, Clone)]
pub(crate) struct Twists {
    /// Whose files nginx reads.
    pub(crate) style: Style,
    /// A host that is gone, and that people leave out.
    pub(crate) gone: Option<Gone>,
    /// How nginx hosts begin.
    pub(crate) start: Beginning,
    /// A WAS host with memory for one instance.
    pub(crate) tight: Option<(u64, Tight)>,
    /// What a playbook says of too little memory.
    pub(crate) memory: MemoryCheck,
    /// How long the longest requests take.
    pub(crate) requests_last: Duration,
    /// How traffic moves.
    pub(crate) moves: Moves,
    /// What tells the slots apart.
    pub(crate) slots: Slots,
    /// After how many seconds the hosts stop the old slot by themselves, where that is left to them.
    pub(crate) window: Option<u64>,
}

/// What tells the slots apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// Two ports on every WAS host.
    Ports,
    /// Every second WAS host.
    Hosts,
    /// Nothing: there is one, and each host carries one instance.
    Single,
}

/// How traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moves {
    /// In one step.
    AtOnce,
    /// In one step, when a person says so.
    AtOnceByHand,
    /// Host by host.
    Rolling,
    /// By weights, each held for so many seconds.
    Canary(u64),
    /// By weights, the first of which waits for a person.
    CanaryByHand,
}

impl Moves {
    /// Whether a person is asked on the way.
    pub(crate) fn wait(self) -> bool {
        matches!(self, Self::AtOnceByHand | Self::CanaryByHand)
    }

    /// As the playbook says it.
    pub(crate) fn told(self) -> String {
        match self {
            Self::AtOnce => String::new(),
            Self::AtOnceByHand => "update: { auto_promote: false }\n".to_owned(),
            Self::Rolling => "update: { strategy: rolling, max_parallel: 1 }\n".to_owned(),
            Self::Canary(seconds) => format!(
                "update: {{ strategy: canary, steps: [{{ weight: 5, hold: {seconds}s }}, {{ weight: 50 }}] }}\n"
            ),
            Self::CanaryByHand => {
                "update: { strategy: canary, steps: [{ weight: 10, hold: until_promoted }, \
                                   { weight: 60 }] }\n"
                    .to_owned()
            }
        }
    }
}

/// Whose files nginx reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Ours.
    Site,
    /// The user's, one a slot.
    PerSlot,
    /// The user's server, which reads one line of ours.
    Include,
}

/// What nginx hosts run before anything happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    Alike,
    /// Every second one leads to the other slot, which is up too; nothing is on record.
    Apart,
}

/// A host that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) host: u64,
    pub(crate) how: How,
    /// When it goes, and when it is back; in the end where nothing is said.
    pub(crate) at: Duration,
    pub(crate) back: Option<Duration>,
}

/// How a host is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It lost its power.
    Dead,
    /// It goes on, and no controller reaches it: what sleeps there wakes up.
    Asleep,
}

impl Twists {
    /// Those of a seed with that many WAS and nginx hosts.
    pub(crate) fn of(random: &mut Random, (was, nginx): (u32, u32), is_live: bool) -> Self {
        let style = if random.one_in(6) {
            Style::PerSlot
        } else {
            Style::Site
        };
        let slots = if was > 1 && random.one_in(6) {
            Slots::Hosts
        } else {
            Slots::Ports
        };
        let mut may_go = Vec::new();
        if was > 1 && style == Style::Site {
            // A slot needs a host.
            may_go
                .extend((0..u64::from(was)).filter(|host| slots == Slots::Ports || was > 2 && host % 2 == 0));
        }
        if nginx > 1 {
            may_go.extend((0..u64::from(nginx)).map(|host| u64::from(was) + host));
        }
        let goes = random.one_in(5) && !may_go.is_empty();
        let gone = goes.then(|| Gone {
            host: *random.of(&may_go),
            how: *random.of(&[How::Dead, How::Asleep, How::Asleep]),
            at: random.millis(0, 25_000),
            back: random.one_in(2).then(|| random.millis(20_000, 150_000)),
        });
        let apart = random.one_in(20) && is_live && nginx > 1;
        let kills = *random.of(&[Killed::New, Killed::New, Killed::New, Killed::Old]);
        let tight = random.one_in(10).then(|| {
            (
                random.below(2),
                Tight {
                    after: random.millis(100, 9_000),
                    kills,
                },
            )
        });
        // Where each host has one slot, it carries one instance at a time.
        let tight = tight.filter(|_| slots == Slots::Ports);
        let requests_last = if random.one_in(8) {
            random.millis(3_000, 9_000)
        } else {
            random.millis(0, 3_000)
        };
        // The user's server has led somewhere all the while.
        let includes = random.one_in(6) && style == Style::Site && is_live;
        let style = if includes { Style::Include } else { style };
        let memory = match tight {
            Some(_) => *random.of(&[MemoryCheck::Refuse, MemoryCheck::Warn, MemoryCheck::Warn]),
            None => MemoryCheck::Refuse,
        };
        Self {
            style,
            gone,
            start: if apart { Beginning::Apart } else { Beginning::Alike },
            tight,
            requests_last,
            memory,
            moves: moves(random, style),
            slots,
            window: None,
        }
    }

    /// What kinds of story it is, for the shares that are told at the end.
    pub(crate) fn kinds(story: &Story) -> impl Iterator<Item = &'static str> {
        let acts = || story.rounds.iter().flat_map(|round| &round.acts);
        let struck = |kind: fn(&Strike) -> bool| story.strikes.iter().any(|(_, strike)| kind(strike));
        let twists = &story.twists;
        let kinds = [
            ("calm", story.is_calm()),
            ("conf_per_slot", twists.style == Style::PerSlot),
            ("include", twists.style == Style::Include),
            ("a host is gone", twists.gone.is_some()),
            ("left out", acts().any(|act| act.leaves == Leaves::TheGone)),
            (
                "resume --to",
                acts().any(|act| matches!(act.what, What::Converge(_))),
            ),
            ("hosts disagree from the start", twists.start == Beginning::Apart),
            ("little memory", twists.tight.is_some()),
            ("rolling", twists.moves == Moves::Rolling),
            (
                "canary",
                matches!(twists.moves, Moves::Canary(_) | Moves::CanaryByHand),
            ),
            ("waits for a person", twists.moves.wait()),
            ("left to the hosts", twists.window.is_some()),
            ("units", story.runner == Runner::Unit),
            ("slots on two sets of hosts", twists.slots == Slots::Hosts),
            ("a single slot", twists.slots == Slots::Single),
            ("one machine", story.size.1 == 0),
            ("link cut", struck(|it| matches!(it, Strike::Link(..)))),
            ("disk full", struck(|it| matches!(it, Strike::DiskFull(..)))),
            ("reload by others", struck(|it| matches!(it, Strike::Reloads(_)))),
            ("edit by hand", struck(|it| matches!(it, Strike::Edits(_)))),
            ("hooks", story.hooks.are_there()),
            (
                "a deadline as a whole",
                acts().any(|act| matches!(act.fate, Fate::Limited(_))),
            ),
            ("long requests", twists.requests_last > Duration::from_secs(3)),
        ];
        kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind)
    }

    /// Those of a story with a single slot, in some of those that can have it. Drawn apart once more.
    pub(crate) fn single(self, seed: u64, (was, _): (u32, u32)) -> Self {
        let random = &mut Random::new(seed ^ 0x7369_6e67);
        if was < 2 || self.style != Style::Site || !random.one_in(5) {
            return self;
        }
        // With one of two left out nobody may leave.
        let gone = self.gone.filter(|gone| was > 2 || gone.host >= u64::from(was));
        Self {
            gone,
            start: Beginning::Alike,
            tight: None,
            memory: MemoryCheck::Refuse,
            moves: Moves::Rolling,
            slots: Slots::Single,
            ..self
        }
    }

    /// Whether a run may end before all of it is done.
    pub(crate) fn wait(&self) -> bool {
        self.moves.wait() || self.window.is_some()
    }

    /// Leaves the stop of the old slot to the hosts in some stories, and lets things happen around the hour.
    pub(crate) fn leave_to_hosts(random: &mut Random, story: &mut Story) {
        let twists = &mut story.twists;
        if twists.slots != Slots::Ports || !random.one_in(4) {
            return;
        }
        let window = *random.of(&[5, 20, 90]);
        twists.window = Some(window);
        story.hooks.leave_out_before_stop();
        let (window, quiet) = (Duration::from_secs(window), Duration::from_secs(60));
        for round in story.rounds.iter_mut().skip(1) {
            if random.one_in(2) {
                round.after += window + random.millis(0, 90_000);
            }
        }
        if story.is_calm() {
            return;
        }
        for act in story.rounds.iter_mut().skip(1).flat_map(|round| &mut round.acts) {
            if random.one_in(2) {
                act.what = *random.of(&[What::Promote, What::Rollback, What::Rollback, What::Resume]);
            }
        }
        if random.one_in(2) {
            let hosts = u64::from(story.size.0 + story.size.1);
            let at = window + random.millis(0, 20_000) + quiet * u32::from(random.one_in(2));
            let (host, lasts) = (
                random.below(u64::from(story.size.0)),
                random.millis(1_000, 90_000),
            );
            let strike = match random.below(6) {
                0 => Strike::Crash(random.below(hosts), lasts),
                1 => Strike::Cut(1 + random.below((1 << hosts) - 1), lasts),
                2 => Strike::Sick(host, true, lasts),
                3 => Strike::Restart(host, random.one_in(2)),
                4 => Strike::DiskFull(host, lasts),
                _ => Strike::Kill(host, true),
            };
            story.strikes.push((at, strike));
        }
        if random.one_in(3) {
            story.runner = Runner::Unit;
        }
    }

    /// Whether requests end before a drain does: where a host has one slot, a run that waits for one in vain goes
    /// back.
    pub(crate) fn drain(&self) -> bool {
        self.slots != Slots::Single || self.requests_last < Duration::from_secs(4)
    }

    /// What a calm story has of them.
    pub(crate) fn calm(self) -> Self {
        Self {
            gone: None,
            start: Beginning::Alike,
            tight: None,
            requests_last: self.requests_last.min(Duration::from_secs(3)),
            ..self
        }
    }

    /// Turns acts of the story into those of this kind of story.
    pub(crate) fn turn(&self, random: &mut Random, rounds: &mut Vec<Round>) {
        if self.gone.is_some() {
            if rounds.len() < 2 {
                rounds.push(another(random));
            }
            let from = usize::from(!random.one_in(4));
            for act in rounds.iter_mut().skip(from).flat_map(|round| &mut round.acts) {
                if !random.one_in(4) {
                    act.leaves = Leaves::TheGone;
                }
            }
        }
        if !matches!(self.moves, Moves::AtOnce | Moves::AtOnceByHand) {
            // More routings take more steps.
            for act in rounds.iter_mut().flat_map(|round| &mut round.acts) {
                let times = 1 + random.below(if self.slots == Slots::Single { 8 } else { 3 });
                act.fate = match act.fate {
                    Fate::Dies(step) => Fate::Dies(step * times),
                    Fate::Signalled(step, signal) => Fate::Signalled(step * times, signal),
                    Fate::Sleeps(step, long) => Fate::Sleeps(step * times, long),
                    lives => lives,
                };
            }
        }
        if self.moves.wait() {
            for act in rounds.iter_mut().skip(1).flat_map(|round| &mut round.acts) {
                if random.one_in(2) {
                    act.what = *random.of(&[What::Promote, What::PromoteFull, What::Rollback]);
                }
            }
        }
        if self.start == Beginning::Apart || random.one_in(10) {
            let slot = random.below(2);
            let acts: Vec<_> = rounds.iter_mut().flat_map(|round| &mut round.acts).collect();
            let which = usize::try_from(random.below(acts.len() as u64)).expect("it is below a length");
            if let Some(act) = acts.into_iter().nth(which) {
                act.what = What::Converge(slot);
            }
        }
    }

    /// Links between nginx and WAS hosts that are cut.
    pub(crate) fn links(random: &mut Random) -> Vec<(Duration, Strike)> {
        if !random.one_in(6) {
            return Vec::new();
        }
        let mut link = || {
            let at = if random.one_in(2) {
                Duration::ZERO
            } else {
                random.millis(0, 30_000)
            };
            let lasts = *random.of(&[3_000, 20_000, 120_000]);
            let lasts = random.millis(100, lasts);
            (at, Strike::Link(random.below(3), random.below(2), lasts))
        };
        vec![link(), link()]
    }
}

/// How traffic moves in a story: the user's own files carry whole slots only, and so does the line that a
/// server of the user's reads.
fn moves(random: &mut Random, style: Style) -> Moves {
    let moves = *random.of(&[
        Moves::AtOnce,
        Moves::AtOnce,
        Moves::AtOnce,
        Moves::AtOnceByHand,
        Moves::Rolling,
        Moves::Canary(0),
        Moves::Canary(4),
        Moves::CanaryByHand,
    ]);
    match (style, moves) {
        (Style::PerSlot | Style::Include, Moves::Rolling | Moves::Canary(_)) => Moves::AtOnce,
        (Style::PerSlot | Style::Include, Moves::CanaryByHand) => Moves::AtOnceByHand,
        (_, moves) => moves,
    }
}

/// One more controller, who comes after the others.
fn another(random: &mut Random) -> Round {
    let what = *random.of(&[What::Deploy(3), What::Deploy(2), What::Rollback, What::Resume]);
    let step = 1 + random.below(150);
    let fate = match random.below(5) {
        0 => Fate::Dies(step),
        1 => Fate::Signalled(step, Signal::Terminate),
        _ => Fate::Lives,
    };
    Round {
        after: random.millis(0, 60_000),
        acts: vec![Act {
            after: Duration::ZERO,
            what,
            fate,
            lock_wait: Duration::from_secs(90),
            leaves: Leaves::Nobody,
        }],
    }
}

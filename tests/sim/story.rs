//! What a seed stands for: the fleet, who does what to it, and what goes wrong meanwhile.

use std::time::Duration;

use nonstop::model::outcome::Signal;

use crate::hooks::Hooks;
use crate::limit;
use crate::random::Random;
use crate::twist::{Beginning, Slots, Twists};

/// One seed's story.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// WAS hosts, and nginx hosts beside them; none of the latter where one host is both.
    pub(crate) size: (u32, u32),
    /// Whether the application runs on blue already.
    pub(crate) is_live: bool,
    /// The deadline of watches, and the lease of locks, in seconds.
    pub(crate) watch: u64,
    pub(crate) lease: u64,
    /// How long both slots are watched, in seconds.
    pub(crate) bake: u64,
    pub(crate) keeps_old_slot: bool,
    pub(crate) runner: Runner,
    /// What makes it another kind of story.
    pub(crate) twists: Twists,
    /// The playbook's hooks.
    pub(crate) hooks: Hooks,
    /// Millionths by which each host's clock runs fast.
    pub(crate) skews: Vec<i32>,
    /// Of ten thousand calls, how many meet a fault.
    pub(crate) call_faults: u64,
    /// A WAS host on which new instances do not get healthy, or end at once.
    pub(crate) bad: Option<(u64, Bad)>,
    pub(crate) rounds: Vec<Round>,
    /// What befalls the fleet, and when after the story began.
    pub(crate) strikes: Vec<(Duration, Strike)>,
    /// What the last, faultless act does.
    pub(crate) last: What,
}

/// Who starts the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    Java,
    /// A script of the user: what it starts is on record once it listens.
    Script,
    /// A unit of systemd, which starts it again after a crash or a boot.
    Unit,
}

/// Acts that may overlap.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    /// The pause before it.
    pub(crate) after: Duration,
    pub(crate) acts: Vec<Act>,
}

/// A controller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    /// The pause before it, in its round.
    pub(crate) after: Duration,
    pub(crate) what: What,
    pub(crate) fate: Fate,
    pub(crate) lock_wait: Duration,
    pub(crate) leaves: Leaves,
}

/// Whom a controller leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    Nobody,
    /// The host that is gone.
    TheGone,
}

/// What a controller is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Deploys that version.
    Deploy(u32),
    Rollback,
    Resume,
    /// Lets a run go on that waits, to where it waits next or to its end.
    Promote,
    PromoteFull,
    /// Leads nginx hosts that disagree to the first or second slot.
    Converge(u64),
}

/// What becomes of a controller, at a step: a command that is sent, has been sent, or was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    Dies(u64),
    Signalled(u64, Signal),
    Sleeps(u64, Duration),
    /// It lives, and is given so long as a whole.
    Limited(Duration),
}

/// What is wrong with new instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    Exits,
    Sick,
    Silent,
}

/// What befalls a host. Hosts are counted through, WAS hosts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// It loses its power, and comes up again.
    Crash(u64, Duration),
    /// The controllers cannot reach these hosts, one a bit.
    Cut(u64, Duration),
    DiskFull(u64, Duration),
    /// An instance dies: of the first port, or of the second.
    Kill(u64, bool),
    /// A person starts an instance anew, and tells nobody.
    Restart(u64, bool),
    /// An instance answers 503 for a while.
    Sick(u64, bool, Duration),
    /// nginx refuses to reload for a while, behind an answer of 0.
    Refuses(u64, Duration),
    /// Another party reloads nginx.
    Reloads(u64),
    /// A person edits our file.
    Edits(u64),
    /// An nginx host cannot reach a WAS host, which the controllers can; each counted for itself.
    Link(u64, u64, Duration),
}

impl Strike {
    /// There is no second port.
    fn on_the_first_port(&mut self) {
        if let Self::Kill(_, second) | Self::Restart(_, second) | Self::Sick(_, second, _) = self {
            *second = false;
        }
    }
}

impl Story {
    /// The story of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let size = *random.of(&[(1, 0), (1, 1), (1, 2), (2, 2), (2, 2), (2, 3), (3, 2)]);
        let hosts = u64::from(size.0 + size.1);
        let is_live = !random.one_in(8);
        let is_calm = random.one_in(40);
        let strikes = if is_calm {
            0
        } else {
            *random.of(&[0, 0, 1, 1, 2, 3])
        };
        let twisting = &mut Random::new(seed ^ 0x7477_6973);
        let twists = Twists::of(twisting, size, is_live).single(seed, size);
        let mut story = Self {
            size,
            is_live,
            watch: *random.of(&[5, 10, 30]),
            lease: *random.of(&[5, 10, 30]),
            bake: *random.of(&[0, 2, 8]),
            keeps_old_slot: random.one_in(4),
            runner: match seed % 6 {
                0 | 3 => Runner::Script,
                1 => Runner::Unit,
                _ => Runner::Java,
            },
            hooks: Hooks::of(&mut Random::new(seed ^ 0x686f_6f6b), is_calm),
            twists: if is_calm { twists.calm() } else { twists },
            skews: (0..hosts)
                .map(|_| *random.of(&[0, 0, 500, -500, 9000, -9000]))
                .collect(),
            call_faults: if is_calm {
                0
            } else {
                *random.of(&[0, 0, 20, 100, 400])
            },
            strikes: (0..strikes)
                .map(|_| (random.millis(0, 25_000), strike(random, hosts)))
                .collect(),
            bad: (!is_calm && random.one_in(8)).then(|| {
                (
                    random.below(hosts),
                    *random.of(&[Bad::Exits, Bad::Sick, Bad::Silent]),
                )
            }),
            rounds: rounds(random, is_calm, is_live),
            last: *random.of(&[What::Resume, What::Resume, What::Deploy(9), What::Rollback]),
        };
        if is_calm {
            // A slot that was left a moment ago still has requests, and is not put to use before they are answered.
            for round in &mut story.rounds {
                round.after += story.twists.requests_last;
            }
        } else {
            story.strikes.extend(Twists::links(twisting));
            let twists = story.twists.clone();
            twists.turn(twisting, &mut story.rounds);
            limit::are_given(&mut Random::new(seed ^ 0x6c69_6d69), &mut story);
        }
        if story.twists.slots == Slots::Single {
            story.has_a_single_slot();
        }
        Twists::leave_to_hosts(&mut Random::new(seed ^ 0x7769_6e64), &mut story);
        story
    }

    /// Takes away what does not go with a single slot.
    fn has_a_single_slot(&mut self) {
        self.keeps_old_slot = false;
        for (_, strike) in &mut self.strikes {
            strike.on_the_first_port();
        }
        for act in self.rounds.iter_mut().flat_map(|round| &mut round.acts) {
            if matches!(act.fate, Fate::Limited(_)) {
                act.fate = Fate::Lives;
            }
        }
    }

    /// Whether a person edits a file or starts an instance: only a person can undo that.
    pub(crate) fn has_edits(&self) -> bool {
        self.strikes
            .iter()
            .any(|(_, strike)| matches!(strike, Strike::Edits(_) | Strike::Restart(..)))
    }

    /// Whether nothing goes wrong in it.
    pub(crate) fn is_calm(&self) -> bool {
        let mut acts = self.rounds.iter().flat_map(|round| &round.acts);
        self.call_faults == 0
            && self.twists.gone.is_none()
            && self.twists.start == Beginning::Alike
            && self.twists.tight.is_none()
            && self.bad.is_none()
            && self.strikes.is_empty()
            && !self.hooks.may_fail()
            && acts.all(|act| act.fate == Fate::Lives)
    }
}

fn rounds(random: &mut Random, is_calm: bool, is_live: bool) -> Vec<Round> {
    let count = *random.of(&[1, 1, 2, 2, 3]);
    let mut rounds = Vec::new();
    for number in 0..count {
        let after = match random.below(3) {
            0 => Duration::ZERO,
            1 => random.millis(0, 5_000),
            _ => random.millis(5_000, 60_000),
        };
        let what = if number == 0 && (!is_live || !random.one_in(8)) {
            What::Deploy(2)
        } else {
            *random.of(&[
                What::Deploy(2),
                What::Deploy(number + 2),
                What::Rollback,
                What::Resume,
                What::Resume,
            ])
        };
        let mut acts = vec![act(random, is_calm, what)];
        if !is_calm && random.one_in(5) {
            let other = *random.of(&[What::Deploy(7), What::Rollback, What::Resume, What::Resume]);
            let mut other = act(random, is_calm, other);
            other.after = random.millis(0, 30_000);
            acts.push(other);
        }
        rounds.push(Round { after, acts });
    }
    rounds
}

fn act(random: &mut Random, is_calm: bool, what: What) -> Act {
    let steps = if random.one_in(3) { 250 } else { 120 };
    let step = 1 + random.below(steps);
    let signal = *random.of(&[Signal::Hangup, Signal::Interrupt, Signal::Terminate]);
    let fate = match random.below(10) {
        _ if is_calm => Fate::Lives,
        0..=4 => Fate::Dies(step),
        5 => Fate::Signalled(step, signal),
        6 => Fate::Sleeps(step, random.millis(1_000, 90_000)),
        _ => Fate::Lives,
    };
    Act {
        after: Duration::ZERO,
        what,
        fate,
        lock_wait: *random.of(&[Duration::ZERO, Duration::from_secs(20), Duration::from_secs(90)]),
        leaves: Leaves::Nobody,
    }
}

fn strike(random: &mut Random, hosts: u64) -> Strike {
    let host = random.below(hosts);
    let lasts = match random.below(3) {
        0 => random.millis(50, 3_000),
        1 => random.millis(3_000, 15_000),
        _ => random.millis(15_000, 90_000),
    };
    let second = random.one_in(2);
    match random.below(12) {
        0..=2 => Strike::Crash(host, lasts),
        3..=5 => Strike::Cut(1 + random.below((1 << hosts) - 1), lasts),
        6 => Strike::DiskFull(host, lasts),
        7 if random.one_in(2) => Strike::Restart(host, second),
        7 => Strike::Kill(host, second),
        8 => Strike::Sick(host, second, lasts),
        9 => Strike::Refuses(host, lasts),
        10 => Strike::Reloads(host),
        _ => Strike::Edits(host),
    }
}

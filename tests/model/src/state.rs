//! One state of the world that the model explores: two nginx hosts, a WAS host with both slots, four
//! controllers, and what is under way between them. Small and packed, because there are millions.

use std::hash::{Hash, Hasher};

use nonstop::model::token::TokenState;

/// How many nginx hosts there are.
pub(crate) const NGINX: usize = 2;
/// The WAS host's place among the hosts.
pub(crate) const WAS: usize = 2;
/// All hosts.
pub(crate) const HOSTS: usize = 3;
/// A mask with both nginx hosts.
pub(crate) const BOTH: u8 = 0b011;
/// A mask with every host.
pub(crate) const ALL: u8 = 0b111;

/// The controller that deploys.
pub(crate) const DEPLOY: usize = 0;
/// The controller that comes last, and without faults.
pub(crate) const LAST: usize = 3;
/// All controllers: the deploy, two that resume, and the last.
pub(crate) const CONTROLLERS: usize = 4;

/// Who holds a lock, or armed a token, that does not act any more and has nothing under way.
pub(crate) const NOBODY: u8 = 7;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Old,
    New,
}

/// What became of the watch of an nginx host's newest token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watch {
    /// There is none, or it has nothing left to do.
    None,
    /// It waits for its deadline.
    Waits,
    /// It fired, nginx refused, and it tries again.
    Retries,
    /// A reboot took it, or it died half way.
    Lost,
}

/// An nginx host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nginx {
    /// The slot that its workers send requests to.
    pub(crate) runs: Slot,
    /// The newest token.
    pub(crate) token: Option<TokenState>,
    /// Its watch.
    pub(crate) watch: Watch,
    /// Who armed it; kept only while it is armed.
    pub(crate) armed_by: u8,
    /// Whether a commit was ever proven here.
    pub(crate) was_proven: bool,
    /// Whether the watch of an earlier token still wants to go home.
    pub(crate) is_haunted: bool,
}

/// The lock of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lock {
    pub(crate) holder: u8,
    pub(crate) epoch: u8,
    pub(crate) over: bool,
}

/// Where a controller is. From `Take` to `Withdraw` without `Look` and `ReadBack` it is also the name of
/// the script that it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Has not come yet.
    Idle,
    /// Takes the locks of all hosts, by compare-and-swap.
    Take,
    /// Holds them, and observes before it decides.
    Look,
    /// A deploy with the new slot up, before its commit.
    Begin,
    /// Arms, renames, reloads and proves.
    Commit,
    /// Every commit is proven: the last moment before the first confirm.
    Proven,
    Confirm,
    /// Reads every token and the routing back.
    ReadBack,
    /// Puts the point of no return on every host's record.
    Record,
    /// Ends the old slot.
    Stop,
    /// Arms again, on the way back after a confirm.
    Arm,
    Revert,
    /// Ends the new slot, on the way back.
    Withdraw,
    Gone,
}

/// What a controller knows about its commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Drive {
    /// No confirm was sent, and nothing failed.
    First,
    /// No confirm was sent, and a commit failed or was not answered: the way is back.
    Doubtful,
    /// A confirm was sent, or seen: the way is forward.
    Forward,
}

/// A controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Controller {
    pub(crate) phase: Phase,
    /// The hosts whose answer it waits for.
    pub(crate) pending: u8,
    /// The nginx hosts that it commits now, or has to commit again.
    pub(crate) again: u8,
    pub(crate) drive: Drive,
    pub(crate) epoch: u8,
    /// The epochs that it read before it took the locks.
    pub(crate) expected: [u8; HOSTS],
}

/// A script that is still under way while its sender does not wait for it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mail {
    pub(crate) from: u8,
    pub(crate) script: Phase,
    /// A script that was sent later was accepted by the host.
    pub(crate) stale: bool,
    /// The token that it names is still the newest.
    pub(crate) names_newest: bool,
}

/// How many scripts of one host can be under way at once.
const UNDER_WAY: usize = 5;

/// The scripts under way to one host; those of one sender in the order in which they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Late {
    mails: [Option<Mail>; UNDER_WAY],
}

impl Late {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mail> {
        self.mails.iter().map_while(Option::as_ref)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Mail> {
        self.mails.iter_mut().map_while(Option::as_mut)
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Puts a script behind those of its sender.
    pub(crate) fn push(&mut self, mail: Mail) {
        let length = self.len();
        assert!(
            length < UNDER_WAY,
            "more scripts under way than the model has room for"
        );
        let place = self.iter().position(|it| it.from > mail.from).unwrap_or(length);
        self.mails.copy_within(place..length, place + 1);
        self.mails[place] = Some(mail);
    }

    pub(crate) fn get(&self, index: usize) -> Mail {
        self.mails[index].expect("an action names a script that is under way")
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.mails.copy_within(index + 1.., index);
        self.mails[UNDER_WAY - 1] = None;
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Mail) -> bool) {
        let mut kept = Self::default();
        for (place, mail) in self.iter().filter(|mail| keep(mail)).enumerate() {
            kept.mails[place] = Some(*mail);
        }
        *self = kept;
    }
}

/// The new slot's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum New {
    Up,
    /// It died by itself.
    Dead,
    /// A controller ended it.
    Withdrawn,
}

/// The old slot's instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Old {
    Up,
    /// It was told to end: it may answer for a while, and is gone some time later.
    Ending,
}

/// What an exit code has said about the fleet, from then on for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Said {
    Nothing,
    /// Exit 0.
    AllNew,
    /// Exits 6 and 7.
    AllOld,
}

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// Something that is still needed was stopped.
    NeededStopped,
    /// An exit code is not, or no longer, true.
    ExitUntrue,
    /// Nobody acts any more, and the nginx hosts disagree where the design does not say so.
    SplitAtRest,
    /// The last resume did not converge, with no slot dead.
    NotConverged,
    /// A script met what it can never meet.
    Astray,
}

/// The world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) nginx: [Nginx; NGINX],
    pub(crate) locks: [Lock; HOSTS],
    pub(crate) late: [Late; HOSTS],
    pub(crate) controllers: [Controller; CONTROLLERS],
    pub(crate) new: New,
    pub(crate) old: Old,
    /// Whether the point of no return is on a host's record.
    pub(crate) no_return: bool,
    pub(crate) said: Said,
    /// How many faults may still come.
    pub(crate) faults: u8,
    pub(crate) broken: Option<Broken>,
}

impl State {
    /// Both slots up, the traffic on the old one, the deploy about to commit.
    pub(crate) fn before_the_commit(faults: u8, resumers: u8) -> Self {
        let nginx = Nginx {
            runs: Slot::Old,
            token: None,
            watch: Watch::None,
            armed_by: 0,
            was_proven: false,
            is_haunted: false,
        };
        let lock = Lock {
            holder: 0,
            epoch: 1,
            over: false,
        };
        let mut controllers = [Controller::at(Phase::Idle); CONTROLLERS];
        controllers[DEPLOY] = Controller {
            epoch: 1,
            ..Controller::at(Phase::Begin)
        };
        for absent in &mut controllers[1 + usize::from(resumers)..LAST] {
            absent.phase = Phase::Gone;
        }
        Self {
            nginx: [nginx; NGINX],
            locks: [lock; HOSTS],
            late: [Late::default(); HOSTS],
            controllers,
            new: New::Up,
            old: Old::Up,
            no_return: false,
            said: Said::Nothing,
            faults,
            broken: None,
        }
    }

    /// The same world under other names, if those come first: the protocol does not tell the two nginx
    /// hosts apart, nor two resumers that have both come.
    pub(crate) fn representative(&self) -> Self {
        let mut one = *self;
        let [_, first, second, _] = &self.controllers;
        if first.phase != Phase::Idle && second.phase != Phase::Idle && first > second {
            one.exchange_resumers();
        }
        let mut other = one;
        other.exchange_nginx();
        if other.packed() < one.packed() { other } else { one }
    }

    fn exchange_nginx(&mut self) {
        self.nginx.swap(0, 1);
        self.locks.swap(0, 1);
        self.late.swap(0, 1);
        for controller in &mut self.controllers {
            controller.pending = exchanged(controller.pending);
            controller.again = exchanged(controller.again);
            controller.expected.swap(0, 1);
        }
    }

    fn exchange_resumers(&mut self) {
        let renamed = |who: &mut u8| {
            *who = match *who {
                1 => 2,
                2 => 1,
                other => other,
            }
        };
        self.controllers.swap(1, 2);
        self.nginx
            .iter_mut()
            .for_each(|nginx| renamed(&mut nginx.armed_by));
        self.locks.iter_mut().for_each(|lock| renamed(&mut lock.holder));
        for late in &mut self.late {
            let mut sorted = Late::default();
            for mail in late.iter() {
                let mut mail = *mail;
                renamed(&mut mail.from);
                sorted.push(mail);
            }
            *late = sorted;
        }
    }

    /// Numbers the epochs anew from 1: only their order counts. 0 stays none.
    pub(crate) fn renumber_epochs(&mut self) {
        let locks = self.locks.iter().map(|lock| lock.epoch);
        let controllers = self.controllers.iter();
        let theirs = controllers.flat_map(|it| it.expected.into_iter().chain([it.epoch]));
        let used = locks.chain(theirs).fold(0_u16, |used, epoch| used | 1 << epoch) & !1;
        let rank = |epoch: &mut u8| {
            if *epoch > 0 {
                let lower = used & ((1 << *epoch) - 1);
                *epoch = 1 + u8::try_from(lower.count_ones()).expect("there are few");
            }
        };
        self.locks.iter_mut().for_each(|lock| rank(&mut lock.epoch));
        for controller in &mut self.controllers {
            rank(&mut controller.epoch);
            controller.expected.iter_mut().for_each(rank);
        }
    }

    /// All of it in a few words.
    fn packed(&self) -> [u64; WORDS] {
        let mut packer = Packer::default();
        for nginx in &self.nginx {
            packer.put(nginx.runs as u8, 1);
            packer.put(nginx.token.map_or(0, |token| 1 + token as u8), 3);
            packer.put(nginx.watch as u8, 2);
            packer.put(nginx.armed_by, 3);
            packer.put(u8::from(nginx.was_proven), 1);
            packer.put(u8::from(nginx.is_haunted), 1);
        }
        for lock in &self.locks {
            packer.put(lock.holder, 3);
            packer.put(lock.epoch, 4);
            packer.put(u8::from(lock.over), 1);
        }
        for controller in &self.controllers {
            packer.put(controller.phase as u8, 4);
            packer.put(controller.pending, 3);
            packer.put(controller.again, 2);
            packer.put(controller.drive as u8, 2);
            packer.put(controller.epoch, 4);
            for expected in controller.expected {
                packer.put(expected, 4);
            }
        }
        packer.put(self.new as u8, 2);
        packer.put(self.old as u8, 1);
        packer.put(u8::from(self.no_return), 1);
        packer.put(self.said as u8, 2);
        packer.put(self.faults, 2);
        packer.put(self.broken.map_or(0, |broken| 1 + broken as u8), 3);
        for late in &self.late {
            for mail in late.iter() {
                packer.put(mail.script as u8, 4);
                packer.put(mail.from, 2);
                packer.put(u8::from(mail.stale), 1);
                packer.put(u8::from(mail.names_newest), 1);
            }
            // A script's number is never 0, so that this ends the list.
            packer.put(0, 4);
        }
        packer.words
    }
}

fn exchanged(mask: u8) -> u8 {
    mask & !BOTH | (mask & 1) << 1 | (mask & 2) >> 1
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.packed() {
            state.write_u64(word);
        }
    }
}

impl Controller {
    pub(crate) fn at(phase: Phase) -> Self {
        Self {
            phase,
            pending: 0,
            again: 0,
            drive: Drive::First,
            epoch: 0,
            expected: [0; HOSTS],
        }
    }

    pub(crate) fn enter(&mut self, phase: Phase, pending: u8) {
        self.phase = phase;
        self.pending = pending;
    }

    pub(crate) fn acts(self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Gone)
    }
}

const WORDS: usize = 6;

#[derive(Default)]
struct Packer {
    words: [u64; WORDS],
    at: usize,
}

impl Packer {
    #[inline]
    fn put(&mut self, value: u8, bits: usize) {
        debug_assert!(usize::from(value) < 1 << bits);
        if self.at / 64 != (self.at + bits - 1) / 64 {
            self.at = (self.at / 64 + 1) * 64;
        }
        self.words[self.at / 64] |= u64::from(value) << (self.at % 64);
        self.at += bits;
    }
}

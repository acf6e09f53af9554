//! What the scripts and the watch do on a host, and what the fence lets pass. The fence, the take-over and
//! the token's moves are the program's own functions.

use nonstop::model::lock::{Epoch, Fence, Gate};
use nonstop::model::token::{TokenMove, TokenState};

use crate::rules::{Rule, Rules};
use crate::state::{Broken, LAST, Mail, New, Nginx, Old, Phase, Slot, State, Watch};

/// How a script ended on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// The fence or the lock refused.
    Refused,
    /// Somebody else moved the token first.
    Moved,
    /// The new slot was not found alive.
    NewMissing,
}

/// How far a script gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// To its end.
    Whole,
    /// nginx refuses the reload.
    ReloadRefused,
    /// The host reboots between the token's move and the rename.
    CutOff,
}

/// A script that arrives at its host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) host: usize,
    pub(crate) mail: Mail,
    pub(crate) reach: Reach,
}

/// Runs a script that was sent by a controller: under the flock, so in one step.
pub(crate) fn run(state: &mut State, rules: Rules, arrival: Arrival) -> Answer {
    let Arrival { host, mail, .. } = arrival;
    if mail.script == Phase::Take {
        return take(state, host, mail);
    }
    if !lets_pass(state, rules, host, mail) {
        return Answer::Refused;
    }
    match mail.script {
        Phase::Commit | Phase::Arm | Phase::Confirm | Phase::Revert => on_nginx(state, rules, arrival),
        Phase::Record => {
            state.no_return = true;
            Answer::Done
        }
        Phase::Stop => stop(state, rules),
        Phase::Withdraw => {
            if state.new == New::Up {
                state.new = New::Withdrawn;
            }
            Answer::Done
        }
        phase => unreachable!("{phase:?} is no script"),
    }
}

/// Whether the fence lets a script pass. Numbers count only against each other: the last that was
/// accepted is 1, an older one is no higher, a newer one is.
pub(crate) fn lets_pass(state: &State, rules: Rules, host: usize, mail: Mail) -> bool {
    let lock = &state.locks[host];
    let mut fence = Fence {
        epoch: Epoch(state.controllers[usize::from(mail.from)].epoch.into()),
        run: mail.from,
        sequence: if mail.stale { 1 } else { 2 },
    };
    let mut gate = Gate {
        epoch: Epoch(lock.epoch.into()),
        run: Some(&lock.holder),
        lease_is_over: lock.over,
        accepted: 1,
    };
    if !rules.hold(Rule::Sequence) {
        fence.sequence = 2;
    }
    if !rules.hold(Rule::Fence) {
        gate.epoch = fence.epoch;
        gate.run = Some(&mail.from);
        gate.lease_is_over = false;
    }
    gate.lets_pass(&fence)
}

fn take(state: &mut State, host: usize, mail: Mail) -> Answer {
    let taker = &state.controllers[usize::from(mail.from)];
    let lock = &mut state.locks[host];
    if lock.holder == mail.from && lock.epoch == taker.epoch {
        return Answer::Done;
    }
    let gate = Gate {
        epoch: Epoch(lock.epoch.into()),
        run: Some(&lock.holder),
        lease_is_over: lock.over,
        accepted: 0,
    };
    if !gate.may_be_taken(Epoch(taker.expected[host].into()), Epoch(taker.epoch.into())) {
        return Answer::Refused;
    }
    lock.holder = mail.from;
    lock.epoch = taker.epoch;
    lock.over = false;
    Answer::Done
}

fn on_nginx(state: &mut State, rules: Rules, arrival: Arrival) -> Answer {
    let Arrival { host, mail, reach } = arrival;
    let watched = rules.hold(Rule::Watch);
    let nginx = &mut state.nginx[host];
    match mail.script {
        Phase::Commit | Phase::Arm => {
            nginx.is_haunted |= nginx.watch == Watch::Retries && !rules.hold(Rule::StillMine);
            nginx.token = Some(TokenState::Armed);
            nginx.armed_by = mail.from;
            nginx.watch = match reach {
                Reach::CutOff => Watch::Lost,
                _ if watched => Watch::Waits,
                _ => Watch::None,
            };
            if mail.script == Phase::Commit && reach == Reach::Whole {
                nginx.runs = Slot::New;
                nginx.was_proven = true;
            }
            for under_way in state.late[host].iter_mut() {
                under_way.names_newest = false;
            }
            Answer::Done
        }
        Phase::Confirm => {
            let moved = nginx.token.and_then(|token| token.after(TokenMove::Confirm));
            match moved {
                Some(token) if mail.names_newest => {
                    settle(nginx, token);
                    Answer::Done
                }
                _ if mail.names_newest && nginx.token == Some(TokenState::Confirmed) => Answer::Done,
                _ => Answer::Moved,
            }
        }
        Phase::Revert => {
            if nginx.token == Some(TokenState::Confirmed) && rules.hold(Rule::ArmFirst) {
                state.broken = Some(Broken::Astray);
                return Answer::Moved;
            }
            let moved = match nginx.token {
                // Only without the rule: whatever is there is called reverted.
                Some(TokenState::Confirmed) => Some(TokenState::Reverted),
                token => token.and_then(|token| token.after(TokenMove::Revert)),
            };
            if reach == Reach::CutOff {
                if let Some(token) = moved {
                    settle(nginx, token);
                }
                lose_watch(nginx);
                return Answer::Done;
            }
            nginx.runs = Slot::Old;
            nginx.watch = Watch::None;
            if let Some(token) = moved {
                settle(nginx, token);
            }
            Answer::Done
        }
        phase => unreachable!("{phase:?} is no script of nginx"),
    }
}

/// The token leaves `armed`: its watch has nothing left to do, and who armed it does not matter any more.
fn settle(nginx: &mut Nginx, token: TokenState) {
    nginx.token = Some(token);
    nginx.watch = Watch::None;
    nginx.armed_by = 0;
}

/// Notes that nobody is left who would bring this host home.
fn lose_watch(nginx: &mut Nginx) {
    nginx.watch = if nginx.runs == Slot::New {
        Watch::Lost
    } else {
        Watch::None
    };
}

fn stop(state: &mut State, rules: Rules) -> Answer {
    if state.old == Old::Ending {
        return Answer::Done;
    }
    if state.new != New::Up {
        if rules.hold(Rule::Look) {
            return Answer::NewMissing;
        }
        state.broken = Some(Broken::NeededStopped);
    }
    state.old = Old::Ending;
    Answer::Done
}

/// Whether the watch of a host can fire, or try again. That of the last controller does not fire: its
/// deadline is long enough for a run without faults.
pub(crate) fn can_fire(state: &State, rules: Rules, host: usize) -> bool {
    let nginx = &state.nginx[host];
    let lock = &state.locks[host];
    let obeys = || lock.holder == nginx.armed_by && !lock.over;
    match nginx.watch {
        Watch::Waits => {
            usize::from(nginx.armed_by) != LAST && (rules.hold(Rule::TokenBeforeEpoch) || obeys())
        }
        Watch::Retries => true,
        Watch::None | Watch::Lost => nginx.is_haunted,
    }
}

/// The watch fires: it moves the token, and goes home unless nginx refuses or it dies before.
pub(crate) fn fire(nginx: &mut Nginx, reach: Reach) {
    if nginx.watch == Watch::Waits {
        let fired = nginx.token.and_then(|token| token.after(TokenMove::Fire));
        settle(nginx, fired.expect("only an armed token's watch waits"));
    } else if nginx.watch != Watch::Retries {
        nginx.is_haunted = false;
    }
    match reach {
        Reach::Whole => {
            nginx.runs = Slot::Old;
            nginx.watch = Watch::None;
        }
        Reach::ReloadRefused if nginx.runs == Slot::New => nginx.watch = Watch::Retries,
        _ => lose_watch(nginx),
    }
}

/// An nginx host reboots: the lease's term begins anew, and an armed token has no watch any more.
pub(crate) fn reboot(state: &mut State, host: usize) {
    state.locks[host].over = false;
    let nginx = &mut state.nginx[host];
    if matches!(nginx.watch, Watch::Waits | Watch::Retries) {
        nginx.watch = Watch::Lost;
    }
}

/// Forgets scripts under way that can never have an effect any more.
pub(crate) fn forget_the_dead_letters(state: &mut State, rules: Rules, host: usize) {
    let lock = state.locks[host];
    let controllers = &state.controllers;
    let is_over = |mail: &Mail| {
        let sender = &controllers[usize::from(mail.from)];
        let outlived = if mail.script == Phase::Take {
            lock.epoch != sender.expected[host]
        } else {
            rules.hold(Rule::Fence)
                && lock.epoch >= sender.epoch
                && (lock.epoch, lock.holder) != (sender.epoch, mail.from)
        };
        let outrun = mail.stale && rules.hold(Rule::Sequence);
        let renamed = mail.script == Phase::Confirm && !mail.names_newest;
        outlived || outrun || renamed
    };
    state.late[host].retain(|mail| !is_over(mail));
}

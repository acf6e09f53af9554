//! What a controller does next: the flow of the engine, in its order. `deploy` commits, confirms, reads
//! back and stops; every other one takes over, observes and lets the shared decision say which way.

use nonstop::model::decision::{Newest, Slots, Way, decide};
use nonstop::model::token::TokenState;

use crate::host::Answer;
use crate::rules::{Rule, Rules};
use crate::state::{
    ALL, BOTH, Broken, Controller, Drive, HOSTS, LAST, Mail, NGINX, New, Old, Phase, Said, Slot, State, WAS,
};

/// Which way a controller takes where it has the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Choice {
    On,
    /// A signal, a bake that fails, or somebody who would rather roll back.
    Back,
}

/// Reads every lock; all of them are free, or their leases are over.
pub(crate) fn read_the_locks(state: &mut State, who: usize) {
    for lock in &mut state.locks {
        lock.over = true;
    }
    if who == LAST {
        state.faults = 0;
    }
    let expected = state.locks.map(|lock| lock.epoch);
    let highest = expected.into_iter().max().expect("there are hosts");
    let controller = &mut state.controllers[who];
    controller.expected = expected;
    controller.epoch = highest + 1;
    controller.enter(Phase::Take, ALL);
}

/// The choice before the commit, before the first confirm and in the bake.
pub(crate) fn choose(state: &mut State, rules: Rules, who: usize, choice: Choice) {
    let controller = &mut state.controllers[who];
    match (controller.phase, choice) {
        (Phase::Begin, Choice::On) => commit(controller, BOTH),
        (Phase::Begin, Choice::Back) => controller.enter(Phase::Withdraw, 1 << WAS),
        (Phase::Proven, Choice::On) => confirm(controller, BOTH),
        (Phase::Proven, Choice::Back) => controller.enter(Phase::Revert, BOTH),
        (Phase::ReadBack, _) => go_back(controller, rules),
        (phase, _) => unreachable!("nothing to choose at {phase:?}"),
    }
}

fn commit(controller: &mut Controller, hosts: u8) {
    controller.again = hosts;
    controller.enter(Phase::Commit, hosts);
}

fn confirm(controller: &mut Controller, hosts: u8) {
    controller.drive = Drive::Forward;
    controller.again = 0;
    controller.enter(Phase::Confirm, hosts);
}

/// Begins the way back after a confirm.
fn go_back(controller: &mut Controller, rules: Rules) {
    let first = if rules.hold(Rule::ArmFirst) {
        Phase::Arm
    } else {
        Phase::Revert
    };
    controller.enter(first, BOTH);
}

/// Observes and decides. `unreadable` is an nginx host that could not be asked.
pub(crate) fn look(state: &mut State, rules: Rules, who: usize, unreadable: Option<usize>, choice: Choice) {
    let mut seen = [Newest::Unreadable; NGINX];
    let mut confirmed = 0;
    for (host, nginx) in state.nginx.iter().enumerate() {
        if unreadable != Some(host) {
            seen[host] = nginx.token.map_or(Newest::None, Newest::Is);
            confirmed |= u8::from(nginx.token == Some(TokenState::Confirmed)) << host;
        }
    }
    // A process that was told to end may still answer.
    let ending = state.no_return && rules.hold(Rule::NoReturn);
    let slots = Slots {
        new_is_healthy: Some(state.new == New::Up),
        old_is_alive: !ending,
    };
    let mut way = decide(seen, slots);
    if !rules.hold(Rule::AskBeforeArming) && confirmed != 0 && state.new == New::Up {
        way = Way::Forward;
    }
    if way == Way::Forward && choice == Choice::Back {
        way = Way::Back;
    }
    let controller = &mut state.controllers[who];
    controller.drive = Drive::Forward;
    match way {
        Way::Forward if confirmed == BOTH => controller.enter(Phase::ReadBack, BOTH),
        Way::Forward => commit(controller, BOTH & !confirmed),
        Way::Back if confirmed != 0 => go_back(controller, rules),
        Way::Back => controller.enter(Phase::Revert, BOTH),
        Way::Hold(_) => mixed(state, who),
    }
}

/// Whether a controller that goes on may also turn back here.
pub(crate) fn may_turn(state: &State, rules: Rules) -> bool {
    !(state.no_return && rules.hold(Rule::NoReturn))
}

/// Ends with exit 8.
fn mixed(state: &mut State, who: usize) {
    if who == LAST && state.new == New::Up {
        state.broken = Some(Broken::NotConverged);
    }
    leave(state, who);
}

/// The controller is gone; what it sent and was not answered is still under way.
pub(crate) fn leave(state: &mut State, who: usize) {
    let gone = state.controllers[who];
    if !matches!(gone.phase, Phase::ReadBack) {
        for host in (0..HOSTS).filter(|host| gone.pending & 1 << host != 0) {
            let mail = message(state, who, host);
            state.late[host].push(mail);
        }
    }
    state.controllers[who] = Controller {
        epoch: gone.epoch,
        expected: gone.expected,
        ..Controller::at(Phase::Gone)
    };
}

/// The script that a controller sends to a host now.
pub(crate) fn message(state: &State, who: usize, host: usize) -> Mail {
    let from = u8::try_from(who).expect("there are four");
    let is_its_own = match state.nginx.get(host) {
        Some(nginx) => nginx.token != Some(TokenState::Armed) || nginx.armed_by == from,
        None => true,
    };
    let script = state.controllers[who].phase;
    Mail {
        from,
        script,
        stale: false,
        names_newest: script != Phase::Confirm || is_its_own,
    }
}

/// Takes note of an answer.
pub(crate) fn answered(state: &mut State, rules: Rules, who: usize, host: usize, answer: Answer) {
    let bit = 1 << host;
    let controller = &mut state.controllers[who];
    match (controller.phase, answer) {
        (Phase::Take, Answer::Refused) if who == LAST => {
            // It gives back what it took, and comes again.
            for lock in &mut state.locks {
                lock.over |= usize::from(lock.holder) == LAST;
            }
            state.controllers[LAST] = Controller::at(Phase::Idle);
            return;
        }
        (_, Answer::Refused) => {
            controller.pending &= !bit;
            if who == LAST {
                state.broken = Some(Broken::NotConverged);
            }
            return leave(state, who);
        }
        (_, Answer::NewMissing) => {
            controller.pending &= !bit;
            return mixed(state, who);
        }
        (_, Answer::Moved) => controller.again |= bit,
        (_, Answer::Done) => {}
    }
    settle(state, rules, who, bit);
}

/// The controller does not learn how it ended. Before the first confirm that turns it back; later it
/// sends again.
pub(crate) fn unanswered(state: &mut State, rules: Rules, who: usize, host: usize) {
    let controller = &mut state.controllers[who];
    match (controller.phase, controller.drive) {
        (Phase::Commit, Drive::First | Drive::Doubtful) => controller.drive = Drive::Doubtful,
        (Phase::Confirm, _) if !rules.hold(Rule::ReadBack) => {}
        _ => return,
    }
    settle(state, rules, who, 1 << host);
}

/// Reads a host's token and routing back.
pub(crate) fn read_back(state: &mut State, rules: Rules, who: usize, host: usize) {
    let nginx = &state.nginx[host];
    if nginx.token != Some(TokenState::Confirmed) || nginx.runs != Slot::New {
        state.controllers[who].again |= 1 << host;
    }
    settle(state, rules, who, 1 << host);
}

fn settle(state: &mut State, rules: Rules, who: usize, bit: u8) {
    let controller = &mut state.controllers[who];
    controller.pending &= !bit;
    // Without the barrier, the first proof is enough for the confirms to start.
    let early = !rules.hold(Rule::AllProven)
        && (controller.phase, controller.drive) == (Phase::Commit, Drive::First)
        && controller.pending != 0;
    if early {
        confirm(controller, bit);
        controller.again = BOTH & !bit;
        return;
    }
    if controller.pending == 0 {
        go_on(state, rules, who);
    }
}

/// Every host has answered.
fn go_on(state: &mut State, rules: Rules, who: usize) {
    let may_turn = may_turn(state, rules);
    let controller = &mut state.controllers[who];
    match (controller.phase, controller.drive) {
        (Phase::Take, _) => {
            controller.expected = [0; HOSTS];
            controller.enter(Phase::Look, 0);
        }
        (Phase::Commit, Drive::First) => {
            controller.again = 0;
            controller.enter(Phase::Proven, 0);
        }
        (Phase::Commit, Drive::Doubtful) => {
            controller.again = 0;
            controller.enter(Phase::Revert, BOTH);
        }
        (Phase::Commit, Drive::Forward) => confirm(controller, controller.again),
        (Phase::Confirm | Phase::ReadBack, _) if controller.again != 0 => {
            // Nothing is led to a slot that is found dead.
            if state.new == New::Up || !may_turn {
                commit(controller, controller.again);
            } else {
                controller.again = 0;
                go_back(controller, rules);
            }
        }
        (Phase::Confirm, _) if rules.hold(Rule::ReadBack) => controller.enter(Phase::ReadBack, BOTH),
        (Phase::Confirm | Phase::ReadBack, _) => controller.enter(Phase::Record, ALL),
        (Phase::Record, _) => controller.enter(Phase::Stop, 1 << WAS),
        (Phase::Stop, _) => says(state, who, Said::AllNew),
        (Phase::Arm, _) => controller.enter(Phase::Revert, BOTH),
        (Phase::Revert, _) => controller.enter(Phase::Withdraw, 1 << WAS),
        (Phase::Withdraw, _) => says(state, who, Said::AllOld),
        (phase, _) => unreachable!("nothing to answer at {phase:?}"),
    }
}

/// Exits with a code that says where the traffic is.
fn says(state: &mut State, who: usize, said: Said) {
    if state.said != Said::Nothing && state.said != said {
        state.broken = Some(Broken::ExitUntrue);
    }
    state.said = said;
    if state.old == Old::Ending && said == Said::AllOld {
        state.broken = Some(Broken::ExitUntrue);
    }
    leave(state, who);
}

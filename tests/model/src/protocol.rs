//! The protocol as stateright explores it: everything that can happen next in a state, and what comes of it.

use std::fmt::Debug;

use nonstop::model::token::TokenState;
use stateright::{Model, Property};

use crate::controller::{self, Choice};
use crate::host::{self, Answer, Arrival, Reach};
use crate::judge;
use crate::rules::{Rule, Rules};
use crate::state::{
    BOTH, CONTROLLERS, Controller, DEPLOY, Drive, HOSTS, LAST, Late, Mail, NGINX, NOBODY, New, Phase, State,
    Watch,
};

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A controller reads the locks, all of whose leases are over by now, and begins to take them.
    Comes { who: usize },
    /// It takes the way that it has the choice of.
    Chooses { who: usize, choice: Choice },
    /// It observes and decides.
    Looks {
        who: usize,
        unreadable: Option<usize>,
        choice: Choice,
    },
    /// A script of a controller, or a reading, is sent and meets its fate.
    Sends { who: usize, host: usize, fate: Fate },
    /// A script whose sender does not wait any more takes effect.
    Lands { host: usize, index: usize },
    /// A watch fires, and goes home or dies half way.
    Fires { host: usize, reach: Reach },
    /// An nginx host reboots.
    Reboots { host: usize },
    /// A controller dies.
    Dies { who: usize },
    /// The new slot's instance dies.
    NewDies,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It arrives, and so does the answer.
    Answered,
    /// It is lost on its way.
    Lost,
    /// It comes later, when nobody waits for it any more.
    Late,
    /// It takes effect, as far as it gets, and the answer is lost.
    Unanswered(Reach),
    /// nginx refuses the reload, and the answer says so.
    Unproven,
}

/// What is asked of every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// What always has to hold.
    Promises,
    /// What has to happen somewhere.
    Possibilities,
}

/// The protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protocol {
    /// Which rules hold.
    pub(crate) rules: Rules,
    /// What is asked.
    pub(crate) asks: Asks,
    /// How many faults there are.
    pub(crate) faults: u8,
    /// How many controllers may come between the deploy and the last.
    pub(crate) resumers: u8,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::before_the_commit(self.faults, self.resumers)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        for who in 0..CONTROLLERS {
            self.of_controller(state, who, actions);
        }
        for host in 0..HOSTS {
            for index in 0..state.late[host].len() {
                actions.push(Action::Lands { host, index });
            }
        }
        for host in 0..NGINX {
            self.of_nginx(state, host, actions);
        }
        if state.faults > 0 && state.new == New::Up {
            actions.push(Action::NewDies);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        match action {
            Action::Comes { who } => controller::read_the_locks(&mut next, who),
            Action::Chooses { who, choice } => controller::choose(&mut next, self.rules, who, choice),
            Action::Looks {
                who,
                unreadable,
                choice,
            } => {
                next.faults -= u8::from(unreadable.is_some());
                controller::look(&mut next, self.rules, who, unreadable, choice);
            }
            Action::Sends { who, host, fate } => self.send(&mut next, who, host, fate),
            Action::Lands { host, index } => self.land(&mut next, host, index),
            Action::Fires { host, reach } => {
                next.faults -= u8::from(reach != Reach::Whole);
                host::fire(&mut next.nginx[host], reach);
            }
            Action::Reboots { host } => {
                next.faults -= 1;
                host::reboot(&mut next, host);
            }
            Action::Dies { who } => {
                next.faults -= 1;
                controller::leave(&mut next, who);
            }
            Action::NewDies => {
                next.faults -= 1;
                next.new = New::Dead;
            }
        }
        judge::judge(&mut next, self.rules);
        self.tidy(&mut next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        match self.asks {
            Asks::Promises => judge::promises(),
            Asks::Possibilities => judge::possibilities(),
        }
    }
}

impl Protocol {
    fn of_controller(self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let controller = &state.controllers[who];
        match controller.phase {
            Phase::Gone => return,
            Phase::Idle => {
                if may_come(state, who) {
                    actions.push(Action::Comes { who });
                }
                return;
            }
            Phase::Begin | Phase::Proven => {
                for choice in [Choice::On, Choice::Back] {
                    actions.push(Action::Chooses { who, choice });
                }
            }
            Phase::Look => self.looks(state, who, actions),
            phase => {
                let turns = phase == Phase::ReadBack
                    && controller.pending == BOTH
                    && controller::may_turn(state, self.rules)
                    && (who != LAST || state.new != New::Up);
                if turns {
                    let choice = Choice::Back;
                    actions.push(Action::Chooses { who, choice });
                }
                for host in (0..HOSTS).filter(|host| controller.pending & 1 << host != 0) {
                    sends(state, who, host, actions);
                }
            }
        }
        if state.faults > 0 {
            actions.push(Action::Dies { who });
        }
    }

    fn looks(self, state: &State, who: usize, actions: &mut Vec<Action>) {
        let mut choices = vec![Choice::On];
        if who != LAST && controller::may_turn(state, self.rules) {
            choices.push(Choice::Back);
        }
        let mut unreadable = vec![None];
        if state.faults > 0 {
            unreadable.extend((0..NGINX).map(Some));
        }
        for choice in choices {
            for &unreadable in &unreadable {
                actions.push(Action::Looks {
                    who,
                    unreadable,
                    choice,
                });
            }
        }
    }

    fn of_nginx(self, state: &State, host: usize, actions: &mut Vec<Action>) {
        let watch = state.nginx[host].watch;
        if host::can_fire(state, self.rules, host) {
            let mut push = |reach| actions.push(Action::Fires { host, reach });
            push(Reach::Whole);
            if state.faults > 0 {
                push(Reach::CutOff);
                if watch == Watch::Waits {
                    push(Reach::ReloadRefused);
                }
            }
        }
        let has_something_to_lose = state.locks[host].over || matches!(watch, Watch::Waits | Watch::Retries);
        if state.faults > 0 && has_something_to_lose {
            actions.push(Action::Reboots { host });
        }
    }

    fn send(self, state: &mut State, who: usize, host: usize, fate: Fate) {
        state.faults -= u8::from(fate != Fate::Answered);
        if state.controllers[who].phase == Phase::ReadBack {
            return controller::read_back(state, self.rules, who, host);
        }
        let mail = controller::message(state, who, host);
        let reach = match fate {
            Fate::Lost => return controller::unanswered(state, self.rules, who, host),
            Fate::Late => {
                state.late[host].push(mail);
                return controller::unanswered(state, self.rules, who, host);
            }
            Fate::Answered => Reach::Whole,
            Fate::Unanswered(reach) => reach,
            Fate::Unproven => Reach::ReloadRefused,
        };
        let answer = host::run(state, self.rules, Arrival { host, mail, reach });
        if reach == Reach::CutOff {
            state.locks[host].over = false;
        }
        if answer != Answer::Refused {
            for under_way in state.late[host].iter_mut().filter(|it| it.from == mail.from) {
                under_way.stale = true;
            }
        }
        match fate {
            Fate::Answered => controller::answered(state, self.rules, who, host, answer),
            _ => controller::unanswered(state, self.rules, who, host),
        }
    }

    fn land(self, state: &mut State, host: usize, index: usize) {
        let mail = state.late[host].get(index);
        let reach = Reach::Whole;
        let answer = host::run(state, self.rules, Arrival { host, mail, reach });
        if answer != Answer::Refused {
            let earlier = state.late[host].iter_mut().take(index);
            for under_way in earlier.filter(|it| it.from == mail.from) {
                under_way.stale = true;
            }
        }
        state.late[host].remove(index);
    }

    /// Forgets what cannot matter any more, so that equal worlds are one state.
    fn tidy(self, state: &mut State) {
        for host in 0..HOSTS {
            host::forget_the_dead_letters(state, self.rules, host);
        }
        for who in 0..CONTROLLERS {
            let from_it = |mail: &Mail| usize::from(mail.from) == who;
            let is_heard = state.late.iter().flat_map(Late::iter).any(from_it);
            if state.controllers[who].phase == Phase::Gone && !is_heard {
                state.controllers[who] = Controller::at(Phase::Gone);
                self.forget(state, who);
            }
        }
        state.renumber_epochs();
    }

    /// Forgets the name of a controller that is gone for good.
    fn forget(self, state: &mut State, who: usize) {
        for lock in &mut state.locks {
            if usize::from(lock.holder) == who {
                lock.holder = NOBODY;
            }
        }
        for nginx in &mut state.nginx {
            // A watch that obeys the epoch asks who armed it.
            if usize::from(nginx.armed_by) == who && who != LAST && self.rules.hold(Rule::TokenBeforeEpoch) {
                let is_armed = nginx.token == Some(TokenState::Armed);
                nginx.armed_by = if is_armed { NOBODY } else { 0 };
            }
        }
    }
}

/// The resumers come in their order, the last one at any time and once for all.
fn may_come(state: &State, who: usize) -> bool {
    let is_first = |who: usize| matches!(state.controllers[who].phase, Phase::Idle);
    who == LAST || is_first(LAST) && (who == DEPLOY + 1 || !is_first(who - 1))
}

fn sends(state: &State, who: usize, host: usize, actions: &mut Vec<Action>) {
    let controller = &state.controllers[who];
    let mut push = |fate| actions.push(Action::Sends { who, host, fate });
    push(Fate::Answered);
    if state.faults == 0 || controller.phase == Phase::ReadBack {
        return;
    }
    push(Fate::Late);
    push(Fate::Unanswered(Reach::Whole));
    match controller.phase {
        Phase::Commit => {
            push(Fate::Unanswered(Reach::CutOff));
            push(Fate::Unproven);
            if controller.drive != Drive::Forward {
                push(Fate::Lost);
            }
        }
        Phase::Revert if state.nginx[host].token == Some(TokenState::Armed) => {
            push(Fate::Unanswered(Reach::CutOff));
        }
        Phase::Confirm => push(Fate::Lost),
        _ => {}
    }
}

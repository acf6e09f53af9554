//! A counterexample as a schedule that a person can follow: one step a line, and what it led to.

use std::fmt::Write as _;

use crate::controller::Choice;
use crate::host::Reach;
use crate::protocol::{Action, Fate};
use crate::state::{DEPLOY, LAST, Lock, NOBODY, New, Nginx, Old, Phase, Said, Slot, State, WAS, Watch};

/// Writes the steps, numbered, each with what changed on the fleet.
pub(crate) fn schedule(path: &[(State, Option<Action>)]) -> String {
    let mut text = String::new();
    for (number, pair) in path.windows(2).enumerate() {
        let [(before, Some(action)), (after, _)] = pair else {
            continue;
        };
        let number = number + 1;
        let _ = writeln!(text, "  {number:>3}. {}", step(before, *action));
        for effect in effects(before, *action, after) {
            let _ = writeln!(text, "         → {effect}");
        }
    }
    text
}

fn step(state: &State, action: Action) -> String {
    match action {
        Action::Comes { who } => {
            format!("{} comes: every lease is over, or the lock is free", name(who))
        }
        Action::Chooses { who, choice } => match (state.controllers[who].phase, choice) {
            (Phase::ReadBack, _) => format!("{} turns back in the bake", name(who)),
            (_, Choice::Back) => format!("{} turns back", name(who)),
            (Phase::Begin, _) => format!("{} begins to commit", name(who)),
            _ => format!("{} begins to confirm", name(who)),
        },
        Action::Looks {
            who,
            unreadable,
            choice,
        } => {
            let mut text = format!("{} observes and decides", name(who));
            if let Some(host) = unreadable {
                let _ = write!(text, ", and {} cannot be asked", place(host));
            }
            if choice == Choice::Back {
                text += ", wanting to go back";
            }
            text
        }
        Action::Sends { who, host, fate } => {
            let script = state.controllers[who].phase;
            let sent = format!("{}: {} on {}", name(who), word(script), place(host));
            match fate {
                Fate::Answered => sent,
                Fate::Lost => format!("{sent} is lost"),
                Fate::Late => format!("{sent} is late, and no answer comes"),
                Fate::Unanswered(Reach::Whole) => format!("{sent}; the answer is lost"),
                Fate::Unanswered(_) => format!("{sent} is cut off by a reboot"),
                Fate::Unproven => format!("{sent}; nginx refuses the reload"),
            }
        }
        Action::Lands { host, index } => {
            let mail = state.late[host].get(index);
            let from = name(usize::from(mail.from));
            format!(
                "the late {} of {from} arrives on {}",
                word(mail.script),
                place(host)
            )
        }
        Action::Fires {
            host,
            reach: Reach::Whole,
        } => format!("the watch fires on {}", place(host)),
        Action::Fires {
            host,
            reach: Reach::CutOff,
        } => {
            format!("the watch fires on {} and dies half way", place(host))
        }
        Action::Fires { host, .. } => format!("the watch fires on {}, and nginx refuses", place(host)),
        Action::Reboots { host } => format!("{} reboots", place(host)),
        Action::Dies { who } => format!("{} dies", name(who)),
        Action::NewDies => "the new slot's instance dies".to_owned(),
    }
}

fn effects(before: &State, action: Action, after: &State) -> Vec<String> {
    let mut effects = Vec::new();
    for host in 0..before.nginx.len() {
        if before.nginx[host] != after.nginx[host] {
            effects.push(format!("{}: {}", place(host), nginx(after.nginx[host])));
        }
    }
    for host in 0..before.locks.len() {
        let (was, is): (Lock, Lock) = (before.locks[host], after.locks[host]);
        if was.holder != is.holder && is.holder != NOBODY {
            let holder = name(usize::from(is.holder));
            effects.push(format!(
                "{}: locked by {holder} under epoch {}",
                place(host),
                is.epoch
            ));
        }
    }
    if before.new != after.new && after.new == New::Withdrawn {
        effects.push("the new slot is stopped".to_owned());
    }
    if before.old != after.old && after.old == Old::Ending {
        effects.push("the old slot is told to end".to_owned());
    }
    if before.no_return != after.no_return {
        effects.push("the point of no return is on record".to_owned());
    }
    for (who, was) in before.controllers.iter().enumerate() {
        let is = &after.controllers[who];
        if was.phase == is.phase {
            continue;
        }
        effects.push(match is.phase {
            Phase::Gone => format!("{} {}", name(who), leaves(before, action, after)),
            phase => format!("{} goes on with: {}", name(who), word(phase)),
        });
    }
    effects
}

/// Why a controller is gone.
fn leaves(before: &State, action: Action, after: &State) -> &'static str {
    match action {
        Action::Sends { .. } if after.said != before.said && after.said == Said::AllNew => "exits with 0",
        Action::Sends { .. } if after.said != before.said => "exits with 6 or 7",
        Action::Sends { who, .. } => match before.controllers[who].phase {
            Phase::Withdraw => "is refused, or exits with 6 or 7 like the one before",
            Phase::Stop if before.new != New::Up => "exits with 8: the new slot is not alive",
            Phase::Stop => "is refused, or exits with 0 like the one before",
            _ => "is refused, and exits with 5",
        },
        Action::Looks { .. } => "exits with 8: there is no way to go on",
        _ => "is gone, and what it sent is still under way",
    }
}

fn nginx(nginx: Nginx) -> String {
    let runs = if nginx.runs == Slot::Old {
        "runs the old slot"
    } else {
        "runs the new slot"
    };
    let token = nginx.token.map_or("no token", |token| token.as_str());
    let watch = match nginx.watch {
        Watch::None => "",
        Watch::Waits => ", a watch waits",
        Watch::Retries => ", its watch tries again",
        Watch::Lost => ", its watch is lost",
    };
    format!("{runs}, {token}{watch}")
}

fn name(who: usize) -> &'static str {
    match who {
        DEPLOY => "deploy",
        LAST => "last resume",
        1 => "resume",
        _ => "second resume",
    }
}

fn place(host: usize) -> &'static str {
    match host {
        0 => "nginx-1",
        WAS => "was-1",
        _ => "nginx-2",
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "nothing yet",
        Phase::Take => "take the lock",
        Phase::Look => "observe",
        Phase::Begin => "ready to commit",
        Phase::Commit => "commit",
        Phase::Proven => "all proven",
        Phase::Confirm => "confirm",
        Phase::ReadBack => "read back",
        Phase::Record => "record the point of no return",
        Phase::Stop => "stop the old slot",
        Phase::Arm => "arm",
        Phase::Revert => "revert",
        Phase::Withdraw => "stop the new slot",
        Phase::Gone => "gone",
    }
}

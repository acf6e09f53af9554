//! Runs that are given a deadline as a whole: they turn around early enough for their way back, and are over
//! before somebody else would kill them.

use std::time::Duration;

use nonstop::model::deadline::Deadline;
use nonstop::model::playbook::Playbook;
use tokio::time::Instant;

use crate::random::Random;
use crate::story::{Act, Fate, Round, Story, What};

/// What some acts get that would otherwise live for as long as they like.
pub(crate) fn are_given(random: &mut Random, rounds: &mut [Round]) {
    for act in rounds.iter_mut().flat_map(|round| &mut round.acts) {
        if act.fate == Fate::Lives && random.one_in(4) {
            act.fate = Fate::Limited(Duration::from_secs(*random.of(&[35, 60, 75, 90, 120])));
        }
    }
}

/// When a run with that fate turns around; never where its playbook waits longer than the run is given.
pub(crate) fn turn(act: &Act, playbook: &Playbook) -> Option<Instant> {
    let Fate::Limited(whole) = act.fate else {
        return None;
    };
    let least = match act.what {
        What::Rollback | What::Converge(_) => Duration::ZERO,
        _ => playbook.health.min_healthy_time + playbook.bake.duration,
    };
    let deadline = Deadline::new(whole, least, playbook).ok()?;
    Some(Instant::now() + deadline.forward())
}

/// Whether a run was over within its deadline, where nothing but the new release was wrong: a host that gives no
/// answer is waited for as long as safety needs.
pub(crate) fn is_kept(story: &Story, act: &Act, took: Duration) -> Result<(), String> {
    let Fate::Limited(whole) = act.fate else {
        return Ok(());
    };
    let is_quiet = story.call_faults == 0 && story.strikes.is_empty() && story.twists.gone.is_none();
    let alone = story.rounds.iter().all(|round| round.acts.len() == 1);
    if is_quiet && alone && took > whole {
        return Err(format!("it was given {whole:?}, and took {took:?}"));
    }
    Ok(())
}

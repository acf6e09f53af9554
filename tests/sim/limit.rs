//! Runs that are given a deadline as a whole: they turn around early enough for their way back, and are over
//! before somebody else would kill them.

use std::time::Duration;

use nonstop::model::deadline::Deadline;
use nonstop::model::playbook::Playbook;
use tokio::time::Instant;

use crate::random::Random;
use crate::story::{Act, Bad, Fate, Leaves, Story, What};

/// What some acts get that would otherwise live for as long as they like. In some stories nothing else happens, but
/// that a new instance may get no healthier.
pub(crate) fn are_given(random: &mut Random, story: &mut Story) {
    let is_quiet = random.one_in(10);
    if is_quiet {
        story.call_faults = 0;
        story.strikes.clear();
        story.twists.gone = None;
        let which = u64::from(random.one_in(2));
        story.bad = random.one_in(2).then_some((which, Bad::Sick));
    }
    for round in &mut story.rounds {
        if is_quiet {
            round.acts.truncate(1);
        }
        for act in &mut round.acts {
            if is_quiet || act.fate == Fate::Lives && random.one_in(4) {
                // A release that gets no healthier takes more than 22 of them where nothing turns it around.
                act.fate = Fate::Limited(Duration::from_secs(*random.of(&[21, 22, 22, 24, 28, 32, 45, 60])));
                act.leaves = Leaves::Nobody;
            }
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

//! The end of a run whose new slot has the traffic: the last look at every nginx, the point of no
//! return, the old slot's end and what is left to do. Nothing here takes the run back.

use std::time::Duration;

use futures::future::join_all;

use crate::model::defect::{Defect, planted};
use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::live::Live;
use crate::model::names::{HostName, RunId};
use crate::model::observed::{HostObserved, Observed};
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::playbook::SwitchStyle;
use crate::model::record::RunRecord;
use crate::model::token::TokenState;

use super::context::Context;
use super::execute::{Ended, fenced_off, keep_old_slot, warn};
use super::fleet::Host;
use super::stage::{self, Patience, StageEnd};
use super::steps::{Job, stop};
use super::{observe, record};

const OTHER_GENERATION: &str = "it runs another generation now";

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// As it should, or with warnings.
    Whole,
    /// A new instance that should take over from an old one was found dead: the old one was left up.
    Orphaned,
    /// An nginx no longer routes to the new slot: the old one was left up.
    Astray,
    /// Nobody can be reached any more, and nothing shows that nobody took over meanwhile.
    Unknown,
    /// Somebody else took over.
    TakenOver,
}

/// Whether every host took our word after the last look at nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The point of no return is on record everywhere: nobody had taken over, and nobody turns back.
    Taken,
    /// It was not asked for, or not heard everywhere.
    Unheard,
}

/// Ends the run. What does not work is a warning, unless nginx is found astray or somebody else has
/// taken over.
pub(super) async fn forward<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    mut record: RunRecord,
    switch_took: Option<Duration>,
) -> Ended {
    let plan = job.plan;
    let (mut end, word) = stop_old_slot(context, job, &mut record).await;
    if end == End::Whole {
        end = finish(context, job, record, word).await;
    }
    let (outcome, exit) = match (end, context.interrupt.signal()) {
        (End::TakenOver, _) => (Outcome::TakenOver, Exit::Locked),
        (End::Astray | End::Unknown, _) => (Outcome::Mixed, Exit::Mixed),
        (End::Orphaned, _) => (Outcome::Deployed, Exit::Mixed),
        (End::Whole, Some(signal)) => (Outcome::Deployed, Exit::Signalled(signal)),
        (End::Whole, None) => (Outcome::Deployed, Exit::Done),
    };
    let known = !matches!(end, End::Astray | End::Unknown);
    Ended {
        live: known.then(|| plan.release.id.clone()),
        live_slot: known.then(|| plan.to.clone()),
        switch_took,
        ..Ended::of(outcome, exit)
    }
}

async fn stop_old_slot<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    record: &mut RunRecord,
) -> (End, Word) {
    let Some(stop) = job.plan.stage(Phase::Stop) else {
        return (End::Whole, Word::Unheard);
    };
    record.phase = Phase::Stop;
    record.point_of_no_return = stop.steps.iter().any(|on| stop::will_end(context, on));
    if let Err(failures) = ready(context, job, record).await {
        let end = end_of(&failures);
        keep_old_slot(context, job.plan);
        warn(context, failures);
        return (end, Word::Unheard);
    }
    if let Some(cause) = context.interrupt.cause() {
        let unwinds = false;
        context.tell(Event::Interrupted { cause, unwinds });
    }
    (step(context, job, stop).await, Word::Taken)
}

/// Says on record that the run is over, and only then tidies up: what is removed with it, the tokens, is what
/// would decide of an open run.
async fn finish<H: Host>(context: &Context<'_, H>, job: &Job<'_>, record: RunRecord, word: Word) -> End {
    if let Err(failures) = record::write(context, &record.finished()).await {
        // One host that takes our word shows that nobody had taken over.
        let silent = failures.len() == context.crew.hosts().count();
        let end = match end_of(&failures) {
            End::Whole if silent && word == Word::Unheard => End::Unknown,
            end => end,
        };
        warn(context, failures);
        if silent || end != End::Whole {
            return end;
        }
    }
    match job.plan.stage(Phase::Finish) {
        Some(stage) => step(context, job, stage).await,
        None => End::Whole,
    }
}

async fn step<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &crate::model::plan::Stage) -> End {
    let StageEnd::Failed(failures) = stage::run(context, job, stage, Patience::UntilAllAnswered).await else {
        return End::Whole;
    };
    let orphaned = |(_, failure): &(HostName, Failure)| matches!(failure, Failure::SuccessorMissing { .. });
    let end = if fenced_off(&failures) {
        End::TakenOver
    } else if failures.iter().any(orphaned) {
        End::Orphaned
    } else {
        End::Whole
    };
    warn(context, failures);
    end
}

/// What it means that these did not work: traffic was proven to be with the new slot, so that only a
/// look that shows something else makes a difference.
fn end_of(failures: &[(HostName, Failure)]) -> End {
    if fenced_off(failures) {
        End::TakenOver
    } else if is_astray(failures) {
        End::Astray
    } else {
        End::Whole
    }
}

/// Whether a look at nginx showed something else than what was proven.
pub(super) fn is_astray(failures: &[(HostName, Failure)]) -> bool {
    let astray =
        |(_, failure): &(HostName, Failure)| matches!(failure, Failure::Drifted | Failure::Unproven { .. });
    failures.iter().any(astray) && !fenced_off(failures)
}

/// I1 in the same breath as the point of no return: every token is read back, every nginx is looked at, and then
/// the record says on every host that the old slot ends.
pub(super) async fn ready<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    record: &RunRecord,
) -> Result<(), Vec<(HostName, Failure)>> {
    let looked = context.topology.nginx.keys().map(|host| async move {
        let runs = runs_new_routing(context, job, record, host).await;
        let ignored = |failure: &Failure| {
            matches!(
                failure,
                Failure::OutcomeUnknown { .. } | Failure::Unreachable { .. }
            ) && planted(Defect::StopWhileUnreachable)
        };
        let failure = runs.err().filter(|failure| !ignored(failure))?;
        Some((host.clone(), failure))
    });
    let failures: Vec<_> = join_all(looked).await.into_iter().flatten().collect();
    if !failures.is_empty() {
        return Err(failures);
    }
    record::write(context, record).await
}

async fn runs_new_routing<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    record: &RunRecord,
    host: &HostName,
) -> Result<(), Failure> {
    let seen = observe::one(context.topology, context.playbook, context.crew, host).await?;
    if seen.lock.epoch != context.crew.epoch() || seen.lock.run.as_ref() != Some(context.crew.run_id()) {
        // Whatever else it shows is somebody else's doing.
        return Err(Failure::Fenced { lock: seen.lock });
    }
    let nginx = seen.nginx.as_ref().ok_or(Failure::Drifted)?;
    let last = job.home.of_switch(record.switches());
    let newest = nginx.newest_token(job.home);
    let state = newest.map(|token| token.state);
    if state != Some(TokenState::Confirmed) || newest.is_some_and(|token| token.id.run != last) {
        let reason = format!("its token is {}", state.map_or("gone", TokenState::as_str));
        return Err(Failure::Unproven { reason });
    }
    let switches = job.plan.switches();
    let Some(switch) = switches.get(host) else {
        return routes_to_new_slot(context, job, &last, host, seen);
    };
    if nginx.entry.content.as_ref() != Some(&switch.after) {
        return Err(Failure::Drifted);
    }
    if switch.generation.is_some() && nginx.generation != switch.generation {
        return Err(Failure::Unproven {
            reason: OTHER_GENERATION.to_owned(),
        });
    }
    Ok(())
}

/// The same for a host that was switched by the run before it was interrupted, and is only looked at.
fn routes_to_new_slot<H>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    last: &RunId,
    host: &HostName,
    seen: HostObserved,
) -> Result<(), Failure> {
    let generation = seen.nginx.as_ref().and_then(|nginx| nginx.generation.clone());
    let is_site = matches!(context.playbook.nginx.style, SwitchStyle::Site(_));
    let observed = Observed {
        hosts: [(host.clone(), seen)].into(),
        ..Observed::default()
    };
    let live = Live::read(context.topology, &observed);
    let slot = live.hosts.get(host).and_then(|view| view.slot.as_ref());
    if slot != Some(&job.plan.to) {
        return Err(Failure::Drifted);
    }
    if is_site && generation.as_deref() != Some(last.as_str()) {
        return Err(Failure::Unproven {
            reason: OTHER_GENERATION.to_owned(),
        });
    }
    Ok(())
}

//! The way home: observes what is true now, plans from that to the routing before the run, and goes
//! there stage by stage. Where it cannot be completed, both slots stay up and the outcome says so.

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::finding::{Finding, Problem};
use crate::model::live;
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::{Outcome, Signal};
use crate::model::phase::Phase;
use crate::model::plan::{self, HomeGoal, Scene, Stage};
use crate::model::record::{RunRecord, RunStatus};

use super::context::Context;
use super::execute::{Ended, exit_home, fenced_off, say_unwinding, warn};
use super::fleet::Host;
use super::lock::{self, Lost};
use super::run::Verdict;
use super::steps::Job;
use super::walk::{self, Refusal, Rest, TakenOver, Walked};
use super::{observe, preflight, record};

/// Why a run turns around.
#[derive(Debug, Clone)]
pub enum Reason {
    /// A stage failed.
    Failed {
        /// Its phase.
        phase: Phase,
        /// Host by host.
        failures: Vec<(HostName, Failure)>,
    },
    /// A signal came.
    Interrupted(Signal),
}

/// Goes home.
pub async fn go<H: Host>(
    context: &Context<'_, H>,
    before: &Observed,
    job: &Job<'_>,
    mut record: RunRecord,
    reason: Reason,
) -> Ended {
    match &reason {
        Reason::Interrupted(signal) => say_unwinding(context, *signal),
        Reason::Failed { failures, .. } if fenced_off(failures).is_some() => {
            return ended(context, before, job, &reason, Outcome::TakenOver);
        }
        Reason::Failed { .. } => {}
    }
    // From here on nothing that was sent before can still have its effect where this arrives: what is
    // observed now stays true.
    record.phase = Phase::Revert;
    if turn(context, &mut record).await.is_err() {
        return ended(context, before, job, &reason, Outcome::TakenOver);
    }
    let (now, unasked) = observe::observe(context.topology, context.playbook, context.crew).await;
    for (host, error) in unasked {
        let problem = Problem::CannotObserve {
            reason: error.to_string(),
        };
        context.tell(Event::Warned {
            finding: Finding::warning(Some(&host), problem),
        });
    }
    let told = context.ledger.borrow().told_to_switch.clone();
    let mut stages = plan::home(
        &Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed: &now,
            run: job.home,
        },
        &HomeGoal {
            record: &record,
            told_to_switch: &told,
            blames_release: blames_release(context, &reason).await,
        },
    );
    if planted(Defect::NoUndoOfUnknown) {
        forget_unknown(&mut stages, &reason);
    }
    let moved = stages.iter().any(|stage| stage.phase == Phase::Revert);
    let walked = if moved && !home_is_alive(context, before, job).await {
        let slot = job.plan.from.clone();
        let finding = Finding::warning(None, Problem::HomeGone { slot });
        context.tell(Event::Warned { finding });
        Walked {
            outcome: Outcome::Mixed,
            rest: Rest::Some,
        }
    } else {
        walk::home(context, job, &stages, &record.owner).await
    };
    if walked.rest == Rest::None {
        record.status = RunStatus::Done;
        record.epoch = context.crew.epoch();
        if let Err(failures) = record::write(context, &record).await {
            warn(context, failures);
        }
    }
    ended(context, before, job, &reason, walked.outcome)
}

/// What a defect leaves out of the way home: the hosts of which it is not known what they did.
fn forget_unknown(stages: &mut [Stage], reason: &Reason) {
    let Reason::Failed { failures, .. } = reason else {
        return;
    };
    let unknown = |host: &HostName| {
        let of_host = |it: &&(HostName, Failure)| it.0 == *host;
        failures
            .iter()
            .filter(of_host)
            .any(|(_, failure)| matches!(failure, Failure::OutcomeUnknown { .. }))
    };
    for stage in stages {
        stage.steps.retain(|step| !unknown(&step.host));
    }
}

/// Puts on record that the run turns around. Where a lease of ours was over and nobody has come, the locks
/// are taken again first.
async fn turn<H: Host>(context: &Context<'_, H>, record: &mut RunRecord) -> Result<(), TakenOver> {
    for _ in [1, 2] {
        record.epoch = context.crew.epoch();
        let Err(failures) = record::write(context, record).await else {
            return Ok(());
        };
        match walk::refusal(context, &failures) {
            None => return Ok(()),
            Some(Refusal::Foreign) => return Err(TakenOver),
            Some(Refusal::Lapsed) => match lock::take_again(context, &record.owner).await {
                Ok(()) => {}
                Err(Lost::TakenOver) => return Err(TakenOver),
                // What can still be reached under the old epoch is; the rest is not known.
                Err(Lost::Unreachable) => return Ok(()),
            },
        }
    }
    Ok(())
}

/// Whether there is anybody to go back to: as many of the old endpoints answer as of the new, and
/// at least one. A fleet that had no live slot goes back to having none.
async fn home_is_alive<H: Host>(context: &Context<'_, H>, before: &Observed, job: &Job<'_>) -> bool {
    let Some(from) = &job.plan.from else { return true };
    let old = alive(context, context.topology.endpoints(from)).await;
    let new = alive(context, context.topology.endpoints(&job.plan.to)).await;
    let listened = context
        .topology
        .endpoints(from)
        .iter()
        .filter(|it| listened(before, it))
        .count();
    old >= 1 && (old >= new || old >= listened)
}

fn listened(before: &Observed, endpoint: &Endpoint) -> bool {
    let was = before
        .hosts
        .get(&endpoint.host)
        .and_then(|seen| seen.was.as_ref());
    let mut slots = was.into_iter().flat_map(|was| was.slots.values());
    slots.any(|slot| slot.port == endpoint.port && slot.listener.is_some())
}

/// How many endpoints answer at all. Home was good enough for traffic before the run, whatever its
/// health said; what counts is that it is still there.
pub(super) async fn alive<H: Host>(context: &Context<'_, H>, endpoints: Vec<Endpoint>) -> usize {
    let asked = endpoints
        .iter()
        .map(|endpoint| preflight::own_view(context, endpoint));
    let answers = futures::future::join_all(asked).await;
    answers.into_iter().flatten().filter(answered).count()
}

fn answered(answer: &HealthAnswer) -> bool {
    matches!(answer, HealthAnswer::Healthy { .. } | HealthAnswer::Wrong { .. })
}

/// Whether the release itself is the reason, so that a rollback should never choose it.
async fn blames_release<H: Host>(context: &Context<'_, H>, reason: &Reason) -> bool {
    let Reason::Failed { failures, .. } = reason else {
        return false;
    };
    let blamed = failures.iter().map(|(_, failure)| is_to_blame(context, failure));
    futures::future::join_all(blamed).await.contains(&true)
}

/// A network that keeps nginx from a healthy instance says nothing against the release, and neither
/// does a stranger on its port.
async fn is_to_blame<H: Host>(context: &Context<'_, H>, failure: &Failure) -> bool {
    match failure {
        Failure::Exited { .. } | Failure::NotListening { .. } => true,
        Failure::Unhealthy { answer, .. } if answered(answer) => true,
        Failure::Unhealthy {
            endpoint,
            seen_from,
            answer,
            ..
        } => {
            let own = if *seen_from == endpoint.host {
                Some(answer.clone())
            } else {
                preflight::own_view(context, endpoint).await
            };
            matches!(
                own,
                Some(HealthAnswer::Wrong { .. } | HealthAnswer::Refused | HealthAnswer::TimedOut { .. })
            )
        }
        _ => false,
    }
}

fn ended<H>(
    context: &Context<'_, H>,
    before: &Observed,
    job: &Job<'_>,
    reason: &Reason,
    outcome: Outcome,
) -> Ended {
    let known = matches!(outcome, Outcome::AsItWas | Outcome::RolledBack);
    let slot = job.plan.from.clone().filter(|_| known);
    let live = slot
        .as_ref()
        .and_then(|slot| live::release_of_slot(context.topology, before, slot));
    let verdict = Verdict {
        outcome,
        exit: exit_home(reason, outcome),
    };
    Ended {
        verdict,
        live,
        live_slot: slot,
        switch_took: None,
    }
}

//! The way home: observes what is true now, plans from that to the routing before the run, and goes
//! there stage by stage. Where it cannot be completed, both slots stay up and the outcome says so.

use crate::model::decision::{self, Home, Switched};
use crate::model::defect::{Defect, planted};
use crate::model::event::Event;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::journey::{Heading, Journey};
use crate::model::live::{self, Live};
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::{Cause, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Because, HomeGoal, Plan, Scene, Stage};
use crate::model::record::{RunKind, RunRecord};
use crate::model::release::Release;
use crate::model::strategy::Hold;

use super::context::Context;
use super::execute::{Ended, exit_home, fenced_off, say_unwinding};
use super::fleet::Host;
use super::steps::Job;
use super::walk::{self, Gone, Rest, Walked};
use super::{census, in_service, observe, preflight, record};

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
    /// A signal came, or the time is up.
    Interrupted(Cause),
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
        Reason::Interrupted(cause) => say_unwinding(context, *cause),
        Reason::Failed { failures, .. } if fenced_off(failures) => {
            return ended(context, before, job, &reason, &record, Outcome::TakenOver);
        }
        Reason::Failed { .. } => {}
    }
    // From here on nothing that was sent before can still have its effect where this arrives: what is
    // observed now stays true.
    record.phase = Phase::Revert;
    let walked = match record::on_the_way_home(context, &record).await {
        Ok(_) => walk_home(context, job, &record, &reason).await,
        Err(Gone::TakenOver) => Walked {
            outcome: Outcome::TakenOver,
            rest: Rest::Some,
        },
        Err(Gone::Forgone) => Walked {
            outcome: if context.ledger.borrow().told_to_switch.is_empty() {
                Outcome::AsItWas
            } else {
                Outcome::Mixed
            },
            rest: Rest::Unlocked,
        },
    };
    let Walked { mut outcome, rest } = record::close(context, &record, walked).await;
    if outcome == Outcome::RolledBack && are_apart(context, &record).await {
        outcome = Outcome::Mixed;
    }
    let ended = ended(context, before, job, &reason, &record, outcome);
    Ended { rest, ..ended }
}

/// Plans the way home from what is true now, and goes it.
async fn walk_home<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    record: &RunRecord,
    reason: &Reason,
) -> Walked {
    let now = look(context).await;
    let told = context.ledger.borrow().told_to_switch.clone();
    let home = async { told.is_empty() || home_is_there(context, record).await };
    let (blames_release, home_is_there) = futures::join!(blames_release(context, record, reason), home);
    let mut stages = plan::home(
        &Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed: &now,
            run: job.home,
        },
        &HomeGoal {
            record,
            told_to_switch: &told,
            blames_release,
            because: because(reason),
        },
    );
    if planted(Defect::NoUndoOfUnknown) {
        forget_unknown(&mut stages, reason);
    }
    if record.journey.as_ref().is_some_and(|journey| journey.leg > 1) {
        // What is left of its switches is what the legs before may have to go home to.
        stages.retain(|stage| stage.phase != Phase::Finish);
    }
    let moved = stages.iter().any(|stage| stage.phase == Phase::Revert);
    if moved && !home_is_there {
        let slot = job.plan.from.clone();
        let finding = Finding::warning(None, Problem::HomeGone { slot });
        context.tell(Event::Warned { finding });
        Walked {
            outcome: Outcome::Mixed,
            rest: Rest::Some,
        }
    } else {
        say_killed(context, &now, record);
        let spared = if record.journey.is_some() {
            in_service::spare(context, record, &mut stages).await
        } else {
            Rest::None
        };
        let walked = walk::home(context, job, &stages, &record.owner).await;
        let rest = if walked.rest == Rest::None {
            spared
        } else {
            walked.rest
        };
        unless_unseen(context, &now, record, Walked { rest, ..walked })
    }
}

/// The reason in a word, for the playbook's hooks.
fn because(reason: &Reason) -> Because {
    let Reason::Failed { phase, failures } = reason else {
        return Because::Interrupted;
    };
    let hook = failures.iter().find_map(|(_, failure)| match failure {
        Failure::Hook { hook, .. } => Some(hook.point),
        _ => None,
    });
    hook.map_or(Because::Failed(*phase), Because::Hook)
}

/// Says which instances that had the traffic the kernel killed while the run had two of them up.
pub(super) fn say_killed<H>(context: &Context<'_, H>, now: &Observed, record: &RunRecord) {
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed: now,
        run: &record.run,
    };
    for finding in plan::killed(&scene, record) {
        context.tell(Event::Warned { finding });
    }
}

/// What a run started on a host that could not be looked at was not planned for, nor the end of a hook that it was told
/// to run: something of it may be left.
pub(super) fn unless_unseen<H>(
    context: &Context<'_, H>,
    now: &Observed,
    record: &RunRecord,
    walked: Walked,
) -> Walked {
    let is_seen = |host: &HostName| now.hosts.contains_key(host);
    let all_seen = !record.starts || context.topology.was.keys().all(is_seen);
    let all_ended = context.ledger.borrow().may_run_hooks.iter().all(is_seen);
    let rest = match walked.rest {
        Rest::None if !all_seen || !all_ended => Rest::Some,
        rest => rest,
    };
    Walked { rest, ..walked }
}

/// What is true now; says which hosts could not be asked.
pub(super) async fn look<H: Host>(context: &Context<'_, H>) -> Observed {
    let (observed, unasked) = observe::observe(context.topology, context.playbook, context.crew).await;
    for (host, error) in unasked {
        let reason = error.to_string();
        let finding = Finding::warning(Some(&host), Problem::CannotObserve { reason });
        context.tell(Event::Warned { finding });
    }
    observed
}

/// Whether nginx hosts are as far apart after a way back as they were before a run that meant to bring them
/// together; says so.
pub(super) async fn are_apart<H: Host>(context: &Context<'_, H>, record: &RunRecord) -> bool {
    if record.kind != RunKind::Converge {
        return false;
    }
    let now = look(context).await;
    match Live::read(context.topology, &now).agreed() {
        Ok(_) => !context
            .topology
            .nginx
            .keys()
            .all(|host| now.hosts.contains_key(host)),
        Err(finding) => {
            let severity = Severity::Warning;
            let finding = Finding { severity, ..finding };
            context.tell(Event::Warned { finding });
            true
        }
    }
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

/// Whether there is anybody to go back to.
async fn home_is_there<H: Host>(context: &Context<'_, H>, record: &RunRecord) -> bool {
    let old = plan::at_home(context.topology, record);
    let new = plan::in_question(context.topology, record, 0);
    let old = census::census(context, old, census::answers_at_all);
    let new = census::census(context, new, |_| true);
    let (old, new) = futures::join!(old, new);
    decision::home_is_there(Home {
        old: record.from_slot.as_ref().map(|_| old),
        new,
        switched: match context.ledger.borrow().confirmed {
            Some(_) => Switched::Confirmed,
            None => Switched::Armed,
        },
        point_of_no_return: false,
    })
}

/// Whether the release itself is the reason, so that a rollback should never choose it. The old one, to which a
/// journey was on its way back, has served before.
async fn blames_release<H: Host>(context: &Context<'_, H>, record: &RunRecord, reason: &Reason) -> bool {
    let leads_back = |journey: &Journey| journey.heading == Heading::Back;
    if record.journey.as_ref().is_some_and(leads_back) {
        return false;
    }
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
        Failure::Exited { .. } | Failure::OutOfMemory { .. } | Failure::NotListening { .. } => true,
        Failure::Unhealthy { answer, .. } if census::answers_at_all(answer) => true,
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
    record: &RunRecord,
    outcome: Outcome,
) -> Ended {
    // Where a run came from that brings nginx hosts together is not where all of them were.
    let known = matches!(outcome, Outcome::AsItWas | Outcome::RolledBack) && record.kind != RunKind::Converge;
    let slot = job.plan.from.clone().filter(|_| known);
    let live = slot
        .as_ref()
        .and_then(|slot| live::release_of_slot(context.topology, before, slot));
    Ended {
        live,
        live_slot: slot,
        because: Some(because(reason)),
        ..Ended::of(outcome, exit_home(reason, outcome))
    }
}

/// The stages of a way back as a plan; `None` for a record that does not say what it brought.
pub(super) fn way_back(record: &RunRecord, stages: Vec<Stage>) -> Option<Plan> {
    let release = Release {
        id: record.release.clone()?,
        sha256: String::new(),
        size_bytes: 0,
        jar_name: String::new(),
    };
    Some(Plan {
        from: record.from_slot.clone(),
        to: record.to_slot.clone()?,
        from_release: record.from_release.clone(),
        release,
        routings: vec![record.from_routing.clone(), record.to_routing.clone()],
        holds: vec![Hold::None; 2],
        course: record.course.clone(),
        stages,
        warnings: Vec::new(),
    })
}

//! How a run begins: looks at every host, plans, and takes every lock while it tries what has to be
//! tried. Until all of it went well nothing is changed but locks, and those are given back.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::names::{HostName, RunId};
use crate::model::observed::Observed;
use crate::model::outcome::{Cause, Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Plan};
use crate::model::record::RunRecord;

use super::context::Context;
use super::execute::Ended;
use super::fleet::{CallError, Host};
use super::going_on::{self, TakenBack};
use super::journey;
use super::lock::{self, Heed, LockError, Taken, Terms};
use super::resume::{self, Went};
use super::run::{Request, Wanted, make_plan};
use super::{observe, preflight};

const NOT_INTERRUPTED: &str = "no run was interrupted: there is nothing to resume";
const WAITS: &str =
    "no run was interrupted; one waits: `nonstop promote` or `nonstop rollback` says how it goes on";
const AGREED: &str = "every nginx host routes there already: there is nothing to do";

/// How a run begins.
pub(super) enum Opening {
    /// It may begin: every lock is held.
    Ready(Box<Ready>),
    /// It is over: there is nothing to do, or another run had to be gone on with, and that was all.
    Over(Ended),
}

/// What a run begins with.
pub(super) struct Ready {
    /// What is true, seen under the lock or so shortly before it that no other run came between.
    pub(super) observed: Observed,
    /// What will be done.
    pub(super) plan: Plan,
}

/// Opens a run, or says why not; then no lock is held.
pub(super) async fn open<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
) -> Result<Opening, Vec<Finding>> {
    let observed = observe_all(context, request).await?;
    if context.interrupt.cause().is_some() {
        return Err(Vec::new());
    }
    let held = observed.hosts.values().any(|seen| seen.lock.is_held());
    let interrupted = plan::interrupted(&observed).is_some();
    if request.wanted == Wanted::Resume && !interrupted && !held {
        return readable(request, &observed).map(|()| not_interrupted(context, &observed));
    }
    let waits = sees_to(request, &observed).is_some();
    let planned = plan_for(request, &observed);
    let goes_back = waits && matches!(request.wanted, Wanted::Earlier(_));
    if let (Err(findings), false) = (&planned, held || interrupted || goes_back) {
        return Err(findings.clone());
    }
    let trying = try_out(context, planned.as_ref().ok().filter(|_| !interrupted));
    let (taken, tried) = futures::join!(take_lock(context, request, &observed), trying);
    let taken = match taken {
        Err(findings) if request.wanted == Wanted::Resume && findings.iter().any(waits_now) => {
            return Ok(nothing_to_do(context, WAITS));
        }
        taken => taken?,
    };
    let opened = match (taken, planned) {
        // The epochs were still those that we had read: nobody changed anything in between.
        (Taken::AtOnce, Ok(plan)) if !interrupted && !waits => {
            settle(context, request, Ready { observed, plan }, tried)
        }
        (Taken::AtOnce, Err(findings)) if !interrupted && !waits => Err(findings),
        _ if waits && refuses(&tried) => Err(tried),
        _ => look_again(context, request).await,
    };
    let keeps_locks = match &opened {
        Ok(Opening::Ready(_)) => true,
        Ok(Opening::Over(ended)) => ended.verdict.outcome == Outcome::TakenOver,
        Err(_) => false,
    };
    if !keeps_locks {
        close(context).await;
    }
    opened
}

/// The run that waits, where this one says how it goes on.
fn sees_to<'a>(request: &Request<'_>, observed: &'a Observed) -> Option<&'a RunRecord> {
    let record = plan::waiting(observed)?;
    matches!(request.wanted, Wanted::Promote(_) | Wanted::Earlier(None)).then_some(record)
}

fn waits_now(finding: &Finding) -> bool {
    matches!(finding.problem, Problem::RunWaits { .. })
}

fn refuses(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == Severity::Refusal)
}

fn not_interrupted<H>(context: &Context<'_, H>, observed: &Observed) -> Opening {
    let what = match plan::waiting(observed) {
        Some(_) => WAITS,
        None => NOT_INTERRUPTED,
    };
    nothing_to_do(context, what)
}

/// Ends a run that has nothing to do, and says so.
fn nothing_to_do<H>(context: &Context<'_, H>, what: &str) -> Opening {
    let finding = Finding {
        host: None,
        severity: Severity::Info,
        problem: Problem::Fine {
            what: what.to_owned(),
        },
    };
    context.tell(Event::Warned { finding });
    Opening::Over(Ended::unchanged(Exit::Done))
}

/// Gives every lock back; where that is not certain, says so.
pub(super) async fn close<H: Host>(context: &Context<'_, H>) {
    context.crew.leave_epoch();
    for (host, reason) in lock::give_back(context, context.crew.hosts()).await {
        let finding = Finding::warning(Some(&host), Problem::LockLeft { reason });
        context.tell(Event::Warned { finding });
    }
}

/// Looks with every lock held. A run that never ended is gone on with first.
async fn look_again<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
) -> Result<Opening, Vec<Finding>> {
    let observed = observe_all(context, request).await?;
    if request.wanted == Wanted::Resume {
        readable(request, &observed)?;
    }
    let Some(record) = plan::interrupted(&observed).cloned() else {
        if let Some(record) = sees_to(request, &observed) {
            let taken = match request.wanted {
                Wanted::Promote(how) => {
                    TakenBack::Over(going_on::promote(context, request, record, &observed, how).await?)
                }
                _ => going_on::take_back(context, request, record, &observed).await?,
            };
            return match taken {
                TakenBack::Over(ended) => Ok(Opening::Over(ended)),
                // What was one switch is the way to an earlier release now: it is planned before anything moves.
                TakenBack::TooLate => {
                    let observed = observe_all(context, request).await?;
                    plan_anew(context, request, observed).await
                }
            };
        }
        return match request.wanted {
            Wanted::Resume => Ok(not_interrupted(context, &observed)),
            _ => plan_anew(context, request, observed).await,
        };
    };
    if let Wanted::Promote(_) = request.wanted {
        let record = Box::new(record);
        return Err(vec![Finding::refusal(None, Problem::InterruptedRun { record })]);
    }
    let so_far = match resume::go_on(context, request, &record, observed).await? {
        Went::Over(ended) => return Ok(Opening::Over(ended)),
        Went::Converged(so_far) => so_far,
    };
    if let (Wanted::Resume, Some(journey)) = (&request.wanted, &record.journey) {
        return Ok(Opening::Over(
            journey::go_on(context, request, &record, journey).await,
        ));
    }
    let opened = match context.interrupt.cause() {
        Some(_) => Err(Vec::new()),
        None => match observe_all(context, request).await {
            Ok(observed) => plan_anew(context, request, observed).await,
            Err(findings) => Err(findings),
        },
    };
    match opened {
        Ok(Opening::Over(_)) => Ok(Opening::Over(so_far)),
        Err(findings) if so_far.verdict.outcome != Outcome::AsItWas => {
            Ok(Opening::Over(turned_down(context, findings, so_far)))
        }
        opened => opened,
    }
}

/// Ends a run that cannot begin, after it went on with another one and moved traffic: that one is still open.
fn turned_down<H>(context: &Context<'_, H>, findings: Vec<Finding>, mut so_far: Ended) -> Ended {
    match context.interrupt.cause() {
        Some(Cause::Signal(signal)) => so_far.verdict.exit = Exit::Signalled(signal),
        Some(cause) => {
            let unwinds = false;
            context.tell(Event::Interrupted { cause, unwinds });
        }
        None => context.tell(Event::Refused { findings }),
    }
    so_far
}

async fn plan_anew<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    observed: Observed,
) -> Result<Opening, Vec<Finding>> {
    let plan = plan_for(request, &observed)?;
    let tried = try_out(context, Some(&plan)).await;
    settle(context, request, Ready { observed, plan }, tried)
}

/// A record that cannot be read may tell of a run that nobody else knows of: nothing is decided without it.
fn readable(request: &Request<'_>, observed: &Observed) -> Result<(), Vec<Finding>> {
    let mut findings = plan::preflight(request.topology, observed);
    findings.retain(|finding| {
        let refuses = finding.severity == Severity::Refusal;
        refuses && matches!(finding.problem, Problem::RecordUnreadable { .. })
    });
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

/// Refusals end the run; warnings go with the plan.
fn settle<H>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    mut ready: Ready,
    tried: Vec<Finding>,
) -> Result<Opening, Vec<Finding>> {
    ready.plan.warnings.extend(tried);
    if refuses(&ready.plan.warnings) {
        return Err(ready.plan.warnings);
    }
    if let Wanted::Converge { to } = &request.wanted {
        let hosts: BTreeSet<_> = ready.plan.switches().into_keys().cloned().collect();
        if hosts.is_empty() {
            return Ok(nothing_to_do(context, AGREED));
        }
        let to = to.clone();
        context.tell(Event::Converging { to, hosts });
    }
    Ok(Opening::Ready(Box::new(ready)))
}

fn plan_for(request: &Request<'_>, observed: &Observed) -> Result<Plan, Vec<Finding>> {
    make_plan(
        request.topology,
        request.playbook,
        observed,
        &request.run,
        &request.wanted,
        request.began,
    )
}

async fn try_out<H: Host>(context: &Context<'_, H>, plan: Option<&Plan>) -> Vec<Finding> {
    let Some(plan) = plan else { return Vec::new() };
    let phase = Phase::Preflight;
    let began = Instant::now();
    context.tell(Event::PhaseStarted {
        phase,
        hosts: context.crew.hosts().cloned().collect(),
    });
    let tried = preflight::preflight(context, plan).await;
    let succeeded = tried.iter().all(|finding| finding.severity != Severity::Refusal);
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded,
    });
    tried
}

async fn take_lock<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    observed: &Observed,
) -> Result<Taken, Vec<Finding>> {
    let phase = Phase::Lock;
    let began = Instant::now();
    context.tell(Event::PhaseStarted {
        phase,
        hosts: context.crew.hosts().cloned().collect(),
    });
    let terms = Terms {
        wait: request.lock_wait,
        lease: Some(context.playbook.lock.lease),
        window: match request.wanted {
            Wanted::Promote(_) | Wanted::Earlier(None) => Heed::Ended,
            _ => Heed::Heeded,
        },
    };
    let taken = lock::take(context, observed, &request.owner, terms).await;
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: taken.is_ok(),
    });
    taken.map_err(|error| vec![finding_of(error, &request.run)])
}

/// The finding of a lock that was not taken by a run.
pub fn finding_of(error: LockError, run: &RunId) -> Finding {
    let reason = error.to_string();
    match error {
        LockError::FarAhead { host, .. } => Finding::refusal(Some(&host), Problem::CannotObserve { reason }),
        LockError::Held { host, lock } => Finding::refusal(Some(&host), Problem::Locked { lock }),
        LockError::Call { host, error } => Finding::refusal(
            Some(&host),
            Problem::CannotObserve {
                reason: error.to_string(),
            },
        ),
        LockError::Window { record } => {
            let run = run.clone();
            Finding::refusal(None, Problem::RunWaits { record, run })
        }
        LockError::Interrupted => Finding::refusal(None, Problem::CannotObserve { reason }),
    }
}

/// Looks at every host. One that cannot be asked ends the run, and what is wrong on the others is
/// said beside it: whoever mends one thing should know of all.
async fn observe_all<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
) -> Result<Observed, Vec<Finding>> {
    let phase = Phase::Observe;
    let began = Instant::now();
    context.tell(Event::PhaseStarted {
        phase,
        hosts: context.crew.hosts().cloned().collect(),
    });
    let (mut observed, mut failed) = observe::observe(context.topology, context.playbook, context.crew).await;
    if let Wanted::OnHosts(pattern) = &request.wanted {
        failed.extend(observe::jars(context.crew, pattern, &mut observed).await);
    }
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: failed.is_empty(),
    });
    if failed.is_empty() {
        return Ok(observed);
    }
    let others = plan_for(request, &observed).err().unwrap_or_default();
    let others = others
        .into_iter()
        .filter(|finding| finding.host.as_ref().is_some_and(|it| !failed.contains_key(it)));
    let others: Vec<_> = others.collect();
    Err(findings_of(failed).into_iter().chain(others).collect())
}

/// The findings of hosts that could not be asked.
pub fn findings_of(failed: BTreeMap<HostName, CallError>) -> Vec<Finding> {
    let finding = |(host, error): (HostName, CallError)| {
        let problem = match Failure::from(error) {
            Failure::Sudo { command } => Problem::SudoRefused { command },
            failure => Problem::CannotObserve {
                reason: failure.to_string(),
            },
        };
        Finding::refusal(Some(&host), problem)
    };
    failed.into_iter().map(finding).collect()
}

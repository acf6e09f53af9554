//! The window after a run: the run ends, both slots stay up, and each host ends its old instance by itself at an
//! hour. Whoever promotes the run or takes it back cancels every timer first, under the lock, which no timer outlives.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use crate::model::event::{Event, Until};
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::{Cause, Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Promote, Scene, Stage, Step};
use crate::model::record::{RunRecord, RunStatus, VERSION};
use crate::model::timer::{Timer, TimerProgram, TimerState, Window};
use crate::remote::command::{CancelTimer, Command};

use super::context::Context;
use super::crew::{answer, passed};
use super::execute::{Ended, fenced_off, outcome_of, stuck, warn};
use super::fleet::Host;
use super::resume::{self, Went};
use super::run::Request;
use super::stage::{self, Patience, StageEnd};
use super::steps::Job;
use super::{ending, homeward, record, walk};

/// How often it is looked whether an end that has begun is over.
const POLL: Duration = Duration::from_secs(1);
/// What a host needs for an end beside the grace.
const MARGIN: Duration = Duration::from_secs(15);

/// Leaves the old slot's end to its hosts, once answers of the new release were seen to come through every listener;
/// otherwise both slots stay up, and the run stays open. Tells what ends the run early before any timer is set.
pub(super) async fn leave<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    mut record: RunRecord,
    switch_took: Option<Duration>,
) -> Result<Ended, Cause> {
    let ended = |outcome, exit| Ended {
        live: Some(job.plan.release.id.clone()),
        live_slot: Some(job.plan.to.clone()),
        switch_took,
        ..Ended::of(outcome, exit)
    };
    record.phase = Phase::Bake;
    record.window = Some(window(context, stage));
    record.version = VERSION;
    let mut failures = match set(context, job, stage, &record).await {
        Set::Everywhere => Vec::new(),
        Set::Interrupted(cause) => return Err(cause),
        Set::Astray(failures) => {
            warn(context, failures);
            return Ok(stuck(Outcome::Mixed));
        }
        Set::Not(failures) => failures,
    };
    if failures.is_empty() {
        failures = match put_to_wait(context, &mut record).await {
            Heard::Everywhere => {
                context.tell(Event::Waits {
                    percent: 100,
                    until: Until::Hour,
                    reached: record.switches(),
                    record: Box::new(record),
                });
                return Ok(ended(Outcome::Waiting, Exit::Done));
            }
            Heard::NotEverywhere(failures) => failures,
            Heard::Nowhere(outcome) => return Ok(stuck(outcome)),
        };
    }
    let taken_over = fenced_off(&failures);
    warn(context, failures);
    if taken_over {
        return Ok(stuck(Outcome::TakenOver));
    }
    // None of them would find a run that waits; this says it on the host as well.
    if let Err(findings) = cancel(context, &record).await {
        for finding in findings {
            let severity = Severity::Warning;
            let finding = Finding { severity, ..finding };
            context.tell(Event::Warned { finding });
        }
    }
    Ok(ended(Outcome::Deployed, Exit::Mixed))
}

/// How setting the timers went.
enum Set {
    /// Every host has one.
    Everywhere,
    /// None was set: the run is to end early.
    Interrupted(Cause),
    /// None was set: an nginx does not run what was proven and confirmed.
    Astray(Vec<(HostName, Failure)>),
    /// Not every host has one.
    Not(Vec<(HostName, Failure)>),
}

/// Who has heard that the run waits.
enum Heard {
    /// Every host that has an hour: another one finds it on those.
    Everywhere,
    /// Not all of them. The run does not wait, and stays open.
    NotEverywhere(Vec<(HostName, Failure)>),
    /// Nobody, or somebody else has taken over.
    Nowhere(Outcome),
}

/// Puts on record that the run waits. A host that has not heard so refuses at its hour, so that these are asked again for
/// a while.
async fn put_to_wait<H: Host>(context: &Context<'_, H>, record: &mut RunRecord) -> Heard {
    let timed = record.window.iter().flat_map(|window| &window.hosts);
    let timed: BTreeSet<HostName> = timed.cloned().collect();
    record.status = RunStatus::Waiting;
    let all = context.crew.hosts().count();
    let mut failures = record::write(context, record).await.err().unwrap_or_default();
    let is_silent = failures.len() == all;
    for _ in 1..walk::TRIES {
        let lacks = failures.iter().any(|(host, _)| timed.contains(host));
        if !lacks || is_silent || fenced_off(&failures) {
            break;
        }
        sleep(walk::PAUSE).await;
        let hosts: Vec<_> = failures.into_iter().map(|(host, _)| host).collect();
        let again = record::write_on(context, record, hosts.iter()).await;
        failures = again.err().unwrap_or_default();
    }
    if is_silent || fenced_off(&failures) {
        let outcome = outcome_of(&failures);
        warn(context, failures);
        return Heard::Nowhere(outcome);
    }
    if failures.iter().any(|(host, _)| timed.contains(host)) {
        record.status = RunStatus::Open;
        // Whoever has heard that it waits learns that it does not; of another host the timer is cancelled next.
        let more = record::write(context, record).await.err().unwrap_or_default();
        failures.extend(
            more.into_iter()
                .filter(|(_, failure)| matches!(failure, Failure::Fenced { .. })),
        );
        return Heard::NotEverywhere(failures);
    }
    warn(context, failures);
    Heard::Everywhere
}

/// Proves once more, looks at every nginx as before any stop, and sets the timers.
async fn set<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &Stage, record: &RunRecord) -> Set {
    let (timers, proofs): (Vec<_>, Vec<_>) = stage
        .steps
        .iter()
        .cloned()
        .partition(|on| matches!(on.step, Step::SetTimer { .. }));
    let phase = Phase::Bake;
    let proofs = Stage { phase, steps: proofs };
    let timers = Stage { phase, steps: timers };
    let unproven = match stage::run(context, job, &proofs, Patience::of(phase)).await {
        StageEnd::Done => Vec::new(),
        StageEnd::Failed(failures) => failures,
        StageEnd::Interrupted(cause) => return Set::Interrupted(cause),
    };
    match ending::ready(context, job, record).await {
        Err(failures) if ending::is_astray(&failures) => return Set::Astray(failures),
        Err(failures) if unproven.is_empty() => return Set::Not(failures),
        _ => {}
    }
    if !unproven.is_empty() {
        return Set::Not(unproven);
    }
    if let Some(cause) = context.interrupt.cause() {
        return Set::Interrupted(cause);
    }
    match stage::run(context, job, &timers, Patience::UntilAllAnswered).await {
        StageEnd::Failed(failures) => Set::Not(failures),
        StageEnd::Done | StageEnd::Interrupted(_) => Set::Everywhere,
    }
}

/// Which hosts get a timer, and its hour as the controller's clock has it: only ever shown to people.
fn window<H>(context: &Context<'_, H>, stage: &Stage) -> Window {
    let after = stage.timers().map(|(_, after)| after).max().unwrap_or_default();
    let (since, began) = context.began;
    let later = SignedDuration::try_from(began.elapsed() + after).unwrap_or_default();
    let ends = since.checked_add(later).ok();
    let second = jiff::Unit::Second;
    let ends = ends.and_then(|ends| ends.round(second).ok());
    Window {
        hosts: stage.timers().map(|(host, _)| host.clone()).collect(),
        ends: ends.map(|ends| ends.to_string()).unwrap_or_default(),
    }
}

/// Cancels the timer of every host, under the lock. Tells of those where the old instance's end has begun, or of those
/// that gave no answer: nothing is moved then.
pub(super) async fn cancel<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
) -> Result<BTreeSet<HostName>, Vec<Finding>> {
    let asked = context.topology.was.keys().map(|host| async move {
        let command = Command::CancelTimer(CancelTimer {
            fence: context.crew.fence(host),
            run: record.run.clone(),
        });
        let answered = async {
            let answered = context.crew.call(host, command).await?;
            passed(answer!(answered, CancelTimer)?)
        };
        (host.clone(), answered.await)
    });
    let mut begun = BTreeSet::new();
    let mut findings = Vec::new();
    for (host, answered) in join_all(asked).await {
        match answered {
            Ok(state) if state.is_some_and(TimerState::has_begun) => {
                begun.insert(host);
            }
            Ok(_) => {}
            Err(failure) => {
                let reason = format!("its timer could not be cancelled: {failure}");
                findings.push(Finding::refusal(Some(&host), Problem::CannotObserve { reason }));
            }
        }
    }
    if findings.is_empty() {
        Ok(begun)
    } else {
        Err(findings)
    }
}

/// Ends the window of a run now: the old slot is stopped as it would have been without one, unless the new one turns
/// out to be sick and the old one is still there to go back to.
pub(super) async fn end<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    observed: &Observed,
) -> Result<Ended, Vec<Finding>> {
    let begun = cancel(context, record).await?;
    let scene = Scene {
        topology: context.topology,
        playbook: context.playbook,
        observed,
        run: &record.run,
    };
    let record = RunRecord {
        point_of_no_return: record.point_of_no_return || !begun.is_empty(),
        window: None,
        ..plan::promote(&scene, record, Promote::Next)
    };
    let observed = over(context, &record).await;
    match resume::go_on(context, request, &record, observed).await? {
        Went::Over(ended) => Ok(led_back(ended)),
        Went::Converged(_) => Ok(stuck(Outcome::Mixed)),
    }
}

/// Who wanted the new release everywhere, and is led home, does not have what was wanted: that is no success, as it is
/// for whoever takes a run back.
fn led_back(mut ended: Ended) -> Ended {
    let verdict = &mut ended.verdict;
    if (verdict.outcome, verdict.exit) == (Outcome::RolledBack, Exit::Done) {
        verdict.exit = Exit::RolledBack;
    }
    ended
}

/// Looks at every host once nothing that has begun to end is still at it.
async fn over<H: Host>(context: &Context<'_, H>, record: &RunRecord) -> Observed {
    let until = Instant::now() + context.playbook.stop.grace + MARGIN;
    loop {
        let observed = homeward::look(context).await;
        let at_it = |(_, timer): (_, &Timer)| {
            timer.state == TimerState::Stopping && timer.program == TimerProgram::Alive
        };
        let at_it = plan::timers(&observed, record).any(at_it);
        if !at_it || Instant::now() >= until {
            return observed;
        }
        sleep(POLL).await;
    }
}

/// Puts on record that a run is over, some of whose hosts have begun to end their old instance: nobody goes back to
/// that one at once any more. Says what it means where nobody takes our word.
pub(super) async fn close<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
) -> Result<(), Outcome> {
    over(context, record).await;
    let record = RunRecord {
        epoch: context.crew.epoch(),
        owner: request.owner.clone(),
        point_of_no_return: true,
        ..record.clone()
    };
    let Err(failures) = record::write(context, &record.finished()).await else {
        return Ok(());
    };
    let outcome = outcome_of(&failures);
    warn(context, failures);
    Err(outcome)
}

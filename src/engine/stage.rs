//! One stage: all of its hosts at once, and the barrier behind them.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::outcome::Cause;
use crate::model::phase::Phase;
use crate::model::plan::{HostStep, Stage};

use super::context::Context;
use super::fleet::Host;
use super::steps::{self, Job};

/// How a stage ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageEnd {
    /// Every host did what it should.
    Done,
    /// These did not.
    Failed(Vec<(HostName, Failure)>),
    /// A signal came, or the time is up. What was under way may or may not have had its effect.
    Interrupted(Cause),
}

/// Which signals and failures may end a stage before all of its hosts are through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// The first failure or signal ends it: what is under way only costs time.
    None,
    /// It goes on until every host has answered, for a half-known effect is worse than a late one.
    UntilAllAnswered,
}

impl Patience {
    /// What a phase calls for on the way forward.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Upload
            | Phase::Start
            | Phase::Verify
            | Phase::Hold
            | Phase::Bake
            | Phase::Drain
            | Phase::Hook => Self::None,
            _ => Self::UntilAllAnswered,
        }
    }
}

/// Runs a stage on all of its hosts at once.
pub async fn run<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    patience: Patience,
) -> StageEnd {
    let began = Instant::now();
    let phase = stage.phase;
    let hosts: BTreeSet<_> = stage.steps.iter().map(|on| on.host.clone()).collect();
    context.tell(Event::PhaseStarted { phase, hosts });
    let end = all(context, job, stage, patience).await;
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: end == StageEnd::Done,
    });
    end
}

async fn all<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    patience: Patience,
) -> StageEnd {
    let mut by_host: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for on in &stage.steps {
        by_host.entry(&on.host).or_default().push(on);
    }
    let mut running: FuturesUnordered<_> = by_host
        .values()
        .map(|steps| on_host(context, job, stage.phase, steps))
        .collect();
    let mut failures = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            cause = context.interrupt.wait(), if patience == Patience::None => return StageEnd::Interrupted(cause),
            next = running.next() => next,
        };
        match next {
            None if failures.is_empty() => return StageEnd::Done,
            None => return StageEnd::Failed(failures),
            Some(failed) => {
                failures.extend(failed);
                if patience == Patience::None && !failures.is_empty() {
                    return StageEnd::Failed(failures);
                }
            }
        }
    }
}

/// One host's steps, one after another: its fence lets them pass only in the order of their numbers.
/// Tells what failed.
async fn on_host<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    phase: Phase,
    steps: &[&HostStep],
) -> Vec<(HostName, Failure)> {
    let mut failures = Vec::new();
    for on in steps {
        if let Err(failure) = one(context, job, phase, on).await {
            failures.push((on.host.clone(), failure));
        }
    }
    failures
}

async fn one<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    phase: Phase,
    on: &HostStep,
) -> Result<(), Failure> {
    let began = Instant::now();
    let host = on.host.clone();
    context.tell(Event::HostStarted {
        host: host.clone(),
        phase,
    });
    match steps::run(context, job, on).await {
        Ok(note) => {
            context.tell(Event::HostDone {
                host,
                phase,
                took: began.elapsed(),
                note,
            });
            Ok(())
        }
        Err(failure) => {
            context.tell(Event::HostFailed {
                host,
                phase,
                failure: failure.clone(),
            });
            Err(failure)
        }
    }
}

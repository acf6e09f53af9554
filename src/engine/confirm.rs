//! The second half of a switch: once every nginx host is proven, and every watch has time enough left, all
//! are told at once that the switch stays. From the first such word on the way is forward: it is said again
//! until it is answered, and a host whose watch was faster is switched again.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::names::{HostName, RemotePath};
use crate::model::phase::Phase;
use crate::model::plan::{NginxFacts, Stage, Switch};
use crate::model::token::{TokenState, WatchProcess, margin_is_left};
use crate::remote::answer::ConfirmAnswer;

use super::context::{Armed, Context};
use super::fleet::Host;
use super::steps::{Job, switch};
use super::{census, observe};

/// How long a host may stay silent beyond its watch's deadline until the run gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before something is said again.
const PAUSE: Duration = Duration::from_millis(500);

const FASTER: &str = "its watch was faster each time";
/// What is there may be somebody else's by now: it is not switched again.
const GAVE_UP: &str = "its watch gave up on its way home (`nonstop history` says why)";

/// How confirming ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConfirmEnd {
    /// Every switch stays.
    Everywhere,
    /// No host was told yet, and a watch has too little time left: the way is back.
    TooLate(Vec<(HostName, Failure)>),
    /// A host has to be switched again, and the new slot is no longer healthy: the way is back.
    Sick(Vec<(HostName, Failure)>),
    /// Some hosts were told, and on these it is not certain what they do.
    Unsettled(Vec<(HostName, Failure)>),
}

/// Confirms the switch of every nginx host that a stage has switched.
pub(super) async fn everywhere<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
) -> ConfirmEnd {
    let phase = Phase::Confirm;
    let switches = stage.switches();
    let number = switches.values().map(|switch| switch.number).max();
    let began = Instant::now();
    let hosts: BTreeSet<_> = switches.keys().map(|host| (*host).clone()).collect();
    context.tell(Event::PhaseStarted { phase, hosts });
    let some_were_told = context.ledger.borrow().confirmed == number;
    let late = if some_were_told {
        Vec::new()
    } else {
        too_late(context, switches.keys().copied())
    };
    let end = if late.is_empty() {
        context.ledger.borrow_mut().confirmed = number;
        let told = switches
            .iter()
            .map(|(host, switch)| on_host(context, job, host, switch));
        end_of(until_it_is_clear(told.collect()).await)
    } else {
        for (host, failure) in &late {
            failed(context, host, failure);
        }
        ConfirmEnd::TooLate(late)
    };
    context.tell(Event::PhaseEnded {
        phase,
        took: began.elapsed(),
        succeeded: end == ConfirmEnd::Everywhere,
    });
    end
}

/// The hosts whose watch has too little time left, or of which that is not known.
fn too_late<'a, H>(
    context: &Context<'_, H>,
    hosts: impl Iterator<Item = &'a HostName>,
) -> Vec<(HostName, Failure)> {
    let deadline = context.playbook.watch.deadline;
    let ledger = context.ledger.borrow();
    let late = hosts.filter_map(|host| {
        let armed = ledger.armed.get(host);
        let left = armed.map_or(Duration::ZERO, Armed::left_at_least);
        (!margin_is_left(left, deadline) && !planted(Defect::ConfirmWithoutMargin))
            .then(|| (host.clone(), Failure::TooLate { left }))
    });
    late.collect()
}

/// Waits for every host, but no longer than until one of them shows that there is no way on: whoever is still
/// asked then is overtaken by what comes next.
async fn until_it_is_clear(
    mut told: FuturesUnordered<impl Future<Output = Option<(HostName, Failure)>>>,
) -> Vec<(HostName, Failure)> {
    let mut failures = Vec::new();
    while let Some(ended) = told.next().await {
        let is_clear = |(_, failure): &(HostName, Failure)| {
            matches!(failure, Failure::Fenced { .. } | Failure::Unhealthy { .. })
        };
        failures.extend(ended);
        if failures.iter().any(is_clear) {
            break;
        }
    }
    failures
}

fn end_of(failures: Vec<(HostName, Failure)>) -> ConfirmEnd {
    let sick = |(_, failure): &(HostName, Failure)| matches!(failure, Failure::Unhealthy { .. });
    if failures.is_empty() {
        ConfirmEnd::Everywhere
    } else if failures.iter().any(sick) {
        ConfirmEnd::Sick(failures)
    } else {
        ConfirmEnd::Unsettled(failures)
    }
}

async fn on_host<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    switch: &Switch,
) -> Option<(HostName, Failure)> {
    let (phase, began) = (Phase::Confirm, Instant::now());
    let name = host.clone();
    context.tell(Event::HostStarted { host: name, phase });
    match settle(context, job, host, switch).await {
        Ok(()) => {
            context.tell(Event::HostDone {
                host: host.clone(),
                phase,
                took: began.elapsed(),
                note: None,
            });
            None
        }
        Err(failure) => {
            failed(context, host, &failure);
            Some((host.clone(), failure))
        }
    }
}

fn failed<H>(context: &Context<'_, H>, host: &HostName, failure: &Failure) {
    context.tell(Event::HostFailed {
        host: host.clone(),
        phase: Phase::Confirm,
        failure: failure.clone(),
    });
}

/// What a host needs next.
enum Next {
    /// The word that its switch stays.
    Word,
    /// To be switched again.
    Switch,
}

/// Says it until it is answered.
async fn settle<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    switch: &Switch,
) -> Result<(), Failure> {
    let give_up = Instant::now() + context.playbook.watch.deadline + PATIENCE;
    let mut next = Next::Word;
    loop {
        let step = match next {
            Next::Word => match switch::confirm(context, host).await {
                Ok(ConfirmAnswer::Confirmed) => {
                    switch::moved(context, host, TokenState::Confirmed, None);
                    return Ok(());
                }
                Ok(ConfirmAnswer::Lost(state)) => {
                    if let Some(state) = state {
                        switch::moved(context, host, state, None);
                    }
                    next = Next::Switch;
                    Ok(())
                }
                Err(Failure::OutcomeUnknown { .. }) if planted(Defect::LostConfirmIsConfirmed) => {
                    return Ok(());
                }
                Err(_) if planted(Defect::StopWhileUnreachable) => return Ok(()),
                Err(failure) => Err(failure),
            },
            Next::Switch => {
                let switched = again(context, job, host, switch).await;
                switched.map(|()| next = Next::Word)
            }
        };
        let is_late = Instant::now() >= give_up;
        let reason = match (step, &next) {
            (Err(failure), _) if is_final(&failure) => return Err(failure),
            (Err(failure), _) if is_late => failure.to_string(),
            (Ok(()), Next::Switch) if is_late => FASTER.to_owned(),
            (Ok(()), _) => continue,
            (Err(_), _) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        return Err(Failure::Unconfirmed { reason });
    }
}

/// Whether to say it again is of no use.
fn is_final(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Fenced { .. }
            | Failure::Unhealthy { .. }
            | Failure::CandidateRefused { .. }
            | Failure::Drifted
    ) || matches!(failure, Failure::Unconfirmed { reason } if reason == GAVE_UP)
}

/// Switches a host again whose watch went home, while the others stay: from what it runs now to the same
/// routing, tested and proven as before.
async fn again<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    switch: &Switch,
) -> Result<(), Failure> {
    healthy(context, job, switch).await?;
    let seen = observe::one(context.topology, context.playbook, context.crew, host).await?;
    let unknown = |what: &str| Failure::Unconfirmed {
        reason: what.to_owned(),
    };
    let now = seen
        .nginx
        .ok_or_else(|| unknown("nginx could not be looked at"))?;
    let newest = now.newest_token(job.home);
    let on_its_way = newest.filter(|token| token.state == TokenState::Fired && !token.restored);
    match on_its_way.map(|token| token.watch) {
        Some(WatchProcess::Alive) => return Err(unknown("its watch is still going home")),
        Some(WatchProcess::Gone) => return Err(unknown(GAVE_UP)),
        None => {}
    }
    let nginx = NginxFacts::of(&now).ok_or_else(|| unknown("nginx does not run"))?;
    let is_back = |path: &&RemotePath| now.siblings.contains_key(path.file_name());
    let takes_over = switch.takes_over.as_ref().filter(is_back).cloned();
    let before = match takes_over {
        Some(_) => switch.before.clone(),
        None => now.entry.content.clone(),
    };
    let switch = Switch {
        nginx,
        takes_over,
        before,
        ..switch.clone()
    };
    switch::prepare(context, job, host, &switch).await?;
    switch::commit(context, job, host, &switch).await.map(|_| ())
}

/// Nothing is led to a slot that no longer carries it.
async fn healthy<H: Host>(context: &Context<'_, H>, job: &Job<'_>, switch: &Switch) -> Result<(), Failure> {
    let is_new = |endpoint: &&Endpoint| context.topology.slot_of(endpoint) == Some(&job.plan.to);
    let endpoints: Vec<_> = switch.endpoints.iter().filter(is_new).collect();
    let asked = endpoints.iter().map(|endpoint| async move {
        let answer = census::insist(context, endpoint, HealthAnswer::is_healthy).await?;
        if answer.is_healthy() {
            return None;
        }
        if census::is_unknown(&answer) {
            let reason = format!("{endpoint} could not be asked: {answer}");
            return Some(Failure::Unconfirmed { reason });
        }
        Some(Failure::Unhealthy {
            endpoint: (*endpoint).clone(),
            seen_from: endpoint.host.clone(),
            identity: None,
            tail: String::new(),
            answer,
        })
    });
    match join_all(asked).await.into_iter().flatten().next() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

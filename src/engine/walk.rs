//! The stages of a way home, one after another: traffic first, and nothing is stopped unless every nginx is
//! proven to be home. After a confirm every host is armed before the first one is led home, so that they
//! end up alike although the controller dies in between.

use std::collections::BTreeSet;

use futures::future::join_all;
use tokio::time::{Duration, sleep};

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::lock::Owner;
use crate::model::names::HostName;
use crate::model::outcome::Outcome;
use crate::model::phase::Phase;
use crate::model::plan::{HostStep, NginxFacts, Stage, Step};

use super::context::Context;
use super::execute::warn;
use super::fleet::Host;
use super::lock::{self, Lost};
use super::stage::{self, Patience, StageEnd};
use super::steps::{Job, drain, switch};

/// How often a host is asked that gave no answer.
pub(super) const TRIES: u32 = 3;
/// The pause before it is asked again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Whose the host is that refused a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Somebody else's, or a person broke the lock.
    Foreign,
    /// Still ours by name, and the lease is over.
    Lapsed,
}

/// The worst refusal among failures, if a fence refused at all.
fn refusal<H: Host>(context: &Context<'_, H>, failures: &[(HostName, Failure)]) -> Option<Refusal> {
    let of = |(_, failure): &(HostName, Failure)| match failure {
        Failure::Fenced { lock } => {
            let by_name =
                lock.epoch == context.crew.epoch() && lock.run.as_ref() == Some(context.crew.run_id());
            Some(if by_name && lock.is_over() {
                Refusal::Lapsed
            } else {
                Refusal::Foreign
            })
        }
        _ => None,
    };
    let refusals = failures.iter().filter_map(of);
    refusals.min_by_key(|refusal| *refusal != Refusal::Foreign)
}

/// How a way home ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Walked {
    /// In what state it leaves the fleet.
    pub(super) outcome: Outcome,
    /// What of the run is left.
    pub(super) rest: Rest,
}

/// What is left of a run that went home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    None,
    /// Something that could not be taken back, such as a process on a host that gives no answer: the run stays
    /// open, so that whoever comes next takes it away.
    Some,
    /// The same, and no lock is held any more: nothing can be put on record.
    Unlocked,
}

/// How far a way home is, and what it met.
struct Walk {
    outcome: Outcome,
    rest: Rest,
    /// nginx hosts whose old workers were not seen to leave.
    unseen: BTreeSet<HostName>,
    /// WAS hosts on which something did not end.
    unended: BTreeSet<HostName>,
}

/// Runs the stages to their end, and says in what state that leaves the fleet.
pub(super) async fn home<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stages: &[Stage],
    owner: &Owner,
) -> Walked {
    let mut walk = Walk {
        outcome: Outcome::AsItWas,
        rest: Rest::None,
        unseen: BTreeSet::new(),
        unended: BTreeSet::new(),
    };
    for stage in stages {
        let stage = &unless_unseen(stage, &walk.unseen);
        let stage = &unless_full(context, stage, &walk.unended);
        if stage.hooks_of().is_some() {
            if let Err(gone) = last_hooks(context, job, stage, owner).await {
                return gone.of(walk.outcome);
            }
            continue;
        }
        let end = if stage.phase == Phase::Revert {
            walk.outcome = Outcome::RolledBack;
            back(context, job, stage, owner).await
        } else {
            leased(context, job, stage, owner).await
        };
        if let Err(walked) = walk.meets(context, stage, end).await {
            return walked;
        }
        let unseen = walk.unseen.iter().cloned();
        context.ledger.borrow_mut().undrained.extend(unseen);
    }
    Walked {
        outcome: walk.outcome,
        rest: walk.rest,
    }
}

impl Walk {
    /// Takes the end of a stage, or says how the way home ends with it.
    async fn meets<H: Host>(
        &mut self,
        context: &Context<'_, H>,
        stage: &Stage,
        end: Result<Failures, Gone>,
    ) -> Result<(), Walked> {
        let traffic = stage.phase == Phase::Revert;
        let outcome = if traffic { Outcome::Mixed } else { self.outcome };
        let mut failures = end.map_err(|gone| gone.of(outcome))?;
        if traffic && !failures.is_empty() {
            return Err(Walked {
                outcome: Outcome::Mixed,
                rest: Rest::Some,
            });
        }
        if traffic {
            failures = drain_unseen(context, stage).await;
        }
        if failures.is_empty() {
            return Ok(());
        }
        let hosts = failures.iter().map(|(host, _)| host.clone());
        match stage.phase {
            // Who cannot be seen to have left may still be there.
            Phase::Revert | Phase::Drain => self.unseen.extend(hosts),
            Phase::Stop => self.unended.extend(hosts),
            _ => {}
        }
        self.rest = Rest::Some;
        warn(context, failures);
        Ok(())
    }
}

/// The stage without the clearing up of nginx hosts whose old workers were not seen to leave: by what is left
/// there, whoever goes on with the run knows that it has to wait for them.
fn unless_unseen(stage: &Stage, unseen: &BTreeSet<HostName>) -> Stage {
    let mut stage = stage.clone();
    if stage.phase == Phase::Finish {
        stage.steps.retain(|on| !unseen.contains(&on.host));
    }
    stage
}

/// The stage without starting anything where what the run started may still be up: two do not fit there.
fn unless_full<H>(context: &Context<'_, H>, stage: &Stage, unended: &BTreeSet<HostName>) -> Stage {
    let mut stage = stage.clone();
    if stage.phase == Phase::Start {
        stage.steps.retain(|on| {
            let full = unended.contains(&on.host);
            if full {
                let reason =
                    "the old instance was not started again: what the run started there may be up".to_owned();
                let finding = Finding::warning(Some(&on.host), Problem::LeftUndone { reason });
                context.tell(Event::Warned { finding });
            }
            !full
        });
    }
    stage
}

/// The hosts are not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Somebody else has them now.
    TakenOver,
    /// Our own locks could not all be taken again, and none is held now.
    Forgone,
}

impl Gone {
    /// How a way home ends with it that has come to that outcome so far.
    fn of(self, outcome: Outcome) -> Walked {
        match self {
            Self::TakenOver => Walked {
                outcome: Outcome::TakenOver,
                rest: Rest::Some,
            },
            Self::Forgone => Walked {
                outcome,
                rest: Rest::Unlocked,
            },
        }
    }
}

/// Runs the playbook's hooks at the end of a way home. That one fails is said, and changes nothing.
async fn last_hooks<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    owner: &Owner,
) -> Result<(), Gone> {
    let failures = leased(context, job, stage, owner).await?;
    warn(context, failures);
    Ok(())
}

pub(super) type Failures = Vec<(HostName, Failure)>;

/// Runs a stage, and once more if a lease was over in between and the locks could be taken again: every step
/// of a way home may be repeated.
async fn leased<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    owner: &Owner,
) -> Result<Failures, Gone> {
    let run = async || match stage::run(context, job, stage, Patience::UntilAllAnswered).await {
        StageEnd::Failed(failures) => failures,
        StageEnd::Done | StageEnd::Interrupted(_) => Vec::new(),
    };
    again_if_lapsed(context, owner, run).await
}

/// Does something that may be repeated, and once more where a lease was over and the locks could be taken again.
pub(super) async fn again_if_lapsed<H: Host>(
    context: &Context<'_, H>,
    owner: &Owner,
    act: impl AsyncFn() -> Failures,
) -> Result<Failures, Gone> {
    let failures = act().await;
    match refusal(context, &failures) {
        None => return Ok(failures),
        Some(Refusal::Foreign) => return Err(Gone::TakenOver),
        Some(Refusal::Lapsed) => {}
    }
    match lock::take_again(context, owner).await {
        Ok(()) => {}
        Err(Lost::TakenOver) => return Err(Gone::TakenOver),
        Err(Lost::Forgone) => return Err(Gone::Forgone),
        // What can still be reached is ours under the old epoch.
        Err(Lost::Unreachable) => return Ok(failures),
    }
    let failures = act().await;
    match refusal(context, &failures) {
        Some(Refusal::Foreign) => Err(Gone::TakenOver),
        _ => Ok(failures),
    }
}

/// Leads traffic home. A host that gives no answer is asked again: it may have its way back behind it.
async fn back<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    stage: &Stage,
    owner: &Owner,
) -> Result<Failures, Gone> {
    let mut left = stage.clone();
    let mut unarmed = Vec::new();
    if context.ledger.borrow().confirmed.is_some() {
        unarmed = again_if_lapsed(context, owner, async || arm(context, job, &left).await).await?;
        say_unarmed(context, &unarmed);
        left.steps
            .retain(|step| unarmed.iter().all(|(host, _)| *host != step.host));
    }
    for attempt in 1..=TRIES {
        if left.steps.is_empty() {
            break;
        }
        let failures = leased(context, job, &left, owner).await?;
        left.steps.retain(|step| {
            failures
                .iter()
                .any(|(host, failure)| *host == step.host && is_silent(failure))
        });
        let lost = failures.len() > left.steps.len();
        if failures.is_empty() || lost || attempt == TRIES {
            unarmed.extend(failures);
            break;
        }
        sleep(PAUSE).await;
    }
    Ok(unarmed)
}

/// Waits for the old workers of hosts that could not be looked at when the way home was planned, and were led
/// home all the same.
async fn drain_unseen<H: Host>(context: &Context<'_, H>, stage: &Stage) -> Failures {
    let unseen = stage.steps.iter().map(|HostStep { host, step }| async move {
        let Step::Revert { nginx: None, .. } = step else {
            return None;
        };
        let drained = async {
            let facts = switch::facts_of(context, host, None).await?;
            drain::workers(context, host, &facts.master).await
        };
        Some((host.clone(), drained.await.err()?))
    });
    join_all(unseen).await.into_iter().flatten().collect()
}

/// Whether nobody knows what the host did.
fn is_silent(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::OutcomeUnknown { .. } | Failure::Unreachable { .. }
    )
}

/// Arms every host of a way back. One that cannot be armed is not led home: its token would go on saying that
/// it was confirmed.
async fn arm<H: Host>(context: &Context<'_, H>, job: &Job<'_>, stage: &Stage) -> Failures {
    let armed = stage.steps.iter().map(|HostStep { host, step }| async move {
        let Step::Revert { nginx, .. } = step else {
            return None;
        };
        let failure = arm_one(context, job, host, nginx.as_ref()).await.err()?;
        Some((host.clone(), failure))
    });
    join_all(armed).await.into_iter().flatten().collect()
}

fn say_unarmed<H>(context: &Context<'_, H>, unarmed: &Failures) {
    for (host, failure) in unarmed {
        let problem = Problem::LeftUndone {
            reason: format!("its watch could not be armed for the way back: {failure}"),
        };
        context.tell(Event::Warned {
            finding: Finding::warning(Some(host), problem),
        });
    }
}

async fn arm_one<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    facts: Option<&NginxFacts>,
) -> Result<(), Failure> {
    let mut tries = 1;
    loop {
        match switch::arm(context, job, host, facts).await {
            Err(failure) if is_silent(&failure) && tries < TRIES => sleep(PAUSE).await,
            end => return end,
        }
        tries += 1;
    }
}

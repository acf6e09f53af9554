//! The switch of one nginx host: tested beside the live file, armed, put in place by rename, proven; and
//! the way back.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::engine::context::{Armed, Context};
use crate::engine::crew::{MARGIN, answer, passed};
use crate::engine::fleet::CallError;
use crate::engine::fleet::Host;
use crate::engine::observe;
use crate::model::defect::{Defect, planted};
use crate::model::event::{Event, Note, ProofUsed};
use crate::model::failure::Failure;
use crate::model::lock::Fence;
use crate::model::names::{HostName, RemotePath, RunId};
use crate::model::plan::{NginxFacts, Switch, UpstreamFile};
use crate::model::token::{TokenId, TokenState};
use crate::remote::answer::{Answer, ArmAnswer, ConfirmAnswer, Fenced, PrepareAnswer, SwitchAnswer};
use crate::remote::command::{
    Arm, Command, Commit, Confirm, NginxPlace, PlacedContent, Placement, Prepare, Revert, Upstreams,
};

use super::{Job, proof};

pub(in crate::engine) async fn prepare<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    switch: &Switch,
) -> Result<Option<Note>, Failure> {
    let command = Command::Prepare(Prepare {
        fence: context.crew.fence(host),
        home: job.home.of_switch(switch.number),
        nginx: place(context, host, &switch.nginx)?,
        placement: placement(switch),
        candidate: switch.after.clone(),
        upstreams: switch.upstreams.as_ref().map(upstreams),
        shadow: switch.shadow.clone(),
    });
    match passed(answer!(context.crew.call(host, command).await?, Prepare)?)? {
        PrepareAnswer::Accepted { .. } => Ok(None),
        PrepareAnswer::Refused { output } => Err(Failure::CandidateRefused { output }),
        PrepareAnswer::Drifted => Err(Failure::Drifted),
    }
}

pub(in crate::engine) async fn commit<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    switch: &Switch,
) -> Result<Option<Note>, Failure> {
    let nginx = place(context, host, &switch.nginx)?;
    let before = proof::arrivals_before(context, host, switch).await;
    let fence = context.crew.fence(host);
    let home = job.home.of_switch(switch.number);
    let earlier = begin(context, host, token_of(&home, &fence));
    let watch = context.playbook.watch;
    let command = Command::Commit(Commit {
        fence,
        home,
        watch: watch.deadline,
        nginx,
        placement: placement(switch),
        deadline: watch.proof_deadline(),
    });
    let deadline = watch.proof_deadline() + MARGIN;
    let answered = context.crew.call_within(host, command, deadline).await;
    if touched_nothing(&answered) {
        take_back(context, host, earlier);
    }
    match passed(answer!(answered?, Commit)?)? {
        SwitchAnswer::Proven { watch_left, .. } => is_armed(context, host, watch_left),
        SwitchAnswer::Unproven { .. } if planted(Defect::StopBeforeProof) => {
            is_armed(context, host, Some(watch.deadline));
            return Ok(None);
        }
        SwitchAnswer::Drifted => return Err(Failure::Drifted),
        SwitchAnswer::Restarted => return Err(restarted()),
        SwitchAnswer::Unproven { reason } => return Err(Failure::Unproven { reason }),
        SwitchAnswer::NoHome => return Err(no_home()),
    }
    let proof = proof::prove(context, host, switch, &before).await?;
    if planted(Defect::ConfirmBeforeAllAreProven) {
        confirm(context, host).await?;
    }
    Ok(Some(Note::Proven { proof }))
}

/// What was known of a host before it was told to switch.
struct Earlier {
    armed: Option<Armed>,
    was_told: bool,
}

/// From here on it may have happened, whatever comes back.
fn begin<H>(context: &Context<'_, H>, host: &HostName, token: TokenId) -> Earlier {
    let armed = Armed {
        token,
        sent: Instant::now(),
        left: None,
    };
    let mut ledger = context.ledger.borrow_mut();
    Earlier {
        armed: ledger.armed.insert(host.clone(), armed),
        was_told: !ledger.told_to_switch.insert(host.clone()),
    }
}

/// The host certainly did nothing.
fn take_back<H>(context: &Context<'_, H>, host: &HostName, earlier: Earlier) {
    let mut ledger = context.ledger.borrow_mut();
    match earlier.armed {
        Some(armed) => ledger.armed.insert(host.clone(), armed),
        None => ledger.armed.remove(host),
    };
    if !earlier.was_told {
        ledger.told_to_switch.remove(host);
    }
}

fn touched_nothing(answered: &Result<Answer, CallError>) -> bool {
    match answered {
        Err(CallError::NotSent { .. }) => true,
        Ok(Answer::Commit(fenced)) => !matches!(
            fenced,
            Fenced::Passed(SwitchAnswer::Proven { .. } | SwitchAnswer::Unproven { .. })
        ),
        _ => false,
    }
}

fn is_armed<H>(context: &Context<'_, H>, host: &HostName, left: Option<Duration>) {
    if let Some(armed) = context.ledger.borrow_mut().armed.get_mut(host) {
        armed.left = left;
    }
    moved(context, host, TokenState::Armed, left);
}

/// Tells what became of a host's token.
pub(in crate::engine) fn moved<H>(
    context: &Context<'_, H>,
    host: &HostName,
    state: TokenState,
    left: Option<Duration>,
) {
    let host = host.clone();
    context.tell(Event::TokenMoved { host, state, left });
}

/// The name of the token that a script with this fence arms: known whether its answer comes or not.
fn token_of(home: &RunId, fence: &Fence) -> TokenId {
    TokenId {
        run: home.clone(),
        epoch: fence.epoch,
        number: fence.sequence,
    }
}

fn restarted() -> Failure {
    Failure::Unproven {
        reason: "nginx was started anew since it was looked at; nothing was changed".to_owned(),
    }
}

/// The home of a way back: what was there before the first switch, however many followed.
fn before_the_run<H>(context: &Context<'_, H>, job: &Job<'_>) -> RunId {
    let confirmed = context.ledger.borrow().confirmed;
    match confirmed.filter(|_| planted(Defect::WeightsLeftBehind)) {
        Some(number) => job.home.of_switch(number),
        None => job.home.of_switch(1),
    }
}

fn no_home() -> Failure {
    Failure::Unproven {
        reason: "no home is saved on the host".to_owned(),
    }
}

/// Tells a host's watch that its switch stays; the answer is what its token is now.
pub(in crate::engine) async fn confirm<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
) -> Result<ConfirmAnswer, Failure> {
    let token = context
        .ledger
        .borrow()
        .armed
        .get(host)
        .map(|armed| armed.token.clone());
    let Some(token) = token else {
        return Ok(ConfirmAnswer::Lost(None));
    };
    let command = Command::Confirm(Confirm {
        fence: context.crew.fence(host),
        token,
    });
    let answered = context.crew.call_within(host, command, MARGIN).await?;
    passed(answer!(answered, Confirm)?)
}

/// Arms a host and touches nothing else, so that it goes home by itself unless it is led there.
pub(in crate::engine) async fn arm<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    facts: Option<&NginxFacts>,
) -> Result<(), Failure> {
    let nginx = place(context, host, &facts_of(context, host, facts).await?)?;
    let fence = context.crew.fence(host);
    let home = before_the_run(context, job);
    let armed = Armed {
        token: token_of(&home, &fence),
        sent: Instant::now(),
        left: None,
    };
    let watch = context.playbook.watch;
    let command = Command::Arm(Arm {
        fence,
        home,
        nginx,
        watch: watch.deadline,
        deadline: watch.proof_deadline(),
    });
    let answered = context.crew.call_within(host, command, MARGIN).await;
    let left = match passed(answer!(answered?, Arm)?)? {
        ArmAnswer::Armed { left } => left,
        ArmAnswer::NoHome => return Err(no_home()),
    };
    context.ledger.borrow_mut().armed.insert(host.clone(), armed);
    is_armed(context, host, Some(left));
    Ok(())
}

pub(super) async fn revert<H: Host>(
    context: &Context<'_, H>,
    job: &Job<'_>,
    host: &HostName,
    generation: Option<&str>,
    facts: Option<&NginxFacts>,
) -> Result<Option<Note>, Failure> {
    let nginx = place(context, host, &facts_of(context, host, facts).await?)?;
    let deadline = context.playbook.watch.proof_deadline();
    let command = Command::Revert(Revert {
        fence: context.crew.fence(host),
        home: before_the_run(context, job),
        nginx,
        deadline,
    });
    let deadline = deadline + MARGIN;
    let answered = context.crew.call_within(host, command, deadline).await?;
    match passed(answer!(answered, Revert)?)? {
        SwitchAnswer::Proven { .. } => {
            if context.ledger.borrow().armed.contains_key(host) {
                moved(context, host, TokenState::Reverted, None);
            }
        }
        SwitchAnswer::Drifted => return Err(Failure::Drifted),
        SwitchAnswer::Restarted => return Err(restarted()),
        SwitchAnswer::Unproven { reason } => return Err(Failure::Unproven { reason }),
        SwitchAnswer::NoHome => return Err(no_home()),
    }
    let Some(generation) = generation else {
        return Ok(Some(Note::Proven {
            proof: ProofUsed::Workers,
        }));
    };
    proof::generation(context, host, generation).await?;
    Ok(Some(Note::Proven {
        proof: ProofUsed::Generation,
    }))
}

/// The nginx as the plan knows it: a script that finds another master changes nothing.
fn place<H>(context: &Context<'_, H>, host: &HostName, facts: &NginxFacts) -> Result<NginxPlace, Failure> {
    let missing = || Failure::Script {
        reason: "it is no nginx host".to_owned(),
    };
    let topology = context.topology.nginx.get(host).ok_or_else(missing)?;
    Ok(NginxPlace {
        binary: topology.binary.clone(),
        conf: facts.conf.clone(),
        error_log: facts.error_log.clone(),
        reload: context.playbook.nginx.reload,
        master: facts.master.clone(),
    })
}

/// The nginx as it is known, or as it is now on a host that could not be looked at when the way home was
/// planned.
pub(in crate::engine) async fn facts_of<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    known: Option<&NginxFacts>,
) -> Result<NginxFacts, Failure> {
    if let Some(facts) = known {
        return Ok(facts.clone());
    }
    let seen = observe::one(context.topology, context.playbook, context.crew, host).await?;
    let facts = seen.nginx.as_ref().and_then(NginxFacts::of);
    facts.ok_or_else(|| Failure::Script {
        reason: "nginx does not run".to_owned(),
    })
}

fn placement(switch: &Switch) -> Placement {
    let link = |path: &RemotePath| PlacedContent::Link(path.clone());
    Placement {
        entry: switch.entry.clone(),
        content: switch
            .link
            .as_ref()
            .map_or_else(|| PlacedContent::File(switch.after.clone()), link),
        target: switch.target.clone(),
        takes_over: switch.takes_over.clone(),
        expected_sha256: switch.before.as_deref().map(digest),
    }
}

fn upstreams(file: &UpstreamFile) -> Upstreams {
    Upstreams {
        file: file.path.clone(),
        expected_sha256: file.before.as_deref().map(digest),
        text: file.after.clone(),
    }
}

fn digest(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text))
}

//! The switch of one nginx host: tested beside the live file, put in place by rename, proven; and
//! the way back.

use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::crew::{MARGIN, answer, passed};
use crate::engine::fleet::CallError;
use crate::engine::fleet::Host;
use crate::engine::observe;
use crate::model::event::{Note, ProofUsed};
use crate::model::failure::Failure;
use crate::model::names::{HostName, RemotePath};
use crate::model::plan::{NginxFacts, Switch};
use crate::remote::answer::{PrepareAnswer, SwitchAnswer};
use crate::remote::command::{Command, Commit, NginxPlace, PlacedContent, Placement, Prepare, Revert};
use sha2::{Digest, Sha256};

use super::proof;

/// How long fresh workers may take. A refused listener is retried by nginx for about 2.5 s, so less
/// than 5 s could call a slow reload a refused one.
const PROOF_DEADLINE: Duration = Duration::from_secs(8);

pub(super) async fn prepare<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    switch: &Switch,
) -> Result<Option<Note>, Failure> {
    let command = Command::Prepare(Prepare {
        fence: context.crew.fence(host),
        home: context.crew.run_id().clone(),
        nginx: place(context, host, &switch.nginx)?,
        placement: placement(switch),
        candidate: switch.after.clone(),
        shadow: switch.shadow.clone(),
    });
    match passed(answer!(context.crew.call(host, command).await?, Prepare)?)? {
        PrepareAnswer::Accepted { .. } => Ok(None),
        PrepareAnswer::Refused { output } => Err(Failure::CandidateRefused { output }),
        PrepareAnswer::Drifted => Err(Failure::Drifted),
    }
}

pub(super) async fn commit<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    switch: &Switch,
) -> Result<Option<Note>, Failure> {
    let command = Command::Commit(Commit {
        fence: context.crew.fence(host),
        home: context.crew.run_id().clone(),
        watch: context.playbook.watch.deadline,
        nginx: place(context, host, &switch.nginx)?,
        placement: placement(switch),
        deadline: PROOF_DEADLINE,
    });
    let before = proof::arrivals_before(context, host, switch).await;
    // From here on it may have happened, whatever comes back.
    context.ledger.borrow_mut().told_to_switch.insert(host.clone());
    let answered = context
        .crew
        .call_within(host, command, PROOF_DEADLINE + MARGIN)
        .await;
    let untouched = match &answered {
        Err(CallError::NotSent { .. }) => true,
        Ok(crate::remote::answer::Answer::Commit(fenced)) => !matches!(
            fenced,
            crate::remote::answer::Fenced::Passed(
                SwitchAnswer::Proven { .. } | SwitchAnswer::Unproven { .. }
            )
        ),
        _ => false,
    };
    if untouched {
        context.ledger.borrow_mut().told_to_switch.remove(host);
    }
    match passed(answer!(answered?, Commit)?)? {
        SwitchAnswer::Proven { .. } => {}
        SwitchAnswer::Drifted => return Err(Failure::Drifted),
        SwitchAnswer::Unproven { reason } => return Err(Failure::Unproven { reason }),
        SwitchAnswer::NoHome => {
            return Err(Failure::Unproven {
                reason: "home was not saved".to_owned(),
            });
        }
    }
    let proof = proof::prove(context, host, switch, &before).await?;
    Ok(Some(Note::Proven { proof }))
}

pub(super) async fn revert<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    generation: Option<&str>,
    facts: Option<&NginxFacts>,
) -> Result<Option<Note>, Failure> {
    let facts = match facts {
        Some(facts) => facts.clone(),
        None => facts_now(context, host).await?,
    };
    let command = Command::Revert(Revert {
        fence: context.crew.fence(host),
        home: context.crew.run_id().clone(),
        nginx: place(context, host, &facts)?,
        deadline: PROOF_DEADLINE,
    });
    let answered = context
        .crew
        .call_within(host, command, PROOF_DEADLINE + MARGIN)
        .await?;
    match passed(answer!(answered, Revert)?)? {
        SwitchAnswer::Proven { .. } => {}
        SwitchAnswer::Drifted => return Err(Failure::Drifted),
        SwitchAnswer::Unproven { reason } => return Err(Failure::Unproven { reason }),
        SwitchAnswer::NoHome => {
            return Err(Failure::Unproven {
                reason: "no home is saved on the host".to_owned(),
            });
        }
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

/// The nginx as it is now, on a host that could not be looked at when the way home was planned.
async fn facts_now<H: Host>(context: &Context<'_, H>, host: &HostName) -> Result<NginxFacts, Failure> {
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
        expected_sha256: switch
            .before
            .as_ref()
            .map(|text| data_encoding::HEXLOWER.encode(&Sha256::digest(text))),
    }
}

//! Who keeps a single slot in service: whether enough others are there before a host leaves the routing, and somebody
//! before an instance ends. They are asked from their own hosts and from every nginx.

use futures::future::join_all;

use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::{Failure, HealthAnswer};
use crate::model::finding::{Finding, Problem};
use crate::model::names::HostName;
use crate::model::phase::Phase;
use crate::model::plan::{self, NextLeg, Stage, Step};
use crate::model::record::RunRecord;

use super::context::Context;
use super::fleet::Host;
use super::walk::Rest;
use super::{census, observe};

/// Whether enough of those that stay are healthy, where a host leaves that serves.
pub(super) async fn may_leave<H: Host>(context: &Context<'_, H>, leg: &NextLeg) -> Result<(), String> {
    if leg.leaving.is_empty() || planted(Defect::LastInServiceLeaves) {
        return Ok(());
    }
    let leaving = census::may_serve(context, &leg.leaving);
    let staying = census::reached(context, &leg.staying);
    let (leaving, staying) = futures::join!(leaving, staying);
    // Whom nobody is served by may leave.
    if staying >= leg.least || leaving == 0 {
        return Ok(());
    }
    let told: Vec<_> = leg.leaving.iter().map(Endpoint::to_string).collect();
    Err(format!(
        "{} stays in service: of the others {staying} are healthy, seen from every nginx as well, and {} have to be",
        told.join(", "),
        leg.least
    ))
}

/// Whether what is out of the routing may end: every nginx was read back and looked at once more, and somebody else
/// is in service.
pub(super) async fn may_end<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    stage: &Stage,
) -> Result<(), Vec<(HostName, Failure)>> {
    let hosts: Vec<_> = stage.steps.iter().map(|on| &on.host).collect();
    let slot = record.to_slot.as_ref();
    let all = slot
        .map(|slot| context.topology.endpoints(slot))
        .unwrap_or_default();
    let leaving: Vec<_> = all.into_iter().filter(|it| hosts.contains(&&it.host)).collect();
    let looked = context.topology.nginx.keys().map(|host| {
        let leaving = &leaving;
        async move {
            let out = async {
                let seen = observe::one(context.topology, context.playbook, context.crew, host).await?;
                let ours = seen.lock.epoch == context.crew.epoch()
                    && seen.lock.run.as_ref() == Some(context.crew.run_id());
                if !ours {
                    return Err(Failure::Fenced { lock: seen.lock });
                }
                plan::is_out(context.topology, host, seen, leaving)
            };
            Some((host.clone(), out.await.err()?))
        }
    });
    let mut failures: Vec<(HostName, Failure)> = join_all(looked).await.into_iter().flatten().collect();
    if failures.is_empty()
        && !planted(Defect::LastInServiceLeaves)
        && let Some(at) = last_in_service(context, record, &leaving).await
    {
        let reason = "nothing that nginx routes to is healthy, seen from every nginx as well".to_owned();
        let host = at.host.clone();
        failures.push((host, Failure::SuccessorMissing { endpoint: at, reason }));
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// Leaves up what a leg has started and would take away again, where it is healthy and nothing is that nginx routes
/// to once the leg is home. Says what is left.
pub(super) async fn spare<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    stages: &mut [Stage],
) -> Rest {
    let stop = stages.iter_mut().find(|stage| stage.phase == Phase::Stop);
    let Some(stop) = stop.filter(|_| !planted(Defect::LastInServiceLeaves)) else {
        return Rest::None;
    };
    let ends = stop.steps.iter().filter_map(|on| match &on.step {
        Step::Withdraw {
            instance: Some((_, port, _)),
            ..
        } => Some(Endpoint {
            host: on.host.clone(),
            port: *port,
        }),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    if ends.is_empty() {
        return Rest::None;
    }
    let Some(at) = last_in_service(context, record, &ends).await else {
        return Rest::None;
    };
    for on in &mut stop.steps {
        if let Step::Withdraw { instance, .. } = &mut on.step {
            *instance = None;
        }
    }
    let reason = format!("{at} stays up: nothing that nginx routes to is healthy");
    let problem = Problem::LeftUndone { reason };
    let finding = Finding::warning(Some(&at.host), problem);
    context.tell(Event::Warned { finding });
    Rest::Some
}

/// One of these that is healthy while nothing is that nginx routes to, or that one of them reaches.
async fn last_in_service<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    leaving: &[Endpoint],
) -> Option<Endpoint> {
    let routed = plan::at_home(context.topology, record);
    if census::reached(context, &routed).await > 0 {
        return None;
    }
    let left = census::census(context, leaving.to_vec(), HealthAnswer::is_healthy).await;
    let first = leaving.first().filter(|_| left.healthy > 0);
    first.cloned()
}

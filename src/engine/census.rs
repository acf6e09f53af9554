//! Counts what the endpoints of a slot answer, where it has to be decided which slot could carry the traffic.
//! One answer that is lost, or late once, decides nothing.

use futures::future::join_all;
use tokio::time::{Instant, sleep_until};

use crate::model::decision::{self, Census, Evidence, Home, Slots, Switched};
use crate::model::endpoint::Endpoint;
use crate::model::failure::HealthAnswer;
use crate::model::plan;
use crate::model::record::RunRecord;

use super::context::Context;
use super::fleet::Host;
use super::health::TOLERANCE;
use super::preflight;

/// What an endpoint has to answer so that it is not asked again.
pub(super) type Enough = fn(&HealthAnswer) -> bool;

/// Counts what some endpoints answer, each to its own host.
pub(super) async fn census<H: Host>(
    context: &Context<'_, H>,
    endpoints: Vec<Endpoint>,
    enough: Enough,
) -> Census {
    let asked = endpoints.iter().map(|endpoint| insist(context, endpoint, enough));
    let answers = join_all(asked).await;
    let count = |is: Enough| answers.iter().flatten().filter(|answer| is(answer)).count();
    Census {
        endpoints: endpoints.len(),
        answering: count(answers_at_all),
        healthy: count(HealthAnswer::is_healthy),
        unknown: count(is_unknown),
    }
}

/// What the two slots answer: of the new one the endpoints that have a share of the traffic.
pub(super) async fn slots<H: Host>(
    context: &Context<'_, H>,
    record: &RunRecord,
    evidence: &Evidence,
) -> Slots {
    let switched = Switched::of(&evidence.tokens);
    let is_asked = switched != Switched::Nowhere && !record.point_of_no_return;
    let from = record.from_slot.as_ref();
    let old = from
        .filter(|_| is_asked)
        .map(|_| plan::at_home(context.topology, record));
    // Only what was decided hangs on health.
    let enough: Enough = match switched {
        Switched::Confirmed => HealthAnswer::is_healthy,
        Switched::Nowhere | Switched::Armed => answers_at_all,
    };
    let (old, new) = futures::join!(
        census(context, old.unwrap_or_default(), enough),
        census(
            context,
            plan::in_question(context.topology, record, evidence.reached),
            enough
        )
    );
    Slots {
        new_is_healthy: new.is_healthy(),
        old_is_alive: decision::home_is_there(Home {
            old: from.map(|_| old),
            new,
            switched,
            point_of_no_return: record.point_of_no_return,
        }),
    }
}

/// What an endpoint answers to its own host: asked as often in a row as a bake asks, until it is enough.
pub(super) async fn insist<H: Host>(
    context: &Context<'_, H>,
    endpoint: &Endpoint,
    enough: Enough,
) -> Option<HealthAnswer> {
    again(context, enough, || preflight::own_view(context, endpoint)).await
}

/// How many of some endpoints could serve: healthy or unknown to their own hosts, and where a host is left out, to any
/// nginx host.
pub(super) async fn may_serve<H: Host>(context: &Context<'_, H>, endpoints: &[Endpoint]) -> usize {
    let is = HealthAnswer::is_healthy;
    let could = |answer: Option<HealthAnswer>| answer.is_some_and(|it| is(&it) || is_unknown(&it));
    let asked = endpoints.iter().map(|endpoint| async move {
        if context.topology.was.contains_key(&endpoint.host) {
            return could(insist(context, endpoint, is).await);
        }
        let nginx = context.topology.nginx.keys();
        let asked = nginx.map(|from| again(context, is, move || preflight::view_of(context, from, endpoint)));
        join_all(asked).await.into_iter().any(could)
    });
    join_all(asked).await.into_iter().filter(|could| *could).count()
}

/// How many of some endpoints are healthy at least: seen from their own hosts, and from each nginx host.
pub(super) async fn reached<H: Host>(context: &Context<'_, H>, endpoints: &[Endpoint]) -> usize {
    let is = HealthAnswer::is_healthy;
    let own = async { census(context, endpoints.to_vec(), is).await.healthy };
    let from_nginx = context.topology.nginx.keys().map(|from| async move {
        let asked = endpoints
            .iter()
            .map(|endpoint| again(context, is, || preflight::view_of(context, from, endpoint)));
        join_all(asked)
            .await
            .iter()
            .flatten()
            .filter(|answer| is(answer))
            .count()
    });
    let (own, from_nginx) = futures::join!(own, join_all(from_nginx));
    from_nginx.into_iter().fold(own, usize::min)
}

/// Asks as often in a row as a bake asks, until the answer is enough.
async fn again<H: Host, F: Future<Output = Option<HealthAnswer>>>(
    context: &Context<'_, H>,
    enough: Enough,
    ask: impl Fn() -> F,
) -> Option<HealthAnswer> {
    let mut tries = 1;
    loop {
        let asked_at = Instant::now();
        let answer = ask().await?;
        if enough(&answer) || tries == TOLERANCE {
            return Some(answer);
        }
        tries += 1;
        sleep_until(asked_at + context.playbook.health.interval).await;
    }
}

/// Whether it answers, whatever it says. Home was good enough for traffic before the run, whatever its health
/// said; what counts is that it is still there.
pub(super) fn answers_at_all(answer: &HealthAnswer) -> bool {
    matches!(answer, HealthAnswer::Healthy { .. } | HealthAnswer::Wrong { .. })
}

/// Whether the question never came as far as the endpoint.
pub(super) fn is_unknown(answer: &HealthAnswer) -> bool {
    matches!(answer, HealthAnswer::Failed { .. })
}

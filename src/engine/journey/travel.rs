//! Goes leg by leg towards one release, each planned from what is true then.

use std::collections::BTreeSet;

use tokio::time::sleep;

use crate::engine::context::{Context, Ledger, Vacates};
use crate::engine::execute::{self, Ended, warn};
use crate::engine::fleet::Host;
use crate::engine::stage::{self, Patience, StageEnd};
use crate::engine::steps::Job;
use crate::engine::walk::{PAUSE, TRIES};
use crate::engine::{homeward, in_service};
use crate::model::endpoint::Endpoint;
use crate::model::journey::Heading;
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Bound, Jar, Next, NextLeg, Plan, Scene, Step};
use crate::model::record::RunRecord;

use super::trip::{Moved, Trip};
use super::{close, leaves, say};

/// How the way to one release ended.
pub(super) enum Way {
    /// Every host is there.
    There(Ended),
    /// A leg did not go well, and what it did was taken back.
    Turned(Ended),
    /// Nobody knows what every nginx does, or it is somebody else's.
    Stuck(Ended),
}

/// Goes leg by leg, until every host is where it should be or one leg has gone home.
pub(super) async fn travel<H: Host>(
    context: &Context<'_, H>,
    trip: &mut Trip<'_>,
    bound: &Bound,
    heading: Heading,
    mut jar: Jar,
) -> Way {
    let mut started: BTreeSet<Endpoint> = BTreeSet::new();
    loop {
        let observed = look(context).await;
        if let Some(endpoint) = started.iter().find(|it| is_gone(&observed, it, bound)) {
            let release = &bound.release.id;
            leaves(
                context,
                format!("{endpoint} came in with {release} and does not run it any more"),
            );
            return Way::Turned(Ended::unchanged(Exit::Failed));
        }
        let run = trip.run.leg(trip.legs + 1);
        let scene = Scene {
            run: &run,
            ..trip.scene(context, &observed)
        };
        context.ledger.replace(Ledger::default());
        let leg = match plan::next_leg(&scene, bound, jar, trip.hooked(heading)) {
            Err(findings) => {
                for finding in findings {
                    say(context, finding);
                }
                return Way::Turned(Ended::unchanged(Exit::Failed));
            }
            Ok(Next::Leg(leg)) => leg,
            Ok(Next::Arrived(plan)) => return arrive(context, trip, &observed, &plan, heading).await,
        };
        if let Err(reason) = in_service::may_leave(context, &leg).await {
            leaves(context, reason);
            return Way::Turned(Ended::unchanged(Exit::Failed));
        }
        trip.legs += 1;
        jar = Jar::There;
        let record = trip.record(context, &observed, &leg.plan, heading);
        if let Err(ended) = one(context, trip, &observed, &leg, record).await {
            return match ended.verdict.outcome {
                Outcome::AsItWas | Outcome::RolledBack => Way::Turned(ended),
                _ => Way::Stuck(ended),
            };
        }
        started.extend(starts_at(context, &leg.plan, bound));
        if heading == Heading::Forward {
            trip.came.extend(comes(&leg.plan));
        }
    }
}

/// Goes one leg.
async fn one<H: Host>(
    context: &Context<'_, H>,
    trip: &mut Trip<'_>,
    observed: &Observed,
    leg: &NextLeg,
    record: RunRecord,
) -> Result<(), Ended> {
    let run = record.run.clone();
    let job = Job {
        plan: &leg.plan,
        home: &run,
        jar: trip.jar,
    };
    execute::remember_running(context, observed, &leg.plan);
    let followed = execute::follow(context, observed, &job, record.clone()).await;
    let starts = leg.plan.stage(Phase::Start).is_some();
    trip.moved = match std::mem::replace(&mut trip.moved, Moved::Something) {
        _ if context.ledger.borrow().vacates == Vacates::Something => Moved::Something,
        Moved::Nothing if followed.is_ok() && !starts => Moved::Left(Box::new(record)),
        Moved::Nothing if !starts => Moved::Nothing,
        // It came to no start.
        Moved::Left(left) if followed.is_err() => Moved::Left(left),
        Moved::Nothing | Moved::Left(_) | Moved::Something => Moved::Something,
    };
    let (_, took) = followed?;
    trip.switch_took = trip.switch_took.into_iter().chain(took).reduce(|a, b| a + b);
    Ok(())
}

/// The hosts that come in with a leg.
fn comes(plan: &Plan) -> Vec<HostName> {
    let [before, after] = plan.routings.as_slice() else {
        return Vec::new();
    };
    let comes = after.endpoints().filter(|endpoint| !before.routes_to(endpoint));
    comes.map(|endpoint| endpoint.host.clone()).collect()
}

/// Where a plan starts the release.
fn starts_at<H>(context: &Context<'_, H>, plan: &Plan, bound: &Bound) -> Vec<Endpoint> {
    let steps = plan.stage(Phase::Start).map(|stage| &stage.steps);
    let starts = |endpoint: &Endpoint| steps.is_some_and(|all| all.iter().any(|on| on.host == endpoint.host));
    let all = context.topology.endpoints(&bound.slot);
    all.into_iter().filter(starts).collect()
}

/// Whether a host was seen that does not serve the release any more.
fn is_gone(observed: &Observed, endpoint: &Endpoint, bound: &Bound) -> bool {
    let seen = observed.slot(&endpoint.host, &bound.slot);
    seen.is_some_and(|seen| seen.listener.is_none() || seen.release() != Some(&bound.release.id))
}

/// What is left to do when every host is there.
async fn arrive<H: Host>(
    context: &Context<'_, H>,
    trip: &mut Trip<'_>,
    observed: &Observed,
    plan: &Plan,
    heading: Heading,
) -> Way {
    trip.legs += 1;
    let record = trip.record(context, observed, plan, heading);
    let run = record.run.clone();
    let job = Job {
        plan,
        home: &run,
        jar: None,
    };
    if heading == Heading::Back {
        let ended = Ended {
            live: Some(plan.release.id.clone()),
            live_slot: Some(plan.to.clone()),
            ..Ended::of(Outcome::RolledBack, Exit::RolledBack)
        };
        let ended = close(context, trip, ended).await;
        if ended.verdict.outcome != Outcome::RolledBack {
            return Way::Stuck(ended);
        }
        tidy(context, &job).await;
        return Way::There(ended);
    }
    let mut ended = execute::through(context, observed, &job, record).await;
    ended.switch_took = trip.switch_took;
    match ended.verdict.outcome {
        Outcome::AsItWas | Outcome::RolledBack => Way::Turned(ended),
        Outcome::Deployed => Way::There(ended),
        Outcome::Mixed | Outcome::TakenOver | Outcome::Waiting => Way::Stuck(ended),
    }
}

/// Removes what the switches left beside the live file. The release that was given up is not marked as good.
async fn tidy<H: Host>(context: &Context<'_, H>, job: &Job<'_>) {
    let Some(mut stage) = job.plan.stage(Phase::Finish).cloned() else {
        return;
    };
    stage
        .steps
        .retain(|on| matches!(on.step, Step::FinishNginx { .. }));
    let end = stage::run(context, job, &stage, Patience::UntilAllAnswered).await;
    if let StageEnd::Failed(failures) = end {
        warn(context, failures);
    }
}

/// What is true now; a host that gives no answer is asked again.
pub(super) async fn look<H: Host>(context: &Context<'_, H>) -> Observed {
    let mut tries = 1;
    loop {
        let observed = homeward::look(context).await;
        let mut hosts = context.topology.hosts().into_iter();
        if tries == TRIES || hosts.all(|host| observed.hosts.contains_key(host)) {
            return observed;
        }
        tries += 1;
        sleep(PAUSE).await;
    }
}

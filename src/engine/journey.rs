//! A run with a single slot, leg by leg: each is planned from what is true then, and is a run of one switch with its
//! own way back. When one has gone home, the hosts are led back to the release before in the same way.

mod travel;
mod trip;

use std::path::Path;

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::HealthAnswer;
use crate::model::finding::{Finding, Problem};
use crate::model::hook::HookPoint;
use crate::model::journey::{Heading, Journey, Rolling};
use crate::model::live::Live;
use crate::model::names::ReleaseId;
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Bound, Jar, Plan};
use crate::model::record::RunRecord;

use super::context::{Context, Interrupt, Ledger};
use super::execute::{Ended, stuck};
use super::fleet::Host;
use super::homeward::{self, Reason};
use super::run::{Request, Verdict, Wanted};
use super::steps::Job;
use super::walk::{self, Rest, Walked};
use super::{census, hooks, record};

use travel::{Way, look, travel};
use trip::{Moved, Trip};

/// Runs a plan with a single slot.
pub(super) async fn go<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    before: &Observed,
    plan: &Plan,
    jar: Option<&Path>,
) -> Ended {
    let mut trip = Trip::begun(context, request, before, plan, jar);
    let bound = trip.bound(Heading::Forward, plan.release.clone());
    forward(context, &mut trip, &bound, Jar::Laid).await
}

/// Goes on with a journey whose nginx hosts are of one mind again: forward where the hosts that it has changed are
/// well, else back.
pub(super) async fn go_on<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    journey: &Journey,
) -> Ended {
    let observed = look(context).await;
    let Some(mut trip) = Trip::gone_on_with(context, request, record, journey, &observed) else {
        return stuck(Outcome::Mixed);
    };
    let Some(forwards) = means_forward(context, &observed, &trip, journey).await else {
        let reason = "hosts that run the new release could not be asked, so nobody knows whether to go forward or back";
        leaves(context, reason.to_owned());
        return stuck(Outcome::Mixed);
    };
    let release = trip.known(context, &observed, &trip.target).filter(|_| forwards);
    let Some(release) = release else {
        return back(context, &mut trip, Exit::Done).await;
    };
    let bound = trip.bound(Heading::Forward, release);
    let lacking = plan::lacking(&trip.scene(context, &observed), &bound);
    if lacking.is_empty() {
        return forward(context, &mut trip, &bound, Jar::There).await;
    }
    for finding in lacking {
        say(context, finding);
    }
    turn(context, &mut trip, Ended::unchanged(Exit::Failed)).await
}

/// Whether a `resume` of that leg goes forward, as far as it can be seen before its nginx hosts are of one mind.
pub(super) async fn goes_forward<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    record: &RunRecord,
    observed: &Observed,
) -> bool {
    let (Wanted::Resume, Some(journey)) = (&request.wanted, &record.journey) else {
        return false;
    };
    match Trip::gone_on_with(context, request, record, journey, observed) {
        Some(trip) => means_forward(context, observed, &trip, journey).await == Some(true),
        None => false,
    }
}

/// Whether the way on from what is true now is forward; `None` where nobody can know.
async fn means_forward<H: Host>(
    context: &Context<'_, H>,
    observed: &Observed,
    trip: &Trip<'_>,
    journey: &Journey,
) -> Option<bool> {
    match journey.heading {
        Heading::Back => Some(false),
        Heading::Forward if trip.home.is_none() => Some(true),
        Heading::Forward => is_well(context, observed, trip).await,
    }
}

/// Whether the hosts in service that run the new release are healthy, and there is one; `None` where a host in service
/// could not be asked.
async fn is_well<H: Host>(context: &Context<'_, H>, observed: &Observed, trip: &Trip<'_>) -> Option<bool> {
    let live = Live::read(context.topology, observed);
    let is_unseen = |endpoint: &&Endpoint| {
        context.topology.was.contains_key(&endpoint.host) && !observed.hosts.contains_key(&endpoint.host)
    };
    if live.routed().iter().any(is_unseen) {
        return None;
    }
    let routed = live.routed().into_iter();
    let runs = |endpoint: &&Endpoint| {
        let seen = observed.slot(&endpoint.host, &trip.slot);
        seen.and_then(|seen| seen.release()) == Some(&trip.target)
    };
    let changed: Vec<_> = routed.filter(runs).cloned().collect();
    let census = census::census(context, changed, HealthAnswer::is_healthy).await;
    census.is_healthy()
}

async fn forward<H: Host>(context: &Context<'_, H>, trip: &mut Trip<'_>, bound: &Bound, jar: Jar) -> Ended {
    match travel(context, trip, bound, Heading::Forward, jar).await {
        Way::There(ended) | Way::Stuck(ended) => ended,
        Way::Turned(ended) => turn(context, trip, ended).await,
    }
}

/// Turns round where it does not go forward any more.
async fn turn<H: Host>(context: &Context<'_, H>, trip: &mut Trip<'_>, ended: Ended) -> Ended {
    trip.because = ended.because.unwrap_or(trip.because);
    match trip.moved.clone() {
        Moved::Nothing => close(context, trip, ended).await,
        // No lock is held any more: nothing can be led anywhere.
        _ if ended.rest == Rest::Unlocked => stuck(Outcome::Mixed),
        Moved::Left(record) if trip.home.is_none() => {
            return_to(context, trip, *record, ended.verdict.exit).await
        }
        Moved::Left(_) | Moved::Something => back(context, trip, ended.verdict.exit).await,
    }
}

/// Leads all nginx hosts to the routing before the first leg: nothing has ended that it leads to, so that nobody has to
/// know which release that is.
async fn return_to<H: Host>(
    context: &Context<'_, H>,
    trip: &mut Trip<'_>,
    record: RunRecord,
    exit: Exit,
) -> Ended {
    let nginx = context.topology.nginx.keys().cloned().collect();
    context.ledger.replace(Ledger {
        confirmed: Some(1),
        told_to_switch: nginx,
        ..Ledger::default()
    });
    let record = RunRecord {
        epoch: context.crew.epoch(),
        owner: trip.request.owner.clone(),
        ..record
    };
    trip.record = Some(record.clone());
    let Some(plan) = homeward::way_back(&record, Vec::new()) else {
        return stuck(Outcome::Mixed);
    };
    let run = record.run.clone();
    let job = Job {
        plan: &plan,
        home: &run,
        jar: None,
    };
    let reason = Reason::Failed {
        phase: Phase::Retire,
        failures: Vec::new(),
    };
    let observed = look(context).await;
    let ended = homeward::go(context, &observed, &job, record, reason).await;
    let ended = close(context, trip, ended).await;
    told_by(exit, ended)
}

/// Leads every host back to the release before. What comes of it is told by `exit`: why the run turned around.
async fn back<H: Host>(context: &Context<'_, H>, trip: &mut Trip<'_>, exit: Exit) -> Ended {
    let interrupt = &context.interrupt;
    // The first signal ends no way back; a second one ends the program.
    let context = &Context {
        interrupt: Interrupt::never(),
        ledger: Ledger::default().into(),
        ..*context
    };
    let mut observed = homeward::look(context).await;
    if hooks::end_running(context, &trip.run, &observed).await {
        observed = homeward::look(context).await;
    }
    let home = trip.home.clone();
    let Some(release) = home.and_then(|home| trip.known(context, &observed, &home)) else {
        return stuck(Outcome::Mixed);
    };
    let what = Rolling::Turns {
        release: release.id.clone(),
    };
    say(context, Finding::warning(None, Problem::Rolling { what }));
    let bound = trip.bound(Heading::Back, release);
    match travel(context, trip, &bound, Heading::Back, Jar::There).await {
        Way::There(ended) => match interrupt.signal() {
            // Nothing but the signal speaks against it.
            Some(signal) if exit == Exit::Done => told_by(Exit::Signalled(signal), ended),
            _ => told_by(exit, ended),
        },
        Way::Turned(_) => stuck(Outcome::Mixed),
        Way::Stuck(ended) => ended,
    }
}

/// The end of a way back with the code that says why it was gone.
fn told_by(exit: Exit, ended: Ended) -> Ended {
    let exit = match (exit, ended.verdict.outcome) {
        (_, Outcome::Mixed | Outcome::TakenOver) => ended.verdict.exit,
        (Exit::Done | Exit::Signalled(_), _) => exit,
        _ => Exit::RolledBack,
    };
    let verdict = Verdict {
        exit,
        ..ended.verdict
    };
    Ended { verdict, ..ended }
}

/// The last hooks and the last word of a journey that ended where it began. One that has left something goes on saying
/// so, with the word of its last leg.
async fn close<H: Host>(context: &Context<'_, H>, trip: &Trip<'_>, mut ended: Ended) -> Ended {
    let settled = matches!(ended.verdict.outcome, Outcome::AsItWas | Outcome::RolledBack);
    let is_home = settled && ended.rest != Rest::Unlocked;
    let Some(record) = trip.record.clone().filter(|_| is_home) else {
        return ended;
    };
    let record = RunRecord {
        to_routing: record.from_routing.clone(),
        release: Some(trip.target.clone()),
        from_release: trip.home.clone(),
        phase: Phase::Revert,
        ..record.as_run()
    };
    let serves = |release: &ReleaseId| Some(release) == trip.home.as_ref();
    let left = record.left.iter().filter(|it| !serves(it)).cloned().collect();
    let record = RunRecord { left, ..record };
    let hooked = last_hooks(context, trip, &record, ended.verdict.outcome).await;
    if hooked.outcome == Outcome::TakenOver {
        return stuck(Outcome::TakenOver);
    }
    if (ended.rest, hooked.rest) != (Rest::None, Rest::None) {
        let rest = if hooked.rest == Rest::None {
            ended.rest
        } else {
            hooked.rest
        };
        return Ended { rest, ..ended };
    }
    let walked = Walked {
        outcome: ended.verdict.outcome,
        rest: ended.rest,
    };
    let walked = record::close(context, &record, walked).await;
    if walked.outcome != ended.verdict.outcome {
        ended = stuck(walked.outcome);
    }
    Ended {
        rest: walked.rest,
        ..ended
    }
}

/// Runs the playbook's hooks at the end of a way back.
async fn last_hooks<H: Host>(
    context: &Context<'_, H>,
    trip: &Trip<'_>,
    record: &RunRecord,
    outcome: Outcome,
) -> Walked {
    let mut hooks = context.playbook.hooks.at(HookPoint::OnFailure);
    let plan = if hooks.next().is_some() {
        let observed = look(context).await;
        let scene = trip.scene(context, &observed);
        homeward::way_back(record, plan::on_failure(&scene, record, trip.because, outcome))
    } else {
        None
    };
    let Some(plan) = plan else {
        return Walked {
            outcome,
            rest: Rest::None,
        };
    };
    let job = Job {
        plan: &plan,
        home: &trip.run,
        jar: None,
    };
    walk::home(context, &job, &plan.stages, &record.owner).await
}

/// Says why a journey leaves something as it is.
fn leaves<H>(context: &Context<'_, H>, reason: String) {
    say(context, Finding::warning(None, Problem::LeftUndone { reason }));
}

fn say<H>(context: &Context<'_, H>, finding: Finding) {
    context.tell(Event::Warned { finding });
}

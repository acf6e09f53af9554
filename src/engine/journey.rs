//! A run with a single slot, leg by leg: each is planned from what is true then, and is a run of one switch with its
//! own way back. When one has gone home, the hosts are led back to the release before in the same way.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tokio::time::sleep;

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::failure::HealthAnswer;
use crate::model::finding::{Finding, Problem};
use crate::model::journey::{Heading, Journey, Rolling};
use crate::model::live::Live;
use crate::model::names::{ReleaseId, SlotName};
use crate::model::observed::Observed;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::plan::{self, Bound, Jar, Next, Plan, Scene, Step};
use crate::model::record::{RunKind, RunRecord};
use crate::model::release::Release;

use super::context::{Context, Interrupt, Ledger};
use super::execute::{self, Ended, stuck, warn};
use super::fleet::Host;
use super::homeward;
use super::run::{Request, Verdict};
use super::stage::{self, Patience, StageEnd};
use super::steps::Job;
use super::walk::{PAUSE, Rest, TRIES, Walked};
use super::{census, in_service, record};

/// What a journey is, and how far it came.
struct Trip<'a> {
    request: &'a Request<'a>,
    kind: RunKind,
    slot: SlotName,
    target: ReleaseId,
    home: Option<ReleaseId>,
    /// The jar on the controller, for the first leg.
    jar: Option<&'a Path>,
    legs: u32,
    /// How long its switches took together.
    switch_took: Option<Duration>,
    /// Whether a host may be other than it was.
    moved: Moved,
    /// The last record that was written.
    record: Option<RunRecord>,
}

/// Whether a journey has changed anything for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moved {
    Nothing,
    Something,
}

/// How the way to one release ended.
enum Way {
    /// Every host is there.
    There(Ended),
    /// A leg did not go well, and what it did was taken back.
    Turned(Ended),
    /// Nobody knows what every nginx does, or it is somebody else's.
    Stuck(Ended),
}

/// Runs a plan with a single slot.
pub(super) async fn go<H: Host>(
    context: &Context<'_, H>,
    request: &Request<'_>,
    before: &Observed,
    plan: &Plan,
    jar: Option<&Path>,
) -> Ended {
    let kind = record::kind_of(&request.wanted);
    // Whoever meets a run that never ended has its hosts to lead back as well.
    let unfinished = plan::interrupted(before).is_some_and(|record| record.journey.is_some());
    let mut trip = Trip {
        request,
        kind,
        slot: plan.to.clone(),
        target: plan.release.id.clone(),
        home: plan.from_release.clone(),
        jar,
        legs: 0,
        switch_took: None,
        moved: if unfinished {
            Moved::Something
        } else {
            Moved::Nothing
        },
        record: None,
    };
    let bound = Bound {
        slot: plan.to.clone(),
        release: plan.release.clone(),
        from_release: plan.from_release.clone(),
        sends: kind == RunKind::Deploy,
    };
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
    let Some(slot) = record.to_slot.clone() else {
        return stuck(Outcome::Mixed);
    };
    let mut trip = Trip {
        request,
        kind: record.kind,
        slot,
        target: journey.target.clone(),
        home: journey.home.clone(),
        jar: None,
        legs: 0,
        switch_took: None,
        moved: Moved::Something,
        record: None,
    };
    let observed = look(context).await;
    let forwards = match journey.heading {
        Heading::Back => false,
        Heading::Forward if trip.home.is_none() => true,
        Heading::Forward => {
            let Some(well) = is_well(context, &observed, &trip).await else {
                let reason = "hosts that run the new release could not be asked, so nobody knows whether to go forward or back";
                leaves(context, reason.to_owned());
                return stuck(Outcome::Mixed);
            };
            well
        }
    };
    let release = trip.known(context, &observed, &trip.target);
    match release.filter(|_| forwards) {
        Some(release) => {
            let bound = Bound {
                slot: trip.slot.clone(),
                release,
                from_release: trip.home.clone(),
                sends: trip.kind == RunKind::Deploy,
            };
            forward(context, &mut trip, &bound, Jar::There).await
        }
        None => back(context, &mut trip, Exit::Done).await,
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
        Way::Turned(ended) => match trip.moved {
            Moved::Nothing => close(context, trip, ended).await,
            Moved::Something => back(context, trip, ended.verdict.exit).await,
        },
    }
}

/// Leads every host back to the release before. What comes of it is told by `exit`: why the run turned around.
async fn back<H: Host>(context: &Context<'_, H>, trip: &mut Trip<'_>, exit: Exit) -> Ended {
    // Nothing interrupts a way back.
    let context = &Context {
        interrupt: Interrupt::never(),
        ledger: Ledger::default().into(),
        ..*context
    };
    let observed = homeward::look(context).await;
    let home = trip.home.clone();
    let Some(release) = home.and_then(|home| trip.known(context, &observed, &home)) else {
        return stuck(Outcome::Mixed);
    };
    let what = Rolling::Turns {
        release: release.id.clone(),
    };
    say(context, Finding::warning(None, Problem::Rolling { what }));
    let bound = Bound {
        slot: trip.slot.clone(),
        release,
        from_release: Some(trip.target.clone()),
        sends: false,
    };
    match travel(context, trip, &bound, Heading::Back, Jar::There).await {
        Way::There(ended) => {
            let exit = match exit {
                Exit::Done | Exit::Signalled(_) => exit,
                _ => Exit::RolledBack,
            };
            let verdict = Verdict {
                exit,
                ..ended.verdict
            };
            Ended { verdict, ..ended }
        }
        Way::Turned(_) => stuck(Outcome::Mixed),
        Way::Stuck(ended) => ended,
    }
}

/// The last word of a journey that ended where it began.
async fn close<H: Host>(context: &Context<'_, H>, trip: &Trip<'_>, mut ended: Ended) -> Ended {
    let settled = matches!(ended.verdict.outcome, Outcome::AsItWas | Outcome::RolledBack);
    let Some(record) = trip.record.as_ref().filter(|_| settled) else {
        return ended;
    };
    let record = RunRecord {
        run: trip.request.run.clone(),
        journey: None,
        to_routing: record.from_routing.clone(),
        release: Some(trip.target.clone()),
        from_release: trip.home.clone(),
        phase: Phase::Revert,
        ..record.clone()
    };
    let walked = Walked {
        outcome: ended.verdict.outcome,
        rest: Rest::None,
    };
    let walked = record::close(context, &record, walked).await;
    if walked.outcome != ended.verdict.outcome {
        ended = stuck(walked.outcome);
    }
    ended
}

/// Goes leg by leg, until every host is where it should be or one leg has gone home.
async fn travel<H: Host>(
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
        let run = trip.request.run.leg(trip.legs + 1);
        let scene = Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed: &observed,
            run: &run,
        };
        context.ledger.replace(Ledger::default());
        let leg = match plan::next_leg(&scene, bound, jar) {
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
        let job = Job {
            plan: &leg.plan,
            home: &run,
            jar: trip.jar,
        };
        if leg.plan.stage(Phase::Retire).is_some() || leg.plan.stage(Phase::Start).is_some() {
            trip.moved = Moved::Something;
        }
        execute::remember_running(context, &observed, &leg.plan);
        match execute::follow(context, &observed, &job, record).await {
            Ok((_, took)) => trip.switch_took = trip.switch_took.into_iter().chain(took).reduce(|a, b| a + b),
            Err(ended) => {
                return match ended.verdict.outcome {
                    Outcome::AsItWas | Outcome::RolledBack => Way::Turned(ended),
                    _ => Way::Stuck(ended),
                };
            }
        }
        trip.moved = Moved::Something;
        started.extend(starts_at(context, &leg.plan, bound));
    }
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

impl Trip<'_> {
    /// A release that some host has.
    fn known<H>(
        &self,
        context: &Context<'_, H>,
        observed: &Observed,
        release: &ReleaseId,
    ) -> Option<Release> {
        let scene = Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed,
            run: &self.request.run,
        };
        plan::known_anywhere(&scene, release)
    }

    /// The record of the next leg.
    fn record<H: Host>(
        &mut self,
        context: &Context<'_, H>,
        observed: &Observed,
        plan: &Plan,
        heading: Heading,
    ) -> RunRecord {
        let begun = record::begin(context, self.request, observed, plan);
        let lays = plan.stage(Phase::Upload).is_some();
        let record = RunRecord {
            kind: self.kind,
            // What an upload left unfinished goes with what was started.
            starts: begun.starts || lays,
            ..begun
        };
        let record = record.as_leg(Journey {
            run: self.request.run.clone(),
            leg: self.legs,
            target: self.target.clone(),
            home: self.home.clone(),
            heading,
        });
        self.record = Some(record.clone());
        record
    }
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
async fn look<H: Host>(context: &Context<'_, H>) -> Observed {
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

/// Says why a journey leaves something as it is.
fn leaves<H>(context: &Context<'_, H>, reason: String) {
    say(context, Finding::warning(None, Problem::LeftUndone { reason }));
}

fn say<H>(context: &Context<'_, H>, finding: Finding) {
    context.tell(Event::Warned { finding });
}

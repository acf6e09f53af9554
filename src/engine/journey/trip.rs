//! What a run with a single slot is and how far it came, and the record of each of its legs.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::engine::context::Context;
use crate::engine::fleet::Host;
use crate::engine::record;
use crate::engine::run::Request;
use crate::model::endpoint::Endpoint;
use crate::model::journey::{Heading, Journey};
use crate::model::live::Live;
use crate::model::names::{HostName, ReleaseId, RunId, SlotName};
use crate::model::observed::Observed;
use crate::model::phase::Phase;
use crate::model::plan::{self, Because, Bound, Hooked, Plan, Scene};
use crate::model::record::{RunKind, RunRecord};
use crate::model::release::Release;

/// What a journey is, and how far it came.
pub(super) struct Trip<'a> {
    pub(super) request: &'a Request<'a>,
    /// The run that its legs are a part of: it keeps its name when somebody goes on with it.
    pub(super) run: RunId,
    pub(super) kind: RunKind,
    pub(super) slot: SlotName,
    pub(super) target: ReleaseId,
    pub(super) home: Option<ReleaseId>,
    /// The jar on the controller, for the first leg.
    pub(super) jar: Option<&'a Path>,
    pub(super) legs: u32,
    /// How long its switches took together.
    pub(super) switch_took: Option<Duration>,
    /// Whether a host may be other than it was.
    pub(super) moved: Moved,
    /// The last record that was written.
    pub(super) record: Option<RunRecord>,
    /// Hosts that no nginx routed to before the run.
    pub(super) new: BTreeSet<HostName>,
    /// Hosts that the inventory has got since the run began.
    pub(super) strangers: BTreeSet<HostName>,
    /// Releases that a person wants to be rid of, beside the one that runs.
    pub(super) leaves: BTreeSet<ReleaseId>,
    /// Hosts that have come in with the release that it brings.
    pub(super) came: BTreeSet<HostName>,
    /// Why it goes back, if it does.
    pub(super) because: Because,
}

/// Whether a journey has changed anything for good.
#[derive(Debug, Clone)]
pub(super) enum Moved {
    Nothing,
    /// Hosts have left the routing with the leg of that record, and nothing was told to end.
    Left(Box<RunRecord>),
    Something,
}

impl<'a> Trip<'a> {
    /// A run that begins, or goes on from where another one never ended.
    pub(super) fn begun<H>(
        context: &Context<'_, H>,
        request: &'a Request<'a>,
        before: &Observed,
        plan: &Plan,
        jar: Option<&'a Path>,
    ) -> Self {
        let kind = record::kind_of(&request.wanted);
        let target = plan.release.id.clone();
        let unrouted = unrouted(context, before, &plan.to);
        // Whoever meets a run that never ended has its hosts to lead back as well.
        let met = plan::interrupted(before);
        let met = met.and_then(|record| Some((record, record.journey.as_ref()?)));
        let (new, leaves) = match met {
            None => (unrouted, BTreeSet::new()),
            Some((record, journey)) => {
                let since = unrouted.into_iter().filter(|host| !record.was.contains(host));
                let new = journey.new.iter().cloned().chain(since).collect();
                let releases = journey.home.iter().chain([&journey.target]).cloned();
                let leaves = releases.filter(|it| *it != target && kind == RunKind::Rollback);
                (new, leaves.collect())
            }
        };
        Self {
            request,
            run: request.run.clone(),
            kind,
            slot: plan.to.clone(),
            target,
            home: plan.from_release.clone(),
            jar,
            legs: 0,
            switch_took: None,
            moved: if met.is_some() {
                Moved::Something
            } else {
                Moved::Nothing
            },
            record: None,
            new,
            strangers: BTreeSet::new(),
            leaves,
            came: BTreeSet::new(),
            because: Because::Failed(Phase::Preflight),
        }
    }

    /// A run that somebody goes on with, from what is true now.
    pub(super) fn gone_on_with<H>(
        context: &Context<'_, H>,
        request: &'a Request<'a>,
        record: &RunRecord,
        journey: &Journey,
        observed: &Observed,
    ) -> Option<Self> {
        let slot = record.to_slot.clone()?;
        let since = |host: &HostName| !record.was.contains(host);
        let strangers = unrouted(context, observed, &slot).into_iter().filter(since);
        let live = Live::read(context.topology, observed);
        let routed: BTreeSet<_> = live.routed().into_iter().cloned().collect();
        let has_left = journey.leg == 1
            && record.to_routing.endpoints().cloned().collect::<BTreeSet<_>>() == routed
            && record.from_routing.endpoints().count() > routed.len();
        Some(Self {
            request,
            run: journey.run.clone(),
            kind: record.kind,
            strangers: strangers.collect(),
            slot,
            target: journey.target.clone(),
            home: journey.home.clone(),
            jar: None,
            legs: plan::legs_so_far(observed, journey),
            switch_took: None,
            moved: if has_left {
                Moved::Left(Box::new(record.clone()))
            } else {
                Moved::Something
            },
            record: None,
            new: journey.new.clone(),
            leaves: BTreeSet::new(),
            came: came(record, journey, &routed),
            because: Because::TakenBack,
        })
    }

    /// Where the hosts are led that way.
    pub(super) fn bound(&self, heading: Heading, release: Release) -> Bound {
        let (from_release, sends) = match heading {
            Heading::Forward => (self.home.clone(), self.kind == RunKind::Deploy),
            Heading::Back => (Some(self.target.clone()), false),
        };
        let mut apart = self.strangers.clone();
        if heading == Heading::Back {
            apart.extend(self.new.iter().cloned());
        }
        Bound {
            slot: self.slot.clone(),
            release,
            from_release,
            sends,
            apart,
        }
    }

    /// A release that some host has.
    pub(super) fn known<H>(
        &self,
        context: &Context<'_, H>,
        observed: &Observed,
        release: &ReleaseId,
    ) -> Option<Release> {
        plan::known_anywhere(&self.scene(context, observed), release)
    }

    pub(super) fn scene<'s, H>(&'s self, context: &'s Context<'_, H>, observed: &'s Observed) -> Scene<'s> {
        Scene {
            topology: context.topology,
            playbook: context.playbook,
            observed,
            run: &self.run,
        }
    }

    /// What the hooks of a leg are planned from; those of a way back are at its end.
    pub(super) fn hooked(&self, heading: Heading) -> Option<Hooked<'_>> {
        let hooked = Hooked {
            run: &self.run,
            came: &self.came,
        };
        (heading == Heading::Forward).then_some(hooked)
    }

    /// The record of the next leg.
    pub(super) fn record<H: Host>(
        &mut self,
        context: &Context<'_, H>,
        observed: &Observed,
        plan: &Plan,
        heading: Heading,
    ) -> RunRecord {
        let begun = record::begin(context, self.request, observed, plan);
        let lays = plan.stage(Phase::Upload).is_some();
        let left = begun.left.union(&self.leaves).cloned().collect();
        let record = RunRecord {
            kind: self.kind,
            left,
            // What an upload left unfinished goes with what was started.
            starts: begun.starts || lays,
            ..begun
        };
        let record = record.as_leg(Journey {
            run: self.run.clone(),
            leg: self.legs,
            target: self.target.clone(),
            home: self.home.clone(),
            heading,
            new: self.new.clone(),
            came: self.came.clone(),
        });
        self.record = Some(record.clone());
        record
    }
}

/// The hosts that have come in with the release that a run brings, where these are routed to: the leg on record may have
/// been the last before nobody went on.
fn came(record: &RunRecord, journey: &Journey, routed: &BTreeSet<Endpoint>) -> BTreeSet<HostName> {
    let comes = |endpoint: &&Endpoint| {
        let is_new = !record.from_routing.routes_to(endpoint) && routed.contains(*endpoint);
        is_new && journey.heading == Heading::Forward
    };
    let with_it = record.to_routing.endpoints().filter(comes);
    let with_it = with_it.map(|endpoint| endpoint.host.clone());
    journey.came.iter().cloned().chain(with_it).collect()
}

/// The hosts of a slot that no nginx routes to.
fn unrouted<H>(context: &Context<'_, H>, observed: &Observed, slot: &SlotName) -> BTreeSet<HostName> {
    let live = Live::read(context.topology, observed);
    let routed = live.routed();
    let out = |endpoint: &Endpoint| !routed.contains(endpoint);
    let all = context.topology.endpoints(slot).into_iter();
    all.filter(out).map(|endpoint| endpoint.host).collect()
}

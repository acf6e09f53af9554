//! An interrupted run: which one it is, what the tokens say of it, and the way back, which is the way home of
//! a run that fails. Which way is taken, `decision` says; the way forward is `forward_again`'s.

use std::collections::BTreeSet;

use crate::model::decision::{self, Evidence, Found};
use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Instance;
use crate::model::finding::{Finding, Problem};
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::observed::{NginxObserved, Observed};
use crate::model::record::{RunRecord, RunStatus};
use crate::model::routing::Routing;
use crate::model::token::{Token, TokenState};
use crate::model::topology::Topology;

use super::forward::Scene;
use super::home::{self, HomeGoal, home};
use super::hooks::Because;
use super::preflight;
use super::step::Stage;

/// The run that began last and that nobody has ended.
///
/// What counts is the highest epoch on record: a run of a lower one was met by the run of the higher one,
/// which went on from it or was told to leave the host out. Of that epoch, a run is over as soon as one
/// host says so: the last record is written when nothing is left to do, so that a host that still says
/// `open` only missed it. An open record under a higher epoch than the `done` one of the same run was
/// written by somebody who went on with it, and counts.
pub fn interrupted(observed: &Observed) -> Option<&RunRecord> {
    let records = || observed.hosts.values().filter_map(|seen| seen.record.as_ref());
    let newest = records().map(|record| record.epoch).max()?;
    let of_newest = || records().filter(|record| record.epoch == newest);
    let over: BTreeSet<_> = of_newest()
        .filter(|record| match record.status {
            RunStatus::Open => false,
            RunStatus::Waiting => !planted(Defect::WaitingIsInterrupted),
            RunStatus::Done => true,
        })
        .map(|record| record.place().0)
        .collect();
    of_newest()
        .filter(|record| !over.contains(record.place().0))
        .max_by_key(|record| (record.place(), record.point_of_no_return, record.phase))
}

/// What the newest tokens of the run say, on each of its nginx hosts that is not left out, in their order.
pub fn evidence(topology: &Topology, observed: &Observed, record: &RunRecord) -> Evidence {
    let found = |host: &HostName| {
        let seen = observed.hosts.get(host).and_then(|seen| seen.nginx.as_ref());
        seen.map_or(Found::Unreadable, |nginx| match newest_token(nginx, record) {
            None => Found::None,
            Some((number, token)) => Found::Token {
                number,
                state: token.state,
            },
        })
    };
    decision::evidence(asked(topology, record).map(found))
}

/// The newest token of a run on one host, and which of its switches it is of.
pub(super) fn newest_token<'a>(nginx: &'a NginxObserved, record: &RunRecord) -> Option<(u32, &'a Token)> {
    let token = nginx.newest_token(&record.run)?;
    Some((token.id.run.switch_of(&record.run)?, token))
}

/// What keeps anybody from deciding on an interrupted run: a host of it that cannot be asked, or that the
/// inventory lacks, one that it left out and that is back, or a record that cannot be read and could tell of
/// a later run.
pub fn obstacles(scene: &Scene<'_>, record: &RunRecord) -> Vec<Finding> {
    let mut findings = preflight::unreadable_records(scene.topology, scene.observed);
    findings.extend(preflight::hosts_gone(scene.topology, record));
    findings.extend(back_again_too_soon(scene, record));
    for host in scene.topology.hosts() {
        if !scene.observed.hosts.contains_key(host) {
            findings.push(preflight::no_answer(host));
        }
    }
    findings
}

/// Hosts that the run left out and that nobody leaves out now: what they route to, nobody looked at when it was
/// planned, and it may be what the run has to stop.
fn back_again_too_soon(scene: &Scene<'_>, record: &RunRecord) -> Vec<Finding> {
    let hosts = scene.topology.hosts();
    let back = record.without.iter().filter(|host| hosts.contains(host));
    let finding = |host: &HostName| {
        let (run, host) = (record.place().0.clone(), host.clone());
        Finding::refusal(None, Problem::LeftOutIsBack { run, host })
    };
    back.map(finding).collect()
}

/// The record of somebody who goes on with a run: hosts that are left out now have no part in it any more, and
/// its routing leads to none of their endpoints.
pub fn gone_on_with(scene: &Scene<'_>, record: &RunRecord) -> RunRecord {
    let left_out = scene.topology.left_out();
    let stays = |instance: &&Instance| !left_out.contains(&instance.endpoint.host);
    let mut record = record.clone();
    // All routings of a run of several follow from the last one: there they are left out where it is read.
    if record.course.is_plain() {
        record.to_routing = Routing::even(record.to_routing.instances().filter(stays).cloned());
    }
    record.without.extend(left_out.iter().copied().cloned());
    record
}

/// The run's nginx hosts that are not left out, whether the inventory still has them or not.
pub fn asked<'a>(topology: &'a Topology, record: &'a RunRecord) -> impl Iterator<Item = &'a HostName> {
    let without = &topology.without.nginx;
    record.nginx.iter().filter(|host| !without.contains_key(*host))
}

/// Whether the nginx hosts are of one mind again: they route alike, and the tokens of the run are all
/// confirmed for its last routing, or none is and nothing is left that could still act.
pub fn is_converged(scene: &Scene<'_>, record: &RunRecord) -> bool {
    let live = Live::read(scene.topology, scene.observed);
    let of_run = |host: &HostName| {
        let nginx = scene.nginx(host)?;
        let shows = home::shows(scene, record, live.hosts.get(host), nginx);
        Some((newest_token(nginx, record), shows))
    };
    let Some(hosts) = asked(scene.topology, record)
        .map(of_run)
        .collect::<Option<Vec<_>>>()
    else {
        return false;
    };
    let last = record.switches();
    let is_through = |token: Option<(u32, &Token)>| {
        token.is_some_and(|(number, token)| number == last && token.state == TokenState::Confirmed)
    };
    // A watch that fired may be at it still, or have died half way: what counts then is what runs.
    let is_home = |token: Option<(u32, &Token)>, shows: bool| match token {
        None => true,
        Some((_, token)) if token.state == TokenState::Superseded => true,
        Some((1, token)) if token.state == TokenState::Reverted => true,
        Some((1, token)) if token.state == TokenState::Fired => !shows,
        Some(_) => false,
    };
    let forward = hosts.iter().all(|(token, _)| is_through(*token));
    let back = hosts.iter().all(|(token, shows)| is_home(*token, *shows));
    live.agreed().is_ok() && (forward || back)
}

/// Plans the way back of a run that somebody has to take back: the way home of a run that fails, from what
/// is true now. A host that cannot be asked may have switched.
pub fn back_again(scene: &Scene<'_>, record: &RunRecord) -> Vec<Stage> {
    let scene = &Scene {
        run: &record.run,
        ..*scene
    };
    let unasked = asked(scene.topology, record).filter(|host| scene.nginx(host).is_none());
    let goal = HomeGoal {
        record,
        told_to_switch: &unasked.cloned().collect(),
        blames_release: false,
        because: Because::TakenBack,
    };
    home(scene, &goal)
}

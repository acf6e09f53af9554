//! An interrupted run: which one it is, what the tokens say of it, and the ways on. Forward, what is
//! not confirmed is committed anew under the run's own name; back is the way home of a run that fails.
//! Which way is taken, `decision` says.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::decision::Newest;
use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem, Severity};
use crate::model::live::{self, Live, NginxView};
use crate::model::names::{HostName, SlotName};
use crate::model::observed::{Observed, SlotObserved};
use crate::model::phase::Phase;
use crate::model::playbook::SwitchStyle;
use crate::model::record::{RunKind, RunRecord, RunStatus};
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::token::{Token, TokenState};

use super::forward::{Decision, Scene, routing};
use super::home::{self, HomeGoal, home};
use super::step::{Plan, Stage, Step};
use super::switch::{generation_of, switch};
use super::{history, preflight, stages};

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
        .filter(|record| record.status != RunStatus::Open)
        .map(|record| &record.run)
        .collect();
    of_newest()
        .filter(|record| !over.contains(&record.run))
        .max_by_key(|record| (&record.run, record.point_of_no_return, record.phase))
}

/// The newest token of the run on each of its nginx hosts that is not left out, in their order.
pub fn evidence(scene: &Scene<'_>, record: &RunRecord) -> Vec<Newest> {
    let newest = |host: &HostName| match scene.nginx(host) {
        Some(nginx) => nginx
            .newest_token(&record.run)
            .map_or(Newest::None, |token| Newest::Is(token.state)),
        None => Newest::Unreadable,
    };
    asked(scene, record).map(newest).collect()
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
        let (run, host) = (record.run.clone(), host.clone());
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
    record.to_routing = Routing::even(record.to_routing.instances().filter(stays).cloned());
    record.without.extend(left_out.iter().copied().cloned());
    record
}

/// The run's nginx hosts that are not left out, whether the inventory still has them or not.
fn asked<'a>(scene: &Scene<'a>, record: &'a RunRecord) -> impl Iterator<Item = &'a HostName> {
    let without = &scene.topology.without.nginx;
    record.nginx.iter().filter(|host| !without.contains_key(*host))
}

/// Whether the nginx hosts are of one mind again: they route alike, and the tokens of the run are all
/// confirmed, or none is and nothing is left that could still act.
pub fn is_converged(scene: &Scene<'_>, record: &RunRecord) -> bool {
    let live = Live::read(scene.topology, scene.observed);
    let of_run = |host: &HostName| {
        let nginx = scene.nginx(host)?;
        let shows = home::shows(scene, record, live.hosts.get(host), nginx);
        Some((nginx.newest_token(&record.run), shows))
    };
    let Some(hosts) = asked(scene, record).map(of_run).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let is_confirmed =
        |token: Option<&Token>| token.is_some_and(|token| token.state == TokenState::Confirmed);
    // A watch that fired may be at it still, or have died half way: what counts then is what runs.
    let is_home = |token: Option<&Token>, shows: bool| match token.map(|token| token.state) {
        None | Some(TokenState::Reverted | TokenState::Superseded) => true,
        Some(TokenState::Fired) => !shows,
        Some(TokenState::Armed | TokenState::Confirmed) => false,
    };
    let forward = hosts.iter().all(|(token, _)| is_confirmed(*token));
    let back = hosts.iter().all(|(token, shows)| is_home(*token, *shows));
    live.agreed().is_ok() && (forward || back)
}

/// Plans the way forward of a run that somebody has to finish: nginx hosts that are not confirmed, or run
/// something else, are committed anew, and then the old slot ends. Generation, home and tokens are the
/// run's own.
pub fn forward_again(scene: &Scene<'_>, record: &RunRecord) -> Result<Plan, Vec<Finding>> {
    let scene = &Scene {
        run: &record.run,
        ..*scene
    };
    let target = Target::recorded(scene, record).map_err(|finding| vec![finding])?;
    let is_settled = |host: &HostName, view: &NginxView| {
        // Past the point of no return home is no place to go to: no watch is armed that would lead there.
        let runs = || routes_to(scene, view, &target.slot) && runs_generation_of(scene, host);
        is_confirmed(scene, host) && (record.point_of_no_return || runs())
    };
    let (mut decision, mut plan) = switches(scene, &target, record.from_slot.clone(), is_settled)?;
    // A release that was sent has to stand for as long as the playbook says, whoever finishes the run.
    decision.sends = record.kind == RunKind::Deploy && !record.point_of_no_return;
    let led_away = led_away(scene, record);
    if !led_away.is_empty() {
        return Err(led_away);
    }
    let is_ours = |endpoint: &Endpoint| is_old(scene, record, endpoint);
    let live = Live::read(scene.topology, scene.observed);
    let finish = stages::finish_nginx(scene, &live);
    let rest = match record.kind {
        RunKind::Converge => vec![(Phase::Finish, finish)],
        RunKind::Deploy | RunKind::Rollback | RunKind::Drill => vec![
            (Phase::Bake, stages::bake(scene, &decision)),
            (Phase::Drain, stages::drains(scene, &decision)),
            (Phase::Stop, stages::stops(scene, &decision, is_ours)),
            (
                Phase::Finish,
                [stages::finish_was(scene, &decision), finish].concat(),
            ),
        ],
    };
    plan.stages.extend(stages::in_order(rest));
    plan.from_release = plan.from_release.or_else(|| record.from_release.clone());
    if !record.from_routing.is_empty()
        && let Some(from) = plan.routings.first_mut()
    {
        from.clone_from(&record.from_routing);
    }
    Ok(plan)
}

/// Whether the newest token of the scene's run on an nginx host is confirmed.
fn is_confirmed(scene: &Scene<'_>, host: &HostName) -> bool {
    let token = scene.nginx(host).and_then(|nginx| nginx.newest_token(scene.run));
    token.is_some_and(|token| token.state == TokenState::Confirmed)
}

/// Whether what runs on an endpoint of the old slot is what ran there when the run began: a process that
/// was started since is somebody else's.
fn is_old(scene: &Scene<'_>, record: &RunRecord, endpoint: &Endpoint) -> bool {
    let slot = record.from_slot.as_ref();
    let seen = slot.and_then(|slot| scene.slot_at(endpoint, slot));
    let identity = seen.and_then(SlotObserved::identity);
    let recorded = seen.and_then(SlotObserved::running_record).map(|it| &it.identity);
    identity.is_some_and(|identity| recorded == Some(identity) || record.adopted.contains(identity))
}

/// Confirmed nginx hosts that somebody led elsewhere after the old slot was told to end.
fn led_away(scene: &Scene<'_>, record: &RunRecord) -> Vec<Finding> {
    if !record.point_of_no_return {
        return Vec::new();
    }
    let live = Live::read(scene.topology, scene.observed);
    let elsewhere = live.hosts.iter().filter(|(_, view)| view.slot != record.to_slot);
    let finding = |(host, view): (&HostName, &NginxView)| {
        let (run, slot) = (record.run.clone(), view.slot.clone());
        Finding::refusal(Some(host), Problem::LedAway { run, slot })
    };
    elsewhere
        .filter(|(host, _)| is_confirmed(scene, host))
        .map(finding)
        .collect()
}

/// Plans the way back of a run that somebody has to take back: the way home of a run that fails, from what
/// is true now. A host that cannot be asked may have switched.
pub fn back_again(scene: &Scene<'_>, record: &RunRecord) -> Vec<Stage> {
    let scene = &Scene {
        run: &record.run,
        ..*scene
    };
    let unasked = asked(scene, record).filter(|host| scene.nginx(host).is_none());
    let goal = HomeGoal {
        record,
        told_to_switch: &unasked.cloned().collect(),
        blames_release: false,
    };
    home(scene, &goal)
}

/// Plans the way to one slot for nginx hosts that disagree without a run on record that could say where to.
/// The slot is up on every endpoint; nothing is stopped.
pub fn converge_to(scene: &Scene<'_>, slot: &SlotName) -> Result<Plan, Vec<Finding>> {
    let target = Target::named(scene, slot).map_err(|finding| vec![finding])?;
    let is_settled = |_: &HostName, view: &NginxView| routes_to(scene, view, slot);
    let live = Live::read(scene.topology, scene.observed);
    let astray = live.hosts.values().filter_map(|view| view.slot.as_ref());
    let from = astray.into_iter().find(|other| *other != slot).cloned();
    let (_, mut plan) = switches(scene, &target, from, is_settled)?;
    let finish = [(
        Phase::Finish,
        stages::finish_nginx(scene, &Live::read(scene.topology, scene.observed)),
    )];
    plan.stages.extend(stages::in_order(finish));
    Ok(plan)
}

/// Where nginx hosts are led that are not there yet.
struct Target {
    slot: SlotName,
    release: Release,
}

impl Target {
    fn recorded(scene: &Scene<'_>, record: &RunRecord) -> Result<Self, Finding> {
        let missing = || {
            let (run, slot) = (record.run.clone(), record.to_slot.clone());
            Finding::refusal(None, Problem::RecordedSlotMissing { run, slot })
        };
        let slot = record.to_slot.as_ref().ok_or_else(missing)?;
        scene.playbook.slot(slot).ok_or_else(missing)?;
        let release = record.release.as_ref().ok_or_else(missing)?;
        let release = stages::known_anywhere(scene, release).ok_or_else(|| {
            let release = release.clone();
            Finding::refusal(None, Problem::ReleaseMissing { release })
        })?;
        let slot = slot.clone();
        Ok(Self { slot, release })
    }

    fn named(scene: &Scene<'_>, slot: &SlotName) -> Result<Self, Finding> {
        let unknown = || {
            let slot = slot.clone();
            Finding::refusal(None, Problem::ReleaseUnknown { slot })
        };
        let release = live::release_of_slot(scene.topology, scene.observed, slot).ok_or_else(unknown)?;
        let release = stages::known_anywhere(scene, &release).ok_or_else(unknown)?;
        let slot = slot.clone();
        Ok(Self { slot, release })
    }
}

/// The plan as far as the switch: the slot is looked at once more, and the hosts that are not settled are
/// tested and committed.
fn switches(
    scene: &Scene<'_>,
    target: &Target,
    from: Option<SlotName>,
    is_settled: impl Fn(&HostName, &NginxView) -> bool,
) -> Result<(Decision, Plan), Vec<Finding>> {
    let decision = Decision {
        from,
        to: target.slot.clone(),
        release: target.release.clone(),
        is_up: true,
        sends: false,
    };
    let live = Live::read(scene.topology, scene.observed);
    let mut findings = preflight::unready(scene.topology, scene.observed);
    findings.extend(live.findings.iter().cloned());
    findings.extend(not_up(scene, &target.slot));
    let to = routing(scene, &target.slot, Some(&target.release.id));
    let mut switches = BTreeMap::new();
    for (host, view) in live.hosts.iter().filter(|(host, view)| !is_settled(host, view)) {
        match switch(scene, host, view, &decision.to, &decision.release, &to) {
            Ok(switch) => {
                switches.insert(host.clone(), switch);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if findings.iter().any(|it| it.severity == Severity::Refusal) {
        return Err(findings);
    }
    let from = decision.from.as_ref();
    let before = from.map(|slot| routing(scene, slot, None)).unwrap_or_default();
    let stages = [
        (Phase::Verify, stages::verify(scene, &decision)),
        (Phase::Prepare, stages::each(&switches, Step::Prepare)),
        (Phase::Commit, stages::each(&switches, Step::Commit)),
    ];
    let plan = Plan {
        from_release: from.and_then(|slot| live::release_of_slot(scene.topology, scene.observed, slot)),
        from: decision.from.clone(),
        to: decision.to.clone(),
        release: decision.release.clone(),
        routings: vec![before, to],
        stages: stages::in_order(stages),
        warnings: findings,
    };
    Ok((decision, plan))
}

/// The endpoints of a slot on which the application does not listen.
fn not_up(scene: &Scene<'_>, slot: &SlotName) -> Vec<Finding> {
    let endpoints = scene.topology.endpoints(slot).into_iter();
    let down = endpoints.filter(|endpoint| !history::is_ours(scene, endpoint, slot));
    let finding = |endpoint: Endpoint| {
        let (host, slot) = (endpoint.host.clone(), slot.clone());
        Finding::refusal(Some(&host), Problem::SlotNotUp { slot, endpoint })
    };
    down.map(finding).collect()
}

/// Whether an nginx host routes to every endpoint of a slot and to nothing else.
fn routes_to(scene: &Scene<'_>, view: &NginxView, slot: &SlotName) -> bool {
    let endpoints: BTreeSet<_> = scene.topology.endpoints(slot).into_iter().collect();
    view.slot.as_ref() == Some(slot) && view.endpoints == endpoints
}

/// Whether an nginx host has our site with the generation of the scene's run, on the disk and running.
/// The user's own files have none.
fn runs_generation_of(scene: &Scene<'_>, host: &HostName) -> bool {
    let SwitchStyle::Site(_) = scene.playbook.nginx.style else {
        return true;
    };
    let wanted = Some(scene.run.as_str());
    scene.nginx(host).is_some_and(|nginx| {
        let on_disk = nginx.entry.content.as_deref().and_then(generation_of);
        nginx.generation.as_deref() == wanted && on_disk.as_deref() == wanted
    })
}

//! The window in which both slots stay up after a run has ended: the timers that leave the old slot's end to its
//! hosts, what speaks against setting them, and what became of them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::names::HostName;
use crate::model::observed::{HostObserved, NginxObserved, Observed, WatchKeeper};
use crate::model::playbook::AfterBake;
use crate::model::record::{RunRecord, RunStatus};
use crate::model::timer::Timer;

use super::forward::{Decision, Scene};
use super::stages::on;
use super::step::{HostStep, Stage, Step, Viewed};
use super::switch::{self, Target};

/// How much of a run's bake is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bake {
    /// All of it.
    Ahead,
    /// None: a person has promoted the run beyond its last routing.
    Promoted,
}

impl Bake {
    /// What a record says.
    pub(super) fn of(record: &RunRecord) -> Self {
        if record.promoted > record.switches() {
            Self::Promoted
        } else {
            Self::Ahead
        }
    }
}

/// What leaves the old slot's end to its hosts: a proof on every nginx host that answers of the release come through
/// the listener, and a timer on each host with an old instance. None where the playbook says otherwise, or nothing old
/// is there to end.
pub(super) fn steps(
    scene: &Scene<'_>,
    decision: &Decision,
    bake: Bake,
    is_ours: impl Fn(&Endpoint) -> bool,
) -> Result<Vec<HostStep>, Vec<Finding>> {
    let playbook = scene.playbook;
    let leaves = playbook.bake.then == AfterBake::LeftToHosts && decision.sends && bake == Bake::Ahead;
    let Some(from) = decision.from.as_ref().filter(|_| leaves) else {
        return Ok(Vec::new());
    };
    let old = scene.topology.endpoints(from).into_iter().filter(is_ours);
    let timers: Vec<_> = old
        .filter_map(|endpoint| timer(scene, decision, &endpoint))
        .collect();
    if timers.is_empty() {
        return Ok(Vec::new());
    }
    let mut findings = speaks_against(scene, &timers);
    let mut steps = Vec::new();
    for host in scene.topology.nginx.keys() {
        match proof(scene, decision, host) {
            Ok(step) => steps.push(on(host, step)),
            Err(finding) => findings.push(finding),
        }
    }
    steps.extend(timers);
    if findings.is_empty() {
        Ok(steps)
    } else {
        Err(findings)
    }
}

fn timer(scene: &Scene<'_>, decision: &Decision, old: &Endpoint) -> Option<HostStep> {
    let slot = decision.from.clone()?;
    let identity = scene.slot_at(old, &slot)?.identity()?.clone();
    let port = *scene.topology.was.get(&old.host)?.ports.get(&decision.to)?;
    let host = old.host.clone();
    let own = Viewed {
        endpoint: Endpoint {
            host: host.clone(),
            port,
        },
        address: "127.0.0.1".to_owned(),
    };
    let step = Step::SetTimer {
        slot,
        port: old.port,
        identity,
        nginx: nginx_addresses(scene, &host),
        after: scene.playbook.bake.duration,
        own,
    };
    Some(on(&host, step))
}

/// The addresses from which nginx connects to a host. Over the loopback comes only an nginx of its own.
fn nginx_addresses(scene: &Scene<'_>, to: &HostName) -> BTreeSet<IpAddr> {
    let of = |host: &HostName| {
        let own = scene.nginx(host).into_iter().flat_map(addresses);
        let is_own = host == to;
        own.filter(move |address| is_own || !address.is_loopback())
            .collect::<Vec<_>>()
    };
    scene.topology.nginx.keys().flat_map(of).collect()
}

fn addresses(nginx: &NginxObserved) -> impl Iterator<Item = IpAddr> {
    let own = nginx.own_addresses.iter();
    own.filter_map(|text| text.parse().ok())
}

fn proof(scene: &Scene<'_>, decision: &Decision, host: &HostName) -> Result<Step, Finding> {
    let endpoints = scene.topology.endpoints(&decision.to);
    let routing = super::forward::routing(scene, &decision.to, Some(&decision.release.id));
    let to = Target {
        number: 0,
        slot: &decision.to,
        release: &decision.release,
        routing: &routing,
    };
    let expect = switch::expect(scene, host, to).map_err(|reason| {
        let problem = Problem::CannotRender { reason };
        Finding::refusal(Some(host), problem)
    })?;
    Ok(Step::ProveAnswer { expect, endpoints })
}

/// What keeps a host from ending its old instance by itself, or from knowing when it may.
fn speaks_against(scene: &Scene<'_>, timers: &[HostStep]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for HostStep { host, .. } in timers {
        let Some(seen) = scene.observed.hosts.get(host) else {
            continue;
        };
        if seen.machine.keeper == WatchKeeper::Nobody {
            let user = seen.machine.user.clone();
            findings.push(Finding::refusal(Some(host), Problem::TimerNotKept { user }));
        }
        if seen.was.as_ref().is_some_and(|was| was.http_tool.is_none()) {
            findings.push(Finding::refusal(Some(host), Problem::CannotAskItself));
        }
    }
    for host in scene.topology.nginx.keys() {
        let is_alone = timers.iter().all(|on| on.host == *host);
        let seen = scene.nginx(host).filter(|_| !is_alone);
        let tells = |nginx: &NginxObserved| addresses(nginx).any(|address| !address.is_loopback());
        if seen.is_some_and(|nginx| !tells(nginx)) {
            let reason =
                "it does not tell its addresses, by which a host knows nginx's connections".to_owned();
            findings.push(Finding::refusal(Some(host), Problem::CannotObserve { reason }));
        }
    }
    findings
}

impl Stage {
    /// Whether the run ends with this stage, and leaves the old slot's end to its hosts.
    pub fn leaves_to_hosts(&self) -> bool {
        self.timers().next().is_some()
    }

    /// Every host that gets a timer, with the time until its hour.
    pub fn timers(&self) -> impl Iterator<Item = (&HostName, Duration)> {
        self.steps.iter().filter_map(|on| match on.step {
            Step::SetTimer { after, .. } => Some((&on.host, after)),
            _ => None,
        })
    }
}

/// A host's timer of that run.
fn timer_of<'a>(seen: &'a HostObserved, record: &RunRecord) -> Option<&'a Timer> {
    let timer = seen.was.as_ref()?.timer.as_ref()?;
    (timer.id.run == record.run).then_some(timer)
}

/// Every timer of a run that waits for its hour, as the hosts have them.
pub fn timers<'a>(
    observed: &'a Observed,
    record: &'a RunRecord,
) -> impl Iterator<Item = (&'a HostName, &'a Timer)> {
    let hosts = observed.hosts.iter();
    hosts.filter_map(|(host, seen)| Some((host, timer_of(seen, record)?)))
}

/// Makes of a run whose hosts have all ended their old instances what it is: over. The next run puts that on record.
pub fn settle(observed: &mut Observed) {
    let Some(waits) = super::waiting::waiting(observed).cloned() else {
        return;
    };
    let Some(window) = &waits.window else { return };
    let is_over = |host: &HostName| {
        let seen = observed.hosts.get(host);
        let timer = seen.and_then(|seen| Some((seen, timer_of(seen, &waits)?)));
        timer.is_some_and(|(seen, timer)| timer.id.epoch == waits.epoch && timer.is_through(seen))
    };
    if !window.hosts.iter().all(is_over) {
        return;
    }
    for seen in observed.hosts.values_mut() {
        let waits = |record: &RunRecord| record.run == waits.run && record.status != RunStatus::Done;
        if let Some(record) = seen.record.take_if(|record| waits(record)) {
            seen.record = Some(record.finished());
        }
    }
}

//! The stages of the way forward, in the order of the phases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::context::{self, ReleaseFacts};
use crate::model::defect::{Defect, planted};
use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::live::{self, Live};
use crate::model::names::{HostName, ReleaseId, RemotePath, SlotName};
use crate::model::observed::ReleaseObserved;
use crate::model::phase::Phase;
use crate::model::playbook::{AfterBake, Runner};
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::template::{Template, TemplateError};
use crate::model::topology::WasHost;

use super::forward::{Decision, Scene};
use super::history;
use super::step::{HostStep, Stage, StartRunner, Step, Switch, Viewed};
use super::switch::{clean_up, switch};

/// Stands in an argument for the release's jar, whose absolute path only its host knows.
const JAR: &str = "{jar}";

/// Every stage, or everything that keeps one from being written down.
pub(super) fn all(
    scene: &Scene<'_>,
    decision: &Decision,
    live: &Live,
    to: &Routing,
) -> Result<Vec<Stage>, Vec<Finding>> {
    let mut findings = Vec::new();
    let switches = switches(scene, decision, live, to, &mut findings);
    let starts = starts(scene, decision, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    // A process to which nginx routes is the application, whoever started it.
    let from = decision.from.as_ref();
    let routed = live.routed();
    let is_ours = |endpoint: &Endpoint| {
        routed.contains(endpoint) || from.is_some_and(|from| history::is_ours(scene, endpoint, from))
    };
    let mut finish = finish_was(scene, decision);
    finish.extend(finish_nginx(scene, live));
    Ok(in_order([
        (
            Phase::Upload,
            if decision.is_up {
                Vec::new()
            } else {
                uploads(scene, decision)
            },
        ),
        (Phase::Retire, retires(scene, decision)),
        (Phase::Start, starts),
        (Phase::Verify, verify(scene, decision)),
        (Phase::Prepare, each(&switches, Step::Prepare)),
        (Phase::Commit, each(&switches, Step::Commit)),
        (Phase::Bake, bake(scene, decision)),
        (Phase::Drain, drains(scene, decision)),
        (Phase::Stop, stops(scene, decision, is_ours)),
        (Phase::Finish, finish),
    ]))
}

/// Stages of these steps; a phase without any has none.
pub(super) fn in_order(stages: impl IntoIterator<Item = (Phase, Vec<HostStep>)>) -> Vec<Stage> {
    stages
        .into_iter()
        .filter(|(_, steps)| !steps.is_empty())
        .map(|(phase, steps)| Stage { phase, steps })
        .collect()
}

/// One step for each switch.
pub(super) fn each(switches: &BTreeMap<HostName, Switch>, wrap: fn(Box<Switch>) -> Step) -> Vec<HostStep> {
    let step = |(host, switch): (&HostName, &Switch)| on(host, wrap(Box::new(switch.clone())));
    switches.iter().map(step).collect()
}

/// A release as a host has it on record.
pub(super) fn recorded<'a>(
    scene: &Scene<'a>,
    host: &HostName,
    release: &ReleaseId,
) -> Option<&'a ReleaseObserved> {
    let was = scene.observed.hosts.get(host)?.was.as_ref()?;
    was.releases.iter().find(|known| known.id == *release)
}

/// The release as any host has it on record.
pub(super) fn known_anywhere(scene: &Scene<'_>, release: &ReleaseId) -> Option<Release> {
    let mut hosts = scene.topology.was.keys();
    let known = hosts.find_map(|host| recorded(scene, host, release))?;
    Some(Release {
        id: known.id.clone(),
        sha256: known.sha256.clone(),
        size_bytes: known.size_bytes,
        jar_name: known.jar_name.clone(),
    })
}

fn on(host: &HostName, step: Step) -> HostStep {
    HostStep {
        host: host.clone(),
        step,
    }
}

fn switches(
    scene: &Scene<'_>,
    decision: &Decision,
    live: &Live,
    to: &Routing,
    findings: &mut Vec<Finding>,
) -> BTreeMap<HostName, Switch> {
    let mut switches = BTreeMap::new();
    for (host, view) in &live.hosts {
        match switch(scene, host, view, &decision.to, &decision.release, to) {
            Ok(switch) => {
                switches.insert(host.clone(), switch);
            }
            Err(finding) => findings.push(finding),
        }
    }
    switches
}

fn uploads(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let step = |host: &HostName| {
        let on_record = recorded(scene, host, &decision.release.id).is_some();
        on(
            host,
            Step::Upload {
                release: decision.release.clone(),
                on_record,
            },
        )
    };
    scene.topology.was.keys().map(step).collect()
}

/// What ends before the release is started: whatever is on the target slot and, where nothing is live, what a
/// start that was cut off left on the other one, for a first deploy may take the slot that is free.
fn retires(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    if decision.is_up {
        return Vec::new();
    }
    let step = |(slot, endpoint): (&SlotName, Endpoint)| {
        let seen = scene.slot_at(&endpoint, slot)?;
        let ends = slot == &decision.to || seen.left_behind().is_some();
        let retire = Step::Retire {
            slot: slot.clone(),
            port: endpoint.port,
            target: seen.stop_target().filter(|_| ends)?,
            release: seen.release().cloned(),
        };
        Some(on(&endpoint.host, retire))
    };
    let other = &scene.playbook.other_slot(&decision.to).name;
    let slots = [
        Some(&decision.to),
        Some(other).filter(|_| decision.from.is_none()),
    ];
    let each = |slot| {
        scene
            .topology
            .endpoints(slot)
            .into_iter()
            .map(move |it| (slot, it))
    };
    slots
        .into_iter()
        .flatten()
        .flat_map(each)
        .filter_map(step)
        .collect()
}

fn starts(scene: &Scene<'_>, decision: &Decision, findings: &mut Vec<Finding>) -> Vec<HostStep> {
    let mut steps = Vec::new();
    if decision.is_up {
        return steps;
    }
    for endpoint in scene.topology.endpoints(&decision.to) {
        match start(scene, decision, &endpoint) {
            Ok(step) => steps.push(on(&endpoint.host, step)),
            Err(reason) => {
                findings.push(Finding::refusal(
                    Some(&endpoint.host),
                    Problem::CannotRender { reason },
                ));
            }
        }
    }
    steps
}

fn start(scene: &Scene<'_>, decision: &Decision, endpoint: &Endpoint) -> Result<Step, String> {
    let was = scene
        .topology
        .was
        .get(&endpoint.host)
        .ok_or("it is no WAS host")?;
    let slot = scene
        .playbook
        .slot(&decision.to)
        .ok_or("the playbook has no such slot")?;
    let place = ReleasePlace::on(was, &decision.release)?;
    let facts = place.facts(&decision.release);
    let context = context::instance(&was.vars, slot, endpoint.port, &facts);
    let text = |template: &Template| template.render(&context).map_err(|error| error.to_string());
    let texts = |templates: &[Template]| templates.iter().map(text).collect::<Result<Vec<_>, _>>();
    let variables = |env: &BTreeMap<String, Template>| {
        env.iter()
            .map(|(name, value)| Ok((name.clone(), text(value)?)))
            .collect::<Result<_, String>>()
    };
    let (runner, env) = match &scene.playbook.start {
        Runner::Java(java) => {
            let mut argv = vec![text(&java.bin)?];
            argv.extend(texts(&java.opts)?);
            argv.extend(["-jar".to_owned(), JAR.to_owned()]);
            argv.extend(texts(&java.args)?);
            (StartRunner::Process { argv }, variables(&java.env)?)
        }
        Runner::Command(command) => {
            let argv = texts(&command.run)?;
            let chdir = command
                .chdir
                .as_ref()
                .map(|folder| path(folder.render(&context)))
                .transpose()?;
            (StartRunner::Script { argv, chdir }, variables(&command.env)?)
        }
    };
    Ok(Step::Start {
        slot: decision.to.clone(),
        port: endpoint.port,
        runner,
        env,
    })
}

/// Where a release lies on one host.
struct ReleasePlace {
    dir: RemotePath,
    jar: RemotePath,
}

impl ReleasePlace {
    fn on(was: &WasHost, release: &Release) -> Result<Self, String> {
        let below = |path: &str| was.release_dir.join(path).map_err(|error| error.to_string());
        let dir = below(&format!("releases/{}", release.id))?;
        let jar = below(&format!("releases/{}/app.jar", release.id))?;
        Ok(Self { dir, jar })
    }

    fn facts<'a>(&'a self, release: &'a Release) -> ReleaseFacts<'a> {
        ReleaseFacts {
            id: &release.id,
            dir: &self.dir,
            jar: &self.jar,
            version: release.version(),
        }
    }
}

fn path(text: Result<String, TemplateError>) -> Result<RemotePath, String> {
    RemotePath::new(text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

/// What every host of the topology sees of a slot: a WAS host its own endpoint over the loopback,
/// an nginx host all of them at the address that it proxies to.
pub(super) fn views(scene: &Scene<'_>, slot: &SlotName) -> BTreeMap<HostName, Vec<Viewed>> {
    let mut views: BTreeMap<HostName, Vec<Viewed>> = BTreeMap::new();
    let endpoints = scene.topology.endpoints(slot);
    for endpoint in &endpoints {
        let own = Viewed {
            endpoint: endpoint.clone(),
            address: "127.0.0.1".to_owned(),
        };
        views.entry(endpoint.host.clone()).or_default().push(own);
    }
    for host in scene.topology.nginx.keys() {
        for endpoint in &endpoints {
            let Some(was) = scene.topology.was.get(&endpoint.host) else {
                continue;
            };
            let viewed = Viewed {
                endpoint: endpoint.clone(),
                address: was.address.to_string(),
            };
            let seen = views.entry(host.clone()).or_default();
            if !seen.contains(&viewed) {
                seen.push(viewed);
            }
        }
    }
    views
}

pub(super) fn verify(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    // A slot that has been up all the while needs no time to prove itself: one healthy answer is enough.
    let min_healthy_time = if decision.is_up {
        Duration::ZERO
    } else {
        scene.playbook.health.min_healthy_time
    };
    let warm = scene.playbook.warmup.is_some() && !decision.is_up;
    let step = |(host, endpoints): (HostName, Vec<Viewed>)| {
        let warm_up = warm && endpoints.iter().any(|viewed| viewed.endpoint.host == host);
        HostStep {
            host,
            step: Step::Verify {
                endpoints,
                min_healthy_time,
                warm_up,
            },
        }
    };
    let views = views(scene, &decision.to).into_iter();
    let seen = views
        .filter(|(host, _)| scene.topology.was.contains_key(host) || !planted(Defect::VerifyFromOwnHostOnly));
    seen.map(step).collect()
}

pub(super) fn bake(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    if scene.playbook.bake.duration.is_zero() || !decision.sends {
        return Vec::new();
    }
    let step = |(host, endpoints)| HostStep {
        host,
        step: Step::Bake { endpoints },
    };
    views(scene, &decision.to).into_iter().map(step).collect()
}

fn keeps(scene: &Scene<'_>) -> bool {
    scene.playbook.bake.then == AfterBake::Keep
}

pub(super) fn drains(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let Some(from) = decision.from.as_ref().filter(|_| !keeps(scene)) else {
        return Vec::new();
    };
    let workers = |host: &HostName| {
        let master = scene.nginx(host)?.master.as_ref()?.identity.clone();
        Some(on(host, Step::DrainWorkers { master }))
    };
    let mut steps: Vec<_> = scene.topology.nginx.keys().filter_map(workers).collect();
    for endpoint in scene.topology.endpoints(from) {
        let step = Step::DrainConnections {
            slot: from.clone(),
            port: endpoint.port,
        };
        steps.push(on(&endpoint.host, step));
    }
    steps
}

/// The old slot's end, on the endpoints whose process is the application's.
pub(super) fn stops(
    scene: &Scene<'_>,
    decision: &Decision,
    is_ours: impl Fn(&Endpoint) -> bool,
) -> Vec<HostStep> {
    let Some(from) = &decision.from else {
        return Vec::new();
    };
    let step = |endpoint: Endpoint| {
        let port = endpoint.port;
        if keeps(scene) {
            return Some(on(
                &endpoint.host,
                Step::Keep {
                    slot: from.clone(),
                    port,
                },
            ));
        }
        let identity = scene.slot_at(&endpoint, from)?.identity()?.clone();
        let stop = Step::Stop {
            slot: from.clone(),
            port,
            identity,
            successor: decision.to.clone(),
        };
        Some(on(&endpoint.host, stop))
    };
    scene
        .topology
        .endpoints(from)
        .into_iter()
        .filter(is_ours)
        .filter_map(step)
        .collect()
}

/// The release is marked as good, and old ones are removed.
pub(super) fn finish_was(scene: &Scene<'_>, decision: &Decision) -> Vec<HostStep> {
    let mut protected = BTreeSet::from([decision.release.id.clone()]);
    if let Some(from) = &decision.from {
        protected.extend(live::release_of_slot(scene.topology, scene.observed, from));
    }
    let keep = scene.playbook.release.keep;
    let step = |host: &HostName| {
        let protected = protected.clone();
        on(host, Step::FinishWas { keep, protected })
    };
    scene.topology.was.keys().map(step).collect()
}

/// What switches left beside the live file is removed, on every nginx host that was looked at.
pub(super) fn finish_nginx(scene: &Scene<'_>, live: &Live) -> Vec<HostStep> {
    let step = |host: &HostName| {
        let clean = clean_up(scene, host, live.hosts.get(host))?;
        Some(on(host, Step::FinishNginx { clean }))
    };
    scene.topology.nginx.keys().filter_map(step).collect()
}

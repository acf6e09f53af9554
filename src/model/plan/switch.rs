//! One nginx host's part of a routing: which bytes go where, and how they are tested first.

use crate::model::context::{self, ReleaseFacts};
use crate::model::endpoint::{Endpoint, Instance};
use crate::model::finding::{Finding, Problem};
use crate::model::live::NginxView;
use crate::model::names::{Address, HostName, Port, RemotePath, SlotName};
use crate::model::nginx_conf::Beside;
use crate::model::nginx_site;
use crate::model::observed::{EntryKind, NginxObserved};
use crate::model::playbook::SwitchStyle;
use crate::model::release::Release;
use crate::model::routing::{Routing, Weight};
use crate::model::service_url::{self, Known};
use crate::model::topology::{NginxHost, ServiceUrl};

use super::forward::Scene;
use super::step::{CleanUp, NginxFacts, Switch, UpstreamFile};

/// The path at which a rendered site tells its generation, to the loopback only.
pub const GENERATION_PATH: &str = nginx_site::GENERATION_PATH;

/// Whether a link leads to that file. The path may be written with `~/` or through other links than
/// the resolved one, so that the last folder and the name have to do: to write one slot's bytes into
/// the file of the other would be worse than to lead a link to the user's own file.
fn leads_to(path: &RemotePath, target: &str, resolved: &str) -> bool {
    let tail = path.as_str().strip_prefix('~').map_or_else(
        || format!("/{}/{}", path.parent().file_name(), path.file_name()),
        str::to_owned,
    );
    [target, resolved]
        .iter()
        .any(|known| *known == path.as_str() || known.ends_with(&tail))
}

const ANSWER: &str = "return 200 \"";

/// Where a switch leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// Which routing of its run.
    pub(super) number: u32,
    /// The slot that gets the traffic, or a share of it.
    pub(super) slot: &'a SlotName,
    /// The release that runs there.
    pub(super) release: &'a Release,
    /// The routing.
    pub(super) routing: &'a Routing,
}

/// The next switch of an nginx host, from what the one before will have put there.
pub(super) fn after(
    scene: &Scene<'_>,
    name: &HostName,
    view: &NginxView,
    before: &Switch,
    to: Target<'_>,
) -> Result<Switch, Finding> {
    let unknown = || {
        let reason = "it gave no answer".to_owned();
        Finding::refusal(Some(name), Problem::CannotObserve { reason })
    };
    let host = scene.topology.nginx.get(name).ok_or_else(unknown)?;
    let Content {
        after, generation, ..
    } = content(scene, name, host, view, to)?;
    Ok(Switch {
        number: to.number,
        takes_over: None,
        before: Some(before.after.clone()),
        after,
        generation,
        expect: expect(scene, name, to).map_err(|reason| unrendered(name, reason))?,
        endpoints: to.routing.endpoints().cloned().collect(),
        ..before.clone()
    })
}

fn unrendered(name: &HostName, reason: String) -> Finding {
    Finding::refusal(Some(name), Problem::CannotRender { reason })
}

/// The switch of one nginx host, from what it has now.
pub(super) fn switch(
    scene: &Scene<'_>,
    name: &HostName,
    view: &NginxView,
    to: Target<'_>,
) -> Result<Switch, Finding> {
    let missing = |reason: &str| {
        Finding::refusal(
            Some(name),
            Problem::CannotObserve {
                reason: reason.to_owned(),
            },
        )
    };
    let host = scene
        .topology
        .nginx
        .get(name)
        .ok_or_else(|| missing("it is no nginx host"))?;
    let nginx = scene.nginx(name).ok_or_else(|| missing("it gave no answer"))?;
    let refuse = |problem| Finding::refusal(Some(name), problem);

    let facts = NginxFacts::of(nginx).ok_or_else(|| refuse(Problem::NginxNotRunning))?;
    let Content {
        after,
        generation,
        upstreams,
    } = content(scene, name, host, view, to)?;
    let slot_file = host.slot_files.get(to.slot);
    let (target, link) = target(host, nginx, view.takes_over.as_ref(), slot_file).map_err(refuse)?;
    let expect = expect(scene, name, to).map_err(|reason| unrendered(name, reason))?;
    let takes_over = view.takes_over.as_ref();
    let beside = upstreams.as_ref().map(|file| Beside {
        path: file.path.as_str(),
        text: &file.after,
    });
    let shadow = view.shadow(host, beside).map_err(|error| {
        refuse(Problem::CannotShadow {
            reason: error.to_string(),
        })
    })?;
    Ok(Switch {
        number: to.number,
        entry: host.file.clone(),
        target,
        nginx: facts,
        takes_over: takes_over.cloned(),
        before: view.content.clone(),
        after,
        link,
        upstreams,
        shadow,
        generation,
        expect,
        endpoints: to.routing.endpoints().cloned().collect(),
    })
}

/// What the playbook's own proof must find: its template, rendered with the new release. While the old slot
/// has a share of the traffic, any answer may be its.
pub(super) fn expect(scene: &Scene<'_>, name: &HostName, to: Target<'_>) -> Result<Option<String>, String> {
    let Target { slot, release, .. } = to;
    let is_old = |endpoint: &Endpoint| scene.topology.slot_of(endpoint) != Some(slot);
    let Some(proof) = &scene.playbook.nginx.proof else {
        return Ok(None);
    };
    let is_other = |instance: &Instance| instance.release.as_ref() != Some(&release.id);
    if to.routing.endpoints().any(is_old) || to.routing.instances().any(is_other) {
        return Ok(None);
    }
    let slot = scene.playbook.slot(slot).ok_or("the playbook has no such slot")?;
    let host = scene.topology.nginx.get(name).ok_or("it is no nginx host")?;
    // An nginx host has no releases: a proof has no use for their folders.
    let nowhere = RemotePath::new("/nonexistent").map_err(|error| error.to_string())?;
    let facts = ReleaseFacts {
        id: &release.id,
        dir: &nowhere,
        jar: &nowhere,
        version: release.version(),
    };
    let context = context::proof(&host.vars, slot, &facts);
    proof
        .expect
        .render(&context)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// What a switch writes.
struct Content {
    after: String,
    generation: Option<String>,
    upstreams: Option<UpstreamFile>,
}

impl Content {
    /// A file that tells no generation.
    fn plain(after: String) -> Self {
        Self {
            after,
            generation: None,
            upstreams: None,
        }
    }
}

fn content(
    scene: &Scene<'_>,
    name: &HostName,
    host: &NginxHost,
    view: &NginxView,
    to: Target<'_>,
) -> Result<Content, Finding> {
    let Target { slot, routing, .. } = to;
    match (&scene.playbook.nginx.style, &host.service_url) {
        (SwitchStyle::Site(site), _) => {
            let generation = scene.run.of_switch(to.number).to_string();
            let instances = instances(scene, routing);
            nginx_site::render(&scene.topology.app, host, site, &instances, &generation)
                .map(|after| Content {
                    generation: Some(generation),
                    ..Content::plain(after)
                })
                .map_err(|error| unrendered(name, error.to_string()))
        }
        (SwitchStyle::Include(_), Some(service)) => {
            included(scene, service, view, slot, routing).map_err(|reason| unrendered(name, reason))
        }
        _ => match scene.nginx(name).and_then(|nginx| nginx.slot_files.get(slot)) {
            Some(Some(text)) => match left_out_in(scene, slot, text) {
                None => Ok(Content::plain(text.clone())),
                Some(endpoint) => {
                    let slot = slot.clone();
                    let problem = Problem::SlotFileNamesLeftOut { slot, endpoint };
                    Err(Finding::refusal(Some(name), problem))
                }
            },
            _ => Err(Finding::refusal(
                Some(name),
                Problem::SlotFileMissing { slot: slot.clone() },
            )),
        },
    }
}

/// Address, port and weight of each instance, of a host that is left out too.
fn instances(scene: &Scene<'_>, routing: &Routing) -> Vec<(Address, Port, Weight)> {
    let instance = |(instance, weight): (&Instance, Weight)| {
        let Endpoint { host, port } = &instance.endpoint;
        Some((scene.topology.was_host(host)?.address.clone(), *port, weight))
    };
    routing.iter().filter_map(instance).collect()
}

/// The line for the user's server, and the upstreams that it may name.
fn included(
    scene: &Scene<'_>,
    service: &ServiceUrl,
    view: &NginxView,
    slot: &SlotName,
    routing: &Routing,
) -> Result<Content, String> {
    let topology = scene.topology;
    let was = topology.was.values().chain(topology.without.was.values());
    let endpoints: Vec<_> = was
        .flat_map(|was| was.ports.values().map(|port| (was.address.clone(), *port)))
        .collect();
    let there = service
        .upstream_file
        .as_ref()
        .and_then(|path| view.dump.file(path.as_str()));
    let known = Known {
        text: there.map(|file| file.text.as_str()),
        endpoints: &endpoints,
        entry: view.content.as_deref(),
    };
    let texts = service_url::render(&topology.app, slot, service, &instances(scene, routing), &known);
    let texts = texts.map_err(|error| error.to_string())?;
    let upstreams = service.upstream_file.clone().zip(texts.upstreams);
    Ok(Content {
        upstreams: upstreams.map(|(path, after)| UpstreamFile {
            path,
            before: known.text.map(str::to_owned),
            after,
        }),
        ..Content::plain(texts.entry)
    })
}

/// An endpoint of a left-out host to which the user's own file would lead requests.
fn left_out_in(scene: &Scene<'_>, slot: &SlotName, text: &str) -> Option<Endpoint> {
    let left_out = scene.topology.without.was.iter();
    let mut endpoints = left_out.filter_map(|(host, was)| Some((host, was, *was.ports.get(slot)?)));
    let (host, _, port) = endpoints.find(|(_, was, port)| names(text, &format!("{}:{port}", was.address)))?;
    let host = host.clone();
    Some(Endpoint { host, port })
}

/// Whether a configuration names an address and port outside of its comments.
fn names(text: &str, address: &str) -> bool {
    let code = text
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(code, _)| code));
    let mut words = code.flat_map(|line| line.split(|c: char| c.is_whitespace() || ";/\"'{}=".contains(c)));
    words.any(|word| word == address)
}

/// Where the bytes go. An entry that is a link stays one: a link to a slot's own file becomes a link
/// to the other slot's, any other link leads us to the file behind it.
fn target(
    host: &NginxHost,
    nginx: &NginxObserved,
    takes_over: Option<&RemotePath>,
    slot_file: Option<&RemotePath>,
) -> Result<(RemotePath, Option<RemotePath>), Problem> {
    let kind = match takes_over {
        Some(path) => nginx.siblings.get(path.file_name()).unwrap_or(&EntryKind::File),
        None => &nginx.entry.kind,
    };
    let EntryKind::Link { target, resolved } = kind else {
        return Ok((host.file.clone(), None));
    };
    let leads_to = |path: &RemotePath| leads_to(path, target, resolved);
    if let Some(slot_file) = slot_file.filter(|_| host.slot_files.values().any(leads_to)) {
        return Ok((host.file.clone(), Some(slot_file.clone())));
    }
    if takes_over.is_some() {
        // What the earlier tool linked to is the user's file: it stays, and our entry becomes a file.
        return Ok((host.file.clone(), None));
    }
    let unusable = |error| Problem::EntryUnusable {
        path: host.file.to_string(),
        what: format!("a link: {error}"),
    };
    RemotePath::new(resolved.clone())
        .map(|path| (path, None))
        .map_err(unusable)
}

/// What a switch of this host leaves beside the live file; `None` where the host was not looked at.
pub(super) fn clean_up(scene: &Scene<'_>, name: &HostName, view: Option<&NginxView>) -> Option<CleanUp> {
    let (host, nginx) = (scene.topology.nginx.get(name)?, scene.nginx(name)?);
    let takes_over = view.and_then(|view| view.takes_over.as_ref());
    let any_slot_file = host.slot_files.values().next();
    let target = target(host, nginx, takes_over, any_slot_file);
    Some(CleanUp {
        entry: host.file.clone(),
        target: target.map_or_else(|_| host.file.clone(), |(target, _)| target),
        conf: nginx.conf.clone(),
    })
}

/// The generation that a rendered file names: what it returns at its own location.
pub(super) fn generation_of(content: &str) -> Option<String> {
    let location = &content[content.find(GENERATION_PATH)?..];
    let answer = &location[location.find(ANSWER)? + ANSWER.len()..];
    answer
        .split_once('"')
        .map(|(generation, _)| generation.to_owned())
}

/// How a rendered file writes the answer of its generation's location.
pub(super) fn generation_answer(generation: &str) -> String {
    format!("{ANSWER}{generation}\"")
}

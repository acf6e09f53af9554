//! What a first switch takes away with a file that is not ours: servers that the new file does not have would be
//! gone with it, and so would another application's.

use crate::model::finding::{Finding, Problem};
use crate::model::live::Live;
use crate::model::nginx_conf::{Dump, Listen, SiteRoute};
use crate::model::nginx_site::{self, GENERATION_PATH, Replaced};
use crate::model::phase::Phase;
use crate::model::topology::Topology;

use super::forward::Scene;
use super::step::{Stage, Switch};

/// Looks at the files that the first switch of every nginx host replaces.
pub(super) fn findings<'a>(
    scene: &Scene<'_>,
    live: &Live,
    mut stages: impl Iterator<Item = &'a Stage>,
) -> Vec<Finding> {
    let first = stages.find(|stage| stage.phase == Phase::Commit);
    let switches = first.map(Stage::switches).unwrap_or_default();
    let look = |(host, switch): (_, &Switch)| {
        let view = live.hosts.get(host)?;
        let before = switch.before.as_deref().filter(|_| switch.generation.is_some())?;
        let file = switch.takes_over.as_ref().unwrap_or(&switch.entry).to_string();
        let finding = |is: fn(_, _) -> Finding, what| Some(is(Some(host), Problem::Replaced(what)));
        if let Some(app) = nginx_site::other_app(&scene.topology.app, before) {
            return finding(Finding::refusal, Replaced::FileOfAnotherApp { file, app });
        }
        if before.contains(GENERATION_PATH) {
            return None;
        }
        let new = servers(&switch.after)?;
        let old = view.dump.routes().iter().filter(|route| route.file == file);
        let old: Vec<_> = old.collect();
        let lost = old.iter().filter(|server| !is_kept(scene.topology, server, &new));
        let servers: Vec<_> = lost.map(|server| told(server)).collect();
        if !servers.is_empty() {
            return finding(Finding::refusal, Replaced::ServersLost { file, servers });
        }
        let listens = old.iter().flat_map(|server| &server.listens);
        let mut listens: Vec<_> = listens.filter(|listen| !hears(&new, listen)).map(place).collect();
        listens.sort();
        listens.dedup();
        finding(Finding::warning, Replaced::FileByHandReplaced { file, listens })
    };
    switches.into_iter().filter_map(look).collect()
}

/// The servers of a file that nginx has not read yet; nothing where it is no configuration: `nginx -t` will say so.
fn servers(text: &str) -> Option<Vec<SiteRoute>> {
    let dump = Dump::parse(&format!("# configuration file /new:\nhttp {{\n{text}\n}}\n")).ok()?;
    Some(dump.routes().to_vec())
}

/// Whether requests to a server find one in the new file: on each of its ports, in the same way, under each of its
/// names. One of the application's own needs no name where the new one has none.
fn is_kept(topology: &Topology, server: &SiteRoute, new: &[SiteRoute]) -> bool {
    let mut targets = server.targets.iter();
    let is_ours = targets.any(|target| topology.endpoint_at(&target.host, target.port).is_some());
    let names = names(server);
    let has_names = |route: &SiteRoute| {
        let all = names.iter().all(|name| route.has_name(name));
        if is_ours {
            all || self::names(route).is_empty()
        } else {
            all && !names.is_empty()
        }
    };
    server.listens.iter().all(|listen| {
        let same = |other: &Listen| (other.port, other.is_tls) == (listen.port, listen.is_tls);
        new.iter()
            .any(|route| has_names(route) && route.listens.iter().any(same))
    })
}

/// The names that somebody asks for.
fn names(server: &SiteRoute) -> Vec<&str> {
    let names = server.server_names.iter().map(String::as_str);
    names.filter(|name| !["_", "localhost"].contains(name)).collect()
}

/// Whether the new file listens there, in the same family of addresses.
fn hears(new: &[SiteRoute], listen: &Listen) -> bool {
    let is_six = |listen: &Listen| listen.address.contains(':');
    let mut listens = new.iter().flat_map(|route| &route.listens);
    listens.any(|other| other.port == listen.port && is_six(other) == is_six(listen))
}

fn place(listen: &Listen) -> String {
    let address = match listen.address.as_str() {
        "*" => return listen.port.to_string(),
        six if six.contains(':') => format!("[{six}]"),
        four => four.to_owned(),
    };
    format!("{address}:{}", listen.port)
}

/// A server as a person finds it: its line, where it listens, and its names.
fn told(server: &SiteRoute) -> String {
    let listens = server.listens.iter();
    let listens = listens.map(|listen| place(listen) + if listen.is_tls { " ssl" } else { "" });
    let words: Vec<_> = listens.chain(server.server_names.iter().cloned()).collect();
    format!("the server of line {} ({})", server.line, words.join(" "))
}

//! What a run's first switch takes away with the text that is there: servers that the new one does not have would be gone
//! with it, and so would another application's.

use crate::model::finding::{Finding, Problem};
use crate::model::live::Live;
use crate::model::names::HostName;
use crate::model::nginx_conf::{Dump, Listen, SiteRoute};
use crate::model::nginx_site::{self, GENERATION_PATH, HEADING, Replaced};
use crate::model::phase::Phase;

use super::forward::Scene;
use super::step::{Stage, Switch};

/// Looks at what the first switch of every nginx host replaces.
pub(super) fn findings<'a>(
    scene: &Scene<'_>,
    live: &Live,
    mut stages: impl Iterator<Item = &'a Stage>,
) -> Vec<Finding> {
    let first = stages.find(|stage| stage.phase == Phase::Commit);
    let switches = first.map(Stage::switches).unwrap_or_default();
    let look = |(host, switch): (_, &Switch)| {
        let change = Change::of(scene, host, &live.hosts.get(host)?.dump, switch)?;
        let (is_refused, what) = change.says()?;
        let finding = if is_refused {
            Finding::refusal
        } else {
            Finding::warning
        };
        Some(finding(Some(host), Problem::Replaced(what)))
    };
    switches.into_iter().filter_map(look).collect()
}

/// What a switch makes of one nginx's servers.
struct Change<'a> {
    scene: &'a Scene<'a>,
    host: &'a HostName,
    switch: &'a Switch,
    before: &'a str,
    /// The file that goes.
    file: &'a str,
    dump: &'a Dump,
    after: Dump,
}

impl<'a> Change<'a> {
    /// Nothing where nothing goes, or where the new text is no configuration: `nginx -t` will say so.
    fn of(scene: &'a Scene<'a>, host: &'a HostName, dump: &'a Dump, switch: &'a Switch) -> Option<Self> {
        let file = switch.takes_over.as_ref().unwrap_or(&switch.entry).as_str();
        Some(Self {
            scene,
            host,
            switch,
            before: switch.before.as_deref()?,
            file,
            dump,
            after: dump.with(file, switch.entry.as_str(), &switch.after).ok()?,
        })
    }

    /// What is to be said, and whether it refuses the switch.
    fn says(&self) -> Option<(bool, Replaced)> {
        let file = self.file.to_owned();
        if let Some(app) = nginx_site::other_app(&self.scene.topology.app, self.before) {
            return Some((true, Replaced::FileOfAnotherApp { file, app }));
        }
        let is_own = self.before.contains(GENERATION_PATH);
        let lost = |server: &&SiteRoute| !self.keeps(server) || is_own && !self.unheard(server).is_empty();
        let lost: Vec<_> = self.was().filter(lost).map(|server| self.told(server)).collect();
        if !lost.is_empty() {
            let servers = lost;
            return Some((self.is_refused(is_own), Replaced::ServersLost { file, servers }));
        }
        // With the other styles the file is the user's before and after.
        if is_own || self.switch.generation.is_none() {
            return None;
        }
        let mut listens: Vec<_> = self.was().flat_map(|server| self.unheard(server)).collect();
        listens.sort();
        listens.dedup();
        let defaults = self.defaults();
        Some((
            false,
            Replaced::FileByHandReplaced {
                file,
                listens,
                defaults,
            },
        ))
    }

    /// A change of the playbook, of a template or between the user's own two files may be meant. What a person wrote
    /// into our standard file, or has in one that is not ours, nobody has given up.
    fn is_refused(&self, is_own: bool) -> bool {
        if self.after.lacks_an_include_of(self.switch.entry.as_str()) {
            return false;
        }
        if is_own {
            let mut old = self.was();
            let is_as_written =
                old.next().is_some_and(|server| server.listens.len() == 1) && old.next().is_none();
            return self.before.starts_with(HEADING) && !is_as_written;
        }
        let slot_files = self.scene.nginx(self.host).map(|nginx| &nginx.slot_files);
        let mut texts = slot_files
            .into_iter()
            .flatten()
            .filter_map(|(_, text)| text.as_deref());
        !texts.any(|text| text == self.before)
    }

    /// The servers in which the file has a part.
    fn was(&self) -> impl Iterator<Item = &SiteRoute> {
        let routes = self.dump.routes().iter();
        routes.filter(|route| route.involves(self.file))
    }

    /// The servers in which the new text has one.
    fn now(&self) -> impl Iterator<Item = &SiteRoute> {
        let routes = self.after.routes().iter();
        routes.filter(|route| route.involves(self.switch.entry.as_str()))
    }

    fn is_ours(&self, route: &SiteRoute) -> bool {
        let topology = self.scene.topology;
        let mut targets = route.targets.iter();
        targets.any(|it| {
            topology
                .endpoint_seen_from(self.host, &it.host, it.port)
                .is_some()
        })
    }

    /// Whether requests to a server find one afterwards: on each of its ports, in the same way, under each of its
    /// names. One of the application's own needs no name where the new one has none.
    fn keeps(&self, server: &SiteRoute) -> bool {
        let entry = self.switch.entry.as_str();
        let is_it = |route: &SiteRoute| (&route.file, route.line) == (&server.file, server.line);
        // One that is written in another file stays, wherever it leads.
        if server.file != self.file
            && self
                .after
                .routes()
                .iter()
                .any(|route| is_it(route) && route.file != entry)
        {
            return true;
        }
        let is_ours = self.is_ours(server);
        let names = names(server);
        let answers = |route: &SiteRoute| {
            let is_nameless = self::names(route).is_empty();
            if names.is_empty() {
                is_ours || is_nameless && !self.is_ours(route)
            } else {
                is_ours && is_nameless || names.iter().all(|name| route.has_name(name))
            }
        };
        let hears = |listen: &Listen| {
            self.now()
                .any(|route| answers(route) && route.listens.iter().any(|other| is_alike(other, listen)))
        };
        // Sockets of the file system are not told apart.
        let is_same = |route: &SiteRoute| {
            (&route.server_names, &route.listens) == (&server.server_names, &server.listens)
        };
        if server.listens.is_empty() {
            self.now().any(is_same)
        } else {
            server.listens.iter().all(hears)
        }
    }

    /// Where a server listens, and nothing of the new text does.
    fn unheard(&self, server: &SiteRoute) -> Vec<String> {
        let is_heard = |listen: &Listen| {
            let mut others = self.now().flat_map(|route| &route.listens);
            others.any(|other| other.port == listen.port && covers(&other.address, &listen.address))
        };
        let listens = server.listens.iter();
        listens.filter(|listen| !is_heard(listen)).map(place).collect()
    }

    /// Where the file had the requests that name no server, and which file gets them.
    fn defaults(&self) -> Vec<String> {
        let places = self.was().flat_map(|server| &server.listens);
        let moves = |listen: &Listen| {
            let was_ours = default_of(self.dump, listen)?.involves(self.file);
            let new = default_of(&self.after, listen)?;
            let is_ours = new.involves(self.switch.entry.as_str());
            (was_ours && !is_ours).then(|| format!("{} to {}", place(listen), new.file))
        };
        let mut found: Vec<_> = places.filter_map(moves).collect();
        found.sort();
        found.dedup();
        found
    }

    /// A server as a person finds it: its line, where it listens, and its names.
    fn told(&self, server: &SiteRoute) -> String {
        let listens = server.listens.iter();
        let listens = listens.map(|listen| place(listen) + if listen.is_tls { " ssl" } else { "" });
        let words: Vec<_> = listens.chain(server.server_names.iter().cloned()).collect();
        let elsewhere = (server.file != self.file).then(|| format!(" of {}", server.file));
        let elsewhere = elsewhere.unwrap_or_default();
        format!(
            "the server of line {}{elsewhere} ({})",
            server.line,
            words.join(" ")
        )
    }
}

/// The names that somebody asks for.
fn names(server: &SiteRoute) -> Vec<&str> {
    let names = server.server_names.iter().map(String::as_str);
    names
        .filter(|name| !["_", "localhost", ""].contains(name))
        .collect()
}

/// Whether a request for one would be understood by the other.
fn is_alike(one: &Listen, other: &Listen) -> bool {
    let way = |listen: &Listen| (listen.port, listen.is_tls, listen.is_proxied);
    way(one) == way(other)
}

/// Whether whoever listens on the one address hears the other as well.
fn covers(one: &str, other: &str) -> bool {
    let is_six = |address: &str| address.contains(':');
    one == other || ["*", "0.0.0.0", "::"].contains(&one) && is_six(one) == is_six(other)
}

/// The server that gets the requests there which name none: the one that says so, or the first.
fn default_of<'a>(dump: &'a Dump, at: &Listen) -> Option<&'a SiteRoute> {
    let is_there = |listen: &&Listen| (&listen.address, listen.port) == (&at.address, at.port);
    let listens = |route: &SiteRoute| {
        route
            .listens
            .iter()
            .find(is_there)
            .map(|listen| listen.is_default)
    };
    let mut routes = dump.routes().iter();
    let first = routes.clone().find(|route| listens(route).is_some());
    routes.find(|route| listens(route) == Some(true)).or(first)
}

fn place(listen: &Listen) -> String {
    let address = match listen.address.as_str() {
        "*" => return listen.port.to_string(),
        six if six.contains(':') => format!("[{six}]"),
        four => four.to_owned(),
    };
    format!("{address}:{}", listen.port)
}

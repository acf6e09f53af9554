//! Where a `proxy_pass` leads: upstreams, variables, addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::dump::{Dump, Placed};

/// Variables within variables that are still followed.
const MAX_VARIABLE_DEPTH: usize = 8;

/// Values of one `proxy_pass` that are still told apart.
const MAX_VALUES: usize = 256;

/// An address to which a server block sends requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Its weight in the upstream; 1 without one.
    pub weight: u32,
    /// Whether nginx sends requests there only if all others fail.
    pub backup: bool,
    /// Whether it is marked as `down`.
    pub down: bool,
    /// The file in which the address is written.
    pub file: String,
}

impl Target {
    /// Whether requests to this target arrive at that address; `localhost` and the loopback
    /// addresses count as one.
    pub fn reaches(&self, host: &str, port: u16) -> bool {
        let same_host = self.host.eq_ignore_ascii_case(host) || (loopback(&self.host) && loopback(host));
        self.port == port && same_host
    }
}

fn loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What a `proxy_pass` may refer to by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What the whole block defines, shared by all of its servers.
    upstreams: Rc<BTreeMap<String, Vec<Target>>>,
    maps: Rc<Variables>,
    /// What one server sets.
    sets: Variables,
}

/// The values that variables may have, each with the file that writes it.
type Variables = BTreeMap<String, Vec<(String, String)>>;

/// What one server block reaches.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) targets: BTreeSet<Target>,
    pub(super) unresolved: BTreeSet<String>,
    pub(super) sources: BTreeSet<String>,
}

impl Names {
    /// Collects upstreams, maps and split_clients of an `http` or `stream` block.
    pub(super) fn of_block(dump: &Dump, block: &[Placed]) -> Self {
        let mut upstreams: BTreeMap<String, Vec<Target>> = BTreeMap::new();
        let mut maps = Variables::new();
        for placed in block {
            match (placed.directive.name.as_str(), placed.args()) {
                ("upstream", [name]) => {
                    let servers = dump.expand(placed);
                    let servers = servers.iter().filter(|server| server.is("server"));
                    upstreams
                        .entry(name.to_ascii_lowercase())
                        .or_default()
                        .extend(servers.filter_map(upstream_server));
                }
                ("map" | "split_clients", [_, variable]) => {
                    for case in dump.expand(placed) {
                        if let [value] = case.args() {
                            add_variable(&mut maps, variable, value, &case.file.path);
                        }
                    }
                }
                _ => {}
            }
        }
        Self {
            upstreams: Rc::new(upstreams),
            maps: Rc::new(maps),
            sets: Variables::new(),
        }
    }

    /// Adds the `set` directives of a server block.
    pub(super) fn with_sets(&self, inside: &[Placed]) -> Self {
        let mut sets = Variables::new();
        for placed in inside {
            if let ("set", [variable, value]) = (placed.directive.name.as_str(), placed.args()) {
                add_variable(&mut sets, variable, value, &placed.file.path);
            }
        }
        Self {
            upstreams: Rc::clone(&self.upstreams),
            maps: Rc::clone(&self.maps),
            sets,
        }
    }

    /// Every value of a variable; `None` if nothing defines it.
    fn variable(&self, name: &str) -> Option<impl Iterator<Item = &(String, String)>> {
        let (maps, sets) = (self.maps.get(name), self.sets.get(name));
        (maps.is_some() || sets.is_some()).then(|| maps.into_iter().chain(sets).flatten())
    }

    /// Follows one `proxy_pass` to every address that it can lead to.
    pub(super) fn follow(&self, argument: &str, file: &str, reached: &mut Reached) {
        let values = self.values(argument, file, 0).filter(|values| !values.is_empty());
        let Some(values) = values else {
            reached.unresolved.insert(argument.to_owned());
            return;
        };
        for (value, file) in values {
            reached.sources.insert(file.clone());
            self.follow_url(&value, &file, reached);
        }
    }

    fn follow_url(&self, url: &str, file: &str, reached: &mut Reached) {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split('/').next().unwrap_or_default();
        if let Some(targets) = self.upstreams.get(&authority.to_ascii_lowercase()) {
            reached
                .sources
                .extend(targets.iter().map(|target| target.file.clone()));
            reached.targets.extend(targets.iter().cloned());
            return;
        }
        let default_port = match scheme {
            "https" | "grpcs" => 443,
            _ => 80,
        };
        match split_authority(authority, default_port) {
            Some((host, port)) => {
                reached.targets.insert(Target {
                    host,
                    port,
                    weight: 1,
                    backup: false,
                    down: false,
                    file: file.to_owned(),
                });
            }
            None => {
                reached.unresolved.insert(url.to_owned());
            }
        }
    }

    /// Every text that `text` can be once its variables have values, each with the file that wrote
    /// the last of them; `None` if one has no value that we know.
    fn values(&self, text: &str, file: &str, depth: usize) -> Option<Vec<(String, String)>> {
        let Some(dollar) = text.find('$') else {
            return Some(vec![(text.to_owned(), file.to_owned())]);
        };
        let (before, after) = (&text[..dollar], &text[dollar + 1..]);
        let (name, rest) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => after.split_at(
                after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len()),
            ),
        };
        // Behind the authority a variable does not change where the request goes.
        let authority_is_over = before
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('/'));
        if authority_is_over {
            return Some(vec![(before.to_owned(), file.to_owned())]);
        }
        if depth >= MAX_VARIABLE_DEPTH {
            return None;
        }
        let mut found = Vec::new();
        for (value, written_in) in self.variable(name)? {
            for (value, _) in self.values(value, written_in, depth + 1)? {
                let whole = format!("{before}{value}{rest}");
                found.extend(self.values(&whole, written_in, depth + 1)?);
                if found.len() > MAX_VALUES {
                    return None;
                }
            }
        }
        Some(found)
    }
}

fn add_variable(variables: &mut Variables, variable: &str, value: &str, file: &str) {
    let name = variable.trim_start_matches('$').to_owned();
    let values = variables.entry(name).or_default();
    values.push((value.to_owned(), file.to_owned()));
}

fn upstream_server(server: &Placed) -> Option<Target> {
    let (address, parameters) = server.args().split_first()?;
    let (host, port) = split_authority(address, 80)?;
    let weight = parameters.iter().find_map(|word| word.strip_prefix("weight="));
    Some(Target {
        host,
        port,
        weight: weight.and_then(|number| number.parse().ok()).unwrap_or(1),
        backup: parameters.iter().any(|word| word == "backup"),
        down: parameters.iter().any(|word| word == "down"),
        file: server.file.path.clone(),
    })
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; a Unix socket and a variable are neither.
pub(super) fn split_authority(text: &str, default_port: u16) -> Option<(String, u16)> {
    if text.is_empty() || text.starts_with("unix:") || text.contains('$') {
        return None;
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(number) => number.parse().ok()?,
        None => default_port,
    };
    Some((host.to_owned(), port))
}

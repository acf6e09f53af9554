//! Which slot has the traffic: what every nginx host's own configuration says, host by host, and
//! whether they agree. The live slot is what nginx routes to, never what happens to answer.

mod include;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::behind;
use super::endpoint::Endpoint;
use super::finding::{Finding, Problem};
use super::names::{HostName, ReleaseId, RemotePath, SlotName};
use super::nginx_conf::{Claim, Dump, SiteRoute, Stray, StrayReason};
use super::observed::{EntryKind, NginxObserved, Observed, SlotObserved};
use super::record::{RunRecord, RunStatus};
use super::strategy::Station;
use super::topology::{NginxHost, Topology};

/// What the nginx hosts route to.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Every nginx host that could be read.
    pub hosts: BTreeMap<HostName, NginxView>,
    /// What is wrong with what was read.
    pub findings: Vec<Finding>,
}

/// What one nginx host routes to.
#[derive(Debug, Clone, PartialEq)]
pub struct NginxView {
    /// Its configuration.
    pub dump: Dump,
    /// The slot that it routes to; `None` where it routes to none of ours. Where a run stands between its two
    /// slots, the one that it comes from: traffic belongs there until the run is through.
    pub slot: Option<SlotName>,
    /// Whether it routes to one slot, or stands between two.
    pub share: Share,
    /// The endpoints that it routes to, those of hosts that are left out included.
    pub endpoints: BTreeSet<Endpoint>,
    /// The file of an earlier tool that plays the part of ours.
    pub takes_over: Option<RemotePath>,
    /// The bytes that nginx reads at our entry, or at the file that is taken over.
    pub content: Option<String>,
}

/// What an nginx host has of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// It routes to that slot alone.
    Whole,
    /// The last run, which is not over, stands between two slots.
    Between,
    /// Some of its hosts: with a single slot they leave and come back.
    Part,
}

impl Share {
    /// Whether it is all of it.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// Where the traffic goes, when all nginx hosts agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// The slot; `None` on a fleet that has none yet.
    pub slot: Option<SlotName>,
    /// Whether all of the traffic is with that slot.
    pub share: Share,
}

impl Live {
    /// Reads what every observed nginx host routes to.
    pub fn read(topology: &Topology, observed: &Observed) -> Self {
        let mut live = Self {
            hosts: BTreeMap::new(),
            findings: Vec::new(),
        };
        for (name, host) in &topology.nginx {
            let Some(nginx) = observed.hosts.get(name).and_then(|seen| seen.nginx.as_ref()) else {
                continue;
            };
            if nginx.dump.is_empty() {
                // A failed test is told by the preflight; silence must not pass for an empty fleet.
                if nginx.test_failure.is_none() {
                    let reason =
                        "its nginx configuration cannot be read: `nginx -T` printed nothing".to_owned();
                    let problem = Problem::CannotObserve { reason };
                    live.findings.push(Finding::refusal(Some(name), problem));
                }
                continue;
            }
            match Dump::parse(&nginx.dump) {
                Ok(dump) => {
                    let reader = Reader {
                        topology,
                        name,
                        host,
                        nginx,
                        dump: &dump,
                        last_run: observed.last_run(),
                        own_run: observed.hosts.get(name).and_then(|seen| seen.record.as_ref()),
                    };
                    let view = reader.view(&mut live.findings);
                    live.hosts.insert(name.clone(), view);
                }
                Err(error) => live.findings.push(Finding::refusal(
                    Some(name),
                    Problem::CannotObserve {
                        reason: format!("its nginx configuration cannot be read: {error}"),
                    },
                )),
            }
        }
        let behind = behind::findings(topology, observed, &live);
        live.findings.extend(behind);
        live
    }

    /// The endpoints that any nginx host routes to.
    pub fn routed(&self) -> BTreeSet<&Endpoint> {
        self.hosts.values().flat_map(|view| &view.endpoints).collect()
    }

    /// The slot on which all hosts agree, or the finding that they do not.
    pub fn agreed(&self) -> Result<Agreed, Finding> {
        let between =
            |view: &NginxView| (!view.share.is_whole()).then(|| (view.share, view.endpoints.clone()));
        let slots: BTreeSet<_> = self
            .hosts
            .values()
            .map(|view| (&view.slot, between(view)))
            .collect();
        if slots.len() <= 1 {
            let (slot, between) = slots.into_iter().next().unwrap_or((&None, None));
            let share = between.map_or(Share::Whole, |(share, _)| share);
            let slot = slot.clone();
            return Ok(Agreed { slot, share });
        }
        let view = |(host, view): (&HostName, &NginxView)| match &view.slot {
            Some(slot) if view.share == Share::Between => {
                format!("{host} stands between {slot} and the other slot")
            }
            Some(slot) if view.share == Share::Part => {
                let endpoints: Vec<_> = view.endpoints.iter().map(Endpoint::to_string).collect();
                format!("{host} routes to {} of {slot}", endpoints.join(", "))
            }
            Some(slot) => format!("{host} routes to {slot}"),
            None => format!("{host} routes to no slot"),
        };
        let views = self.hosts.iter().map(view).collect::<Vec<_>>().join(", ");
        Err(Finding::refusal(None, Problem::NginxDisagree { views }))
    }
}

struct Reader<'a> {
    topology: &'a Topology,
    name: &'a HostName,
    host: &'a NginxHost,
    nginx: &'a NginxObserved,
    dump: &'a Dump,
    last_run: Option<&'a RunRecord>,
    /// The last run that this host had a part in.
    own_run: Option<&'a RunRecord>,
}

impl Reader<'_> {
    fn view(&self, findings: &mut Vec<Finding>) -> NginxView {
        if let Some(service) = &self.host.service_url {
            return self.included(service, findings);
        }
        let entry = self.entry_path();
        let present = self.nginx.entry.kind != EntryKind::Absent;
        let routes = self.dump.routes();
        let takes_over = if present {
            None
        } else {
            self.predecessor(routes, findings)
        };
        let source = takes_over.as_ref().map_or(entry.as_str(), RemotePath::as_str);
        let own: Vec<_> = routes.iter().filter(|route| route.involves(source)).collect();
        let endpoints = self.endpoints(&own, source, findings);
        let (slot, share) = match self.between(&endpoints) {
            Some(slot) => (Some(slot), Share::Between),
            None => self.slot_of(&endpoints, findings),
        };
        self.strays(&own, takes_over.as_ref(), findings);
        let content = match &takes_over {
            Some(path) => self.dump.file(path.as_str()).map(|file| file.text.clone()),
            None => self.nginx.entry.content.clone(),
        };
        NginxView {
            dump: self.dump.clone(),
            slot,
            share,
            endpoints,
            takes_over,
            content,
        }
    }

    fn entry_path(&self) -> String {
        self.host.file.as_str().to_owned()
    }

    /// The file in the entry's own folder that does today what the entry will do: it has our server
    /// name on our port, or it routes to our endpoints.
    fn predecessor(&self, routes: &[SiteRoute], findings: &mut Vec<Finding>) -> Option<RemotePath> {
        let folder = self.host.file.parent();
        let in_folder = |file: &str| RemotePath::new(file).is_ok_and(|path| path.parent() == folder);
        let ours = |route: &&SiteRoute| {
            let endpoint = route
                .targets
                .iter()
                .any(|target| self.endpoint(&target.host, target.port).is_some());
            endpoint || self.has_our_name(route)
        };
        let files: BTreeSet<_> = routes
            .iter()
            .filter(ours)
            .map(|route| route.file.as_str())
            .filter(|file| in_folder(file))
            .collect();
        if files.len() > 1 {
            let reason = format!("routes to this application, and so do others: {}", join(&files));
            let file = files.first().map(|file| (*file).to_owned()).unwrap_or_default();
            findings.push(Finding::refusal(
                Some(self.name),
                Problem::StrayFile { file, reason },
            ));
        }
        files
            .into_iter()
            .next()
            .and_then(|file| RemotePath::new(file).ok())
    }

    fn has_our_name(&self, route: &SiteRoute) -> bool {
        let port = self.host.listener.port.number();
        route.listens_on(port)
            && self
                .host
                .listener
                .server_name
                .as_ref()
                .is_some_and(|name| route.has_name(name))
    }

    fn endpoints(&self, own: &[&SiteRoute], source: &str, findings: &mut Vec<Finding>) -> BTreeSet<Endpoint> {
        let mut endpoints = BTreeSet::new();
        let unresolved: BTreeSet<_> = own.iter().flat_map(|route| &route.unresolved).collect();
        // A Unix socket is nobody's endpoint; a variable may hold any.
        for target in unresolved.into_iter().filter(|target| target.contains('$')) {
            let problem = Problem::UnknownEndpoint {
                file: source.to_owned(),
                target: target.clone(),
            };
            findings.push(Finding::refusal(Some(self.name), problem));
        }
        let targets = own.iter().flat_map(|route| &route.targets);
        for target in targets.filter(|target| !target.down) {
            match self.endpoint(&target.host, target.port) {
                Some(endpoint) => {
                    endpoints.insert(endpoint);
                }
                None => findings.push(Finding::refusal(
                    Some(self.name),
                    Problem::UnknownEndpoint {
                        file: source.to_owned(),
                        target: format!("{}:{}", target.host, target.port),
                    },
                )),
            }
        }
        endpoints
    }

    /// The slot that a run comes from which stands between its two slots with these endpoints: the last one, or
    /// the last one that this host had a part in before somebody left it out.
    fn between(&self, endpoints: &BTreeSet<Endpoint>) -> Option<SlotName> {
        let runs = [self.last_run, self.own_run].into_iter().flatten();
        runs.filter(|run| run.status != RunStatus::Done)
            .find_map(|run| self.between_slots_of(run, endpoints))
    }

    fn between_slots_of(&self, run: &RunRecord, endpoints: &BTreeSet<Endpoint>) -> Option<SlotName> {
        let stations = run.stations();
        let here = |endpoint: &&Endpoint| !self.topology.without.was.contains_key(&endpoint.host);
        let routed: BTreeSet<_> = endpoints.iter().filter(here).collect();
        let has = |station: &Station| {
            let endpoints = station.routing.endpoints();
            endpoints.filter(here).collect::<BTreeSet<_>>() == routed
        };
        let [first, between @ .., last] = stations.as_slice() else {
            return None;
        };
        // Without the hosts that are left out a routing in the middle may be that of one end.
        let is_between = between.iter().any(has) && !has(first) && !has(last);
        is_between.then(|| run.from_slot.clone())?
    }

    /// The slot of these endpoints: all of it, as far as its hosts are not left out, unless there is no other.
    fn slot_of(
        &self,
        endpoints: &BTreeSet<Endpoint>,
        findings: &mut Vec<Finding>,
    ) -> (Option<SlotName>, Share) {
        let slots: BTreeSet<_> = endpoints
            .iter()
            .filter_map(|endpoint| self.topology.slot_of(endpoint))
            .collect();
        let whole = slots.iter().all(|slot| {
            let mut of_slot = self.topology.endpoints(slot).into_iter();
            of_slot.all(|endpoint| {
                endpoints.contains(&endpoint)
                    || behind::was_absent(self.topology, self.last_run, slot, &endpoint)
            })
        });
        let share = if !whole && self.topology.has_single_slot() {
            Share::Part
        } else {
            Share::Whole
        };
        if slots.len() > 1 || !whole && share.is_whole() {
            let targets = endpoints
                .iter()
                .map(Endpoint::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            findings.push(Finding::refusal(
                Some(self.name),
                Problem::PartialSlot { targets },
            ));
        }
        (slots.into_iter().next().cloned(), share)
    }

    fn strays(&self, own: &[&SiteRoute], takes_over: Option<&RemotePath>, findings: &mut Vec<Finding>) {
        let mut names: BTreeSet<String> = own.iter().flat_map(|route| route.server_names.clone()).collect();
        names.extend(self.host.listener.server_name.clone());
        let mut ports: BTreeSet<u16> = own
            .iter()
            .flat_map(|route| &route.listens)
            .map(|it| it.port)
            .collect();
        ports.insert(self.host.listener.port.number());
        let names: Vec<_> = names.into_iter().filter(|name| name != "_").collect();
        let ports: Vec<_> = ports.into_iter().collect();
        let endpoints: Vec<_> = self
            .topology
            .was
            .values()
            .chain(self.topology.without.was.values())
            .flat_map(|was| {
                was.ports
                    .values()
                    .map(|port| (was.address.as_str().to_owned(), port.number()))
            })
            .collect();
        let claim = Claim {
            entry: self.host.file.as_str(),
            takes_over: takes_over.map(RemotePath::as_str),
            server_names: &names,
            ports: &ports,
            endpoints: &endpoints,
        };
        let mut said = BTreeSet::new();
        for stray in self.dump.strays(&claim) {
            if self.moves_along(own, &stray) {
                continue;
            }
            let reason = stray.reason.to_string();
            if said.insert((stray.file.clone(), reason.clone())) {
                findings.push(Finding::refusal(
                    Some(self.name),
                    Problem::StrayFile {
                        file: stray.file,
                        reason,
                    },
                ));
            }
        }
    }

    /// Whether a server sends requests to our endpoints because it includes our file; with the style `include`
    /// its other ways there are looked at one by one.
    fn moves_along(&self, own: &[&SiteRoute], stray: &Stray) -> bool {
        let is_it = |route: &&SiteRoute| (route.file.as_str(), route.line) == (&stray.file, stray.line);
        let by_address = matches!(stray.reason, StrayReason::SameEndpoint { .. });
        self.host.service_url.is_some() && by_address && own.iter().any(is_it)
    }

    /// An endpoint by the address that nginx uses.
    fn endpoint(&self, host: &str, port: u16) -> Option<Endpoint> {
        self.topology.endpoint_seen_from(self.name, host, port)
    }
}

fn join(files: &BTreeSet<&str>) -> String {
    files.iter().copied().collect::<Vec<_>>().join(", ")
}

/// The release that a slot runs, where all of its endpoints that run anything run the same and it is one
/// of ours.
pub fn release_of_slot(topology: &Topology, observed: &Observed, slot: &SlotName) -> Option<ReleaseId> {
    let of = |endpoint: Endpoint| {
        let was = observed.hosts.get(&endpoint.host)?.was.as_ref()?;
        was.slots.get(slot).filter(|seen| !seen.is_empty())
    };
    let endpoints = topology.endpoints(slot).into_iter();
    let releases: BTreeSet<_> = endpoints.filter_map(of).map(SlotObserved::release).collect();
    let mut releases = releases.into_iter();
    releases
        .next()
        .flatten()
        .filter(|_| releases.next().is_none())
        .cloned()
}

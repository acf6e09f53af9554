//! Clients: at every effect a request begins through every nginx to everything that it routes to, and goes on
//! for a while. It fails if nobody answers, and if the instance that serves it is stopped meanwhile.

use std::time::Duration;

use nonstop::model::names::{HostName, Port, RunId};
use tokio::time::Instant;

use super::{Health, SimHost, World};

/// A request that is being served: the port of the instance, and the nginx and worker that sent it there.
pub(crate) type Flight = (Port, HostName, u32);

impl SimHost {
    /// The connections to a port: of requests, and of what never ends.
    pub(crate) fn connected(&self, port: Port) -> u32 {
        let requests = self.flights_to(port).filter(|end| **end > Instant::now());
        let requests = u32::try_from(requests.count()).expect("there are a few");
        self.connections.get(&port).copied().unwrap_or(0) + requests
    }

    /// When the last request that is under way to a port will be answered.
    pub(super) fn answered_at(&self, port: Port) -> Option<Instant> {
        self.flights_to(port).max().copied()
    }

    fn flights_to(&self, port: Port) -> impl Iterator<Item = &Instant> {
        let to = self.flights.iter().filter(move |((of, ..), _)| *of == port);
        to.map(|(_, end)| end)
    }
}

impl World {
    /// A request through every nginx to everything that it routes to: it fails only where a fault made
    /// it fail.
    pub(crate) fn request_everywhere(&mut self) {
        let mut broken = Vec::new();
        let mut begun = Vec::new();
        for (name, it) in &self.hosts {
            let Some(nginx) = it.nginx.as_ref().filter(|_| it.is_up && !it.is_left_out) else {
                continue;
            };
            for (address, port) in nginx.targets() {
                let mut hosts = self.hosts.iter();
                let there = hosts.find(|(_, it)| it.address.as_str() == address);
                let Some((target, there)) = there.filter(|(target, _)| self.link_cut(name, target).is_none())
                else {
                    continue;
                };
                let serves = there
                    .listener(*port)
                    .is_some_and(|process| process.health == Health::Up);
                if serves {
                    begun.push((name.clone(), target.clone(), *port));
                } else if !there.struck.contains_key(port) && there.is_up {
                    broken.push(format!(
                        "a request to {name} failed: {address}:{port} does not answer"
                    ));
                }
            }
        }
        self.broken.extend(broken);
        if !self.requests_last.is_zero() {
            for (nginx, target, port) in begun {
                self.sends(nginx, &target, port);
            }
        }
    }

    /// One request of those that begin now, the longest of this instant.
    fn sends(&mut self, name: HostName, target: &HostName, port: Port) {
        self.requests += 1;
        let end = Instant::now() + length(self.requests, self.requests_last);
        let nginx = self.at(&name).nginx.as_mut().expect("an nginx host");
        let worker = nginx.accepts(end);
        let flights = &mut self.at(target).flights;
        if flights.len() > 12 {
            flights.retain(|_, end| *end > Instant::now());
        }
        let known = flights.entry((port, name, worker)).or_insert(end);
        *known = end.max(*known);
    }

    /// Requests that are under way to an instance that ends at an instant because a run stops it.
    pub(super) fn cuts(&mut self, name: &HostName, port: Port, at: Instant, run: &RunId) {
        let host = &self.hosts[name];
        let cut = host.flights.iter().find(|((to, nginx, _), end)| {
            let counts = *to == port && **end > at;
            counts && !self.is_left_out_by(nginx, run) && self.link_cut(nginx, name).is_none()
        });
        if let Some(((_, nginx, _), _)) = cut.filter(|_| !self.may_cut) {
            let broken = format!("a request through {nginx} was cut: {name}:{port} was stopped under it");
            self.broken.push(broken);
        }
        self.at(name).forget_flights(port);
    }

    /// Requests through an nginx end with its host.
    pub(super) fn forget_clients_of(&mut self, nginx: &HostName) {
        for host in self.hosts.values_mut() {
            host.flights.retain(|(_, through, _), _| through != nginx);
        }
    }

    /// Whether a run leaves out an nginx host, of which a person said that it carries no traffic.
    pub(crate) fn is_left_out_by(&self, nginx: &HostName, run: &RunId) -> bool {
        self.hosts[nginx].is_left_out && self.leavers.contains(run)
    }
}

/// Some are short, and one in four takes as long as any.
fn length(number: u64, longest: Duration) -> Duration {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    if mixed.is_multiple_of(4) {
        return longest;
    }
    longest * u32::try_from(mixed % 997).expect("it is small") / 997
}

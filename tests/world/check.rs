//! The invariants that an effect must not break, looked at in the moment of the effect.

use std::time::Duration;

use nonstop::engine::fleet::{HttpError, HttpRequest, HttpResponse};
use nonstop::model::names::{HostName, Port, RunId};
use nonstop::model::plan::GENERATION_PATH;

use tokio::time::Instant;

use super::host::PROFILE_PATH;
use super::{Health, Shares, SimHost, SimNginx, World};

/// How long ago a fault may have struck an instance that we still took for healthy: between the last look at it
/// and the switch there are two calls, each of which may take its time.
const LATELY: Duration = Duration::from_secs(60);

fn struck_lately(host: &SimHost, port: Port) -> bool {
    let lately = |at: &Instant| at.elapsed() < LATELY;
    !host.is_up || host.struck.get(&port).is_some_and(lately)
}

/// Whether a watch on this nginx host would put back a routing to the target.
fn would_fire(host: &SimHost, target: &(String, Port)) -> bool {
    let Some(nginx) = host.nginx.as_ref().filter(|_| host.is_up) else {
        return false;
    };
    let armed = nginx
        .tokens
        .iter()
        .filter(|(_, token)| token.left(&host.clock).is_some());
    let mut homes = armed.filter_map(|(id, _)| nginx.homes.get(&id.run));
    homes.any(|home| SimNginx::targets_on(&home.files).contains(target))
}

impl World {
    /// I1: what an nginx routes to, or may yet route to, is not stopped.
    pub(super) fn stops(&mut self, host: &HostName, port: Port, run: &RunId) {
        let target = (self.hosts[host].address.to_string(), port);
        for (name, it) in &self.hosts {
            let Some(nginx) = it.nginx.as_ref().filter(|_| !self.is_left_out_by(name, run)) else {
                continue;
            };
            let why = if it.is_up && nginx.targets().contains(&target) {
                "routes to it"
            } else if !it.is_up && SimNginx::targets_on(&nginx.files).contains(&target) {
                "will route to it when it comes up"
            } else if it.is_up && !self.may_cut && nginx.leaving_targets().any(|it| *it == target) {
                "has an old worker that may still send it a request"
            } else if would_fire(it, &target) {
                "has a watch that may bring it back"
            } else {
                continue;
            };
            let broken = format!("I1: {host}:{port} was stopped while {name} {why}");
            self.broken.push(broken);
        }
        self.stops_the_last_one(host, port);
    }

    /// Whether an instance is healthy, or was until a fault struck it a short while ago.
    fn serves(&self, (address, port): &(String, Port)) -> bool {
        let there = self.hosts.values().find(|it| it.address.as_str() == address);
        there.is_some_and(|it| {
            let well = |process: &super::Process| process.health == Health::Up;
            it.listener(*port).is_some_and(well) || struck_lately(it, *port)
        })
    }

    /// With a single slot nothing healthy ends while nothing healthy is routed to, whatever ended that. Only what a
    /// fault struck a moment ago was healthy when it was asked.
    fn stops_the_last_one(&mut self, host: &HostName, port: Port) {
        let own = &self.hosts[host];
        let is_well = |process: &super::Process| process.health == Health::Up;
        let is_up = own.listener(port).is_some_and(is_well) && !struck_lately(own, port);
        if self.shares != Shares::Single || !is_up {
            return;
        }
        for (name, it) in &self.hosts {
            let Some(nginx) = it.nginx.as_ref().filter(|_| it.is_up) else {
                continue;
            };
            let targets = nginx.targets();
            let serves = |target: &(String, Port)| self.serves(target) && self.reaches(name, &target.0);
            if !targets.is_empty() && !targets.iter().any(serves) {
                let broken =
                    format!("in service: {host}:{port} was stopped while {name} reaches nobody else");
                self.broken.push(broken);
                return;
            }
        }
    }

    /// Whether an nginx host reaches an address, or did until a short while ago.
    fn reaches(&self, nginx: &HostName, address: &str) -> bool {
        let there = self.hosts.iter().find(|(_, it)| it.address.as_str() == address);
        let cut = there.and_then(|(name, _)| self.link_cut(nginx, name));
        cut.is_none_or(|since| since.elapsed() <= LATELY)
    }

    /// With a single slot no nginx is led to where nobody serves, unless nobody did before.
    fn leads_to_somebody(&mut self, host: &HostName, before: &[(String, Port)]) {
        let nginx = self.hosts[host].nginx.as_ref().expect("it was switched");
        let served = |targets: &[(String, Port)]| targets.iter().any(|target| self.serves(target));
        if self.shares == Shares::Single && served(before) && !served(nginx.targets()) {
            self.broken
                .push(format!("in service: {host} was led to where nobody serves"));
        }
    }

    /// I2: nginx is led only to what is healthy, and to what it reaches. Between its slots a run leaves old
    /// instances where they are, sick or not, and who goes on with it leads to the routing that it came to.
    pub(super) fn leads(&mut self, host: &HostName, before: &[(String, Port)]) {
        let nginx = self.hosts[host].nginx.as_ref().expect("it was switched");
        let mut broken = Vec::new();
        let homes = nginx.homes.values();
        let old: Vec<_> = homes.flat_map(|home| SimNginx::targets_on(&home.files)).collect();
        let was_there = |target: &(String, Port)| before.contains(target) || old.contains(target);
        let stays = |target: &&(String, Port)| match self.shares {
            Shares::Whole => false,
            Shares::Split => was_there(target),
            Shares::Single => before.contains(target),
        };
        for (address, port) in nginx.targets().iter().filter(|target| !stays(target)) {
            let there = self.hosts.iter().find(|(_, it)| it.address.as_str() == address);
            let well = there.is_some_and(|(_, it)| {
                let up = |health| health == Health::Up;
                let well = it.listener(*port).is_some_and(|process| up(process.health));
                well || struck_lately(it, *port)
            });
            let cut = there.and_then(|(name, _)| self.link_cut(host, name));
            if !well {
                broken.push(format!(
                    "I2: {host} was led to {address}:{port}, which is not healthy"
                ));
            } else if cut.is_some_and(|since| since.elapsed() > LATELY) {
                broken.push(format!(
                    "I2: {host} was led to {address}:{port}, which it does not reach"
                ));
            }
        }
        self.broken.extend(broken);
        self.leads_to_somebody(host, before);
    }

    /// Since when an nginx host cannot reach a WAS host, which the controllers can.
    pub(super) fn link_cut(&self, nginx: &HostName, was: &HostName) -> Option<Instant> {
        let (since, until) = self.links.get(&(nginx.clone(), was.clone()))?;
        let now = Instant::now();
        (*since <= now && now < *until).then_some(*since)
    }

    /// What an HTTP request is answered, as seen from a host.
    pub(super) fn http(&mut self, from: &HostName, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let timed_out = Err(HttpError::TimedOut {
            after: request.timeout,
        });
        let asked = if request.address == "127.0.0.1" {
            from.clone()
        } else {
            let mut hosts = self.hosts.iter();
            let known = hosts.find(|(_, host)| host.address.as_str() == request.address);
            known.ok_or(HttpError::Refused)?.0.clone()
        };
        if self.link_cut(from, &asked).is_some() {
            return timed_out;
        }
        let asked = self.at(&asked);
        let answer = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            Ok(HttpResponse { status, body })
        };
        if let Some(nginx) = asked.nginx.as_ref().filter(|_| request.port == 80) {
            let (generation, targets) = (nginx.generation(), nginx.targets().to_vec());
            let (address, is_generation) = (asked.address.to_string(), request.path == GENERATION_PATH);
            return match generation.filter(|_| is_generation) {
                Some(generation) => answer(200, &generation),
                None if is_generation => answer(404, ""),
                None => {
                    self.arrives(from, &address, &targets);
                    answer(200, "")
                }
            };
        }
        let port = Port::new(request.port).unwrap();
        if request.path == PROFILE_PATH && asked.listener(port).is_some() {
            return answer(200, &asked.profile(port));
        }
        match asked.listener(port).map(|process| process.health) {
            Some(Health::Up) => answer(200, r#"{"status":"UP"}"#),
            Some(Health::Down) => answer(503, r#"{"status":"DOWN"}"#),
            Some(Health::Silent) => timed_out,
            None => Err(HttpError::Refused),
        }
    }

    /// A request through the listener of an nginx arrives at what it routes to.
    fn arrives(&mut self, nginx: &HostName, address: &str, targets: &[(String, Port)]) {
        for (target, port) in targets {
            self.requests += 1;
            let peer = format!("{address}:{}", 20_000 + self.requests % 40_000);
            let mut hosts = self.hosts.iter();
            let there = hosts.find(|(_, it)| it.address.as_str() == target);
            let Some(there) = there.map(|(name, _)| name.clone()) else {
                continue;
            };
            let is_reached = self.link_cut(nginx, &there).is_none();
            let there = self.at(&there);
            if is_reached && there.listener(*port).is_some() {
                there.peers.insert(*port, peer);
            }
        }
    }
}

//! The invariants that an effect must not break, looked at in the moment of the effect.

use std::time::Duration;

use nonstop::engine::fleet::{HttpError, HttpRequest, HttpResponse};
use nonstop::model::names::{HostName, Port};
use nonstop::model::plan::GENERATION_PATH;

use tokio::time::Instant;

use super::{Health, SimHost, SimNginx, World};

/// How long ago a fault may have struck an instance that we still took for healthy.
const LATELY: Duration = Duration::from_secs(20);

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
    /// I1: what an nginx routes to, or may yet route to, is not stopped. Old workers of a host that was down
    /// meanwhile are not looked at: a way home that was planned without it does not drain it yet.
    pub(super) fn stops(&mut self, host: &HostName, port: Port) {
        let target = (self.hosts[host].address.to_string(), port);
        for (name, it) in &self.hosts {
            let Some(nginx) = it.nginx.as_ref().filter(|_| !it.is_left_out) else {
                continue;
            };
            let why = if it.is_up && nginx.targets().contains(&target) {
                "routes to it"
            } else if !it.is_up && SimNginx::targets_on(&nginx.files).contains(&target) {
                "will route to it when it comes up"
            } else if it.is_up
                && it.clock.boot == 1
                && !self.may_cut
                && nginx.leaving_targets().any(|it| *it == target)
            {
                "has an old worker that may still send it a request"
            } else if would_fire(it, &target) {
                "has a watch that may bring it back"
            } else {
                continue;
            };
            let broken = format!("I1: {host}:{port} was stopped while {name} {why}");
            self.broken.push(broken);
        }
    }

    /// I2: nginx is led only to what is healthy.
    pub(super) fn leads(&mut self, host: &HostName) {
        let targets = self.hosts[host]
            .nginx
            .as_ref()
            .expect("it was switched")
            .targets();
        for (address, port) in targets {
            let healthy = self.hosts.values().any(|it| {
                let up = |health| health == Health::Up;
                let well = it.listener(port).is_some_and(|process| up(process.health));
                it.address.as_str() == address && (well || struck_lately(it, port))
            });
            if !healthy {
                self.broken.push(format!(
                    "I2: {host} was led to {address}:{port}, which is not healthy"
                ));
            }
        }
    }

    /// A request through every nginx to everything that it routes to: it fails only where a fault made
    /// it fail.
    pub(crate) fn request_everywhere(&mut self) {
        let mut broken = Vec::new();
        for (name, it) in &self.hosts {
            let Some(nginx) = it.nginx.as_ref().filter(|_| it.is_up && !it.is_left_out) else {
                continue;
            };
            for (address, port) in nginx.targets() {
                let there = self.hosts.values().find(|it| it.address.as_str() == address);
                let answers = there.is_some_and(|it| {
                    it.listener(port)
                        .is_some_and(|process| process.health == Health::Up)
                        || it.struck.contains_key(&port)
                        || !it.is_up
                });
                if !answers {
                    broken.push(format!(
                        "a request to {name} failed: {address}:{port} does not answer"
                    ));
                }
            }
        }
        self.broken.extend(broken);
    }

    /// What an HTTP request is answered, as seen from a host.
    pub(super) fn http(&self, from: &HostName, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = if request.address == "127.0.0.1" {
            &self.hosts[from]
        } else {
            let known = self
                .hosts
                .values()
                .find(|host| host.address.as_str() == request.address);
            known.ok_or(HttpError::Refused)?
        };
        let answer = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            Ok(HttpResponse { status, body })
        };
        if let Some(nginx) = asked.nginx.as_ref().filter(|_| request.port == 80) {
            return match nginx.generation().filter(|_| request.path == GENERATION_PATH) {
                Some(generation) => answer(200, &generation),
                None => answer(404, ""),
            };
        }
        let port = Port::new(request.port).unwrap();
        match asked.listener(port).map(|process| process.health) {
            Some(Health::Up) => answer(200, r#"{"status":"UP"}"#),
            Some(Health::Down) => answer(503, r#"{"status":"DOWN"}"#),
            Some(Health::Silent) => Err(HttpError::TimedOut {
                after: request.timeout,
            }),
            None => Err(HttpError::Refused),
        }
    }
}

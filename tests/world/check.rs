//! The invariants that an effect must not break, looked at in the moment of the effect.

use nonstop::engine::fleet::{HttpError, HttpRequest, HttpResponse};
use nonstop::model::names::{HostName, Port};
use nonstop::model::plan::GENERATION_PATH;

use super::{Health, World};

impl World {
    /// I1: what an nginx routes to is not stopped.
    pub(super) fn stops(&mut self, host: &HostName, port: Port) {
        let address = self.hosts[host].address.to_string();
        for (name, nginx) in self
            .hosts
            .iter()
            .filter_map(|(name, it)| Some((name, it.nginx.as_ref()?)))
        {
            if nginx.targets().contains(&(address.clone(), port)) {
                let broken = format!("I1: {host}:{port} was stopped while {name} routes to it");
                self.broken.push(broken);
            }
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
                it.address.as_str() == address && it.listener(port).is_some_and(|process| up(process.health))
            });
            if !healthy {
                self.broken.push(format!(
                    "I2: {host} was led to {address}:{port}, which is not healthy"
                ));
            }
        }
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

//! What an nginx host routes to with the style `include`: where the variable leads that our file sets for
//! the user's own server. Whatever else that server does is the user's.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::model::endpoint::Endpoint;
use crate::model::finding::{Finding, Problem};
use crate::model::names::RemotePath;
use crate::model::nginx_conf::{Beside, NginxConfError, SetVariable};
use crate::model::topology::{NginxHost, ServiceUrl};

use super::{NginxView, Reader};

impl NginxView {
    /// The main file as it tests a candidate in place of the host's entry, together with the upstreams that
    /// are written beside it.
    ///
    /// Returns an error if what nginx includes does not allow it.
    pub fn shadow(&self, host: &NginxHost, upstreams: Option<Beside<'_>>) -> Result<String, NginxConfError> {
        let entry = host.file.as_str();
        if host.service_url.is_some() {
            return self.dump.shadow_within(entry, upstreams);
        }
        let takes_over = self.takes_over.as_ref();
        self.dump.shadow(entry, takes_over.map(RemotePath::as_str))
    }
}

impl Reader<'_> {
    pub(super) fn included(&self, service: &ServiceUrl, findings: &mut Vec<Finding>) -> NginxView {
        let entry = self.entry_path();
        let set = self.dump.variable_set_in(&entry, &service.variable);
        let set = set.unwrap_or_else(|error| {
            let reason = format!("its nginx configuration cannot be read: {error}");
            let problem = Problem::CannotObserve { reason };
            findings.push(Finding::refusal(Some(self.name), problem));
            None
        });
        let endpoints = match &set {
            Some(set) => {
                self.surroundings(set, service, &entry, findings);
                self.led_to(set, &entry, findings)
            }
            None => BTreeSet::new(),
        };
        let routes = self.dump.routes().iter();
        let own: Vec<_> = routes.filter(|route| route.includes.contains(&entry)).collect();
        self.strays(&own, None, findings);
        let (slot, share) = self.slot_of(&endpoints, findings);
        NginxView {
            dump: self.dump.clone(),
            slot,
            share,
            endpoints,
            takes_over: None,
            content: self.nginx.entry.content.clone(),
        }
    }

    /// Whether a switch of the variable would move the requests.
    fn surroundings(
        &self,
        set: &SetVariable,
        service: &ServiceUrl,
        entry: &str,
        findings: &mut Vec<Finding>,
    ) {
        let variable = &service.variable;
        if !set.is_used {
            let (file, variable) = (entry.to_owned(), variable.clone());
            let problem = Problem::VariableUnused { file, variable };
            findings.push(Finding::refusal(Some(self.name), problem));
        }
        for file in &set.also_set_in {
            let reason = format!("sets ${variable} as well, in a server that includes {entry}");
            let file = file.clone();
            findings.push(Finding::refusal(
                Some(self.name),
                Problem::StrayFile { file, reason },
            ));
        }
        for (file, target) in &set.elsewhere {
            if let Some(endpoint) = self.endpoint(&target.host, target.port) {
                let reason =
                    format!("sends requests to {endpoint} beside ${variable}: a switch would not move them");
                let file = file.clone();
                let problem = Problem::StrayFile { file, reason };
                findings.push(Finding::refusal(Some(self.name), problem));
            }
        }
    }

    /// The endpoints to which the variable leads. nginx asks a `resolver` for a name in it with each request,
    /// and a misspelt address is one: both are said, and without a resolver both are an outage.
    fn led_to(&self, set: &SetVariable, entry: &str, findings: &mut Vec<Finding>) -> BTreeSet<Endpoint> {
        let file = || entry.to_owned();
        for target in set.unresolved.iter().filter(|target| target.contains('$')) {
            let target = target.clone();
            let problem = Problem::UnknownEndpoint { file: file(), target };
            findings.push(Finding::refusal(Some(self.name), problem));
        }
        let mut endpoints = BTreeSet::new();
        for target in set.targets.iter().filter(|target| !target.down) {
            let endpoint = self.endpoint(&target.host, target.port);
            let is_name = target.file == entry && target.host.parse::<IpAddr>().is_err();
            let address = format!("{}:{}", target.host, target.port);
            findings.extend(match &endpoint {
                Some(_) if is_name => {
                    let problem = Problem::NameInVariable {
                        file: file(),
                        address,
                    };
                    Some(Finding::warning(Some(self.name), problem))
                }
                None if is_name => {
                    let problem = Problem::NameInVariable {
                        file: file(),
                        address,
                    };
                    Some(Finding::refusal(Some(self.name), problem))
                }
                None => {
                    let target = address;
                    let problem = Problem::UnknownEndpoint { file: file(), target };
                    Some(Finding::refusal(Some(self.name), problem))
                }
                Some(_) => None,
            });
            endpoints.extend(endpoint);
        }
        endpoints
    }
}

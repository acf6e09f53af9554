//! Templates that need a release, tried with one that could be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::context::{self, ReleaseFacts};
use crate::model::names::{HostName, ReleaseId, RemotePath};
use crate::model::nginx_site::{self, SiteError};
use crate::model::playbook::{Runner, SwitchStyle};
use crate::model::routing::Weight;
use crate::model::template::Template;
use crate::model::topology::{NginxHost, Topology};

use super::super::report::Problem;
use super::super::rules;
use super::super::source::Source;
use super::Resolver;

impl Resolver<'_> {
    /// Renders what a deploy would render, on every host and for both slots.
    pub(super) fn samples(&mut self, topology: &Topology) {
        let id = ReleaseId::new("20260102T030405Z-sample-1.0.0").expect("letters, digits, dashes and dots");
        for (name, host) in &topology.was {
            let Ok(dir) = host.release_dir.join(&format!("releases/{id}")) else {
                continue;
            };
            let Ok(jar) = dir.join("app.jar") else { continue };
            let release = facts(&id, &dir, &jar);
            for slot in &self.playbook.playbook.slots {
                if let Some(port) = host.ports.get(&slot.name) {
                    let context = context::instance(&host.vars, slot, *port, &release);
                    self.runner(name, &context);
                }
            }
        }
        let dir = RemotePath::new("/srv/app/releases/sample").expect("an absolute path");
        let jar = RemotePath::new("/srv/app/releases/sample/app.jar").expect("an absolute path");
        for (name, host) in &topology.nginx {
            if let Some(proof) = &self.playbook.playbook.nginx.proof {
                let slot = &self.playbook.playbook.slots[0];
                let context = context::proof(&host.vars, slot, &facts(&id, &dir, &jar));
                self.text("nginx.proof.expect", &proof.expect, name, &context);
            }
            self.site(name, host, topology);
        }
    }

    fn runner(&mut self, host: &HostName, context: &Value) {
        let program = |text: &str| rules::program(text).map_err(|reason| format!("`{text}` {reason}"));
        match &self.playbook.playbook.start {
            Runner::Java(java) => {
                self.value("start.java.bin", &java.bin, host, context, program);
                self.each("start.java.opts", &java.opts, host, context);
                self.each("start.java.args", &java.args, host, context);
                self.environment("start.java.env", &java.env, host, context);
            }
            Runner::Command(command) => {
                self.each("start.command.run", &command.run, host, context);
                self.environment("start.command.env", &command.env, host, context);
                if let Some(chdir) = &command.chdir {
                    let path = |text: &str| RemotePath::new(text).map_err(|error| error.to_string());
                    self.value("start.command.chdir", chdir, host, context, path);
                }
            }
            // It knows no release, and was rendered with the host.
            Runner::Systemd(_) => {}
        }
    }

    fn each(&mut self, path: &str, templates: &[Template], host: &HostName, context: &Value) {
        for (at, template) in templates.iter().enumerate() {
            self.text(&format!("{path}.{at}"), template, host, context);
        }
    }

    fn environment(
        &mut self,
        path: &str,
        env: &BTreeMap<String, Template>,
        host: &HostName,
        context: &Value,
    ) {
        for (name, template) in env {
            self.text(&format!("{path}.{name}"), template, host, context);
        }
    }

    fn site(&mut self, name: &HostName, host: &NginxHost, topology: &Topology) {
        let SwitchStyle::Site(site) = &self.playbook.playbook.nginx.style else {
            return;
        };
        let ports = |was: &crate::model::topology::WasHost| {
            was.ports
                .values()
                .next()
                .map(|port| (was.address.clone(), *port, Weight(1)))
        };
        let upstream: Vec<_> = topology.was.values().filter_map(ports).collect();
        let Err(error) = nginx_site::render(&topology.app, host, site, &upstream, "sample") else {
            return;
        };
        match (&site.template, error) {
            (Some(template), SiteError::Template(error)) => {
                let file = Source::new(template.path.display().to_string(), template.text.as_str());
                let line = error.line.unwrap_or(1);
                let length = file.line(line).chars().count().max(1);
                let message = format!("on host `{name}`: {}", error.reason);
                self.report
                    .push(Problem::at(&file.spot(line, 1, length), message));
            }
            (_, error) => self.problem("nginx.site.template", error.to_string(), None),
        }
    }
}

/// A sample release as templates see it.
pub(super) fn facts<'a>(id: &'a ReleaseId, dir: &'a RemotePath, jar: &'a RemotePath) -> ReleaseFacts<'a> {
    ReleaseFacts {
        id,
        dir,
        jar,
        version: "1.0.0",
    }
}

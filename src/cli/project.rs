//! What every command that talks to hosts begins with: the files, read and resolved, and the way to
//! the hosts.

use std::path::PathBuf;

use globset::{Glob, GlobMatcher};

use crate::config::{self, Config};
use crate::model::names::HostName;
use crate::model::topology::Topology;
use crate::reach::Reach;
use crate::ssh::{Connector, ConnectorOptions, HostKeyPolicy, PASSPHRASE_VARIABLE, SshConfig};

use super::args::{Common, HostKey, Leaving};
use super::console;
use super::courier::Webhooks;
use super::failure::CliError;

/// Inventory and playbook, read and resolved.
pub(super) struct Project {
    pub(super) config: Config,
}

impl Project {
    /// Reads both files; everything that is wrong with them is in the error.
    pub(super) fn load(common: &Common) -> Result<Self, CliError> {
        let config = config::load(&common.inventory, &common.playbook)
            .map_err(|report| CliError::Config(report.to_string()))?;
        let passphrase = std::env::var(PASSPHRASE_VARIABLE).ok();
        let secrets = config.secrets.with(passphrase.as_deref());
        console::hide(Webhooks::of(&config.playbook.notify).hidden_too(&secrets));
        Ok(Self { config })
    }

    /// The webhooks that are told of a run.
    pub(super) fn webhooks(&self) -> Webhooks {
        Webhooks::of(&self.config.playbook.notify)
    }

    /// The same, without the hosts of `--without`.
    pub(super) fn load_without(common: &Common, leaving: &Leaving) -> Result<Self, CliError> {
        let mut project = Self::load(common)?;
        for host in &leaving.without {
            leave_out(&mut project.config.topology, host)?;
        }
        Ok(project)
    }

    /// The same, with only the hosts of `--limit`: for commands that change nothing.
    pub(super) fn load_for_reading(common: &Common, leaving: &Leaving) -> Result<Self, CliError> {
        let mut project = Self::load_without(common, leaving)?;
        project.limit(common)?;
        Ok(project)
    }

    /// Both files, with only the hosts of `--limit`.
    pub(super) fn load_limited(common: &Common) -> Result<Self, CliError> {
        let mut project = Self::load(common)?;
        project.limit(common)?;
        Ok(project)
    }

    fn limit(&mut self, common: &Common) -> Result<(), CliError> {
        match &common.limit {
            Some(pattern) => limit(&mut self.config.topology, pattern),
            None => Ok(()),
        }
    }

    /// The way to the hosts.
    pub(super) fn fleet(&self, common: &Common) -> Reach<'_> {
        let mut options = ConnectorOptions::from_environment();
        options.forks = usize::from(common.forks);
        options.host_key_policy = match common.host_key {
            HostKey::Strict => HostKeyPolicy::Strict,
            HostKey::AcceptNew => HostKeyPolicy::AcceptNew,
        };
        options.ssh_config = match common.ssh_config.as_deref() {
            None => SshConfig::Standard,
            Some("none") => SshConfig::Ignored,
            Some(file) => SshConfig::File(PathBuf::from(file)),
        };
        Reach::new(
            Connector::new(options),
            &self.config.inventory,
            &self.config.topology,
        )
    }
}

/// A command that changes the fleet sees all of it, or a host would be left behind unseen.
pub(super) fn refuse_limit(common: &Common, command: &str) -> Result<(), CliError> {
    match &common.limit {
        None => Ok(()),
        Some(_) => Err(CliError::Usage(format!(
            "--limit is for commands that only read; `{command}` always changes the whole fleet, so that no host is left behind"
        ))),
    }
}

fn leave_out(topology: &mut Topology, host: &HostName) -> Result<(), CliError> {
    let known: Vec<_> = topology.hosts().into_iter().map(ToString::to_string).collect();
    if topology.left_out().contains(host) {
        return Ok(());
    }
    if !topology.leave_out(host) {
        let known = known.join(", ");
        return Err(CliError::Usage(format!(
            "--without `{host}`: there is no such host in this playbook's groups, only {known}"
        )));
    }
    let rest = if topology.was.is_empty() {
        "no host to run the application"
    } else if topology.nginx.is_empty() {
        "no nginx host, and nothing to switch"
    } else {
        return Ok(());
    };
    Err(CliError::Usage(format!("--without `{host}` would leave {rest}")))
}

fn limit(topology: &mut Topology, pattern: &str) -> Result<(), CliError> {
    let globs: Vec<GlobMatcher> = pattern
        .split(',')
        .map(|part| Glob::new(part.trim()).map(|glob| glob.compile_matcher()))
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Usage(format!("--limit `{pattern}`: {error}")))?;
    let matches = |host: &HostName| globs.iter().any(|glob| glob.is_match(host.as_str()));
    topology.was.retain(|host, _| matches(host));
    topology.nginx.retain(|host, _| matches(host));
    if topology.hosts().is_empty() {
        return Err(CliError::Usage(format!(
            "--limit `{pattern}` matches no host of the playbook's groups"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn topology() -> Topology {
        let inventory = "all:\n  children:\n    was: { hosts: { was-1: , was-2: } }\n    nginx: { hosts: { nginx-1: , nginx-2: } }\n";
        let playbook = "app: a\nartifact: a.jar\nslots:\n  blue: { group: was, port: 8080 }\n  green: { group: was, port: 8081 }\n\
            release: { dir: /srv/a }\nstart: { java: {} }\nhealth: { path: / }\n\
            nginx: { group: nginx, site: { file: /etc/nginx/conf.d/a.conf, listen: 80 } }\n";
        let files = (Source::new("i.yml", inventory), Source::new("p.yml", playbook));
        config::load_sources(&files.0, &files.1).unwrap().topology
    }

    fn without(hosts: &[&str]) -> Result<Topology, String> {
        let mut topology = topology();
        for host in hosts {
            let host = HostName::new(*host).unwrap();
            leave_out(&mut topology, &host).map_err(|error| error.to_string())?;
        }
        Ok(topology)
    }

    #[test]
    fn a_host_that_is_left_out_is_known_and_no_longer_of_the_run() {
        let topology = without(&["was-2", "nginx-1", "was-2"]).unwrap();
        let rest: Vec<_> = topology.hosts().into_iter().map(HostName::as_str).collect();
        assert_eq!(rest, ["nginx-2", "was-1"]);
        assert_eq!(topology.left_out().len(), 2);
    }

    #[test]
    fn a_host_that_nobody_knows_is_refused_with_those_that_are_known() {
        let error = without(&["was-9"]).unwrap_err();
        assert!(error.ends_with("only nginx-1, nginx-2, was-1, was-2"), "{error}");
    }

    #[test]
    fn somebody_has_to_be_left_of_each_kind() {
        let error = without(&["was-1", "was-2"]).unwrap_err();
        assert!(error.ends_with("no host to run the application"), "{error}");
        let error = without(&["nginx-1", "nginx-2"]).unwrap_err();
        assert!(error.ends_with("no nginx host, and nothing to switch"), "{error}");
    }
}

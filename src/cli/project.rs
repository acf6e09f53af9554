//! What every command that talks to hosts begins with: the files, read and resolved, and the way to
//! the hosts.

use std::path::PathBuf;

use globset::{Glob, GlobMatcher};

use crate::config::{self, Config};
use crate::model::names::HostName;
use crate::model::topology::Topology;
use crate::ssh::{Connector, ConnectorOptions, HostKeyPolicy, SshConfig, SshFleet};

use super::args::{Common, HostKey};
use super::failure::CliError;

/// Inventory and playbook, read and resolved.
pub(super) struct Project {
    pub(super) config: Config,
}

impl Project {
    /// Reads both files; everything that is wrong with them is in the error.
    pub(super) fn load(common: &Common) -> Result<Self, CliError> {
        let config = config::load(&common.inventory, &common.playbook);
        config
            .map(|config| Self { config })
            .map_err(|report| CliError::Config(report.to_string()))
    }

    /// The same, with only the hosts of `--limit`: for commands that change nothing.
    pub(super) fn load_limited(common: &Common) -> Result<Self, CliError> {
        let mut project = Self::load(common)?;
        if let Some(pattern) = &common.limit {
            limit(&mut project.config.topology, pattern)?;
        }
        Ok(project)
    }

    /// The way to the hosts.
    pub(super) fn fleet(&self, common: &Common) -> SshFleet<'_> {
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
        SshFleet::new(
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

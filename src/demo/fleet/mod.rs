//! The embedded fleet: two WAS hosts and one nginx host on this machine, each with a folder and an
//! SSH server of its own, and the real nginx as an ordinary user. Everything that is started carries
//! a mark, and everything with that mark is gone when the fleet is.

mod files;
mod nginx;
mod ports;
mod processes;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ssh_server::{SshServer, SshServerOptions, new_key};
use files::Values;
use nginx::Nginx;

/// The hosts that run the application.
pub const WAS_HOSTS: [&str; 2] = ["was-1", "was-2"];

/// The host in front of them.
pub const NGINX_HOST: &str = "nginx-1";

/// The name that nginx's site answers to.
pub const SERVER_NAME: &str = "demo.localhost";

/// How long processes have to end after TERM, before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// What the fleet runs.
#[derive(Debug, Clone)]
pub struct FleetOptions {
    /// The program that is started as `PROGRAM demo-app …`: nonstop itself.
    pub program: PathBuf,
    /// What a jar is.
    pub application: Application,
}

/// What a jar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Application {
    /// A text file for the small application inside nonstop.
    BuiltIn,
    /// A real jar, run by the `java` of the `PATH`.
    Java,
}

/// Says why the fleet cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// nginx is not installed: install it.
    #[error("nginx is neither in the PATH nor in /usr/sbin")]
    NoNginx,
    /// nginx does not start; its own words follow.
    #[error("nginx does not start: {0}")]
    NginxFailed(String),
    /// No free ports outside of the range that outgoing connections use.
    #[error("no free ports between {} and {}", ports::RANGE.start(), ports::RANGE.end())]
    NoPorts,
    /// A file, a socket or a thread could not be made.
    #[error("failed to {what}")]
    Io {
        /// What was to be done.
        what: &'static str,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
}

/// A process that outlived the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its pid.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

/// A running fleet. Dropping it ends all that it started, and removes its folder.
#[derive(Debug)]
pub struct Fleet {
    // Fields are dropped in this order: first whoever could start something, last the folder.
    servers: BTreeMap<&'static str, SshServer>,
    nginx: Nginx,
    processes: processes::Marked,
    listener: SocketAddr,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts a fleet on which nothing is deployed yet.
    pub fn start(options: &FleetOptions) -> Result<Self, FleetError> {
        let program = nginx::find().ok_or(FleetError::NoNginx)?;
        let folder = tempfile::Builder::new().prefix("nonstop-demo-").tempdir();
        let folder = folder.map_err(failed("make a folder"))?;
        let key = new_key().map_err(failed("make a key"))?;
        files::write_key(folder.path(), &key).map_err(failed("write the key"))?;

        let processes = processes::Marked::new();
        let mut servers = BTreeMap::new();
        for host in WAS_HOSTS.into_iter().chain([NGINX_HOST]) {
            let home = folder.path().join(host);
            std::fs::create_dir(&home).map_err(failed("make a host's folder"))?;
            let options = SshServerOptions {
                environment: environment(&processes, folder.path()),
                ..SshServerOptions::new(home, key.public_key().clone())
            };
            let server = SshServer::start(options).map_err(failed("start an SSH server"))?;
            servers.insert(host, server);
        }
        let ports = ports::free(5).ok_or(FleetError::NoPorts)?;
        let values = Values {
            folder: folder.path(),
            ssh_ports: WAS_HOSTS.map(|host| servers[host].address().port()),
            nginx_ssh_port: servers[NGINX_HOST].address().port(),
            application_ports: [ports[0], ports[1], ports[2], ports[3]],
            listen_port: ports[4],
            program: &options.program,
            nginx: &program,
            application: options.application,
        };
        files::write(&values, servers.values()).map_err(failed("write the fleet's files"))?;
        let nginx = Nginx::start(&program, &folder.path().join(NGINX_HOST), values.listen_port)?;
        Ok(Self {
            listener: SocketAddr::from(([127, 0, 0, 1], values.listen_port)),
            servers,
            nginx,
            processes,
            folder,
        })
    }

    /// The fleet's own folder, with a folder for each host.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The inventory of the fleet.
    pub fn inventory(&self) -> PathBuf {
        self.folder().join(files::INVENTORY)
    }

    /// The playbook of its application.
    pub fn playbook(&self) -> PathBuf {
        self.folder().join(files::PLAYBOOK)
    }

    /// Where jars are put for the playbook's `artifact` to find them.
    pub fn jars(&self) -> PathBuf {
        self.folder().join(files::JARS)
    }

    /// Where nginx listens; the site answers to [`SERVER_NAME`] there.
    pub fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// The SSH server of a host, to misbehave in tests.
    pub fn server(&self, host: &str) -> Option<&SshServer> {
        self.servers.get(host)
    }

    /// Ends everything that the fleet started, and says what is still there afterwards.
    pub fn stop(mut self) -> Vec<Leftover> {
        self.end();
        self.processes.alive()
    }

    fn end(&mut self) {
        self.servers.clear();
        self.nginx.stop(GRACE);
        self.processes.end(GRACE);
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.end();
    }
}

/// What every command of the fleet gets to see beside what sshd sets: the mark, and the folder with
/// `nonstop` in it.
fn environment(processes: &processes::Marked, folder: &Path) -> BTreeMap<OsString, OsString> {
    let (name, value) = processes.mark();
    let temporary = ("TMPDIR".into(), folder.join(files::TEMPORARY).into());
    BTreeMap::from([(name.into(), value.into()), temporary])
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> FleetError {
    move |source| FleetError::Io { what, source }
}

#[cfg(test)]
mod tests;

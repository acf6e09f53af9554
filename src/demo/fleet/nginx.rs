//! The real nginx, as a child in the foreground, with everything it writes in its host's folder.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{FleetError, failed};

/// Folders in which nginx lies where the `PATH` of a login lacks them.
const FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// How long nginx may take to listen.
const START_DEADLINE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(10);

/// A running nginx.
#[derive(Debug)]
pub(super) struct Nginx {
    master: Child,
}

/// Where nginx is.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.map(PathBuf::from));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("nginx"))
        .find(|program| program.is_file())
}

/// The main file. Another site is there already, as on a server that has been in use.
pub(super) fn conf(folder: &Path, listen_port: u16) -> [(PathBuf, String); 2] {
    let inside = |name: &str| folder.join(name).display().to_string();
    // Without root's rights nginx would only warn of this line.
    let user = if nix::unistd::Uid::effective().is_root() {
        "user root;\n"
    } else {
        ""
    };
    let main = format!(
        "{user}worker_processes 1;\ndaemon off;\npid {pid};\nerror_log {log} notice;\n\n\
         events {{\n    worker_connections 1024;\n}}\n\n\
         http {{\n    access_log off;\n    client_body_temp_path {body};\n    proxy_temp_path {proxy};\n    \
         fastcgi_temp_path {fastcgi};\n    uwsgi_temp_path {uwsgi};\n    scgi_temp_path {scgi};\n\n    \
         include {sites}/*;\n}}\n",
        pid = inside("nginx.pid"),
        log = inside("error.log"),
        body = inside("temp-body"),
        proxy = inside("temp-proxy"),
        fastcgi = inside("temp-fastcgi"),
        uwsgi = inside("temp-uwsgi"),
        scgi = inside("temp-scgi"),
        sites = inside("sites"),
    );
    let other = format!(
        "server {{\n    listen 127.0.0.1:{listen_port};\n    server_name other.localhost;\n    \
         return 200 \"another site\\n\";\n}}\n"
    );
    [
        (folder.join("nginx.conf"), main),
        (folder.join("sites/other.conf"), other),
    ]
}

impl Nginx {
    pub(super) fn start(program: &Path, folder: &Path, listen_port: u16) -> Result<Self, FleetError> {
        let output = folder.join("output.log");
        let log = File::create(&output).map_err(failed("make nginx's log"))?;
        let child = Command::new(program)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .current_dir(folder)
            // A signal from the terminal is for the one who typed it and not for the hosts.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed("start nginx"))?;
        let mut nginx = Self { master: child };
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, listen_port)).is_err() {
            let ended = nginx.master.try_wait().is_ok_and(|status| status.is_some());
            if ended || began.elapsed() > START_DEADLINE {
                let words = std::fs::read_to_string(&output).unwrap_or_default();
                return Err(FleetError::NginxFailed(words.trim().to_owned()));
            }
            std::thread::sleep(POLL);
        }
        Ok(nginx)
    }

    /// Ends master and workers: TERM, and after the grace KILL.
    pub(super) fn stop(&mut self, grace: Duration) {
        if !matches!(self.master.try_wait(), Ok(None)) {
            return;
        }
        let workers = self.workers();
        let tell = |pid: i32, signal| {
            let _ = kill(Pid::from_raw(pid), signal);
        };
        let master = i32::try_from(self.master.id()).unwrap_or_default();
        tell(master, Signal::SIGTERM);
        let began = Instant::now();
        while matches!(self.master.try_wait(), Ok(None)) {
            if began.elapsed() > grace {
                for pid in workers.into_iter().chain([master]) {
                    tell(pid, Signal::SIGKILL);
                }
                let _ = self.master.wait();
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    fn workers(&self) -> Vec<i32> {
        let pid = self.master.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop(super::GRACE);
    }
}

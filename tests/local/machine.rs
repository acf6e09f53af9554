//! A machine with an nginx whose server is the user's, and real processes of the demo's application on two ports.

use std::cell::RefCell;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nonstop::demo::app::{Behaviour, DemoJar};
use nonstop::demo::traffic::{Traffic, TrafficOptions};

pub(crate) const NONSTOP: &str = env!("CARGO_BIN_EXE_nonstop");

/// This machine: an nginx, and a version that somebody started by hand on blue's port.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    nginx: Child,
    pub(crate) listen: u16,
    pub(crate) blue: u16,
    pub(crate) green: u16,
    /// What the playbook says beside what every test's says.
    more: RefCell<String>,
}

pub(crate) fn which_nginx() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("nginx"));
    programs.find(|program| program.is_file()).expect("install nginx")
}

/// Ports below those that outgoing connections take, none of them twice: nobody has them before who they are
/// meant for.
fn free_ports() -> [u16; 3] {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 7000).unwrap();
    let next = || first + TAKEN.fetch_add(1, Ordering::Relaxed);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    [(); 3].map(|()| std::iter::repeat_with(next).find(is_free).unwrap())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{what} within a minute"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Machine {
    pub(crate) fn set_up() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nonstop-local-")
            .tempdir()
            .unwrap();
        let inside = |name: &str| folder.path().join(name).display().to_string();
        let [listen, blue, green] = free_ports();
        let user = if nix::unistd::Uid::effective().is_root() {
            "user root;\n"
        } else {
            ""
        };
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {};\n", inside(kind)))
            .concat();
        let conf = format!(
            "{user}daemon off;\npid {};\nerror_log {} notice;\nevents {{ worker_connections 512; }}\nhttp {{\n    \
             access_log off;\n{temporary}    server {{\n        listen 127.0.0.1:{listen};\n        server_name \
             app.test;\n        include {};\n        location / {{\n            proxy_pass $service_url;\n            \
             proxy_set_header Host $http_host;\n        }}\n    }}\n}}\n",
            inside("nginx.pid"),
            inside("error.log"),
            inside("service-url.inc"),
        );
        fs::write(inside("nginx.conf"), conf).unwrap();
        fs::write(
            inside("service-url.inc"),
            format!("set $service_url http://127.0.0.1:{blue};\n"),
        )
        .unwrap();
        let nginx = Command::new(which_nginx())
            .args(["-c", &inside("nginx.conf")])
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let machine = Self {
            folder,
            nginx,
            listen,
            blue,
            green,
            more: RefCell::default(),
        };
        machine.starts_by_hand("v1");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn jar(&self, version: &str, behaviour: Behaviour) -> PathBuf {
        let jar = self.path(&format!("app-{version}.jar"));
        DemoJar::new(version).behaving(behaviour).write(&jar).unwrap();
        jar
    }

    /// Lets the playbook of every later call say this, too.
    pub(crate) fn says(&self, more: &str) {
        self.more.replace(more.to_owned());
    }

    fn starts_by_hand(&self, version: &str) {
        let jar = self.jar(version, Behaviour::default());
        let mut app = Command::new(NONSTOP)
            .args(["demo-app", "-jar"])
            .arg(jar)
            .args([
                &format!("--server.port={}", self.blue),
                "--server.address=127.0.0.1",
            ])
            .arg("--spring.profiles.active=real1")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Somebody has to take its status once it is stopped.
        std::thread::spawn(move || app.wait());
        eventually("the first version serves", || self.get("/version") == "v1");
    }

    /// The answer's body through nginx.
    pub(crate) fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.listen)) else {
            return String::new();
        };
        write!(stream, "GET {path} HTTP/1.0\r\nHost: app.test\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
        body.to_owned()
    }

    pub(crate) fn line(&self) -> String {
        fs::read_to_string(self.path("service-url.inc")).unwrap()
    }

    pub(crate) fn leads_to(&self, port: u16) {
        assert_eq!(
            self.line(),
            format!("set $service_url http://127.0.0.1:{port};\n")
        );
    }

    pub(crate) fn load(&self) -> Traffic {
        let address = SocketAddr::from(([127, 0, 0, 1], self.listen));
        Traffic::start(TrafficOptions::new(address, "app.test")).unwrap()
    }

    /// A call of nonstop that bakes for so long, as a build server makes it.
    pub(crate) fn nonstop(&self, verb: &str, bake: &str) -> Command {
        let inside = |name: &str| self.path(name).display().to_string();
        let inventory = "all:\n  children:\n    was:\n      hosts:\n        here: { ansible_connection: local, \
                         ansible_become: false, address: 127.0.0.1 }\n    nginx: { hosts: { here: } }\n";
        let playbook = format!(
            "app: app\nartifact: {jars}\nslots:\n  blue: {{ group: was, port: {blue}, vars: {{ profile: real1 }} }}\n  \
             green: {{ group: was, port: {green}, vars: {{ profile: real2 }} }}\nrelease: {{ dir: {release} }}\n\
             state_dir: {state}\nstart:\n  java:\n    bin: {NONSTOP}\n    opts: [demo-app]\n    args:\n      - \
             --server.port={{{{ slot.port }}}}\n      - --server.address=127.0.0.1\n      - \
             --spring.profiles.active={{{{ slot.vars.profile }}}}\nhealth: {{ path: /actuator/health, json: {{ status: \
             UP }}, interval: 100ms, min_healthy_time: 300ms, healthy_deadline: 60s }}\nidentify: {{ path: /profile, \
             is: {{ blue: real1, green: real2 }} }}\nnginx:\n  group: nginx\n  binary: {nginx}\n  conf: {conf}\n  \
             reload: signal\n  include: {{ file: {line}, listen: \"127.0.0.1:{listen}\", server_name: app.test }}\n\
             drain: {{ deadline: 20s }}\nbake: {{ for: {bake}, then: stop }}\n{more}",
            jars = inside("*.jar"),
            blue = self.blue,
            green = self.green,
            release = inside("app"),
            state = inside("state"),
            nginx = which_nginx().display(),
            conf = inside("nginx.conf"),
            line = inside("service-url.inc"),
            listen = self.listen,
            more = self.more.borrow(),
        );
        fs::write(self.path("inventory.yml"), inventory).unwrap();
        fs::write(self.path("playbook.yml"), playbook).unwrap();
        let mut command = Command::new(NONSTOP);
        command
            .arg(verb)
            .args(["-i", &inside("inventory.yml"), "-p", &inside("playbook.yml")])
            .env("BUILD_ID", "17")
            .stdin(Stdio::null())
            .process_group(0);
        command
    }

    pub(crate) fn deploy(&self, jar: &Path, bake: &str) -> Command {
        let mut command = self.nonstop("deploy", bake);
        command.arg("--jar").arg(jar);
        command
    }

    /// The processes that have to do with this machine's folder: pid and command line.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let folder = self.folder.path().to_str().unwrap();
        let entries = fs::read_dir("/proc").unwrap();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        let line = |pid: i32| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&words).replace('\0', " "))
        };
        pids.map(line).filter(|(_, line)| line.contains(folder)).collect()
    }

    /// The applications that run.
    pub(crate) fn applications(&self) -> Vec<i32> {
        let all = self.processes().into_iter();
        all.filter(|(_, line)| line.contains(" demo-app "))
            .map(|(pid, _)| pid)
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The master ends its workers, which nobody could tell from others.
        let _ = kill(Pid::from_raw(self.nginx.id().cast_signed()), Signal::SIGTERM);
        let _ = self.nginx.wait();
        for (pid, _) in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

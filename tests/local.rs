//! `ansible_connection: local`: application and nginx on this very machine, with real processes, the real
//! nginx and requests all the while. nginx's server is the user's, as scripts without an upstream have it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use nonstop::demo::app::{Behaviour, DemoJar, Health};
use nonstop::demo::traffic::{Traffic, TrafficOptions};

const NONSTOP: &str = env!("CARGO_BIN_EXE_nonstop");

/// This machine: an nginx, and a version that somebody started by hand on blue's port.
struct Machine {
    folder: tempfile::TempDir,
    nginx: Child,
    listen: u16,
    blue: u16,
    green: u16,
}

fn which_nginx() -> PathBuf {
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
    fn set_up() -> Self {
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
        };
        machine.starts_by_hand("v1");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn jar(&self, version: &str, behaviour: Behaviour) -> PathBuf {
        let jar = self.path(&format!("app-{version}.jar"));
        DemoJar::new(version).behaving(behaviour).write(&jar).unwrap();
        jar
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
    fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.listen)) else {
            return String::new();
        };
        write!(stream, "GET {path} HTTP/1.0\r\nHost: app.test\r\n\r\n").unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
        body.to_owned()
    }

    fn line(&self) -> String {
        fs::read_to_string(self.path("service-url.inc")).unwrap()
    }

    fn leads_to(&self, port: u16) {
        assert_eq!(
            self.line(),
            format!("set $service_url http://127.0.0.1:{port};\n")
        );
    }

    fn load(&self) -> Traffic {
        let address = SocketAddr::from(([127, 0, 0, 1], self.listen));
        Traffic::start(TrafficOptions::new(address, "app.test")).unwrap()
    }

    /// A call of nonstop that bakes for so long, as a build server makes it.
    fn nonstop(&self, verb: &str, bake: &str) -> Command {
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
             drain: {{ deadline: 20s }}\nbake: {{ for: {bake}, then: stop }}\n",
            jars = inside("*.jar"),
            blue = self.blue,
            green = self.green,
            release = inside("app"),
            state = inside("state"),
            nginx = which_nginx().display(),
            conf = inside("nginx.conf"),
            line = inside("service-url.inc"),
            listen = self.listen,
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

    fn deploy(&self, jar: &Path, bake: &str) -> Command {
        let mut command = self.nonstop("deploy", bake);
        command.arg("--jar").arg(jar);
        command
    }

    /// The processes that have to do with this machine's folder: pid and command line.
    fn processes(&self) -> Vec<(i32, String)> {
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
    fn applications(&self) -> Vec<i32> {
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

#[track_caller]
fn ends(mut command: Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn deploys_a_failing_one_and_a_rollback_on_this_machine_lose_no_request() {
    let machine = Machine::set_up();
    let load = machine.load();
    let jar = |version: &str| machine.jar(version, Behaviour::default());
    ends(machine.deploy(&jar("v2"), "0s"), 0);
    machine.leads_to(machine.green);
    assert_eq!(machine.get("/profile"), "real2");
    let [application] = machine.applications()[..] else {
        panic!("the old version is stopped: {:?}", machine.processes())
    };
    let environment = fs::read(format!("/proc/{application}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
    assert!(!environment.contains("BUILD_ID"), "{environment}");

    ends(machine.deploy(&jar("v3"), "0s"), 0);
    machine.leads_to(machine.blue);
    let ill = Behaviour {
        health: Health::DownAfterRequests(40),
        ..Behaviour::default()
    };
    let said = ends(machine.deploy(&machine.jar("v4", ill), "60s"), 7);
    assert!(said.contains("503"), "{said}");
    machine.leads_to(machine.blue);
    assert_eq!(machine.get("/version"), "v3");

    ends(machine.nonstop("rollback", "0s"), 0);
    machine.leads_to(machine.green);
    assert_eq!(machine.get("/version"), "v2");
    let summary = load.stop();
    assert_eq!(summary.counts.failed, 0, "{summary:#?}");
    for version in ["v1", "v2", "v3", "v4"] {
        assert!(summary.versions.contains_key(version), "{summary:#?}");
    }
    assert_eq!(machine.applications().len(), 1);
}

#[test]
fn an_interrupt_at_the_terminal_unwinds_the_run() {
    let machine = Machine::set_up();
    let load = machine.load();
    let down = Behaviour {
        health: Health::Down,
        ..Behaviour::default()
    };
    let mut child = machine
        .deploy(&machine.jar("v2", down), "0s")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.any(|line| line.contains("verify")), "it never came so far");
    // What the terminal does: everybody in the foreground hears it.
    killpg(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("as_it_was")), "{said:#?}");
    machine.leads_to(machine.blue);
    assert_eq!(load.stop().counts.failed, 0);
    assert_eq!(machine.applications().len(), 1, "{:?}", machine.processes());
}

#[test]
fn a_doctor_a_status_and_a_plan_look_at_this_machine_and_change_nothing() {
    let machine = Machine::set_up();
    let line = machine.line();
    ends(machine.nonstop("doctor", "0s"), 0);
    ends(machine.nonstop("status", "0s"), 0);
    ends(machine.nonstop("plan", "0s"), 0);
    assert_eq!(machine.line(), line);
    assert!(!machine.path("app/releases").exists());
}

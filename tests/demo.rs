//! The demo as a person runs it, and its application as a host runs it: real processes, the real nginx.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nonstop::demo::app::{AtStart, Behaviour, DemoJar, Health, OnTerm};

const NONSTOP: &str = env!("CARGO_BIN_EXE_nonstop");

/// A `nonstop demo` in a temporary folder of its own.
struct Demo {
    folder: tempfile::TempDir,
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStderr>>,
    said: Vec<String>,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(NONSTOP)
            .arg("demo")
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            folder,
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// Reads on until a line holds `text`.
    fn until(&mut self, text: &str) {
        for line in self.lines.by_ref() {
            self.said.push(line.unwrap());
            if self.said.last().unwrap().contains(text) {
                return;
            }
        }
        panic!("`{text}` was never said:\n{}", self.said.join("\n"));
    }

    /// Reads to the end.
    fn finish(mut self) -> Finished {
        self.said.extend(self.lines.by_ref().map_while(Result::ok));
        let mut table = String::new();
        let stdout = self.child.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut table).unwrap();
        let status = self.child.wait().unwrap();
        let left = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        Finished {
            status,
            table,
            said: self.said.join("\n"),
            left,
            processes: processes_of(self.folder.path()),
        }
    }

    fn tell(&self, signal: Signal) {
        tell(&self.child, signal);
    }
}

struct Finished {
    status: ExitStatus,
    table: String,
    said: String,
    left: Vec<PathBuf>,
    processes: Vec<String>,
}

impl Finished {
    fn leaves_nothing_behind(&self) {
        assert_eq!(self.left, Vec::<PathBuf>::new(), "{}", self.said);
        assert_eq!(self.processes, Vec::<String>::new(), "{}", self.said);
    }
}

fn tell(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// The command lines of all processes that have to do with that folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let read = |pid: u32, file: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    pids.filter(|pid| *pid != std::process::id())
        .map(|pid| (read(pid, "cmdline"), read(pid, "environ")))
        .filter(|(command, environment)| command.contains(folder) || environment.contains(folder))
        .map(|(command, _)| command)
        .collect()
}

#[test]
fn the_demo_loses_no_request_and_leaves_nothing_behind() {
    let demo = Demo::start().finish();
    assert_eq!(demo.status.code(), Some(0), "{}\n{}", demo.said, demo.table);
    demo.leaves_nothing_behind();
    let exits: Vec<&str> = demo
        .table
        .lines()
        .filter_map(|line| line.split_once(" s  ")?.1.split_whitespace().next())
        .collect();
    assert_eq!(exits, ["0", "0", "7", "0"], "{}", demo.table);
    let total = demo
        .table
        .lines()
        .find(|line| line.starts_with("in all: "))
        .unwrap();
    assert!(total.contains(" served, 0 failed"), "{total}");
    for version in ["v1 ", "v2 ", "v3 "] {
        let answers = demo
            .table
            .lines()
            .find(|line| line.starts_with("answers by version"));
        assert!(answers.unwrap().contains(version), "{}", demo.table);
    }
    assert!(demo.said.contains("$ nonstop rollback -i "), "{}", demo.said);
}

#[test]
fn a_signal_in_the_middle_of_a_deploy_ends_the_demo_and_leaves_nothing_behind() {
    let mut demo = Demo::start();
    demo.until("── deploy v2");
    demo.until("start");
    demo.tell(Signal::SIGTERM);
    let demo = demo.finish();
    assert_eq!(demo.status.code(), Some(143), "{}", demo.said);
    demo.leaves_nothing_behind();
}

#[test]
fn a_signal_between_two_deploys_ends_the_demo_and_leaves_nothing_behind() {
    let mut demo = Demo::start();
    demo.until("From now on");
    demo.tell(Signal::SIGINT);
    let demo = demo.finish();
    assert_eq!(demo.status.code(), Some(130), "{}", demo.said);
    demo.leaves_nothing_behind();
}

/// `nonstop demo-app` with a jar.
struct App {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl App {
    fn start(behaviour: Behaviour) -> Self {
        // Nobody takes the port meanwhile: the kernel gives out such ports in turn.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self::start_on(port, behaviour)
    }

    fn start_on(port: u16, behaviour: Behaviour) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jar = folder.path().join("app.jar");
        DemoJar::new("v9").behaving(behaviour).write(&jar).unwrap();
        let child = Command::new(NONSTOP)
            .args(["demo-app", "-Xmx64m", "-jar"])
            .arg(&jar)
            .args([&format!("--server.port={port}"), "--server.address=127.0.0.1"])
            .arg("--spring.profiles.active=real2")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { folder, child, port }
    }

    fn ready(self) -> Self {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never listened");
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        let code = self.child.wait().unwrap().code();
        drop(self.folder);
        (code, said)
    }
}

fn ill(health: Health) -> Behaviour {
    Behaviour {
        health,
        ..Behaviour::default()
    }
}

#[test]
fn the_application_answers_as_its_jar_says_and_ends_on_term() {
    let app = App::start(Behaviour::default()).ready();
    assert_eq!(app.ask("GET", "/version"), (200, "v9".to_owned()));
    assert_eq!(app.ask("GET", "/profile"), (200, "real2".to_owned()));
    assert_eq!(app.ask("GET", "/echo?say=hello"), (200, "hello".to_owned()));
    assert_eq!(app.ask("GET", "/nowhere").0, 404);
    assert_eq!(
        app.ask("GET", "/actuator/health"),
        (200, r#"{"status":"UP"}"#.to_owned())
    );
    assert_eq!(app.ask("POST", "/control/health?say=down").0, 200);
    assert_eq!(app.ask("GET", "/actuator/health").0, 503);
    tell(&app.child, Signal::SIGTERM);
    assert_eq!(app.end().0, Some(0));
}

#[test]
fn each_way_to_be_ill_shows_in_its_health() {
    let unknown = App::start(ill(Health::Unknown)).ready();
    assert_eq!(
        unknown.ask("GET", "/actuator/health"),
        (200, r#"{"status":"UNKNOWN"}"#.to_owned())
    );
    let later = App::start(ill(Health::DownAfterRequests(2))).ready();
    for expected in [200, 200, 503] {
        assert_eq!(later.ask("GET", "/actuator/health").0, expected);
        assert_eq!(later.ask("GET", "/").0, 200);
    }
    for app in [unknown, later] {
        tell(&app.child, Signal::SIGTERM);
        assert_eq!(app.end().0, Some(0));
    }
}

#[test]
fn a_version_that_crashes_or_finds_its_port_taken_says_so_and_never_listens() {
    let crash = App::start(Behaviour {
        at_start: AtStart::Crash,
        ..Behaviour::default()
    });
    let (code, said) = crash.end();
    assert!(code.is_some_and(|code| code != 0), "{said}");
    assert!(said.contains("crashes at start"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (code, said) = App::start_on(port, Behaviour::default()).end();
    assert!(code.is_some_and(|code| code != 0), "{said}");
    assert!(
        said.contains(&format!("port {port}")) && said.contains("in use"),
        "{said}"
    );
}

#[test]
fn a_version_that_ignores_term_goes_on_and_ends_on_kill() {
    let app = App::start(Behaviour {
        on_term: OnTerm::Ignore,
        ..Behaviour::default()
    })
    .ready();
    for _ in 0..3 {
        tell(&app.child, Signal::SIGTERM);
        assert_eq!(app.ask("GET", "/version").0, 200);
    }
    tell(&app.child, Signal::SIGKILL);
    assert_eq!(app.end().0, None);
}

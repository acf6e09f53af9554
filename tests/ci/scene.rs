//! An embedded fleet, jars for it, and the command.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nonstop::demo::app::{AtStart, Behaviour, DemoJar};
use nonstop::demo::fleet::{Application, Fleet, FleetOptions, SERVER_NAME};

pub(crate) const NONSTOP: &str = env!("CARGO_BIN_EXE_nonstop");

pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
}

/// What came of a command.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl Scene {
    /// A fleet on which nothing is deployed, with these changes to its playbook.
    pub(crate) fn new(changes: &[(&str, &str)]) -> Self {
        let fleet = Fleet::start(&FleetOptions {
            program: NONSTOP.into(),
            application: Application::BuiltIn,
        });
        let scene = Self {
            fleet: fleet.unwrap(),
        };
        edit(
            &scene.fleet.playbook(),
            &[("drain: { deadline: 10s }", "drain: { deadline: 2s }")],
        );
        edit(&scene.fleet.playbook(), changes);
        scene
    }

    pub(crate) fn folder(&self) -> &Path {
        self.fleet.folder()
    }

    pub(crate) fn jar(&self, version: &str, at_start: AtStart) -> PathBuf {
        let path = self.fleet.jars().join(format!("demo-{version}.jar"));
        write_jar(&path, version, at_start);
        path
    }

    /// Runs the command with some variables.
    pub(crate) fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Said {
        let output = Command::new(NONSTOP)
            .args(["-i", self.fleet.inventory().to_str().unwrap()])
            .args(["-p", self.fleet.playbook().to_str().unwrap()])
            .args(["--ssh-config", "none"])
            .args(words)
            .envs(variables.iter().copied())
            .env_remove("SSH_AUTH_SOCK")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            text: String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The version that nginx's users get.
    pub(crate) fn live(&self) -> String {
        let mut stream = TcpStream::connect(self.fleet.listener()).unwrap();
        write!(stream, "GET /version HTTP/1.0\r\nhost: {SERVER_NAME}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        body.to_owned()
    }
}

pub(crate) fn write_jar(path: &Path, version: &str, at_start: AtStart) {
    let behaviour = Behaviour {
        at_start,
        ..Behaviour::default()
    };
    DemoJar::new(version).behaving(behaviour).write(path).unwrap();
}

pub(crate) fn edit(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "`{from}` is not in {text}");
        text = text.replacen(from, to, 1);
    }
    fs::write(file, text).unwrap();
}

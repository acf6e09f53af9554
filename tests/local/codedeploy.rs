//! `examples/codedeploy`, called as CodeDeploy's agent calls it: events in their order, hooks from the bundle that it
//! unpacked, in a process group of their own, with its variables and no terminal. At a hook's timeout the group gets
//! TERM, and the agent waits until nobody holds the hook's output any more. Only `runas` is not done.

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use nonstop::demo::app::{Behaviour, Health};

use crate::machine::{Machine, NONSTOP, which_nginx};

const EXAMPLE: &str = "examples/codedeploy";
const EVENTS: [&str; 6] = [
    "ApplicationStop",
    "BeforeInstall",
    "Install",
    "AfterInstall",
    "ApplicationStart",
    "ValidateService",
];

/// What an appspec.yml says.
#[derive(Debug, Default)]
struct AppSpec {
    /// From the bundle to where.
    files: Vec<(String, PathBuf)>,
    hooks: Vec<Hook>,
}

#[derive(Debug)]
struct Hook {
    event: String,
    location: String,
    timeout: Duration,
}

impl AppSpec {
    /// Reads it line by line; what is not understood is a failed test.
    fn read(archive: &Path) -> Self {
        let text = fs::read_to_string(archive.join("appspec.yml")).unwrap();
        let (mut spec, mut event) = (Self::default(), String::new());
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            let value = value.trim();
            match key.trim_start().trim_start_matches("- ") {
                "version" => assert_eq!(value, "0.0"),
                "os" => assert_eq!(value, "linux"),
                "file_exists_behavior" => assert_eq!(value, "OVERWRITE"),
                "files" | "hooks" | "runas" => {}
                "source" => spec.files.push((value.to_owned(), PathBuf::new())),
                "destination" => spec.files.last_mut().unwrap().1 = value.into(),
                "location" => spec.hooks.push(Hook {
                    event: event.clone(),
                    location: value.to_owned(),
                    timeout: Duration::from_secs(3600),
                }),
                "timeout" => {
                    spec.hooks.last_mut().unwrap().timeout = Duration::from_secs(value.parse().unwrap());
                }
                name if EVENTS.contains(&name) => name.clone_into(&mut event),
                name => panic!("{name}"),
            }
        }
        spec
    }
}

/// The agent on a machine.
struct Agent<'a> {
    machine: &'a Machine,
    last: RefCell<Option<PathBuf>>,
}

/// The event at which a deployment failed, and what its hook said.
#[derive(Debug)]
struct Failed {
    event: String,
    said: String,
}

impl<'a> Agent<'a> {
    /// An agent, and what the application has on the machine beside its jar.
    fn on(machine: &'a Machine) -> Self {
        fs::create_dir_all(machine.path("home/app")).unwrap();
        for file in ["application-oauth.properties", "application-real-db.properties"] {
            fs::write(machine.path("home/app").join(file), "").unwrap();
        }
        fs::create_dir_all(machine.path("bin")).unwrap();
        std::os::unix::fs::symlink(NONSTOP, machine.path("bin/nonstop")).unwrap();
        let java = machine.path("bin/java");
        fs::write(&java, format!("#!/bin/sh\nexec {NONSTOP} demo-app \"$@\"\n")).unwrap();
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).unwrap();
        let last = RefCell::default();
        Self { machine, last }
    }

    /// The example with this machine's ports and folders, and a jar: what a build hands to CodeDeploy.
    fn bundle(&self, jar: Option<&Path>) -> PathBuf {
        let machine = self.machine;
        let inside = |name: &str| machine.path(name).display().to_string();
        let bundle = machine.path("bundle");
        let _ = fs::remove_dir_all(&bundle);
        fs::create_dir_all(&bundle).unwrap();
        let nginx = format!(
            "  group: nginx\n  binary: {}\n  conf: {}\n  reload: signal\n",
            which_nginx().display(),
            inside("nginx.conf")
        );
        let here = [
            ("/home/ec2-user", inside("home")),
            ("/etc/nginx/conf.d/service-url.inc", inside("service-url.inc")),
            ("port: 8081", format!("port: {}", machine.blue)),
            ("port: 8082", format!("port: {}", machine.green)),
            (
                "listen: 80 ",
                format!("listen: \"127.0.0.1:{}\" ", machine.listen),
            ),
            ("  group: nginx\n", nginx),
            (
                "app: segansig\n",
                format!("app: segansig\nstate_dir: {}\n", inside("state")),
            ),
        ];
        for entry in fs::read_dir(EXAMPLE).unwrap() {
            let path = entry.unwrap().path();
            let mut text = fs::read_to_string(&path).unwrap();
            for (there, here) in &here {
                text = text.replace(there, here);
            }
            fs::write(bundle.join(path.file_name().unwrap()), text).unwrap();
        }
        if let Some(jar) = jar {
            fs::copy(jar, bundle.join(jar.file_name().unwrap())).unwrap();
        }
        bundle
    }

    /// A deployment from its first event to its last, or to the one that fails.
    fn deploys(&self, id: &str, bundle: &Path) -> Result<(), Failed> {
        let archive = self
            .machine
            .path("deployment-root")
            .join(id)
            .join("deployment-archive");
        copy(bundle, &archive);
        for event in EVENTS {
            if event == "Install" {
                for (source, destination) in AppSpec::read(&archive).files {
                    copy(&archive.join(source.trim_start_matches('/')), &destination);
                }
                continue;
            }
            let before = self.last.borrow().clone();
            let from = if event == "ApplicationStop" {
                before
            } else {
                Some(archive.clone())
            };
            let Some(from) = from else { continue };
            for hook in AppSpec::read(&from)
                .hooks
                .iter()
                .filter(|hook| hook.event == event)
            {
                let event = event.to_owned();
                self.run(&from, hook, id).map_err(|said| Failed { event, said })?;
            }
        }
        *self.last.borrow_mut() = Some(archive);
        Ok(())
    }

    fn run(&self, archive: &Path, hook: &Hook, id: &str) -> Result<(), String> {
        let script = archive.join(&hook.location);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!(
            "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.machine.path("bin").display()
        );
        let mut child = Command::new(&script)
            .env_clear()
            .env("PATH", path)
            .env("LIFECYCLE_EVENT", &hook.event)
            .env("DEPLOYMENT_ID", id)
            .env("APPLICATION_NAME", "segansig")
            .env("DEPLOYMENT_GROUP_NAME", "segansig-group")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = [
            reads(child.stdout.take().unwrap()),
            reads(child.stderr.take().unwrap()),
        ];
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if began.elapsed() > hook.timeout {
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
                return Err("timed out".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let said = output.map(|said| {
            let held = "whatever was started holds the agent's pipes";
            said.recv_timeout(Duration::from_secs(10)).expect(held)
        });
        let said = said.concat();
        if status.success() {
            Ok(())
        } else {
            Err(format!("{status}\n{said}"))
        }
    }
}

/// All that comes from a pipe, once nobody holds it any more.
fn reads(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = pipe.read_to_end(&mut said);
        let _ = sender.send(String::from_utf8_lossy(&said).into_owned());
    });
    receiver
}

/// A folder's files, over those of the same name.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn deployments_in_the_agents_order_bring_the_jar_that_it_copied_and_lose_no_request() {
    let machine = Machine::set_up();
    let agent = Agent::on(&machine);
    let load = machine.load();
    let moves = [
        ("v2", machine.green, "real2"),
        ("v3", machine.blue, "real1"),
        ("v4", machine.green, "real2"),
    ];
    for (version, port, profile) in moves {
        let jar = machine.jar(version, Behaviour::default());
        let done = agent.deploys(&format!("d-{version}"), &agent.bundle(Some(&jar)));
        done.unwrap_or_else(|failed| panic!("{}: {}", failed.event, failed.said));
        machine.leads_to(port);
        assert_eq!(machine.get("/version"), version);
        assert_eq!(machine.get("/profile"), profile);
    }
    let summary = load.stop();
    assert_eq!(summary.counts.failed, 0, "{summary:#?}");
    // The last two: the old slot stays up until the next deployment.
    assert_eq!(machine.applications().len(), 2, "{:?}", machine.processes());
    assert!(
        machine.path("home/app/step3/zip/app-v2.jar").exists(),
        "what the agent copied is its own"
    );
}

#[test]
fn a_release_that_gets_no_healthier_is_taken_back_before_the_agents_timeout() {
    let machine = Machine::set_up();
    let agent = Agent::on(&machine);
    let load = machine.load();
    let down = Behaviour {
        health: Health::Down,
        ..Behaviour::default()
    };
    let bundle = agent.bundle(Some(&machine.jar("v2", down)));
    // The same with less time to wait in a test.
    let playbook = fs::read_to_string(bundle.join("playbook.yml")).unwrap();
    let ill = playbook.replace("path: /profile, body_contains: real,", "path: /actuator/health,");
    assert_ne!(ill, playbook);
    fs::write(bundle.join("playbook.yml"), ill).unwrap();
    let hook = fs::read_to_string(bundle.join("deploy.sh")).unwrap();
    fs::write(
        bundle.join("deploy.sh"),
        hook.replace("--deadline 55s", "--deadline 33s"),
    )
    .unwrap();
    let began = Instant::now();
    let failed = agent.deploys("d-1", &bundle).unwrap_err();
    let Failed { event, said } = failed;
    assert_eq!(event, "ApplicationStart", "{said}");
    assert!(said.contains("exit status: 6"), "{said}");
    assert!(said.contains("outcome: as_it_was"), "{said}");
    assert!(
        said.contains("the time that is left is for the way back"),
        "{said}"
    );
    assert!(began.elapsed() >= Duration::from_secs(8), "{said}");
    machine.leads_to(machine.blue);
    assert_eq!(load.stop().counts.failed, 0);
    assert_eq!(machine.applications().len(), 1, "{:?}", machine.processes());
}

#[test]
fn a_bundle_without_a_jar_fails_before_anything_is_touched() {
    let machine = Machine::set_up();
    let agent = Agent::on(&machine);
    let line = machine.line();
    let failed = agent.deploys("d-1", &agent.bundle(None)).unwrap_err();
    assert_eq!(failed.event, "AfterInstall");
    assert!(failed.said.contains("exit status: 4"), "{}", failed.said);
    assert!(failed.said.contains("no file matches"), "{}", failed.said);
    assert_eq!(machine.line(), line);
    assert!(!machine.path("home/app/step3/releases").exists());
}

//! `ansible_connection: local`: application and nginx on this very machine, with real processes, the real
//! nginx and requests all the while. nginx's server is the user's, as scripts without an upstream have it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot set its scene fails"
)]

mod codedeploy;
mod drill;
mod killed;
mod machine;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use nonstop::demo::app::{Behaviour, Health};

use machine::Machine;

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

/// Deploys with hooks, and gives what it said.
#[track_caller]
fn deploys_with(machine: &Machine, hooks: &str, version: &str, code: i32) -> String {
    let deploy = machine.deploy(&machine.jar(version, Behaviour::default()), "0s");
    let playbook = machine.path("playbook.yml");
    let text = fs::read_to_string(&playbook).unwrap();
    fs::write(playbook, format!("{text}hooks:\n{hooks}")).unwrap();
    ends(deploy, code)
}

#[test]
fn hooks_run_beside_the_application_and_where_nonstop_runs() {
    let machine = Machine::set_up();
    let load = machine.load();
    let (told, here) = (machine.path("told"), machine.path("here"));
    let script = format!("echo \"$NONSTOP_HOOK $NONSTOP_PORT $1\" >>{}\n", told.display());
    fs::write(machine.path("check.sh"), script).unwrap();
    let hooks = "  before_install: { run: 'echo \"$NONSTOP_HOOK $BUILD_ID\" >>here', on: controller }\n  \
                 validate_service: ./check.sh one\n  before_allow_traffic: { run: ./check.sh two, on: nginx }\n  \
                 after_allow_traffic: 'echo it is there'\n";
    let said = deploys_with(&machine, hooks, "v2", 0);
    assert!(said.contains("| it is there"), "{said}");
    machine.leads_to(machine.green);
    assert_eq!(fs::read_to_string(&here).unwrap(), "before_install 17\n");
    let green = machine.green;
    let both = format!("validate_service {green} one\nbefore_allow_traffic {green} two\n");
    assert_eq!(fs::read_to_string(&told).unwrap(), both);

    let said = deploys_with(
        &machine,
        "  validate_service: 'echo it is ill; exit 3'\n",
        "v3",
        6,
    );
    assert!(
        said.contains("exit status 3") && said.contains("it is ill"),
        "{said}"
    );
    machine.leads_to(machine.green);
    let said = deploys_with(
        &machine,
        "  after_allow_traffic: { run: 'false', on: controller }\n",
        "v3",
        7,
    );
    assert!(said.contains("after_allow_traffic.1"), "{said}");
    machine.leads_to(machine.green);
    assert_eq!(machine.get("/version"), "v2");
    assert_eq!(load.stop().counts.failed, 0);
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

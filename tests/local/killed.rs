//! A controller that dies on the machine that it deploys to, and the next one there.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nonstop::demo::app::Behaviour;

use crate::machine::Machine;

/// What a resume leads to after a death in that phase; `None` where both are right.
const PHASES: [(&str, Option<Side>); 5] = [
    ("verify", Some(Side::Old)),
    ("commit", None),
    ("confirm", None),
    ("bake", Some(Side::New)),
    ("stop", Some(Side::New)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// Starts a deploy and kills it where the phase begins.
fn dies(machine: &Machine, version: &str, phase: &str) {
    let events = machine.path("events");
    let _ = fs::remove_file(&events);
    let mut deploy = machine.deploy(&machine.jar(version, Behaviour::default()), "1s");
    let mut child = deploy
        .arg("--events")
        .arg(&events)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begins = format!("\"phase\":\"{phase}\"");
    let has_begun = || {
        let text = fs::read_to_string(&events).unwrap_or_default();
        text.lines()
            .any(|line| line.contains("\"phase_started\"") && line.contains(&begins))
    };
    let began = Instant::now();
    while !has_begun() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?} before {phase}");
        assert!(began.elapsed() < Duration::from_secs(60), "no {phase}");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_whose_controller_died_on_the_machine_itself_is_gone_on_with_there_and_loses_no_request() {
    let machine = Machine::set_up();
    machine.says("lock: { lease: 5s }\nwatch: { deadline: 10s }\n");
    let load = machine.load();
    let mut live = "v1".to_owned();
    for (number, (phase, expected)) in PHASES.into_iter().enumerate() {
        let version = format!("v{}", number + 2);
        dies(&machine, &version, phase);
        let mut resume = machine.nonstop("resume", "1s");
        let output = resume.args(["--lock-wait", "60s"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let now = machine.get("/version");
        let side = if now == version { Side::New } else { Side::Old };
        assert!(side == Side::New || now == live, "{phase}: {now} is live: {said}");
        assert!(
            expected.is_none_or(|expected| expected == side),
            "{phase}: {said}"
        );
        assert!(
            [Some(0), Some(6), Some(7)].contains(&output.status.code()),
            "{phase}: {said}"
        );
        assert_eq!(
            machine.applications().len(),
            1,
            "{phase}: {:?}",
            machine.processes()
        );
        live = now;
    }
    let summary = load.stop();
    assert_eq!(summary.counts.failed, 0, "{summary:#?}");
}

//! A drill under somebody else's time limit.

use std::fs;
use std::time::{Duration, Instant};

use nonstop::demo::app::Behaviour;

use crate::ends;
use crate::machine::Machine;

/// What the playbook says, with a hook that is in no hurry where it is about that version. Of the deadline
/// 42 s are for a way back: twice 5 s of a proof, 20 s of drain, 2 s of grace, 5 s for hooks, and 5 s between.
fn slow_for(version: &str) -> String {
    format!(
        "watch: {{ deadline: 10s }}\nstop: {{ grace: 2s }}\nhooks:\n  validate_service: {{ timeout: 5m, run: 'case \
         $NONSTOP_RELEASE in *-{version}-*) sleep 200 ;; esac' }}\n"
    )
}

const DEADLINE: Duration = Duration::from_secs(72);

/// A machine whose live version is v3, and the one before it v2.
fn with_two_releases() -> Machine {
    let machine = Machine::set_up();
    for version in ["v2", "v3"] {
        ends(
            machine.deploy(&machine.jar(version, Behaviour::default()), "0s"),
            0,
        );
    }
    machine
}

/// A drill with the deadline, and that it kept it. Gives what it said.
#[track_caller]
fn drills(machine: &Machine, code: i32) -> String {
    let load = machine.load();
    let began = Instant::now();
    let mut drill = machine.nonstop("drill", "0s");
    drill.args(["--deadline", "72s"]);
    let said = ends(drill, code);
    assert!(began.elapsed() < DEADLINE, "{said}");
    assert!(
        said.contains("the time that is left is for the way back"),
        "{said}"
    );
    assert_eq!(load.stop().counts.failed, 0);
    assert_eq!(machine.applications().len(), 1, "{:?}", machine.processes());
    said
}

#[test]
fn a_way_back_that_leaves_no_time_for_the_way_forward_turns_around_where_it_began() {
    let machine = with_two_releases();
    machine.says(&slow_for("v2"));
    let said = drills(&machine, 6);
    assert!(said.contains("drill FAILED: it did not get to"), "{said}");
    assert!(said.contains("has the traffic, as before"), "{said}");
    assert_eq!(machine.get("/version"), "v3");
}

#[test]
fn a_way_forward_that_ends_with_the_deadline_says_which_release_is_live() {
    let machine = with_two_releases();
    machine.says(&slow_for("v3"));
    let said = drills(&machine, 8);
    assert!(said.contains("drill STRANDED"), "{said}");
    assert!(said.contains("HAS THE TRAFFIC"), "{said}");
    assert_eq!(machine.get("/version"), "v2");
    // What it says to do does it.
    let (_, command) = said.split_once("`nonstop rollback --to ").expect("a way out");
    let (release, _) = command.split_once('`').expect("a release");
    machine.says("");
    let mut rollback = machine.nonstop("rollback", "0s");
    rollback.args(["--to", release]);
    ends(rollback, 0);
    assert_eq!(machine.get("/version"), "v3");
}

#[test]
fn a_way_forward_that_is_refused_says_which_release_had_the_traffic() {
    let machine = with_two_releases();
    let releases = machine.path("app").join("releases");
    let away = machine.path("away");
    machine.says(&format!(
        "hooks:\n  after_allow_traffic: {{ run: 'mkdir {away} && mv {releases}/*-v3-* {away}/' }}\n",
        away = away.display(),
        releases = releases.display()
    ));
    let said = ends(machine.nonstop("drill", "0s"), 8);
    assert!(said.contains("drill STRANDED"), "{said}");
    assert!(said.contains("HAD THE TRAFFIC"), "{said}");
    assert_eq!(machine.get("/version"), "v2");
    let mut taken = fs::read_dir(&away).expect("the release was taken away");
    let release = taken.next().unwrap().unwrap().file_name().into_string().unwrap();
    fs::rename(away.join(&release), releases.join(&release)).unwrap();
    machine.says("");
    let mut rollback = machine.nonstop("rollback", "0s");
    rollback.args(["--to", &release]);
    assert!(
        said.contains(&format!("`nonstop rollback --to {release}`")),
        "{said}"
    );
    ends(rollback, 0);
    assert_eq!(machine.get("/version"), "v3");
}

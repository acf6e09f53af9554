//! Slots that units of systemd run.

use nonstop::model::finding::{Problem, Severity};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{StartRunner, Step};
use nonstop::model::unit::{UnitObserved, UnitState};

use crate::fixture::{Fleet, V1, V2, slot, steps};
use crate::resume::hosts;

const INVENTORY: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 } } }
    nginx: { hosts: { nginx-1: , nginx-2: } }
";
const PLAYBOOK: &str = "
app: sokdak
artifact: build/libs/*.jar
slots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }
release: { dir: /home/ubuntu/sokdak }
start: { systemd: { unit: 'sokdak@{{ slot.port }}.service' } }
health: { path: /actuator/health, min_healthy_time: 3s }
nginx:
  group: nginx
  site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 }
";

/// Blue is live, and every unit can be started.
fn fleet() -> Fleet {
    let mut fleet = Fleet::of(INVENTORY, PLAYBOOK);
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    for name in ["was-1", "was-2"] {
        for slot in ["blue", "green"] {
            is(&mut fleet, name, slot, UnitState::Ready);
        }
    }
    fleet
}

fn is(fleet: &mut Fleet, name: &str, slot_name: &str, state: UnitState) {
    let unit = fleet.config.topology.was[&crate::fixture::host(name)].units[&slot(slot_name)].clone();
    fleet.slot(name, slot_name).unit = Some(UnitObserved {
        name: unit.name,
        state,
        listens: false,
    });
}

#[test]
fn what_a_boot_or_a_person_started_as_the_slots_own_unit_is_retired() {
    let mut fleet = fleet();
    fleet.listens("was-1", "green");
    assert!(matches!(
        &fleet.refusals()[..],
        [(_, Problem::ForeignProcess { .. })]
    ));
    fleet.slot("was-1", "green").unit.as_mut().unwrap().listens = true;
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(hosts(&plan, Phase::Retire), ["was-1"]);
    // Another release than the one on record: somebody led it elsewhere.
    fleet.runs_on("was-1", "green", V1).listens("was-1", "green");
    assert!(matches!(
        &fleet.refusals()[..],
        [(_, Problem::ForeignProcess { .. })]
    ));
}

#[test]
fn a_slot_is_started_by_the_unit_of_its_port() {
    let plan = fleet().deploy(V2).unwrap();
    let (_, Step::Start { runner, env, .. }) = steps(&plan, Phase::Start)[0] else {
        panic!("{:?}", plan.stage(Phase::Start));
    };
    let StartRunner::Unit(unit) = runner else {
        panic!("{runner:?}");
    };
    assert_eq!(unit.name.as_str(), "sokdak@8081.service");
    assert!(env.is_empty() && plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn a_unit_that_cannot_be_started_is_refused_with_its_host_and_the_live_slots_is_not_asked_for() {
    for state in [
        UnitState::Unknown,
        UnitState::Masked,
        UnitState::Broken,
        UnitState::NoSystemd,
    ] {
        let mut fleet = fleet();
        is(&mut fleet, "was-1", "blue", state);
        assert!(fleet.deploy(V2).is_ok());
        is(&mut fleet, "was-2", "green", state);
        let [(name, Problem::UnitUnfit { unit, .. })] = &fleet.refusals()[..] else {
            panic!("{:?}", fleet.refusals());
        };
        assert_eq!((name.as_str(), unit.state), ("was-2", state));
    }
}

#[test]
fn a_unit_that_no_boot_would_start_is_worth_a_warning() {
    let mut fleet = fleet();
    is(&mut fleet, "was-2", "green", UnitState::Static);
    let plan = fleet.deploy(V2).unwrap();
    let [warning] = &plan.warnings[..] else {
        panic!("{:?}", plan.warnings);
    };
    assert_eq!(warning.severity, Severity::Warning);
    assert!(matches!(warning.problem, Problem::UnitUnfit { .. }));
    let mut fleet = Fleet::of(
        INVENTORY,
        &PLAYBOOK.replace("service' }", "service', enable: false }"),
    );
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    is(&mut fleet, "was-2", "green", UnitState::Static);
    assert!(fleet.deploy(V2).unwrap().warnings.is_empty());
}

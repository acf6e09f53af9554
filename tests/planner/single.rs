//! A single slot: what a plan says of all its legs before the first of them begins.

use std::collections::BTreeSet;

use nonstop::model::endpoint::Endpoint;
use nonstop::model::finding::{Problem, Severity};
use nonstop::model::journey::{Heading, Journey, Rolling};
use nonstop::model::names::{ReleaseId, RunId};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{Plan, Step, legs_so_far};
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, steps};

const INVENTORY: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 } } }
    nginx: { hosts: { nginx-1: { address: 10.0.0.11 }, nginx-2: { address: 10.0.0.12 } } }
";
const PLAYBOOK: &str = "
app: sokdak
artifact: build/libs/*.jar
slots: { blue: { group: was, port: 8080 } }
release: { dir: /home/ubuntu/sokdak, keep: 5 }
start: { java: {} }
health: { path: /actuator/health, min_healthy_time: 3s }
nginx:
  group: nginx
  site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 }
update: { strategy: rolling, max_parallel: 1 }
";

/// The slot is live with `V1`, put there by us.
fn live() -> Fleet {
    live_with("")
}

/// The same with more lines at the playbook's end.
pub(crate) fn live_with(more: &str) -> Fleet {
    let mut fleet = Fleet::of(INVENTORY, &format!("{PLAYBOOK}{more}"));
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    fleet
}

fn routings(plan: &Plan) -> Vec<String> {
    let host = |endpoint: &Endpoint| endpoint.host.to_string();
    let told = plan.routings.iter();
    told.map(|routing| routing.endpoints().map(host).collect::<Vec<_>>().join(" "))
        .collect()
}

fn says(plan: &Plan, wanted: impl Fn(&Rolling) -> bool) -> bool {
    plan.warnings.iter().any(|it| match &it.problem {
        Problem::Rolling { what } => wanted(what),
        _ => false,
    })
}

#[test]
fn every_routing_is_in_the_plan_and_how_it_goes_back_is_said() {
    let plan = live().deploy(V2).unwrap();
    assert_eq!(
        routings(&plan),
        ["was-1 was-2", "was-2", "was-1 was-2", "was-1", "was-1 was-2"]
    );
    assert!(says(&plan, |it| matches!(
        it,
        Rolling::Ahead {
            least: 1,
            hosts: 2,
            ..
        }
    )));
    assert!(!says(&plan, |it| matches!(it, Rolling::NoWayBack)));
    let phases: Vec<Phase> = plan.phases();
    let leg = [
        Phase::Prepare,
        Phase::Commit,
        Phase::Drain,
        Phase::Retire,
        Phase::Start,
        Phase::Verify,
        Phase::Prepare,
        Phase::Commit,
    ];
    assert_eq!(
        phases,
        [&[Phase::Upload], &leg[..], &leg[..], &[Phase::Finish]].concat()
    );
    let ended: Vec<_> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .filter(|on| matches!(on.step, Step::Vacate { .. }))
        .map(|on| on.host.as_str())
        .collect();
    assert_eq!(ended, ["was-1", "was-2"]);
}

#[test]
fn nginx_is_told_of_the_release_of_each_host() {
    let plan = live().deploy(V2).unwrap();
    let releases: Vec<_> = plan.routings[2]
        .instances()
        .map(|instance| instance.release.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(releases, [Some(V2.to_owned()), Some(V1.to_owned())]);
}

#[test]
fn memory_for_two_is_nobodys_concern() {
    let mut fleet = live();
    for seen in fleet.observed.hosts.values_mut() {
        seen.machine.memory_available_bytes = 1;
        for slot in seen.was.iter_mut().flat_map(|was| was.slots.values_mut()) {
            slot.peak_memory_bytes = 1 << 30;
        }
    }
    fleet.deploy(V2).unwrap();
}

#[test]
fn with_one_host_left_out_the_last_one_does_not_leave() {
    let mut fleet = live();
    fleet.leave_out("was-2");
    let refused = fleet.deploy(V2).unwrap_err();
    let few = refused.iter().find(|it| {
        let what = Rolling::TooFew {
            slot: crate::fixture::slot("blue"),
            serving: 1,
            least: 1,
        };
        it.severity == Severity::Refusal && it.problem == Problem::Rolling { what }
    });
    assert!(few.is_some(), "{refused:?}");
}

#[test]
fn a_release_that_nonstop_did_not_start_has_no_way_back() {
    let mut fleet = Fleet::of(INVENTORY, PLAYBOOK);
    fleet
        .listens("was-1", "blue")
        .listens("was-2", "blue")
        .routes(8080, "run-1");
    let plan = fleet.deploy(V2).unwrap();
    assert!(says(&plan, |it| matches!(it, Rolling::NoWayBack)));
}

#[test]
fn a_process_of_somebody_else_is_not_ended_for_a_host_that_comes_in() {
    let mut fleet = live();
    for name in ["nginx-1", "nginx-2"] {
        let text = crate::fixture::our_site(8080, "run-1").replace("server 10.0.0.2:8080; ", "");
        fleet.file(name, "sokdak.conf", &text);
    }
    fleet.slot("was-2", "blue").record_runs = false;
    fleet.slot("was-2", "blue").record = None;
    fleet.listens("was-2", "blue");
    let refused = fleet.deploy(V2).unwrap_err();
    let is_foreign = |it: &Problem| matches!(it, Problem::ForeignProcess { .. });
    assert!(refused.iter().any(|it| is_foreign(&it.problem)), "{refused:?}");
}

#[test]
fn a_fleet_without_traffic_starts_all_hosts_at_once() {
    let plan = Fleet::of(INVENTORY, PLAYBOOK).deploy(V2).unwrap();
    assert_eq!(routings(&plan), ["", "was-1 was-2"]);
    assert_eq!(steps(&plan, Phase::Start).len(), 2);
}

#[test]
fn a_rollback_without_a_name_leads_to_the_release_before_and_status_says_so() {
    let mut fleet = Fleet::of(INVENTORY, PLAYBOOK);
    fleet.has(V1).has(V2).runs("blue", V2).routes(8080, "run-1");
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id.as_str(), V1);
}

#[test]
fn who_goes_on_with_a_run_takes_no_name_that_one_of_its_legs_has_on_any_host() {
    let journey = Journey {
        run: RunId::new("run-2").unwrap(),
        leg: 2,
        target: ReleaseId::new(V2).unwrap(),
        home: None,
        heading: Heading::Forward,
        new: BTreeSet::new(),
        came: BTreeSet::new(),
    };
    let mut fleet = live();
    assert_eq!(legs_so_far(&fleet.observed, &journey), 2, "what is on record");
    // It died before the leg whose home it had saved was on record.
    fleet.nginx("nginx-2").saved_homes = vec!["run-2-3".to_owned()];
    assert_eq!(legs_so_far(&fleet.observed, &journey), 3);
    fleet.token("nginx-1", "run-2-4", TokenState::Reverted);
    fleet.nginx("nginx-1").saved_homes.clear();
    assert_eq!(legs_so_far(&fleet.observed, &journey), 4);
    fleet.token("nginx-1", "run-21-9", TokenState::Reverted);
    assert_eq!(legs_so_far(&fleet.observed, &journey), 4, "that is another run");
}

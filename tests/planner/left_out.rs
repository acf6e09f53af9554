//! Hosts that a person leaves out, and hosts that come back.

use std::collections::BTreeSet;

use nonstop::model::endpoint::Endpoint;
use nonstop::model::finding::{Problem, Severity};
use nonstop::model::names::RunId;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{Plan, Step};
use nonstop::model::record::{RunKind, RunStatus};

use crate::fixture::{Fleet, V1, V2, V3, endpoint, host, our_site, release_id, site, slot, steps};

/// Blue is live with `V1`, and that host cannot be reached any more.
fn without(name: &str) -> Fleet {
    let mut fleet = Fleet::on_blue();
    fleet.leave_out(name);
    fleet
}

/// `was-2` was left out of a deploy to green and is back with what it had.
fn returned() -> Fleet {
    let fleet = without("was-2");
    let plan = fleet.deploy(V2).unwrap();
    let mut record = fleet.intent(&plan, RunKind::Deploy).finished();
    record.run = RunId::new("run-2").unwrap();
    let mut fleet = Fleet::on_blue();
    fleet
        .has_on("was-1", V2)
        .runs_on("was-1", "green", V2)
        .dies("was-1", "blue");
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &alone(&our_site(8081, "run-2")));
        fleet.nginx(name).generation = Some("run-2".to_owned());
    }
    for name in ["was-1", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
    fleet
}

/// The site without `was-2`.
fn alone(site: &str) -> String {
    site.replace("server 10.0.0.2:8080;", "")
        .replace("server 10.0.0.2:8081;", "")
}

fn routed(plan: &Plan, index: usize) -> Vec<Endpoint> {
    plan.routings[index].endpoints().cloned().collect()
}

fn warnings(plan: &Plan) -> Vec<(String, Problem)> {
    let host = |host: &Option<_>| host.as_ref().map(ToString::to_string).unwrap_or_default();
    let warnings = plan.warnings.iter();
    warnings.map(|it| (host(&it.host), it.problem.clone())).collect()
}

#[test]
fn a_was_host_that_is_left_out_leaves_the_routing_and_nothing_is_done_there() {
    let fleet = without("was-2");
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(
        routed(&plan, 0),
        [endpoint("was-1", 8080), endpoint("was-2", 8080)]
    );
    assert_eq!(routed(&plan, 1), [endpoint("was-1", 8081)]);
    for (_, switch) in plan.switches() {
        assert!(!switch.after.contains("10.0.0.2"), "{}", switch.after);
    }
    let touched: BTreeSet<_> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .map(|on| on.host.as_str())
        .collect();
    assert_eq!(touched, BTreeSet::from(["nginx-1", "nginx-2", "was-1"]));
    assert_eq!(plan.from_release, Some(release_id(V1)));
}

#[test]
fn an_nginx_host_that_is_left_out_is_not_asked_for() {
    let plan = without("nginx-2").deploy(V2).unwrap();
    let switched: Vec<_> = plan.switches().into_keys().map(ToString::to_string).collect();
    assert_eq!(switched, ["nginx-1"]);
}

#[test]
fn a_host_that_is_left_out_stays_left_out_of_the_way_back() {
    let mut fleet = without("was-2");
    fleet.has(V2).runs("green", V2).routes(8081, "run-1");
    let plan = fleet.rollback(Some(V1)).unwrap();
    assert_eq!(routed(&plan, 1), [endpoint("was-1", 8080)]);
}

#[test]
fn a_left_out_host_of_the_other_slot_is_still_no_whole_slot() {
    let mut fleet = without("was-2");
    let mixed = our_site(8080, "run-1").replace("10.0.0.2:8080", "10.0.0.2:8081");
    fleet.file("nginx-1", "sokdak.conf", &mixed);
    assert!(
        fleet
            .refusals()
            .iter()
            .any(|(_, problem)| matches!(problem, Problem::PartialSlot { .. }))
    );
}

#[test]
fn a_host_that_the_last_run_routed_to_and_somebody_took_out_since_is_not_behind_but_missing() {
    let mut fleet = Fleet::on_blue();
    let plan = fleet.deploy(V2).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy).finished();
    fleet.has(V2).runs("green", V2);
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &alone(&our_site(8081, "run-2")));
        fleet.nginx(name).generation = Some("run-2".to_owned());
    }
    for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
    let refusals = fleet.refusals();
    let partial = |problem: &Problem| matches!(problem, Problem::PartialSlot { .. });
    assert!(
        refusals.iter().any(|(_, problem)| partial(problem)),
        "{refusals:?}"
    );
}

#[test]
fn a_users_file_that_names_a_left_out_host_is_refused() {
    let mut fleet = Fleet::with_own_files();
    fleet.has(V1).runs("blue", V1);
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &site(8080));
    }
    fleet.leave_out("was-2");
    let problem = Problem::SlotFileNamesLeftOut {
        slot: slot("green"),
        endpoint: endpoint("was-2", 8081),
    };
    assert_eq!(
        fleet.refusals(),
        [
            ("nginx-1".to_owned(), problem.clone()),
            ("nginx-2".to_owned(), problem)
        ]
    );
    for name in ["nginx-1", "nginx-2"] {
        let text = format!("# 10.0.0.2:8081 rests\n{}", alone(&site(8081)));
        fleet.nginx(name).slot_files.insert(slot("green"), Some(text));
    }
    assert!(fleet.deploy(V2).is_ok());
}

#[test]
fn a_was_host_that_comes_back_is_behind_and_the_next_deploy_brings_it() {
    let fleet = returned();
    let plan = fleet.deploy(V3).unwrap();
    let warnings = warnings(&plan);
    assert!(
        matches!(&warnings[..], [(name, Problem::Behind { .. })] if name == "was-2"),
        "{warnings:?}"
    );
    assert_eq!(plan.from_release, Some(release_id(V2)));
    assert_eq!(routed(&plan, 0), [endpoint("was-1", 8081)]);
    assert_eq!(
        routed(&plan, 1),
        [endpoint("was-1", 8080), endpoint("was-2", 8080)]
    );
    let retired: Vec<_> = steps(&plan, Phase::Retire)
        .into_iter()
        .map(|(host, _)| host)
        .collect();
    assert_eq!(retired, ["was-2"], "what slept there is ended first");
}

#[test]
fn a_host_that_came_back_is_still_behind_when_the_next_run_went_home() {
    let mut fleet = returned();
    let plan = fleet.deploy(V3).unwrap();
    let mut record = fleet.intent(&plan, RunKind::Deploy);
    record.phase = Phase::Revert;
    record.status = RunStatus::Done;
    for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
    let again = fleet.deploy(V3).unwrap();
    assert!(matches!(warnings(&again)[..], [(_, Problem::WasBehind { .. })]));
}

#[test]
fn a_host_that_is_new_in_the_inventory_comes_in_with_the_next_deploy() {
    // For the planner it is a host that the last run did not have.
    let mut fleet = returned();
    for name in ["was-1", "nginx-1", "nginx-2"] {
        fleet.host(name).record.as_mut().unwrap().without.clear();
    }
    let plan = fleet.deploy(V3).unwrap();
    let behind = Problem::WasBehind {
        run: RunId::new("run-2").unwrap(),
        endpoint: endpoint("was-2", 8081),
    };
    assert_eq!(warnings(&plan), [("was-2".to_owned(), behind)]);
}

#[test]
fn a_part_of_a_slot_that_no_run_left_behind_is_refused() {
    let mut fleet = Fleet::on_blue();
    let plan = fleet.deploy(V1).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy);
    fleet.file("nginx-1", "sokdak.conf", &alone(&our_site(8080, "run-1")));
    let is_partial = |fleet: &Fleet| {
        let refusals = fleet.refusals();
        refusals
            .iter()
            .all(|(name, it)| name == "nginx-1" && matches!(it, Problem::PartialSlot { .. }))
            && refusals.len() == 1
    };
    assert!(is_partial(&fleet));
    let mut finished = record.finished();
    finished.without.insert(host("was-2"));
    fleet.host("was-1").record = Some(finished);
    assert!(
        is_partial(&fleet),
        "the last run left green whole, and nothing of blue"
    );
}

#[test]
fn a_stranger_on_a_returned_host_is_not_stopped_with_the_old_slot() {
    let mut fleet = returned();
    fleet.listens("was-2", "green");
    let plan = fleet.deploy(V3).unwrap();
    let stopped: Vec<_> = steps(&plan, Phase::Stop)
        .into_iter()
        .map(|(host, _)| host)
        .collect();
    assert_eq!(stopped, ["was-1"]);
    assert!(fleet.intent(&plan, RunKind::Deploy).adopted.is_empty());
}

#[test]
fn an_nginx_host_that_comes_back_is_behind_and_disagrees() {
    let fleet = without("nginx-2");
    let plan = fleet.deploy(V2).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy).finished();
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    fleet.file("nginx-1", "sokdak.conf", &our_site(8081, "run-2"));
    fleet.nginx("nginx-1").generation = Some("run-2".to_owned());
    for name in ["was-1", "was-2", "nginx-1"] {
        fleet.host(name).record = Some(record.clone());
    }
    let findings = fleet.deploy(V3).unwrap_err();
    let of = |severity| {
        let found = findings.iter().filter(move |it| it.severity == severity);
        found.map(|it| it.problem.clone()).collect::<Vec<_>>()
    };
    assert!(matches!(
        of(Severity::Refusal)[..],
        [Problem::NginxDisagree { .. }]
    ));
    assert!(matches!(of(Severity::Warning)[..], [Problem::Behind { .. }]));
    // One that routes as the others do is brought along.
    fleet.file("nginx-2", "sokdak.conf", &our_site(8081, "run-0"));
    fleet.nginx("nginx-2").generation = Some("run-0".to_owned());
    let plan = fleet.deploy(V3).unwrap();
    assert!(matches!(warnings(&plan)[..], [(_, Problem::Behind { .. })]));
    assert_eq!(plan.switches().len(), 2);
}

#[test]
fn a_host_of_the_last_run_may_leave_the_inventory_once_it_was_left_out() {
    let missing = |name: &str| Problem::RecordedHostMissing { missing: host(name) };
    let mut fleet = Fleet::on_blue();
    fleet.record(None, V1).nginx.insert(host("nginx-9"));
    assert_eq!(fleet.refusals(), [(String::new(), missing("nginx-9"))]);
    let record = fleet.record(None, V1);
    record.without.insert(host("nginx-9"));
    record.was.insert(host("was-9"));
    assert!(
        fleet.deploy(V2).is_ok(),
        "nginx itself would say where it still routes to"
    );
    let record = fleet.record(None, V1);
    record.was.insert(host("was-9"));
    record.status = RunStatus::Open;
    assert_eq!(fleet.refusals(), [(String::new(), missing("was-9"))]);
}

#[test]
fn an_old_record_on_a_host_that_was_away_does_not_name_who_is_missing() {
    let mut fleet = returned();
    let mut old = fleet.host("was-1").record.clone().unwrap();
    old.epoch.0 = 1;
    old.nginx.insert(host("nginx-9"));
    fleet.host("was-2").record = Some(old);
    assert!(fleet.deploy(V3).is_ok());
}

#[test]
fn a_host_that_is_left_out_is_not_missing() {
    let mut fleet = Fleet::on_blue();
    let record = fleet.record(None, V1);
    record.status = RunStatus::Open;
    fleet.leave_out("was-2");
    fleet.leave_out("nginx-2");
    let plan = fleet.deploy(V2).unwrap();
    assert!(matches!(
        warnings(&plan)[..],
        [(_, Problem::InterruptedRun { .. })]
    ));
    let Some((_, Step::Verify { endpoints, .. })) = steps(&plan, Phase::Verify).pop() else {
        panic!("{plan:?}");
    };
    assert_eq!(endpoints.len(), 1);
}

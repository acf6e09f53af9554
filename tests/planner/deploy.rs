//! The way to a new release.

use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{StartRunner, Step};
use nonstop::model::process::StopTarget;
use nonstop::model::record::RunKind;

use crate::fixture::{Fleet, V1, V2, endpoint, process, refusals, release_id, slot, steps, unfinished};

#[test]
fn an_empty_fleet_gets_the_first_slot_and_has_nothing_to_stop() {
    let plan = Fleet::empty().deploy(V1).unwrap();
    assert_eq!((plan.from.clone(), plan.to.clone()), (None, slot("blue")));
    assert_eq!(
        plan.phases(),
        [
            Phase::Upload,
            Phase::Start,
            Phase::Verify,
            Phase::Prepare,
            Phase::Commit,
            Phase::Finish
        ]
    );
    assert!(plan.routings[0].is_empty());
    for switch in plan.switches().values() {
        assert_eq!(switch.before, None);
        assert_eq!(switch.takes_over, None);
        assert!(switch.after.contains("server 10.0.0.1:8080"), "{}", switch.after);
    }
}

#[test]
fn an_empty_fleet_with_a_stranger_on_the_first_port_uses_the_second() {
    let mut fleet = Fleet::empty();
    fleet.listens("was-2", "blue");
    assert_eq!(fleet.deploy(V1).unwrap().to, slot("green"));
}

/// A first deploy was cut off while it started, and the next one takes the slot that is free.
#[test]
fn what_a_first_deploy_left_on_one_slot_ends_when_the_next_one_takes_the_other() {
    let mut fleet = Fleet::empty();
    let start = unfinished("run-0", vec![77]);
    let target = StopTarget::Start(start.word.clone());
    fleet.slot("was-1", "blue").unfinished = Some(start);
    let plan = fleet.deploy(V1).unwrap();
    assert_eq!(plan.to, slot("green"));
    let retired = steps(&plan, Phase::Retire);
    let [
        (
            "was-1",
            Step::Retire {
                slot: on,
                target: ends,
                ..
            },
        ),
    ] = &retired[..]
    else {
        panic!("{retired:?}");
    };
    assert_eq!((on, ends), (&slot("blue"), &target));

    // A process on record is kept: a rollback may want it.
    let mut fleet = Fleet::empty();
    fleet.has(V1).runs("blue", V1);
    assert_eq!(steps(&fleet.deploy(V2).unwrap(), Phase::Retire), []);
}

#[test]
fn from_the_live_slot_to_the_other_in_the_order_of_the_phases() {
    let plan = Fleet::on_blue().deploy(V2).unwrap();
    assert_eq!(
        (plan.from.clone(), plan.to.clone()),
        (Some(slot("blue")), slot("green"))
    );
    assert_eq!(plan.from_release, Some(release_id(V1)));
    assert_eq!(
        plan.phases(),
        [
            Phase::Upload,
            Phase::Start,
            Phase::Verify,
            Phase::Prepare,
            Phase::Commit,
            Phase::Drain,
            Phase::Stop,
            Phase::Finish
        ]
    );
    let every_host = |phase| {
        steps(&plan, phase)
            .iter()
            .map(|(host, _)| *host)
            .collect::<Vec<_>>()
    };
    assert_eq!(every_host(Phase::Commit), ["nginx-1", "nginx-2"]);
    assert_eq!(every_host(Phase::Upload), ["was-1", "was-2"]);
    assert_eq!(
        every_host(Phase::Verify),
        ["nginx-1", "nginx-2", "was-1", "was-2"]
    );
    assert_eq!(every_host(Phase::Stop), ["was-1", "was-2"]);
}

#[test]
fn the_old_slot_is_stopped_by_the_identity_that_was_observed() {
    let mut fleet = Fleet::on_blue();
    let expected = fleet.slot("was-1", "blue").listener_identity().unwrap().clone();
    let plan = fleet.deploy(V2).unwrap();
    let (
        _,
        Step::Stop {
            identity,
            slot: stopped,
            successor,
            ..
        },
    ) = steps(&plan, Phase::Stop)[0]
    else {
        panic!("{:?}", plan.stage(Phase::Stop));
    };
    assert_eq!(*identity, expected);
    assert_eq!((stopped.as_str(), successor.as_str()), ("blue", "green"));
}

#[test]
fn an_instance_is_started_with_the_slots_own_variables() {
    let plan = Fleet::on_blue().deploy(V2).unwrap();
    let (
        _,
        Step::Start {
            runner: StartRunner::Process { argv },
            port,
            ..
        },
    ) = steps(&plan, Phase::Start)[0]
    else {
        panic!("{:?}", plan.stage(Phase::Start));
    };
    assert_eq!(port.number(), 8081);
    assert!(
        argv.contains(&"--spring.profiles.active=real2".to_owned()),
        "{argv:?}"
    );
}

#[test]
fn every_endpoint_is_asked_from_its_own_host_and_from_every_nginx() {
    let plan = Fleet::on_blue().deploy(V2).unwrap();
    for (host, step) in steps(&plan, Phase::Verify) {
        let Step::Verify {
            endpoints,
            min_healthy_time,
            ..
        } = step
        else {
            panic!("{step:?}");
        };
        let asked: Vec<_> = endpoints.iter().map(|it| it.address.as_str()).collect();
        if host.starts_with("nginx") {
            assert_eq!(asked, ["10.0.0.1", "10.0.0.2"]);
        } else {
            assert_eq!(asked, ["127.0.0.1"]);
        }
        assert_eq!(*min_healthy_time, Duration::from_secs(3));
    }
}

#[test]
fn a_host_with_both_parts_asks_itself_both_ways_and_gets_both_kinds_of_steps() {
    let mut fleet = Fleet::on_one_host();
    fleet.has(V1).runs("blue", V1);
    let site = crate::fixture::our_site(8080, "run-1").replace("server 10.0.0.2:8080;", "");
    fleet.file("was-1", "sokdak.conf", &site);
    fleet.nginx("was-1").generation = Some("run-1".to_owned());
    let plan = fleet.deploy(V2).unwrap();
    let [(_, Step::Verify { endpoints, .. })] = steps(&plan, Phase::Verify)[..] else {
        panic!("{:?}", plan.stage(Phase::Verify));
    };
    let asked: Vec<_> = endpoints.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(asked, ["127.0.0.1", "10.0.0.1"]);
    assert!(matches!(
        steps(&plan, Phase::Finish)[..],
        [(_, Step::FinishWas { .. }), (_, Step::FinishNginx { .. })]
    ));
}

#[test]
fn a_site_that_names_the_loopback_leads_to_its_own_host() {
    let mut fleet = Fleet::on_one_host();
    fleet.listens("was-1", "green");
    let site =
        "server { listen 80; server_name sokdak.example; location / { proxy_pass http://127.0.0.1:8081; } }";
    fleet.file("was-1", "sokdak.conf", site);
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!((plan.from, plan.to), (Some(slot("green")), slot("blue")));
}

#[test]
fn a_process_of_ours_that_was_kept_is_retired_first() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs_on("was-2", "green", V2);
    let kept = fleet.slot("was-2", "green").listener_identity().unwrap().clone();
    let plan = fleet.deploy(crate::fixture::V3).unwrap();
    let [(host, Step::Retire { target, release, .. })] = steps(&plan, Phase::Retire)[..] else {
        panic!("{:?}", plan.stage(Phase::Retire));
    };
    assert_eq!((host, target), ("was-2", &StopTarget::Process(kept)));
    assert_eq!(*release, Some(release_id(V2)));
}

#[test]
fn what_a_start_left_that_was_cut_off_is_retired_by_its_word_whether_it_listens_or_not() {
    let mut fleet = Fleet::on_blue();
    fleet.listens("was-1", "green");
    let pid = fleet.slot("was-1", "green").listener_identity().unwrap().pid;
    let retired = |fleet: &Fleet| {
        let plan = fleet.deploy(V2).unwrap();
        let found: Vec<_> = steps(&plan, Phase::Retire)
            .into_iter()
            .map(|(host, step)| match step {
                Step::Retire { target, .. } => (host.to_owned(), target.clone()),
                other => panic!("{other:?}"),
            })
            .collect();
        found
    };
    let foreign = |fleet: &Fleet| {
        matches!(
            refusals(fleet.deploy(V2))[..],
            [(_, Problem::ForeignProcess { .. })]
        )
    };
    assert!(foreign(&fleet));
    let start = unfinished("run-0", vec![pid]);
    let target = StopTarget::Start(start.word.clone());
    fleet.slot("was-1", "green").unfinished = Some(start);
    assert_eq!(retired(&fleet), [("was-1".to_owned(), target.clone())]);
    // Another process has the port.
    fleet.slot("was-1", "green").unfinished = Some(unfinished("run-0", vec![pid + 1]));
    assert!(foreign(&fleet));
    fleet.slot("was-1", "green").listener = None;
    assert_eq!(retired(&fleet), [("was-1".to_owned(), target)]);
    fleet.slot("was-1", "green").unfinished = Some(unfinished("run-0", Vec::new()));
    assert_eq!(retired(&fleet), []);
}

#[test]
fn a_process_of_ours_that_runs_and_does_not_listen_is_retired_too() {
    let mut fleet = Fleet::on_blue();
    fleet.runs_on("was-1", "green", V2);
    fleet.slot("was-1", "green").listener = None;
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(steps(&plan, Phase::Retire).len(), 1);
}

#[test]
fn the_old_slot_stays_up_where_the_playbook_keeps_it() {
    let mut fleet = Fleet::with("bake: { for: 10m, then: keep }\n");
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    let plan = fleet.deploy(V2).unwrap();
    assert!(plan.stage(Phase::Bake).is_some());
    assert!(plan.stage(Phase::Drain).is_none());
    let kept = steps(&plan, Phase::Stop);
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|(_, step)| matches!(step, Step::Keep { .. })));
}

#[test]
fn a_live_instance_that_is_down_is_a_warning_and_has_nothing_to_stop() {
    let mut fleet = Fleet::on_blue();
    fleet.dies("was-2", "blue");
    let plan = fleet.deploy(V2).unwrap();
    let down = Problem::LiveInstanceDown {
        endpoint: endpoint("was-2", 8080),
    };
    assert!(
        plan.warnings.iter().any(|it| it.problem == down),
        "{:?}",
        plan.warnings
    );
    assert!(matches!(steps(&plan, Phase::Stop)[..], [("was-1", _)]));
}

#[test]
fn whoever_serves_on_the_live_port_is_stopped_and_not_only_whom_a_start_left_on_record() {
    let mut fleet = Fleet::on_blue();
    fleet.listens("was-1", "blue");
    let serves = fleet.slot("was-1", "blue").listener_identity().unwrap().clone();
    let plan = fleet.deploy(V2).unwrap();
    let (_, Step::Stop { identity, .. }) = steps(&plan, Phase::Stop)[0] else {
        panic!("{:?}", plan.stage(Phase::Stop));
    };
    assert_eq!(*identity, serves);
    assert_eq!(plan.from_release, None, "what serves there is no release of ours");
}

#[test]
fn an_application_that_another_tool_started_is_stopped_by_identity_and_its_release_is_unknown() {
    let mut fleet = Fleet::empty();
    fleet.listens("was-1", "blue").listens("was-2", "blue");
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &crate::fixture::site(8080));
    }
    let plan = fleet.deploy(V1).unwrap();
    assert_eq!(plan.from_release, None);
    let identities: Vec<_> = steps(&plan, Phase::Stop)
        .into_iter()
        .map(|(host, step)| match step {
            Step::Stop { identity, .. } => (host, identity.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        identities,
        [
            ("was-1", process("was-1", 1001)),
            ("was-2", process("was-2", 1002))
        ]
    );
}

#[test]
fn an_adopted_process_that_was_kept_is_known_again_and_retired() {
    let mut fleet = Fleet::empty();
    fleet.listens("was-1", "blue").listens("was-2", "blue");
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &crate::fixture::site(8080));
    }
    let adopted = fleet.intent(&fleet.deploy(V1).unwrap(), RunKind::Deploy).adopted;
    assert_eq!(adopted.len(), 2);

    fleet.has(V1).runs("green", V1).routes(8081, "run-1");
    fleet.record(None, V1).adopted = adopted.clone();
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(plan.to, slot("blue"));
    let retired = steps(&plan, Phase::Retire);
    assert_eq!(retired.len(), 2);
    assert!(retired.iter().all(|(_, step)| matches!(
        step,
        Step::Retire { target: StopTarget::Process(identity), release: None, .. } if adopted.contains(identity)
    )));
    let again = fleet.intent(&plan, RunKind::Deploy).adopted;
    assert_eq!(
        again, adopted,
        "a run that fails before it retires them hands them on"
    );
}

#[test]
fn hosts_that_have_the_jar_only_prove_it() {
    let mut fleet = Fleet::on_blue();
    fleet.has_on("was-1", V2);
    let plan = fleet.deploy(V2).unwrap();
    let on_record: Vec<_> = steps(&plan, Phase::Upload)
        .into_iter()
        .map(|(host, step)| match step {
            Step::Upload { on_record, .. } => (host, *on_record),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(on_record, [("was-1", true), ("was-2", false)]);
}

#[test]
fn what_serves_and_what_served_are_kept_from_pruning() {
    let plan = Fleet::on_blue().deploy(V2).unwrap();
    let (_, Step::FinishWas { protected, keep }) = steps(&plan, Phase::Finish)[0] else {
        panic!("{:?}", plan.stage(Phase::Finish));
    };
    assert_eq!(*keep, 5);
    assert!(protected.contains(&release_id(V1)) && protected.contains(&release_id(V2)));
}

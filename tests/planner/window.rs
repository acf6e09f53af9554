//! The window after a run: what leaves the old slot's end to its hosts, what speaks against it, and when it is over.

use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::lock::Epoch;
use nonstop::model::names::UnitName;
use nonstop::model::observed::WatchKeeper;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Plan, Step};
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::timer::{Timer, TimerProgram, TimerState, Window};
use nonstop::model::token::TokenId;

use crate::fixture::{Fleet, V1, V2, host, refusals, slot, steps};

const DETACHED: &str = "bake: { for: 24h, detach: true }\n";

fn on_blue(more: &str) -> Fleet {
    let mut fleet = Fleet::with(more);
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    for (name, address) in [("nginx-1", "10.0.1.1"), ("nginx-2", "10.0.1.2")] {
        let own = ["127.0.0.1", "::1", address].map(str::to_owned);
        fleet.nginx(name).own_addresses = own.into();
    }
    fleet
}

fn kinds(plan: &Plan) -> Vec<(&str, &'static str)> {
    let kind = |step: &Step| match step {
        Step::ProveAnswer { .. } => "prove",
        Step::SetTimer { .. } => "timer",
        _ => "other",
    };
    steps(plan, Phase::Bake)
        .into_iter()
        .map(|(host, step)| (host, kind(step)))
        .collect()
}

#[test]
fn the_last_thing_of_such_a_run_is_a_proof_on_every_nginx_and_a_timer_on_every_host() {
    let plan = on_blue(DETACHED).deploy(V2).unwrap();
    let all = [
        ("nginx-1", "prove"),
        ("nginx-2", "prove"),
        ("was-1", "timer"),
        ("was-2", "timer"),
    ];
    assert_eq!(kinds(&plan), all);
    assert_eq!(
        plan.phases().last(),
        Some(&Phase::Bake),
        "nothing is drained, stopped or tidied"
    );
    for (name, step) in &steps(&plan, Phase::Bake)[2..] {
        let Step::SetTimer {
            slot: old,
            port,
            after,
            nginx,
            own,
            ..
        } = step
        else {
            panic!("{step:?}");
        };
        assert_eq!((old.as_str(), port.number()), ("blue", 8080));
        assert_eq!(
            (own.endpoint.host.as_str(), own.endpoint.port.number()),
            (*name, 8081)
        );
        assert_eq!(*after, Duration::from_secs(86_400));
        // Over the loopback comes only an nginx of the host's own.
        let told: Vec<_> = nginx.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.1.1", "10.0.1.2"]);
    }
}

#[test]
fn a_first_deploy_and_a_way_back_have_nothing_to_leave_to_anybody() {
    let mut fleet = Fleet::with(DETACHED);
    let plan = fleet.deploy(V1).unwrap();
    assert!(plan.stage(Phase::Bake).is_none() && plan.stage(Phase::Finish).is_some());
    fleet.has(V1).has(V2).runs("green", V2).routes(8081, "run-1");
    let plan = fleet.rollback(Some(V1)).unwrap();
    assert!(plan.stage(Phase::Bake).is_none() && plan.stage(Phase::Stop).is_some());
}

#[test]
fn a_host_that_could_not_keep_its_hour_is_refused_before_anything_is_done() {
    let mut fleet = on_blue(DETACHED);
    fleet.host("was-1").machine.keeper = WatchKeeper::Nobody;
    fleet.was("was-2").http_tool = None;
    fleet.nginx("nginx-1").own_addresses = vec!["127.0.0.1".to_owned()];
    let refused = refusals(fleet.deploy(V2));
    let says = |name: &str, wanted: fn(&Problem) -> bool| {
        refused
            .iter()
            .any(|(host, problem)| host == name && wanted(problem))
    };
    assert!(
        says("was-1", |it| matches!(it, Problem::TimerNotKept { .. })),
        "{refused:?}"
    );
    assert!(
        says("was-2", |it| matches!(it, Problem::CannotAskItself)),
        "{refused:?}"
    );
    assert!(
        says("nginx-1", |it| matches!(it, Problem::CannotObserve { .. })),
        "{refused:?}"
    );
    // None of that matters to a run that stops the old slot itself.
    let mut fleet = on_blue("bake: { for: 10m }\n");
    fleet.was("was-2").http_tool = None;
    assert!(fleet.deploy(V2).is_ok());
}

/// A run that waits for its hour, and what each host made of it.
fn waits(timers: [(TimerState, TimerProgram); 2]) -> (Fleet, RunRecord) {
    let mut fleet = on_blue(DETACHED);
    let plan = fleet.deploy(V2).unwrap();
    let mut record = fleet.intent(&plan, RunKind::Deploy);
    record.status = RunStatus::Waiting;
    record.window = Some(Window {
        hosts: [host("was-1"), host("was-2")].into(),
        ends: "2026-01-02T10:00:00Z".to_owned(),
    });
    for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
    for (name, (state, program)) in ["was-1", "was-2"].into_iter().zip(timers) {
        if program == TimerProgram::Rebooted {
            // What was not started by systemd is gone.
            fleet.was(name).slots.get_mut(&slot("blue")).unwrap().listener = None;
        }
        fleet.was(name).timer = Some(Timer {
            unit: None,
            id: TokenId {
                run: record.run.clone(),
                epoch: record.epoch,
                number: 7,
            },
            slot: slot("blue"),
            state,
            program,
            left: None,
            reason: None,
        });
    }
    (fleet, record)
}

fn is_over(fleet: &Fleet) -> bool {
    let mut observed = fleet.observed();
    plan::settle(&mut observed);
    let is_done = plan::waiting(&observed).is_none();
    let records = observed.hosts.values().filter_map(|seen| seen.record.as_ref());
    let brought = records.into_iter().all(RunRecord::brought_live);
    assert_eq!(is_done, brought);
    is_done
}

#[test]
fn a_run_is_over_once_every_host_is_through() {
    use TimerProgram::{Alive, Gone, Rebooted};
    use TimerState::{Cancelled, Pending, Refused, Stopped, Stopping};
    let through = [(Stopped, Gone), (Pending, Rebooted), (Stopping, Rebooted)];
    for one in through {
        for other in through {
            assert!(is_over(&waits([one, other]).0), "{one:?} {other:?}");
        }
        for other in [
            (Pending, Alive),
            (Pending, Gone),
            (Stopping, Alive),
            (Stopping, Gone),
            (Refused, Gone),
            (Cancelled, Gone),
            (Cancelled, Rebooted),
        ] {
            assert!(!is_over(&waits([one, other]).0), "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_boot_is_no_end_where_something_listens_on_the_old_port_again() {
    use TimerProgram::{Gone, Rebooted};
    use TimerState::{Pending, Stopped, Stopping};
    for (state, program, over) in [
        (Pending, Rebooted, false),
        (Stopping, Rebooted, false),
        // Its host has ended what was meant, and whatever has the port since is another matter.
        (Stopped, Rebooted, true),
    ] {
        let (mut fleet, _) = waits([(Stopped, Gone), (state, program)]);
        // A unit of the user's own, which nonstop found there and did not start.
        fleet.runs("blue", V1);
        assert_eq!(is_over(&fleet), over, "{state:?} {program:?}");
        fleet.was("was-2").slots.remove(&slot("blue"));
        assert_eq!(is_over(&fleet), over, "where it cannot be seen");
    }
}

#[test]
fn a_boot_is_no_end_of_a_unit_which_it_starts_again() {
    use TimerProgram::{Gone, Rebooted};
    use TimerState::{Pending, Stopped, Stopping};
    for (state, program, over) in [
        (Pending, Rebooted, false),
        (Stopping, Rebooted, false),
        (Stopped, Gone, true),
        (Stopped, Rebooted, true),
    ] {
        let (mut fleet, _) = waits([(Stopped, Gone), (state, program)]);
        let unit = UnitName::new("sokdak@8080.service").unwrap();
        fleet.was("was-2").timer.as_mut().unwrap().unit = Some(unit);
        assert_eq!(is_over(&fleet), over, "{state:?} {program:?}");
    }
}

#[test]
fn a_timer_of_another_run_or_epoch_and_a_host_that_gives_no_answer_say_nothing() {
    let through = [(TimerState::Stopped, TimerProgram::Gone); 2];
    let (mut fleet, record) = waits(through);
    fleet.was("was-2").timer.as_mut().unwrap().id.epoch = Epoch(record.epoch.0 + 1);
    assert!(!is_over(&fleet));
    let (mut fleet, _) = waits(through);
    let other = nonstop::model::names::RunId::new("run-77").unwrap();
    fleet.was("was-2").timer.as_mut().unwrap().id.run = other;
    assert!(!is_over(&fleet));
    let (mut fleet, _) = waits(through);
    fleet.was("was-2").timer = None;
    assert!(!is_over(&fleet));
}

#[test]
fn an_earlier_program_does_not_read_a_record_with_a_window() {
    let (_, mut record) = waits([(TimerState::Pending, TimerProgram::Alive); 2]);
    record.version = nonstop::model::record::VERSION;
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(RunRecord::read(json.as_bytes()).unwrap(), record);
    let plain = on_blue("");
    let plain = plain.intent(&plain.deploy(V2).unwrap(), RunKind::Deploy);
    assert!(plain.version < record.version);
    assert!(!serde_json::to_string(&plain).unwrap().contains("window"));
}

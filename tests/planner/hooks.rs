//! Where hooks stand in a plan, on which hosts, and what they are told; and what keeps a run with hooks from going on.

use nonstop::model::finding::Problem;
use nonstop::model::hook::{HookCall, HookId, HookObserved, HookPoint, HookState, HookWord, Recall};
use nonstop::model::names::RunId;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Because, HomeGoal, Plan, Scene, Stage, Step};
use nonstop::model::record::{RunKind, RunRecord};
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, host, our_site, refusals};

pub(crate) const EVERYWHERE: &str = "hooks:
  before_install: a
  after_install: [b, { run: c, on: nginx }]
  application_start: [d, { run: e, on: first }, { run: f, on: controller }]
  validate_service: g
  before_allow_traffic: { run: h, on: controller }
  after_allow_traffic: { run: i, on: first }
  before_stop: j
  on_failure: [k, { run: l, on: nginx }]
";

fn on_blue(more: &str) -> Fleet {
    let mut fleet = Fleet::with(more);
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    fleet
}

fn call(step: &Step) -> Option<&HookCall> {
    match step {
        Step::Hook(call) => Some(call),
        _ => None,
    }
}

/// Every stage in a word: a phase, or a hook and its hosts.
pub(crate) fn told(stages: &[Stage]) -> Vec<String> {
    let told = stages.iter().map(|stage| {
        let Some(hook) = stage.steps.first().and_then(|on| call(&on.step)) else {
            return stage.phase.to_string();
        };
        assert_eq!(stage.phase, Phase::Hook);
        let hosts: Vec<_> = stage.steps.iter().map(|on| on.host.as_str()).collect();
        format!("{}@{}", hook.hook.id, hosts.join(","))
    });
    told.collect()
}

#[test]
fn every_hook_is_a_stage_of_its_own_between_the_phases_that_its_name_says() {
    let plan = on_blue(EVERYWHERE).deploy(V2).unwrap();
    assert_eq!(
        told(&plan.stages),
        [
            "before_install.1@was-1,was-2",
            "upload",
            "after_install.1@was-1,was-2",
            "after_install.2@nginx-1,nginx-2",
            "start",
            "application_start.1@was-1,was-2",
            "application_start.2@was-1",
            "application_start.3@was-1",
            "verify",
            "validate_service.1@was-1,was-2",
            "prepare",
            "before_allow_traffic.1@was-1",
            "commit",
            "after_allow_traffic.1@was-1",
            "drain",
            "before_stop.1@was-1,was-2",
            "stop",
            "finish",
        ]
    );
}

#[test]
fn a_hook_is_told_where_it_is_and_what_the_run_does() {
    let plan = on_blue(EVERYWHERE).deploy(V2).unwrap();
    let steps = || plan.stages.iter().flat_map(|stage| &stage.steps);
    let env = |hook: &str, on: &str| {
        let of = |step: &&nonstop::model::plan::HostStep| {
            call(&step.step).is_some_and(|call| call.hook.id.to_string() == hook) && step.host.as_str() == on
        };
        let step = steps().find(of).unwrap();
        let env = call(&step.step).unwrap().env.clone();
        env.into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    let release = format!("NONSTOP_RELEASE={}", plan.release.id);
    let common = |host: &str, hook: &str, ports: [&str; 2]| {
        vec![
            "NONSTOP_APP=sokdak".to_owned(),
            format!("NONSTOP_FROM_PORT={}", ports[0]),
            "NONSTOP_FROM_SLOT=blue".to_owned(),
            format!("NONSTOP_HOOK={hook}"),
            format!("NONSTOP_HOST={host}"),
            "NONSTOP_KIND=deploy".to_owned(),
            format!("NONSTOP_PORT={}", ports[1]),
            release.clone(),
            "NONSTOP_RUN=run-2".to_owned(),
            "NONSTOP_SLOT=green".to_owned(),
        ]
    };
    let ports = ["8080", "8081"];
    assert_eq!(
        env("validate_service.1", "was-2"),
        common("was-2", "validate_service", ports)
    );
    let none = ["", ""];
    assert_eq!(
        env("after_install.2", "nginx-1"),
        common("nginx-1", "after_install", none)
    );
    assert_eq!(
        env("application_start.3", "was-1"),
        common("controller", "application_start", none)
    );
}

#[test]
fn a_first_deploy_stops_nothing_and_a_slot_that_is_kept_neither() {
    let mut empty = Fleet::with(EVERYWHERE);
    let plan = empty.deploy(V1).unwrap();
    assert!(!told(&plan.stages).iter().any(|it| it.starts_with("before_stop")));
    let kept = on_blue(&format!("{EVERYWHERE}bake: {{ then: keep }}\n"));
    let plan = kept.deploy(V2).unwrap();
    assert!(!told(&plan.stages).iter().any(|it| it.starts_with("before_stop")));
    empty.leave_out("was-1");
    let plan = empty.deploy(V1).unwrap();
    assert!(told(&plan.stages).contains(&"after_allow_traffic.1@was-2".to_owned()));
}

#[test]
fn going_back_to_a_slot_that_is_up_has_the_hooks_of_its_switch_alone() {
    let mut fleet = on_blue(EVERYWHERE);
    fleet.has(V2).runs("green", V2).routes(8081, "run-1");
    let plan = fleet.rollback(None).unwrap();
    let hooks: Vec<_> = told(&plan.stages)
        .into_iter()
        .filter(|it| it.contains('.'))
        .collect();
    assert_eq!(
        hooks,
        [
            "before_allow_traffic.1@was-1",
            "after_allow_traffic.1@was-1",
            "before_stop.1@was-1,was-2"
        ]
    );
}

#[test]
fn a_rolling_run_has_each_hosts_hooks_once_and_the_others_in_the_first_turn() {
    let rolling = format!("{EVERYWHERE}update: {{ strategy: rolling, max_parallel: 1 }}\n");
    let plan = on_blue(&rolling).deploy(V2).unwrap();
    let hooks: Vec<_> = told(&plan.stages)
        .into_iter()
        .filter(|it| it.contains('.'))
        .collect();
    assert_eq!(
        hooks,
        [
            "before_install.1@was-1,was-2",
            "after_install.1@was-1,was-2",
            "after_install.2@nginx-1,nginx-2",
            "application_start.1@was-1",
            "application_start.2@was-1",
            "application_start.3@was-1",
            "validate_service.1@was-1",
            "before_allow_traffic.1@was-1",
            "application_start.1@was-2",
            "validate_service.1@was-2",
            "after_allow_traffic.1@was-1",
            "before_stop.1@was-1,was-2",
        ]
    );
}

/// A run whose nginx hosts are all confirmed.
fn confirmed(more: &str) -> (Fleet, RunRecord) {
    let mut fleet = on_blue(more);
    let plan = fleet.deploy(V2).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy);
    fleet.has(V2).runs("green", V2);
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak.conf", &our_site(8081, "run-2"));
        fleet.nginx(name).generation = Some("run-2".to_owned());
        fleet.token(name, "run-2", TokenState::Confirmed);
    }
    (fleet, record)
}

pub(crate) fn id(point: HookPoint) -> HookId {
    HookId { point, number: 1 }
}

pub(crate) fn knows(fleet: &mut Fleet, name: &str, hook: HookId, state: HookState) {
    let run = RunId::new("run-2").unwrap();
    let digest = None;
    fleet.host(name).hooks.push(HookObserved {
        run,
        hook,
        state,
        digest,
    });
}

fn forward(fleet: &Fleet, record: &RunRecord) -> Plan {
    let observed = fleet.observed();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &record.run,
    };
    plan::forward_again(&scene, record).unwrap()
}

fn unclear(fleet: &Fleet, record: &RunRecord, words: &[HookWord]) -> Vec<(String, Problem)> {
    let observed = fleet.observed();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &record.run,
    };
    let findings = plan::unclear_hooks(&scene, record, words).into_iter();
    findings
        .map(|it| {
            (
                it.host.map(|host| host.to_string()).unwrap_or_default(),
                it.problem,
            )
        })
        .collect()
}

#[test]
fn whoever_goes_on_runs_what_is_left_and_not_what_was_done() {
    let (mut fleet, record) = confirmed(EVERYWHERE);
    let left = |fleet: &Fleet| {
        let stages = told(&forward(fleet, &record).stages).into_iter();
        stages.filter(|it| it.contains('.')).collect::<Vec<_>>()
    };
    assert_eq!(
        left(&fleet),
        ["after_allow_traffic.1@was-1", "before_stop.1@was-1,was-2"]
    );
    knows(
        &mut fleet,
        "was-1",
        id(HookPoint::AfterAllowTraffic),
        HookState::Done,
    );
    knows(&mut fleet, "was-2", id(HookPoint::BeforeStop), HookState::Done);
    assert_eq!(left(&fleet), ["before_stop.1@was-1"]);
    let mut record = record.clone();
    record.point_of_no_return = true;
    assert!(
        !told(&forward(&fleet, &record).stages)
            .iter()
            .any(|it| it.contains('.'))
    );
}

#[test]
fn what_any_host_knows_of_a_hook_of_the_controller_counts() {
    let hooks = "hooks: { after_allow_traffic: { run: x, on: controller } }\n";
    let (mut fleet, record) = confirmed(hooks);
    let hook = id(HookPoint::AfterAllowTraffic);
    for name in ["was-1", "was-2", "nginx-1"] {
        knows(&mut fleet, name, hook, HookState::Unknown);
    }
    let run = record.run.clone();
    let asked = [(String::new(), Problem::HookUnknown { hook, run })];
    assert_eq!(unclear(&fleet, &record, &[]), asked);
    knows(&mut fleet, "nginx-2", hook, HookState::Done);
    assert_eq!(unclear(&fleet, &record, &[]), []);
    assert!(
        !told(&forward(&fleet, &record).stages)
            .iter()
            .any(|it| it.contains('.'))
    );
}

#[test]
fn a_hook_of_which_nobody_knows_is_asked_for_by_host_unless_it_may_repeat_or_a_person_has_said() {
    let (mut fleet, record) = confirmed(EVERYWHERE);
    let hook = id(HookPoint::BeforeStop);
    knows(&mut fleet, "was-1", hook, HookState::Unknown);
    knows(&mut fleet, "was-2", hook, HookState::Unknown);
    let run = record.run.clone();
    let unknown = Problem::HookUnknown { hook, run };
    let one = |name: &str| (name.to_owned(), unknown.clone());
    assert_eq!(unclear(&fleet, &record, &[]), [one("was-1"), one("was-2")]);
    let word = |on: Option<&str>| HookWord {
        hook,
        host: on.map(host),
        recall: Recall::Done,
    };
    assert_eq!(unclear(&fleet, &record, &[word(Some("was-1"))]), [one("was-2")]);
    assert_eq!(unclear(&fleet, &record, &[word(None)]), []);
    let (mut fleet, record) = confirmed("hooks: { before_stop: { run: x, repeatable: true } }\n");
    knows(&mut fleet, "was-1", hook, HookState::Unknown);
    assert_eq!(unclear(&fleet, &record, &[]), []);
    // One of another run, or that the playbook has no more, asks nothing.
    let (mut fleet, record) = confirmed("");
    knows(&mut fleet, "was-1", hook, HookState::Unknown);
    assert_eq!(unclear(&fleet, &record, &[]), []);
}

#[test]
fn one_that_was_another_when_it_began_is_asked_for_however_it_ended_and_is_not_left_out() {
    let hook = id(HookPoint::BeforeStop);
    for state in [HookState::Done, HookState::Failed, HookState::Unknown] {
        let (mut fleet, record) = confirmed(EVERYWHERE);
        let is_now = fleet.config.playbook.hooks.get(hook).unwrap().digest();
        knows(&mut fleet, "was-1", hook, state);
        fleet.host("was-1").hooks[0].digest = Some("0".repeat(64).parse().unwrap());
        let run = record.run.clone();
        let changed = ("was-1".to_owned(), Problem::HookChanged { hook, run });
        assert_eq!(unclear(&fleet, &record, &[]), [changed], "{state:?}");
        let word = HookWord {
            hook,
            host: None,
            recall: Recall::Done,
        };
        assert_eq!(unclear(&fleet, &record, &[word]), []);
        let left = told(&forward(&fleet, &record).stages);
        assert!(left.contains(&"before_stop.1@was-1,was-2".to_owned()), "{left:?}");
        fleet.host("was-1").hooks[0].digest = Some(is_now);
        let asked = unclear(&fleet, &record, &[]);
        assert_eq!(asked.is_empty(), state != HookState::Unknown, "{asked:?}");
    }
}

#[test]
fn one_that_runs_and_that_the_playbook_has_no_more_lets_nobody_go_on() {
    for state in [HookState::Running, HookState::Overdue] {
        let (mut fleet, record) = confirmed("");
        let hook = id(HookPoint::BeforeStop);
        knows(&mut fleet, "was-1", hook, state);
        let run = record.run.clone();
        let runs = ("was-1".to_owned(), Problem::HookRuns { hook, run });
        assert_eq!(unclear(&fleet, &record, &[]), [runs]);
    }
}

#[test]
fn a_hook_that_still_runs_lets_nobody_begin_and_is_ended_on_the_way_back() {
    let (mut fleet, record) = confirmed(EVERYWHERE);
    let hook = id(HookPoint::BeforeStop);
    knows(&mut fleet, "was-2", hook, HookState::Running);
    let run = record.run.clone();
    let runs = ("was-2".to_owned(), Problem::HookRuns { hook, run });
    assert_eq!(unclear(&fleet, &record, &[]), std::slice::from_ref(&runs));
    assert!(refusals(fleet.deploy(V2)).contains(&runs));
    let stages = home(&fleet, &record, Because::Interrupted);
    let ends: Vec<_> = stages.iter().filter(|stage| stage.ends_hooks()).collect();
    let [on] = &ends[0].steps[..] else {
        panic!("{ends:?}")
    };
    assert_eq!(on.host.as_str(), "was-2");
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    let at = |phase| phases.iter().position(|it| *it == phase).unwrap();
    assert!(at(Phase::Revert) < at(Phase::Hook) && at(Phase::Hook) < at(Phase::Stop));
}

fn home(fleet: &Fleet, record: &RunRecord, because: Because) -> Vec<Stage> {
    let observed = fleet.observed();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &record.run,
    };
    let told_to_switch = [host("nginx-1"), host("nginx-2")].into();
    plan::home(
        &scene,
        &HomeGoal {
            record,
            told_to_switch: &told_to_switch,
            blames_release: false,
            because,
        },
    )
}

#[test]
fn a_way_back_ends_with_its_own_hooks_which_know_why() {
    let (fleet, record) = confirmed(EVERYWHERE);
    for (because, word) in [
        (Because::Failed(Phase::Bake), "bake"),
        (Because::Hook(HookPoint::BeforeStop), "before_stop"),
        (Because::Interrupted, "interrupted"),
        (Because::TakenBack, "taken_back"),
    ] {
        let stages = home(&fleet, &record, because);
        let told = told(&stages);
        assert_eq!(
            told[told.len() - 2..],
            ["on_failure.1@was-1,was-2", "on_failure.2@nginx-1,nginx-2"]
        );
        let last = call(&stages.last().unwrap().steps[0].step).unwrap();
        assert_eq!(last.env["NONSTOP_PHASE"], word);
        assert_eq!(last.env["NONSTOP_OUTCOME"], "rolled_back");
    }
}

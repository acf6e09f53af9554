//! Plans of several routings: their order, what each starts, and what each switch finds and leaves.

use nonstop::model::decision::Newest;
use nonstop::model::finding::Problem;
use nonstop::model::names::RunId;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Plan, Promote, Scene, Stage, Step};
use nonstop::model::process::StopTarget;
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::strategy::Hold;
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, host, our_site, refusals, slot, steps, unfinished};

const ROLLING: &str = "update: { strategy: rolling, max_parallel: 1 }\n";
const CANARY: &str =
    "update: { strategy: canary, steps: [{ weight: 5, hold: 5m }, { weight: 25, hold: until_promoted }] }\n";

fn on_blue(update: &str) -> Fleet {
    let mut fleet = Fleet::with(update);
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    fleet
}

fn planned(update: &str) -> Plan {
    on_blue(update).deploy(V2).unwrap()
}

/// The hosts that start something, stage by stage.
fn starts(plan: &Plan) -> Vec<Vec<&str>> {
    let stages = plan.stages.iter().filter(|stage| stage.phase == Phase::Start);
    stages
        .map(|stage| stage.steps.iter().map(|on| on.host.as_str()).collect())
        .collect()
}

/// A run that came to a routing, and waits or died there.
fn stands(update: &str, number: u32, state: TokenState) -> (Fleet, RunRecord) {
    let mut fleet = on_blue(update);
    let plan = fleet.deploy(V2).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy);
    fleet.has(V2).runs("green", V2);
    let switches: Vec<_> = plan.commits().collect();
    for name in ["nginx-1", "nginx-2"] {
        for before in 1..number {
            let run = record.run.of_switch(before);
            fleet.token(name, run.as_str(), TokenState::Confirmed);
        }
        let run = record.run.of_switch(number);
        fleet.token(name, run.as_str(), state);
        let runs = if state == TokenState::Confirmed {
            number
        } else {
            number - 1
        };
        if runs > 0 {
            let after = switches[runs as usize - 1].switches()[&host(name)].after.clone();
            fleet.file(name, "sokdak.conf", &after);
            fleet.nginx(name).generation = Some(record.run.of_switch(runs).to_string());
        } else {
            fleet.file(name, "sokdak.conf", &our_site(8080, "run-1"));
        }
    }
    fleet.host("was-1").record = Some(record.clone());
    (fleet, record)
}

fn seen<T>(fleet: &Fleet, look: impl FnOnce(&Scene<'_>) -> T) -> T {
    let observed = fleet.observed();
    look(&Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &RunId::new("run-3").unwrap(),
    })
}

#[test]
fn rolling_starts_and_switches_batch_by_batch() {
    let plan = planned(ROLLING);
    let step = [Phase::Start, Phase::Verify, Phase::Prepare, Phase::Commit];
    let end = [Phase::Drain, Phase::Stop, Phase::Finish];
    assert_eq!(plan.phases(), [&[Phase::Upload][..], &step, &step, &end].concat());
    assert_eq!(starts(&plan), [["was-1"], ["was-2"]]);
    assert_eq!(plan.routings.len(), 3);
}

#[test]
fn a_canary_starts_everything_before_its_first_step() {
    let plan = planned(CANARY);
    assert_eq!(starts(&plan), [["was-1", "was-2"]]);
    let holds: Vec<_> = plan.holds.iter().map(|hold| *hold == Hold::None).collect();
    assert_eq!(holds, [true, false, false, true]);
    let waits = plan.stages.iter().position(Stage::waits).unwrap();
    let switched = plan.stages[..waits].iter();
    assert_eq!(switched.filter(|stage| stage.phase == Phase::Commit).count(), 2);
}

#[test]
fn each_switch_finds_what_the_one_before_left_under_a_name_of_its_own() {
    let plan = planned(CANARY);
    let commits: Vec<_> = plan.commits().collect();
    assert_eq!(commits.len(), 3);
    let name = host("nginx-1");
    for (number, pair) in (2..).zip(commits.windows(2)) {
        let (before, next) = (&pair[0].switches()[&name].after, pair[1].switches()[&name]);
        assert_eq!(next.before.as_ref(), Some(before));
        assert_eq!(next.generation, Some(format!("run-2.{number}")));
        assert_eq!(next.number, number);
    }
    let first = commits[0].switches()[&name];
    assert_eq!(first.generation.as_deref(), Some("run-2"));
    assert!(first.after.contains("10.0.0.1:8080 weight=19"), "{}", first.after);
    assert!(
        commits[1].switches()[&name]
            .after
            .contains("10.0.0.2:8080 weight=3")
    );
    assert!(!commits[2].switches()[&name].after.contains(":8080"));
}

#[test]
fn nothing_old_is_stopped_before_the_last_switch() {
    for update in [ROLLING, CANARY] {
        let plan = planned(update);
        let last = plan.stages.iter().rposition(|stage| stage.phase == Phase::Commit);
        let stops = |step: &Step| matches!(step, Step::Stop { .. });
        let stop = |stage: &plan::Stage| stage.steps.iter().any(|on| stops(&on.step));
        assert!(plan.stages.iter().position(stop) > last, "{update}");
    }
}

#[test]
fn a_proof_that_only_the_new_release_gives_is_asked_for_once_it_is_alone() {
    let site = "nginx:\n  group: nginx\n  site: { file: /etc/nginx/sites-enabled/sokdak.conf, \
                server_name: sokdak.example, listen: 80 }\n  proof: { url: http://sokdak.example/version, \
                expect: '{{ release.version }}' }\n";
    let mut fleet = Fleet::with_nginx(&format!("{site}{CANARY}"));
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    let plan = fleet.deploy(V2).unwrap();
    let asked: Vec<_> = plan
        .commits()
        .map(|stage| stage.switches()[&host("nginx-1")].expect.is_some())
        .collect();
    assert_eq!(asked, [false, false, true]);
}

#[test]
fn auto_promote_false_waits_with_everything_ready_before_the_switch() {
    let plan = planned("update: { auto_promote: false }\n");
    let waits = plan.stages.iter().position(Stage::waits).unwrap();
    assert_eq!(plan.stages[waits - 1].phase, Phase::Verify);
    assert_eq!(plan.stages[waits + 1].phase, Phase::Prepare);
}

#[test]
fn a_rollback_goes_back_in_one_step_whatever_the_strategy() {
    let mut fleet = on_blue(CANARY);
    fleet.has(V2).runs("green", V2).routes(8081, "run-1");
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.commits().count(), 1);
}

#[test]
fn a_token_that_does_not_stay_says_that_the_one_before_does() {
    for (number, state, reached) in [
        (1, TokenState::Armed, 0),
        (1, TokenState::Confirmed, 1),
        (2, TokenState::Fired, 1),
        (2, TokenState::Armed, 1),
        (2, TokenState::Confirmed, 2),
    ] {
        let (fleet, record) = stands(CANARY, number, state);
        let evidence = seen(&fleet, |scene| {
            plan::evidence(scene.topology, scene.observed, &record)
        });
        assert_eq!(evidence.reached, reached, "{number} {state:?}");
        let confirmed = evidence.tokens == [Newest::Is(TokenState::Confirmed); 2];
        assert_eq!(confirmed, reached > 0, "{number} {state:?}");
    }
}

#[test]
fn a_run_between_its_slots_is_not_converged_for_anybody_else() {
    let (fleet, record) = stands(CANARY, 2, TokenState::Confirmed);
    assert!(!seen(&fleet, |scene| plan::is_converged(scene, &record)));
}

#[test]
fn what_is_left_of_a_run_begins_after_the_routing_that_it_came_to() {
    let (fleet, record) = stands(CANARY, 1, TokenState::Confirmed);
    let plan = seen(&fleet, |scene| plan::onward(scene, &record)).unwrap();
    let numbers: Vec<_> = plan
        .commits()
        .map(|stage| stage.switches()[&host("nginx-1")].number)
        .collect();
    assert_eq!(numbers, [2, 3]);
    assert_eq!(starts(&plan), [[""; 0]; 0]);
    assert_eq!(plan.stages[0].phase, Phase::Hold);
}

#[test]
fn a_run_that_waits_refuses_every_other_and_is_promoted() {
    let (mut fleet, mut record) = stands(CANARY, 2, TokenState::Confirmed);
    record.status = RunStatus::Waiting;
    for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
    let waits = |(_, problem): &(String, Problem)| matches!(problem, Problem::RunWaits { .. });
    for refused in [refusals(fleet.deploy(V2)), refusals(fleet.rollback(None))] {
        assert!(
            refused.len() == 1 && waits(&refused[0]),
            "nothing else is said of it: {refused:?}"
        );
    }
    let plan = seen(&fleet, |scene| plan::promoted(scene, Promote::Next)).unwrap();
    assert_eq!(plan.commits().count(), 1);
    assert!(!plan.stages.iter().any(plan::Stage::waits));
}

#[test]
fn what_somebody_changed_while_it_waited_is_not_promoted() {
    let (mut fleet, mut record) = stands(CANARY, 2, TokenState::Confirmed);
    record.status = RunStatus::Waiting;
    fleet.host("was-1").record = Some(record);
    fleet.nginx("nginx-2").generation = Some("run-2".to_owned());
    let refused = refusals(seen(&fleet, |scene| plan::promoted(scene, Promote::All)));
    let led_away =
        |(name, problem): &(String, Problem)| name == "nginx-2" && matches!(problem, Problem::LedAway { .. });
    assert!(refused.iter().any(led_away), "{refused:?}");
}

#[test]
fn a_record_of_one_step_is_written_as_before() {
    let plain = on_blue("");
    let record = plain.intent(&plain.deploy(V2).unwrap(), RunKind::Deploy);
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(record.version, 2);
    assert!(!json.contains("course") && !json.contains("promoted"));
    let canary = on_blue(CANARY);
    let record = canary.intent(&canary.deploy(V2).unwrap(), RunKind::Deploy);
    assert_eq!(record.version, 3);
    let read = RunRecord::read(serde_json::to_string(&record).unwrap().as_bytes()).unwrap();
    assert_eq!(read, record);
    assert_eq!(read.stations().len(), 4);
}

/// Without the hosts that have not changed yet, a routing in the middle is the last one.
#[test]
fn a_release_that_is_live_everywhere_but_on_hosts_left_out_is_never_ended_to_be_started_anew() {
    let (mut fleet, _) = stands(ROLLING, 2, TokenState::Confirmed);
    fleet.leave_out("was-2");
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!((plan.from, plan.to), (Some(slot("green")), slot("blue")));
}

#[test]
fn a_start_that_was_cut_off_between_two_routings_ends_before_its_host_is_started_again() {
    let (mut fleet, record) = stands(ROLLING, 1, TokenState::Confirmed);
    let start = unfinished(record.run.as_str(), vec![77]);
    let target = StopTarget::Start(start.word.clone());
    let seen = fleet.slot("was-2", "green");
    (seen.listener, seen.record, seen.record_runs) = (None, None, false);
    seen.unfinished = Some(start);
    let plan = seen_onward(&fleet, &record);
    let [("was-2", Step::Retire { target: ends, .. })] = steps(&plan, Phase::Retire)[..] else {
        panic!("{:?}", plan.phases());
    };
    assert_eq!(*ends, target);
    assert!(
        plan.phases().iter().position(|it| *it == Phase::Retire)
            < plan.phases().iter().position(|it| *it == Phase::Start)
    );
    assert_eq!(starts(&plan), [["was-2"]]);
}

fn seen_onward(fleet: &Fleet, record: &RunRecord) -> Plan {
    seen(fleet, |scene| plan::onward(scene, record)).unwrap()
}

#[test]
fn a_run_that_nobody_could_read_again_is_refused_before_it_begins() {
    let each = |text: &dyn Fn(u32) -> String| (1..=501).map(text).collect::<Vec<_>>();
    let hosts = each(&|number| format!("was-{number}: {{}}")).join(", ");
    let inventory = format!(
        "all: {{ children: {{ was: {{ hosts: {{ {hosts} }} }}, nginx: {{ hosts: {{ nginx-1: {{}} }} }} }} }}\n"
    );
    let servers = each(&|number| format!("server was-{number}:8080;")).join(" ");
    let site = our_site(8080, "run-1");
    let (_, rest) = site.split_once('}').unwrap();
    let fleet = |max_parallel: &str| {
        let update = format!("update: {{ strategy: rolling, max_parallel: {max_parallel} }}\n");
        let mut fleet = Fleet::on_hosts(&inventory, &update);
        fleet.has(V1).runs("blue", V1);
        fleet.file(
            "nginx-1",
            "sokdak.conf",
            &format!("upstream sokdak {{ {servers} }}{rest}"),
        );
        fleet.nginx("nginx-1").generation = Some("run-1".to_owned());
        fleet.deploy(V2)
    };
    let problems: Vec<_> = refusals(fleet("1"))
        .into_iter()
        .map(|(_, problem)| problem)
        .collect();
    assert_eq!(problems, [Problem::TooManyRoutings { most: 500_000 }]);
    assert_eq!(fleet("50%").unwrap().commits().count(), 3);
}

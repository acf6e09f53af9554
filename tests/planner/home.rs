//! The way home, planned from what is true after a failure.

use std::collections::BTreeSet;

use nonstop::model::finding::{Finding, Problem};
use nonstop::model::names::RunId;
use nonstop::model::observed::Observed;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Because, HomeGoal, Plan, Scene, Stage, StartRunner, Step};
use nonstop::model::process::{AfterKill, StopTarget};
use nonstop::model::record::{RunKind, RunRecord};
use nonstop::model::routing::Routing;
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, endpoint, host, site, slot, unfinished};

/// A deploy that was under way: its plan, and what it put on record.
struct Deploy {
    record: RunRecord,
    plan: Plan,
    /// What is true now; it begins as it was before.
    now: Fleet,
    told: BTreeSet<nonstop::model::names::HostName>,
    blames_release: bool,
}

impl Deploy {
    fn of(fleet: Fleet) -> Self {
        let plan = fleet.deploy(V2).unwrap();
        Self {
            record: fleet.intent(&plan, RunKind::Deploy),
            plan,
            now: fleet,
            told: BTreeSet::new(),
            blames_release: false,
        }
    }

    fn told(mut self, names: &[&str]) -> Self {
        self.told.extend(names.iter().map(|name| host(name)));
        self
    }

    /// The switch took place on that host.
    fn switched(mut self, name: &str) -> Self {
        let switch = self.plan.switches()[&host(name)].clone();
        self.now.file(name, "sokdak.conf", &switch.after);
        self.now.nginx(name).generation = switch.generation;
        self
    }

    fn home(&self) -> Vec<Stage> {
        self.home_from(&self.now.observed())
    }

    fn home_from(&self, observed: &Observed) -> Vec<Stage> {
        let run = RunId::new("run-2").unwrap();
        plan::home(
            &Scene {
                topology: &self.now.config.topology,
                playbook: &self.now.config.playbook,
                observed,
                run: &run,
            },
            &HomeGoal {
                record: &self.record,
                told_to_switch: &self.told,
                blames_release: self.blames_release,
                because: Because::Interrupted,
            },
        )
    }
}

fn steps(stages: &[Stage], phase: Phase) -> Vec<(&str, &Step)> {
    let stages = stages.iter().filter(|stage| stage.phase == phase);
    stages
        .flat_map(|stage| &stage.steps)
        .map(|on| (on.host.as_str(), &on.step))
        .collect()
}

fn reverted(stages: &[Stage]) -> Vec<&str> {
    steps(stages, Phase::Revert)
        .into_iter()
        .map(|(host, _)| host)
        .collect()
}

#[test]
fn where_nothing_was_told_nothing_is_reverted() {
    let stages = Deploy::of(Fleet::on_blue()).home();
    assert_eq!(reverted(&stages), [""; 0]);
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    assert_eq!(phases, [Phase::Stop, Phase::Finish]);
}

#[test]
fn whoever_was_told_is_reverted_even_where_nothing_seems_to_have_happened() {
    let stages = Deploy::of(Fleet::on_blue()).told(&["nginx-2"]).home();
    assert_eq!(reverted(&stages), ["nginx-2"]);
    let [(_, Step::Revert { generation, nginx })] = steps(&stages, Phase::Revert)[..] else {
        panic!("{stages:?}");
    };
    assert_eq!(generation.as_deref(), Some("run-1"));
    assert!(nginx.is_some());
}

#[test]
fn an_nginx_that_shows_our_switch_is_reverted_whoever_knows_that_it_was_told() {
    let stages = Deploy::of(Fleet::on_blue()).switched("nginx-1").home();
    assert_eq!(reverted(&stages), ["nginx-1"]);
}

#[test]
fn traffic_goes_home_before_anything_is_stopped() {
    let stages = Deploy::of(Fleet::on_blue()).switched("nginx-1").home();
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    // Old workers may still have requests for the new slot when traffic is home.
    assert_eq!(phases, [Phase::Revert, Phase::Drain, Phase::Stop, Phase::Finish]);
    assert_eq!(steps(&stages, Phase::Drain).len(), 1);
}

#[test]
fn a_take_over_that_stopped_between_its_two_renames_is_reverted() {
    let mut fleet = Fleet::empty();
    fleet.listens("was-1", "blue").listens("was-2", "blue");
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(name, "sokdak-8080.conf", &site(8080));
    }
    let mut deploy = Deploy::of(fleet);
    deploy
        .now
        .no_file("nginx-1", "sokdak-8080.conf")
        .file("nginx-1", "sokdak.conf", &site(8080));
    assert_eq!(reverted(&deploy.home()), [""; 0]);
    // The token is armed before the first rename.
    deploy.now.token("nginx-1", "run-2", TokenState::Armed);
    assert_eq!(reverted(&deploy.home()), ["nginx-1"]);
}

#[test]
fn what_somebody_else_changed_meanwhile_is_not_ours_to_put_back() {
    let mut deploy = Deploy::of(Fleet::on_blue());
    deploy.now.file("nginx-1", "other.conf", "server { listen 81; }");
    deploy.now.file("nginx-2", "sokdak.conf", &site(8080));
    deploy.now.nginx("nginx-2").generation = None;
    assert_eq!(reverted(&deploy.home()), [""; 0]);
}

#[test]
fn an_nginx_that_cannot_be_asked_is_reverted_only_if_it_was_told() {
    let deploy = Deploy::of(Fleet::on_blue());
    let mut now = deploy.now.observed();
    now.hosts.remove(&host("nginx-1"));
    assert_eq!(reverted(&deploy.home_from(&now)), [""; 0]);
    let deploy = deploy.told(&["nginx-1"]);
    let stages = deploy.home_from(&now);
    let [("nginx-1", Step::Revert { nginx: None, .. })] = steps(&stages, Phase::Revert)[..] else {
        panic!("{stages:?}");
    };
    let cleaned = steps(&stages, Phase::Finish);
    assert!(matches!(cleaned[..], [("nginx-2", _)]), "{cleaned:?}");
}

#[test]
fn the_process_that_this_run_started_is_withdrawn_by_its_identity() {
    let mut deploy = Deploy::of(Fleet::on_blue());
    deploy.now.runs_on("was-1", "green", V2);
    let started = deploy
        .now
        .slot("was-1", "green")
        .listener_identity()
        .unwrap()
        .clone();
    let stages = deploy.home();
    let found: Vec<_> = steps(&stages, Phase::Stop)
        .into_iter()
        .map(|(host, step)| match step {
            Step::Withdraw { instance, .. } => (host, instance.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let port = 8081.try_into().unwrap();
    assert_eq!(
        found,
        [
            ("was-1", Some((slot("green"), port, StopTarget::Process(started)))),
            ("was-2", None)
        ]
    );
}

#[test]
fn a_start_that_was_cut_off_is_withdrawn_by_its_word_though_nothing_of_it_was_seen() {
    let mut deploy = Deploy::of(Fleet::on_blue());
    let own = unfinished(deploy.record.run.as_str(), Vec::new());
    deploy.now.slot("was-1", "green").unfinished = Some(own.clone());
    // Another one may have gone on with it, or begun before it.
    let others = unfinished("run-of-another", Vec::new());
    deploy.now.slot("was-2", "green").unfinished = Some(others.clone());
    let stages = deploy.home();
    let found: Vec<_> = steps(&stages, Phase::Stop)
        .into_iter()
        .map(|(host, step)| match step {
            Step::Withdraw { instance, .. } => (host, instance.clone().map(|(_, _, target)| target)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            ("was-1", Some(StopTarget::Start(own.word))),
            ("was-2", Some(StopTarget::Start(others.word)))
        ]
    );
}

#[test]
fn an_instance_that_was_there_before_is_not_withdrawn() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    let plan = fleet.rollback(None).unwrap();
    let deploy = Deploy {
        record: fleet.intent(&plan, RunKind::Rollback),
        plan,
        now: fleet,
        told: BTreeSet::new(),
        blames_release: true,
    };
    assert_eq!(steps(&deploy.home(), Phase::Stop), []);
}

#[test]
fn a_process_on_the_live_slot_is_never_withdrawn() {
    let mut deploy = Deploy::of(Fleet::on_blue());
    // Somebody started the live one anew: its identity differs from the one before.
    deploy.now.runs("blue", V1);
    let stages = deploy.home();
    for (_, step) in steps(&stages, Phase::Stop) {
        assert!(matches!(step, Step::Withdraw { instance: None, .. }), "{step:?}");
    }
}

fn marks(deploy: &Deploy) -> Vec<bool> {
    steps(&deploy.home(), Phase::Stop)
        .into_iter()
        .map(|(_, step)| {
            matches!(
                step,
                Step::Withdraw {
                    mark_failed: true,
                    ..
                }
            )
        })
        .collect()
}

#[test]
fn a_release_is_marked_on_every_host_where_it_is_to_blame() {
    let mut deploy = Deploy::of(Fleet::on_blue());
    assert_eq!(marks(&deploy), [false, false]);
    deploy.blames_release = true;
    assert_eq!(marks(&deploy), [true, true]);
}

#[test]
fn a_release_that_is_live_elsewhere_is_not_marked() {
    let mut fleet = Fleet::empty();
    fleet.has(V2).runs("blue", V2).routes(8080, "run-1");
    let mut deploy = Deploy::of(fleet);
    deploy.blames_release = true;
    assert_eq!(marks(&deploy), [false, false]);
}

#[test]
fn the_home_of_an_empty_fleet_has_no_generation_to_prove() {
    let stages = Deploy::of(Fleet::empty())
        .told(&["nginx-1", "nginx-2"])
        .switched("nginx-1")
        .home();
    for (_, step) in steps(&stages, Phase::Revert) {
        assert!(matches!(step, Step::Revert { generation: None, .. }), "{step:?}");
    }
    assert_eq!(reverted(&stages), ["nginx-1", "nginx-2"]);
}

#[test]
fn a_host_without_the_new_slot_still_loses_its_half_upload() {
    let mut fleet = Fleet::on_blue();
    fleet
        .config
        .topology
        .was
        .get_mut(&host("was-1"))
        .unwrap()
        .ports
        .remove(&slot("green"));
    let deploy = Deploy::of(fleet);
    let stages = deploy.home();
    let hosts: Vec<_> = steps(&stages, Phase::Stop)
        .into_iter()
        .map(|(host, _)| host)
        .collect();
    assert_eq!(hosts, ["was-1", "was-2"]);
}

/// A deploy during which the kernel killed blue on one host, and counted it.
fn short_of_memory() -> Deploy {
    let mut deploy = Deploy::of(Fleet::on_blue());
    let machine = &mut deploy.now.dies("was-1", "blue").host("was-1").machine;
    machine.memory_kills = Some(4);
    "boot-of-was-1".clone_into(&mut machine.boot_id);
    deploy
}

fn killed(deploy: &Deploy) -> Vec<Finding> {
    let scene = Scene {
        topology: &deploy.now.config.topology,
        playbook: &deploy.now.config.playbook,
        observed: &deploy.now.observed(),
        run: &deploy.record.run,
    };
    plan::killed(&scene, &deploy.record)
}

fn live_killed(next: AfterKill) -> Vec<Finding> {
    let problem = Problem::LiveKilled {
        endpoint: endpoint("was-1", 8080),
        slot: slot("blue"),
        next,
    };
    vec![Finding::warning(Some(&host("was-1")), problem)]
}

#[test]
fn a_live_instance_that_the_kernel_killed_is_started_again_once_there_is_room() {
    let deploy = short_of_memory();
    let stages = deploy.home();
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    assert_eq!(phases, [Phase::Stop, Phase::Start, Phase::Finish]);
    let [("was-1", Step::Restart { release, start, own })] = steps(&stages, Phase::Start)[..] else {
        panic!("{stages:?}");
    };
    assert_eq!(release.as_str(), V1);
    assert_eq!(own.endpoint, endpoint("was-1", 8080));
    let Step::Start {
        slot: of,
        port,
        runner: StartRunner::Process { argv },
        ..
    } = start.as_ref()
    else {
        panic!("{start:?}");
    };
    assert_eq!((of, port.number()), (&slot("blue"), 8080));
    assert!(argv.contains(&"{jar}".to_owned()), "{argv:?}");
    assert_eq!(killed(&deploy), live_killed(AfterKill::StartsAgain));
}

#[test]
fn what_ended_for_another_reason_is_left_as_it_is() {
    type Change = fn(&mut Deploy);
    let changes: [Change; 6] = [
        |deploy| deploy.now.host("was-1").machine.memory_kills = Some(3),
        |deploy| deploy.now.host("was-1").machine.memory_kills = None,
        |deploy| deploy.now.host("was-1").machine.boot_id = "another".to_owned(),
        |deploy| deploy.record.memory_kills.clear(),
        |deploy| deploy.record.starts = false,
        |deploy| {
            deploy.now.listens("was-1", "blue");
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut deploy = short_of_memory();
        change(&mut deploy);
        assert_eq!(steps(&deploy.home(), Phase::Start), [], "change {number}");
        assert_eq!(killed(&deploy), [], "change {number}");
    }
}

#[test]
fn a_killed_instance_that_nonstop_did_not_start_is_said_to_be_down() {
    let mut deploy = short_of_memory();
    deploy.now.slot("was-1", "blue").record = None;
    // Unless the run knew it: a first try to start it again that failed has left no record.
    assert_eq!(killed(&deploy), live_killed(AfterKill::StartsAgain));
    deploy.record.from_routing = Routing::default();
    assert_eq!(steps(&deploy.home(), Phase::Start), []);
    assert_eq!(killed(&deploy), live_killed(AfterKill::StaysDown));
}

#[test]
fn only_hosts_with_a_live_instance_are_counted_before_a_run() {
    let mut fleet = Fleet::on_blue();
    fleet.dies("was-2", "blue").host("was-1").machine.memory_kills = Some(7);
    let deploy = Deploy::of(fleet);
    assert_eq!(deploy.record.memory_kills, [(host("was-1"), 7)].into());
}

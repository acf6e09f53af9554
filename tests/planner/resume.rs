//! A run whose controller died: the ways on from whatever it left.

use nonstop::model::decision::Newest;
use nonstop::model::finding::{Finding, Problem, Severity};
use nonstop::model::names::{HostName, RunId};
use nonstop::model::observed::Observed;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Plan, Scene, Stage, Step};
use nonstop::model::record::{RunKind, RunRecord};
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, endpoint, host, our_site, refusals, release_id, slot, steps};

/// A run that died, and the fleet as it left it.
#[derive(Debug)]
pub(crate) struct Died {
    pub(crate) record: RunRecord,
    pub(crate) now: Fleet,
}

impl Died {
    /// A deploy of `V2` from blue to green that died when green was up everywhere.
    pub(crate) fn deploying() -> Self {
        let mut fleet = Fleet::on_blue();
        let plan = fleet.deploy(V2).unwrap();
        let mut record = fleet.intent(&plan, RunKind::Deploy);
        record.phase = Phase::Commit;
        fleet.has(V2).runs("green", V2);
        Self { record, now: fleet }
    }

    /// Its switch took place on an nginx host, whose token is now in that state.
    pub(crate) fn switched(mut self, name: &str, state: TokenState) -> Self {
        self.now.file(name, "sokdak.conf", &our_site(8081, "run-2"));
        self.now.nginx(name).generation = Some("run-2".to_owned());
        self.now.token(name, "run-2", state);
        self
    }

    pub(crate) fn confirmed_everywhere() -> Self {
        Self::deploying()
            .switched("nginx-1", TokenState::Confirmed)
            .switched("nginx-2", TokenState::Confirmed)
    }

    /// An nginx host is back where it was, by its watch or by a revert.
    pub(crate) fn went_home(mut self, name: &str, state: TokenState) -> Self {
        self.now.token(name, "run-2", state);
        self
    }

    fn seen<T>(&self, look: impl FnOnce(&Scene<'_>, &RunRecord) -> T) -> T {
        self.seen_as(&self.now.observed(), look)
    }

    /// Looks as a run with another name does.
    fn seen_as<T>(&self, observed: &Observed, look: impl FnOnce(&Scene<'_>, &RunRecord) -> T) -> T {
        let scene = Scene {
            topology: &self.now.config.topology,
            playbook: &self.now.config.playbook,
            observed,
            run: &RunId::new("run-3").unwrap(),
        };
        look(&scene, &self.record)
    }

    pub(crate) fn forward(&self) -> Result<Plan, Vec<Finding>> {
        self.seen(plan::forward_again)
    }

    pub(crate) fn back(&self) -> Vec<Stage> {
        self.seen(plan::back_again)
    }

    pub(crate) fn evidence(&self) -> Vec<Newest> {
        self.seen(|scene, record| plan::evidence(scene.topology, scene.observed, record).tokens)
    }

    pub(crate) fn is_converged(&self) -> bool {
        self.seen(plan::is_converged)
    }
}

pub(crate) fn hosts(plan: &Plan, phase: Phase) -> Vec<&str> {
    steps(plan, phase).into_iter().map(|(host, _)| host).collect()
}

pub(crate) fn back_hosts(stages: &[Stage], phase: Phase) -> Vec<&str> {
    let stage = stages.iter().find(|stage| stage.phase == phase);
    let steps = stage.into_iter().flat_map(|stage| &stage.steps);
    steps.map(|on| on.host.as_str()).collect()
}

#[test]
fn the_evidence_is_the_newest_token_of_the_run_on_each_host() {
    let mut died = Died::deploying().switched("nginx-1", TokenState::Superseded);
    died.now.token("nginx-1", "run-2", TokenState::Confirmed);
    died.now.token("nginx-2", "run-1", TokenState::Armed);
    assert_eq!(died.evidence(), [Newest::Is(TokenState::Confirmed), Newest::None]);
}

#[test]
fn a_host_that_gave_no_answer_may_have_any_token_unless_it_is_left_out() {
    let mut died = Died::deploying().switched("nginx-1", TokenState::Armed);
    died.now.observed.hosts.remove(&host("nginx-2"));
    assert_eq!(
        died.evidence(),
        [Newest::Is(TokenState::Armed), Newest::Unreadable]
    );
    died.now.config.topology.leave_out(&host("nginx-2"));
    assert_eq!(died.evidence(), [Newest::Is(TokenState::Armed)]);
}

#[test]
fn forward_commits_only_what_is_not_confirmed_and_then_ends_the_old_slot() {
    let died = Died::deploying()
        .switched("nginx-1", TokenState::Confirmed)
        .went_home("nginx-2", TokenState::Fired);
    let plan = died.forward().unwrap();
    assert_eq!(
        plan.phases(),
        [
            Phase::Verify,
            Phase::Prepare,
            Phase::Commit,
            Phase::Drain,
            Phase::Stop,
            Phase::Finish
        ]
    );
    assert_eq!(hosts(&plan, Phase::Commit), ["nginx-2"]);
    assert_eq!(hosts(&plan, Phase::Prepare), ["nginx-2"]);
    let switch = plan.switches()[&host("nginx-2")];
    assert_eq!(
        switch.generation.as_deref(),
        Some("run-2"),
        "the run keeps its name"
    );
    let stopped: Vec<_> = steps(&plan, Phase::Stop)
        .into_iter()
        .map(|(host, step)| match step {
            Step::Stop { slot, .. } => (host, slot.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(stopped, [("was-1", "blue"), ("was-2", "blue")]);
    assert_eq!(
        hosts(&plan, Phase::Finish),
        ["was-1", "was-2", "nginx-1", "nginx-2"]
    );
    assert_eq!(plan.from_release, Some(release_id(V1)));
    assert_eq!(plan.release.id, release_id(V2));
}

#[test]
fn forward_commits_an_armed_switch_anew_although_it_runs_what_it_should() {
    let died = Died::deploying()
        .switched("nginx-1", TokenState::Confirmed)
        .switched("nginx-2", TokenState::Armed);
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Commit), ["nginx-2"]);
}

#[test]
fn forward_commits_a_confirmed_host_anew_that_runs_something_else() {
    let mut died = Died::confirmed_everywhere();
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Commit), [""; 0]);
    died.now.nginx("nginx-2").generation = Some("run-1".to_owned());
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Commit), ["nginx-2"]);
    died.now.file("nginx-1", "sokdak.conf", &our_site(8080, "run-1"));
    assert_eq!(
        hosts(&died.forward().unwrap(), Phase::Commit),
        ["nginx-1", "nginx-2"]
    );
}

#[test]
fn past_the_point_of_no_return_no_confirmed_host_is_armed_again() {
    let mut died = Died::confirmed_everywhere();
    died.record.point_of_no_return = true;
    died.now.nginx("nginx-2").generation = Some("run-1".to_owned());
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Commit), [""; 0]);
    // Its endpoints are still routed to, as the switch left them; the next deploy takes them out.
    died.now.leave_out("was-2");
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Commit), [""; 0]);
    died.now.file("nginx-1", "sokdak.conf", &our_site(8080, "run-1"));
    let problem = Problem::LedAway {
        run: RunId::new("run-2").unwrap(),
        slot: Some(slot("blue")),
    };
    assert_eq!(refusals(died.forward()), [("nginx-1".to_owned(), problem)]);
}

#[test]
fn before_it_a_host_that_is_left_out_leaves_the_routing() {
    let mut died = Died::confirmed_everywhere();
    died.now.leave_out("was-2");
    let plan = died.forward().unwrap();
    assert_eq!(hosts(&plan, Phase::Commit), ["nginx-1", "nginx-2"]);
    assert!(!plan.switches()[&host("nginx-1")].after.contains("10.0.0.2"));
}

#[test]
fn forward_stops_nothing_that_is_gone_or_that_is_somebody_elses() {
    let mut died = Died::confirmed_everywhere();
    died.record.point_of_no_return = true;
    died.now.dies("was-1", "blue").dies("was-2", "blue");
    assert!(died.forward().unwrap().stage(Phase::Stop).is_none());
    died.now.listens("was-1", "blue");
    assert!(died.forward().unwrap().stage(Phase::Stop).is_none());
}

#[test]
fn forward_stops_the_process_that_another_tool_started_before_the_run() {
    let mut fleet = Fleet::empty();
    fleet.listens("was-1", "blue").listens("was-2", "blue");
    fleet.routes(8080, "run-1");
    let plan = fleet.deploy(V2).unwrap();
    let record = fleet.intent(&plan, RunKind::Deploy);
    fleet.has(V2).runs("green", V2);
    let died = Died { record, now: fleet }
        .switched("nginx-1", TokenState::Confirmed)
        .switched("nginx-2", TokenState::Confirmed);
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Stop), ["was-1", "was-2"]);
}

#[test]
fn forward_is_refused_while_the_new_slot_is_not_up_everywhere() {
    let mut died = Died::confirmed_everywhere();
    died.now.dies("was-2", "green");
    let problem = Problem::SlotNotUp {
        slot: slot("green"),
        endpoint: endpoint("was-2", 8081),
    };
    assert_eq!(refusals(died.forward()), [("was-2".to_owned(), problem)]);
}

#[test]
fn what_somebody_started_anew_where_nginx_routes_to_is_the_application() {
    let mut died = Died::confirmed_everywhere();
    died.now.dies("was-2", "green").listens("was-2", "green");
    let seen = &died.now.slot("was-2", "green");
    assert!(!seen.recorded_process_listens() && seen.listener.is_some());
    assert_eq!(hosts(&died.forward().unwrap(), Phase::Stop), ["was-1", "was-2"]);
    // Where no nginx leads to it, it may be anybody.
    let mut died = died.switched("nginx-1", TokenState::Reverted);
    died.now.routes(8080, "run-0");
    let problem = Problem::SlotNotUp {
        slot: slot("green"),
        endpoint: endpoint("was-2", 8081),
    };
    assert!(refusals(died.forward()).contains(&("was-2".to_owned(), problem)));
}

#[test]
fn forward_is_refused_while_an_nginx_host_cannot_be_asked() {
    let mut died = Died::confirmed_everywhere();
    died.now.observed.hosts.remove(&host("nginx-2"));
    assert!(matches!(
        &refusals(died.forward())[..],
        [(name, Problem::CannotObserve { .. })] if name == "nginx-2"
    ));
    died.now.config.topology.leave_out(&host("nginx-2"));
    assert!(died.forward().is_ok());
}

#[test]
fn back_reverts_whatever_was_armed_and_withdraws_what_the_run_started() {
    let died = Died::deploying()
        .switched("nginx-1", TokenState::Armed)
        .went_home("nginx-2", TokenState::Fired);
    let stages = died.back();
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    assert_eq!(phases, [Phase::Revert, Phase::Drain, Phase::Stop, Phase::Finish]);
    assert_eq!(back_hosts(&stages, Phase::Revert), ["nginx-1", "nginx-2"]);
    for on in &stages[0].steps {
        let Step::Revert { generation, nginx } = &on.step else {
            panic!("{on:?}");
        };
        assert_eq!(generation.as_deref(), Some("run-1"));
        assert!(nginx.is_some());
    }
    for on in &stages[2].steps {
        let Step::Withdraw {
            instance, release, ..
        } = &on.step
        else {
            panic!("{on:?}");
        };
        assert_eq!(instance.as_ref().map(|(slot, ..)| slot.as_str()), Some("green"));
        assert_eq!(*release, release_id(V2));
    }
}

#[test]
fn back_touches_no_nginx_that_was_only_prepared() {
    let mut died = Died::deploying();
    for name in ["nginx-1", "nginx-2"] {
        died.now.nginx(name).saved_homes = vec!["run-2".to_owned()];
    }
    let stages = died.back();
    let phases: Vec<_> = stages.iter().map(|stage| stage.phase).collect();
    assert_eq!(phases, [Phase::Stop, Phase::Finish]);
}

#[test]
fn back_reverts_a_host_that_cannot_be_asked() {
    let mut died = Died::confirmed_everywhere();
    died.now.observed.hosts.remove(&host("nginx-2"));
    assert_eq!(back_hosts(&died.back(), Phase::Revert), ["nginx-1", "nginx-2"]);
    died.now.config.topology.leave_out(&host("nginx-2"));
    assert_eq!(back_hosts(&died.back(), Phase::Revert), ["nginx-1"]);
}

#[test]
fn back_leaves_a_slot_alone_that_was_up_before_the_run() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    let plan = fleet.rollback(None).unwrap();
    let record = fleet.intent(&plan, RunKind::Rollback);
    let died = Died { record, now: fleet }.switched("nginx-1", TokenState::Armed);
    assert_eq!(back_hosts(&died.back(), Phase::Stop), [""; 0]);
}

#[test]
fn back_leaves_a_process_alone_that_the_run_did_not_come_to_retire() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    let plan = fleet.deploy(V2).unwrap();
    let mut died = Died {
        record: fleet.intent(&plan, RunKind::Deploy),
        now: fleet,
    };
    let withdrawn = |died: &Died| {
        let stages = died.back();
        let steps = stages.into_iter().flat_map(|stage| stage.steps);
        let instance = |on: nonstop::model::plan::HostStep| match on.step {
            Step::Withdraw { instance, .. } => instance.map(|_| on.host),
            _ => None,
        };
        steps.filter_map(instance).collect::<Vec<HostName>>()
    };
    assert_eq!(withdrawn(&died), []);
    died.now.runs_on("was-2", "green", V2);
    assert_eq!(withdrawn(&died), [host("was-2")]);
}

#[test]
fn a_fleet_is_converged_when_tokens_and_routes_agree() {
    assert!(Died::deploying().is_converged(), "nothing was armed");
    assert!(Died::confirmed_everywhere().is_converged());
    let half = Died::deploying().switched("nginx-1", TokenState::Confirmed);
    assert!(!half.is_converged());
    let armed = Died::deploying().went_home("nginx-1", TokenState::Armed);
    assert!(!armed.is_converged(), "a watch could still act");
    let fired = Died::deploying().went_home("nginx-1", TokenState::Fired);
    assert!(fired.is_converged());
    let mut at_it = Died::deploying().went_home("nginx-1", TokenState::Fired);
    at_it.now.nginx("nginx-1").generation = Some("run-2".to_owned());
    assert!(!at_it.is_converged(), "the watch may still be at it");
    let reverted = Died::deploying()
        .went_home("nginx-1", TokenState::Reverted)
        .went_home("nginx-2", TokenState::Fired);
    assert!(reverted.is_converged());
    let mut unasked = Died::confirmed_everywhere();
    unasked.now.observed.hosts.remove(&host("nginx-2"));
    assert!(!unasked.is_converged());
}

#[test]
fn a_record_that_cannot_be_read_keeps_everybody_from_deciding() {
    let mut died = Died::confirmed_everywhere();
    assert_eq!(died.seen(plan::obstacles), []);
    died.now.host("was-2").record_unreadable = Some("it is torn".to_owned());
    let problem = Problem::RecordUnreadable {
        path: "/var/lib/nonstop/sokdak/record".to_owned(),
        reason: "it is torn".to_owned(),
    };
    let wanted = [Finding::refusal(Some(&host("was-2")), problem.clone())];
    assert_eq!(died.seen(plan::obstacles), wanted);
    assert_eq!(died.now.refusals(), [("was-2".to_owned(), problem)]);
}

#[test]
fn a_host_of_the_run_that_nobody_asks_keeps_everybody_from_deciding() {
    let mut died = Died::deploying();
    died.now.observed.hosts.remove(&host("was-2"));
    died.record.nginx.insert(host("nginx-9"));
    let obstacles = died.seen(plan::obstacles);
    let problems: Vec<_> = obstacles.iter().map(|it| &it.problem).collect();
    assert!(
        matches!(
            problems[..],
            [Problem::RecordedHostMissing { .. }, Problem::CannotObserve { .. }]
        ),
        "{problems:?}"
    );
    died.now.config.topology.leave_out(&host("was-2"));
    died.record.nginx.remove(&host("nginx-9"));
    assert_eq!(died.seen(plan::obstacles), []);
}

#[test]
fn a_deploy_is_planned_past_an_interrupted_run_only_once_nginx_is_of_one_mind() {
    let interrupted = |mut died: Died| {
        for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
            died.now.host(name).record = Some(died.record.clone());
        }
        let findings = match died.now.deploy(V2) {
            Ok(plan) => plan.warnings,
            Err(findings) => findings,
        };
        let findings: Vec<_> = findings
            .into_iter()
            .map(|it| {
                let ours = matches!(it.problem, Problem::InterruptedRun { .. });
                assert!(ours, "{it:?}");
                it.severity
            })
            .collect();
        findings
    };
    assert_eq!(interrupted(Died::deploying()), [Severity::Warning]);
    let half = Died::deploying().switched("nginx-1", TokenState::Confirmed);
    assert_eq!(
        interrupted(half),
        [Severity::Refusal],
        "that hosts disagree needs no second finding"
    );
    assert_eq!(interrupted(Died::confirmed_everywhere()), [Severity::Warning]);
    let mut running = Died::deploying().switched("nginx-1", TokenState::Confirmed);
    running.now.host("was-1").lock.run = Some(RunId::new("run-9").unwrap());
    running
        .now
        .file("nginx-2", "sokdak.conf", &our_site(8081, "run-2"));
    running.now.nginx("nginx-2").generation = Some("run-2".to_owned());
    assert_eq!(interrupted(running), [], "its owner is at work");
}

//! nginx hosts that disagree without an interrupted run, and the way to lead them to one slot.

use nonstop::model::finding::{Finding, Problem, Severity};
use nonstop::model::names::RunId;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Plan, Scene};
use nonstop::model::record::RunKind;
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V2, host, our_site, refusals, release_id, slot};
use crate::resume::{Died, hosts};

fn converge(fleet: &Fleet, to: &str) -> Result<Plan, Vec<Finding>> {
    let observed = fleet.observed();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &RunId::new("run-3").unwrap(),
    };
    plan::converge_to(&scene, &slot(to))
}

#[test]
fn disagreeing_hosts_are_led_to_one_slot_and_nothing_is_stopped() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    fleet.file("nginx-2", "sokdak.conf", &our_site(8081, "run-0"));
    let plan = converge(&fleet, "green").unwrap();
    assert_eq!(
        plan.phases(),
        [Phase::Verify, Phase::Prepare, Phase::Commit, Phase::Finish]
    );
    assert_eq!(hosts(&plan, Phase::Commit), ["nginx-1"]);
    assert_eq!(
        plan.switches()[&host("nginx-1")].generation.as_deref(),
        Some("run-3")
    );
    assert_eq!(hosts(&plan, Phase::Finish), ["nginx-1", "nginx-2"]);
    assert_eq!((plan.from, plan.release.id), (Some(slot("blue")), release_id(V2)));
    assert_eq!(
        hosts(&converge(&fleet, "blue").unwrap(), Phase::Commit),
        ["nginx-2"]
    );
}

#[test]
fn leading_them_together_that_was_interrupted_stops_nothing_either() {
    let mut died = Died::deploying().switched("nginx-1", TokenState::Confirmed);
    died.record.kind = RunKind::Converge;
    let plan = died.forward().unwrap();
    assert_eq!(
        plan.phases(),
        [Phase::Verify, Phase::Prepare, Phase::Commit, Phase::Finish]
    );
    assert_eq!(hosts(&plan, Phase::Finish), ["nginx-1", "nginx-2"]);
}

#[test]
fn nobody_is_led_to_a_slot_that_is_not_up_or_whose_release_is_unknown() {
    let mut fleet = Fleet::on_blue();
    fleet.file("nginx-2", "sokdak.conf", &our_site(8081, "run-0"));
    let unknown = Problem::ReleaseUnknown { slot: slot("green") };
    assert_eq!(refusals(converge(&fleet, "green")), [(String::new(), unknown)]);
    fleet.has(V2).runs_on("was-1", "green", V2);
    assert!(
        converge(&fleet, "green")
            .unwrap_err()
            .iter()
            .all(|it| it.severity == Severity::Refusal)
    );
    fleet.runs_on("was-2", "green", V2);
    assert!(converge(&fleet, "green").is_ok());
}

//! The way back that a person asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use nonstop::model::finding::Problem;
use nonstop::model::names::ReleaseId;
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Step};
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::token::TokenState;

use crate::fixture::{Fleet, V1, V2, V3, host, refusals, release_id, slot, steps};

/// Blue is live with `live`, green is empty, and every host has these releases.
fn on_blue_with(live: &str, releases: &[&str]) -> Fleet {
    let mut fleet = Fleet::empty();
    for id in releases {
        fleet.has(id);
    }
    fleet.runs("blue", live).routes(8080, "run-1");
    fleet
}

fn chosen(fleet: &Fleet) -> ReleaseId {
    fleet
        .rollback(None)
        .unwrap_or_else(|findings| panic!("{findings:?}"))
        .release
        .id
}

fn refusal(fleet: &Fleet, to: Option<&str>) -> Vec<Problem> {
    refusals(fleet.rollback(to))
        .into_iter()
        .map(|(_, problem)| problem)
        .collect()
}

#[test]
fn a_slot_that_is_still_up_gets_the_traffic_at_once() {
    let mut fleet = on_blue_with(V2, &[V1, V2]);
    fleet.runs("green", V1);
    fleet.slot("was-1", "green").connections = 7;
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(
        (plan.to.clone(), &plan.release.id),
        (slot("green"), &release_id(V1))
    );
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
    for (_, step) in steps(&plan, Phase::Verify) {
        let Step::Verify {
            min_healthy_time,
            warm_up,
            ..
        } = step
        else {
            panic!("{step:?}");
        };
        assert_eq!((*min_healthy_time, *warm_up), (Duration::ZERO, false));
    }
}

#[test]
fn a_slot_that_is_only_half_up_is_retired_and_started_anew() {
    let mut fleet = on_blue_with(V2, &[V1, V2]);
    fleet.runs("green", V1).dies("was-2", "green");
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id, release_id(V1));
    assert!(matches!(steps(&plan, Phase::Retire)[..], [("was-1", _)]));
    assert_eq!(steps(&plan, Phase::Start).len(), 2);
    assert!(plan.stage(Phase::Bake).is_none());
}

#[test]
fn a_stopped_slot_is_started_again_with_the_release_before() {
    let fleet = on_blue_with(V2, &[V1, V2]);
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id, release_id(V1));
    assert_eq!(plan.phases()[..3], [Phase::Upload, Phase::Start, Phase::Verify]);
}

#[test]
fn a_kept_slot_that_failed_is_not_chosen_by_itself() {
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    fleet.runs("green", V3).failed(V3);
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id, release_id(V1));
    assert_eq!(steps(&plan, Phase::Retire).len(), 2);
}

#[test]
fn a_kept_slot_with_the_very_release_that_is_live_is_no_way_back() {
    let mut fleet = on_blue_with(V2, &[V1, V2]);
    fleet.runs("green", V2);
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn what_the_last_deploy_replaced_comes_before_what_sorts_before() {
    let mut fleet = on_blue_with(V1, &[V1, V2, V3]);
    fleet.record(Some(V3), V1);
    assert_eq!(chosen(&fleet), release_id(V3));
}

#[test]
fn a_record_of_a_run_that_went_home_says_nothing_about_what_is_live() {
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    fleet.record(Some(V2), V3).phase = Phase::Revert;
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn a_record_of_another_release_than_the_live_one_says_nothing_either() {
    // Somebody led nginx back by hand since the last run.
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    fleet.record(Some(V3), V1);
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn a_replaced_release_that_is_gone_from_a_host_is_passed_over() {
    let mut fleet = on_blue_with(V3, &[V1, V3]);
    fleet.has_on("was-1", V2);
    fleet.record(Some(V2), V3);
    assert_eq!(chosen(&fleet), release_id(V1));
}

fn nothing_but(taken_back: &[&str]) -> [Problem; 1] {
    let taken_back = taken_back.iter().map(|id| release_id(id)).collect();
    [Problem::NothingToGoBackTo { taken_back }]
}

#[test]
fn failed_releases_are_never_chosen_by_themselves() {
    let mut fleet = on_blue_with(V3, &[V1, V2, V3]);
    fleet.record(Some(V2), V3);
    fleet.failed(V2);
    assert_eq!(chosen(&fleet), release_id(V1));
    fleet.failed(V1);
    assert_eq!(refusal(&fleet, None), nothing_but(&[]));
}

#[test]
fn a_failed_release_is_taken_where_a_person_names_it() {
    let mut fleet = on_blue_with(V2, &[V1, V2]);
    fleet.failed(V1);
    assert_eq!(fleet.rollback(Some(V1)).unwrap().release.id, release_id(V1));
}

#[test]
fn a_mark_on_one_host_is_enough() {
    let mut fleet = on_blue_with(V2, &[V1, V2]);
    fleet.was("was-2").releases[0].failed = true;
    assert_eq!(refusal(&fleet, None), nothing_but(&[]));
}

#[test]
fn a_second_rollback_goes_further_back() {
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    fleet.record(Some(V3), V2).left.insert(release_id(V3));
    assert_eq!(chosen(&fleet), release_id(V1));
    fleet.runs("green", V3);
    assert_eq!(
        chosen(&fleet),
        release_id(V1),
        "also where the slot that was left is still up"
    );
}

#[test]
fn a_third_rollback_finds_nothing_and_does_not_go_forward() {
    let mut fleet = on_blue_with(V1, &[V1, V2, V3]);
    fleet.record(Some(V2), V1).left.extend([V2, V3].map(release_id));
    assert_eq!(refusal(&fleet, None), nothing_but(&[V3, V2]));
}

#[test]
fn a_newer_release_is_the_last_resort_unless_its_only_run_went_home() {
    let mut fleet = on_blue_with(V1, &[V1, V2]);
    assert_eq!(chosen(&fleet), release_id(V2));
    fleet.record(Some(V1), V2).phase = Phase::Revert;
    assert_eq!(refusal(&fleet, None), nothing_but(&[]));
}

#[test]
fn an_open_record_never_names_the_release_to_go_back_to() {
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    fleet.record(Some(V3), V2).status = RunStatus::Open;
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn without_an_earlier_release_it_is_refused() {
    assert_eq!(refusal(&on_blue_with(V1, &[V1]), None), nothing_but(&[]));
}

#[test]
fn without_anything_live_it_is_refused() {
    assert_eq!(refusal(&Fleet::empty(), None), [Problem::NothingLive]);
}

#[test]
fn a_named_release_that_hosts_lack_is_refused_host_by_host() {
    let mut fleet = on_blue_with(V2, &[V2]);
    let missing = || Problem::ReleaseMissing {
        release: release_id(V1),
    };
    assert_eq!(refusal(&fleet, Some(V1)), [missing(), missing()]);
    fleet.has_on("was-1", V1);
    assert_eq!(
        refusals(fleet.rollback(Some(V1))),
        [(host("was-2").to_string(), missing())]
    );
}

/// `V3` was live on blue, and a rollback to `V2` on green is under way or over.
fn rolled_back_once() -> (Fleet, RunRecord) {
    let mut fleet = on_blue_with(V3, &[V1, V2, V3]);
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id, release_id(V2));
    let record = fleet.intent(&plan, RunKind::Rollback);
    fleet.runs("green", V2).routes(8081, "run-2");
    (fleet, record)
}

fn recorded(fleet: &mut Fleet, record: &RunRecord) {
    for name in ["was-1", "was-2", "nginx-1", "nginx-2"] {
        fleet.host(name).record = Some(record.clone());
    }
}

#[test]
fn a_rollback_leaves_its_release_behind_and_the_next_one_goes_further_back() {
    let (mut fleet, record) = rolled_back_once();
    recorded(&mut fleet, &record.finished());
    assert_eq!(chosen(&fleet), release_id(V1));
    fleet.dies("was-1", "blue").dies("was-2", "blue");
    assert_eq!(chosen(&fleet), release_id(V1));
    let plan = fleet.rollback(None).unwrap();
    let second = fleet.intent(&plan, RunKind::Rollback).finished();
    assert_eq!(second.left, [V2, V3].map(release_id).into());
}

#[test]
fn a_rollback_that_somebody_resumed_leaves_its_release_behind_as_well() {
    let (mut fleet, mut record) = rolled_back_once();
    recorded(&mut fleet, &record);
    // Whoever resumes it has nothing but what is on record.
    record = plan::interrupted(&fleet.observed()).unwrap().clone();
    recorded(&mut fleet, &record.finished());
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn a_rollback_that_was_interrupted_after_its_switch_counts_for_the_next_one() {
    let (mut fleet, record) = rolled_back_once();
    recorded(&mut fleet, &record);
    for name in ["nginx-1", "nginx-2"] {
        fleet.token(name, "run-2", TokenState::Confirmed);
    }
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id, release_id(V1), "blue with V3 is still up");
    let next = fleet.intent(&plan, RunKind::Rollback).finished();
    assert_eq!(next.left, [V2, V3].map(release_id).into());
}

#[test]
fn a_rollback_that_was_interrupted_and_went_home_left_nothing() {
    let (mut fleet, record) = rolled_back_once();
    recorded(&mut fleet, &record);
    fleet.routes(8080, "run-1");
    for name in ["nginx-1", "nginx-2"] {
        fleet.token(name, "run-2", TokenState::Fired);
    }
    assert_eq!(chosen(&fleet), release_id(V2));
}

#[test]
fn a_slot_that_an_interrupted_deploy_left_up_is_no_way_back() {
    let mut fleet = on_blue_with(V2, &[V1, V2, V3]);
    let plan = fleet.deploy(V3).unwrap();
    let deploy = fleet.intent(&plan, RunKind::Deploy);
    fleet.runs("green", V3);
    recorded(&mut fleet, &deploy);
    assert_eq!(chosen(&fleet), release_id(V1));
    // What a rollback was going to was live before.
    let rollback = RunRecord {
        kind: RunKind::Rollback,
        ..deploy
    };
    recorded(&mut fleet, &rollback);
    assert_eq!(chosen(&fleet), release_id(V3));
}

#[test]
fn leading_hosts_together_changes_nothing_about_what_rollbacks_left() {
    let (mut fleet, record) = rolled_back_once();
    recorded(&mut fleet, &record.finished());
    let plan = fleet.deploy(V1).unwrap();
    let converged = fleet.intent(&plan, RunKind::Converge).finished();
    assert_eq!(converged.left, [V3].map(release_id).into());
}

#[test]
fn what_was_left_stays_behind_until_a_deploy_brings_it_again() {
    let (mut fleet, record) = rolled_back_once();
    recorded(&mut fleet, &record.finished());
    let left_by = |release| {
        let plan = fleet.deploy(release).unwrap();
        fleet.intent(&plan, RunKind::Deploy).finished().left
    };
    assert_eq!(left_by(V1), [release_id(V3)].into());
    assert_eq!(left_by(V3), BTreeSet::new());
}

#[test]
fn what_a_deploy_brought_that_went_home_stays_behind_for_later_rollbacks_too() {
    let mut fleet = on_blue_with(V1, &[V1, V2]);
    let plan = fleet.deploy(V2).unwrap();
    let taken_back = fleet.intent(&plan, RunKind::Deploy).went_home();
    assert_eq!(taken_back.left, [release_id(V2)].into());
    recorded(&mut fleet, &taken_back);
    let plan = fleet.deploy(V3).unwrap();
    let deployed = fleet.intent(&plan, RunKind::Deploy).finished();
    recorded(&mut fleet, &deployed);
    fleet.has(V3).runs("green", V3).routes(8081, "run-2");
    assert_eq!(chosen(&fleet), release_id(V1));
}

#[test]
fn what_was_left_and_no_host_has_any_more_is_forgotten() {
    let (mut fleet, mut record) = rolled_back_once();
    record.left.insert(release_id("20240101-100000-sokdak-0"));
    recorded(&mut fleet, &record.finished());
    let plan = fleet.deploy(V1).unwrap();
    assert_eq!(fleet.intent(&plan, RunKind::Deploy).left, [release_id(V3)].into());
}

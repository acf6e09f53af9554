//! Which run was interrupted, by the records that hosts have.

use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::RunId;
use nonstop::model::plan;
use nonstop::model::record::{RunRecord, RunStatus};

use crate::fixture::Fleet;

fn record(run: &str, epoch: u64, status: RunStatus) -> RunRecord {
    RunRecord {
        status,
        ..RunRecord::opened(RunId::new(run).unwrap(), Epoch(epoch), Owner::default())
    }
}

fn interrupted(records: &[(&str, RunRecord)]) -> Option<(String, Epoch)> {
    let mut fleet = Fleet::on_blue();
    for (name, record) in records {
        fleet.host(name).record = Some(record.clone());
    }
    let observed = fleet.observed();
    plan::interrupted(&observed).map(|record| (record.run.to_string(), record.epoch))
}

#[test]
fn a_run_that_any_host_knows_as_open_was_interrupted() {
    assert_eq!(interrupted(&[]), None);
    assert_eq!(interrupted(&[("was-1", record("r1", 1, RunStatus::Done))]), None);
    assert_eq!(
        interrupted(&[("was-1", record("r1", 1, RunStatus::Waiting))]),
        None
    );
    let open = interrupted(&[("was-2", record("r1", 1, RunStatus::Open))]);
    assert_eq!(open, Some(("r1".to_owned(), Epoch(1))));
}

#[test]
fn a_run_whose_last_record_reached_only_one_host_is_over() {
    let open = record("r1", 4, RunStatus::Open);
    let done = record("r1", 4, RunStatus::Done);
    assert_eq!(
        interrupted(&[("was-1", open.clone()), ("was-2", done), ("nginx-1", open)]),
        None
    );
}

#[test]
fn a_done_record_says_nothing_about_whoever_went_on_under_a_higher_epoch() {
    let done = record("r1", 4, RunStatus::Done);
    let open = record("r1", 5, RunStatus::Open);
    assert_eq!(
        interrupted(&[("was-1", done), ("was-2", open)]),
        Some(("r1".to_owned(), Epoch(5)))
    );
}

#[test]
fn an_open_record_of_an_earlier_run_is_a_host_that_was_left_out_of_a_later_one() {
    let open = record("r1", 4, RunStatus::Open);
    let done = record("r2", 5, RunStatus::Done);
    assert_eq!(interrupted(&[("was-1", open), ("was-2", done)]), None);
}

#[test]
fn a_run_that_died_while_it_began_is_the_one_that_was_interrupted() {
    let met = record("r1", 5, RunStatus::Done);
    let open = record("r2", 5, RunStatus::Open);
    assert_eq!(
        interrupted(&[("was-1", met), ("was-2", open)]),
        Some(("r2".to_owned(), Epoch(5)))
    );
}

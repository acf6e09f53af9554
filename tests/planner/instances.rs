//! What instances are: processes that say which slot they are, and files that a start reads.

use nonstop::model::finding::{Problem, Severity};
use nonstop::model::names::RemotePath;

use crate::fixture::{Fleet, V1, V2, endpoint, slot};

const IDENTIFY: &str = "identify: { path: /profile, is: { blue: real1, green: real2 } }\n";

fn other() -> Problem {
    Problem::AnswersAsOther {
        endpoint: endpoint("was-2", 8080),
        slot: slot("blue"),
        answer: "real2".to_owned(),
        other: Some(slot("green")),
    }
}

/// Blue is live, and on one host it answers with green's profile.
fn confused() -> Fleet {
    let mut fleet = Fleet::with(IDENTIFY);
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    fleet.slot("was-1", "blue").answers_as = Some("real1".to_owned());
    fleet.slot("was-2", "blue").answers_as = Some("real2".to_owned());
    fleet
}

#[test]
fn a_process_that_answers_as_the_other_slot_is_not_deployed_beside() {
    assert_eq!(confused().refusals(), [("was-2".to_owned(), other())]);
}

#[test]
fn whoever_goes_back_is_told_of_it_and_not_kept_from_it() {
    let mut fleet = confused();
    fleet.runs("green", V2).has(V2).record(Some(V2), V1);
    let plan = fleet.rollback(Some(V2)).unwrap();
    let warning = plan.warnings.iter().find(|warning| warning.problem == other());
    assert_eq!(warning.unwrap().severity, Severity::Warning);
}

#[test]
fn slots_that_answer_as_themselves_or_not_at_all_are_fine() {
    let mut fleet = confused();
    fleet.slot("was-2", "blue").answers_as = None;
    assert!(fleet.deploy(V2).unwrap().warnings.is_empty());
}

#[test]
fn a_file_that_the_new_slot_would_miss_is_refused_with_its_host_and_the_old_slots_is_not_asked_for() {
    let config = |name: &str| format!("/home/ubuntu/app/application-{name}.properties");
    let mut fleet = Fleet::with("");
    let path = |name: &str| RemotePath::new(config(name)).unwrap();
    for was in fleet.config.topology.was.values_mut() {
        let files = ["blue", "green"].map(|name| (slot(name), [path(name), path("db")].into()));
        was.config_files = files.into();
    }
    fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
    fleet.was("was-1").missing_files = [path("blue")].into();
    assert!(fleet.deploy(V2).is_ok());
    fleet.was("was-2").missing_files = [path("blue"), path("db")].into();
    let missing = Problem::ConfigFileMissing {
        slot: slot("green"),
        path: config("db"),
    };
    assert_eq!(fleet.refusals(), [("was-2".to_owned(), missing)]);
    // What is up already reads nothing any more.
    fleet.runs("green", V2).has(V2).record(Some(V2), V1);
    assert!(fleet.rollback(Some(V2)).is_ok());
}

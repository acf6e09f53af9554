//! Run records: torn, old, newer, of wrong types, and as large as they can be.

use std::collections::BTreeSet;

use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{HostName, ReleaseId};
use nonstop::model::record::{RunRecord, VERSION};
use nonstop::model::strategy::{CanaryStep, Course, Hold, Share, Strategy};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use crate::cases::{NASTY, cases};
use crate::vocabulary::{identity, run};

fn record() -> RunRecord {
    let owner = Owner {
        who: "kim".to_owned(),
        place: "ci-7".to_owned(),
        command: "deploy".to_owned(),
        build_url: Some("https://ci/1".to_owned()),
        since: "2026-01-02T03:04:05Z".to_owned(),
    };
    let mut record = RunRecord::opened(run(), Epoch(7), owner);
    record.was = [HostName::new("was-1").unwrap()].into();
    record.left = [ReleaseId::new("r1").unwrap()].into();
    record.adopted = [identity()].into();
    record.home_generations = [(HostName::new("nginx-1").unwrap(), "g1".to_owned())].into();
    record
}

fn written(record: &RunRecord) -> Vec<u8> {
    serde_json::to_vec_pretty(record).unwrap()
}

/// Why a record is not read, which is one line that can be shown.
fn refused(json: &[u8]) -> String {
    let reason = RunRecord::read(json).unwrap_err();
    assert!(!reason.is_empty() && reason.chars().count() <= 300, "{reason:?}");
    assert!(!reason.contains(char::is_control), "{reason:?}");
    reason
}

#[test]
fn a_record_that_is_torn_at_any_byte_is_refused_and_a_whole_one_is_read() {
    let whole = written(&record());
    assert_eq!(RunRecord::read(&whole), Ok(record()));
    for end in 0..whole.len() {
        refused(&whole[..end]);
    }
    // A file whose end a power failure filled with zeros.
    for end in 0..whole.len() {
        let mut torn = whole.clone();
        torn[end..].fill(0);
        refused(&torn);
    }
}

#[test]
fn a_record_of_the_first_version_is_read_without_the_fields_that_came_later() {
    let mut old = serde_json::to_value(record()).unwrap();
    let fields = old.as_object_mut().unwrap();
    for later in [
        "version",
        "without",
        "from_routing",
        "to_routing",
        "home_generations",
        "starts",
        "from_release",
        "left",
        "adopted",
    ] {
        assert!(fields.remove(later).is_some(), "{later}");
    }
    let read = RunRecord::read(old.to_string().as_bytes()).unwrap();
    assert_eq!((read.version, read.starts, read.run), (0, true, run()));
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_its_version_whatever_else_it_holds() {
    let newer = json!({ "version": VERSION + 1, "run": ["not", "a", "name"] });
    let reason = refused(newer.to_string().as_bytes());
    assert!(reason.contains(&format!("version {}", VERSION + 1)), "{reason}");
    refused(br#"{"version":99999999999999999999}"#);
    refused(br#"{"version":-1}"#);
}

#[test]
fn a_value_of_a_wrong_type_or_a_nasty_one_is_refused_or_does_no_harm() {
    let whole = serde_json::to_value(record()).unwrap();
    let names: Vec<String> = whole.as_object().unwrap().keys().cloned().collect();
    let nasty = NASTY.iter().map(|text| Value::from(*text));
    let wrong = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!({ "\u{1b}[2J": "\u{1b}[2J" }),
    ];
    for value in nasty.chain(wrong) {
        for name in &names {
            let mut spoilt = whole.clone();
            spoilt[name.as_str()] = value.clone();
            if let Err(reason) = RunRecord::read(spoilt.to_string().as_bytes()) {
                assert!(!reason.contains(char::is_control), "{name}: {reason:?}");
                assert!(reason.chars().count() <= 300, "{name}: {reason:?}");
            }
        }
    }
}

#[test]
fn what_steers_a_terminal_is_gone_from_an_owner_and_a_strange_boot_id_is_refused() {
    let mut spoilt = serde_json::to_value(record()).unwrap();
    spoilt["owner"]["who"] = json!("kim\u{1b}[2J\nroot".to_owned() + &"x".repeat(100_000));
    let read = RunRecord::read(spoilt.to_string().as_bytes()).unwrap();
    assert!(read.owner.who.starts_with("kim [2J root"), "{}", read.owner.who);
    assert_eq!(read.owner.who.chars().count(), 1024);
    spoilt["adopted"][0]["boot_id"] = json!("$(reboot)");
    assert!(refused(spoilt.to_string().as_bytes()).contains("boot id"));
}

#[test]
fn a_huge_or_deep_or_doubled_record_is_refused() {
    refused(format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)).as_bytes());
    refused(format!("{{\"run\":\"{}\"}}", "a".repeat(2_000_000)).as_bytes());
    let mut grown = record();
    let name = |number: u32| ReleaseId::new(format!("r{number}")).unwrap();
    grown.left = (0..5_000).map(name).collect::<BTreeSet<_>>();
    assert!(refused(&written(&grown)).contains("more releases"));
    let text = String::from_utf8(written(&record())).unwrap();
    let doubled = text.replacen("\"epoch\": 7", "\"epoch\": 7, \"epoch\": 8", 1);
    assert!(refused(doubled.as_bytes()).contains("duplicate"));
}

#[test]
fn a_record_whose_routings_would_fill_the_memory_or_that_no_playbook_could_bring_is_refused() {
    let instance = |number: u32| json!({ "endpoint": { "host": format!("was-{number}"), "port": 8081 }, "release": "r1", "weight": 1 });
    let goes = |strategy: Strategy, instances: u32| {
        let mut grown = serde_json::to_value(record().on(Course {
            strategy,
            ..Course::default()
        }))
        .unwrap();
        // Without traffic before it a run has one step.
        grown["from_routing"]["weights"] = [instance(0)].into_iter().collect();
        grown["to_routing"]["weights"] = (0..instances).map(instance).collect();
        grown.to_string()
    };
    let host_by_host = || Strategy::Rolling {
        max_parallel: Share::Count(1.try_into().unwrap()),
        min_in_service: None,
    };
    let weight = |weight| Strategy::Canary {
        steps: vec![CanaryStep {
            weight,
            hold: Hold::None,
        }],
    };
    for (strategy, instances) in [(host_by_host(), 100), (weight(99), 100)] {
        let text = goes(strategy, instances);
        let read =
            RunRecord::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {}", &text[..900]));
        assert!(!read.course.is_plain());
    }
    for (strategy, instances) in [(host_by_host(), 1_500), (weight(0), 2), (weight(100), 2)] {
        assert!(refused(goes(strategy, instances).as_bytes()).contains("no run goes"));
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_record_that_is_changed_at_any_byte_is_read_or_refused_on_one_line(
        changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut json = written(&record());
        for (at, byte) in changes {
            let at = at.index(json.len());
            json[at] = byte;
        }
        if let Err(reason) = RunRecord::read(&json) {
            prop_assert!(!reason.contains(char::is_control), "{reason:?}");
        }
    }

    #[test]
    fn no_bytes_whatever_make_the_reader_of_records_fall_over(json in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = RunRecord::read(&json);
    }
}

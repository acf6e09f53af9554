//! `--junit` of real runs.

use std::fs;

use nonstop::demo::app::AtStart;
use quick_junit::{Report, TestCaseStatus};

use crate::scene::Scene;

/// The cases that did not pass, as `suite case`, and how many there are in all.
pub(crate) fn failed(file: &std::path::Path) -> (Vec<String>, usize) {
    let report = Report::deserialize_from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut failed = Vec::new();
    for suite in &report.test_suites {
        let cases = suite.test_cases.iter();
        let cases = cases.filter(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }));
        failed.extend(cases.map(|case| format!("{} {}", suite.name.as_str(), case.name.as_str())));
    }
    (failed, report.tests)
}

#[test]
fn a_report_is_there_whatever_becomes_of_the_run() {
    let scene = Scene::new(&[("bake: { for: 3s", "bake: { for: 0s")]);
    let file = scene.folder().join("nonstop.xml");
    let junit = file.to_str().unwrap();
    let run = |words: &[&str], code: i32| {
        let said = scene.run(&[words, &["--junit", junit]].concat(), &[]);
        assert_eq!(said.code, code, "{words:?}: {}", said.text);
        let found = failed(&file);
        fs::remove_file(&file).unwrap();
        found
    };
    let good = scene.jar("v1", AtStart::Listen);
    let bad = scene.jar("v2", AtStart::Crash);
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let (none, cases) = run(&["deploy", "--jar", good], 0);
    assert_eq!(none, [""; 0]);
    assert!(cases > 15, "{cases}");
    let (some, _) = run(&["deploy", "--jar", bad], 6);
    assert!(
        some.contains(&"demo outcome".to_owned()) && some.len() > 1,
        "{some:?}"
    );
    assert!(some[1..].iter().all(|case| case.ends_with(" start")), "{some:?}");
    assert_eq!(run(&["rollback"], 4).0[0], "demo outcome");
    // Refused before a run began.
    assert_eq!(
        run(&["deploy", "--jar", "/nowhere/at/all.jar"], 4).0,
        ["nonstop outcome"]
    );
    assert_eq!(run(&["deploy", "--without", "was-9"], 2).0, ["nonstop outcome"]);
}

#[test]
fn a_folder_that_is_missing_is_said_before_anything_is_touched() {
    let scene = Scene::new(&[]);
    let jar = scene.jar("v1", AtStart::Listen);
    let words = [
        "deploy",
        "--jar",
        jar.to_str().unwrap(),
        "--junit",
        "/nowhere/at/all.xml",
    ];
    let said = scene.run(&words, &[]);
    assert_eq!(said.code, 4, "{}", said.text);
    assert!(
        said.text.contains("cannot write /nowhere/at/all.xml"),
        "{}",
        said.text
    );
    assert!(!said.text.contains("outcome:"), "{}", said.text);
}

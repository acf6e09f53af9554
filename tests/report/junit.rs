//! The report for the test tab of a CI server.

use insta::assert_snapshot;
use nonstop::model::names::AppName;
use nonstop::model::outcome::Exit;
use nonstop::model::phase::Phase;
use nonstop::model::secret::{Gathering, Secrets};
use nonstop::report::Reporter;
use nonstop::report::junit::{self, Junit};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};

use crate::fixture::{NGINX, Story, WAS};

fn report(story: &Story) -> Report {
    read(&junit::render(&story.view(), "sokdak", &Secrets::default()))
}

fn read(xml: &str) -> Report {
    // Whatever else a parser forgives: these are not in the production `Char` of XML 1.0.
    let illegal =
        |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    assert!(!xml.contains(illegal), "{xml}");
    Report::deserialize_from_str(xml).unwrap()
}

/// A line a case: its suite, its name, its time, and what became of it.
fn cases(report: &Report) -> String {
    let mut lines = Vec::new();
    for suite in &report.test_suites {
        for case in &suite.test_cases {
            let (state, message) = match &case.status {
                TestCaseStatus::Success { .. } => ("passed", None),
                TestCaseStatus::Skipped { message, .. } => ("skipped", message.as_ref()),
                TestCaseStatus::NonSuccess { kind, message, .. } => match kind {
                    NonSuccessKind::Failure => ("FAILED", message.as_ref()),
                    NonSuccessKind::Error => ("ERROR", message.as_ref()),
                },
            };
            let message = message.map_or_else(String::new, |message| format!(": {}", message.as_str()));
            let seconds = case.time.unwrap().as_secs_f64();
            let (suite, name) = (suite.name.as_str(), case.name.as_str());
            lines.push(format!("{suite} {name} {seconds:.3} {state}{message}"));
        }
    }
    lines.join("\n")
}

fn case<'a>(report: &'a Report, suite: &str, name: &str) -> &'a TestCase {
    let suite = report
        .test_suites
        .iter()
        .find(|found| found.name.as_str() == suite);
    let mut cases = suite.unwrap().test_cases.iter();
    cases.find(|case| case.name.as_str() == name).unwrap()
}

fn text(case: &TestCase) -> &str {
    match &case.status {
        TestCaseStatus::NonSuccess { description, .. } => description.as_ref().unwrap().as_str(),
        _ => "",
    }
}

#[test]
fn a_deploy_is_a_suite_a_host_and_a_case_a_phase() {
    let report = report(&Story::deploy());
    assert_snapshot!(cases(&report), @"
    sokdak outcome 15.832 passed
    nginx-1 lock 0.120 passed
    nginx-1 prepare 0.090 passed
    nginx-1 commit 0.312 passed
    was-1 lock 0.120 passed
    was-1 upload 5.400 passed
    was-1 start 1.200 passed
    was-1 verify 6.000 passed
    was-1 stop 2.400 passed
    was-1 finish 0.000 passed
    was-2 lock 0.120 passed
    was-2 upload 5.400 passed
    was-2 start 1.200 passed
    was-2 verify 6.000 passed
    was-2 stop 2.400 passed
    was-2 finish 0.000 passed
    ");
    assert_eq!(
        case(&report, "was-1", "start")
            .classname
            .as_ref()
            .unwrap()
            .as_str(),
        "sokdak.was-1"
    );
    let properties = &report.test_suites[0].properties;
    let properties: Vec<_> = properties
        .iter()
        .map(|property| format!("{}={}", property.name.as_str(), property.value.as_str()))
        .collect();
    assert_snapshot!(properties.join("\n"), @"
    run=0197-run
    command=deploy
    who=kim@ci-7
    release=20260102-100000-sokdak-2
    outcome=deployed
    exit_code=0
    ");
}

#[test]
fn a_failure_comes_with_the_end_of_its_log_and_the_others_are_called_off() {
    let report = report(&Story::unhealthy());
    assert_snapshot!(cases(&report), @"
    sokdak outcome 107.730 FAILED: deploy FAILED before the switch
    nginx-1 lock 0.120 passed
    was-1 lock 0.120 passed
    was-1 upload 5.400 passed
    was-1 start 1.200 passed
    was-1 verify 100.000 skipped: called off: the phase was not passed
    was-1 stop 0.700 passed
    was-2 lock 0.120 passed
    was-2 upload 5.400 passed
    was-2 start 1.200 passed
    was-2 verify 100.000 FAILED: was-2:8081 is not healthy as seen from was-2: HTTP 503: status is DOWN
    was-2 stop 0.700 passed
    ");
    assert_snapshot!(text(case(&report, "was-2", "verify")), @r#"
    was-2:8081 is not healthy as seen from was-2: HTTP 503: status is DOWN
    pid 9876
    body: {"status":"DOWN","components":{"db":{"status":"DOWN"}}}
    the end of its log:
    | ERROR try 1: cannot reach the database^[[2J
    | ERROR try 2: cannot reach the database^[[2J
    | ERROR try 3: cannot reach the database^[[2J
    | ERROR try 4: cannot reach the database^[[2J
    | ERROR try 5: cannot reach the database^[[2J
    | ERROR try 6: cannot reach the database^[[2J
    | ERROR try 7: cannot reach the database^[[2J
    | ERROR try 8: cannot reach the database^[[2J
    | ERROR try 9: cannot reach the database^[[2J
    | ERROR try 10: cannot reach the database^[[2J
    | ERROR try 11: cannot reach the database^[[2J
    | ERROR try 12: cannot reach the database^[[2J
    | ERROR try 13: cannot reach the database^[[2J
    | ERROR try 14: cannot reach the database^[[2J
    | ERROR try 15: cannot reach the database^[[2J
    | ERROR try 16: cannot reach the database^[[2J
    | ERROR try 17: cannot reach the database^[[2J
    | ERROR try 18: cannot reach the database^[[2J
    | ERROR try 19: cannot reach the database^[[2J
    | ERROR try 20: cannot reach the database^[[2J
    "#);
    let outcome = text(case(&report, "sokdak", "outcome"));
    assert!(
        outcome.contains("what to do next") && outcome.ends_with("outcome: as_it_was"),
        "{outcome}"
    );
}

#[test]
fn a_refusal_fails_the_hosts_that_are_the_reason_with_all_of_their_findings() {
    let mut story = Story::of("deploy");
    story.passes(Phase::Preflight, &["was-1", "was-2", "nginx-1"], 100);
    story.events.extend(Story::refused().events.split_off(1));
    let report = report(&story);
    assert_snapshot!(cases(&report), @r#"
    sokdak outcome 0.810 FAILED: deploy REFUSED before any change
    nginx-1 preflight 0.100 FAILED: `nginx -t` fails on what is there: nginx: [emerg] unknown directive "sever" in /etc/nginx/sites-enabled/a:3 / nginx: configuration file /etc/nginx/nginx.conf test failed
    was-1 preflight 0.100 FAILED: a foreign process listens on was-1:8081, the idle port: python3 -m http.server 8081^[]0;owned^G
    was-2 preflight 0.100 FAILED: has 12.0 MB free for releases, and the jar needs 180.3 MB
    "#);
    assert_snapshot!(text(case(&report, "was-2", "preflight")), @"
    has 12.0 MB free for releases, and the jar needs 180.3 MB
      hint: make room, or lower `release.keep`; nonstop removes only what it made
    has no `flock`
      hint: install the package that has `flock`
    ");
}

#[test]
fn the_report_fails_exactly_where_the_exit_code_is_not_0() {
    for story in [
        Story::deploy(),
        Story::unhealthy(),
        Story::refused(),
        Story::rolled_back(),
        Story::mixed(),
        Story::interrupted(),
        Story::locked(),
        Story::resumed(),
        Story::taken_back(),
        Story::nothing_to_resume(),
        Story::too_slow(),
        Story::unreachable(),
    ] {
        let exit = story.view().end.unwrap().exit;
        let report = report(&story);
        let failed = matches!(
            case(&report, "sokdak", "outcome").status,
            TestCaseStatus::NonSuccess { .. }
        );
        assert_eq!(failed, exit != Exit::Done, "{exit:?}\n{}", cases(&report));
        assert_eq!(
            report.failures + report.errors > 0,
            exit != Exit::Done,
            "{exit:?}\n{}",
            cases(&report)
        );
    }
}

#[test]
fn a_run_that_is_cut_off_leaves_a_report_that_says_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nonstop.xml");
    std::fs::write(&file, "the report of the last build").unwrap();
    let found = || read(&std::fs::read_to_string(&file).unwrap());
    let app = AppName::new("sokdak").unwrap();
    let mut junit = Junit::begin(&file, &app, Secrets::default()).unwrap();
    assert_snapshot!(cases(&found()), @"sokdak outcome 0.000 ERROR: the run did not end");
    let mut story = Story::of("deploy");
    story.planned().uploads().begin(Phase::Start, &WAS);
    story.events.iter().for_each(|event| junit.event(event));
    drop(junit);
    assert_snapshot!(cases(&found()), @"
    sokdak outcome 0.000 ERROR: the run did not end
    was-1 upload 5.400 passed
    was-2 upload 5.400 passed
    ");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_report_that_cannot_be_written_says_so_at_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let app = AppName::new("sokdak").unwrap();
    for file in [
        folder.path().join("missing/nonstop.xml"),
        folder.path().to_owned(),
    ] {
        assert!(
            Junit::begin(&file, &app, Secrets::default()).is_err(),
            "{}",
            file.display()
        );
    }
}

#[test]
fn hosts_with_dots_in_their_names_are_no_packages() {
    let mut story = Story::of("deploy");
    story.passes(Phase::Upload, &["was-1.example.com"], 5);
    let report = report(&story);
    let case = case(&report, "was-1.example.com", "upload");
    assert_eq!(
        case.classname.as_ref().unwrap().as_str(),
        "sokdak.was-1_example_com"
    );
}

#[test]
fn no_secret_is_in_a_report() {
    let mut gathering = Gathering::default();
    gathering.secret("cannot reach the database");
    let xml = junit::render(&Story::unhealthy().view(), "sokdak", &gathering.finish());
    assert!(
        xml.contains("try 20: ***") && !xml.contains("the database"),
        "{xml}"
    );
}

#[test]
fn a_phase_that_a_host_goes_through_twice_is_one_case() {
    let mut story = Story::of("deploy");
    story
        .passes(Phase::Commit, &NGINX, 100)
        .passes(Phase::Commit, &NGINX, 200);
    let report = report(&story);
    assert!(
        cases(&report).contains("nginx-1 commit 0.300 passed"),
        "{}",
        cases(&report)
    );
}

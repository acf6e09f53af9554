//! Events as JSON lines.

use insta::assert_snapshot;
use nonstop::model::phase::Phase;
use nonstop::report::Reporter;
use nonstop::report::json::JsonLines;

use crate::fixture::{Kept, Story, WAS};

fn json_of(story: &Story) -> String {
    let kept = Kept::default();
    let mut reporter = JsonLines::new(kept.clone());
    story.events.iter().for_each(|event| reporter.event(event));
    kept.text()
}

#[test]
fn field_names_are_stable() {
    let mut story = Story::of("deploy");
    story.planned().begin(Phase::Start, &WAS).after(1_234);
    story.end(Phase::Start, true);
    assert_snapshot!(json_of(&story), @r#"
    {"app":"sokdak","at":"2026-01-02T05:12:33.12Z","elapsed_seconds":0.0,"event":"run_started","nginx":["nginx-1"],"owner":{"build_url":null,"command":"deploy","place":"ci-7","since":"2026-01-02T05:12:33Z","who":"kim"},"run":"0197-run","was":["was-1","was-2"]}
    {"at":"2026-01-02T05:12:33.12Z","elapsed_seconds":0.0,"event":"planned","from":"blue","from_release":"20260101-100000-sokdak-1","phases":["upload","start","verify","prepare","commit"],"release":"20260102-100000-sokdak-2","to":"green"}
    {"at":"2026-01-02T05:12:33.12Z","elapsed_seconds":0.0,"event":"phase_started","hosts":["was-1","was-2"],"phase":"start"}
    {"at":"2026-01-02T05:12:33.12Z","elapsed_seconds":0.0,"event":"host_started","host":"was-1","phase":"start"}
    {"at":"2026-01-02T05:12:33.12Z","elapsed_seconds":0.0,"event":"host_started","host":"was-2","phase":"start"}
    {"at":"2026-01-02T05:12:34.354Z","elapsed_seconds":1.234,"event":"phase_ended","phase":"start","succeeded":true,"took_seconds":1.234}
    "#);
}

#[test]
fn a_failure_comes_with_all_that_is_known() {
    let failed = |line: &&str| line.contains("host_failed") || line.contains("run_ended");
    let text = json_of(&Story::unhealthy());
    let lines: Vec<&str> = text.lines().filter(failed).collect();
    let first: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    let mut failure = first["failure"].clone();
    let tail = failure["tail"].take();
    assert!(tail.as_str().unwrap().contains("cannot reach the database"));
    assert_snapshot!(failure, @r#"{"answer":{"answer":"wrong","body":"{\"status\":\"DOWN\",\"components\":{\"db\":{\"status\":\"DOWN\"}}}","reason":"status is DOWN","status":503},"endpoint":{"host":"was-2","port":8081},"failure":"unhealthy","identity":{"boot_id":"b0","pid":9876,"start_ticks":1,"uid":1000},"seen_from":"was-2","tail":null}"#);
    assert_snapshot!(lines[1], @r#"{"at":"2026-01-02T05:14:20.85Z","elapsed_seconds":107.73,"event":"run_ended","exit":"failed","exit_code":6,"live":"20260101-100000-sokdak-1","live_slot":"blue","outcome":"as_it_was","switch_took_seconds":null,"took_seconds":107.73}"#);
}

#[test]
fn every_line_is_one_object_with_its_event_and_time() {
    for line in json_of(&Story::mixed()).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["event"].is_string() && value["at"].is_string(), "{line}");
    }
}

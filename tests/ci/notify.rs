//! Webhooks of every temper, and a run that does not care.

use std::fs;

use jiff::Timestamp;
use nonstop::demo::app::AtStart;
use serde_json::Value;

use crate::hooks::{Hooks, SECRET, closed_door};
use crate::scene::{Scene, edit};

const WEBHOOKS: &str = "\
notify:
  - slack: { webhook_env: HOOK_OK }
  - webhook: { url_env: HOOK_FIELDS }
  - webhook: { url_env: HOOK_FAILURES, on: failure }
  - slack: { webhook_env: HOOK_BROKEN }
  - webhook: { url_env: HOOK_LATE, on: start, deadline: 60s }
  - webhook: { url_env: HOOK_NEVER, deadline: 500ms }
  - webhook: { url_env: HOOK_CLOSED }
  - webhook: { url_env: HOOK_ELSEWHERE }
  - slack: { webhook_env: HOOK_UNSET }
bake: { for: 0s";

fn scene() -> Scene {
    Scene::new(&[("bake: { for: 3s", WEBHOOKS)])
}

fn variables(hooks: &Hooks) -> Vec<(&'static str, String)> {
    let mut variables: Vec<_> = [
        ("HOOK_OK", "ok"),
        ("HOOK_FIELDS", "fields"),
        ("HOOK_FAILURES", "failures"),
        ("HOOK_BROKEN", "broken"),
        ("HOOK_LATE", "late"),
        ("HOOK_NEVER", "never"),
        ("HOOK_ELSEWHERE", "elsewhere"),
    ]
    .map(|(name, way)| (name, hooks.url(way)))
    .into();
    variables.push(("HOOK_CLOSED", closed_door()));
    variables.push(("BUILD_URL", "https://ci.example/job/7/".to_owned()));
    variables
}

fn texts(hooks: &Hooks, way: &str) -> Vec<String> {
    hooks.told(way).iter().map(crate::hooks::Told::text).collect()
}

#[test]
fn a_run_tells_whom_it_can_and_goes_as_if_there_was_nobody_to_tell() {
    let scene = scene();
    let hooks = Hooks::start();
    let variables = variables(&hooks);
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, url)| (*name, url.as_str()))
        .collect();
    let events = scene.folder().join("events");
    let jar = scene.jar("v1", AtStart::Listen);
    let log = scene.folder().join("log");
    let words = [
        "deploy",
        "--jar",
        jar.to_str().unwrap(),
        "--events",
        events.to_str().unwrap(),
        "-vvv",
        "--log-file",
        log.to_str().unwrap(),
    ];
    let deploy = scene.run(&words, &variables);
    assert_eq!(deploy.code, 0, "{}", deploy.text);
    assert_eq!(scene.live(), "v1");

    let slack = texts(&hooks, "ok");
    assert_eq!(slack.len(), 2, "{slack:?}");
    assert!(
        slack[0].contains("begins") && slack[0].contains("was-1, was-2 behind nginx-1"),
        "{slack:?}"
    );
    assert!(
        slack[1].contains("deploy done") && slack[1].contains("https://ci.example/job/7/"),
        "{slack:?}"
    );
    assert_eq!(texts(&hooks, "fields"), ["start", "success"]);
    assert_eq!(texts(&hooks, "failures"), [""; 0]);
    // Told while the run went on; and the run went on although somebody had not answered yet.
    let begun = hooks.told("ok")[0].at;
    let switched = event(&fs::read_to_string(&events).unwrap(), "commit");
    assert!(begun < switched, "told at {begun}, switched at {switched}");
    assert_eq!(texts(&hooks, "late"), ["start"]);

    let (_, warnings) = deploy.text.rsplit_once("\nwarnings\n").expect("warnings");
    for warning in [
        "`notify` names the variable HOOK_UNSET, which is not set",
        "the webhook of HOOK_BROKEN was not told of the success: HTTP 500: no_service",
        "the webhook of HOOK_NEVER was not told of the start: no answer within 500ms",
        "the webhook of HOOK_NEVER was not told of the success: no answer within 500ms",
        "the webhook of HOOK_CLOSED was not told of the success: ",
        "the webhook of HOOK_ELSEWHERE was not told of the start: HTTP 302",
    ] {
        assert!(warnings.contains(warning), "`{warning}` is not in {warnings}");
    }
    assert!(
        !warnings.contains("HOOK_LATE") && !warnings.contains("HOOK_OK"),
        "{warnings}"
    );
    assert!(
        deploy.text.trim_end().ends_with("outcome: deployed"),
        "{}",
        deploy.text
    );
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("ureq"), "the client's own log is looked at");
    for text in [&deploy.text, &fs::read_to_string(&events).unwrap(), &log] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_failure_keeps_its_code_and_tells_why() {
    let scene = scene();
    let hooks = Hooks::start();
    let variables = variables(&hooks);
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, url)| (*name, url.as_str()))
        .collect();
    let jar = scene.jar("v1", AtStart::Crash);
    let deploy = scene.run(&["deploy", "--jar", jar.to_str().unwrap()], &variables);
    assert_eq!(deploy.code, 6, "{}", deploy.text);
    assert!(
        deploy.text.trim_end().ends_with("outcome: as_it_was"),
        "{}",
        deploy.text
    );
    assert_eq!(texts(&hooks, "fields"), ["start", "failure"]);
    let failure = &hooks.told("failures")[0].body;
    assert_eq!(failure["exit_code"], 6);
    assert_eq!(failure["outcome"], "as_it_was");
    assert!(
        failure["reasons"][0].as_str().unwrap().contains("exited"),
        "{failure}"
    );
    assert!(texts(&hooks, "ok")[1].contains("FAILED before the switch"));
}

/// Deploys a version that gets healthy.
fn deploy(scene: &Scene, version: &str, variables: &[(&str, &str)]) {
    let jar = scene.jar(version, AtStart::Listen);
    let deploy = scene.run(&["deploy", "--jar", jar.to_str().unwrap()], variables);
    assert_eq!(deploy.code, 0, "{}", deploy.text);
}

/// A fleet, a server, and the variables that name two of its webhooks.
fn told_twice() -> (Scene, Hooks, [(&'static str, String); 2]) {
    let webhooks = "\
notify:
  - slack: { webhook_env: HOOK_OK }
  - webhook: { url_env: HOOK_FIELDS }
bake: { for: 0s";
    let hooks = Hooks::start();
    let variables = [("HOOK_OK", hooks.url("ok")), ("HOOK_FIELDS", hooks.url("fields"))];
    (Scene::new(&[("bake: { for: 3s", webhooks)]), hooks, variables)
}

#[test]
fn a_run_that_waits_for_a_person_tells_them_so_and_what_goes_on_is_a_run_of_its_own() {
    let (scene, hooks, variables) = told_twice();
    let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
    deploy(&scene, "v1", &[]);
    let by_hand = ("bake:", "update: { auto_promote: false }\nbake:");
    edit(&scene.fleet.playbook(), &[by_hand]);
    deploy(&scene, "v2", &variables);
    assert_eq!(scene.live(), "v1");
    assert_eq!(texts(&hooks, "fields"), ["start", "waiting"]);
    let waits = &hooks.told("fields")[1].body;
    assert_eq!(waits["outcome"], "waiting");
    assert_eq!(waits["exit_code"], 0);
    let slack = &hooks.told("ok")[1];
    assert_eq!(slack.body["attachments"][0]["color"], "warning");
    let said = slack.text();
    assert!(
        said.contains("deploy waits for a person") && said.contains("`nonstop promote`"),
        "{said}"
    );

    let promote = scene.run(&["promote"], &variables);
    assert_eq!(promote.code, 0, "{}", promote.text);
    assert_eq!(scene.live(), "v2");
    assert_eq!(texts(&hooks, "fields")[2..], ["start", "success"]);
}

#[test]
fn a_drill_is_told_once_and_a_quiet_one_only_if_something_is_wrong() {
    let (scene, hooks, variables) = told_twice();
    let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
    deploy(&scene, "v1", &[]);
    let refused = scene.run(&["drill", "--quiet"], &variables);
    assert_eq!(refused.code, 4, "{}", refused.text);
    assert_eq!(texts(&hooks, "fields"), ["failure"]);

    deploy(&scene, "v2", &[]);
    let drill = scene.run(&["drill"], &variables);
    assert_eq!(drill.code, 0, "{}", drill.text);
    assert_eq!(texts(&hooks, "fields")[1..], ["start", "success"]);
    let ended = &hooks.told("fields")[2].body;
    assert_eq!(ended["exit_code"], 0);
    assert_eq!(ended["drill"]["result"], "passed");
    let slack = texts(&hooks, "ok");
    assert!(slack[1].contains("drill begins: back to "), "{slack:?}");
    assert!(slack[2].contains("drill passed"), "{slack:?}");

    let quiet = scene.run(&["drill", "--quiet"], &variables);
    assert_eq!((quiet.code, quiet.text.as_str()), (0, ""));
    assert_eq!(texts(&hooks, "fields").len(), 3);
}

#[test]
fn doctor_names_what_cannot_be_told() {
    let scene = scene();
    let doctor = scene.run(&["doctor"], &[("HOOK_OK", "no address")]);
    assert!(
        doctor.text.contains("HOOK_UNSET, which is not set"),
        "{}",
        doctor.text
    );
    assert!(
        doctor.text.contains("HOOK_OK, which does not hold an address"),
        "{}",
        doctor.text
    );
    assert!(!doctor.text.contains("no address that"), "{}", doctor.text);
}

fn event(events: &str, phase: &str) -> Timestamp {
    let mut events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let begun = |event: &Value| event["event"] == "phase_started" && event["phase"] == phase;
    let event = events.find(begun).unwrap();
    event["at"].as_str().unwrap().parse().unwrap()
}

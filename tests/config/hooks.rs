//! Hooks from their lines in the playbook: what is a command and what is a file of the project, and what is refused.
#![expect(
    clippy::unwrap_used,
    reason = "what a test expects and does not find is a failed test"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use nonstop::config::{self, Source};
use nonstop::model::hook::{Hook, HookBody, HookPlace, HookPoint, Hooks, Repeats};

use super::with;

/// The playbook in a folder of its own, with these files beside it.
fn read(hooks: &str, files: &[(&str, &[u8])]) -> Result<Hooks, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let file = folder.path().join("p.yml");
    let playbook = with("health:", &format!("hooks: {hooks}\nhealth:"));
    fs::write(&file, playbook).unwrap();
    config::load_playbook(&Source::read(&file).unwrap())
        .map(|loaded| loaded.playbook.hooks)
        .map_err(|report| report.to_string())
}

fn one(hook: &str, files: &[(&str, &[u8])]) -> Hook {
    let hooks =
        read(&format!("{{ before_stop: {hook} }}"), files).unwrap_or_else(|report| panic!("{report}"));
    let mut all = hooks.at(HookPoint::BeforeStop);
    all.next().unwrap().clone()
}

#[test]
fn a_line_is_a_command_and_a_relative_path_with_a_slash_is_a_file_of_the_project() {
    for line in [
        "systemctl reload app",
        "/usr/local/bin/check",
        "~/check.sh",
        "curl -f http://127.0.0.1:$NONSTOP_PORT/a/b",
        "X=a/b run",
        "test -e a/b",
        "\"a b/c\" d",
    ] {
        let body = one(&format!("'{line}'"), &[]).body;
        assert_eq!(body, HookBody::Command(line.to_owned()));
    }
    for (line, arguments) in [
        ("./check.sh", ""),
        (
            "ops/check.sh --deep \"$NONSTOP_HOST\"",
            " --deep \"$NONSTOP_HOST\"",
        ),
        ("ops/check.sh|cat", "|cat"),
    ] {
        let files: [(&str, &[u8]); 2] = [("check.sh", b"echo one\n"), ("ops/check.sh", b"echo two\n")];
        let HookBody::Script(script) = one(&format!("'{line}'"), &files).body else {
            panic!("{line} is a command");
        };
        assert!(script.file.is_absolute());
        assert_eq!(script.arguments, arguments);
        assert_eq!(
            script.text,
            if line.starts_with("./") {
                "echo one\n"
            } else {
                "echo two\n"
            }
        );
    }
}

#[test]
fn what_is_not_said_has_a_default_and_the_list_keeps_its_order() {
    let hook = one("x", &[]);
    assert_eq!(hook.id.to_string(), "before_stop.1");
    assert_eq!(
        (hook.place, hook.timeout),
        (HookPlace::Was, Duration::from_secs(300))
    );
    assert_eq!((hook.run_as, hook.repeats), (None, Repeats::Never));
    let hook = one(
        "{ run: x, on: first, timeout: 90s, run_as: app, repeatable: true }",
        &[],
    );
    assert_eq!(
        (hook.place, hook.timeout),
        (HookPlace::First, Duration::from_secs(90))
    );
    assert_eq!(
        (hook.run_as.unwrap().as_str(), hook.repeats),
        ("app", Repeats::Freely)
    );
    let hooks = read("{ on_failure: [a, { run: b }], before_install: c }", &[]).unwrap();
    let told: Vec<_> = hooks
        .all()
        .map(|hook| format!("{} {}", hook.id, hook.body.shown()))
        .collect();
    assert_eq!(told, ["before_install.1 c", "on_failure.1 a", "on_failure.2 b"]);
    let several = one("\"set -e\\necho one\\necho two\\n\"", &[]);
    assert_eq!(several.body.command_line(), "set -e\necho one\necho two");
}

#[test]
fn mistakes_are_refused_where_they_stand() {
    let big = vec![b'#'; 257 * 1024];
    let files: [(&str, &[u8]); 4] = [
        ("big.sh", &big),
        ("binary", b"\xff\xfe"),
        ("zero", b"a\0b"),
        ("plain.sh", b"echo\n"),
    ];
    for (hooks, expected) in [
        ("{}", "`hooks` names no point of a run"),
        ("x", "`hooks` takes a map"),
        ("{ before_instal: x }", "did you mean `before_install`?"),
        ("{ before_stop: '' }", "`hooks.before_stop` is empty"),
        ("{ before_stop: { on: was } }", "`hooks.before_stop` lacks `run`"),
        (
            "{ before_stop: [x, { runs: x }] }",
            "is `runs` meant to be `run`?",
        ),
        ("{ before_stop: { run: x, timeout: 30 } }", "did you mean `30s`?"),
        (
            "{ before_stop: { run: x, timeout: 2h } }",
            "must be from 1s to 1h",
        ),
        ("{ before_stop: { run: x, on: ngnix } }", "did you mean `nginx`?"),
        ("{ before_stop: { run: x, run_as: 'a b' } }", "user name"),
        ("{ before_stop: { run: x, run_as: -u } }", "user name"),
        (
            "{ before_stop: { run: x, on: controller, run_as: app } }",
            "`run_as` goes with hooks on hosts",
        ),
        (
            "{ before_stop: { run: x, repeatable: often } }",
            "takes `true` or `false`",
        ),
        ("{ before_stop: ./no.sh }", "cannot read the script"),
        ("{ before_stop: ops/ }", "cannot read the script"),
        ("{ before_stop: ./. }", "it is no file"),
        ("{ before_stop: ./big.sh }", "larger than 256 KiB"),
        ("{ before_stop: ./binary }", "no UTF-8 text"),
        ("{ before_stop: ./zero }", "it is no text"),
        ("{ before_stop: ../p.yml }", "is not below the playbook's folder"),
        (
            "{ before_stop: ops/../../p.yml }",
            "is not below the playbook's folder",
        ),
        (
            "{ before_stop: { run: ./plain.sh, on: controller } }",
            "is not executable",
        ),
        ("{ before_stop: 'echo {{ slot.port }}' }", "is no template"),
        ("{ before_stop: \"a\\x07b\" }", "holds a control character"),
    ] {
        let report = read(hooks, &files).expect_err(hooks);
        assert!(report.contains(expected), "{hooks}: {report}");
        assert!(report.contains("p.yml:6:"), "{hooks}: {report}");
    }
}

#[test]
fn the_example_with_a_hook_at_every_point_passes() {
    let folder = Path::new("examples/hooks");
    let config = config::load(Path::new("inventory/example.yml"), &folder.join("playbook.yml"));
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    for point in HookPoint::ALL {
        assert!(config.playbook.hooks.at(point).count() > 0, "{point}");
    }
}

//! What `nonstop history` prints.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use jiff::tz::TimeZone;
use nonstop::model::names::HostName;
use nonstop::report::history::{self, History};
use nonstop::report::output::Palette;

use crate::fixture::host;

const FIRST: &str = "0197aaaa";
const SECOND: &str = "0197bbbb";

const LOCKED: &str = r#","command":"deploy","place":"ci-7""#;
const IN_COMMIT: &str = r#","phase":"commit","status":"open""#;
const DIGEST: &str = r#","sha256":"0c497961ea62398edd5fd311800b0c76031aa6b200a011d36aee873781698860""#;

fn line(time: &str, run: &str, event: &str, result: &str, more: &str) -> String {
    format!(
        r#"{{"time":"2026-01-02T{time}Z","run":"{run}","epoch":3,"who":"kim","event":"{event}","result":"{result}"{more}}}"#
    )
}

fn fleet() -> BTreeMap<HostName, String> {
    let nginx = |late: &str, end: &str| {
        [
            line("05:12:33", FIRST, "lock", "taken", LOCKED),
            line(
                &format!("05:12:5{late}"),
                FIRST,
                "commit",
                "proven",
                r#","file":"/etc/nginx/sites-enabled/sokdak.conf""#,
            ),
            line("05:13:20", FIRST, "watch", end, ""),
            line(
                "05:40:00",
                SECOND,
                "lock",
                "taken",
                r#","note":"\u001b[2Jcleared \u202eno""#,
            ),
        ]
    };
    let was = [
        line("05:12:33", FIRST, "lock", "taken", LOCKED),
        line("05:12:34", FIRST, "record", "written", IN_COMMIT),
        line("05:12:39", FIRST, "put", "stored", DIGEST),
        line(
            "05:12:40",
            FIRST,
            "start",
            "listening",
            r#","slot":"green","pid":4242"#,
        ),
        line("05:40:00", SECOND, "lock", "taken", ""),
    ];
    let torn = nginx("1", "restored").join("\n") + "\n{\"time\":\"2026-01-02T05:4";
    BTreeMap::from([
        (host("nginx-1"), nginx("0", "restored").join("\n")),
        (host("nginx-2"), torn),
        (host("was-1"), was.join("\n")),
    ])
}

fn render(history: &History) -> String {
    history::render(history, Palette::Monochrome, &TimeZone::UTC)
}

#[test]
fn the_newest_run_is_last_and_what_hosts_did_alike_is_one_line() {
    assert_snapshot!(render(&History::merge(&fleet())), @r#"
    2026-01-02 05:12:33  0197aaaa  deploy by kim@ci-7, 3 hosts, NOT ENDED: last phase commit
      05:12:33  nginx-1, nginx-2, was-1  lock    taken      command deploy, place ci-7
      05:12:34  was-1                    record  written    phase commit, status open
      05:12:39  was-1                    put     stored     sha256 0c497961ea62
      05:12:40  was-1                    start   listening  pid 4242, slot green
      05:12:50  nginx-1, nginx-2         commit  proven     file /etc/nginx/sites-enabled/sokdak.conf
      05:13:20  nginx-1, nginx-2         watch   restored

    2026-01-02 05:40:00  0197bbbb by kim, 3 hosts
      05:40:00  nginx-1, nginx-2  lock  taken  note ^[[2Jcleared \u{202e}no
      05:40:00  was-1             lock  taken

    nginx-2: 1 unreadable line left out
    "#);
}

#[test]
fn hosts_without_a_trail_are_no_error() {
    let history = History::merge(&BTreeMap::from([(host("was-1"), String::new())]));
    assert_snapshot!(render(&history), @"No host has anything on record.");
}

#[test]
fn a_run_that_somebody_else_finished_says_who_and_the_other_one_says_whose() {
    let of = format!(r#","of":"{FIRST}","phase":"finish","status":"done""#);
    let was = [
        line("05:12:33", FIRST, "lock", "taken", LOCKED),
        line("05:12:34", FIRST, "record", "written", IN_COMMIT),
        line("05:40:00", SECOND, "lock", "taken", r#","command":"resume""#),
        line("05:40:09", SECOND, "record", "written", &of),
    ];
    let mut history = History::merge(&BTreeMap::from([(host("was-1"), was.join("\n"))]));
    assert!(history.keep_run(FIRST));
    assert_snapshot!(render(&history), @r#"
    2026-01-02 05:12:33  0197aaaa  deploy by kim@ci-7, 1 host, ended by 0197bbbb
      05:12:33  was-1  lock    taken    command deploy, place ci-7
      05:12:34  was-1  record  written  phase commit, status open

    2026-01-02 05:40:00  0197bbbb  resume by kim, 1 host, went on with 0197aaaa
      05:40:00  was-1  lock    taken    command resume
      05:40:09  was-1  record  written  of 0197aaaa, phase finish, status done
    "#);
}

#[test]
fn a_run_was_ended_by_its_hosts_once_each_has_stopped_what_was_left_to_it() {
    let waits = r#","phase":"bake","status":"waiting""#;
    let host_with = |end: &str| {
        [
            line("05:12:33", FIRST, "lock", "taken", LOCKED),
            line("05:12:40", FIRST, "set_timer", "set", r#","slot":"blue""#),
            line("05:12:41", FIRST, "record", "written", waits),
            line("06:12:41", FIRST, "timer", end, r#","slot":"blue""#),
        ]
        .join("\n")
    };
    let told = |other: &str| {
        let answers = BTreeMap::from([
            (host("was-1"), host_with("terminated")),
            (host("was-2"), host_with(other)),
        ]);
        render(&History::merge(&answers))
    };
    for (other, ends) in [
        ("killed", true),
        ("already_gone", true),
        ("refused", false),
        ("stopping", false),
    ] {
        let text = told(other);
        assert_eq!(text.contains(", ended by its hosts"), ends, "{text}");
        assert_eq!(text.contains(", waits after its phase bake"), !ends, "{text}");
    }
}

//! The audit trail: what was done on a host, by whom, and nothing that is a secret.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nonstop::model::drill::{Drill, DrillResult};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::HostName;
use nonstop::remote::answer::{Answer, Fenced, StopAnswer};
use nonstop::remote::command::{
    Audit, BreakLock, Command, DiscardUpload, MarkRelease, NoteDrill, Observe, Prune, Record, Unlock,
};
use nonstop::report::drill as report;
use nonstop::report::history::History;
use serde_json::Value;

use crate::helper;
use crate::host::{Host, free_port, in_every_shell, lock_by, release, run_id};
use crate::site::{accepted, eventually, proven, with_nginx_in_every_shell};
use crate::watch::{LATE, fires};

fn audit(host: &Host, lines: u32) -> String {
    match host.run(Command::Audit(Audit { lines })) {
        Answer::Audit(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Every line as JSON; one that is none fails the test.
fn lines(host: &Host) -> Vec<Value> {
    let text = audit(host, 1000);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// `event result` of every line.
fn events(host: &Host) -> Vec<String> {
    let word = |line: &Value, key: &str| line[key].as_str().expect("a text").to_owned();
    lines(host)
        .iter()
        .map(|line| format!("{} {}", word(line, "event"), word(line, "result")))
        .collect()
}

#[test]
fn an_untouched_host_has_no_trail() {
    in_every_shell(|host| {
        assert_eq!(audit(host, 10), "");
        host.observe(Observe::default());
        assert!(!host.state().exists());
    });
}

#[test]
fn every_line_is_json_whatever_the_owner_is_called() {
    in_every_shell(|host| {
        host.machine("clock_offset", "-100000000");
        let mut lock = lock_by("run-1", 0, 1);
        lock.owner.who = "kim's \"laptop\" \\ \\\" $(touch x) `y` \u{1}\u{1b}[2J\u{7f}\t김 &".to_owned();
        lock.owner.place = "\\".to_owned();
        host.run(Command::Lock(lock));
        host.run(Command::Record(Record {
            fence: host.fence(),
            json: "{\n  \"run\": \"run-1\",\n  \"phase\": \"commit\",\n  \"status\": \"open\"\n}\n"
                .to_owned(),
        }));
        let lines = lines(host);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let who = lines[1]["who"].as_str().expect("a text");
        assert!(
            who.starts_with("kim's \"laptop\" \\ \\\" $(touch x) `y` ") && who.ends_with("[2J  김 &"),
            "{who}"
        );
        assert!(!who.contains(|c: char| c.is_control()));
        assert_eq!(lines[0]["place"], "\\");
        assert_eq!(lines[1]["run"], "run-1");
        assert_eq!(lines[1]["epoch"], 1);
        assert_eq!(
            (&lines[1]["phase"], &lines[1]["status"]),
            (&"commit".into(), &"open".into())
        );
        let time = lines[0]["time"].as_str().expect("a text");
        assert!(
            time < "2026-01-01" && time.ends_with('Z') && time.len() == 20,
            "{time}"
        );
    });
}

#[test]
fn a_drill_is_one_line_that_is_read_back_as_it_went() {
    in_every_shell(|host| {
        let drill = Drill {
            result: DrillResult::LostRequests,
            release: release("r2"),
            earlier: release("r1"),
            back: Some(Duration::from_millis(3100)),
            forward: None,
            requests: 120,
            failed_requests: 2,
        };
        let note = NoteDrill {
            run: run_id("run-9"),
            by: Owner {
                who: "kim".to_owned(),
                ..Owner::default()
            },
            drill: drill.clone(),
        };
        assert_eq!(host.run(Command::NoteDrill(note)), Answer::NoteDrill);
        let trail = BTreeMap::from([(HostName::new("was-1").expect("a name"), audit(host, 10))]);
        let past = report::past(&History::merge(&trail));
        assert_eq!(past.len(), 1, "{trail:?}");
        assert_eq!((&past[0].drill, past[0].who.as_str()), (&drill, "kim"));
        assert_eq!(past[0].run, Some(run_id("run-9")));
    });
}

#[test]
fn whatever_changes_a_host_leaves_a_line_and_no_secret() {
    in_every_shell(|host| {
        host.lock();
        host.put("r0", b"an old jar");
        host.put("r1", b"a jar");
        host.run(Command::DiscardUpload(DiscardUpload {
            fence: host.fence(),
            release: release("r1"),
        }));
        let mark = |failed| {
            host.run(Command::MarkRelease(MarkRelease {
                fence: host.fence(),
                release: release("r1"),
                failed,
            }));
        };
        mark(true);
        mark(false);
        let mut start = host.start_command(free_port(), helper::runner());
        start
            .env
            .insert("PASSWORD".to_owned(), "sentinel-of-env".to_owned());
        start
            .env
            .insert("NONSTOP_SENTINEL".to_owned(), "sentinel-too".to_owned());
        host.start(start);
        let identity = {
            let slot = host.state().join("instance.blue");
            let text = fs::read_to_string(slot).expect("a record");
            let number = |key: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(key));
                line.expect("a line").parse::<u64>().expect("a number")
            };
            nonstop::model::process::ProcessIdentity {
                pid: u32::try_from(number("pid=")).expect("a pid"),
                start_ticks: number("start_ticks="),
                boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                    .expect("it")
                    .trim()
                    .to_owned(),
                uid: nix::unistd::geteuid().as_raw(),
            }
        };
        assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::Terminated);
        host.start(host.start_command(free_port(), helper::sh("exit 3 # sentinel-of-argv")));
        host.run(Command::Prune(Prune {
            fence: host.fence(),
            keep: 1,
            protected: [release("r1")].into(),
        }));
        host.run(Command::Prune(Prune {
            fence: host.fence(),
            keep: 0,
            protected: [release("r1")].into(),
        }));
        host.run(Command::Unlock(Unlock { fence: host.fence() }));
        host.run(Command::Lock(lock_by("run-2", 1, 2)));
        host.run(Command::BreakLock(BreakLock {
            expected: Epoch(2),
            epoch: Epoch(3),
            by: nonstop::model::lock::Owner {
                who: "kim".to_owned(),
                ..lock_by("run-2", 1, 2).owner
            },
        }));
        assert_eq!(
            events(host),
            [
                "lock taken",
                "put stored",
                "put stored",
                "mark_release failed",
                "mark_release not_failed",
                "start launched",
                "start listening",
                "stop signalled",
                "stop terminated",
                "start launched",
                "start exited",
                "prune removed",
                "unlock given_back",
                "lock taken",
                "break_lock broken",
            ]
        );
        let lines = lines(host);
        assert_eq!(
            (&lines[5]["slot"], &lines[5]["release"]),
            (&"blue".into(), &"r1".into())
        );
        assert_eq!(lines[7]["pid"], identity.pid.to_string());
        assert_eq!(lines[7]["signal"], "TERM");
        let broken = &lines[14];
        assert_eq!(
            (&broken["run"], &broken["from"], &broken["who"], &broken["place"]),
            (&"run-2".into(), &"run-2".into(), &"kim".into(), &"ci".into())
        );
        let trail = audit(host, 1000);
        assert!(!trail.contains("sentinel"), "{trail}");
    });
}

#[test]
fn a_full_trail_makes_room_and_a_torn_line_spoils_no_other() {
    in_every_shell(|host| {
        host.lock();
        let file = host.state().join("audit");
        let record = || {
            let record = Record {
                fence: host.fence(),
                json: "{}".to_owned(),
            };
            assert_eq!(
                host.run(Command::Record(record)),
                Answer::Record(Fenced::Passed(()))
            );
        };
        let mut text = fs::read_to_string(&file).expect("a trail");
        text.push_str("{\"time\":\"20");
        fs::write(&file, &text).expect("written");
        record();
        let trail = audit(host, 10);
        assert_eq!(trail.lines().count(), 3, "{trail}");
        assert_eq!(trail.lines().nth(1), Some("{\"time\":\"20"));
        fs::write(&file, format!("{}\n", "xxxxxxx\n".repeat(1 << 17))).expect("written");
        record();
        record();
        assert!(
            fs::metadata(host.state().join("audit.1"))
                .expect("it is there")
                .len()
                > 1 << 20
        );
        assert_eq!(fs::read_to_string(&file).expect("a trail").lines().count(), 2);
        let last = audit(host, 2);
        assert_eq!(last, fs::read_to_string(&file).expect("a trail"));
        assert_eq!(audit(host, 3).lines().count(), 3);
        assert!(audit(host, u32::MAX).len() <= 1_000_000);
    });
}

#[test]
fn a_trail_that_cannot_be_written_stops_nothing() {
    in_every_shell(|host| {
        host.lock();
        fs::remove_file(host.state().join("audit")).expect("it is there");
        fs::create_dir(host.state().join("audit")).expect("a folder");
        let record = Record {
            fence: host.fence(),
            json: "{}".to_owned(),
        };
        assert_eq!(
            host.run(Command::Record(record)),
            Answer::Record(Fenced::Passed(()))
        );
    });
}

#[test]
fn a_switch_its_watch_and_its_way_back_are_on_the_trail() {
    with_nginx_in_every_shell(|site| {
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        let placement = site.placement(&site.site("v2"));
        accepted(site.prepare(&placement));
        site.host.later(Duration::ZERO);
        proven(site.commit_for(&placement, LATE));
        fires(site);
        proven(site.commit_for(&placement, LATE));
        let token = site.tokens().pop().expect("a token").id;
        site.confirm(&token);
        site.arm(LATE);
        fs::write(site.entry(), site.site("by hand")).expect("written");
        site.host.later(LATE);
        eventually("the watch leaves", || site.watches().is_empty());
        site.revert();
        site.clean();
        assert_eq!(
            events(&site.host),
            [
                "lock taken",
                "prepare accepted",
                "commit armed",
                "commit proven",
                "watch fired",
                "watch restored",
                "commit armed",
                "commit proven",
                "confirm confirmed",
                "arm armed",
                "watch fired",
                "watch drifted",
                "revert drifted",
                "clean_nginx cleaned",
            ]
        );
        let lines = lines(&site.host);
        assert_eq!(
            (&lines[4]["who"], &lines[4]["run"]),
            (&"watch".into(), &"run-1".into())
        );
        assert!(
            lines[11]["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("somebody else"))
        );
        let named = format!("run-1.1.{}", token.number);
        assert_eq!(lines[8]["token"], named);
    });
}

#[test]
fn of_a_trail_that_is_too_long_no_line_is_cut() {
    in_every_shell(|host| {
        host.lock();
        let file = host.state().join("audit");
        let line = format!("{{\"time\":\"{}\"}}\n", "x".repeat(300));
        fs::write(&file, line.repeat(4000)).expect("written");
        let trail = audit(host, 5000);
        assert!(
            trail.len() > 999_000 && trail.len() <= 1_000_000,
            "{}",
            trail.len()
        );
        assert!(trail.lines().all(|read| read == line.trim_end()));
        assert_eq!(audit(host, 3).lines().count(), 3);
    });
}

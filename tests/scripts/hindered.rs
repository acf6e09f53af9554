//! What becomes of a switch and its watch where disk, nginx, flocks or tools fail them.

use std::fs::{self, File};
use std::time::Duration;

use nonstop::model::token::TokenState;
use nonstop::remote::answer::{Answer, ConfirmAnswer, Fenced, StartAnswer, StopAnswer, SwitchAnswer};
use nonstop::remote::command::{Command, Commit, Record, Revert};
use nonstop::remote::parse::ParseError;

use crate::helper;
use crate::host::{Host, Shell, free_port, run_id, which};
use crate::site::{Site, eventually, proven, with_nginx_in_every_shell};
use crate::watch::{LATE, last, prepared, restored};

/// busybox takes its own applets, whatever the PATH says.
pub(crate) const SHELLS: [Shell; 2] = [Shell::Dash, Shell::Bash];

/// Lets a program fail, do something else or do it slowly where its arguments match a pattern.
pub(crate) fn hinder(host: &Host, program: &str, pattern: &str, instead: &str) {
    let real = which(program).expect("installed");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in {pattern}) {instead} ;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    host.program(program, &text);
}

/// Holds the flock of a folder while it lives.
fn flock(folder: &std::path::Path) -> File {
    let folder = File::open(folder).expect("a folder");
    folder.lock().expect("nobody has it for long");
    folder
}

fn reason(answer: SwitchAnswer) -> String {
    match answer {
        SwitchAnswer::Unproven { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_saved_home_that_a_power_failure_emptied_is_never_put_in_place() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let saved = site.host.state().join("home/run-1/entry");
        let whole = fs::read(&saved).expect("it is saved");
        fs::write(&saved, "").expect("written");
        let reason = reason(site.revert());
        assert!(reason.contains("damaged"), "{reason}");
        assert_eq!(fs::read_to_string(site.entry()).expect("a file"), site.site("v2"));
        assert_eq!(site.get(), "v2");
        fs::write(&saved, whole).expect("written");
        proven(site.revert());
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn what_is_saved_is_on_the_disk_before_it_counts() {
    for shell in SHELLS {
        let site = Site::new(shell);
        let log = site.host.path("synced");
        hinder(
            &site.host,
            "sync",
            "*",
            &format!("echo \"$*\" >>{}", log.display()),
        );
        let renamed = format!("echo renamed >>{}", log.display());
        hinder(&site.host, "mv", "*/home/.new-run-1*", &renamed);
        prepared(&site);
        let log = fs::read_to_string(log).expect("a log");
        let before = log.split("renamed").next().expect("a beginning");
        for file in [".new-run-1/entry", ".new-run-1/meta", ".new-run-1"] {
            assert!(before.lines().any(|line| line.ends_with(file)), "{file}: {log}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_renamed_into_place_stops_the_script_and_is_no_success() {
    for shell in SHELLS {
        for file in ["sequence", "record"] {
            let host = Host::new(shell);
            host.lock();
            hinder(&host, "mv", &format!("*/{file}.new.*"), "exit 1");
            let record = Command::Record(Record {
                fence: host.fence(),
                json: "{}".to_owned(),
            });
            let error = host.try_run(&record).expect_err("no success");
            assert!(error.to_string().contains("cannot be written"), "{error}");
            assert!(!host.state().join("record").exists());
        }
    }
}

#[test]
fn a_reload_that_does_not_end_is_unproven_and_holds_nobody_up() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        hinder(&site.host, "nginx", "*reload*", "exec sleep 600");
        let commit = Commit {
            deadline: Duration::from_secs(1),
            watch: LATE,
            ..site.commit_command(&placement)
        };
        match site.host.run(Command::Commit(commit)) {
            Answer::Commit(Fenced::Passed(answer)) => {
                let reason = reason(answer);
                assert!(reason.contains("did not end within 1 s"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        hinder(&site.host, "nginx", "nothing", ":");
        proven(site.revert());
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn a_switch_that_waits_for_another_applications_keeps_nobody_from_the_state() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let token = last(site);
        let revert = Command::Revert(Revert {
            fence: nonstop::model::lock::Fence {
                sequence: 1000,
                ..site.host.fence()
            },
            home: run_id("run-1"),
            nginx: site.nginx_place(),
            deadline: Duration::from_secs(10),
        });
        let others = flock(site.conf().parent().expect("a folder"));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| site.host.try_run(&revert));
            // Long before it stops waiting, and while it does.
            assert_eq!(site.confirm(&token), ConfirmAnswer::Confirmed);
            while !waits.is_finished() {
                site.host.later(Duration::from_secs(9));
                std::thread::sleep(Duration::from_millis(20));
            }
            let error = waits.join().expect("no panic").expect_err("it is held");
            assert!(matches!(error, ParseError::Busy { .. }), "{error}");
        });
        drop(others);
        assert_eq!(site.get(), "v2");
    });
}

#[test]
fn a_watch_waits_for_its_flocks_however_long_they_are_held() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let held = flock(&site.host.state());
        for _ in 0..5 {
            site.host.later(LATE);
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(site.watches().len(), 1);
        drop(held);
        restored(site);
    });
}

#[test]
fn a_watch_that_cannot_write_tries_again_and_calls_it_no_drift() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let id = last(site);
        let scratch = format!("tokens/{}.{}.{}.scratch", id.run, id.epoch.0, id.number);
        let scratch = site.host.state().join(scratch);
        eventually("the watch's folder", || scratch.exists());
        fs::remove_dir_all(&scratch).expect("it is there");
        fs::write(&scratch, "no folder").expect("written");
        site.host.later(LATE);
        let trail = || fs::read_to_string(site.host.state().join("audit")).expect("a trail");
        eventually("an attempt", || trail().contains("\"attempts_left\":\"4\""));
        fs::remove_file(&scratch).expect("it is there");
        fs::create_dir(&scratch).expect("a folder");
        restored(site);
        assert!(!trail().contains("drifted"), "{}", trail());
    });
}

#[test]
fn a_watch_whose_token_cannot_be_moved_yet_moves_it_later() {
    for shell in SHELLS {
        let site = Site::new(shell);
        let stuck = site.host.path("stuck");
        fs::write(&stuck, "").expect("written");
        let instead = format!("[ ! -e {} ] || exit 1", stuck.display());
        hinder(&site.host, "mv", "*.fired", &instead);
        let placement = prepared(&site);
        proven(site.commit_for(&placement, LATE));
        site.host.later(LATE);
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(site.token_states(), [TokenState::Armed]);
        fs::remove_file(stuck).expect("it is there");
        restored(&site);
    }
}

#[test]
fn a_signal_that_could_not_be_sent_is_on_the_trail_as_that() {
    for shell in SHELLS {
        let mut host = Host::new(shell);
        host.lock();
        host.put("r1", b"a jar");
        let started = host.start(host.start_command(free_port(), helper::runner()));
        let StartAnswer::Listening { identity, .. } = started else {
            panic!("{started:?}")
        };
        host.program(
            "id",
            "#!/bin/sh\nif [ \"$1\" = -un ]; then echo deploy; else echo 4242; fi\n",
        );
        host.program(
            "sudo",
            "#!/bin/sh\ncase $2 in -l) exit 0 ;; esac\necho 'kill: not permitted' >&2\nexit 1\n",
        );
        host.may_sudo = true;
        let answer = host.stop(host.stop_command(&identity));
        assert!(matches!(answer, StopAnswer::StillRuns { .. }), "{answer:?}");
        let trail = fs::read_to_string(host.state().join("audit")).expect("a trail");
        assert!(
            trail.contains("\"result\":\"not_signalled\"") && trail.contains("not permitted"),
            "{trail}"
        );
        assert!(!trail.contains("\"result\":\"signalled\""), "{trail}");
    }
}

//! Starting and stopping the application.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use nonstop::model::names::Port;
use nonstop::model::observed::SlotObserved;
use nonstop::model::process::ProcessIdentity;
use nonstop::remote::answer::{Answer, Fenced, StartAnswer, StopAnswer};
use nonstop::remote::command::{Command, LogTail, Observe, RenderedRunner, Successor};

use crate::helper;
use crate::host::{Host, Shell, blue, free_port, in_every_shell, remote};

fn ready(host: &Host) {
    host.lock();
    host.put("r1", b"a jar");
}

fn slot(host: &Host, port: Port) -> SlotObserved {
    let observe = Observe {
        slots: [(blue(), port)].into(),
        files: [].into(),
        nginx: None,
    };
    host.observe(observe)
        .was
        .expect("a WAS host")
        .slots
        .remove(&blue())
        .expect("a slot")
}

fn listening(answer: StartAnswer) -> ProcessIdentity {
    match answer {
        StartAnswer::Listening { identity, .. } => identity,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn runs(identity: &ProcessIdentity) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    fields.len() > 19 && fields[19] == identity.start_ticks.to_string() && fields[0] != "Z"
}

fn script(host: &Host, program: &str) -> RenderedRunner {
    let path = host.path("deploy.sh");
    fs::write(&path, format!("#!/bin/sh\n{program}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    RenderedRunner::Script {
        argv: vec![path.to_str().expect("UTF-8").to_owned(), "an argument".to_owned()],
        chdir: None,
        deadline: Duration::from_secs(10),
    }
}

#[test]
fn a_started_process_listens_is_on_record_and_ends_by_its_identity() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let mut start = host.start_command(port, helper::runner());
        start
            .env
            .insert("GREETING".to_owned(), "it's \"fine\" $HOME".to_owned());
        let identity = listening(host.start(start));
        assert!(runs(&identity));
        assert_eq!(
            fs::read_link(format!("/proc/{}/cwd", identity.pid)).expect("a folder"),
            host.path("app/releases/r1")
        );
        let environment = fs::read(format!("/proc/{}/environ", identity.pid)).expect("an environment");
        let environment = String::from_utf8(environment).expect("UTF-8");
        for variable in [
            "GREETING=it's \"fine\" $HOME".to_owned(),
            format!("NONSTOP_JAR={}", host.path("app/releases/r1/app.jar").display()),
            format!("NONSTOP_PORT={port}"),
            "NONSTOP_SLOT=blue".to_owned(),
            "NONSTOP_RELEASE=r1".to_owned(),
        ] {
            assert!(environment.split('\0').any(|own| own == variable), "{variable}");
        }
        // Our own locale is not the application's: it would change its character set.
        assert!(!environment.contains("LC_ALL=C\0"), "{environment}");
        let observed = slot(host, port);
        assert!(observed.recorded_process_listens());
        assert_eq!(observed.release().expect("a release").as_str(), "r1");
        assert!(observed.peak_memory_bytes > 0);
        let tail = host.run(Command::LogTail(LogTail {
            slot: blue(),
            lines: 10,
        }));
        match tail {
            Answer::LogTail(Some(end)) => assert!(end.text.contains("for blue"), "{}", end.text),
            other => panic!("{other:?}"),
        }
        assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::Terminated);
        assert!(!runs(&identity));
        assert!(slot(host, port).is_empty());
        assert_eq!(slot(host, port).record, None);
        assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::AlreadyGone);
    });
}

#[test]
fn a_start_whose_answer_was_lost_is_asked_for_again_and_starts_nothing_more() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let first = listening(host.start(host.start_command(port, helper::runner())));
        let second = listening(host.start(host.start_command(port, helper::runner())));
        assert_eq!(first, second);
    });
}

#[test]
fn a_process_that_ends_early_is_told_with_its_status_and_its_last_lines() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        host.start(host.start_command(port, helper::sh("echo of another start; exit 1")));
        let program = "i=0; while [ $i -lt 220 ]; do i=$((i+1)); echo line $i; done; printf 'caf\\351\\033[31m'; exit 7";
        match host.start(host.start_command(port, helper::sh(program))) {
            StartAnswer::Exited { reason, tail } => {
                assert_eq!(reason, "ended with exit status 7");
                assert!(
                    tail.starts_with("line 22\n") || tail.starts_with("line 21\n"),
                    "{tail}"
                );
                assert!(tail.contains("line 220"), "{tail}");
                assert!(
                    !tail.contains('\u{1b}') && !tail.contains("another start"),
                    "{tail}"
                );
            }
            other => panic!("{other:?}"),
        }
        match host.start(host.start_command(port, helper::sh("kill -9 $$"))) {
            StartAnswer::Exited { reason, .. } => assert_eq!(reason, "ended by signal 9"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_port_that_somebody_else_has_is_told_and_nothing_is_started() {
    in_every_shell(|host| {
        ready(host);
        let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = Port::new(stranger.local_addr().expect("an address").port()).expect("not 0");
        match host.start(host.start_command(port, helper::sh("touch started; sleep 60"))) {
            StartAnswer::PortTaken { by, .. } => {
                assert_eq!(by.identity.expect("our own").pid, std::process::id());
                assert!(by.command.contains("scripts"), "{}", by.command);
            }
            other => panic!("{other:?}"),
        }
        assert!(!host.path("app/releases/r1/started").exists());
    });
}

#[test]
fn a_stranger_who_takes_the_port_meanwhile_is_told_and_our_process_ends() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let start = host.start_command(port, helper::sh("echo $$ >pid; exec sleep 60"));
        let pid = host.path("app/releases/r1/pid");
        let answer = std::thread::scope(|scope| {
            let started = scope.spawn(|| host.start(start));
            while !fs::read_to_string(&pid).unwrap_or_default().ends_with('\n') {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _stranger = TcpListener::bind(("127.0.0.1", port.number())).expect("the port is free");
            started.join().expect("no panic")
        });
        assert!(matches!(answer, StartAnswer::PortTaken { .. }), "{answer:?}");
        let pid = fs::read_to_string(&pid).expect("a pid");
        let left = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(left.is_empty() || left.contains(") Z "), "{left}");
    });
}

#[test]
fn a_process_that_never_listens_is_left_for_the_caller_to_stop() {
    in_every_shell(|host| {
        ready(host);
        let mut start = host.start_command(free_port(), helper::sh("echo waiting; exec sleep 60"));
        start.deadline = Duration::from_millis(400);
        match host.start(start) {
            StartAnswer::NotListening { identity, tail } => {
                assert_eq!(tail, "waiting\n");
                assert!(runs(&identity));
                assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::Terminated);
                assert!(!runs(&identity));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn behind_a_wrapper_the_listener_itself_is_the_instance() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let program = format!("echo wrapper $$; {}; echo over", helper::shell_words());
        let identity = listening(host.start(host.start_command(port, helper::sh(&program))));
        let command = fs::read(format!("/proc/{}/cmdline", identity.pid)).expect("a command line");
        assert!(String::from_utf8_lossy(&command).contains("listens_where_nonstop_says\0--exact"));
        assert!(slot(host, port).recorded_process_listens());
        assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::Terminated);
    });
}

#[test]
fn a_script_of_the_user_starts_the_instance_from_the_folder_with_its_one_jar() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let program = format!(
            "set -e\n[ \"$1\" = 'an argument' ]\nset -- *.jar\n[ $# = 1 ]\n[ \"$PWD/$1\" = \"$NONSTOP_JAR\" ]\n\
             echo deploying\n{} >app.log 2>&1 &",
            helper::shell_words()
        );
        let identity = listening(host.start(host.start_command(port, script(host, &program))));
        let observed = slot(host, port);
        assert!(observed.recorded_process_listens());
        assert_eq!(observed.record.expect("a record").identity, identity);
        assert_eq!(host.stop(host.stop_command(&identity)), StopAnswer::Terminated);
    });
}

#[test]
fn a_script_of_the_user_that_fails_hangs_or_starts_nothing_is_told() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let exited = |runner: RenderedRunner| {
            let mut start = host.start_command(port, runner);
            start.deadline = Duration::from_millis(300);
            match host.start(start) {
                StartAnswer::Exited { reason, tail } => (reason, tail),
                other => panic!("{other:?}"),
            }
        };
        let (reason, tail) = exited(script(host, "echo no such profile >&2; exit 4"));
        assert_eq!(
            (reason.as_str(), tail.as_str()),
            ("the script ended with exit status 4", "no such profile\n")
        );
        let (reason, _) = exited(script(host, "exit 0"));
        assert!(reason.contains("nothing listens"), "{reason}");
        let mut hanging = script(host, "sleep 60");
        if let RenderedRunner::Script { deadline, .. } = &mut hanging {
            *deadline = Duration::from_millis(300);
        }
        let (reason, _) = exited(hanging);
        assert!(reason.contains("did not return"), "{reason}");
    });
}

#[test]
fn a_script_of_the_user_runs_in_the_folder_that_it_was_given() {
    in_every_shell(|host| {
        ready(host);
        fs::create_dir(host.path("own")).expect("a folder");
        let mut runner = script(host, "pwd >where; exit 1");
        if let RenderedRunner::Script { chdir, .. } = &mut runner {
            *chdir = Some(remote(host.path("own")));
        }
        host.start(host.start_command(free_port(), runner));
        let there = fs::read_to_string(host.path("own/where")).expect("it ran there");
        assert_eq!(Path::new(there.trim()), host.path("own"));
    });
}

#[test]
fn a_start_that_lost_its_lock_starts_nothing() {
    in_every_shell(|host| {
        ready(host);
        let mut start = host.start_command(free_port(), helper::sh("touch started"));
        start.fence.sequence = 1;
        assert!(matches!(
            host.run(Command::Start(start)),
            Answer::Start(Fenced::Refused(_))
        ));
        assert!(!host.path("app/releases/r1/started").exists());
    });
}

#[test]
fn a_process_that_only_has_the_pid_is_left_alone() {
    in_every_shell(|host| {
        ready(host);
        let identity = listening(host.start(host.start_command(free_port(), helper::runner())));
        for altered in [
            ProcessIdentity {
                start_ticks: identity.start_ticks + 1,
                ..identity.clone()
            },
            ProcessIdentity {
                boot_id: "another-boot".to_owned(),
                ..identity.clone()
            },
            ProcessIdentity {
                uid: identity.uid + 1,
                ..identity.clone()
            },
        ] {
            assert_eq!(host.stop(host.stop_command(&altered)), StopAnswer::AlreadyGone);
            assert!(runs(&identity));
        }
    });
}

#[test]
fn a_process_that_ignores_term_is_killed_after_the_grace() {
    in_every_shell(|host| {
        ready(host);
        let program = format!("trap '' TERM; exec {}", helper::shell_words());
        let identity = listening(host.start(host.start_command(free_port(), helper::sh(&program))));
        let mut stop = host.stop_command(&identity);
        stop.grace = Duration::from_millis(300);
        assert_eq!(host.stop(stop), StopAnswer::Killed);
        assert!(!runs(&identity));
    });
}

#[test]
fn nothing_is_stopped_while_its_successor_does_not_listen() {
    in_every_shell(|host| {
        ready(host);
        let (old_port, new_port) = (free_port(), free_port());
        let old = listening(host.start(host.start_command(old_port, helper::runner())));
        let mut start = host.start_command(new_port, helper::runner());
        start.slot = nonstop::model::names::SlotName::new("green").expect("a name");
        let new = listening(host.start(start));
        let stop_for = |identity: &ProcessIdentity, port: Port| {
            let mut stop = host.stop_command(&old);
            stop.successor = Some(Successor {
                identity: identity.clone(),
                port,
            });
            host.stop(stop)
        };
        let missing = |answer: StopAnswer| {
            assert!(
                matches!(answer, StopAnswer::SuccessorMissing { .. }),
                "{answer:?}"
            );
            assert!(runs(&old));
        };
        missing(stop_for(
            &ProcessIdentity {
                start_ticks: 1,
                ..new.clone()
            },
            new_port,
        ));
        missing(stop_for(&new, free_port()));
        missing(stop_for(&new, old_port));
        assert_eq!(stop_for(&new, new_port), StopAnswer::Terminated);
        assert!(!runs(&old) && runs(&new));
    });
}

#[test]
fn a_process_that_wakes_up_while_it_is_looked_at_has_a_user_still() {
    let process = concat!(env!("CARGO_MANIFEST_DIR"), "/src/remote/sh/process.sh");
    for shell in Shell::ALL {
        let look = format!(
            "BOOT_ID=none; . {process}\nwhile :; do sleep 0; done & n=0 lost=0\n\
             while [ $n -lt 1000 ]; do n=$((n + 1)); process_uid $! || lost=$((lost + 1)); done\n\
             kill $!; echo $lost"
        );
        let output = shell
            .process()
            .args(["-c", &look])
            .output()
            .expect("the shell runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "{shell:?}");
    }
}

/// Says how many processes the kernel has killed for want of memory, and ends with a signal.
fn killed_by(signal: u8, counts: u64) -> RenderedRunner {
    let program = format!(
        "echo {counts} >\"$NONSTOP_MACHINE/next\"; mv \"$NONSTOP_MACHINE/next\" \"$NONSTOP_MACHINE/memory_kills\"; \
         echo last words; kill -{signal} $$"
    );
    helper::sh(&program)
}

#[test]
fn an_instance_that_the_kernel_killed_for_want_of_memory_is_told_from_others_that_ended() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        host.machine("memory_kills", "4");
        match host.start(host.start_command(port, killed_by(9, 6))) {
            StartAnswer::OutOfMemory {
                available_bytes,
                kills,
                tail,
            } => {
                assert!(available_bytes > 0);
                assert_eq!(kills, 2);
                assert!(tail.contains("last words"), "{tail}");
            }
            other => panic!("{other:?}"),
        }
        for (signal, counts, wanted) in [
            (9, 6, "ended by signal 9"),
            (
                15,
                7,
                "ended by signal 15; meanwhile the kernel killed a process for want of memory",
            ),
        ] {
            match host.start(host.start_command(port, killed_by(signal, counts))) {
                StartAnswer::Exited { reason, .. } => assert_eq!(reason, wanted),
                other => panic!("{other:?}"),
            }
        }
        let runner = script(host, "echo 8 >\"$NONSTOP_MACHINE/memory_kills\"");
        let mut start = host.start_command(port, runner);
        start.deadline = Duration::from_millis(300);
        match host.start(start) {
            StartAnswer::Exited { reason, .. } => assert!(
                reason.ends_with("; meanwhile the kernel killed a process for want of memory"),
                "{reason}"
            ),
            other => panic!("{other:?}"),
        }
    });
}

//! Starts that are cut off: whatever they leave behind is known by its word, and ended by it.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command as Process};
use std::time::Duration;

use nonstop::model::names::{Port, StartWord};
use nonstop::model::observed::SlotObserved;
use nonstop::model::process::{StopTarget, UnfinishedStart};
use nonstop::remote::answer::{Answer, LockAnswer, StartAnswer, StopAnswer};
use nonstop::remote::command::{Command, Observe, RenderedRunner, Start, Stop};

use crate::helper;
use crate::hindered::{SHELLS, hinder};
use crate::host::{Host, blue, free_port, in_every_shell, lock_by, run_id};

/// What the user's script does with the process that is to be the application: it waits to be told to listen.
const WAYS: [&str; 3] = [
    "sh daemon.sh >/dev/null 2>&1 &",
    "( setsid sh daemon.sh >/dev/null 2>&1 & ) &",
    "sh daemon.sh",
];

fn ready(host: &Host) {
    host.lock();
    host.put("r1", b"a jar");
    let daemon = format!(
        "echo $$ >>born\nwhile [ ! -e go ]; do sleep 0.1; done\nexec {}\n",
        helper::shell_words()
    );
    fs::write(host.path("app/releases/r1/daemon.sh"), daemon).expect("written");
}

fn script(host: &Host, program: &str) -> RenderedRunner {
    let path = host.path("start.sh");
    fs::write(&path, format!("#!/bin/sh\n{program}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    RenderedRunner::Script {
        argv: vec![path.to_str().expect("UTF-8").to_owned()],
        chdir: None,
        deadline: Duration::from_secs(60),
    }
}

fn slot(host: &Host, port: Port) -> SlotObserved {
    let observe = Observe {
        slots: [(blue(), port)].into(),
        nginx: None,
        files: [].into(),
    };
    let was = host.observe(observe).was.expect("a WAS host");
    was.slots.into_values().next().expect("a slot")
}

fn unfinished(host: &Host, port: Port) -> UnfinishedStart {
    let seen = slot(host, port);
    assert_eq!(seen.record, None);
    seen.unfinished.expect("a start that put nothing on record")
}

fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1200 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} never came");
}

/// The processes that the daemon's file says were born.
fn born(host: &Host) -> Vec<u32> {
    let text = fs::read_to_string(host.path("app/releases/r1/born")).unwrap_or_default();
    text.split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.parse().ok())
        .collect()
}

fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// Sends the script of a start on its way.
fn begins(host: &Host, start: Start) -> Child {
    let (mut child, input) = host.spawn(&host.place(), &Command::Start(start));
    let mut pipe = child.stdin.take().expect("piped");
    pipe.write_all(&input).expect("the script is read");
    child
}

/// A start whose script is killed as soon as its process was born.
fn cut_off(host: &Host, start: Start) -> u32 {
    let mut child = begins(host, start);
    until("the process", || born(host).len() == 1);
    child.kill().expect("killed");
    child.wait().expect("ended");
    born(host)[0]
}

fn stop(host: &Host, word: &StartWord) -> StopAnswer {
    host.stop(Stop {
        fence: host.fence(),
        slot: blue(),
        target: StopTarget::Start(word.clone()),
        grace: Duration::from_secs(5),
        successor: None,
    })
}

/// Everybody's process with the daemon's command line, in whose environment the word is not what it carries.
fn bystanders(host: &Host, word: &StartWord) -> Vec<Child> {
    fs::create_dir_all(host.path("elsewhere")).expect("a folder");
    let daemon = host.path("app/releases/r1/daemon.sh");
    fs::copy(daemon, host.path("elsewhere/daemon.sh")).expect("copied");
    let bystander = |name: &str, value: String| {
        let mut process = Process::new("sh");
        process.arg("daemon.sh").env_remove("NONSTOP_START");
        process.env(name, value).current_dir(host.path("elsewhere"));
        process.spawn().expect("sh is there")
    };
    vec![
        bystander("NOTHING", String::new()),
        bystander("NONSTOP_START", format!("{word}1")),
        bystander("NONSTOP_START", word.as_str()[1..].to_owned()),
        bystander("OTHER", format!("\nNONSTOP_START={word}")),
    ]
}

#[test]
fn what_a_script_left_that_was_cut_off_before_it_listened_is_named_and_ended_and_nothing_else() {
    in_every_shell(|host| {
        for way in WAYS {
            let host = &Host::new(host.shell);
            ready(host);
            let port = free_port();
            let pid = cut_off(host, host.start_command(port, script(host, way)));
            let start = unfinished(host, port);
            assert_eq!((start.run.as_str(), start.release.as_str()), ("run-1", "r1"));
            assert!(start.pids.contains(&pid), "{way}: {pid} in {start:?}");
            assert!(!slot(host, port).is_empty() && !slot(host, port).left_behind_listens());
            let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
            let open = open.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            assert!(
                !open.into_iter().any(|file| file.starts_with(host.state())),
                "{way}"
            );

            let mut bystanders = bystanders(host, &start.word);
            assert_eq!(stop(host, &start.word), StopAnswer::Terminated, "{way}");
            assert!(!start.pids.iter().any(|pid| lives(*pid)), "{way}: {start:?}");
            for bystander in &mut bystanders {
                assert!(lives(bystander.id()), "{way}");
                bystander.kill().expect("killed");
                bystander.wait().expect("ended");
            }
            let seen = slot(host, port);
            assert!(seen.is_empty() && seen.unfinished.is_none(), "{seen:?}");
            assert_eq!(stop(host, &start.word), StopAnswer::AlreadyGone);
        }
    });
}

#[test]
fn an_instance_that_listens_and_never_got_on_record_is_named_and_ended() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let mut child = begins(host, host.start_command(port, script(host, WAYS[1])));
        until("the process", || born(host).len() == 1);
        let flock = fs::File::open(host.state()).expect("a folder");
        flock.lock().expect("nobody has it for long");
        fs::write(host.path("app/releases/r1/go"), "").expect("written");
        until("the listener", || {
            TcpStream::connect(("127.0.0.1", port.number())).is_ok()
        });
        child.kill().expect("killed");
        child.wait().expect("ended");
        drop(flock);
        let pid = born(host)[0];
        let start = unfinished(host, port);
        assert_eq!(start.pids, [pid]);
        assert!(slot(host, port).left_behind_listens());
        assert_eq!(stop(host, &start.word), StopAnswer::Terminated);
        assert!(!lives(pid));
        assert!(slot(host, port).is_empty());
    });
}

#[test]
fn a_start_that_is_cut_off_before_its_command_leaves_nothing_in_the_way() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        ready(host);
        let port = free_port();
        let once = "[ -e ../../../once ] || { touch ../../../once; /bin/mv \"$@\"; kill -9 $PPID; exit; }";
        let once = once.replace("../../..", host.path("").to_str().expect("UTF-8"));
        hinder(host, "mv", "*instance.blue", &once);
        let runner = || script(host, "touch go; sh daemon.sh >/dev/null 2>&1 &");
        let mut child = begins(host, host.start_command(port, runner()));
        child.wait().expect("it ends");
        let start = unfinished(host, port);
        assert_eq!((start.pids, born(host)), (Vec::new(), Vec::new()));
        assert!(slot(host, port).is_empty());
        let answer = host.start(host.start_command(port, runner()));
        assert!(matches!(answer, StartAnswer::Listening { .. }), "{answer:?}");
        assert!(slot(host, port).recorded_process_listens());
        assert_eq!(slot(host, port).unfinished, None);
    }
}

#[test]
fn a_process_whose_start_is_cut_off_before_it_is_on_record_is_named_and_ended() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        ready(host);
        let port = free_port();
        let killed = "if grep -q ^pid= \"$3\"; then kill -9 $PPID; exit 1; fi";
        hinder(host, "mv", "*instance.blue", killed);
        let mut child = begins(host, host.start_command(port, helper::runner()));
        child.wait().expect("it ends");
        let start = unfinished(host, port);
        let [pid] = start.pids[..] else {
            panic!("{start:?}");
        };
        assert!(lives(pid));
        assert_eq!(stop(host, &start.word), StopAnswer::Terminated);
        assert!(!lives(pid) && slot(host, port).is_empty());
    }
}

#[test]
fn a_start_that_was_cut_off_is_asked_for_again_and_starts_nothing_more() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let pid = cut_off(host, host.start_command(port, script(host, WAYS[1])));
        fs::write(host.path("app/releases/r1/go"), "").expect("written");
        let identity = match host.start(host.start_command(port, script(host, WAYS[1]))) {
            StartAnswer::Listening { identity, .. } => identity,
            other => panic!("{other:?}"),
        };
        assert_eq!((identity.pid, born(host)), (pid, vec![pid]));
        let seen = slot(host, port);
        assert!(
            seen.recorded_process_listens() && seen.unfinished.is_none(),
            "{seen:?}"
        );
    });
}

#[test]
fn what_another_runs_start_left_is_not_forgotten_by_a_new_start() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let pid = cut_off(host, host.start_command(port, script(host, WAYS[0])));
        let taken = host.run(Command::Unlock(nonstop::remote::command::Unlock {
            fence: host.fence(),
        }));
        assert!(matches!(taken, Answer::Unlock(_)), "{taken:?}");
        let locked = host.run(Command::Lock(lock_by("run-2", 1, 2)));
        assert_eq!(locked, Answer::Lock(LockAnswer::Taken));
        let mut start = host.start_command(port, script(host, WAYS[0]));
        start.fence.run = run_id("run-2");
        start.fence.epoch.0 = 2;
        match host.start(start) {
            StartAnswer::Exited { reason, .. } => assert!(reason.contains("cut off"), "{reason}"),
            other => panic!("{other:?}"),
        }
        let left = unfinished(host, port);
        assert_eq!(left.run.as_str(), "run-1");
        assert!(left.pids.contains(&pid));
    });
}

#[test]
fn what_is_exiting_and_shows_its_word_no_more_is_waited_for() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        ready(host);
        let port = free_port();
        let lost = host.path("lost");
        let daemon = format!(
            "trap ': >{}' TERM; echo $$ >>born; while :; do sleep 0.1; done",
            lost.display()
        );
        fs::write(host.path("app/releases/r1/daemon.sh"), daemon).expect("written");
        let mut runner = script(host, &format!("{}\nsleep 60", WAYS[1]));
        if let RenderedRunner::Script { deadline, .. } = &mut runner {
            *deadline = Duration::from_secs(2);
        }
        host.start(host.start_command(port, runner));
        let pid = born(host)[0];
        let blind = format!("[ ! -e '{}' ] || exit 1", lost.display());
        hinder(host, "grep", "*NONSTOP_START=*", &blind);
        let ends = Stop {
            fence: host.fence(),
            slot: blue(),
            target: StopTarget::Start(unfinished(host, port).word),
            grace: Duration::from_millis(300),
            successor: None,
        };
        assert_eq!(host.stop(ends), StopAnswer::Killed);
        assert!(lost.exists() && !lives(pid));
    }
}

#[test]
fn what_a_script_left_that_hung_is_ended_though_it_heeds_no_term() {
    in_every_shell(|host| {
        ready(host);
        let port = free_port();
        let daemon = "trap '' TERM; echo $$ >>born; while :; do sleep 0.1; done";
        fs::write(host.path("app/releases/r1/daemon.sh"), daemon).expect("written");
        let mut runner = script(host, &format!("{}\nsleep 60", WAYS[1]));
        if let RenderedRunner::Script { deadline, .. } = &mut runner {
            *deadline = Duration::from_secs(2);
        }
        match host.start(host.start_command(port, runner)) {
            StartAnswer::Exited { reason, .. } => assert!(reason.contains("did not return"), "{reason}"),
            other => panic!("{other:?}"),
        }
        let pid = born(host)[0];
        let start = unfinished(host, port);
        assert!(start.pids.contains(&pid), "{pid} in {start:?}");
        let ends = Stop {
            fence: host.fence(),
            slot: blue(),
            target: StopTarget::Start(start.word),
            grace: Duration::from_millis(300),
            successor: None,
        };
        assert_eq!(host.stop(ends), StopAnswer::Killed);
        assert!(!lives(pid) && slot(host, port).is_empty());
    });
}

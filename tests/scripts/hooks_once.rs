//! What a host keeps of a hook, so that none runs twice: before it begins, and however it ends.

use std::fs;
use std::time::Duration;

use nonstop::model::hook::{HookDigest, HookState, Recall, Repeats};
use nonstop::remote::answer::{Answer, Fenced, HookAnswer};
use nonstop::remote::command::{Command, Hook, HookAct};

use crate::hooks::{LONG, begin, command, done, eventually, hook, lives, record, run, seen, state, tell};
use crate::host::{in_every_shell, lock_by, run_id};

#[test]
fn one_that_nobody_ends_in_time_is_ended_by_whoever_goes_on_and_has_failed() {
    in_every_shell(|host| {
        host.lock();
        let file = host.path("pid");
        let line = format!("echo $$ >{}; sleep 300", file.display());
        let mut child = begin(host, hook(host, HookAct::Run(command(&line))));
        let pid = || fs::read_to_string(&file).unwrap_or_default();
        eventually("it never began", || !pid().trim().is_empty());
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        host.later(LONG + Duration::from_secs(5));
        assert_eq!(state(host), Some(HookState::Running));
        host.later(Duration::from_secs(10));
        assert_eq!(state(host), Some(HookState::Overdue));
        assert_eq!(run(host, command("true")), HookAnswer::Running);
        assert_eq!(tell(host, hook(host, HookAct::End)), HookAnswer::Noted);
        eventually("it goes on", || !lives(&pid()));
        let reason = "it did not end in time, and was ended".to_owned();
        assert_eq!(run(host, command("true")), HookAnswer::HadFailed { reason });
    });
}

#[test]
fn nothing_of_a_hook_runs_before_it_is_on_record_and_never_without() {
    in_every_shell(|host| {
        host.lock();
        // The disk of the record takes its time, and the script is killed meanwhile.
        let slow = "#!/bin/sh\ncase $* in *hooks/run-1*) touch \"$WAITS\"; exec sleep 5 ;; esac\nexec /bin/dd \"$@\"\n";
        host.set("WAITS", host.path("waits"));
        host.program("dd", slow);
        let began = host.path("began");
        let mut child = begin(
            host,
            hook(host, HookAct::Run(command(&format!("touch {}", began.display())))),
        );
        eventually("it is never put on record", || host.path("waits").exists());
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        std::thread::sleep(Duration::from_millis(500));
        assert!(!began.exists());
        assert_eq!(state(host), None);
    });
}

#[test]
fn how_a_hook_ended_is_put_on_record_however_long_others_hold_the_flock() {
    in_every_shell(|host| {
        host.lock();
        let mut child = begin(host, hook(host, HookAct::Run(command("sleep 1"))));
        eventually("it never began", || state(host) == Some(HookState::Running));
        let mut other = std::process::Command::new("flock")
            .arg(host.state())
            .args(["sleep", "12"])
            .spawn()
            .expect("flock starts");
        assert!(child.wait().expect("it ends").success());
        assert_eq!(state(host), Some(HookState::Done));
        other.wait().expect("it ends");
    });
}

#[test]
fn a_late_end_of_one_attempt_says_nothing_of_the_next() {
    in_every_shell(|host| {
        host.lock();
        let file = host.path("go");
        let line = format!("until [ -e {} ]; do sleep 0.1; done", file.display());
        let mut child = begin(host, hook(host, HookAct::Run(command(&line))));
        eventually("it never began", || state(host) == Some(HookState::Running));
        fs::write(
            record(host),
            "outcome=started\nreason=\npid=1\nstart_ticks=1\nboot_id=no\n",
        )
        .expect("written");
        fs::write(&file, "").expect("written");
        child.wait().expect("it ends");
        assert_eq!(state(host), Some(HookState::Unknown));
    });
}

#[test]
fn a_hook_that_is_another_by_now_is_asked_for_whatever_became_of_the_first() {
    in_every_shell(|host| {
        host.lock();
        let digest = |digit: &str| -> HookDigest { digit.repeat(64).parse().expect("a digest") };
        let told = |digit: &str, recall, repeats| {
            let mut hook = hook(host, HookAct::Run(command("echo ran")));
            hook.digest = Some(digest(digit));
            (hook.recall, hook.repeats) = (recall, repeats);
            tell(host, hook)
        };
        assert_eq!(told("a", Recall::Ask, Repeats::Never), done("ran\n"));
        assert_eq!(seen(host)[0].digest, Some(digest("a")));
        assert_eq!(told("a", Recall::Again, Repeats::Never), HookAnswer::WasDone);
        for repeats in [Repeats::Never, Repeats::Freely] {
            assert_eq!(told("b", Recall::Ask, repeats), HookAnswer::Unknown);
        }
        assert_eq!(told("b", Recall::Again, Repeats::Never), done("ran\n"));
        assert_eq!(told("c", Recall::Done, Repeats::Never), HookAnswer::WasDone);
        assert_eq!(told("c", Recall::Ask, Repeats::Never), HookAnswer::WasDone);
    });
}

#[test]
fn where_nobody_knows_how_it_ended_a_person_is_asked() {
    in_every_shell(|host| {
        host.lock();
        let begun = || fs::write(record(host), "outcome=started\nreason=\npid=\n").expect("written");
        fs::create_dir_all(host.state().join("hooks")).expect("a folder");
        begun();
        assert_eq!(state(host), Some(HookState::Unknown));
        assert_eq!(run(host, command("echo again")), HookAnswer::Unknown);
        let mut repeatable = hook(host, HookAct::Run(command("echo again")));
        repeatable.repeats = Repeats::Freely;
        assert_eq!(tell(host, repeatable), done("again\n"));
        begun();
        let mut again = hook(host, HookAct::Run(command("echo again")));
        again.recall = Recall::Again;
        assert_eq!(tell(host, again), done("again\n"));
        begun();
        let mut counts = hook(host, HookAct::Run(command("echo again")));
        counts.recall = Recall::Done;
        assert_eq!(tell(host, counts), HookAnswer::WasDone);
        assert_eq!(state(host), Some(HookState::Done));
    });
}

#[test]
fn a_hook_of_the_controller_is_noted_before_and_afterwards() {
    in_every_shell(|host| {
        host.lock();
        assert_eq!(tell(host, hook(host, HookAct::Begins)), HookAnswer::Noted);
        assert_eq!(state(host), Some(HookState::Unknown));
        assert_eq!(tell(host, hook(host, HookAct::Begins)), HookAnswer::Unknown);
        let reason = Some("ended with 'status' 3\nor so".to_owned());
        assert_eq!(tell(host, hook(host, HookAct::Ended(reason))), HookAnswer::Noted);
        let reason = "ended with 'status' 3 or so".to_owned();
        assert_eq!(
            tell(host, hook(host, HookAct::Begins)),
            HookAnswer::HadFailed { reason }
        );
        assert_eq!(tell(host, hook(host, HookAct::Ended(None))), HookAnswer::Noted);
        assert_eq!(tell(host, hook(host, HookAct::Begins)), HookAnswer::WasDone);
        fs::remove_file(record(host)).expect("it is there");
        // What the controller did not run after all never began, unless it had before.
        let mut again = hook(host, HookAct::Begins);
        again.recall = Recall::Again;
        assert_eq!(tell(host, again.clone()), HookAnswer::Noted);
        assert_eq!(tell(host, hook(host, HookAct::Never)), HookAnswer::Noted);
        assert_eq!(state(host), None);
        assert_eq!(tell(host, hook(host, HookAct::Begins)), HookAnswer::Noted);
        again.fence = host.fence();
        assert_eq!(tell(host, again), HookAnswer::Noted);
        assert_eq!(tell(host, hook(host, HookAct::Never)), HookAnswer::Noted);
        assert_eq!(state(host), Some(HookState::Unknown));
    });
}

#[test]
fn a_hook_that_has_no_lock_any_more_is_on_record_and_refused() {
    in_every_shell(|host| {
        host.lock();
        let begun = Command::Hook(hook(host, HookAct::Run(command("sleep 2"))));
        let (mut child, input) = host.spawn(&host.place(), &begun);
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &input).expect("written");
        eventually("it never began", || state(host) == Some(HookState::Running));
        // It is over by its own clock, and somebody else comes.
        fs::write(host.state().join("lock"), "epoch=1\nrun=\nlease_ms=\n").expect("written");
        let taken = host.run(Command::Lock(lock_by("run-2", 1, 2)));
        assert!(
            matches!(taken, Answer::Lock(nonstop::remote::answer::LockAnswer::Taken)),
            "{taken:?}"
        );
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("fence=refused"), "{said}");
        assert_eq!(state(host), Some(HookState::Done));
    });
}

#[test]
fn the_next_run_forgets_the_hooks_of_the_one_before() {
    in_every_shell(|host| {
        host.lock();
        assert_eq!(run(host, command("true")), done(""));
        let mut next = hook(host, HookAct::Run(command("true")));
        next.run = run_id("run-2");
        assert_eq!(tell(host, next), done(""));
        let runs: Vec<_> = seen(host).into_iter().map(|seen| seen.run).collect();
        assert_eq!(runs, [run_id("run-2")]);
        let refused = Hook {
            fence: nonstop::model::lock::Fence {
                sequence: 0,
                ..host.fence()
            },
            ..hook(host, HookAct::End)
        };
        let refused = host.run(Command::Hook(refused));
        assert!(matches!(refused, Answer::Hook(Fenced::Refused(_))));
    });
}

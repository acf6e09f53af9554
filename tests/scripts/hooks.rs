//! Hooks on a host: run once, with their output and their end on record, ended as a group at their deadline.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nonstop::model::hook::{
    HookBody, HookId, HookObserved, HookPoint, HookScript, HookState, Recall, Repeats,
};
use nonstop::model::names::UserName;
use nonstop::remote::answer::{Answer, HookAnswer, SudoEntry};
use nonstop::remote::command::{Command, Hook, HookAct, HookRun, Observe, SudoCheck};
use nonstop::remote::render::{Stdin, controller_hook};

use crate::host::{Host, in_every_shell, passed, release, run_id};

pub(crate) const LONG: Duration = Duration::from_secs(60);
const VALIDATE: HookId = HookId {
    point: HookPoint::ValidateService,
    number: 2,
};

pub(crate) fn command(line: &str) -> HookRun {
    HookRun {
        body: HookBody::Command(line.to_owned()),
        env: BTreeMap::new(),
        release: None,
        run_as: None,
        timeout: LONG,
    }
}

pub(crate) fn hook(host: &Host, act: HookAct) -> Hook {
    Hook {
        fence: host.fence(),
        run: run_id("run-1"),
        hook: VALIDATE,
        digest: None,
        recall: Recall::Ask,
        repeats: Repeats::Never,
        act,
    }
}

pub(crate) fn tell(host: &Host, hook: Hook) -> HookAnswer {
    match host.run(Command::Hook(hook)) {
        Answer::Hook(answer) => passed(answer),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn run(host: &Host, run: HookRun) -> HookAnswer {
    tell(host, hook(host, HookAct::Run(run)))
}

pub(crate) fn done(output: &str) -> HookAnswer {
    HookAnswer::Done {
        output: output.to_owned(),
    }
}

pub(crate) fn seen(host: &Host) -> Vec<HookObserved> {
    host.observe(Observe::default()).hooks
}

pub(crate) fn state(host: &Host) -> Option<HookState> {
    seen(host).first().map(|seen| seen.state)
}

pub(crate) fn record(host: &Host) -> std::path::PathBuf {
    host.state().join("hooks/run-1.validate_service.2")
}

pub(crate) fn lives(pid: &str) -> bool {
    fs::read(format!("/proc/{}/cmdline", pid.trim())).is_ok_and(|line| !line.is_empty())
}

/// Writes a file as soon as the hook has come so far, and waits for it.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hook_runs_once_and_its_output_and_its_end_are_known() {
    in_every_shell(|host| {
        host.lock();
        let count = host.path("count");
        let line = format!("echo out; echo err >&2; echo x >>{}", count.display());
        assert_eq!(run(host, command(&line)), done("out\nerr\n"));
        assert_eq!(run(host, command(&line)), HookAnswer::WasDone);
        assert_eq!(fs::read_to_string(&count).expect("it ran"), "x\n");
        let known = HookObserved {
            run: run_id("run-1"),
            hook: VALIDATE,
            state: HookState::Done,
            digest: None,
        };
        assert_eq!(seen(host), [known]);
        let trail = fs::read_to_string(host.state().join("audit")).expect("a trail");
        for result in ["started", "done"] {
            assert!(
                trail.contains(&format!("\"event\":\"hook\",\"result\":\"{result}\"")),
                "{trail}"
            );
        }
    });
}

#[test]
fn how_a_hook_failed_is_said_and_it_does_not_run_again() {
    in_every_shell(|host| {
        host.lock();
        let failed = run(host, command("echo why; exit 3"));
        let reason = "ended with exit status 3".to_owned();
        let output = "why\n".to_owned();
        assert_eq!(
            failed,
            HookAnswer::Failed {
                reason: reason.clone(),
                output
            }
        );
        assert_eq!(run(host, command("true")), HookAnswer::HadFailed { reason });
        assert_eq!(state(host), Some(HookState::Failed));
        // A person may say otherwise.
        let mut counts = hook(host, HookAct::Begins);
        counts.recall = Recall::Done;
        assert_eq!(tell(host, counts), HookAnswer::WasDone);
    });
}

#[test]
fn a_hook_and_all_of_its_group_ends_at_its_deadline() {
    in_every_shell(|host| {
        host.lock();
        let pids = host.path("pids");
        // The child ignores TERM and needs KILL.
        let line = format!(
            "echo $$ >{0}; sh -c 'trap \"\" TERM; echo $$ >>{0}; while :; do sleep 1; done' & wait",
            pids.display()
        );
        let short = HookRun {
            timeout: Duration::from_secs(2),
            ..command(&line)
        };
        let HookAnswer::Failed { reason, .. } = run(host, short) else {
            panic!("it ended well");
        };
        assert_eq!(reason, "it did not end within 2 s, and was ended");
        let pids = fs::read_to_string(pids).expect("both wrote their pids");
        assert_eq!(pids.lines().count(), 2);
        for pid in pids.lines() {
            eventually("it goes on", || !lives(pid));
        }
        assert_eq!(state(host), Some(HookState::Failed));
    });
}

#[test]
fn what_a_hook_runs_as_a_third_user_is_not_said_to_have_ended() {
    in_every_shell(|host| {
        host.lock();
        // Nobody may end it: it stands for what `sudo` runs for the hook.
        host.program("sudo", "#!/bin/sh\ncase $* in *signal=*) exit 1 ;; esac\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n");
        let file = host.path("pid");
        let short = HookRun {
            run_as: Some(UserName::new("app").expect("a name")),
            timeout: Duration::from_secs(1),
            ..command(&format!("sleep 300 & echo $! >{}; exec sleep 5", file.display()))
        };
        let HookAnswer::Failed { reason, .. } = run(host, short) else {
            panic!("it ended well");
        };
        assert!(
            reason.starts_with("it did not end within 1 s, and what it runs does not end: "),
            "{reason}"
        );
        assert_eq!(state(host), Some(HookState::Running));
        assert_eq!(tell(host, hook(host, HookAct::End)), HookAnswer::Running);
        assert_eq!(run(host, command("true")), HookAnswer::Running);
        let pid = fs::read_to_string(&file).expect("it began");
        assert!(lives(&pid));
        let pid = nix::unistd::Pid::from_raw(pid.trim().parse().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is there");
        eventually("it counts as running", || state(host) == Some(HookState::Unknown));
    });
}

#[test]
fn a_hook_whose_script_is_told_to_end_ends_too() {
    in_every_shell(|host| {
        host.lock();
        let file = host.path("pid");
        let line = format!("echo $$ >{}; sleep 300", file.display());
        let begun = Command::Hook(hook(host, HookAct::Run(command(&line))));
        let (mut child, input) = host.spawn(&host.place(), &begun);
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &input).expect("written");
        let pid = || fs::read_to_string(&file).unwrap_or_default();
        eventually("it never began", || !pid().trim().is_empty());
        eventually("it is not seen", || state(host) == Some(HookState::Running));
        assert_eq!(run(host, command("true")), HookAnswer::Running);
        let script = nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid"));
        nix::sys::signal::kill(script, nix::sys::signal::Signal::SIGTERM).expect("it is there");
        child.wait().expect("it ends");
        assert!(!lives(&pid()));
        // That says nothing of the hook: whoever goes on with the run has to ask.
        assert_eq!(state(host), Some(HookState::Unknown));
        assert_eq!(run(host, command("true")), HookAnswer::Unknown);
    });
}

#[test]
fn what_is_left_running_is_ended_by_whoever_goes_back() {
    in_every_shell(|host| {
        host.lock();
        let file = host.path("pid");
        let line = format!("echo $$ >{}; sleep 300", file.display());
        let begun = Command::Hook(hook(host, HookAct::Run(command(&line))));
        let (mut child, input) = host.spawn(&host.place(), &begun);
        std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &input).expect("written");
        eventually("it never began", || state(host) == Some(HookState::Running));
        // The script that waits for it is gone without a word, like a controller's connection.
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        assert_eq!(tell(host, hook(host, HookAct::End)), HookAnswer::Noted);
        assert_eq!(state(host), Some(HookState::Unknown));
        let pid = fs::read_to_string(&file).unwrap_or_default();
        eventually("it goes on", || pid.is_empty() || !lives(&pid));
    });
}

/// Starts the script that runs a hook.
pub(crate) fn begin(host: &Host, hook: Hook) -> std::process::Child {
    let (mut child, input) = host.spawn(&host.place(), &Command::Hook(hook));
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), &input).expect("written");
    child
}

#[test]
fn a_hook_of_the_controller_ends_with_a_nonstop_that_is_killed() {
    in_every_shell(|host| {
        let file = host.path("pid");
        let run = command(&format!("echo $$ >{}; sleep 300", file.display()));
        let Stdin::Script(script) = controller_hook(&run).stdin else {
            panic!("a hook has no jar");
        };
        fs::write(host.path("script"), script).expect("written");
        // Stands for nonstop, which starts the script as the leader of a group.
        let mut nonstop = host
            .shell
            .process()
            .args(["-c", "setsid sh \"$1\" & wait", "sh"])
            .arg(host.path("script"))
            .spawn()
            .expect("the shell starts");
        let pid = || fs::read_to_string(&file).unwrap_or_default();
        eventually("it never began", || !pid().trim().is_empty());
        nonstop.kill().expect("it is there");
        nonstop.wait().expect("it ends");
        eventually("it goes on", || !lives(&pid()));
    });
}

#[test]
fn hostile_values_reach_a_hook_as_they_are_and_no_shell() {
    in_every_shell(|host| {
        host.lock();
        let hostile = "'; touch \"$HOME\"/oops; $(id) `id` \\ \u{e9}\n*";
        let env = [("NONSTOP_RELEASE".to_owned(), hostile.to_owned())].into();
        let shown = HookRun {
            env,
            ..command("printf '%s' \"$NONSTOP_RELEASE\"")
        };
        assert_eq!(run(host, shown), done(hostile));
    });
}

#[test]
fn a_file_of_the_project_is_sent_over_and_run_with_its_arguments() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", b"a jar");
        let script = HookScript {
            file: "/on/the/controller/check.sh".into(),
            text: "#!/bin/sh\n# 'quotes' and \"more\" $HOME\necho \"$1|$2|$NONSTOP_JAR\"\nls \"$NONSTOP_JAR\" >/dev/null\n"
                .to_owned(),
            arguments: " one 'two three'".to_owned(),
        };
        let sent = HookRun {
            body: HookBody::Script(script),
            release: Some(release("r1")),
            ..command("")
        };
        let jar = host.path("app/releases/r1/app.jar");
        assert_eq!(
            run(host, sent),
            done(&format!("one|two three|{}\n", jar.display()))
        );
        let left = fs::read_dir(host.state().join("hooks")).expect("a folder");
        assert_eq!(left.count(), 1, "only what became of it is left");
    });
}

#[test]
fn another_users_hook_runs_by_sudo_with_its_environment_and_ends_by_sudo() {
    in_every_shell(|host| {
        host.lock();
        let calls = host.path("calls");
        host.program(
            "sudo",
            &format!(
                "#!/bin/sh\necho \"$*\" >>{}\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n",
                calls.display()
            ),
        );
        let user = Some(UserName::new("app").expect("a name"));
        let env: BTreeMap<_, _> = [("NONSTOP_SLOT".to_owned(), "it's blue".to_owned())].into();
        let shown = HookRun {
            run_as: user.clone(),
            env: env.clone(),
            ..command("echo \"$NONSTOP_SLOT\"; pwd")
        };
        assert_eq!(run(host, shown), done("it's blue\n/\n"));
        let said = fs::read_to_string(&calls).expect("sudo was called");
        assert!(
            said.starts_with("-n -u app -- env NONSTOP_SLOT=it's blue sh -c "),
            "{said}"
        );

        fs::remove_file(record(host)).expect("it is there");
        let file = host.path("pid");
        let short = HookRun {
            run_as: user,
            timeout: Duration::from_secs(1),
            ..command(&format!("echo $$ >{}; sleep 300", file.display()))
        };
        assert!(matches!(run(host, short), HookAnswer::Failed { .. }));
        assert!(!lives(&fs::read_to_string(&file).expect("it began")));
        let said = fs::read_to_string(&calls).expect("sudo was called");
        assert!(said.contains("-n -u app -- env sh -c signal="), "{said}");
    });
}

#[test]
fn whether_hooks_may_run_as_another_user_is_asked_beforehand() {
    in_every_shell(|host| {
        host.program(
            "sudo",
            "#!/bin/sh\ncase \"$*\" in *'-u app --'*) exit 0 ;; esac\nexit 1\n",
        );
        let check = |may_sudo| {
            let users = ["app", "other"].map(|name| UserName::new(name).expect("a name"));
            let command = Command::SudoCheck(SudoCheck {
                nginx: None,
                users: users.into(),
            });
            let place = nonstop::remote::command::Place {
                may_sudo,
                ..host.place()
            };
            let output = host.raw(&place, &command, b"");
            match nonstop::remote::parse::parse(&command, &output) {
                Ok(Answer::SudoCheck(entries)) => entries.into_iter().take(2).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        let entry = |user: &str, allowed| SudoEntry {
            command: format!("-u {user} env"),
            allowed,
        };
        assert_eq!(check(true), [entry("app", true), entry("other", false)]);
        assert_eq!(check(false), [entry("app", false), entry("other", false)]);
    });
}

#[test]
fn much_output_is_cut_to_its_end() {
    in_every_shell(|host| {
        host.lock();
        let line = "head -c 40000000 /dev/zero | tr '\\0' x; sleep 2; echo end";
        let HookAnswer::Done { output } = run(host, command(line)) else {
            panic!("it failed");
        };
        assert!(
            output.ends_with("end\n") && output.len() <= 65_536,
            "{}",
            output.len()
        );
        assert!(output.len() > 1_000);
    });
}

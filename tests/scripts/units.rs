//! Slots that systemd runs, with a stand-in for systemd: a unit is started with its release, known again whatever
//! systemd did to its process, and ended by systemd, so that nothing comes back.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::time::Duration;

use nonstop::model::observed::SlotObserved;
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::unit::UnitState;
use nonstop::remote::answer::{Answer, LogPlace, StartAnswer, StopAnswer};
use nonstop::remote::command::{Command, LogTail, Observe, Prune, RenderedRunner, Start, SudoCheck};

use crate::helper;
use crate::host::{Shell, blue, passed, release};

use systemd::Booted;

mod hour;
mod starting;
mod systemd;

fn in_every_shell(test: impl Fn(&Booted)) {
    for shell in Shell::ALL {
        eprintln!("shell: {shell:?}");
        test(&Booted::new(shell));
    }
}

impl Booted {
    fn start_command(&self) -> Start {
        let unit = self.host.units[&blue()].clone();
        self.host.start_command(self.port, RenderedRunner::Unit(unit))
    }

    fn started(&self) -> ProcessIdentity {
        match self.host.start(self.start_command()) {
            StartAnswer::Listening { identity, log: None } => identity,
            other => panic!("{other:?}"),
        }
    }

    /// Why a start failed, and what its log says.
    fn exited(&self) -> (String, String) {
        match self.host.start(self.start_command()) {
            StartAnswer::Exited { reason, tail } => (reason, tail),
            other => panic!("{other:?}"),
        }
    }

    fn slot(&self) -> SlotObserved {
        let observe = Observe {
            slots: [(blue(), self.port)].into(),
            files: [].into(),
            nginx: None,
        };
        let was = self.host.observe(observe).was.expect("a WAS host");
        was.slots[&blue()].clone()
    }

    fn stops(&self, identity: &ProcessIdentity) -> StopAnswer {
        self.host.stop(self.host.stop_command(identity))
    }

    /// What the port's link leads to.
    fn led_to(&self) -> String {
        let link = fs::read_link(self.host.path(&format!("app/current/{}", self.port)));
        link.expect("a link").to_str().expect("UTF-8").to_owned()
    }

    fn is_enabled(&self) -> bool {
        self.place("enabled").exists()
    }

    /// Nothing runs, systemd will start nothing, and nothing is on record.
    fn is_quiet(&self) {
        let seen = self.slot();
        assert!(seen.is_empty() && seen.record.is_none(), "{seen:?}");
        assert!(!self.is_enabled() && !self.place("wanted").exists());
        assert!(!self.host.state().join("instance.blue").exists());
    }
}

/// Ends a process as a crash would; systemd sees it when it is next asked.
fn crashes(identity: &ProcessIdentity) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(identity.pid).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is there");
    while runs(identity) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn runs(identity: &ProcessIdentity) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", identity.pid)).unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    fields.len() > 19 && fields[19] == identity.start_ticks.to_string() && fields[0] != "Z"
}

#[test]
fn a_unit_runs_the_release_that_its_link_leads_to_and_is_ended_by_systemd() {
    in_every_shell(|booted| {
        let identity = booted.started();
        assert_eq!(booted.asked(), ["enable", "start --no-block"]);
        assert_eq!(booted.led_to(), "../releases/r1");
        let folder = fs::read_link(format!("/proc/{}/cwd", identity.pid)).expect("a folder");
        assert_eq!(folder, booted.host.path("app/releases/r1"));
        let seen = booted.slot();
        assert!(seen.recorded_process_listens(), "{seen:?}");
        assert_eq!(seen.release(), Some(&release("r1")));
        assert_eq!(seen.record.expect("a record").log, None);
        let unit = seen.unit.expect("a unit");
        assert_eq!(
            (unit.name.as_str(), unit.state),
            (booted.unit.as_str(), UnitState::Ready)
        );
        assert_eq!(booted.stops(&identity), StopAnswer::Terminated);
        assert_eq!(booted.asked(), ["stop --no-block", "disable"]);
        assert!(!runs(&identity));
        booted.is_quiet();
        assert_eq!(booted.stops(&identity), StopAnswer::AlreadyGone);
    });
}

#[test]
fn a_unit_that_is_enabled_by_somebody_else_is_left_as_it_is() {
    in_every_shell(|booted| {
        booted.is("enabled");
        let mut start = booted.start_command();
        let RenderedRunner::Unit(unit) = &mut start.runner else {
            panic!("no unit")
        };
        unit.at_boot = nonstop::model::unit::AtBoot::Untouched;
        assert!(matches!(booted.host.start(start), StartAnswer::Listening { .. }));
        let identity = booted.slot().identity().expect("it runs").clone();
        assert_eq!(booted.stops(&identity), StopAnswer::Terminated);
        assert_eq!(booted.asked(), ["start --no-block", "stop --no-block"]);
        assert!(booted.is_enabled());
    });
}

#[test]
fn what_systemd_started_again_after_a_crash_is_the_instance_and_is_ended_for_good() {
    in_every_shell(|booted| {
        booted.is("restart");
        let first = booted.started();
        crashes(&first);
        let seen = until_listens(booted);
        let second = seen.identity().expect("it runs").clone();
        assert_ne!(first, second);
        assert!(seen.recorded_process_listens(), "{seen:?}");
        assert_eq!(seen.release(), Some(&release("r1")));
        // Whoever looked before the crash knows the first one only.
        booted.asked();
        assert_eq!(booted.stops(&first), StopAnswer::Terminated);
        assert_eq!(booted.asked(), ["stop --no-block", "disable"]);
        assert!(!runs(&second));
        booted.is_quiet();
    });
}

/// The slot, once what systemd started again listens.
fn until_listens(booted: &Booted) -> SlotObserved {
    for _ in 0..600 {
        let seen = booted.slot();
        if seen.listener.is_some() {
            return seen;
        }
    }
    panic!("it never listens: {:?}", booted.slot());
}

#[test]
fn an_enabled_unit_is_the_instance_after_a_reboot_while_its_link_leads_to_the_recorded_release() {
    in_every_shell(|booted| {
        let before = booted.started();
        booted.by_hand("stop");
        while runs(&before) {
            std::thread::sleep(Duration::from_millis(5));
        }
        booted.host.machine("boot_id", "another-boot");
        booted.by_hand("start");
        let seen = until_listens(booted);
        let record = seen.running_record().expect("it is the recorded one");
        assert_eq!(record.identity.boot_id, "another-boot");
        assert!(seen.recorded_process_listens(), "{seen:?}");
        let after = seen.identity().expect("it runs").clone();
        let link = booted.host.path(&format!("app/current/{}", booted.port));
        fs::remove_file(&link).expect("a link");
        symlink("../releases/r0", &link).expect("a link");
        let led_away = booted.slot();
        assert_eq!((led_away.release(), led_away.record_runs), (None, false));
        fs::remove_file(&link).expect("a link");
        symlink("../releases/r1", &link).expect("a link");
        assert_eq!(booted.stops(&after), StopAnswer::Terminated);
        booted.is_quiet();
    });
}

#[test]
fn a_unit_that_ends_at_once_is_told_with_its_journal_and_not_tried_again_by_systemd() {
    for restart in [false, true] {
        in_every_shell(|booted| {
            booted.runs("echo 'no database'; printf 'caf\\351\\033[31m\\n'; exit 7");
            if restart {
                booted.is("restart");
            }
            let (reason, tail) = booted.exited();
            assert!(
                reason.starts_with(&format!("unit {} is ", booted.unit)),
                "{reason}"
            );
            assert!(tail.contains("no database\ncaf\u{fffd}\u{fffd}[31m"), "{tail:?}");
            booted.is_quiet();
            // One that gave up has to be told that it may try again.
            booted.runs(&format!(
                "NONSTOP_PORT={} NONSTOP_SLOT=blue exec {}",
                booted.port,
                helper::shell_words()
            ));
            booted.started();
        });
    }
}

#[test]
fn a_unit_that_does_not_listen_in_time_is_known_by_its_start_and_ended() {
    in_every_shell(|booted| {
        booted.runs("exec sleep 600");
        let mut start = booted.start_command();
        start.deadline = Duration::from_millis(1500);
        let identity = match booted.host.start(start) {
            StartAnswer::NotListening { identity, .. } => identity,
            other => panic!("{other:?}"),
        };
        assert!(runs(&identity));
        // No boot takes it from its start.
        booted.host.machine("boot_id", "another-boot");
        let seen = booted.slot();
        let left = seen.left_behind().expect("what the start left");
        assert_eq!(left.pids, [identity.pid]);
        let mut stop = booted.host.stop_command(&identity);
        stop.target = StopTarget::Start(left.word.clone());
        assert_eq!(booted.host.stop(stop), StopAnswer::Terminated);
        assert!(!runs(&identity));
        booted.is_quiet();
    });
}

#[test]
fn a_unit_that_heeds_no_term_is_killed_after_the_grace() {
    in_every_shell(|booted| {
        booted.runs("trap '' TERM; while :; do sleep 1; done");
        let mut start = booted.start_command();
        start.deadline = Duration::from_millis(1500);
        let identity = match booted.host.start(start) {
            StartAnswer::NotListening { identity, .. } => identity,
            other => panic!("{other:?}"),
        };
        booted.asked();
        let left = booted.slot().unfinished.expect("what the start left");
        let mut stop = booted.host.stop_command(&identity);
        stop.target = StopTarget::Start(left.word);
        stop.grace = Duration::from_millis(500);
        assert_eq!(booted.host.stop(stop), StopAnswer::Killed);
        assert_eq!(
            booted.asked(),
            ["stop --no-block", "kill --signal=KILL", "disable"]
        );
        booted.is_quiet();
    });
}

#[test]
fn a_start_whose_answer_was_lost_is_asked_for_again_and_asks_systemd_for_nothing_more() {
    in_every_shell(|booted| {
        let first = booted.started();
        booted.asked();
        assert_eq!(booted.started(), first);
        assert_eq!(booted.asked(), [""; 0]);
    });
}

#[test]
fn what_an_earlier_start_left_without_listening_is_ended_before_the_next() {
    in_every_shell(|booted| {
        booted.host.put("r2", b"another jar");
        booted.runs("exec sleep 600");
        let mut start = booted.start_command();
        start.deadline = Duration::from_millis(1500);
        let StartAnswer::NotListening { identity, .. } = booted.host.start(start) else {
            panic!("it listens")
        };
        booted.runs(&format!(
            "NONSTOP_PORT={} NONSTOP_SLOT=blue exec {}",
            booted.port,
            helper::shell_words()
        ));
        let mut next = booted.start_command();
        next.release = release("r2");
        let answer = booted.host.start(next);
        assert!(matches!(answer, StartAnswer::Listening { .. }), "{answer:?}");
        assert!(!runs(&identity));
        assert_eq!(booted.slot().release(), Some(&release("r2")));
    });
}

#[test]
fn what_cannot_be_started_is_said_and_nothing_is_begun() {
    let begun = |mark: &str, wanted: &str| {
        in_every_shell(|booted| {
            booted.is(mark);
            let (reason, _) = booted.exited();
            assert!(reason.contains(wanted), "{reason}");
            assert!(!booted.place("main").exists());
            assert!(!booted.place("wanted").exists());
        });
    };
    begun("masked", "cannot be started: it is masked");
    begun("refuses-start", "failed: Failed to do that");
    begun("refuses-enable", "failed: Failed to do that");
    in_every_shell(|booted| {
        fs::remove_dir_all(booted.place("")).expect("a folder");
        let seen = booted.slot().unit.expect("a unit");
        assert_eq!(seen.state, UnitState::Unknown);
        assert!(booted.exited().0.contains("it is not-found"));
        fs::write(booted.host.path("systemd/silent"), "").expect("written");
        assert_eq!(booted.slot().unit.expect("a unit").state, UnitState::NoSystemd);
        assert_eq!(booted.exited().0, "systemd does not answer");
        assert_eq!(booted.asked(), [""; 0]);
    });
}

#[test]
fn a_port_that_somebody_has_and_a_unit_that_runs_already_are_left_alone() {
    in_every_shell(|booted| {
        let other = TcpListener::bind(("127.0.0.1", booted.port.number())).expect("the port");
        let answer = booted.host.start(booted.start_command());
        assert!(matches!(answer, StartAnswer::PortTaken { .. }), "{answer:?}");
        drop(other);
        fs::create_dir_all(booted.host.path(&format!("app/current/{}", booted.port))).expect("a folder");
        let (reason, _) = booted.exited();
        assert!(
            reason.ends_with("is there, and nonstop did not make it"),
            "{reason}"
        );
        booted.runs("exec sleep 600");
        booted.by_hand("start");
        assert!(!booted.slot().unit.expect("it is known").listens);
        let (reason, _) = booted.exited();
        assert!(reason.contains("runs already, as process"), "{reason}");
        assert_eq!(booted.asked(), [""; 0]);
        assert!(booted.slot().record.is_none());
    });
}

#[test]
fn a_link_that_leads_elsewhere_is_somebody_elses() {
    in_every_shell(|booted| {
        fs::create_dir_all(booted.host.path("app/current")).expect("a folder");
        let link = booted.host.path(&format!("app/current/{}", booted.port));
        symlink("/srv/theirs", &link).expect("a link");
        let (reason, _) = booted.exited();
        assert!(
            reason.ends_with("leads elsewhere, and nonstop did not make it"),
            "{reason}"
        );
        assert_eq!(booted.led_to(), "/srv/theirs");
        assert_eq!(booted.asked(), [""; 0]);
    });
}

#[test]
fn a_process_that_is_not_the_units_is_ended_by_itself_and_the_unit_is_left_alone() {
    in_every_shell(|booted| {
        let plain = match booted
            .host
            .start(booted.host.start_command(booted.port, helper::runner()))
        {
            StartAnswer::Listening { identity, .. } => identity,
            other => panic!("{other:?}"),
        };
        booted.runs("exec sleep 600");
        booted.by_hand("start");
        assert_eq!(booted.stops(&plain), StopAnswer::Terminated);
        assert_eq!(booted.asked(), [""; 0]);
        assert!(booted.place("wanted").exists());
    });
}

#[test]
fn an_instance_that_the_users_own_unit_ran_before_is_ended_by_systemd_too() {
    in_every_shell(|booted| {
        booted.is("restart");
        booted.is("enabled");
        let folder = booted.host.path("app/current");
        fs::create_dir_all(&folder).expect("a folder");
        symlink("../releases/r1", folder.join(booted.port.to_string())).expect("a link");
        booted.by_hand("start");
        let seen = until_listens(booted);
        assert_eq!(seen.record, None);
        assert!(seen.unit.as_ref().expect("it is known").listens);
        let identity = seen.listener_identity().expect("it can be told").clone();
        assert_eq!(booted.stops(&identity), StopAnswer::Terminated);
        assert_eq!(booted.asked(), ["stop --no-block", "disable"]);
        booted.is_quiet();
    });
}

#[test]
fn without_an_answer_of_systemd_nothing_that_it_would_start_again_is_ended() {
    in_every_shell(|booted| {
        let identity = booted.started();
        booted.asked();
        fs::write(booted.host.path("systemd/silent"), "").expect("written");
        match booted.stops(&identity) {
            StopAnswer::StillRuns { reason } => {
                assert!(reason.starts_with("systemd does not answer"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        assert!(runs(&identity));
        // It is known all the same, as long as its process is the one that was started.
        assert!(booted.slot().recorded_process_listens());
    });
}

#[test]
fn the_log_of_a_unit_is_its_journal() {
    in_every_shell(|booted| {
        booted.started();
        let tail = LogTail {
            slot: blue(),
            lines: 10,
        };
        match booted.host.run(Command::LogTail(tail)) {
            Answer::LogTail(Some(end)) => {
                assert!(matches!(end.place, LogPlace::Journal(unit) if unit.as_str() == booted.unit));
                assert!(end.text.contains("for a-unit"), "{}", end.text);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_release_that_a_link_leads_to_stays() {
    in_every_shell(|booted| {
        let identity = booted.started();
        booted.stops(&identity);
        booted.host.put("r2", b"another jar");
        booted.host.put("r3", b"a third jar");
        let prune = Prune {
            fence: booted.host.fence(),
            keep: 0,
            protected: [].into(),
        };
        match booted.host.run(Command::Prune(prune)) {
            Answer::Prune(pruned) => assert_eq!(passed(pruned), [release("r2"), release("r3")]),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn whatever_systemd_is_asked_is_tried_with_sudo_before() {
    in_every_shell(|booted| {
        let check = SudoCheck {
            nginx: None,
            users: [].into(),
        };
        let Answer::SudoCheck(entries) = booted.host.run(Command::SudoCheck(check)) else {
            panic!("another answer")
        };
        let asked: Vec<_> = entries.into_iter().map(|entry| entry.command).collect();
        let of = |verb: &str| format!("systemctl {verb} {}", booted.unit);
        let verbs = [
            "start --no-block",
            "stop --no-block",
            "reset-failed",
            "kill --signal=KILL",
            "enable",
            "disable",
        ];
        let sudoers = fs::read_to_string("examples/sudoers/nonstop").expect("the sudoers file");
        for verb in verbs {
            assert!(asked.contains(&of(verb)), "{verb}: {asked:?}");
            let granted = format!("/usr/bin/systemctl {verb} sokdak@8081.service");
            assert!(sudoers.contains(&granted), "{verb}");
        }
    });
}

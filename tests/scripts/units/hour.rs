//! The hour at which a host ends an old instance that a unit runs: by systemd, or not at all.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use nonstop::model::record::RunRecord;
use nonstop::model::timer::{TimerProgram, TimerState};
use nonstop::remote::command::RenderedRunner;

use crate::helper;
use crate::host::{Shell, blue, free_port};
use crate::site::eventually;
use crate::timer::{HOUR, Two, green, started};

use super::systemd::{Booted, answers};
use super::{crashes, runs, until_listens};

/// Both slots are run by units, and the run has ended.
struct Window {
    booted: Booted,
    green: String,
    ports: [nonstop::model::names::Port; 2],
}

impl Window {
    fn new(shell: Shell) -> Self {
        let mut booted = Booted::new(shell);
        let port = free_port();
        let green = answers(&mut booted.host, green(), port);
        booted.host.later(Duration::ZERO);
        let ports = [booted.port, port];
        Self { booted, green, ports }
    }

    fn up(&self) -> Two<'_> {
        let host = &self.booted.host;
        let up = |slot, port| {
            let unit = RenderedRunner::Unit(host.units[&slot].clone());
            (port, started(host, slot, port, unit))
        };
        let two = Two::of(host, up(blue(), self.ports[0]), up(green(), self.ports[1]));
        let _ = fs::remove_file(host.path("systemd/asked"));
        two
    }

    /// One of the stand-in's marks of the new slot's unit.
    fn of_green(&self, mark: &str) -> PathBuf {
        self.booted.host.path("systemd").join(&self.green).join(mark)
    }

    /// The old instance is up, a boot would start it again, and nobody asked systemd for anything but that.
    fn is_left_up(&self, asked: &[&str]) {
        assert_eq!(self.booted.asked(), asked);
        assert!(self.booted.is_enabled());
        assert!(self.booted.host.state().join("instance.blue").exists());
    }

    /// The old unit is ended and disabled, and the new one goes on.
    fn is_through(&self) {
        assert_eq!(self.booted.asked(), ["stop --no-block", "disable"]);
        self.booted.is_quiet();
        assert!(self.of_green("enabled").exists() && self.of_green("wanted").exists());
    }

    fn passed_the_point_of_no_return(&self) -> bool {
        let record = fs::read(self.booted.host.state().join("record")).expect("a record");
        RunRecord::read(&record)
            .expect("it can be read")
            .point_of_no_return
    }
}

fn in_every_shell(test: impl Fn(&Window)) {
    for shell in Shell::ALL {
        eprintln!("shell: {shell:?}");
        test(&Window::new(shell));
    }
}

#[test]
fn at_its_hour_the_old_unit_is_stopped_by_systemd_and_no_boot_brings_it_back() {
    in_every_shell(|window| {
        let two = window.up();
        two.set(|_| {});
        two.unlock();
        let unit = two.timer().unit.expect("it is on record");
        assert_eq!(unit.as_str(), window.booted.unit);
        window.is_left_up(&[]);
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        window.is_through();
        assert!(!runs(&two.old) && runs(&two.new));
        let audit = two.audit();
        for (line, what) in audit.iter().zip(["stopping", "stop", "disable", "terminated"]) {
            let unit = format!("\"unit\":\"{}\"", window.booted.unit);
            assert!(
                line.contains(&format!("\"result\":\"{what}\"")) && line.contains(&unit),
                "{audit:?}"
            );
        }
        assert_eq!(audit.len(), 4);
        let timer = two.timer();
        assert!(timer.is_over() && timer.unit.is_none(), "{timer:?}");
        assert!(window.passed_the_point_of_no_return());
    });
}

#[test]
fn a_unit_that_somebody_else_enables_is_stopped_and_stays_as_it_is() {
    for shell in Shell::ALL {
        let mut window = Window::new(shell);
        for unit in window.booted.host.units.values_mut() {
            unit.at_boot = nonstop::model::unit::AtBoot::Untouched;
        }
        window.booted.is("enabled");
        let two = window.up();
        two.set(|_| {});
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        assert_eq!(window.booted.asked(), ["stop --no-block"]);
        assert!(window.booted.is_enabled() && !runs(&two.old));
    }
}

#[test]
fn what_systemd_started_again_since_is_the_old_instance_and_ends() {
    in_every_shell(|window| {
        window.booted.is("restart");
        let two = window.up();
        two.set(|_| {});
        crashes(&two.old);
        let seen = until_listens(&window.booted);
        let again = seen.identity().expect("it runs").clone();
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        window.is_through();
        assert!(!runs(&again) && again != two.old);
    });
}

#[test]
fn a_new_instance_that_systemd_started_again_since_is_the_new_instance() {
    in_every_shell(|window| {
        fs::write(window.of_green("restart"), "").expect("written");
        let two = window.up();
        two.set(|timer| timer.quiet = Duration::from_secs(1));
        crashes(&two.new);
        eventually("it listens again", || {
            two.timer();
            std::net::TcpStream::connect(("127.0.0.1", window.ports[1].number())).is_ok()
        });
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        window.is_through();
        assert!(!runs(&two.old) && !runs(&two.new));
    });
}

#[test]
fn where_the_new_unit_is_down_or_runs_another_release_the_old_one_stays() {
    for other_release in [false, true] {
        in_every_shell(|window| {
            let two = window.up();
            two.set(|_| {});
            crashes(&two.new);
            if other_release {
                fs::write(window.of_green("restart"), "").expect("written");
                leads(window, 1, "r0");
                let r0 = window.booted.host.path("app/releases/r0");
                fs::create_dir_all(r0).expect("a folder");
            }
            window.booted.host.later(HOUR);
            two.becomes(TimerState::Refused);
            let said = two.timer().reason.unwrap_or_default();
            assert!(said.contains("is not the one that was started"), "{said}");
            window.is_left_up(&[]);
            assert!(runs(&two.old) && !window.passed_the_point_of_no_return());
        });
    }
}

/// A person leads a slot's link elsewhere.
fn leads(window: &Window, slot: usize, release: &str) {
    let link = format!("app/current/{}", window.ports[slot]);
    let link = window.booted.host.path(&link);
    fs::remove_file(&link).expect("a link");
    symlink(format!("../releases/{release}"), &link).expect("a link");
}

#[test]
fn a_unit_that_runs_another_release_by_then_is_somebody_elses() {
    in_every_shell(|window| {
        let two = window.up();
        two.set(|_| {});
        window.booted.by_hand("stop");
        eventually("it ends", || !runs(&two.old));
        window.booted.host.put("r2", b"another jar");
        leads(window, 0, "r2");
        window.booted.by_hand("start");
        let theirs = until_listens(&window.booted);
        let theirs = theirs.listener_identity().expect("it can be told").clone();
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Refused);
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("runs another process by now"), "{said}");
        window.is_left_up(&[]);
        assert!(runs(&theirs));
    });
}

#[test]
fn whoever_has_the_port_of_a_unit_that_is_down_is_left_alone() {
    in_every_shell(|window| {
        let two = window.up();
        two.set(|_| {});
        window.booted.by_hand("stop");
        eventually("it ends", || !runs(&two.old));
        let mut theirs = None;
        eventually("the port is free", || {
            theirs = TcpListener::bind(("127.0.0.1", window.ports[0].number())).ok();
            theirs.is_some()
        });
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        // What is down is what it was set for: no boot brings it back.
        assert_eq!(window.booted.asked(), ["disable"]);
        assert!(two.audit().iter().any(|line| line.contains("already_gone")));
        drop(theirs);
        assert!(runs(&two.new));
    });
}

#[test]
fn a_process_of_before_that_no_unit_runs_ends_by_itself() {
    for shell in Shell::ALL {
        let window = Window::new(shell);
        let host = &window.booted.host;
        let old = started(host, blue(), window.ports[0], helper::runner());
        let unit = RenderedRunner::Unit(host.units[&green()].clone());
        let new = started(host, green(), window.ports[1], unit);
        let two = Two::of(host, (window.ports[0], old), (window.ports[1], new));
        let _ = fs::remove_file(host.path("systemd/asked"));
        two.set(|_| {});
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old) && runs(&two.new));
        assert_eq!(window.booted.asked(), [""; 0]);
    }
}

#[test]
fn where_systemd_refuses_the_old_unit_stays_and_the_reason_is_written_down() {
    in_every_shell(|window| {
        window.booted.is("refuses-stop");
        let two = window.up();
        two.set(|_| {});
        window.booted.host.later(HOUR);
        eventually("it gives up", || two.timer().program == TimerProgram::Gone);
        let timer = two.timer();
        assert_eq!(timer.state, TimerState::Stopping);
        let said = timer.reason.clone().unwrap_or_default();
        assert!(said.contains("Failed to do that"), "{said}");
        window.is_left_up(&["stop --no-block"]);
        assert!(runs(&two.old) && !timer.is_over());
    });
}

#[test]
fn where_systemd_does_not_answer_nothing_is_begun() {
    in_every_shell(|window| {
        let two = window.up();
        two.set(|_| {});
        let silent = window.booted.host.path("systemd/silent");
        fs::write(&silent, "").expect("written");
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Refused);
        fs::remove_file(silent).expect("it was there");
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("systemd does not answer"), "{said}");
        window.is_left_up(&[]);
        assert!(runs(&two.old) && !window.passed_the_point_of_no_return());
    });
}

#[test]
fn what_systemd_may_start_again_is_not_taken_for_gone_while_it_does_not_answer() {
    in_every_shell(|window| {
        window.booted.is("restart");
        let two = window.up();
        two.set(|_| {});
        let silent = window.booted.host.path("systemd/silent");
        fs::write(&silent, "").expect("written");
        crashes(&two.old);
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Refused);
        fs::remove_file(silent).expect("it was there");
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("systemd does not answer"), "{said}");
        window.is_left_up(&[]);
        until_listens(&window.booted);
    });
}

#[test]
fn where_sudo_does_not_let_it_nothing_is_begun() {
    for (verb, asks) in [
        ("stop", &["stop --no-block"][..]),
        ("disable", &["stop --no-block", "disable"]),
    ] {
        for shell in Shell::ALL {
            let mut window = Window::new(shell);
            window.booted.host.may_sudo = true;
            let two = window.up();
            let host = &window.booted.host;
            host.program(
                "id",
                "#!/bin/sh\nif [ \"$1\" = -un ]; then echo deploy; else echo 4242; fi\n",
            );
            let sudo = "#!/bin/sh\necho \"$*\" >>\"${0%/*}/../sudo\"\ncase $* in\n*' @VERB@ '*)\n    \
                        echo 'Sorry, user deploy may not run sudo' >&2\n    exit 1\n    ;;\n-n\\ -l\\ *) exit 0 ;;\nesac\n\
                        shift 2\nexec \"$@\"\n";
            host.program("sudo", &sudo.replace("@VERB@", verb));
            two.set(|_| {});
            host.later(HOUR);
            two.becomes(TimerState::Refused);
            let said = two.timer().reason.unwrap_or_default();
            assert!(
                said.contains(&format!("sudo does not let it {verb} the unit")),
                "{said}"
            );
            let asked = fs::read_to_string(host.path("sudo")).expect("sudo was asked");
            let unit = &window.booted.unit;
            let wanted = asks
                .iter()
                .map(|ask| format!("-n -l -- systemctl {ask} {unit}\n"));
            assert_eq!(asked, wanted.collect::<String>());
            window.is_left_up(&[]);
            assert!(runs(&two.old) && !window.passed_the_point_of_no_return());
        }
    }
}

#[test]
fn a_unit_that_ended_and_could_not_be_disabled_is_stopped_and_the_reason_is_written_down() {
    in_every_shell(|window| {
        window.booted.is("refuses-disable");
        let two = window.up();
        two.set(|_| {});
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        let timer = two.timer();
        let said = timer.reason.clone().unwrap_or_default();
        assert!(
            said.contains("was not disabled") && said.contains("Failed to do that"),
            "{said}"
        );
        assert!(timer.is_over() && !runs(&two.old));
        assert_eq!(window.booted.asked(), ["stop --no-block", "disable"]);
    });
}

#[test]
fn a_unit_that_heeds_no_term_is_killed_after_the_grace() {
    in_every_shell(|window| {
        let port = window.ports[0];
        let words = helper::shell_words();
        window.booted.runs(&format!(
            "trap '' TERM; NONSTOP_PORT={port} NONSTOP_SLOT=a-unit exec {words}"
        ));
        let two = window.up();
        two.set(|timer| timer.grace = Duration::from_millis(500));
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopped);
        let asked = ["stop --no-block", "kill --signal=KILL", "disable"];
        assert_eq!(window.booted.asked(), asked);
        window.booted.is_quiet();
        assert!(two.audit().iter().any(|line| line.contains("killed")));
    });
}

#[test]
fn whoever_starts_the_slot_while_its_unit_is_told_to_end_keeps_what_was_started() {
    in_every_shell(|window| {
        let port = window.ports[0];
        let words = helper::shell_words();
        window.booted.runs(&format!(
            "trap '' TERM; NONSTOP_PORT={port} NONSTOP_SLOT=a-unit exec {words}"
        ));
        let two = window.up();
        two.set(|timer| timer.grace = Duration::from_secs(3600));
        window.booted.host.later(HOUR);
        two.becomes(TimerState::Stopping);
        eventually("systemd is told", || !window.booted.place("wanted").exists());
        // It runs again, and another start is on record for it.
        let record = window.booted.host.state().join("instance.blue");
        let text = fs::read_to_string(&record).expect("a record");
        let release = text.lines().find(|line| line.starts_with("release="));
        let text = text.replace(release.expect("a release"), "release=r7");
        fs::write(&record, &text).expect("written");
        window.booted.is("wanted");
        two.outlives_the_grace();
        two.becomes(TimerState::Stopped);
        window.is_left_up(&["stop --no-block"]);
        assert_eq!(fs::read_to_string(record).expect("a record"), text);
        assert!(runs(&two.old));
    });
}

#[test]
fn after_a_reboot_the_old_unit_is_up_again_and_its_hour_is_lost() {
    in_every_shell(|window| {
        let two = window.up();
        two.set(|_| {});
        two.unlock();
        window.booted.by_hand("stop");
        eventually("it ends", || !runs(&two.old));
        window.booted.host.machine("boot_id", "another-boot");
        window.booted.by_hand("start");
        let seen = until_listens(&window.booted);
        assert!(seen.recorded_process_listens(), "{seen:?}");
        window.booted.host.later(HOUR);
        let timer = two.timer();
        assert_eq!(
            (timer.state, timer.program),
            (TimerState::Pending, TimerProgram::Rebooted)
        );
        assert_eq!(timer.unit.as_ref().expect("a unit").as_str(), window.booted.unit);
        assert!(!timer.is_over() && !timer.is_under_way());
        window.is_left_up(&[]);
        assert!(two.audit().is_empty());
    });
}

//! The hour at which a host stops its old instance by itself.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{Port, SlotName};
use nonstop::model::process::ProcessIdentity;
use nonstop::model::record::{RunRecord, RunStatus};
use nonstop::model::timer::{Timer, TimerProgram, TimerState};
use nonstop::remote::answer::{Answer, Fenced, StartAnswer};
use nonstop::remote::command::{
    CancelTimer, Command, HealthRequest, Observe, Record, RenderedRunner, SetTimer, Successor, Unlock,
};

use crate::helper;
use crate::host::{Host, blue, free_port, in_every_shell, lock_by, passed, run_id};
use crate::instances::runs;
use crate::site::eventually;

/// Long enough that it does not come by itself in a test, and short enough that nobody sleeps through it.
pub(crate) const HOUR: Duration = Duration::from_secs(50);

pub(crate) fn green() -> SlotName {
    SlotName::new("green").expect("a name")
}

/// A host whose run has ended and left the stop of its old instance to it.
pub(crate) struct Two<'h> {
    host: &'h Host,
    pub(crate) port: Port,
    pub(crate) old: ProcessIdentity,
    pub(crate) new: ProcessIdentity,
    pub(crate) new_port: Port,
}

pub(crate) fn started(host: &Host, slot: SlotName, port: Port, runner: RenderedRunner) -> ProcessIdentity {
    let mut start = host.start_command(port, runner);
    start.slot = slot;
    match host.start(start) {
        StartAnswer::Listening { identity, .. } => identity,
        other => panic!("{other:?}"),
    }
}

impl<'h> Two<'h> {
    pub(crate) fn up(host: &'h Host) -> Self {
        Self::with(host, helper::runner())
    }

    /// Both instances are up, and the record says that the run waits.
    pub(crate) fn with(host: &'h Host, old: RenderedRunner) -> Self {
        host.later(Duration::ZERO);
        host.lock();
        host.put("r1", b"a jar");
        let (port, new_port) = (free_port(), free_port());
        let old = started(host, blue(), port, old);
        let new = started(host, green(), new_port, helper::answering());
        Self::of(host, (port, old), (new_port, new))
    }

    /// The record says of two instances that their run waits.
    pub(crate) fn of(
        host: &'h Host,
        (port, old): (Port, ProcessIdentity),
        (new_port, new): (Port, ProcessIdentity),
    ) -> Self {
        let two = Self {
            host,
            port,
            old,
            new,
            new_port,
        };
        two.record(|_| {});
        two
    }

    pub(crate) fn record(&self, change: impl FnOnce(&mut RunRecord)) {
        let mut record = RunRecord::opened(run_id("run-1"), Epoch(1), Owner::default());
        record.status = RunStatus::Waiting;
        change(&mut record);
        let fence = self.host.fence();
        let json = serde_json::to_string_pretty(&record).expect("plain data");
        let written = self.host.run(Command::Record(Record { fence, json }));
        assert_eq!(written, Answer::Record(Fenced::Passed(())));
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut SetTimer)) {
        let mut timer = SetTimer {
            fence: self.host.fence(),
            run: run_id("run-1"),
            after: HOUR,
            slot: blue(),
            port: self.port,
            identity: self.old.clone(),
            grace: Duration::from_secs(10),
            successor: Successor {
                identity: self.new.clone(),
                port: self.new_port,
            },
            successor_slot: green(),
            health: HealthRequest {
                address: "127.0.0.1".to_owned(),
                path: "/actuator/health".to_owned(),
                status: 200,
                body_contains: Some("\"UP\"".to_owned()),
                timeout: Duration::from_secs(2),
            },
            nginx: ["127.0.0.1".parse().expect("an address")].into(),
            quiet: Duration::from_millis(300),
            quiet_limit: Duration::from_secs(3600),
        };
        change(&mut timer);
        match self.host.run(Command::SetTimer(Box::new(timer))) {
            Answer::SetTimer(answer) => assert!(passed(answer) <= HOUR),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn unlock(&self) {
        let fence = self.host.fence();
        let given = self.host.run(Command::Unlock(Unlock { fence }));
        assert_eq!(given, Answer::Unlock(Fenced::Passed(())));
    }

    pub(crate) fn cancel(&self) -> Option<TimerState> {
        let cancel = CancelTimer {
            fence: self.host.fence(),
            run: run_id("run-1"),
        };
        match self.host.run(Command::CancelTimer(cancel)) {
            Answer::CancelTimer(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn timer(&self) -> Timer {
        let observe = Observe {
            slots: [(blue(), self.port), (green(), self.new_port)].into(),
            ..Observe::default()
        };
        let was = self.host.observe(observe).was.expect("a WAS host");
        was.timer.expect("a timer")
    }

    /// The process that sleeps.
    pub(crate) fn sleeper(&self) -> i32 {
        let folder = fs::read_dir(self.host.state().join("timers")).expect("a folder");
        let mut files = folder.flatten().map(|file| file.path());
        let file = files.find(|path| path.extension().is_some_and(|it| it == "pid"));
        let text = fs::read_to_string(file.expect("its pid")).expect("a pid");
        text.split(' ').next().expect("a word").parse().expect("a number")
    }

    pub(crate) fn becomes(&self, state: TimerState) {
        eventually(state.as_str(), || {
            let timer = self.timer();
            timer.state == state && (state == TimerState::Stopping || timer.program == TimerProgram::Gone)
        });
    }

    /// However late the grace of an hour begins after the state was seen.
    pub(crate) fn outlives_the_grace(&self) {
        eventually("the end of the grace", || {
            self.host.later(Duration::from_secs(3600));
            self.timer().state != TimerState::Stopping
        });
    }

    pub(crate) fn audit(&self) -> Vec<String> {
        let audit = fs::read_to_string(self.host.state().join("audit")).expect("a trail");
        let of_timer = audit.lines().filter(|line| line.contains("\"event\":\"timer\""));
        of_timer.map(str::to_owned).collect()
    }
}

#[test]
fn at_its_hour_the_old_instance_ends_and_the_record_says_so_first() {
    in_every_shell(|host| {
        let two = Two::with(host, helper::copying());
        two.set(|_| {});
        two.unlock();
        let timer = two.timer();
        assert_eq!(
            (timer.state, timer.program),
            (TimerState::Pending, TimerProgram::Alive)
        );
        assert!(
            timer.left.is_some_and(|left| left <= HOUR && left > HOUR / 2),
            "{timer:?}"
        );
        assert!(timer.is_under_way() && runs(&two.old));
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old) && runs(&two.new));
        let before_it_ended = fs::read(host.path("at-term")).expect("it was told to end");
        let before_it_ended = RunRecord::read(&before_it_ended).expect("it can be read");
        assert!(before_it_ended.point_of_no_return);
        let audit = two.audit();
        assert_eq!(audit.len(), 3, "{audit:?}");
        for (line, what) in audit.iter().zip(["stopping", "signalled", "terminated"]) {
            assert!(line.contains(&format!("\"result\":\"{what}\"")), "{audit:?}");
        }
        let record = fs::read(host.state().join("record")).expect("a record");
        let record = RunRecord::read(&record).expect("it can still be read");
        assert!(record.point_of_no_return && record.status == RunStatus::Waiting);
        assert!(!host.state().join("instance.blue").exists());
        assert!(two.timer().is_over());
    });
}

#[test]
fn whatever_speaks_against_it_leaves_the_old_instance_up() {
    type Change = fn(&Two<'_>);
    let changes: [(&str, Change); 9] = [
        ("the lock was taken since, under epoch 2", |two| {
            two.unlock();
            let taken = Command::Lock(lock_by("run-2", 1, 2));
            two.host.run(taken);
        }),
        ("the run on record is run-9", |two| {
            two.record(|record| record.run = run_id("run-9"));
        }),
        ("run run-9 holds the lock", |two| {
            let file = two.host.state().join("lock");
            let lock = fs::read_to_string(&file).expect("a lock");
            fs::write(file, lock.replace("run=run-1", "run=run-9")).expect("written");
        }),
        ("the run went on under epoch 2", |two| {
            two.record(|record| record.epoch = Epoch(2));
        }),
        ("does not wait: it is open", |two| {
            two.record(|record| record.status = RunStatus::Open);
        }),
        ("is not the one that was started", |two| {
            let pid = Pid::from_raw(two.new.pid.cast_signed());
            kill(pid, Signal::SIGKILL).expect("it was there");
        }),
        ("the new instance is not healthy: it answers 503", |two| {
            fs::write(two.host.path("app/sick"), "").expect("written");
        }),
        ("the new instance is not healthy: it answers 200", |_| {}),
        ("nothing listens on port", |_| {}),
    ];
    in_every_shell(|host| {
        for (at, (reason, change)) in changes.iter().enumerate() {
            eprintln!("{reason}");
            let host = &Host::new(host.shell);
            let two = Two::up(host);
            let elsewhere = free_port();
            // Of the last two one says something else, and one has another port.
            let left = changes.len() - at;
            two.set(|timer| match left {
                2 => timer.health.body_contains = Some("\"DOWN\"".to_owned()),
                1 => timer.successor.port = elsewhere,
                _ => {}
            });
            change(&two);
            host.later(HOUR);
            two.becomes(TimerState::Refused);
            let said = two.timer().reason.unwrap_or_default();
            assert!(said.contains(reason), "{said}");
            assert!(runs(&two.old), "{reason}");
        }
    });
}

#[test]
fn a_process_that_was_started_since_is_not_the_one_that_ends() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|_| {});
        host.stop(host.stop_command(&two.old));
        let other = started(host, blue(), two.port, helper::runner());
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
        assert!(runs(&other));
        assert!(two.audit()[0].contains("already_gone"), "{:?}", two.audit());
        assert!(host.state().join("instance.blue").exists());
    });
}

#[test]
fn a_connection_from_nginx_lets_the_quiet_time_begin_anew() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|timer| timer.quiet = Duration::from_secs(5));
        two.unlock();
        let connection = TcpStream::connect(("127.0.0.1", two.port.number())).expect("it listens");
        host.later(HOUR);
        // However long it lasts.
        host.later(HOUR);
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(two.timer().state, TimerState::Pending);
        assert!(runs(&two.old));
        drop(connection);
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(
            two.timer().state,
            TimerState::Pending,
            "it is quiet for a moment only"
        );
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old));
    });
}

#[test]
fn an_old_port_that_nginx_goes_on_using_is_left_open() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|timer| timer.quiet_limit = Duration::from_secs(1));
        let _connection = TcpStream::connect(("127.0.0.1", two.port.number())).expect("it listens");
        host.later(HOUR);
        two.becomes(TimerState::Refused);
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("nginx goes on using port"), "{said}");
        assert!(runs(&two.old));
    });
}

#[test]
fn whoever_cancels_it_before_the_hour_is_first() {
    in_every_shell(|host| {
        let two = Two::up(host);
        assert_eq!(two.cancel(), None);
        two.set(|_| {});
        assert_eq!(two.cancel(), Some(TimerState::Cancelled));
        assert_eq!(two.cancel(), Some(TimerState::Cancelled));
        host.later(HOUR);
        two.becomes(TimerState::Cancelled);
        assert!(runs(&two.old) && two.audit().is_empty());
        // One that is set anew takes the place of what was before.
        two.set(|_| {});
        assert_eq!(two.timer().state, TimerState::Pending);
        two.set(|_| {});
        let files = fs::read_dir(host.state().join("timers")).expect("a folder");
        let pending = files.flatten().filter(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            [".pending", ".cancelled"]
                .iter()
                .any(|state| name.ends_with(state))
        });
        assert_eq!(pending.count(), 1);
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
    });
}

#[test]
fn whoever_cancels_it_after_the_end_has_begun_is_told() {
    in_every_shell(|host| {
        let stubborn = format!("trap '' TERM; exec {}", helper::shell_words());
        let two = Two::with(host, helper::sh(&stubborn));
        two.set(|timer| timer.grace = Duration::from_secs(3600));
        host.later(HOUR);
        two.becomes(TimerState::Stopping);
        assert_eq!(two.cancel(), Some(TimerState::Stopping));
        assert!(runs(&two.old));
        // Whoever has the lock by then: it goes to its end.
        two.unlock();
        host.run(Command::Lock(lock_by("run-2", 1, 2)));
        two.outlives_the_grace();
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old));
    });
}

#[test]
fn a_timer_is_a_session_of_its_own() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|_| {});
        let pid = two.sleeper();
        let session = nix::unistd::getsid(Some(Pid::from_raw(pid))).expect("it is there");
        assert_eq!(session, Pid::from_raw(pid));
        // Ended from outside it never comes, and whoever looks is told.
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it was there");
        host.later(HOUR);
        eventually("it is gone", || two.timer().program == TimerProgram::Gone);
        assert_eq!(two.timer().state, TimerState::Pending);
        assert!(runs(&two.old) && !two.timer().is_over());
    });
}

#[test]
fn a_reboot_ends_a_timer_and_nothing_else() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|_| {});
        two.unlock();
        host.machine("boot_id", "another-boot");
        eventually("the program leaves", || {
            let folder = fs::read_dir(host.state().join("timers")).expect("a folder");
            !folder
                .flatten()
                .any(|file| file.path().extension().is_some_and(|it| it == "pid"))
        });
        host.later(HOUR);
        let timer = two.timer();
        assert_eq!(
            (timer.state, timer.program),
            (TimerState::Pending, TimerProgram::Rebooted)
        );
        assert!(timer.is_over() && timer.left.is_none());
        assert!(runs(&two.old) && two.audit().is_empty());
    });
}

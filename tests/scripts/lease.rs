//! The lock's lease: who may write until when, by the host's own uptime.

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use nonstop::model::lock::{Epoch, Fence, LockState};
use nonstop::remote::answer::{Answer, Fenced, LockAnswer};
use nonstop::remote::command::{BreakLock, Command, Lock, Observe, Record, Renew, Unlock};
use nonstop::remote::parse::{RawOutput, parse};

use crate::host::{Host, in_every_shell, lock_by, run_id};

const TERM: Duration = Duration::from_secs(600);

fn lock_with_lease(run: &str, expected: u64, epoch: u64) -> Command {
    Command::Lock(Lock {
        lease: Some(TERM),
        ..lock_by(run, expected, epoch)
    })
}

fn take(host: &Host) {
    assert_eq!(
        host.run(lock_with_lease("run-1", 0, 1)),
        Answer::Lock(LockAnswer::Taken)
    );
}

fn fence(run: &str, epoch: u64, sequence: u64) -> Fence {
    Fence {
        epoch: Epoch(epoch),
        run: run_id(run),
        sequence,
    }
}

fn record(fence: Fence) -> Command {
    Command::Record(Record {
        fence,
        json: "{}".to_owned(),
    })
}

fn renew(host: &Host, run: &str, epoch: u64) -> Fenced<()> {
    let renew = Renew {
        epoch: Epoch(epoch),
        run: run_id(run),
    };
    match host.run(Command::Renew(renew)) {
        Answer::Renew(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn passes(host: &Host, fence: Fence) -> bool {
    match host.run(record(fence)) {
        Answer::Record(Fenced::Passed(())) => true,
        Answer::Record(Fenced::Refused(_)) => false,
        other => panic!("{other:?}"),
    }
}

fn observed(host: &Host) -> LockState {
    host.observe(Observe::default()).lock
}

fn left(host: &Host) -> u64 {
    observed(host).lease_left.expect("a lease").as_secs()
}

/// Lets the host's uptime be so much later than it is.
fn later(host: &Host, by: Duration) {
    host.machine("uptime_offset", &(by.as_millis() / 10).to_string());
}

#[test]
fn a_lease_runs_out_by_the_hosts_own_uptime_and_every_fence_that_passes_begins_it_anew() {
    in_every_shell(|host| {
        take(host);
        assert!((590..=600).contains(&left(host)), "{}", left(host));
        later(host, Duration::from_secs(400));
        assert!((190..=200).contains(&left(host)), "{}", left(host));
        assert!(passes(host, fence("run-1", 1, 1)));
        assert!((590..=600).contains(&left(host)), "{}", left(host));
        later(host, Duration::from_secs(900));
        assert!(observed(host).is_held());
        later(host, Duration::from_secs(1001));
        let lock = observed(host);
        assert!(lock.is_over() && lock.run == Some(run_id("run-1")), "{lock:?}");
        assert!(!passes(host, fence("run-1", 1, 2)));
        assert!(matches!(renew(host, "run-1", 1), Fenced::Refused(lock) if lock.is_over()));
    });
}

#[test]
fn a_heartbeat_begins_the_lease_anew_and_passes_by_every_sequence_number() {
    in_every_shell(|host| {
        take(host);
        assert!(passes(host, fence("run-1", 1, 7)));
        later(host, Duration::from_secs(500));
        assert_eq!(renew(host, "run-1", 1), Fenced::Passed(()));
        assert!((590..=600).contains(&left(host)), "{}", left(host));
        assert!(!passes(host, fence("run-1", 1, 7)));
        assert!(passes(host, fence("run-1", 1, 8)));
        assert!(matches!(renew(host, "run-2", 1), Fenced::Refused(_)));
        assert!(matches!(renew(host, "run-1", 2), Fenced::Refused(_)));
    });
}

#[test]
fn a_heartbeat_without_any_lock_is_refused_and_makes_nothing() {
    in_every_shell(|host| {
        assert!(matches!(renew(host, "run-1", 1), Fenced::Refused(_)));
        assert!(!host.state().exists());
    });
}

#[test]
fn a_lock_is_taken_over_only_when_its_lease_is_over_and_then_the_old_owner_has_no_way_left() {
    in_every_shell(|host| {
        take(host);
        assert!(passes(host, fence("run-1", 1, 1)));
        let taken = |run, expected, epoch| host.run(lock_with_lease(run, expected, epoch));
        assert!(matches!(taken("run-2", 1, 2), Answer::Lock(LockAnswer::Held(lock)) if lock.is_held()));
        later(host, Duration::from_secs(601));
        // Nobody, its owner included, takes it under the epoch that it has, or on an old reading.
        assert!(matches!(taken("run-1", 0, 1), Answer::Lock(LockAnswer::Held(_))));
        assert!(matches!(taken("run-2", 0, 2), Answer::Lock(LockAnswer::Held(_))));
        assert_eq!(taken("run-2", 1, 2), Answer::Lock(LockAnswer::Taken));
        assert!((590..=600).contains(&left(host)), "{}", left(host));
        for old in [fence("run-1", 1, 9), fence("run-1", 2, 9), fence("run-2", 1, 9)] {
            assert!(!passes(host, old));
        }
        assert!(matches!(renew(host, "run-1", 1), Fenced::Refused(_)));
        assert!(matches!(taken("run-1", 0, 1), Answer::Lock(LockAnswer::Held(_))));
        let unlock = Unlock {
            fence: fence("run-1", 1, 10),
        };
        assert!(matches!(
            host.run(Command::Unlock(unlock)),
            Answer::Unlock(Fenced::Refused(_))
        ));
        assert!(passes(host, fence("run-2", 2, 1)));
    });
}

#[test]
fn after_a_reboot_the_term_starts_anew_with_the_boot() {
    in_every_shell(|host| {
        later(host, Duration::from_secs(1_000_000_000));
        take(host);
        assert!(passes(host, fence("run-1", 1, 1)));
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
        host.machine("boot_id", "another-boot");
        // The machine came up 100 s ago.
        let uptime = fs::read_to_string("/proc/uptime").expect("an uptime");
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .expect("a word")
            .parse()
            .expect("a number");
        let offset =
            |seconds: f64| host.machine("uptime_offset", &format!("{:.0}", (seconds - uptime) * 100.0));
        offset(100.0);
        assert!((490..=500).contains(&left(host)), "{}", left(host));
        assert!(passes(host, fence("run-1", 1, 2)));
        assert!((590..=600).contains(&left(host)), "{}", left(host));
        // A boot before the last: it was never renewed in this one.
        host.machine("boot_id", boot_id.trim());
        offset(601.0);
        assert!(observed(host).is_over());
    });
}

#[test]
fn a_lock_without_a_term_never_ends_and_neither_does_a_broken_one() {
    in_every_shell(|host| {
        host.lock();
        later(host, Duration::from_secs(100_000_000));
        let lock = observed(host);
        assert!(lock.is_held() && lock.lease_left.is_none());
        assert!(matches!(
            host.run(lock_with_lease("run-2", 1, 2)),
            Answer::Lock(LockAnswer::Held(_))
        ));
        assert!(passes(host, host.fence()));
        let break_lock = BreakLock {
            expected: Epoch(1),
            epoch: Epoch(2),
            by: lock_by("run-9", 0, 1).owner,
        };
        host.run(Command::BreakLock(break_lock));
        assert_eq!(observed(host).lease_left, None);
        assert_eq!(
            host.run(lock_with_lease("run-2", 2, 3)),
            Answer::Lock(LockAnswer::Taken)
        );
        let unlock = Unlock {
            fence: fence("run-2", 3, 1),
        };
        assert_eq!(
            host.run(Command::Unlock(unlock)),
            Answer::Unlock(Fenced::Passed(()))
        );
        assert_eq!(observed(host).lease_left, None);
    });
}

#[test]
fn an_upload_that_outlives_its_lease_does_not_reach_its_place() {
    in_every_shell(|host| {
        later(host, Duration::ZERO);
        take(host);
        let command = Command::Put(host.put_command("r1", b"a jar"));
        let (mut child, _) = host.spawn(&host.place(), &command);
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(b"a jar").expect("it reads");
        later(host, Duration::from_secs(601));
        drop(stdin);
        let output = RawOutput {
            stdout: child.wait_with_output().expect("it ends").stdout,
            ..RawOutput::default()
        };
        assert!(matches!(
            parse(&command, &output),
            Ok(Answer::Put(Fenced::Refused(_)))
        ));
        assert!(!host.path("app/releases/r1").exists());
    });
}

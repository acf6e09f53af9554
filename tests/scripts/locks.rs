//! Lock, fence, unlock, breaking and the record.

use std::fs;

use nonstop::model::lock::{Epoch, Fence, LockState};
use nonstop::remote::answer::{Answer, Fenced, LockAnswer};
use nonstop::remote::command::{BreakLock, Command, Observe, Record, Unlock};

use crate::host::{Host, Shell, in_every_shell, lock_by, run_id, tree};

fn held(answer: Answer) -> LockState {
    match answer {
        Answer::Lock(LockAnswer::Held(lock)) | Answer::BreakLock(LockAnswer::Held(lock)) => lock,
        other => panic!("{other:?}"),
    }
}

fn record(fence: Fence) -> Command {
    Command::Record(Record {
        fence,
        json: "{\"not\": \"read here\"}\n".to_owned(),
    })
}

#[test]
fn a_lock_is_taken_once_and_its_owner_is_told_to_the_next() {
    in_every_shell(|host| {
        let mut mine = lock_by("run-1", 0, 1);
        mine.owner.who = "kim's \"laptop\"\n$(touch x) 김".to_owned();
        mine.owner.build_url = Some("https://ci/job/1?a=b&c=d".to_owned());
        assert_eq!(
            host.run(Command::Lock(mine.clone())),
            Answer::Lock(LockAnswer::Taken)
        );
        // A lost answer is asked for again.
        assert_eq!(host.run(Command::Lock(mine)), Answer::Lock(LockAnswer::Taken));
        let lock = held(host.run(Command::Lock(lock_by("run-2", 1, 2))));
        assert_eq!(lock.epoch, Epoch(1));
        assert_eq!(lock.run, Some(run_id("run-1")));
        let owner = lock.owner.expect("an owner");
        assert_eq!(owner.who, "kim's \"laptop\" $(touch x) 김");
        assert_eq!(owner.build_url.as_deref(), Some("https://ci/job/1?a=b&c=d"));
        assert_eq!(host.observe(Observe::default()).lock.run, Some(run_id("run-1")));
    });
}

#[test]
fn of_two_that_race_for_a_lock_one_wins() {
    for shell in Shell::ALL {
        let host = Host::new(shell);
        let racers = ["run-1", "run-2", "run-3", "run-4"];
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let handles = racers.map(|run| {
                let host = &host;
                scope.spawn(move || host.run(Command::Lock(lock_by(run, 0, 1))))
            });
            handles.map(|handle| handle.join().expect("no panic")).to_vec()
        });
        let taken = answers
            .iter()
            .filter(|answer| **answer == Answer::Lock(LockAnswer::Taken));
        assert_eq!(taken.count(), 1, "{answers:?}");
    }
}

#[test]
fn the_fence_lets_only_the_owner_pass_and_each_sequence_number_once() {
    in_every_shell(|host| {
        let fence = |run: &str, epoch: u64, sequence: u64| Fence {
            epoch: Epoch(epoch),
            run: run_id(run),
            sequence,
        };
        // No lock was ever taken: nothing passes, and nothing is made.
        assert!(matches!(
            host.run(record(fence("run-1", 1, 1))),
            Answer::Record(Fenced::Refused(_))
        ));
        assert!(!host.state().exists());
        host.run(Command::Lock(lock_by("run-1", 0, 7)));
        let refused = |run: &str, epoch, sequence| {
            let before = tree(&host.state());
            match host.run(record(fence(run, epoch, sequence))) {
                Answer::Record(Fenced::Refused(lock)) => assert_eq!(lock.epoch, Epoch(7)),
                other => panic!("{run} {epoch} {sequence}: {other:?}"),
            }
            assert_eq!(tree(&host.state()), before);
        };
        refused("run-2", 7, 1);
        refused("run-1", 6, 1);
        refused("run-1", 8, 1);
        assert_eq!(
            host.run(record(fence("run-1", 7, 5))),
            Answer::Record(Fenced::Passed(()))
        );
        assert_eq!(
            fs::read_to_string(host.state().join("record")).expect("a record"),
            "{\"not\": \"read here\"}\n"
        );
        refused("run-1", 7, 5);
        refused("run-1", 7, 4);
        assert_eq!(
            host.run(record(fence("run-1", 7, 6))),
            Answer::Record(Fenced::Passed(()))
        );
    });
}

#[test]
fn an_unlocked_host_keeps_its_epoch_and_lets_the_old_owner_do_nothing() {
    in_every_shell(|host| {
        host.lock();
        let unlock = Command::Unlock(Unlock { fence: host.fence() });
        assert_eq!(host.run(unlock), Answer::Unlock(Fenced::Passed(())));
        let lock = host.observe(Observe::default()).lock;
        assert_eq!((lock.epoch, lock.run), (Epoch(1), None));
        assert_eq!(lock.owner.expect("the last owner").who, "jenkins");
        assert!(matches!(
            host.run(record(host.fence())),
            Answer::Record(Fenced::Refused(_))
        ));
        // The next owner starts to count anew.
        assert_eq!(
            host.run(Command::Lock(lock_by("run-2", 1, 2))),
            Answer::Lock(LockAnswer::Taken)
        );
        let fence = Fence {
            epoch: Epoch(2),
            run: run_id("run-2"),
            sequence: 1,
        };
        assert_eq!(host.run(record(fence)), Answer::Record(Fenced::Passed(())));
    });
}

#[test]
fn breaking_a_lock_raises_the_epoch_only_where_nothing_moved_meanwhile() {
    in_every_shell(|host| {
        host.lock();
        let break_lock = |expected, epoch| {
            host.run(Command::BreakLock(BreakLock {
                expected: Epoch(expected),
                epoch: Epoch(epoch),
                by: lock_by("run-9", 0, 1).owner,
            }))
        };
        assert_eq!(held(break_lock(0, 5)).epoch, Epoch(1));
        assert_eq!(held(break_lock(1, 1)).epoch, Epoch(1));
        assert_eq!(break_lock(1, 2), Answer::BreakLock(LockAnswer::Taken));
        let lock = host.observe(Observe::default()).lock;
        assert_eq!((lock.epoch, lock.run), (Epoch(2), None));
        assert!(matches!(
            host.run(record(host.fence())),
            Answer::Record(Fenced::Refused(_))
        ));
    });
}

#[test]
fn a_torn_lock_is_an_error_and_not_a_free_one() {
    in_every_shell(|host| {
        host.lock();
        fs::write(host.state().join("lock"), "epo").expect("written");
        let error = host
            .try_run(&Command::Lock(lock_by("run-2", 0, 2)))
            .expect_err("torn");
        assert!(error.to_string().contains("holds no epoch"), "{error}");
    });
}

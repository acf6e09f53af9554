//! Uploads, marks and the removal of old releases.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command as Process;

use nonstop::model::names::ReleaseId;
use nonstop::remote::answer::{Answer, Fenced, PutAnswer};
use nonstop::remote::command::{Command, Digest, DiscardUpload, MarkRelease, Observe, Prune};
use nonstop::remote::parse::{ParseError, parse};

use crate::host::{Host, blue, free_port, in_every_shell, passed, release, sha256, tree};

const JAR: &[u8] = b"PK\x03\x04 a jar \x00\xff with any bytes\n";

fn releases(host: &Host) -> Vec<nonstop::model::observed::ReleaseObserved> {
    let observe = Observe {
        slots: [(blue(), free_port())].into(),
        files: [].into(),
        nginx: None,
    };
    host.observe(observe).was.expect("a WAS host").releases
}

fn prune(host: &Host, keep: u32, protected: &[&str]) -> Vec<ReleaseId> {
    let prune = Prune {
        fence: host.fence(),
        keep,
        protected: protected.iter().copied().map(release).collect::<BTreeSet<_>>(),
    };
    match host.run(Command::Prune(prune)) {
        Answer::Prune(answer) => passed(answer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_uploaded_jar_is_whole_read_only_and_alone_in_its_folder() {
    in_every_shell(|host| {
        host.lock();
        assert_eq!(host.put("20260101-000000-sokdak", JAR), PutAnswer::Stored);
        let folder = host.path("app/releases/20260101-000000-sokdak");
        assert_eq!(fs::read(folder.join("app.jar")).expect("a jar"), JAR);
        let mode = fs::metadata(folder.join("app.jar"))
            .expect("a jar")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o444);
        let jars = tree(&folder)
            .into_keys()
            .filter(|path| path.extension().is_some_and(|end| end == "jar"));
        assert_eq!(jars.count(), 1);
        assert_eq!(
            fs::read_dir(host.path("app/releases")).expect("a folder").count(),
            1
        );
        let observed = releases(host);
        assert_eq!(observed.len(), 1);
        assert_eq!(observed[0].sha256, sha256(JAR));
        assert_eq!(observed[0].size_bytes, JAR.len() as u64);
        assert_eq!(observed[0].jar_name, "sokdak-1.0.jar");
        let digest = Digest {
            release: release("20260101-000000-sokdak"),
        };
        assert_eq!(
            host.run(Command::Digest(digest)),
            Answer::Digest(Some(sha256(JAR)))
        );
        let absent = Digest {
            release: release("another"),
        };
        assert_eq!(host.run(Command::Digest(absent)), Answer::Digest(None));
    });
}

#[test]
fn a_release_that_is_there_is_never_touched() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", JAR);
        let jar = host.path("app/releases/r1/app.jar");
        let before = fs::metadata(&jar).expect("a jar");
        assert_eq!(host.put("r1", JAR), PutAnswer::Stored);
        let after = fs::metadata(&jar).expect("a jar");
        assert_eq!(
            (before.ino(), before.mtime_nsec()),
            (after.ino(), after.mtime_nsec())
        );
        let other = b"other bytes";
        let command = Command::Put(host.put_command("r1", other));
        let output = host.raw(&host.place(), &command, other);
        assert!(matches!(
            parse(&command, &output),
            Err(ParseError::ReleaseExists { .. })
        ));
        assert_eq!(fs::read(&jar).expect("a jar"), JAR);
    });
}

#[test]
fn an_upload_that_is_cut_or_altered_leaves_nothing() {
    in_every_shell(|host| {
        host.lock();
        for wrong in [&JAR[..10], b"", b"PK\x03\x04 a JAR \x00\xff with any bytes\n"] {
            let command = Command::Put(host.put_command("r1", JAR));
            match host.run_with(&command, wrong) {
                Answer::Put(Fenced::Passed(PutAnswer::Mismatch {
                    size_bytes,
                    sha256: digest,
                })) => {
                    assert_eq!(size_bytes, wrong.len() as u64);
                    assert_eq!(digest, sha256(wrong));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(tree(&host.path("app/releases")).len(), 0);
        }
    });
}

#[test]
fn an_upload_whose_script_is_ended_leaves_nothing() {
    in_every_shell(|host| {
        host.lock();
        let command = Command::Put(host.put_command("r1", JAR));
        let (mut child, _) = host.spawn(&host.place(), &command);
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(&JAR[..10]).expect("it reads");
        while tree(&host.path("app/releases")).len() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        drop(pipe);
        assert!(!child.wait().expect("it ends").success());
        assert_eq!(tree(&host.path("app/releases")).len(), 0);
    });
}

#[test]
fn an_upload_that_lost_its_lock_leaves_nothing() {
    in_every_shell(|host| {
        host.lock();
        let mut put = host.put_command("r1", JAR);
        put.fence.epoch.0 += 1;
        assert!(matches!(
            host.run_with(&Command::Put(put), JAR),
            Answer::Put(Fenced::Refused(_))
        ));
        assert_eq!(tree(&host.path("app/releases")).len(), 0);
    });
}

#[test]
fn an_upload_that_cannot_be_written_says_why() {
    in_every_shell(|host| {
        host.lock();
        fs::create_dir_all(host.path("app")).expect("a folder");
        fs::write(host.path("app/releases"), "a file in the way").expect("written");
        match host.put("r1", JAR) {
            PutAnswer::WriteFailed { reason } => assert!(!reason.is_empty()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn what_an_upload_left_unfinished_is_discarded_and_nothing_else() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", JAR);
        for part in [".part-3-r2", ".part-12-r2", ".part-3-x-r2", ".part-3-r2-x"] {
            fs::create_dir(host.path("app/releases").join(part)).expect("a folder");
        }
        let discard = DiscardUpload {
            fence: host.fence(),
            release: release("r2"),
        };
        host.run(Command::DiscardUpload(discard));
        let left: BTreeSet<_> = fs::read_dir(host.path("app/releases"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        assert_eq!(
            left,
            [".part-3-x-r2", ".part-3-r2-x", "r1"].map(str::to_owned).into()
        );
    });
}

#[test]
fn a_release_is_marked_as_failed_until_the_mark_is_taken_away() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", JAR);
        for failed in [true, true, false, false] {
            let mark = MarkRelease {
                fence: host.fence(),
                release: release("r1"),
                failed,
            };
            assert_eq!(
                host.run(Command::MarkRelease(mark)),
                Answer::MarkRelease(Fenced::Passed(()))
            );
            assert_eq!(releases(host)[0].failed, failed);
        }
    });
}

#[test]
fn pruning_keeps_the_newest_the_protected_and_what_a_process_runs_from() {
    in_every_shell(|host| {
        host.lock();
        for id in ["r1", "r1-x", "r2", "r3", "r4", "r5", "r6"] {
            host.put(id, JAR);
            fs::create_dir_all(host.path("app/logs")).expect("a folder");
            fs::write(host.path(&format!("app/logs/{id}-blue.log")), "log").expect("written");
        }
        // One process has the jar open, the other works in the release's folder.
        let open = File::open(host.path("app/releases/r2/app.jar")).expect("a jar");
        let mut inside = Process::new("sleep")
            .arg("60")
            .current_dir(host.path("app/releases/r3"))
            .spawn()
            .expect("sleep starts");
        let pruned = prune(host, 1, &["r4"]);
        inside.kill().expect("it runs");
        inside.wait().expect("it ends");
        drop(open);
        assert_eq!(pruned, [release("r1"), release("r1-x"), release("r5")]);
        let left: Vec<_> = releases(host).into_iter().map(|release| release.id).collect();
        assert_eq!(left, ["r2", "r3", "r4", "r6"].map(release));
        let logs = tree(&host.path("app/logs"));
        assert_eq!(logs.len(), 4, "{logs:?}");
        assert_eq!(prune(host, 1, &["r4"]), [release("r2"), release("r3")]);
    });
}

#[test]
fn pruning_a_release_spares_the_logs_of_one_whose_id_goes_on() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", JAR);
        host.put("r1-x", JAR);
        fs::create_dir_all(host.path("app/logs")).expect("a folder");
        for log in ["r1-blue.log", "r1-x-blue.log"] {
            fs::write(host.path("app/logs").join(log), "log").expect("written");
        }
        assert_eq!(prune(host, 1, &[]), [release("r1")]);
        let logs: Vec<_> = tree(&host.path("app/logs")).into_keys().collect();
        assert_eq!(logs, [host.path("app/logs/r1-x-blue.log")]);
    });
}

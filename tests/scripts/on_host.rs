//! Jars that a deploy agent has put on the host: which is the newest, and its copy as a release.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nonstop::model::names::JarPattern;
use nonstop::model::release::Offer;
use nonstop::remote::answer::{Answer, Fenced, PutAnswer};
use nonstop::remote::command::{Command, FindJar, Take};

use crate::host::{Host, in_every_shell, passed, remote, sha256, tree};

const JAR: &[u8] = b"PK\x03\x04 a jar \x00\xff with any bytes\n";

/// Puts a file there, so many seconds after the others.
fn puts(host: &Host, name: &str, bytes: &[u8], seconds: u64) {
    let folder = host.path("zip");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), bytes).expect("written");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    let file = fs::File::options().write(true).open(folder.join(name));
    file.and_then(|file| file.set_modified(time))
        .expect("its time is set");
}

fn found(host: &Host, pattern: &str) -> Offer {
    let pattern = JarPattern::new(format!("{}/{pattern}", host.path("zip").display())).expect("a pattern");
    match host.run(Command::FindJar(FindJar { pattern })) {
        Answer::FindJar(offer) => offer,
        other => panic!("{other:?}"),
    }
}

fn reason(offer: Offer) -> String {
    match offer {
        Offer::Unfit { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn take(host: &Host, from: &Path, bytes: &[u8]) -> Fenced<PutAnswer> {
    let take = Take {
        put: host.put_command("r1", bytes),
        from: remote(from),
    };
    match host.run(Command::Take(take)) {
        Answer::Take(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_jar_is_found_and_plain_ones_and_folders_are_left_out() {
    in_every_shell(|host| {
        assert_eq!(found(host, "*.jar"), Offer::None);
        puts(host, "b-1.jar", b"old", 1);
        puts(host, "a-2.jar", JAR, 3);
        puts(host, "c-1.jar", b"older", 2);
        puts(host, "a-2-plain.jar", b"plain", 4);
        puts(host, "a-2.war", b"no jar", 5);
        fs::create_dir(host.path("zip/d.jar")).expect("a folder");
        match found(host, "*.jar") {
            Offer::Jar(jar) => {
                assert_eq!(jar.path.as_str(), host.path("zip/a-2.jar").display().to_string());
                assert_eq!((jar.sha256, jar.size_bytes), (sha256(JAR), JAR.len() as u64));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(found(host, "?-1.jar"), Offer::Jar(jar) if jar.path.file_name() == "c-1.jar"));
        assert!(matches!(found(host, "b-1.jar"), Offer::Jar(jar) if jar.path.file_name() == "b-1.jar"));
        assert_eq!(found(host, "x*.jar"), Offer::None);
    });
}

#[test]
fn names_that_a_shell_would_read_are_never_run_and_refused_where_they_are_the_newest() {
    in_every_shell(|host| {
        puts(host, "good.jar", JAR, 5);
        let hostile = [
            "a b.jar",
            "$(touch ran).jar",
            "`touch ran`.jar",
            "a\nb.jar",
            "'; touch ran; '.jar",
            "*.jar",
        ];
        for name in hostile {
            puts(host, name, JAR, 1);
        }
        assert!(matches!(found(host, "*.jar"), Offer::Jar(jar) if jar.path.file_name() == "good.jar"));
        for (seconds, name) in hostile.iter().enumerate() {
            puts(host, name, JAR, 10 + seconds as u64);
            let said = reason(found(host, "*.jar"));
            assert!(
                said.contains("has other characters in its name"),
                "{name:?}: {said}"
            );
        }
        for ran in [host.path("ran"), host.path("zip/ran"), "ran".into()] {
            assert!(!ran.exists(), "{ran:?}");
        }
    });
}

#[test]
fn jars_of_the_same_age_and_empty_ones_are_refused_by_name() {
    in_every_shell(|host| {
        puts(host, "a.jar", JAR, 1);
        puts(host, "b.jar", b"another", 1);
        let said = reason(found(host, "*.jar"));
        assert!(said.contains("a.jar and b.jar are equally new"), "{said}");
        puts(host, "c.jar", b"", 2);
        let said = reason(found(host, "*.jar"));
        assert!(said.contains("c.jar, is empty"), "{said}");
    });
}

#[test]
fn a_jar_is_taken_as_a_copy_that_its_owner_cannot_write_over() {
    in_every_shell(|host| {
        host.lock();
        puts(host, "a.jar", JAR, 1);
        let from = host.path("zip/a.jar");
        assert_eq!(passed(take(host, &from, JAR)), PutAnswer::Stored);
        fs::write(&from, b"the next one").expect("written");
        assert_eq!(
            fs::read(host.path("app/releases/r1/app.jar")).expect("a jar"),
            JAR
        );
        // A second time nothing is read: the release is there.
        assert_eq!(passed(take(host, &from, JAR)), PutAnswer::Stored);
    });
}

#[test]
fn a_jar_that_changed_or_went_away_makes_no_release() {
    in_every_shell(|host| {
        host.lock();
        puts(host, "a.jar", b"another", 1);
        for (from, digest) in [("zip/a.jar", sha256(b"another")), ("zip/gone.jar", sha256(b""))] {
            match passed(take(host, &host.path(from), JAR)) {
                PutAnswer::Mismatch { sha256, .. } => assert_eq!(sha256, digest),
                other => panic!("{other:?}"),
            }
            assert_eq!(tree(&host.path("app/releases")).len(), 0);
        }
    });
}

#[test]
fn who_lost_the_lock_takes_nothing() {
    in_every_shell(|host| {
        host.lock();
        puts(host, "a.jar", JAR, 1);
        let mut put = host.put_command("r1", JAR);
        put.fence.epoch.0 += 1;
        let from = remote(host.path("zip/a.jar"));
        let answer = host.run(Command::Take(Take { put, from }));
        assert!(matches!(answer, Answer::Take(Fenced::Refused(_))));
        assert_eq!(tree(&host.path("app/releases")).len(), 0);
    });
}

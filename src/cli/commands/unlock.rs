//! `nonstop unlock`: gives back the locks that the same person took by hand; with `--force` it breaks those of
//! others, and says what that breaks.

use futures::future::join_all;
use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, Unlock};
use crate::cli::console;
use crate::cli::identity;
use crate::cli::project::{Project, refuse_limit};
use crate::engine::lock;
use crate::model::lock::{LockState, Owner};
use crate::model::names::HostName;
use crate::model::outcome::Exit;
use crate::model::record::RunStatus;
use crate::report::findings;
use crate::report::status::{self, Status};

use super::reading::{self, Reading};

pub(super) async fn run(common: &Common, unlock: &Unlock) -> Ended {
    refuse_limit(common, "unlock")?;
    let project = Project::load(common)?;
    let reading = reading::read(common, &project).await;
    let held: Vec<(&HostName, &LockState)> = reading
        .observed
        .hosts
        .iter()
        .map(|(host, seen)| (host, &seen.lock))
        .filter(|(_, lock)| lock.run.is_some())
        .collect();
    if !reading.missing.is_empty() {
        console::say(&findings::render(&reading.missing, console::palette(common)));
    }
    let status = Status::read(&project.config.topology, &reading.observed);
    for line in status::locks(&status) {
        console::say(&line);
    }
    let command = if unlock.force { "unlock --force" } else { "unlock" };
    let by = identity::owner(command, Timestamp::now());
    let is_anothers = |(_, lock): &&(&HostName, &LockState)| !is_given_back_by(lock, &by);
    let anothers = held.iter().filter(is_anothers).count();
    if anothers > 0 && !unlock.force {
        console::say(NOT_OURS);
        return Ok(Exit::Locked);
    }
    if anothers > 0 {
        say_what_breaks(&reading);
    }
    let given = held
        .iter()
        .map(|(host, lock)| lock::break_one(&reading.crew, host, lock.epoch, &by));
    let mut freed = Freed::default();
    for ((host, _), given) in held.iter().zip(join_all(given).await) {
        match given {
            Ok(()) => freed.free.push(host.as_str()),
            Err(error) => {
                console::say(&format!("error: {error}"));
                freed.held.push(host.as_str());
            }
        }
    }
    let missing = reading.missing.iter();
    freed.unasked = missing
        .filter_map(|finding| finding.host.as_ref().map(HostName::as_str))
        .collect();
    console::say(&freed.to_string());
    Ok(if freed.held.is_empty() && reading.missing.is_empty() {
        Exit::Done
    } else {
        Exit::Refused
    })
}

const NOT_OURS: &str = "these locks are not yours to give back: `unlock` does that for locks that the same user took with \
                        `nonstop lock` on this machine, and nothing was changed. One with a lease frees itself soon if its \
                        owner is dead. `nonstop unlock --force` breaks them now: a run that still works is then cut off in \
                        the middle, can change nothing more, and leaves the fleet as it is at that moment, for `nonstop \
                        resume` to finish";

fn say_what_breaks(reading: &Reading) {
    let hosts = reading.observed.hosts.values();
    let mut records = hosts.filter_map(|seen| seen.record.as_ref());
    if let Some(record) = records.find(|record| record.status == RunStatus::Open) {
        console::say(&format!(
            "this breaks into run {}, which was in its phase {}; `nonstop resume` finishes it",
            record.place().0,
            record.phase
        ));
    }
}

/// Whether a lock is one without an end that this person took from here: no run works under it.
fn is_given_back_by(lock: &LockState, by: &Owner) -> bool {
    let Some(owner) = lock.owner.as_ref().filter(|_| lock.lease_left.is_none()) else {
        return false;
    };
    let is_by_hand = owner.command == "lock" || owner.command.starts_with("lock: ");
    let is_known = by.who != identity::UNKNOWN && by.place != identity::UNKNOWN;
    is_by_hand && is_known && (&owner.who, &owner.place) == (&by.who, &by.place)
}

/// What became of the locks.
#[derive(Debug, Default)]
struct Freed<'a> {
    free: Vec<&'a str>,
    held: Vec<&'a str>,
    unasked: Vec<&'a str>,
}

impl std::fmt::Display for Freed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.free.as_slice(), self.held.as_slice()) {
            ([], []) => f.write_str("no host that could be asked is locked")?,
            ([], held) => write!(
                f,
                "nothing was freed; still locked, or nobody knows: {}",
                held.join(", ")
            )?,
            (free, []) => write!(f, "freed on {}", free.join(", "))?,
            (free, held) => write!(
                f,
                "freed on {}; still locked, or nobody knows: {}",
                free.join(", "),
                held.join(", ")
            )?,
        }
        if self.unasked.is_empty() {
            return Ok(());
        }
        write!(
            f,
            "; could not ask {}: `nonstop unlock` again once that is mended",
            self.unasked.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::names::RunId;

    fn owner(who: &str, place: &str, command: &str) -> Owner {
        Owner {
            who: who.to_owned(),
            place: place.to_owned(),
            command: command.to_owned(),
            ..Owner::default()
        }
    }

    fn lock(owner: Owner, lease_left: Option<Duration>) -> LockState {
        LockState {
            run: Some(RunId::new("0197-run").unwrap()),
            owner: Some(owner),
            lease_left,
            ..LockState::default()
        }
    }

    #[test]
    fn whoever_locked_by_hand_gives_it_back_and_nobody_else() {
        let kim = owner("kim", "ci-7", "unlock");
        let ours = |who, place, command| is_given_back_by(&lock(owner(who, place, command), None), &kim);
        assert!(ours("kim", "ci-7", "lock"));
        assert!(ours("kim", "ci-7", "lock: release freeze"));
        assert!(!ours("lee", "ci-7", "lock"));
        assert!(!ours("kim", "ci-8", "lock"));
        assert!(!ours("kim", "ci-7", "deploy"));
        let lease = Some(Duration::from_secs(20));
        assert!(!is_given_back_by(
            &lock(owner("kim", "ci-7", "lock"), lease),
            &kim
        ));
        let nobody = owner("unknown", "ci-7", "lock");
        assert!(!is_given_back_by(&lock(nobody.clone(), None), &nobody));
        let nameless = LockState {
            owner: None,
            ..lock(kim.clone(), None)
        };
        assert!(!is_given_back_by(&nameless, &kim));
    }

    #[test]
    fn the_last_line_says_what_is_free_and_what_nobody_knows() {
        let said = |free: &[&'static str], held: &[&'static str], unasked: &[&'static str]| {
            Freed {
                free: free.to_vec(),
                held: held.to_vec(),
                unasked: unasked.to_vec(),
            }
            .to_string()
        };
        assert_eq!(said(&["a", "b"], &[], &[]), "freed on a, b");
        assert_eq!(
            said(&["a", "b"], &[], &["nginx-2"]),
            "freed on a, b; could not ask nginx-2: `nonstop unlock` again once that is mended"
        );
        assert_eq!(
            said(&["a"], &["b"], &[]),
            "freed on a; still locked, or nobody knows: b"
        );
        assert_eq!(said(&[], &[], &[]), "no host that could be asked is locked");
    }
}

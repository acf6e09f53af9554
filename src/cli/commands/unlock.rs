//! `nonstop unlock`: says who holds the locks; with `--force` it breaks them, and says what that
//! breaks.

use futures::future::join_all;
use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, Unlock};
use crate::cli::console;
use crate::cli::identity;
use crate::cli::project::{Project, refuse_limit};
use crate::engine::lock;
use crate::model::finding::{Finding, Problem};
use crate::model::lock::LockState;
use crate::model::names::HostName;
use crate::model::outcome::Exit;
use crate::model::record::RunStatus;
use crate::report::findings;

use super::reading;

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
    let found = |(host, lock): &(&HostName, &LockState)| {
        Finding::refusal(
            Some(host),
            Problem::Locked {
                lock: (*lock).clone(),
            },
        )
    };
    let mut found: Vec<_> = held.iter().map(found).collect();
    let missing = !reading.missing.is_empty();
    found.extend(reading.missing.iter().cloned());
    if !found.is_empty() {
        console::say(&findings::render(&found, console::palette(common)));
    }
    if held.is_empty() {
        console::say("no host that could be asked is locked");
        return Ok(if missing { Exit::Refused } else { Exit::Done });
    }
    if !unlock.force {
        console::say(
            "these locks are not ours to give back. One with a lease frees itself soon if its owner is dead. \
             `nonstop unlock --force` breaks them now: a run that still works is then cut off in the middle, can \
             change nothing more, and leaves the fleet as it is at that moment, for `nonstop resume` to finish",
        );
        return Ok(Exit::Locked);
    }
    let open = reading
        .observed
        .hosts
        .values()
        .filter_map(|seen| seen.record.as_ref());
    if let Some(record) = open.into_iter().find(|record| record.status == RunStatus::Open) {
        console::say(&format!(
            "this breaks into run {}, which was in its phase {}; `nonstop resume` finishes it",
            record.place().0,
            record.phase
        ));
    }
    let hosts: Vec<_> = held
        .into_iter()
        .map(|(host, lock)| (host.clone(), lock.epoch))
        .collect();
    let by = identity::owner("unlock --force", Timestamp::now());
    let broken = hosts
        .iter()
        .map(|(host, epoch)| lock::break_one(&reading.crew, host, *epoch, &by));
    let broken = join_all(broken).await;
    let failed: Vec<_> = broken.into_iter().filter_map(Result::err).collect();
    for error in &failed {
        console::say(&format!("error: {error}"));
    }
    if failed.is_empty() && !missing {
        console::say("the locks are free");
        return Ok(Exit::Done);
    }
    Ok(Exit::Refused)
}

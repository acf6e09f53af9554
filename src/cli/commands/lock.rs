//! `nonstop lock`: takes every host's lock and keeps it until `unlock`.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::Ended;
use crate::cli::args::{Common, Lock};
use crate::cli::console;
use crate::cli::identity;
use crate::cli::project::{Project, refuse_limit};
use crate::engine::{lock, opening};
use crate::model::finding::Problem;
use crate::model::outcome::Exit;
use crate::report::findings;

use super::reading;

pub(super) async fn run(common: &Common, lock: &Lock) -> Ended {
    refuse_limit(common, "lock")?;
    let project = Project::load(common)?;
    let reading = reading::read(common, &project).await;
    if !reading.missing.is_empty() {
        return super::plan::refuse(common, &reading.missing);
    }
    let context = reading.context(&project);
    let message = lock
        .message
        .as_ref()
        .map_or_else(|| "lock".to_owned(), |message| format!("lock: {message}"));
    let owner = identity::owner(&message, Timestamp::now());
    let terms = lock::Terms {
        wait: Duration::ZERO,
        lease: None,
        window: lock::Heed::Ended,
    };
    match lock::take(&context, &reading.observed, &owner, terms).await {
        Ok(_) => {
            console::say(
                "every host is locked, without an end: `nonstop unlock` gives the locks back, by the same user on this \
                 machine; elsewhere it takes `nonstop unlock --force`",
            );
            Ok(Exit::Done)
        }
        Err(error) => {
            let finding = opening::finding_of(error, context.crew.run_id());
            let held = matches!(finding.problem, Problem::Locked { .. });
            console::say(&findings::render(&[finding], console::palette(common)));
            Ok(if held { Exit::Locked } else { Exit::Refused })
        }
    }
}

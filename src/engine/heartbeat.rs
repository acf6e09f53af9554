//! The sign of life that keeps a run's locks: while the run goes on, every host hears from it often enough
//! for its lease. A renewal that fails is no failure of the run: the fence tells whether the host is still ours.

use std::time::Duration;

use futures::future::{Either, join_all, select};
use tokio::time::sleep;

use crate::model::names::HostName;
use crate::remote::command::{Command, Renew};

use super::crew::{Crew, Lease};
use super::fleet::Host;

/// Runs `run` to its end, and renews the lease of every lock that it holds meanwhile.
pub(super) async fn during<H: Host, T>(crew: &Crew<H>, lease: Duration, run: impl Future<Output = T>) -> T {
    let run = std::pin::pin!(run);
    let beats = std::pin::pin!(join_all(crew.hosts().map(|host| beat(crew, host, lease))));
    match select(run, beats).await {
        Either::Left((ended, _)) => ended,
        // There is no host to keep.
        Either::Right((_, run)) => run.await,
    }
}

/// One host's heart: it does not wait for a slower one.
async fn beat<H: Host>(crew: &Crew<H>, host: &HostName, lease: Duration) {
    loop {
        sleep(lease / 4).await;
        if crew.lease() == Lease::None {
            continue;
        }
        let renew = Renew {
            epoch: crew.epoch(),
            run: crew.run_id().clone(),
        };
        let _ = crew.call_within(host, Command::Renew(renew), lease / 2).await;
    }
}

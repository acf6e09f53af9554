//! Every endpoint that one host can see, until all are healthy; and later, while both slots are up,
//! that they stay so.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::Instant;

use crate::engine::context::Context;
use crate::engine::fleet::Host;
use crate::engine::health;
use crate::model::event::Note;
use crate::model::failure::Failure;
use crate::model::names::HostName;
use crate::model::plan::Viewed;

pub(super) async fn verify<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    endpoints: &[Viewed],
    min_healthy_time: Duration,
    warm_up: bool,
) -> Result<Option<Note>, Failure> {
    let deadline = Instant::now() + context.playbook.health.healthy_deadline;
    let watched = endpoints.iter().map(|viewed| async move {
        if warm_up && viewed.endpoint.host == *host {
            health::until_healthy(context, host, viewed, min_healthy_time, deadline).await?;
            health::warm_up(context, host, viewed).await;
            return Ok(());
        }
        health::until_healthy(context, host, viewed, min_healthy_time, deadline).await
    });
    try_join_all(watched).await.map(|_| None)
}

/// Watches endpoints for a while.
pub(super) async fn stays<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    endpoints: &[Viewed],
    duration: Duration,
) -> Result<Option<Note>, Failure> {
    let watched = endpoints
        .iter()
        .map(|viewed| health::stays_healthy(context, host, viewed, duration));
    try_join_all(watched).await.map(|_| None)
}

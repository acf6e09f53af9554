//! What people and programs get to see of a run, as snapshots. Every story is told as events, the
//! way the engine sends them.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

mod fixture;
mod fleet;
mod history;
mod hooks;
mod json;
mod junit;
mod notice;
mod plain;
mod plan;
mod progress;
mod status;
mod stories;
mod summary;
mod waiting;
mod window;

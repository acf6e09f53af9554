//! What people and programs get to see of a run, as snapshots. Every story is told as events, the
//! way the engine sends them.

mod fixture;
mod json;
mod plain;
mod progress;
mod summary;

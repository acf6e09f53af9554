//! Floor 2: runs plans. Sends commands to all hosts of a stage at once, waits at the barrier behind
//! it, and turns to the way home when something fails. It knows hosts as a trait only, takes time
//! from tokio's clock, and reports by events.

mod census;
mod confirm;
pub mod connect;
pub mod context;
pub mod crew;
mod ending;
pub mod examine;
pub mod execute;
pub mod fleet;
mod going_on;
pub mod health;
mod heartbeat;
pub mod homeward;
mod hooks;
mod in_service;
mod journey;
pub mod lock;
pub mod observe;
pub mod opening;
pub mod preflight;
mod record;
mod resume;
pub mod run;
pub mod stage;
pub mod steps;
mod walk;
mod window;

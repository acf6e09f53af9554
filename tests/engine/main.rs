//! The engine on a fleet in memory and a paused clock: barriers, the way home, locks, signals and the
//! truth of the exit code.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test expects and does not find is a failed test"
)]

mod barriers;
mod confirms;
mod deadline;
mod draining;
mod drill;
mod ended;
mod ending;
mod homeward;
mod hooks;
mod hooks_resumed;
mod hooks_single;
mod hooks_single_resumed;
mod host_sets;
mod include;
mod interrupts;
mod left_out;
mod locks;
mod memory;
mod on_hosts;
mod resume;
mod scene;
mod single;
mod slots;
mod strategies;
mod texts;
mod truth;
mod turning;
mod window;
mod window_races;
mod window_units;
#[path = "../world/mod.rs"]
mod world;

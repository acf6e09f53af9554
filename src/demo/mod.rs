//! An embedded fleet on loopback: what `nonstop demo` shows, and what tests deploy to where no
//! containers are wanted. The command line starts it; nothing below knows of it.

pub mod app;
pub mod fleet;
mod show;
pub mod ssh_server;
pub mod traffic;

pub use show::{DemoError, show};

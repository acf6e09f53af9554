//! Floor 1: what nonstop may ask of a host. A closed vocabulary of commands, each a readable POSIX
//! script below `sh/`, and the pure functions that give a script its parameters and read its answer.

pub mod answer;
mod assignments;
pub mod command;
#[cfg(feature = "defects")]
mod flawed;
mod nginx_command;
pub mod parse;
mod place;
mod quote;
pub mod render;
mod scripts;
mod timer_command;

//! Floor 0: what a fleet, a release and a run are, and the rules that decide. Pure data and pure
//! functions: no I/O, no clock, no runtime. Every other floor speaks in these types.

pub mod endpoint;
pub mod inventory;
pub mod names;
pub mod playbook;
pub mod routing;
pub mod template;
pub mod topology;

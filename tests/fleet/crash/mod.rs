//! What happens when the controller, a host or the network dies at a chosen instant. Every case runs
//! under load and ends with the whole fleet on the old release or on the new one, or, where no protocol
//! can do better, MIXED with both slots up and mended by the next command.
//!
//! | file | what it holds |
//! |---|---|
//! | `point` | the instants at which a controller is killed |
//! | `scene` | one deploy that is killed at a point, and what must be true afterwards |
//! | `killed` | the tests that play all points, or a sample |
//! | `shapes` | the same for what a plain deploy does not have: hooks, a single slot, timers, several routings |
//! | `links` | links that are cut in a phase |
//! | `hosts` | hosts that restart or stay away |
//! | `controllers` | controllers that sleep, are told to go, or come in twos |
//! | `defects` | deliberate defects, each of which one of these cases has to find |

mod controllers;
#[cfg(feature = "defects")]
mod defects;
mod hosts;
mod killed;
mod links;
mod point;
mod scene;
mod shapes;

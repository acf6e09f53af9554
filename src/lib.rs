//! Deploys a jar to plain servers over SSH without losing a request.
//!
//! The floors, from the ground up; a module uses its own floor and those below, never one above:
//!
//! | floor | module | what it is |
//! |---|---|---|
//! | 4 | [`cli`] | what a person types and what they get back |
//! | 3 | [`demo`] | an embedded fleet on loopback |
//! | 3 | [`http`] | HTTP/1.1 over streams that a host's way opens |
//! | 3 | [`local`] | the host that is the controller itself |
//! | 3 | [`reach`] | each host the way that its inventory says |
//! | 3 | [`ssh`] | the hosts over SSH: login, host keys, commands, uploads, HTTP through tunnels |
//! | 2 | [`engine`] | runs plans: barriers, deadlines, the lock, the way home |
//! | 1 | [`config`] | inventory and playbook: YAML to model, every mistake with its place |
//! | 1 | [`report`] | what people and programs get to see: eats events only |
//! | 1 | [`remote`] | the closed vocabulary of remote commands, and the scripts behind it |
//! | 0 | [`model`] | pure data and rules: routing, planner, outcome |

pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod http;
pub mod local;
pub mod model;
pub mod reach;
pub mod remote;
pub mod report;
pub mod ssh;

//! The SSH layer against a server in the same process that does what a good server never does:
//! falls silent, is cut off, forgets the exit status, refuses channels.

mod commands;
mod connecting;
mod server;
mod tunnels;

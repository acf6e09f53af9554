//! The SSH layer against the real OpenSSH: each test starts an sshd of its own on a loopback port, as
//! the current user, with its keys and its configuration in a temporary folder.
//!
//! Needs the packages openssh-server and openssh-client; without them the tests fail and say so.

mod busy;
mod commands;
mod fixture;
mod host_keys;
mod jump;
mod login;
mod oracle;

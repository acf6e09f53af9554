//! Runs the rendered scripts for real, without SSH, with every shell that a host may have, in
//! temporary folders, as the current user, against the real nginx. Asserts what they answer and what
//! they did.

mod audit;
mod cut_off;
mod helper;
mod hindered;
mod hooks;
mod hooks_once;
mod host;
mod include;
mod instances;
mod lease;
mod locks;
mod machine;
mod nginx;
mod on_host;
mod parsing;
mod quoting;
mod releases;
mod silent;
mod site;
mod switching;
mod systemd;
mod take_over;
mod timer;
mod timer_looks;
mod tokens;
mod units;
mod vocabulary;
mod watch;

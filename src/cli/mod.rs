//! Floor 4: what a person types and what they get back. Only here is it decided which words a
//! person sees and which code the process exits with.

mod args;
mod artifact;
mod commands;
mod console;
mod courier;
mod failure;
mod http;
mod identity;
mod probe;
mod project;
mod signals;

use std::process::ExitCode;

use crate::model::outcome::Exit;

use args::Args;
use failure::CliError;

/// Parses the command line, runs the command and says how it ended.
pub fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                Exit::Usage.code()
            } else {
                Exit::Done.code()
            });
        }
    };
    let exit = console::start_tracing(&args.common)
        .and_then(|()| commands::run(&args))
        .unwrap_or_else(|error| {
            console::say_error(&args.common, &error);
            console::report_error(&args.command, &error);
            error.exit()
        });
    ExitCode::from(exit.code())
}

/// How a command ends: with an exit code, or with an error that says why it could not begin.
type Ended = Result<Exit, CliError>;

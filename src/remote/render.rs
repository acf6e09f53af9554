//! Turns a command into the program that a host runs: quoted assignments, preludes, body. Parameters
//! are never spliced into a script's text. The engine's hosts (`ssh`, `demo`) deliver the result.

use super::assignments::{Watch, assignments, of_controller_hook, of_timer, of_watch};
use super::command::{Command, Hook, HookAct, HookRun, Place, RenderedRunner, SetTimer, Start};
use super::quote::quoted;
use super::scripts::Body;

/// Runs the program that comes on standard input.
const THROUGH_STDIN: &str = "exec /bin/sh -c 'eval \"$(cat)\"'";

/// A complete program for a POSIX shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The program.
    pub text: String,
}

/// How a program is handed to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// What is executed through the login's shell, whichever that is.
    pub command_line: String,
    /// What comes on standard input.
    pub stdin: Stdin,
}

/// What a program's standard input is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stdin {
    /// The program itself, and then the end.
    Script(Vec<u8>),
    /// The jar's bytes, and then the end.
    Jar,
}

/// The name of a command's script, for logs: `observe`, `commit`.
pub fn name(command: &Command) -> &'static str {
    Body::of(command).name()
}

/// The program of a command.
pub fn render(place: &Place, command: &Command) -> Script {
    let words = match command {
        Command::Start(start) => start_words(start).collect(),
        Command::Hook(Hook {
            act: HookAct::Run(run),
            ..
        }) => hook_words(run).collect(),
        _ => Vec::new(),
    };
    Script {
        text: program(Body::of(command), &assignments(place, command), &words),
    }
}

/// The program of the watch that a commit or an arming leaves asleep on the host.
pub(super) fn watch(place: &Place, watch: &Watch<'_>) -> String {
    program(Body::watch(), &of_watch(place, watch), &[])
}

/// How the program of a hook that the controller runs itself is handed to a shell here.
pub fn controller_hook(run: &HookRun) -> Invocation {
    let words: Vec<String> = hook_words(run).collect();
    let script = program(Body::controller_hook(), &of_controller_hook(run), &words);
    Invocation {
        command_line: THROUGH_STDIN.to_owned(),
        stdin: Stdin::Script(script.into_bytes()),
    }
}

/// The program of the timer that is left asleep beside an old instance.
pub(super) fn timer(place: &Place, timer: &SetTimer) -> String {
    program(Body::timer(), &of_timer(place, timer), &[])
}

/// A body behind its assignments, its positional parameters and its preludes.
fn program(body: Body, assignments: &[(&str, String)], positional: &[String]) -> String {
    let mut text = format!("#!/bin/sh\n# nonstop {}\n", body.name());
    for (name, word) in assignments {
        text.push_str(name);
        text.push('=');
        text.push_str(word);
        text.push('\n');
    }
    if !positional.is_empty() {
        text.push_str("set --");
        for word in positional {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        text.push('\n');
    }
    for part in body.parts() {
        text.push_str(part);
    }
    #[cfg(feature = "defects")]
    super::flawed::flaw(&mut text);
    text
}

/// How the program of a command is handed to a host.
///
/// It goes by standard input, so that no parameter shows in a process list and none is too long;
/// its children then find their input at its end. Only where standard input carries the jar does the
/// program go by the command line.
pub fn invocation(place: &Place, command: &Command) -> Invocation {
    let script = render(place, command).text;
    if matches!(command, Command::Put(_)) {
        return Invocation {
            command_line: format!("exec /bin/sh -c {}", quoted(&script)),
            stdin: Stdin::Jar,
        };
    }
    Invocation {
        command_line: THROUGH_STDIN.to_owned(),
        stdin: Stdin::Script(script.into_bytes()),
    }
}

/// The environment of a hook as `NAME=value`.
fn hook_words(run: &HookRun) -> impl Iterator<Item = String> {
    run.env.iter().map(|(name, value)| format!("{name}={value}"))
}

/// The environment as `NAME=value`, then program and arguments.
fn start_words(start: &Start) -> impl Iterator<Item = String> {
    let argv = match &start.runner {
        RenderedRunner::Process { argv } | RenderedRunner::Script { argv, .. } => argv.as_slice(),
        RenderedRunner::Unit(_) => &[],
    };
    let environment = start.env.iter().map(|(name, value)| format!("{name}={value}"));
    environment.chain(argv.iter().cloned())
}

//! Reads what a host answered. Pure, and wary: a host may be broken or hostile, so sizes are bounded,
//! every value is checked, and nothing that is not expected is passed over.
//!
//! An answer is `nonstop-answer 1 begin`, lines of `key=value` or `key:=base64`, and
//! `nonstop-answer 1 end`. Whatever a login prints before the begin is left out; whatever comes after
//! the end is an error.

mod addresses;
mod answers;
mod fields;
mod observe;

use self::fields::Fields;
use super::answer::Answer;
use super::command::Command;

/// The most that an answer may be: a dump of nginx's files in base64, and room to spare.
pub const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// What came back from a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawOutput {
    /// How the program ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

/// How a program on a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Status(u32),
    /// By a signal, named as SSH does: `TERM`.
    Signal(String),
}

impl Default for Exit {
    fn default() -> Self {
        Self::Status(0)
    }
}

/// Says why a host's answer is none. Whether anything was changed is unknown, except where a variant
/// says so: observe again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The host lacks a program; nothing was changed. Install it there.
    #[error("`{tool}` is missing on the host")]
    MissingTool {
        /// The program.
        tool: String,
    },
    /// sudo would not run a command. Allow it, as the shipped sudoers file does.
    #[error("sudo refused `{command}`")]
    SudoRefused {
        /// The command as it was called.
        command: String,
    },
    /// Another script held the flock for too long; this one went no further. Try again.
    #[error("`{folder}` is locked by another process")]
    Busy {
        /// The folder that is locked.
        folder: String,
    },
    /// The state folder cannot be used, or a file in it is torn. A person has to look.
    #[error("the state folder cannot be used: {reason}")]
    StateFolder {
        /// Why.
        reason: String,
    },
    /// The watch of a switch could not be started; nothing was switched. Look at the host.
    #[error("no watch: {reason}")]
    NoWatch {
        /// What happened.
        reason: String,
    },
    /// A file that nginx reads can be read by nobody here. Allow it in sudoers.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: String,
    },
    /// A release of that id is there with other bytes. Choose another id.
    #[error("`{path}` exists with other contents")]
    ReleaseExists {
        /// Its folder.
        path: String,
    },
    /// The script broke off.
    #[error("the script ended with {status}: {stderr}")]
    Failed {
        /// How, such as "exit status 2" or "signal TERM".
        status: String,
        /// The end of what it wrote to standard error, made harmless.
        stderr: String,
    },
    /// There is no answer in what the host printed.
    #[error("the host printed no answer, but: {printed}")]
    NoAnswer {
        /// The beginning of what it printed, made harmless.
        printed: String,
    },
    /// The answer has no end: it was cut off.
    #[error("the answer was cut off")]
    Truncated,
    /// The answer is of a version that this program does not speak.
    #[error("the answer has an unknown version")]
    UnknownVersion,
    /// The answer is larger than any true one.
    #[error("the answer is too long")]
    TooLong,
    /// A line is not of the form that it must have.
    #[error("line {line} of the answer makes no sense")]
    BadLine {
        /// Its number, from the begin.
        line: usize,
    },
    /// A key that the answer must have is not there.
    #[error("the answer lacks `{key}`")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value is not what it must be.
    #[error("`{key}` in the answer {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// What is wrong with it, made harmless.
        reason: String,
    },
    /// A key that no such answer has, or has once.
    #[error("the answer has `{key}` where it must not")]
    Unexpected {
        /// The key.
        key: String,
    },
}

/// The answer to `command` in what a host printed.
///
/// Returns an error if the script failed, or if the output is not exactly an answer of that command.
pub fn parse(command: &Command, output: &RawOutput) -> Result<Answer, ParseError> {
    if output.stdout.len() > MAX_ANSWER_BYTES {
        return Err(ParseError::TooLong);
    }
    match output.exit {
        Exit::Status(0) => {}
        // The script says itself why it could not.
        Exit::Status(3) => return Err(failure(output)),
        _ => return Err(broken(output)),
    }
    let mut fields = Fields::read(&output.stdout)?;
    let answer = answers::answer(command, &mut fields)?;
    fields.finish()?;
    Ok(answer)
}

fn failure(output: &RawOutput) -> ParseError {
    let Ok(mut fields) = Fields::read(&output.stdout) else {
        return broken(output);
    };
    let (Ok(kind), Ok(detail)) = (fields.text("failure"), fields.text("detail")) else {
        return broken(output);
    };
    match kind.as_str() {
        "missing_tool" => ParseError::MissingTool { tool: detail },
        "sudo_refused" => ParseError::SudoRefused { command: detail },
        "busy" => ParseError::Busy { folder: detail },
        "state_folder" => ParseError::StateFolder { reason: detail },
        "watch" => ParseError::NoWatch { reason: detail },
        "unreadable" => ParseError::Unreadable { path: detail },
        "release_exists" => ParseError::ReleaseExists { path: detail },
        _ => broken(output),
    }
}

fn broken(output: &RawOutput) -> ParseError {
    let status = match &output.exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("signal {}", harmless(signal.as_bytes(), 32)),
    };
    let from = output.stderr.len().saturating_sub(2048);
    ParseError::Failed {
        status,
        stderr: harmless(&output.stderr[from..], 2048).trim().to_owned(),
    }
}

/// Bytes of a host as text that can be shown: invalid UTF-8 and control characters replaced, line
/// ends and tabs kept, at most `limit` bytes read.
fn harmless(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit)]);
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            // Marks that turn the direction of text are as good as an escape sequence.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

//! One script as a child process in a process group of its own: Ctrl-C at the terminal is for nonstop, which
//! decides what becomes of the hosts.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::engine::fleet::CallError;
use crate::remote::parse::{Exit, RawOutput};

use super::environment;

/// What an answer may take of each stream: an nginx dump of 1 MiB in base64, and the rest.
const ANSWER_BYTES: u64 = 4 << 20;
/// After the end of the script, how long to wait for the end of its output: what it left in the background
/// may hold it open for ever.
const GRACE: Duration = Duration::from_millis(300);

/// What a script reads.
pub(super) enum Input {
    /// A text, and then the end.
    Text(Vec<u8>),
    /// A file from where it stands.
    File(File),
}

/// A script at work. One that is dropped is told that nobody waits any more, like one whose SSH session is
/// cut: it ends, unless it is in the middle of what must not be cut short.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            // Not HUP, which nobody hears below `nohup`. Gone meanwhile: what was wanted.
            let _ = killpg(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

/// What a script finds around it.
pub(super) struct Surroundings {
    /// Its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// Its working folder.
    pub(super) folder: PathBuf,
}

impl Surroundings {
    /// What a login over SSH would have.
    pub(super) fn of_a_login() -> Self {
        Self {
            environment: environment::picked(std::env::vars_os()).collect(),
            folder: environment::folder(),
        }
    }
}

/// Runs a command line and gives what it printed.
///
/// Returns an error if it could not be started, or if it did not end in time: it may have had its effect then.
pub(super) async fn run(
    line: &str,
    input: Input,
    surroundings: Surroundings,
    deadline: Duration,
) -> Result<RawOutput, CallError> {
    let (stdin, text) = match input {
        Input::Text(text) => (Stdio::piped(), text),
        Input::File(file) => (file.into(), Vec::new()),
    };
    let spawned = Command::new("/bin/sh")
        .args(["-c", line])
        .env_clear()
        .envs(surroundings.environment)
        .current_dir(surroundings.folder)
        .process_group(0)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut group = Group(spawned.map_err(|error| CallError::NotSent {
        reason: format!("/bin/sh cannot be started: {error}"),
    })?);
    let unknown = |reason: String| CallError::OutcomeUnknown { reason };
    match timeout(deadline, until_it_ends(&mut group.0, text)).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(unknown(error.to_string())),
        Err(_) => {
            let after = humantime::format_duration(deadline);
            Err(unknown(format!("the script did not end within {after}")))
        }
    }
}

async fn until_it_ends(child: &mut Child, text: Vec<u8>) -> std::io::Result<RawOutput> {
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = {
        let talking = async {
            tokio::join!(
                feed(stdin, text),
                drain(out, &mut stdout),
                drain(err, &mut stderr)
            );
        };
        tokio::pin!(talking);
        tokio::select! {
            biased;
            () = &mut talking => child.wait().await?,
            status = child.wait() => {
                let _ = timeout(GRACE, talking).await;
                status?
            }
        }
    };
    Ok(RawOutput {
        exit: exit(status),
        stdout,
        stderr,
    })
}

/// A script that has ended needs no input any more: an error here is no failure.
async fn feed(stdin: Option<ChildStdin>, text: Vec<u8>) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&text).await;
    }
}

/// Reads a stream to its end, and keeps its beginning.
async fn drain(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    if let Some(mut stream) = stream {
        let _ = (&mut stream).take(ANSWER_BYTES).read_to_end(kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
}

fn exit(status: ExitStatus) -> Exit {
    match (
        status.code().and_then(|code| u32::try_from(code).ok()),
        status.signal(),
    ) {
        (Some(code), _) => Exit::Status(code),
        (None, Some(signal)) => Exit::Signal(signal.to_string()),
        (None, None) => Exit::Signal("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    async fn run(line: &str, input: Input, deadline: Duration) -> Result<RawOutput, CallError> {
        super::run(line, input, Surroundings::of_a_login(), deadline).await
    }

    #[tokio::test]
    async fn a_script_gets_its_input_and_gives_its_output_and_status() {
        let output = run("cat; echo oops >&2; exit 3", text("hello\n"), LONG)
            .await
            .unwrap();
        assert_eq!(output.exit, Exit::Status(3));
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"hello\n"[..], &b"oops\n"[..])
        );
    }

    #[tokio::test]
    async fn a_script_has_a_process_group_of_its_own() {
        let script =
            "read -r pid name state parent group rest </proc/$$/stat; [ \"$group\" = $$ ] && echo own";
        let output = run(script, text(""), LONG).await.unwrap();
        assert_eq!(output.stdout, b"own\n");
    }

    #[tokio::test]
    async fn what_is_left_in_the_background_does_not_hold_the_answer_up() {
        let began = Instant::now();
        let output = run("sleep 50 & echo done", text(""), LONG).await.unwrap();
        assert_eq!(output.stdout, b"done\n");
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_script_that_takes_too_long_is_told_to_end_and_its_outcome_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ended");
        // Nobody reads what it says any more, either: a shell tells of a child that was ended.
        let script = format!(
            "trap '' PIPE; trap 'echo >{}; exit 143' TERM; while :; do sleep 0.05; done",
            file.display()
        );
        let answer = run(&script, text(""), Duration::from_millis(500)).await;
        assert!(
            matches!(answer, Err(CallError::OutcomeUnknown { .. })),
            "{answer:?}"
        );
        let began = Instant::now();
        while !file.exists() {
            assert!(began.elapsed() < Duration::from_secs(30), "it was not told");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn output_beyond_the_limit_is_read_and_left_out() {
        let output = run("head -c 6000000 /dev/zero", text(""), LONG).await.unwrap();
        assert_eq!(output.stdout.len() as u64, ANSWER_BYTES);
        assert_eq!(output.exit, Exit::Status(0));
    }
}

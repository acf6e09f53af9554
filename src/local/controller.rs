//! Hooks that run on the controller itself: in the playbook's folder, with the environment of nonstop but for what is
//! meant for nonstop alone.

use std::ffi::OsString;
use std::path::Path;

use futures::future::LocalBoxFuture;

use crate::engine::fleet::{CallError, Controller};
use crate::model::hook::END_GRACE;
use crate::remote::answer::{Answer, Fenced, HookAnswer};
use crate::remote::command::{Command, Hook, HookAct};
use crate::remote::parse;
use crate::remote::render::{self, Stdin};

use super::child::{self, Input, Surroundings};

/// This machine, as what leads a run.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

impl Controller for ThisMachine {
    fn hook<'a>(
        &'a self,
        hook: &'a Hook,
        folder: &'a Path,
    ) -> LocalBoxFuture<'a, Result<HookAnswer, CallError>> {
        Box::pin(run(hook, folder))
    }
}

async fn run(hook: &Hook, folder: &Path) -> Result<HookAnswer, CallError> {
    let not_sent = |reason: &str| CallError::NotSent {
        reason: reason.to_owned(),
    };
    let HookAct::Run(run) = &hook.act else {
        return Err(not_sent("only a hook that runs is run here"));
    };
    let invocation = render::controller_hook(run);
    let Stdin::Script(script) = invocation.stdin else {
        return Err(not_sent("a hook has no jar"));
    };
    let surroundings = Surroundings {
        environment: inherited(std::env::vars_os()).collect(),
        folder: folder.to_owned(),
    };
    let deadline = run.timeout + END_GRACE + END_GRACE;
    let output = child::run(
        &invocation.command_line,
        Input::Text(script),
        surroundings,
        deadline,
    )
    .await?;
    match parse::parse(&Command::Hook(hook.clone()), &output)? {
        Answer::Hook(Fenced::Passed(answer)) => Ok(answer),
        _ => Err(CallError::Script {
            reason: "the hook's script answered another question".to_owned(),
        }),
    }
}

/// What of an environment a hook gets: whatever is not meant for nonstop.
fn inherited(all: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (OsString, OsString)> {
    all.filter(|(name, _)| !name.to_string_lossy().starts_with("NONSTOP_"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::hook::{HookBody, HookId, HookPoint, HookScript, Recall, Repeats};
    use crate::model::lock::{Epoch, Fence};
    use crate::model::names::RunId;
    use crate::remote::command::HookRun;

    fn hook(body: HookBody, timeout: Duration) -> Hook {
        let run = RunId::new("run-1").unwrap();
        let point = HookPoint::BeforeInstall;
        Hook {
            fence: Fence {
                epoch: Epoch(1),
                run: run.clone(),
                sequence: 1,
            },
            run,
            hook: HookId { point, number: 1 },
            digest: None,
            recall: Recall::Ask,
            repeats: Repeats::Never,
            act: HookAct::Run(HookRun {
                body,
                env: BTreeMap::from([("NONSTOP_APP".to_owned(), "it's $HOME".to_owned())]),
                release: None,
                run_as: None,
                timeout,
            }),
        }
    }

    async fn command(line: &str, folder: &Path, timeout: Duration) -> HookAnswer {
        let hook = hook(HookBody::Command(line.to_owned()), timeout);
        ThisMachine.hook(&hook, folder).await.unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_hook_runs_in_the_folder_of_the_playbook_and_says_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("here"), "").unwrap();
        let answer = command("ls; echo \"$NONSTOP_APP\"; echo oops >&2", folder.path(), LONG).await;
        let output = "here\nit's $HOME\noops\n".to_owned();
        assert_eq!(answer, HookAnswer::Done { output });
        let reason = "ended with exit status 3".to_owned();
        let output = String::new();
        assert_eq!(
            command("exit 3", folder.path(), LONG).await,
            HookAnswer::Failed { reason, output }
        );
    }

    #[tokio::test]
    async fn a_file_of_the_project_runs_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file.sh");
        fs::write(&file, "#!/bin/sh\necho \"$0|$1|$2\"\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&file, mode).unwrap();
        let script = HookScript {
            file: file.clone(),
            text: String::new(),
            arguments: " one 'two three'".to_owned(),
        };
        let answer = ThisMachine
            .hook(&hook(HookBody::Script(script), LONG), folder.path())
            .await;
        let output = format!("{}|one|two three\n", file.display());
        assert_eq!(answer.unwrap(), HookAnswer::Done { output });
    }

    #[tokio::test]
    async fn a_hook_that_is_dropped_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let line = "echo $$ >leader; sleep 300 & echo $! >child; trap '' TERM; wait; sleep 300";
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        let running = command(line, folder.path(), LONG);
        let seen = async {
            while read("child").trim().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! { _ = running => panic!("it ended"), () = seen => {} }
        let began = Instant::now();
        for name in ["leader", "child"] {
            let process = PathBuf::from(format!("/proc/{}/cmdline", read(name).trim()));
            while fs::read(&process).is_ok_and(|line| !line.is_empty()) {
                assert!(began.elapsed() < LONG, "the {name} goes on");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    #[test]
    fn what_is_meant_for_nonstop_alone_reaches_no_hook() {
        let names = ["BUILD_URL", "NONSTOP_KEY_PASSPHRASE", "PATH"];
        let all = names.map(|name| (name.into(), "x".into()));
        let kept: Vec<_> = inherited(all.into_iter()).map(|(name, _)| name).collect();
        assert_eq!(kept, ["BUILD_URL", "PATH"]);
    }
}

//! The answer of each command, except the long one of observe.

use std::time::Duration;

use super::fields::{Fields, bad};
use super::{ParseError, addresses, observe};
use crate::model::lock::{Epoch, LockState, Owner};
use crate::model::process::{ListeningProcess, ProcessIdentity, is_boot_id};
use crate::model::release::{Offer, OfferedJar};
use crate::model::timer::TimerState;
use crate::model::token::TokenState;
use crate::remote::answer::{
    Answer, ArmAnswer, ConfirmAnswer, Fenced, FetchAnswer, HookAnswer, LockAnswer, LogEnd, LogPlace,
    PrepareAnswer, PutAnswer, StartAnswer, StopAnswer, SudoEntry, SwitchAnswer,
};
use crate::remote::command::{Command, FindJar};

/// Nobody counts further than this: the next one must still be a number to count with.
const MAX_COUNT: u64 = 1 << 60;
/// The most that an endpoint's answer may be; `fetch.sh` cuts it there.
const MAX_BODY_BYTES: usize = 64 * 1024;

type Read<T> = Result<T, ParseError>;

/// The answer to `command` from its fields.
pub(super) fn answer(command: &Command, fields: &mut Fields) -> Read<Answer> {
    Ok(match command {
        Command::Observe(_) => Answer::Observe(Box::new(observe::host(fields)?)),
        Command::Lock(_) => Answer::Lock(lock_answer(fields)?),
        Command::Unlock(_) => Answer::Unlock(passed(fields)?),
        Command::Renew(_) => Answer::Renew(passed(fields)?),
        Command::BreakLock(_) => Answer::BreakLock(lock_answer(fields)?),
        Command::Record(_) => Answer::Record(passed(fields)?),
        Command::Digest(_) => Answer::Digest(fields.filled("sha256")?),
        Command::Put(_) => Answer::Put(fenced(fields, |fields| put(fields, "put"))?),
        Command::FindJar(find) => Answer::FindJar(offer(find, fields)?),
        Command::Take(_) => Answer::Take(fenced(fields, |fields| put(fields, "take"))?),
        Command::DiscardUpload(_) => Answer::DiscardUpload(passed(fields)?),
        Command::Start(_) => Answer::Start(fenced(fields, start)?),
        Command::Stop(_) => Answer::Stop(fenced(fields, stop)?),
        Command::Hook(_) => Answer::Hook(fenced(fields, hook)?),
        Command::SetTimer(_) => Answer::SetTimer(fenced(fields, left)?),
        Command::CancelTimer(_) => {
            Answer::CancelTimer(fenced(fields, |fields| match fields.text("timer")?.as_str() {
                "none" => Ok(None),
                word => timer_state(word).map(Some).ok_or_else(|| unknown("timer")),
            })?)
        }
        Command::MarkRelease(_) => Answer::MarkRelease(passed(fields)?),
        Command::Prepare(_) => Answer::Prepare(fenced(fields, prepare)?),
        Command::Commit(_) => Answer::Commit(fenced(fields, switch)?),
        Command::Arm(_) => Answer::Arm(fenced(fields, arm)?),
        Command::Confirm(_) => Answer::Confirm(fenced(fields, confirm)?),
        Command::Revert(_) => Answer::Revert(fenced(fields, switch)?),
        Command::CleanNginx(_) => Answer::CleanNginx(passed(fields)?),
        Command::AwaitWorkers(_) => Answer::AwaitWorkers(fields.numbers("leaving")?),
        Command::AwaitConnections(_) => Answer::AwaitConnections(fields.value("connections")?),
        Command::Prune(_) => Answer::Prune(fenced(fields, |fields| fields.values("pruned"))?),
        Command::LogTail(_) => Answer::LogTail(log_tail(fields)?),
        Command::Audit(_) => Answer::Audit(fields.long_text("audit")?),
        Command::NoteDrill(_) => match fields.text("noted")?.as_str() {
            "yes" => Answer::NoteDrill,
            _ => return Err(bad("noted", "is not `yes`")),
        },
        Command::Fetch(_) => Answer::Fetch(fetch(fields)?),
        Command::Peers(_) => Answer::Peers(peers(fields)?),
        Command::SudoCheck(_) => Answer::SudoCheck(sudo_check(fields)?),
    })
}

/// A number that only ever grows by one: an epoch, or a sequence number.
pub(super) fn counted(fields: &mut Fields, key: &'static str) -> Read<u64> {
    match fields.value(key)? {
        number if number > MAX_COUNT => Err(bad(key, "is too high")),
        number => Ok(number),
    }
}

/// The lock as every script says it.
pub(super) fn lock_state(fields: &mut Fields) -> Read<LockState> {
    let epoch = Epoch(counted(fields, "lock.epoch")?);
    let run = fields.filled("lock.run")?;
    let who = fields.text("lock.who")?;
    let owner = Owner {
        place: fields.text("lock.place")?,
        command: fields.text("lock.command")?,
        build_url: fields.maybe_text("lock.build_url").filter(|url| !url.is_empty()),
        since: fields.text("lock.since")?,
        who,
    }
    .bounded();
    let owner = (run.is_some() || owner != Owner::default()).then_some(owner);
    let lease_left = fields.maybe_milliseconds("lock.lease_left_ms")?;
    Ok(LockState {
        epoch,
        run,
        owner,
        lease_left,
    })
}

/// An identity below `prefix`, where one is there.
pub(super) fn maybe_identity(fields: &mut Fields, prefix: &str) -> Read<Option<ProcessIdentity>> {
    let Some(pid) = fields.maybe_value(&format!("{prefix}.pid"))? else {
        return Ok(None);
    };
    let start_ticks = fields.maybe_value(&format!("{prefix}.start_ticks"))?;
    let boot_id = fields.maybe_text(&format!("{prefix}.boot_id"));
    let uid = fields.maybe_value(&format!("{prefix}.uid"))?;
    let (Some(start_ticks), Some(boot_id), Some(uid)) = (start_ticks, boot_id, uid) else {
        return Err(bad(
            &format!("{prefix}.pid"),
            "comes without the rest of the identity",
        ));
    };
    if !is_boot_id(&boot_id) {
        return Err(bad(&format!("{prefix}.boot_id"), "is no boot id"));
    }
    Ok(Some(ProcessIdentity {
        pid,
        start_ticks,
        boot_id,
        uid,
    }))
}

/// An identity below `prefix`.
pub(super) fn identity(fields: &mut Fields, prefix: &str) -> Read<ProcessIdentity> {
    maybe_identity(fields, prefix)?.ok_or_else(|| bad(prefix, "has no identity"))
}

/// A listener below `prefix`.
pub(super) fn listening_process(fields: &mut Fields, prefix: &str) -> Read<ListeningProcess> {
    // The socket's user comes first, and the process's own with the identity after it.
    let uid = fields
        .maybe_value(&format!("{prefix}.uid"))?
        .ok_or_else(|| bad(prefix, "has no user"))?;
    Ok(ListeningProcess {
        identity: maybe_identity(fields, prefix)?,
        uid,
        command: one_line(
            &fields
                .maybe_text(&format!("{prefix}.command"))
                .unwrap_or_default(),
        ),
    })
}

fn one_line(text: &str) -> String {
    text.trim().replace(['\n', '\t'], " ")
}

/// The answer of a command that has nothing to say but that it was let through.
fn passed(fields: &mut Fields) -> Read<Fenced<()>> {
    fenced(fields, |_| Ok(()))
}

fn fenced<T>(fields: &mut Fields, read: impl FnOnce(&mut Fields) -> Read<T>) -> Read<Fenced<T>> {
    match fields.text("fence")?.as_str() {
        "passed" => Ok(Fenced::Passed(read(fields)?)),
        "refused" => Ok(Fenced::Refused(lock_state(fields)?)),
        _ => Err(unknown("fence")),
    }
}

fn unknown(key: &str) -> ParseError {
    bad(key, "is not one of the known words")
}

fn lock_answer(fields: &mut Fields) -> Read<LockAnswer> {
    match fields.text("lock")?.as_str() {
        "taken" => Ok(LockAnswer::Taken),
        "held" => Ok(LockAnswer::Held(lock_state(fields)?)),
        _ => Err(unknown("lock")),
    }
}

fn offer(find: &FindJar, fields: &mut Fields) -> Read<Offer> {
    Ok(match fields.text("jar")?.as_str() {
        "none" => Offer::None,
        "unfit" => Offer::Unfit {
            reason: fields.text("reason")?,
        },
        "found" => {
            let name = fields.text("name")?;
            let jar = OfferedJar {
                path: find
                    .pattern
                    .folder()
                    .join(&name)
                    .map_err(|error| bad("name", error.reason))?,
                sha256: fields.text("sha256")?,
                size_bytes: fields.value("size_bytes")?,
            };
            if name.contains('/') {
                return Err(bad("name", "is no file's name"));
            }
            if !is_digest(&jar.sha256) {
                return Err(bad("sha256", "is no digest"));
            }
            Offer::Jar(jar)
        }
        _ => return Err(unknown("jar")),
    })
}

/// Whether it is a SHA-256 in hex.
pub(super) fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn put(fields: &mut Fields, key: &'static str) -> Read<PutAnswer> {
    match fields.text(key)?.as_str() {
        "stored" => Ok(PutAnswer::Stored),
        "mismatch" => Ok(PutAnswer::Mismatch {
            size_bytes: fields.value("size_bytes")?,
            sha256: fields.text("sha256")?,
        }),
        "write_failed" => Ok(PutAnswer::WriteFailed {
            reason: fields.text("reason")?,
        }),
        _ => Err(unknown(key)),
    }
}

fn start(fields: &mut Fields) -> Read<StartAnswer> {
    match fields.text("start")?.as_str() {
        "listening" => Ok(StartAnswer::Listening {
            identity: identity(fields, "identity")?,
            log: fields.maybe_value("log")?,
        }),
        "exited" => Ok(StartAnswer::Exited {
            reason: fields.text("reason")?,
            tail: fields.text("tail")?,
        }),
        "out_of_memory" => Ok(StartAnswer::OutOfMemory {
            available_bytes: observe::kilobytes(fields, "available_kb")?,
            kills: fields.value("kills")?,
            tail: fields.text("tail")?,
        }),
        "not_listening" => Ok(StartAnswer::NotListening {
            identity: identity(fields, "identity")?,
            tail: fields.text("tail")?,
        }),
        "port_taken" => {
            fields.text("by")?;
            Ok(StartAnswer::PortTaken {
                by: listening_process(fields, "by")?,
                tail: fields.text("tail")?,
            })
        }
        _ => Err(unknown("start")),
    }
}

fn stop(fields: &mut Fields) -> Read<StopAnswer> {
    match fields.text("stop")?.as_str() {
        "terminated" => Ok(StopAnswer::Terminated),
        "killed" => Ok(StopAnswer::Killed),
        "already_gone" => Ok(StopAnswer::AlreadyGone),
        "still_runs" => Ok(StopAnswer::StillRuns {
            reason: fields.text("reason")?,
        }),
        "successor_missing" => Ok(StopAnswer::SuccessorMissing {
            reason: fields.text("reason")?,
        }),
        _ => Err(unknown("stop")),
    }
}

fn hook(fields: &mut Fields) -> Read<HookAnswer> {
    match fields.text("hook")?.as_str() {
        "done" => Ok(HookAnswer::Done {
            output: fields.text("output")?,
        }),
        "failed" => Ok(HookAnswer::Failed {
            reason: one_line(&fields.text("reason")?),
            output: fields.text("output")?,
        }),
        "was_done" => Ok(HookAnswer::WasDone),
        "had_failed" => Ok(HookAnswer::HadFailed {
            reason: one_line(&fields.text("reason")?),
        }),
        "unknown" => Ok(HookAnswer::Unknown),
        "running" => Ok(HookAnswer::Running),
        "noted" => Ok(HookAnswer::Noted),
        _ => Err(unknown("hook")),
    }
}

fn prepare(fields: &mut Fields) -> Read<PrepareAnswer> {
    match fields.text("prepare")?.as_str() {
        "accepted" => Ok(PrepareAnswer::Accepted {
            warnings: fields.text("warnings")?,
        }),
        "refused" => Ok(PrepareAnswer::Refused {
            output: fields.text("output")?,
        }),
        "drifted" => Ok(PrepareAnswer::Drifted),
        _ => Err(unknown("prepare")),
    }
}

fn switch(fields: &mut Fields) -> Read<SwitchAnswer> {
    match fields.text("switch")?.as_str() {
        "proven" => Ok(SwitchAnswer::Proven {
            serving: fields.numbers("serving")?,
            leaving: fields.numbers("leaving")?,
            watch_left: fields.maybe_milliseconds("watch_left_ms")?,
        }),
        "drifted" => Ok(SwitchAnswer::Drifted),
        "restarted" => Ok(SwitchAnswer::Restarted),
        "unproven" => Ok(SwitchAnswer::Unproven {
            reason: fields.text("reason")?,
        }),
        "no_home" => Ok(SwitchAnswer::NoHome),
        _ => Err(unknown("switch")),
    }
}

fn arm(fields: &mut Fields) -> Read<ArmAnswer> {
    match fields.text("arm")?.as_str() {
        "armed" => Ok(ArmAnswer::Armed {
            left: fields
                .maybe_milliseconds("watch_left_ms")?
                .ok_or(ParseError::Missing { key: "watch_left_ms" })?,
        }),
        "no_home" => Ok(ArmAnswer::NoHome),
        _ => Err(unknown("arm")),
    }
}

fn confirm(fields: &mut Fields) -> Read<ConfirmAnswer> {
    match fields.text("confirm")?.as_str() {
        "confirmed" => Ok(ConfirmAnswer::Confirmed),
        "lost" => Ok(ConfirmAnswer::Lost(match fields.filled::<String>("token")? {
            Some(word) => Some(token_state(&word).ok_or_else(|| unknown("token"))?),
            None => None,
        })),
        _ => Err(unknown("confirm")),
    }
}

fn left(fields: &mut Fields) -> Read<Duration> {
    let key = "left_ms";
    fields.maybe_milliseconds(key)?.ok_or(ParseError::Missing { key })
}

/// The state of a timer that a word names.
pub(super) fn timer_state(word: &str) -> Option<TimerState> {
    TimerState::ALL.into_iter().find(|state| state.as_str() == word)
}

/// The state that a word names.
pub(super) fn token_state(word: &str) -> Option<TokenState> {
    Some(match word {
        "armed" => TokenState::Armed,
        "confirmed" => TokenState::Confirmed,
        "reverted" => TokenState::Reverted,
        "fired" => TokenState::Fired,
        "superseded" => TokenState::Superseded,
        _ => return None,
    })
}

fn log_tail(fields: &mut Fields) -> Read<Option<LogEnd>> {
    let file = fields.maybe_value("log")?.map(LogPlace::File);
    let journal = fields.maybe_value("journal")?.map(LogPlace::Journal);
    let Some(place) = file.or(journal) else {
        return Ok(None);
    };
    Ok(Some(LogEnd {
        place,
        text: fields.text("text")?,
    }))
}

fn fetch(fields: &mut Fields) -> Read<FetchAnswer> {
    match fields.text("fetch")?.as_str() {
        "response" => Ok(FetchAnswer::Response {
            status: fields.value("status")?,
            body: fields
                .bytes("body")
                .map(|body| body[..body.len().min(MAX_BODY_BYTES)].to_vec())?,
        }),
        "failed" => Ok(FetchAnswer::Failed {
            reason: fields.text("reason")?,
        }),
        "no_tool" => Ok(FetchAnswer::NoTool),
        _ => Err(unknown("fetch")),
    }
}

fn peers(fields: &mut Fields) -> Read<Vec<String>> {
    let address = |text: &String| addresses::socket(text).ok_or_else(|| bad("peer", "is no address"));
    fields.texts("peer").iter().map(address).collect()
}

fn sudo_check(fields: &mut Fields) -> Read<Vec<SudoEntry>> {
    let entry = |mut group: Fields| {
        let allowed = match group.text("sudo")?.as_str() {
            "allowed" => true,
            "denied" => false,
            _ => return Err(unknown("sudo")),
        };
        let command = one_line(&group.text("sudo.command")?);
        group.finish()?;
        Ok(SudoEntry { command, allowed })
    };
    fields.groups("sudo").into_iter().map(entry).collect()
}

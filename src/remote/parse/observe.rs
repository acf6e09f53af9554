//! The answer of observe.

use std::collections::BTreeMap;

use super::answers::{
    counted, identity, is_digest, listening_process, lock_state, maybe_identity, timer_state, token_state,
};
use super::fields::{Fields, bad};
use super::{ParseError, addresses};
use crate::model::hook::{HookObserved, HookState};
use crate::model::lock::Epoch;
use crate::model::names::SlotName;
use crate::model::observed::{
    Entry, EntryKind, HostObserved, Machine, Master, NginxObserved, ReleaseObserved, SlotObserved,
    StateFolder, StateStatus, WasObserved, WatchKeeper,
};
use crate::model::process::{InstanceRecord, ProcessIdentity, UnfinishedStart, is_boot_id};
use crate::model::record::RunRecord;
use crate::model::timer::{Timer, TimerProgram};
use crate::model::token::{Token, TokenId, WatchProcess};
use crate::model::unit::{UnitObserved, UnitState};

type Read<T> = Result<T, ParseError>;

/// What is true on the host.
pub(super) fn host(fields: &mut Fields) -> Read<HostObserved> {
    let machine = machine(fields)?;
    let state = state(fields)?;
    let lock = lock_state(fields)?;
    let (record, record_unreadable) = record(fields, lock.epoch);
    let hooks = fields.groups("hook").into_iter().map(hook);
    let hooks = hooks.collect::<Read<Vec<_>>>()?;
    let was = if flag(fields, "was")? {
        Some(was(fields)?)
    } else {
        None
    };
    let nginx = if flag(fields, "nginx")? {
        Some(nginx(fields)?)
    } else {
        None
    };
    Ok(HostObserved {
        machine,
        state,
        lock,
        record,
        record_unreadable,
        hooks,
        was,
        nginx,
    })
}

fn flag(fields: &mut Fields, key: &str) -> Read<bool> {
    match fields.maybe_text(key).as_deref() {
        None | Some("no") => Ok(false),
        Some("yes" | "present") => Ok(true),
        Some(_) => Err(bad(key, "is neither yes nor no")),
    }
}

pub(super) fn kilobytes(fields: &mut Fields, key: &'static str) -> Read<u64> {
    let value: u64 = fields.value(key)?;
    value.checked_mul(1024).ok_or_else(|| bad(key, "is too large"))
}

fn machine(fields: &mut Fields) -> Read<Machine> {
    let missing_tools = fields.texts("missing_tool");
    let boot_id = fields.text("boot_id")?;
    if !is_boot_id(&boot_id) {
        return Err(bad("boot_id", "is no boot id"));
    }
    Ok(Machine {
        boot_id,
        uptime_centiseconds: fields.value("uptime_cs")?,
        clock_seconds: fields.value("clock")?,
        uid: fields.value("uid")?,
        user: fields.text("user")?,
        missing_tools,
        memory_available_bytes: kilobytes(fields, "memory_kb")?,
        memory_kills: fields.maybe_value("memory_kills")?,
        keeper: keeper(fields)?,
    })
}

fn state(fields: &mut Fields) -> Read<StateFolder> {
    Ok(StateFolder {
        path: fields.value("state")?,
        status: match fields.text("state.status")?.as_str() {
            "ready" => StateStatus::Ready,
            "absent" => StateStatus::Absent,
            "foreign_owner" => StateStatus::ForeignOwner,
            _ => return Err(bad("state.status", "is not one of the known words")),
        },
    })
}

/// The record, or why there is one that cannot be read. Whoever writes one holds the lock, so that none
/// can be of a higher epoch than the host's own.
fn record(fields: &mut Fields, highest: Epoch) -> (Option<RunRecord>, Option<String>) {
    match fields.maybe_bytes("record").map(|json| RunRecord::read(&json)) {
        None => (None, None),
        Some(Ok(record)) if record.epoch > highest => {
            let reason = format!(
                "it is of epoch {}, and the host's lock never was above {}",
                record.epoch.0, highest.0
            );
            (None, Some(reason))
        }
        Some(Ok(record)) => (Some(record), None),
        Some(Err(reason)) => (None, Some(reason)),
    }
}

/// A hook, from the name of its file and what is in it.
fn hook(mut fields: Fields) -> Read<HookObserved> {
    let hook = HookObserved {
        run: fields.value("hook")?,
        hook: fields.value("hook.name")?,
        state: match fields.text("hook.state")?.as_str() {
            "unknown" => HookState::Unknown,
            "running" => HookState::Running,
            "overdue" => HookState::Overdue,
            "done" => HookState::Done,
            "failed" => HookState::Failed,
            _ => return Err(bad("hook.state", "is not one of the known words")),
        },
        digest: match fields.text("hook.digest")?.as_str() {
            "" => None,
            digest => Some(digest.parse().map_err(|_| bad("hook.digest", "is no digest"))?),
        },
    };
    fields.finish()?;
    Ok(hook)
}

/// A token, from the name of its file and what its host knows of it.
fn token(mut fields: Fields) -> Read<Token> {
    let id = TokenId {
        run: fields.value("token")?,
        epoch: Epoch(counted(&mut fields, "token.epoch")?),
        number: counted(&mut fields, "token.number")?,
    };
    let state = fields.text("token.state")?;
    let token = Token {
        id,
        state: token_state(&state).ok_or_else(|| bad("token.state", "is not one of the known words"))?,
        watch: match fields.text("token.watch")?.as_str() {
            "alive" => WatchProcess::Alive,
            "gone" => WatchProcess::Gone,
            _ => return Err(bad("token.watch", "is not one of the known words")),
        },
        left: fields.maybe_milliseconds("token.left_ms")?,
        restored: flag(&mut fields, "token.restored")?,
    };
    fields.finish()?;
    Ok(token)
}

fn was(fields: &mut Fields) -> Read<WasObserved> {
    let slots = fields.groups("slot").into_iter().map(slot);
    let slots = slots.collect::<Read<BTreeMap<_, _>>>()?;
    let releases = fields.groups("release").into_iter().map(release);
    let mut timers = fields.groups("timer").into_iter();
    let timer = timers.next().map(timer).transpose()?;
    if timers.next().is_some() {
        return Err(bad("timer", "is there more than once"));
    }
    Ok(WasObserved {
        slots,
        timer,
        http_tool: fields.maybe_text("http_tool"),
        missing_files: fields.values("missing_file")?.into_iter().collect(),
        releases: releases.collect::<Read<_>>()?,
        disk_free_bytes: kilobytes(fields, "disk_free_kb")?,
        // Some file systems print `-`, or 0 for all: those count none.
        disk_free_inodes: fields
            .text("disk_free_inodes")?
            .parse()
            .ok()
            .filter(|inodes| *inodes > 0),
    })
}

/// The timer, from the name of its file and what its host knows of it.
fn timer(mut fields: Fields) -> Read<Timer> {
    let id = TokenId {
        run: fields.value("timer")?,
        epoch: Epoch(counted(&mut fields, "timer.epoch")?),
        number: counted(&mut fields, "timer.number")?,
    };
    let state = fields.text("timer.state")?;
    let timer = Timer {
        id,
        slot: fields.value("timer.slot")?,
        unit: fields.maybe_value("timer.unit")?,
        state: timer_state(&state).ok_or_else(|| bad("timer.state", "is not one of the known words"))?,
        program: match fields.text("timer.program")?.as_str() {
            "alive" => TimerProgram::Alive,
            "gone" => TimerProgram::Gone,
            "rebooted" => TimerProgram::Rebooted,
            _ => return Err(bad("timer.program", "is not one of the known words")),
        },
        left: fields.maybe_milliseconds("timer.left_ms")?,
        reason: fields.maybe_text("timer.reason"),
    };
    fields.finish()?;
    Ok(timer)
}

fn release(mut fields: Fields) -> Read<ReleaseObserved> {
    let release = ReleaseObserved {
        id: fields.value("release")?,
        sha256: fields.text("release.sha256")?,
        size_bytes: fields.value("release.size_bytes")?,
        jar_name: fields.text("release.jar_name")?,
        failed: flag(&mut fields, "release.failed")?,
    };
    if !is_digest(&release.sha256) {
        return Err(bad("release.sha256", "is no digest"));
    }
    fields.finish()?;
    Ok(release)
}

fn slot(mut fields: Fields) -> Read<(SlotName, SlotObserved)> {
    let name: SlotName = fields.value("slot")?;
    let port = fields.value("slot.port")?;
    let mut record_runs = false;
    let mut record = None;
    if let Some(recorded_port) = fields.maybe_value("slot.record")? {
        record = Some(InstanceRecord {
            slot: name.clone(),
            port: recorded_port,
            release: fields.value("slot.record.release")?,
            identity: identity(&mut fields, "slot.record")?,
            log: fields.maybe_value("slot.record.log")?,
        });
        record_runs = flag(&mut fields, "slot.record.runs")?;
    }
    let unfinished = match fields.maybe_value("slot.start")? {
        None => None,
        Some(word) => Some(UnfinishedStart {
            word,
            run: fields.value("slot.start.run")?,
            release: fields.value("slot.start.release")?,
            pids: fields.numbers("slot.start.pids")?,
        }),
    };
    let listener = if flag(&mut fields, "slot.listener")? {
        Some(listening_process(&mut fields, "slot.listener")?)
    } else {
        None
    };
    let unit = match fields.maybe_value("slot.unit")? {
        None => None,
        Some(name) => Some(UnitObserved {
            name,
            state: unit_state(&fields.text("slot.unit.state")?)?,
            listens: flag(&mut fields, "slot.unit.listens")?,
        }),
    };
    let slot = SlotObserved {
        port,
        listener,
        connections: fields.value("slot.connections")?,
        answers_as: None,
        record,
        record_runs,
        unfinished,
        unit,
        peak_memory_bytes: kilobytes(&mut fields, "slot.peak_memory_kb")?,
    };
    fields.finish()?;
    Ok((name, slot))
}

fn unit_state(word: &str) -> Read<UnitState> {
    Ok(match word {
        "ready" => UnitState::Ready,
        "static" => UnitState::Static,
        "unknown" => UnitState::Unknown,
        "masked" => UnitState::Masked,
        "broken" => UnitState::Broken,
        "no_systemd" => UnitState::NoSystemd,
        _ => return Err(bad("slot.unit.state", "is not one of the known words")),
    })
}

fn nginx(fields: &mut Fields) -> Read<NginxObserved> {
    let siblings = fields.groups("sibling").into_iter().map(sibling);
    let siblings = siblings.collect::<Read<_>>()?;
    let slot_files = fields.groups("slot_file").into_iter().map(slot_file);
    let slot_files = slot_files.collect::<Read<_>>()?;
    let saved_homes = fields.texts("saved_home");
    Ok(NginxObserved {
        master: master(fields)?,
        conf: fields.value("conf")?,
        error_log: fields.maybe_value("error_log")?,
        // It is searched and never written back: comments in another encoding do no harm.
        dump: String::from_utf8_lossy(&fields.maybe_bytes("dump").unwrap_or_default()).into_owned(),
        test_failure: fields.maybe_text("test_failure"),
        entry: entry(fields)?,
        siblings,
        slot_files,
        own_addresses: own_addresses(fields)?,
        generation: None,
        saved_homes,
        tokens: fields
            .groups("token")
            .into_iter()
            .map(token)
            .collect::<Read<_>>()?,
    })
}

fn keeper(fields: &mut Fields) -> Read<WatchKeeper> {
    match fields.text("keeper")?.as_str() {
        "session" => Ok(WatchKeeper::Session),
        "systemd" => Ok(WatchKeeper::Systemd),
        "user" => Ok(WatchKeeper::User),
        "nobody" => Ok(WatchKeeper::Nobody),
        _ => Err(bad("keeper", "is not one of the known words")),
    }
}

fn master(fields: &mut Fields) -> Read<Option<Master>> {
    if !flag(fields, "master")? {
        return Ok(None);
    }
    let identity: Option<ProcessIdentity> = maybe_identity(fields, "master")?;
    Ok(Some(Master {
        identity: identity.ok_or_else(|| bad("master", "has no identity"))?,
        serving: fields.numbers("master.serving")?,
        leaving: fields.numbers("master.leaving")?,
    }))
}

fn entry(fields: &mut Fields) -> Read<Entry> {
    Ok(Entry {
        kind: entry_kind(fields, "entry", "entry")?,
        content: fields.maybe_exact("entry.content")?,
        owner: fields.maybe_text("entry.owner").unwrap_or_default(),
        mode: fields.maybe_text("entry.mode").unwrap_or_default(),
    })
}

fn entry_kind(fields: &mut Fields, key: &'static str, prefix: &str) -> Read<EntryKind> {
    match fields.text(key)?.as_str() {
        "absent" => Ok(EntryKind::Absent),
        "file" => Ok(EntryKind::File),
        "other" => Ok(EntryKind::Other),
        "link" => Ok(EntryKind::Link {
            target: link(fields, prefix, "target")?,
            resolved: link(fields, prefix, "resolved")?,
        }),
        _ => Err(bad(key, "is not one of the known words")),
    }
}

fn link(fields: &mut Fields, prefix: &str, what: &str) -> Read<String> {
    let key = format!("{prefix}.{what}");
    fields
        .maybe_text(&key)
        .ok_or_else(|| bad(&key, "is missing from a link"))
}

fn sibling(mut fields: Fields) -> Read<(String, EntryKind)> {
    let name = fields.text("sibling")?;
    let kind = entry_kind(&mut fields, "sibling.kind", "sibling")?;
    fields.finish()?;
    Ok((name, kind))
}

fn slot_file(mut fields: Fields) -> Read<(SlotName, Option<String>)> {
    let name = fields.value("slot_file")?;
    let content = fields.maybe_exact("slot_file.content")?;
    fields.finish()?;
    Ok((name, content))
}

fn own_addresses(fields: &mut Fields) -> Read<Vec<String>> {
    let mut list: Vec<String> = Vec::new();
    let addresses = fields.values::<std::net::IpAddr>("address")?;
    list.extend(addresses.iter().map(ToString::to_string));
    for address in fields.texts("address6") {
        list.push(addresses::interface(&address).ok_or_else(|| bad("address6", "is no address"))?);
    }
    Ok(list)
}

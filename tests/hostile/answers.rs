//! Answers of hosts: spoilt in every way, and as large as they can be.

use std::io::Write as _;
use std::process::{Command as Process, Stdio};

use nonstop::model::process::StopTarget;
use nonstop::remote::answer::{Answer, Fenced, LockAnswer, SwitchAnswer};
use nonstop::remote::command::{Command, Confirm, Observe, Stop};
use nonstop::remote::parse::{Exit, MAX_ANSWER_BYTES, ParseError, RawOutput, parse};
use nonstop::remote::render::render;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::cases::{NASTY, cases, nasty};
use crate::vocabulary::{
    Fields, SECOND, answered, blue, fence, identity, nginx, place, placement, printed, run,
};

/// What can happen to the fields of an answer.
#[derive(Debug, Clone)]
enum Spoilt {
    Value(Index, Vec<u8>),
    Lost(Index),
    Twice(Index),
    Swapped(Index, Index),
    Renamed(Index, Vec<u8>),
}

fn spoilt() -> impl Strategy<Value = Spoilt> {
    let at = any::<Index>;
    prop_oneof![
        8 => (at(), nasty()).prop_map(|(at, value)| Spoilt::Value(at, value)),
        1 => at().prop_map(Spoilt::Lost),
        1 => at().prop_map(Spoilt::Twice),
        1 => (at(), at()).prop_map(|(one, other)| Spoilt::Swapped(one, other)),
        1 => (at(), nasty()).prop_map(|(at, key)| Spoilt::Renamed(at, key)),
    ]
}

fn spoil(fields: &mut Fields, how: Spoilt) {
    if fields.is_empty() {
        return;
    }
    let count = fields.len();
    match how {
        Spoilt::Value(at, value) => fields[at.index(count)].1 = value,
        Spoilt::Lost(at) => drop(fields.remove(at.index(count))),
        Spoilt::Twice(at) => fields.push(fields[at.index(count)].clone()),
        Spoilt::Swapped(one, other) => fields.swap(one.index(count), other.index(count)),
        Spoilt::Renamed(at, key) => fields[at.index(count)].0 = String::from_utf8_lossy(&key).into_owned(),
    }
}

#[test]
fn every_true_answer_is_read() {
    for (command, fields) in answered() {
        let output = printed(&fields);
        assert!(
            parse(&command, &output).is_ok(),
            "{command:?}: {:?}",
            parse(&command, &output)
        );
    }
}

/// What a host said may be shown as it is in errors, and it is bounded.
fn is_fit_to_show(error: &ParseError) -> Result<(), TestCaseError> {
    let shown = error.to_string();
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    prop_assert!(!shown.contains(steers), "{shown:?}");
    Ok(())
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_spoilt_answer_is_read_or_refused_and_nothing_else(
        which in any::<Index>(),
        how in proptest::collection::vec(spoilt(), 1..4),
    ) {
        let (command, mut fields) = which.get(&answered()).clone();
        for one in how {
            spoil(&mut fields, one);
        }
        match parse(&command, &printed(&fields)) {
            Ok(answer) => within_bounds(&answer)?,
            Err(error) => is_fit_to_show(&error)?,
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_changed_at_any_byte_does_no_harm(
        which in any::<Index>(),
        cut in any::<Index>(),
        change in proptest::option::of((any::<Index>(), any::<u8>())),
        status in prop_oneof![Just(0), Just(3), any::<u32>()],
    ) {
        let (command, fields) = which.get(&answered()).clone();
        let whole = printed(&fields).stdout;
        let mut stdout = whole.clone();
        stdout.truncate(cut.index(whole.len() + 1));
        if let (Some((at, byte)), false) = (change, stdout.is_empty()) {
            let at = at.index(stdout.len());
            stdout[at] = byte;
        }
        let is_whole = stdout == whole && status == 0;
        let output = RawOutput { exit: Exit::Status(status), stderr: stdout.clone(), stdout };
        match parse(&command, &output) {
            Ok(answer) => within_bounds(&answer)?,
            Err(error) => {
                prop_assert!(!is_whole, "{error}");
                is_fit_to_show(&error)?;
            }
        }
    }
}

const YEAR_SECONDS: u64 = 366 * 86_400;

/// No number of an answer is one that adding to it could overflow.
fn within_bounds(answer: &Answer) -> Result<(), TestCaseError> {
    let epoch = match answer {
        Answer::Observe(seen) => {
            let nginx = seen.nginx.iter();
            for token in nginx.flat_map(|nginx| &nginx.tokens) {
                prop_assert!(token.id.epoch.0 < 1 << 61 && token.id.number < 1 << 61);
                prop_assert!(token.left.is_none_or(|left| left.as_secs() < YEAR_SECONDS));
            }
            prop_assert!(
                seen.record
                    .as_ref()
                    .is_none_or(|record| record.epoch <= seen.lock.epoch)
            );
            seen.lock.epoch.0
        }
        Answer::Lock(LockAnswer::Held(lock)) | Answer::Unlock(Fenced::Refused(lock)) => {
            prop_assert!(lock.lease_left.is_none_or(|left| left.as_secs() < YEAR_SECONDS));
            let owner = lock.owner.clone().unwrap_or_default();
            prop_assert!(!owner.who.contains(char::is_control) && owner.who.chars().count() <= 1024);
            lock.epoch.0
        }
        Answer::Commit(Fenced::Passed(SwitchAnswer::Proven { watch_left, .. })) => {
            prop_assert!(watch_left.is_none_or(|left| left.as_secs() < YEAR_SECONDS));
            0
        }
        _ => 0,
    };
    prop_assert!(epoch < 1 << 61);
    Ok(())
}

/// The commands that a run sends with what the host itself has said before.
fn sent_back(seen: &Answer) -> Vec<Command> {
    let Answer::Observe(seen) = seen else {
        return Vec::new();
    };
    let mut commands = Vec::new();
    let slots = seen.was.iter().flat_map(|was| &was.slots);
    for (name, slot) in slots {
        let record = slot.record.clone();
        let process = record.map(|record| StopTarget::Process(record.identity));
        let start = slot.unfinished.clone();
        let start = start.map(|start| StopTarget::Start(start.word));
        commands.extend([process, start].into_iter().flatten().map(|target| {
            Command::Stop(Stop {
                fence: fence(),
                slot: name.clone(),
                target,
                grace: SECOND,
                successor: None,
            })
        }));
    }
    let nginx_seen = seen.nginx.iter();
    for seen in nginx_seen {
        for token in &seen.tokens {
            commands.push(Command::Confirm(Confirm {
                fence: fence(),
                token: token.id.clone(),
            }));
        }
        let mut nginx = nginx(identity());
        nginx.master = seen
            .master
            .as_ref()
            .map_or_else(identity, |master| master.identity.clone());
        nginx.conf = seen.conf.clone();
        nginx.error_log.clone_from(&seen.error_log);
        let mut placement = placement();
        let file = seen.entry.content.clone().unwrap_or_default();
        placement.content = nonstop::remote::command::PlacedContent::File(file.clone());
        commands.push(Command::Prepare(nonstop::remote::command::Prepare {
            fence: fence(),
            home: run(),
            nginx,
            placement,
            candidate: file.clone(),
            upstreams: None,
            shadow: file,
        }));
    }
    commands.push(Command::Prune(nonstop::remote::command::Prune {
        fence: fence(),
        keep: 1,
        protected: seen
            .was
            .iter()
            .flat_map(|was| was.releases.iter().map(|release| release.id.clone()))
            .collect(),
    }));
    commands
}

/// The parameters of a command, and what `sh` makes of them by its own hand: each must be one assignment of
/// plain characters, and the shell must run nothing.
fn survives_the_shell(command: &Command) -> Result<(), TestCaseError> {
    let text = render(&place(), command).text;
    let end = text.find("\n#!/bin/sh\n").expect("the first prelude");
    let assignments = &text[..=end];
    let names: Vec<&str> = assignments
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('=').expect("an assignment on one line").0)
        .collect();
    prop_assert!(
        names.iter().all(|name| name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')),
        "{names:?}"
    );
    let words: Vec<String> = names.iter().map(|name| format!("\"${name}\"")).collect();
    let program = format!("PATH=/nowhere\n{assignments}\nprintf '%s\\0' {}", words.join(" "));
    // An argument of `sh -c` has a limit that a file has not.
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(program.as_bytes()).expect("a file");
    let output = Process::new("sh").arg(file.path()).output().expect("a shell");
    prop_assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    prop_assert_eq!(printed.split_terminator('\0').count(), names.len());
    for (value, name) in printed.split_terminator('\0').zip(&names) {
        // Those of which scripts make paths, signals and arithmetic.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._@%+=:, -".contains(c);
        prop_assert!(value.chars().all(is_plain), "{name}={value:?}");
        prop_assert!(!value.split('/').any(|part| part == ".."), "{name}={value:?}");
        if name.ends_with("_PID") || *name == "PID" || name.ends_with("EPOCH") || name.ends_with("NUMBER") {
            let number: Result<i64, _> = value.parse();
            prop_assert!(value.is_empty() || number.is_ok(), "{name}={value:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn whatever_of_an_answer_goes_into_a_later_command_stays_what_it_is(
        how in proptest::collection::vec((any::<Index>(), nasty()), 1..3),
    ) {
        let (command, mut fields) = answered().swap_remove(0);
        for (at, value) in how {
            let at = at.index(fields.len());
            fields[at].1 = value;
        }
        if let Ok(answer) = parse(&command, &printed(&fields)) {
            for command in sent_back(&answer) {
                survives_the_shell(&command)?;
            }
        }
    }
}

#[test]
fn each_nasty_value_in_each_field_of_an_observation_is_refused_or_stays_what_it_is() {
    let (command, fields) = answered().swap_remove(0);
    let mut read = 0;
    for at in 0..fields.len() {
        for value in NASTY {
            let mut fields = fields.clone();
            fields[at].1 = value.as_bytes().to_vec();
            if let Ok(Answer::Observe(seen)) = parse(&command, &printed(&fields)) {
                read += 1;
                let ids = seen.was.iter().flat_map(|was| &was.releases);
                assert!(ids.clone().all(|release| !release.id.as_str().contains("..")));
                assert!(!seen.state.path.as_str().contains(['\n', '\'', '$', '`']));
            }
        }
    }
    assert!(read > 100, "the test must look at something: {read}");
}

#[test]
fn an_epoch_above_every_true_one_and_a_time_that_no_clock_counts_are_refused() {
    for (key, value) in [
        ("lock.epoch", "18446744073709551615"),
        ("lock.lease_left_ms", "18446744073709551615"),
        ("token.epoch", "18446744073709551615"),
        ("token.number", "18446744073709551615"),
        ("token.left_ms", "18446744073709551615"),
        ("memory_kb", "18446744073709551615"),
        ("slot.peak_memory_kb", "18446744073709551615"),
        ("boot_id", "$(reboot)"),
        ("master.boot_id", "a'b"),
        ("release", "../../../etc"),
        ("slot.record.log", "/srv/a\nb"),
        ("slot.record.log", "/srv/../../etc/shadow"),
        ("conf", "/etc/nginx/nginx.conf; reboot"),
        ("error_log", "/a\u{1b}[2J"),
        ("slot.start", "a b"),
        ("slot.start.pids", "1 x"),
        ("slot.record.pid", "-1"),
        ("slot.port", "0"),
        ("saved_home", ""),
    ] {
        let (command, mut fields) = answered().swap_remove(0);
        let field = fields.iter_mut().find(|(name, _)| name == key).unwrap();
        field.1 = value.as_bytes().to_vec();
        let read = parse(&command, &printed(&fields));
        if key == "saved_home" {
            assert!(read.is_ok(), "the control: {read:?}");
        } else {
            assert!(read.is_err(), "{key}={value}");
        }
    }
}

#[test]
fn a_record_of_a_higher_epoch_than_its_hosts_lock_is_not_believed() {
    let (command, mut fields) = answered().swap_remove(0);
    let record = |epoch: u64| {
        format!(
            r#"{{"run":"r","epoch":{epoch},"owner":{{"who":"a","place":"b","command":"c","build_url":null,"since":"d"}},
                "was":[],"nginx":[],"from_slot":null,"to_slot":null,"release":null,"phase":"commit",
                "point_of_no_return":false,"status":"open"}}"#
        )
    };
    for (epoch, believed) in [(7, true), (8, false), (u64::MAX, false)] {
        let field = fields.iter_mut().find(|(name, _)| name == "record").unwrap();
        field.1 = record(epoch).into_bytes();
        let Answer::Observe(seen) = parse(&command, &printed(&fields)).unwrap() else {
            panic!("another answer");
        };
        assert_eq!(seen.record.is_some(), believed, "{:?}", seen.record_unreadable);
        assert_eq!(seen.record_unreadable.is_none(), believed);
    }
}

/// Answers that are as large as they may be, in every shape.
fn huge() -> Vec<(&'static str, Vec<u8>)> {
    let frame = |lines: &[u8]| {
        let mut stdout = b"nonstop-answer 1 begin\n".to_vec();
        stdout.extend_from_slice(lines);
        stdout.extend_from_slice(b"nonstop-answer 1 end\n");
        stdout
    };
    let lines = |line: &str, count: usize| frame(line.repeat(count).as_bytes());
    let mixed = "x=\n".repeat(25_000) + &"missing_tool=a\n".repeat(24_999);
    vec![
        ("one line without an end", vec![b'a'; MAX_ANSWER_BYTES]),
        ("millions of empty lines", vec![b'\n'; MAX_ANSWER_BYTES]),
        ("an endless greeting", b"Welcome!\n".repeat(MAX_ANSWER_BYTES / 9)),
        ("millions of fields", lines("a=\n", MAX_ANSWER_BYTES / 4)),
        ("many of one key behind many of another", frame(mixed.as_bytes())),
        ("many peers", lines("peer=0100007F:1F90\n", 49_999)),
        ("many tools", lines("missing_tool=awk\n", 49_999)),
        ("many tokens", lines("token=r\n", 49_999)),
        ("many releases", lines("release=r\n", 49_999)),
        (
            "one value",
            frame(format!("text={}\n", "a".repeat(8_000_000)).as_bytes()),
        ),
        (
            "one value of numbers",
            frame(format!("leaving={}\n", "1 ".repeat(500_000)).as_bytes()),
        ),
    ]
}

#[test]
fn the_largest_answers_take_neither_the_memory_nor_the_time_of_the_controller() {
    // The same test program, with as much address space as a small machine has for it.
    let program = std::env::current_exe().expect("a path");
    let status = Process::new("sh")
        .args(["-c", "ulimit -v 400000 && ulimit -t 60 && exec \"$0\" \"$@\""])
        .arg(program)
        .args([
            "--exact",
            "answers::reads_the_largest_answers",
            "--ignored",
            "--test-threads=1",
        ])
        .stdout(Stdio::null())
        .status()
        .expect("a shell");
    assert!(status.success(), "{status}");
}

/// Whether true answers to it may be large.
fn is_large(command: &Command) -> bool {
    matches!(
        command,
        Command::Observe(_) | Command::Peers(_) | Command::AwaitWorkers(_) | Command::LogTail(_)
    )
}

#[test]
#[ignore = "run by another test, with little memory"]
fn reads_the_largest_answers() {
    for (name, stdout) in huge() {
        for (command, _) in answered().into_iter().filter(|(command, _)| is_large(command)) {
            let output = RawOutput {
                stdout: stdout.clone(),
                ..RawOutput::default()
            };
            assert!(
                parse(&command, &output).is_err() || matches!(command, Command::Peers(_)),
                "{name}: {command:?}"
            );
        }
    }
    let too_large = RawOutput {
        stdout: vec![b'a'; MAX_ANSWER_BYTES + 1],
        ..RawOutput::default()
    };
    let observe = Command::Observe(Observe {
        slots: [(blue(), crate::vocabulary::port())].into(),
        files: [].into(),
        nginx: None,
    });
    assert_eq!(parse(&observe, &too_large), Err(ParseError::TooLong));
}

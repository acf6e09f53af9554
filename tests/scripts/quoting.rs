//! Parameters survive every shell as they are, and the scripts are what shellcheck wants.

use std::io::Write as _;
use std::process::{Command as Process, Stdio};

use nonstop::remote::command::Command;
use nonstop::remote::render::{Stdin, invocation, name, render};
use proptest::prelude::*;

use crate::host::{Shell, which};
use crate::vocabulary::{commands, place, start};

#[test]
fn every_script_passes_shellcheck_alone_and_as_it_is_sent() {
    let shellcheck = which("shellcheck").expect("install shellcheck");
    let scripts = glob::glob("src/remote/sh/*.sh")
        .expect("a pattern")
        .map(|path| path.expect("readable"));
    let alone = Process::new(&shellcheck)
        .args(["-s", "sh"])
        .args(scripts)
        .output()
        .expect("it runs");
    assert!(
        alone.status.success(),
        "{}",
        String::from_utf8_lossy(&alone.stdout)
    );
    for command in commands() {
        let mut check = Process::new(&shellcheck)
            // Not every script needs every part of what it stands on.
            .args(["-s", "sh", "-S", "warning", "-e", "SC2034", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let text = render(&place(), &command).text;
        check
            .stdin
            .take()
            .expect("piped")
            .write_all(text.as_bytes())
            .expect("written");
        let output = check.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "{}: {}",
            name(&command),
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
fn every_script_says_first_what_it_does_with_what_and_what_it_prints() {
    for file in glob::glob("src/remote/sh/*.sh").expect("a pattern") {
        let file = file.expect("readable");
        let text = std::fs::read_to_string(&file).expect("text");
        let name = file.file_stem().expect("a name").to_str().expect("UTF-8");
        let comment: String = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .collect::<Vec<_>>()
            .join(" ");
        assert!(text.starts_with("#!/bin/sh\n"), "{name}");
        for part in [&format!("# {name}: "), "Parameters: ", "Prints: "] {
            assert!(comment.contains(part), "{name} lacks {part}");
        }
    }
}

#[test]
fn a_script_goes_by_standard_input_unless_that_carries_the_jar() {
    for command in commands() {
        let invocation = invocation(&place(), &command);
        let text = render(&place(), &command).text;
        match (&command, invocation.stdin) {
            (Command::Put(_), Stdin::Jar) => assert!(invocation.command_line.len() > text.len()),
            (Command::Put(_), Stdin::Script(_)) | (_, Stdin::Jar) => panic!("{command:?}"),
            (_, Stdin::Script(bytes)) => {
                assert_eq!(bytes, text.as_bytes());
                assert!(invocation.command_line.len() < 64);
            }
        }
        // Linux takes no argument above 128 KiB.
        let limit = if matches!(command, Command::Put(_)) {
            96
        } else {
            192
        };
        assert!(text.len() < limit * 1024, "{}: {}", name(&command), text.len());
    }
}

/// What a shell makes of the words of a start, by its own hand.
fn words_after(shell: Shell, command: &Command) -> Vec<String> {
    let text = render(&place(), command).text;
    let end = text
        .rfind("#!/bin/sh\n# shellcheck disable=SC2034\n# base: ")
        .expect("the first prelude");
    let mut process = shell.process();
    let output = process
        .args([
            "-c",
            &format!("{}\nprintf '%s\\0' \"$RELEASE_DIR\" \"$@\"", &text[..end]),
        ])
        .env("HOME", "/home/some one")
        .output()
        .expect("the shell runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00]{0,20}",
        "['\"\\\\$`!*?~#&;|<>(){} \\t\\n=-]{0,12}",
        Just("'".to_owned()),
        Just("--".to_owned()),
        Just("'; touch /tmp/nonstop-was-here; '".to_owned()),
        Just("$(touch /tmp/nonstop-was-here)".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_word_survives_every_shell(words in proptest::collection::vec(word(), 1..20), value in word()) {
        let command = start(words.clone(), [("NAME".to_owned(), value.clone())].into());
        for shell in Shell::ALL {
            let mut expected = vec!["/home/some one/sokdak".to_owned(), format!("NAME={value}")];
            expected.extend(words.iter().cloned());
            prop_assert_eq!(words_after(shell, &command), expected);
        }
    }
}

//! No answer whatever makes the parser fall over, and what is not exactly an answer is an error.

use nonstop::remote::command::{Command, Digest};
use nonstop::remote::parse::{Exit, ParseError, RawOutput, parse};
use proptest::prelude::*;

use crate::host::release;
use crate::vocabulary::commands;

/// Lines and keys of true answers, and what could be between them.
fn answer_part() -> impl Strategy<Value = Vec<u8>> {
    let lines = [
        "nonstop-answer 1 begin\n",
        "nonstop-answer 1 end\n",
        "nonstop-answer 2 begin\n",
        "fence=passed\n",
        "fence=refused\n",
        "lock=held\n",
        "lock.epoch=18446744073709551615\n",
        "lock.epoch=7\n",
        "lock.run=\n",
        "lock.who=x\n",
        "lock.place=x\n",
        "lock.command=x\n",
        "lock.since=x\n",
        "slot=blue\n",
        "slot.port=0\n",
        "slot.port=8080\n",
        "release:=AAAA\n",
        "put=mismatch\n",
        "size_bytes=-1\n",
        "switch=proven\n",
        "serving=1 2 x\n",
        "leaving=\n",
        "peer=0100007F:1F90\n",
        "peer=:\n",
        "record:=e30=\n",
        "memory_kb=\n",
        "memory_kb=18446744073709551615\n",
        "boot_id=x\n",
        "start=listening\n",
        "identity.pid=1\n",
        "=\n",
        "a",
        "\n",
    ];
    prop_oneof![
        4 => proptest::sample::select(lines.to_vec()).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_makes_the_parser_fall_over(
        parts in proptest::collection::vec(answer_part(), 0..30),
        framed in any::<bool>(),
        status in prop_oneof![Just(0), Just(3), any::<u32>()],
        which in 0..22_usize,
    ) {
        let mut stdout = parts.concat();
        if framed {
            stdout.splice(0..0, *b"nonstop-answer 1 begin\n");
            stdout.extend_from_slice(b"nonstop-answer 1 end\n");
        }
        let command = commands().swap_remove(which);
        let output = RawOutput { exit: Exit::Status(status), stderr: stdout.clone(), stdout };
        if let Err(error) = parse(&command, &output) {
            let shown = error.to_string();
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
        }
    }
}

fn error_of(stdout: &[u8], status: u32) -> ParseError {
    let command = Command::Digest(Digest {
        release: release("r1"),
    });
    let output = RawOutput {
        exit: Exit::Status(status),
        stdout: stdout.to_vec(),
        stderr: b"sh: 1: \x1b[31mflock: not found\n".to_vec(),
    };
    parse(&command, &output).expect_err("no answer")
}

#[test]
fn what_is_not_exactly_an_answer_is_an_error_of_its_own_kind() {
    assert!(matches!(error_of(b"", 0), ParseError::NoAnswer { .. }));
    assert!(matches!(
        error_of(b"This account is \x1b[0mnot available.\n", 0),
        ParseError::NoAnswer { .. }
    ));
    assert_eq!(
        error_of(b"nonstop-answer 1 begin\nsha256=\n", 0),
        ParseError::Truncated
    );
    assert_eq!(
        error_of(b"nonstop-answer 1 begin\nsha256=\nnonstop-ans", 0),
        ParseError::Truncated
    );
    assert_eq!(
        error_of(b"nonstop-answer 1 begin\nsha256=\nnonstop-answer 1 end", 0),
        ParseError::Truncated
    );
    assert_eq!(
        error_of(b"nonstop-answer 9 begin\n", 0),
        ParseError::UnknownVersion
    );
    assert_eq!(
        error_of(b"nonstop-answer 1 begin\nnonsense\nnonstop-answer 1 end\n", 0),
        ParseError::BadLine { line: 1 }
    );
    let twice = b"nonstop-answer 1 begin\nsha256=\nsha256=\nnonstop-answer 1 end\n";
    assert!(matches!(error_of(twice, 0), ParseError::Unexpected { .. }));
    let after = b"nonstop-answer 1 begin\nsha256=\nnonstop-answer 1 end\nbye\n";
    assert!(matches!(error_of(after, 0), ParseError::BadLine { .. }));
    assert_eq!(error_of(&vec![b'a'; 9 * 1024 * 1024], 0), ParseError::TooLong);
    match error_of(b"nonstop-answer 1 begin\n", 127) {
        ParseError::Failed { status, stderr } => {
            assert_eq!(status, "exit status 127");
            assert_eq!(stderr, "sh: 1: \u{fffd}[31mflock: not found");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_login_prints_before_the_answer_does_no_harm() {
    let command = Command::Digest(Digest {
        release: release("r1"),
    });
    let stdout = b"Welcome!\n\x00\xff\nnonstop-answer 1 begin\nsha256=\nnonstop-answer 1 end\n".to_vec();
    let output = RawOutput {
        stdout,
        ..RawOutput::default()
    };
    assert!(parse(&command, &output).is_ok());
}

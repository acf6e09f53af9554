//! What a host prints in answer to a command.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nonstop::remote::command::{Command, Observe, Peers, Renew, SudoCheck};
use nonstop::remote::parse::{Exit, RawOutput, parse};

fn command(choice: u8) -> Command {
    let port = nonstop::model::names::Port::new(1).expect("a port");
    match choice % 4 {
        0 => Command::Observe(Observe::default()),
        1 => Command::Peers(Peers { port }),
        2 => Command::SudoCheck(SudoCheck { nginx: None, users: [].into() }),
        _ => Command::Renew(Renew {
            epoch: nonstop::model::lock::Epoch(1),
            run: "run".parse().expect("a run id"),
        }),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, printed)) = data.split_first() else { return };
    // With the frame put around it, mutations reach the fields.
    let framed = [b"nonstop-answer 1 begin\n", printed, b"\nnonstop-answer 1 end\n"].concat();
    for stdout in [printed.to_vec(), framed] {
        for status in [0, 3] {
            let output = RawOutput {
                exit: Exit::Status(status),
                stdout: stdout.clone(),
                stderr: Vec::new(),
            };
            if let Err(error) = parse(&command(*choice), &output) {
                let shown = error.to_string();
                assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            }
        }
    }
});

//! No script breaks off without a word, and none does because what it reads in /proc ended just then.

use std::fs;

use crate::host::{Host, in_every_shell};

const BASE: &str = include_str!("../../src/remote/sh/base.sh");
const PROCESS: &str = include_str!("../../src/remote/sh/process.sh");

/// What a program behind `base` and `process` prints to standard output and to standard error.
fn run(host: &Host, program: &str) -> (String, String) {
    let output = host
        .shell
        .process()
        .arg("-c")
        .arg(format!("{BASE}\n{PROCESS}\n{program}"))
        .output()
        .expect("the shell starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_process_that_ends_while_it_is_read_is_gone_and_ends_nothing_else() {
    in_every_shell(|host| {
        // A folder opens and cannot be read, as the files of a process that ends in between.
        for file in ["stat", "cmdline"] {
            fs::create_dir_all(host.path("ended").join(file)).expect("a folder");
        }
        let pid = format!("..{}", host.path("ended").display());
        let program = format!(
            "if process_read '{pid}'; then say found yes; fi\n\
             process_title '{pid}'\n\
             say title \"$P_TITLE\"\n\
             process_read \"$$\"\n\
             if process_read '{pid}'; then say found yes; fi\n\
             answered"
        );
        let (answer, _) = run(host, &program);
        assert_eq!(answer, "nonstop-answer 1 begin\ntitle=\nnonstop-answer 1 end\n");
    });
}

#[test]
fn a_script_that_breaks_off_says_so_even_where_its_errors_are_thrown_away() {
    in_every_shell(|host| {
        for program in [
            "{ say never \"$nobody_sets_this\"; } 2>/dev/null",
            "false",
            "exit 1",
        ] {
            let (answer, error) = run(host, program);
            assert_eq!(answer, "nonstop-answer 1 begin\n", "{program}");
            assert!(
                error.contains("the script broke off with status "),
                "{program}: {error}"
            );
        }
    });
}

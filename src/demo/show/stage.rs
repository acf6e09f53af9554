//! Where the show is seen: standard error for what goes on, standard output for the result. A reader
//! that went away is no reason to leave hosts running, so nothing that is printed can fail.

use std::io::Write as _;

pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(super) fn result(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

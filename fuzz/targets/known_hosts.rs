//! Host keys.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use nonstop::ssh::known_hosts::{KnownHost, Lookup};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let known = KnownHost::of_text(Lookup::host("host", 2222), Path::new("known_hosts"), &text);
    let _ = (known.has_authority(), known.recorded_algorithms());
});

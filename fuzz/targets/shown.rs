//! Text of a host on its way to a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nonstop::report::harmless::{harmless, harmless_tail, is_dangerous, tamed};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    assert!(!harmless(&text).contains(is_dangerous));
    assert!(harmless_tail(&text, 15).iter().all(|line| !line.contains(is_dangerous)));
    let _ = tamed(&text);
});

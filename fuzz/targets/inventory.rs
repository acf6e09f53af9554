//! An inventory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nonstop::config::{Source, load_inventory};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Err(report) = load_inventory(&Source::new("inventory.yml", text)) {
        assert!(!report.to_string().contains('\u{1b}'));
    }
});

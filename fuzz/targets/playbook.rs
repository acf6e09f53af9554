//! A playbook, alone and beside an inventory.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use nonstop::config::{Source, load_sources};

const INVENTORY: &str = include_str!("../../inventory/demo.yml");

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let inventory: Arc<Source> = Source::new("inventory.yml", INVENTORY);
    if let Err(report) = load_sources(&inventory, &Source::new("playbook.yml", text)) {
        assert!(!report.to_string().contains('\u{1b}'));
    }
});

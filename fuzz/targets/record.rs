//! The run record that a host keeps.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nonstop::model::record::RunRecord;

fuzz_target!(|data: &[u8]| {
    match RunRecord::read(data) {
        Ok(record) => {
            let written = serde_json(&record);
            assert_eq!(RunRecord::read(&written), Ok(record));
        }
        Err(reason) => assert!(!reason.contains(char::is_control) && reason.chars().count() <= 300),
    }
});

fn serde_json(record: &RunRecord) -> Vec<u8> {
    nonstop::report::json::line(record).expect("a record is JSON").into_bytes()
}

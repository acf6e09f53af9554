//! What `nginx -T` prints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nonstop::model::nginx_conf::Dump;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for text in [text.to_string(), format!("# configuration file /n/main:\n{text}")] {
        if let Ok(dump) = Dump::parse(&text) {
            let _ = dump.shadow("/n/a", Some("/n/b"));
            let _ = dump.routes_involving("/n/a");
        }
    }
});

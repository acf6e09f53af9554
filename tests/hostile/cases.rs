//! How much the random tests try, and what is nasty whatever it is put into.

use proptest::prelude::*;
use proptest::sample::select;

/// `count` cases, or as many times more as `NONSTOP_CASES` says.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    let times = std::env::var("NONSTOP_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: count.saturating_mul(times.unwrap_or(1)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Texts that have harmed somebody's program before.
pub(crate) const NASTY: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "00",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e9",
    "0x10",
    "..",
    "../../etc/passwd",
    "/../x",
    "a/../b",
    "/",
    "~",
    "~root/x",
    "-rf",
    "'",
    "\"",
    "'; touch /tmp/nonstop-was-here; '",
    "$(touch /tmp/nonstop-was-here)",
    "`touch /tmp/nonstop-was-here`",
    "a\nb",
    "a\r\nFENCE_EPOCH=9",
    "\u{0}",
    "a\u{0}b",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "\u{9b}31m",
    "\u{202e}gpj.exe",
    "\u{feff}",
    "{{ slot.vars }}",
    "{jar}",
    "{candidate}",
    "nonstop-answer 1 end",
    "yes",
    "no",
    "present",
    "armed",
    "passed",
    "null",
    "{}",
    "[]",
];

/// Any bytes, most often such as are known to be nasty.
pub(crate) fn nasty() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(NASTY).prop_map(|text| text.as_bytes().to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => any::<String>().prop_map(String::into_bytes),
        1 => (select(NASTY), 1..3_000_usize).prop_map(|(text, times)| text.repeat(times).into_bytes()),
    ]
}

//! The targets of `fuzz/`, which no other build sees: they compile, and each one is run on what it reads
//! and on that with a piece cut out, doubled or spoilt.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::cases::{cases, nasty};

macro_rules! targets {
    ($($name:ident = $file:literal,)*) => {
        $(
            #[path = $file]
            #[allow(unused_attributes, reason = "`no_main` is libFuzzer's")]
            #[allow(clippy::expect_used, reason = "a target that cannot go on is a finding")]
            mod $name;
        )*

        /// Every target by its name.
        const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::run)),*];
    };
}

targets! {
    answers = "../../fuzz/targets/answers.rs",
    inventory = "../../fuzz/targets/inventory.rs",
    known_hosts = "../../fuzz/targets/known_hosts.rs",
    nginx = "../../fuzz/targets/nginx.rs",
    playbook = "../../fuzz/targets/playbook.rs",
    record = "../../fuzz/targets/record.rs",
    shown = "../../fuzz/targets/shown.rs",
}

/// What libFuzzer's macro makes of a target, with a caller of our own. Below the targets, so that they find it by its path.
#[macro_export]
macro_rules! fuzz_target {
    (|$data:ident: &[u8]| $body:block) => {
        pub(crate) fn run($data: &[u8]) $body
    };
}

/// What a target reads when nothing is wrong.
fn sound(target: &str) -> &'static [u8] {
    match target {
        "answers" => b"\x03fence=passed\n",
        "inventory" => include_bytes!("../../inventory/demo.yml"),
        "known_hosts" => include_bytes!("../known_hosts/several_keys.txt"),
        "nginx" => {
            b"\n# configuration file /n/a:\nserver { listen 80; location / { proxy_pass http://a:80; } }\n"
        }
        "playbook" => include_bytes!("../../playbooks/demo.yml"),
        "record" => br#"{"version":1,"run":"run-1","epoch":1,"status":"open"}"#,
        _ => b"\x1b[31mred\x1b[0m\r\ntext\n",
    }
}

#[test]
fn every_target_that_the_manifest_names_is_compiled_here() {
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = "));
    let named: Vec<_> = paths
        .map(|path| path.trim_matches('"').trim_start_matches("targets/"))
        .collect();
    let compiled: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(named, compiled);
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn every_target_takes_what_it_reads_with_a_piece_spoilt(
        at in any::<Index>(), length in 0..60_usize, put in nasty(),
    ) {
        for (name, run) in TARGETS {
            let sound = sound(name);
            run(sound);
            let from = at.index(sound.len());
            let to = (from + length).min(sound.len());
            run(&[&sound[..from], &put[..], &sound[to..]].concat());
            run(&[&sound[..to], &sound[from..]].concat());
        }
    }
}

//! Files on the controller: inventory, playbook and known_hosts with garbage in them.

use std::path::Path;

use nonstop::config::{Source, load_sources};
use nonstop::ssh::known_hosts::{KnownHost, Lookup};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cases::{NASTY, cases, nasty};

const INVENTORY: &str = include_str!("../../inventory/demo.yml");
const PLAYBOOK: &str = include_str!("../../playbooks/demo.yml");

/// Reads both; a refusal is a report that can be shown, and not without end.
fn read(inventory: &str, playbook: &str) -> Result<(), TestCaseError> {
    let inventory = Source::new("inventory.yml", inventory);
    if let Err(report) = load_sources(&inventory, &Source::new("playbook.yml", playbook)) {
        let shown = report.to_string();
        prop_assert!(!shown.is_empty() && shown.len() < 200_000, "{}", shown.len());
        let steers = |c: char| c.is_control() && c != '\n';
        prop_assert!(!shown.contains(steers), "{shown:?}");
    }
    Ok(())
}

/// A text with a part of it replaced by something nasty.
fn spoilt(text: &str, at: Index, length: usize, nasty: &[u8]) -> String {
    let bytes = text.as_bytes();
    let from = at.index(bytes.len());
    let to = (from + length).min(bytes.len());
    let spoilt = [&bytes[..from], nasty, &bytes[to..]].concat();
    String::from_utf8_lossy(&spoilt).into_owned()
}

/// A text with the value of one of its keys replaced.
fn revalued(text: &str, at: Index, nasty: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = at.index(lines.len());
    if let Some((key, _)) = lines[at].split_once(':') {
        lines[at] = format!("{key}: {}", serde_json::Value::from(nasty));
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn an_inventory_or_a_playbook_with_garbage_in_it_is_read_or_refused(
        at in any::<Index>(), length in 0..40_usize, nasty in nasty(), which in any::<bool>(),
    ) {
        if which {
            read(&spoilt(INVENTORY, at, length, &nasty), PLAYBOOK)?;
        } else {
            read(INVENTORY, &spoilt(PLAYBOOK, at, length, &nasty))?;
        }
    }

    #[test]
    fn a_nasty_value_of_any_key_is_read_or_refused(at in any::<Index>(), nasty in select(NASTY), which in any::<bool>()) {
        if which {
            read(&revalued(INVENTORY, at, nasty), PLAYBOOK)?;
        } else {
            read(INVENTORY, &revalued(PLAYBOOK, at, nasty))?;
        }
    }

    #[test]
    fn known_hosts_with_garbage_in_it_is_passed_over_line_by_line(
        lines in proptest::collection::vec(known_hosts_line(), 0..12),
    ) {
        let known = KnownHost::of_text(Lookup::host("host", 2222), Path::new("known_hosts"), &lines.join("\n"));
        prop_assert!(known.bad_lines().len() <= lines.iter().map(|line| line.lines().count()).sum());
        prop_assert!(known.recorded_algorithms().len() <= lines.len());
    }
}

fn known_hosts_line() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        select(vec![
            "@cert-authority",
            "@revoked",
            "@",
            "host",
            "[host]:2222",
            "*",
            "!host",
            "h?st,*",
            "|1|",
            "|1|AAAA|AAAA",
            "|1|AAAA|AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "ssh-ed25519",
            "ssh-rsa",
            "ecdsa-sha2-nistp256",
            "AAAA",
            "=",
            "AAAAC3NzaC1lZDI1NTE5AAAAIJIiVtQ4sVYxxZ6J1kPzZ4qWtWk2zS1rJmyPjYc8O6n4",
            "#",
            // A length that is far beyond the end.
            "/////3NzaC1lZDI1NTE5",
            "AAAAB3NzaC1yc2H/////",
        ])
        .prop_map(str::to_owned),
        nasty().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ];
    proptest::collection::vec(part, 0..5).prop_map(|parts| parts.join(" "))
}

#[test]
fn a_line_of_stars_and_a_file_of_a_hundred_thousand_lines_take_no_time() {
    let line = format!("{}b ssh-ed25519 AAAA", "*a".repeat(50_000));
    let text = line + "\n" + &"x\n".repeat(100_000);
    let name = "a".repeat(250);
    let known = KnownHost::of_text(Lookup::host(&name, 22), Path::new("known_hosts"), &text);
    assert_eq!(known.bad_lines().len(), 100_000);
}

#[test]
fn a_device_in_place_of_known_hosts_is_refused() {
    let read = KnownHost::read(Lookup::host("host", 22), &["/dev/zero".into()]);
    assert!(read.is_err());
}

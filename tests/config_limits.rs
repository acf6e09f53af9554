//! Files that were made to grow, that are broken, or that are no such files at all: each is answered
//! with a report, quickly, and never with a panic.

use std::path::Path;

use nonstop::config::{self, Report, Source};
use nonstop::model::inventory::Way;
use proptest::prelude::*;

const INVENTORY: &str = include_str!("../inventory/example.yml");
const PLAYBOOK: &str = include_str!("../playbooks/sokdak.yml");
const CONF_PER_SLOT: &str = include_str!("../playbooks/sokdak-conf-per-slot.yml");

fn inventory(text: &str) -> String {
    let report: Report =
        config::load_inventory(&Source::new("i.yml", text)).expect_err("a report was expected");
    assert!(!report.problems.is_empty());
    report.to_string()
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut text = "a0: &a0 { vars: { x: [l, l, l, l, l, l, l, l, l, l] } }\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        let ten = [alias.as_str(); 10].join(", ");
        text = format!("{text}a{level}: &a{level} {{ vars: {{ x: [{ten}] }} }}\n");
    }
    assert!(inventory(&text).contains("aliases make this file too large"));
    // One long text, copied often, counts by its length.
    let text = format!(
        "a: &a {{ vars: {{ x: &x {} }} }}\nb: {{ vars: {{ y: [{}] }} }}\n",
        "z".repeat(1 << 20),
        ["*x"; 1000].join(",")
    );
    assert!(inventory(&text).contains("aliases make this file too large"));
    assert!(inventory("a: &a { vars: { x: *a } }\n").contains("refers to what it is a part of"));
}

#[test]
fn absurd_depths_and_numbers_are_stopped() {
    let deep = format!("a: {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    inventory(&deep);
    let deep: Vec<String> = (0..5000)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    inventory(&deep.concat());
    assert!(inventory("was: { hosts: { 'w[1:9999999999]': } }").contains("more than 10000 hosts"));
    assert!(inventory("was: { hosts: { 'w[1:500][1:500]': } }").contains("more than 10000 hosts"));
    assert!(inventory("was: { hosts: { 'w[1:9000]': , 'x[1:9000]': } }").contains("more than 10,000 hosts"));
    let groups: Vec<String> = (0..3000).map(|group| format!("g{group}:\n")).collect();
    assert!(inventory(&groups.concat()).contains("more than 2,000 groups"));
    let ranges: Vec<String> = (0..1000)
        .map(|group| format!("g{group}: {{ hosts: {{ 'w[1:10000]': }} }}\n"))
        .collect();
    assert!(inventory(&ranges.concat()).contains("too large"));
    assert!(inventory(&" ".repeat((16 << 20) + 1)).contains("larger than 16 MiB"));
    assert!(inventory("was: { vars: { n: 99999999999999999999 } }").contains("too large"));
}

#[test]
fn ten_thousand_hosts_are_read() {
    let text = "was: { hosts: { 'w[00001:10000]': { x: 1 } }, vars: { a: 1, b: '{{ x }}' } }\n";
    let loaded =
        config::load_inventory(&Source::new("i.yml", text)).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.inventory.hosts.len(), 10_000);
}

#[test]
fn mistakes_of_an_inventory_are_shown_at_once_with_their_lines() {
    let shown = inventory(
        "\
all:
  hosts:
    'w[1:3': {}
    bad host: {}
    -oProxyCommand=x: {}
    42: {}
    w1: [a list]
    w1: {}
  host: {}
  children:
    was:
      hosts: [w1, w2]
      vars: text
    loop: { children: { again: { children: { loop: } } } }
    none: just text
    same: { hosts: { same: } }
    tagged: { vars: { x: !custom y, ansible_group_priority: high } }
",
    );
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn a_file_that_is_no_yaml_is_placed_too() {
    for (text, expected) in [
        ("", "the inventory is empty"),
        ("# only a comment\n", "the inventory is empty"),
        ("just text", "not a map of groups"),
        ("a:\n\t- b\n", "indent with spaces"),
        ("a: {{ b }}\n", "a key must be a single word"),
        ("a: 'never closed\n", "not valid YAML"),
        ("a: {}\n---\nb: {}\n", "a second document"),
        ("a: *nowhere\n", "not valid YAML"),
        ("plugin: aws_ec2\n", "configures an inventory plugin"),
    ] {
        let report = inventory(text);
        assert!(report.contains(expected), "{text:?}:\n{report}");
    }
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary.yml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    let report = config::load(Path::new("no/such/file.yml"), &binary)
        .unwrap_err()
        .to_string();
    assert!(report.contains("no/such/file.yml: cannot be read"), "{report}");
    assert!(report.contains("binary.yml: is not UTF-8 text"), "{report}");
}

#[test]
fn a_host_that_the_application_does_not_use_may_be_reached_in_any_way() {
    let more = "\n    others: { hosts: { win: { ansible_connection: winrm }, here: { ansible_connection: local } } }\n";
    let text = format!("{INVENTORY}{more}");
    let playbook = Source::new("p.yml", PLAYBOOK);
    let config = config::load_sources(&Source::new("i.yml", text.as_str()), &playbook);
    assert!(config.is_ok(), "{}", config.unwrap_err());
    let used = text.replace("nginx-1:", "nginx-1:\n          ansible_connection: winrm");
    let report = config::load_sources(&Source::new("i.yml", used), &playbook)
        .unwrap_err()
        .to_string();
    assert!(
        report.contains("`ansible_connection: winrm` is not supported"),
        "{report}"
    );
}

#[test]
fn this_machine_goes_by_one_name() {
    let load = |text: &str| {
        let playbook = Source::new("p.yml", PLAYBOOK);
        config::load_sources(&Source::new("i.yml", text), &playbook)
    };
    let one = INVENTORY.replace("nginx-1:", "nginx-1:\n          ansible_connection: local");
    assert_ne!(one, INVENTORY);
    let config = load(&one).unwrap_or_else(|report| panic!("{report}"));
    let ways = config.inventory.hosts.values().map(|host| host.connection.way);
    assert_eq!(ways.filter(|way| *way == Way::Local).count(), 1);
    let all = INVENTORY.replacen(
        "vars:\n",
        "vars:\n    ansible_connection: ansible.builtin.local\n",
        1,
    );
    let report = load(&all).unwrap_err().to_string();
    assert!(
        report.contains("are the same machine: `ansible_connection: local`"),
        "{report}"
    );
}

/// Some bytes of a good file, replaced, doubled or taken away.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    let edits = prop::collection::vec(
        (0..text.len(), 0..20_usize, "[ -~\n\t가:{}\\[\\],&*!|>'\"-]{0,4}"),
        1..6,
    );
    edits.prop_map(move |edits| {
        let mut text = text.to_owned();
        for (at, length, new) in edits {
            let boundary = |at: usize, text: &str| {
                (0..=at.min(text.len()))
                    .rev()
                    .find(|at| text.is_char_boundary(*at))
                    .unwrap_or(0)
            };
            let start = boundary(at, &text);
            let end = boundary(start + length, &text).max(start);
            text.replace_range(start..end, &new);
        }
        text
    })
}

fn never_panics(inventory: &str, playbook: &str) {
    let inventory = Source::new("i.yml", inventory);
    let playbook = Source::new("p.yml", playbook);
    if let Err(report) = config::load_sources(&inventory, &playbook) {
        assert!(!report.problems.is_empty());
        let text = report.to_string();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_damaged_file_gets_a_report(inventory in damaged(INVENTORY), playbook in damaged(PLAYBOOK), other in damaged(CONF_PER_SLOT)) {
        never_panics(&inventory, PLAYBOOK);
        never_panics(INVENTORY, &playbook);
        never_panics(INVENTORY, &other);
    }

    #[test]
    fn any_text_gets_a_report(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        never_panics(&text, &text);
        let bytes = String::from_utf8_lossy(&bytes).into_owned();
        never_panics(&bytes, &bytes);
    }
}

//! The README is true: its examples are accepted, and its tables are complete.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read is a failed test")]

use std::fs;
use std::path::Path;

use nonstop::config::{self, Source};
use nonstop::model::outcome::{Exit, Signal};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_files_of_the_first_deploy_pass_the_check() {
    let readme = read("README.md");
    let blocks = blocks(&readme, "yaml");
    assert_eq!(blocks.len(), 2, "an inventory and a playbook");
    let inventory = Source::new("inventory.yml", blocks[0]);
    let playbook = Source::new("playbook.yml", blocks[1]);
    let config = config::load_sources(&inventory, &playbook);
    let config = config.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((config.topology.was.len(), config.topology.nginx.len()), (2, 1));
}

/// The manifests of the program and of the packages that only its tests need.
fn manifests() -> String {
    read("Cargo.toml") + &read("tests/model/Cargo.toml")
}

#[test]
fn every_dependency_is_explained() {
    let readme = read("README.md");
    let manifest = manifests();
    let mut section = "";
    let mut missing = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let name = line.split(" = ").next().unwrap_or_default();
        let is_dependency =
            section.ends_with("dependencies]") && line.contains(" = ") && !line.starts_with('#');
        if is_dependency && !readme.contains(&format!("`{name}`")) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "not in the README's table: {missing:?}");
}

#[test]
fn every_explained_dependency_is_there() {
    let readme = read("README.md");
    let manifest = manifests();
    let (_, table) = readme.split_once("## Dependencies").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        for name in row.split('|').nth(1).unwrap().split(',') {
            let name = name.trim().trim_matches('`');
            assert!(
                manifest.contains(&format!("\n{name} = ")),
                "`{name}` is no dependency"
            );
        }
    }
}

#[test]
fn the_table_of_exit_codes_has_every_code() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("## Exit codes").unwrap();
    let exits = [
        Exit::Done,
        Exit::Internal,
        Exit::Usage,
        Exit::Config,
        Exit::Refused,
        Exit::Locked,
        Exit::Failed,
        Exit::RolledBack,
        Exit::Mixed,
        Exit::Signalled(Signal::Hangup),
        Exit::Signalled(Signal::Interrupt),
        Exit::Signalled(Signal::Terminate),
    ];
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    let listed = |code: u8| {
        let of_row = |row: &&str| row.split('|').nth(1).unwrap_or_default().trim().to_owned();
        let mut codes = rows
            .iter()
            .flat_map(|row| of_row(row).split(", ").map(str::to_owned).collect::<Vec<_>>());
        codes.any(|listed| listed == code.to_string())
    };
    for exit in exits {
        assert!(listed(exit.code()), "{exit:?} is not in the README's table");
    }
}

#[test]
fn links_to_files_lead_somewhere() {
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/reliability.md",
        "docs/on-call.md",
    ] {
        let folder = Path::new(file).parent().unwrap();
        for link in read(file).split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
            assert!(path.exists(), "{file} links to {target}");
        }
    }
}

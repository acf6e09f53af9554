//! The command line where it ends before any host is asked.

#![expect(clippy::unwrap_used, reason = "a binary that cannot be run is a failed test")]

use std::path::Path;

use assert_cmd::Command;

fn nonstop(arguments: &[&str]) -> (i32, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonstop"));
    command
        .current_dir(root)
        .env_remove("NONSTOP_INVENTORY")
        .env_remove("NONSTOP_PLAYBOOK")
        .args(["-i", "inventory/example.yml", "-p", "playbooks/sokdak.yml"])
        .args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_slot_is_not_forced_without_a_terminal_and_without_yes() {
    let (code, said) = nonstop(&["resume", "--to", "blue"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nonstop resume --to blue --yes"), "{said}");
}

#[test]
fn a_slot_that_the_playbook_lacks_is_named() {
    let (code, said) = nonstop(&["resume", "--to", "purple", "--yes"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no slot `purple`"), "{said}");
}

#[test]
fn every_command_that_leaves_hosts_out_names_those_that_it_knows() {
    for command in ["deploy", "plan", "rollback", "resume", "status", "doctor"] {
        let (code, said) = nonstop(&[command, "--without", "was-9"]);
        assert_eq!(code, 2, "{command}: {said}");
        assert!(said.contains("only "), "{command}: {said}");
    }
}

#[test]
fn the_readme_lists_every_command() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, table) = readme.split_once("## Commands").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let (_, help) = nonstop(&["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help");
    let missing: Vec<_> = commands
        .filter(|command| !table.contains(&format!("`{command}")))
        .collect();
    assert!(missing.is_empty(), "not in the README's table: {missing:?}");
}

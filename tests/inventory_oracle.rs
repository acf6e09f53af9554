//! The judge of how inventories are read: `ansible-inventory --list` of ansible-core, over every
//! inventory of a folder. Hosts, members of groups and variables must be the same.

#![expect(clippy::unwrap_used, reason = "a failing step of a test shall stop it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use nonstop::config::{self, Source};
use serde_json::Value;

type Groups = BTreeMap<String, BTreeSet<String>>;
type HostVars = BTreeMap<String, Value>;

/// The inventories: single files, and folders with a file `inventory.yml`.
fn inventories() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/inventories").unwrap();
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            if path.is_dir() {
                path.join("inventory.yml")
            } else {
                path
            }
        })
        .collect();
    paths.push(PathBuf::from("inventory/example.yml"));
    paths.sort();
    paths
}

fn ask_ansible(path: &Path) -> Value {
    // Settings of this machine must not change what is compared.
    let settings = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansible.cfg");
    std::fs::write(&settings, "[defaults]\n").unwrap();
    let output = Command::new("ansible-inventory")
        .arg("-i")
        .arg(path)
        .arg("--list")
        .env("ANSIBLE_CONFIG", &settings)
        .env("ANSIBLE_INVENTORY_ENABLED", "yaml")
        .env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("this test needs `ansible-inventory`: install ansible-core (`apt-get install ansible-core`)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "ansible-inventory refuses {}:\n{said}",
        path.display()
    );
    serde_json::from_slice(&output.stdout).expect("ansible-inventory writes JSON")
}

/// Members of every group, those of the groups below included, and the variables of every host.
fn theirs(listing: &Value) -> (Groups, HostVars) {
    let names = |group: &str, section: &str| -> Vec<String> {
        let list = listing[group][section].as_array();
        list.into_iter()
            .flatten()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let mut groups = Groups::new();
    for group in listing
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "_meta")
    {
        let mut open = vec![group.clone()];
        let members = groups.entry(group.clone()).or_default();
        while let Some(name) = open.pop() {
            members.extend(names(&name, "hosts"));
            open.extend(names(&name, "children"));
        }
    }
    let mut vars: HostVars = groups["all"]
        .iter()
        .map(|host| (host.clone(), Value::Object(serde_json::Map::new())))
        .collect();
    let hostvars = listing["_meta"]["hostvars"].as_object().unwrap();
    vars.extend(hostvars.iter().map(|(host, vars)| (host.clone(), vars.clone())));
    (groups, vars)
}

fn ours(path: &Path) -> (Groups, HostVars) {
    let source = Source::read(path).unwrap_or_else(|problem| panic!("{problem}"));
    let loaded =
        config::load_inventory(&source).unwrap_or_else(|report| panic!("{}:\n{report}", path.display()));
    let shown = serde_json::to_value(&loaded.inventory).unwrap();
    let groups = serde_json::from_value(shown["groups"].clone()).unwrap();
    let hosts = shown["hosts"].as_object().unwrap();
    let vars = hosts
        .iter()
        .map(|(host, entry)| (host.clone(), entry["vars"].clone()))
        .collect();
    (groups, vars)
}

/// Every difference, as a sentence.
fn differences(path: &Path) -> Vec<String> {
    let (their_groups, their_vars) = theirs(&ask_ansible(path));
    let (our_groups, our_vars) = ours(path);
    let shown = path.display();
    let mut found = Vec::new();
    // Ansible leaves groups out that have neither hosts nor groups below.
    let filled = |groups: Groups| -> Groups {
        groups
            .into_iter()
            .filter(|(_, hosts)| !hosts.is_empty())
            .collect()
    };
    let (our_groups, their_groups) = (filled(our_groups), filled(their_groups));
    for name in our_groups
        .keys()
        .chain(their_groups.keys())
        .collect::<BTreeSet<_>>()
    {
        let (our, their) = (our_groups.get(name), their_groups.get(name));
        if our != their {
            found.push(format!(
                "{shown}: group {name}: ours {our:?}, ansible's {their:?}"
            ));
        }
    }
    for host in our_vars.keys().chain(their_vars.keys()).collect::<BTreeSet<_>>() {
        let (Some(our), Some(their)) = (our_vars.get(host), their_vars.get(host)) else {
            found.push(format!("{shown}: only one of us has the host {host}"));
            continue;
        };
        let keys = |vars: &Value| vars.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        for key in keys(our).union(&keys(their)) {
            if our.get(key) != their.get(key) {
                found.push(format!(
                    "{shown}: {host}.{key}: ours {:?}, ansible's {:?}",
                    our.get(key),
                    their.get(key)
                ));
            }
        }
    }
    found
}

#[test]
fn every_inventory_is_read_as_ansible_reads_it() {
    let paths = inventories();
    assert!(paths.len() >= 15, "only {} inventories", paths.len());
    // Each call starts a Python: two at a time.
    let (left, right) = paths.split_at(paths.len() / 2);
    let all = |half: &[PathBuf]| half.iter().flat_map(|path| differences(path)).collect::<Vec<_>>();
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| all(left));
        let mut found = all(right);
        found.extend(other.join().expect("the other half was compared"));
        found
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_ansible_lists_is_read_back_to_the_same_hosts_groups_and_variables() {
    for name in [
        "nested.yml",
        "priority.yml",
        "several_groups.yml",
        "group_vars_files/inventory.yml",
    ] {
        let path = Path::new("tests/inventories").join(name);
        let listing = ask_ansible(&path);
        let source = Source::new("listing.json", serde_json::to_string(&listing).unwrap());
        let loaded = config::load_inventory(&source).unwrap_or_else(|report| panic!("{report}"));
        let direct = config::load_inventory(&Source::read(&path).unwrap()).unwrap();
        assert_eq!(loaded.inventory.hosts, direct.inventory.hosts, "{name}");
        assert_eq!(loaded.inventory.groups, direct.inventory.groups, "{name}");
    }
}

/// A tangle of groups: each has some of the later ones as children, hosts of its own, a priority, and
/// writes some of the same few variables.
fn tangle(seed: u64) -> String {
    let mut state = seed;
    let mut below = |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let groups = 40;
    let mut lines = Vec::new();
    for group in 0..groups {
        lines.push(format!("g{group}:\n  vars:\n    from_g{group}: 1"));
        for variable in 0..6 {
            if below(3) == 0 {
                lines.push(format!("    v{variable}: g{group}"));
            }
        }
        if below(4) == 0 {
            lines.push(format!("    ansible_group_priority: {}", below(5)));
        }
        let children: Vec<u64> = (group + 1..groups).filter(|_| below(20) == 0).collect();
        if !children.is_empty() {
            lines.push("  children:".to_owned());
            for child in children {
                lines.push(format!("    g{child}:"));
            }
        }
        if below(2) == 0 {
            lines.push("  hosts:".to_owned());
            for host in 0..25 {
                if below(10) == 0 {
                    lines.push(format!("    h{host}: {{ v{}: h{host} in g{group} }}", below(6)));
                }
            }
        }
    }
    lines.join("\n")
}

#[test]
fn variables_win_over_each_other_as_in_ansible_in_any_tangle_of_groups() {
    for seed in [1, 2, 3] {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tangle-{seed}.yml"));
        std::fs::write(&path, tangle(seed)).unwrap();
        let found = differences(&path);
        assert!(found.is_empty(), "seed {seed}:\n{}", found.join("\n"));
    }
}

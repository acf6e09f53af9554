//! Mistakes that lead on with a hint that was missing, or with one that led in a circle.

use std::path::Path;

use nonstop::config::{self, Source};

use super::{report, with};

#[test]
fn what_does_not_go_together_says_what_does() {
    let both = ", green: { group: was, port: 8081 } }";
    for (old, new, expected) in [
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [] }",
            ":2:29: a canary needs a step at least",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: canary, steps: [{ weight: 5 }], auto_promote: false }",
            "let a step of the canary wait",
        ),
        (
            "app: sokdak",
            "app: sokdak\nupdate: { strategy: rolling, auto_promote: false }",
            "between hosts of a rolling run nobody is asked",
        ),
        (
            both,
            "}\nupdate: { strategy: rolling }\nbake: { for: 1h, detach: true }",
            "with a single slot none is left",
        ),
    ] {
        let shown = report(&with(old, new));
        assert!(shown.contains(expected), "{shown}");
        assert!(shown.ends_with("\n1 problem"), "{shown}");
    }
}

#[test]
fn a_single_slot_is_not_sent_in_a_circle_by_files_of_the_users_own() {
    let site = "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }";
    let include = "include: { file: /etc/nginx/service-url.inc, listen: 80 }";
    for update in [
        "",
        "update: { strategy: rolling }\n",
        "update: { strategy: blue_green }\n",
    ] {
        let single = with(", green: { group: was, port: 8081 }", "").replace(site, include);
        let shown = report(&format!("{single}{update}"));
        assert!(
            shown.contains("it goes with `strategy: rolling` and `nginx.site`, or name two slots"),
            "{shown}"
        );
        assert!(!shown.contains("only `blue_green`"), "{shown}");
    }
}

#[test]
fn a_time_that_is_too_long_is_one_mistake() {
    let shown = report(&with(
        "app: sokdak",
        "app: sokdak\nbake: { for: 48h, detach: true }",
    ));
    assert!(shown.ends_with("\n1 problem"), "{shown}");
    assert!(!shown.contains("none is given"), "{shown}");
}

#[test]
fn a_template_without_quotes_is_known_in_a_list_too() {
    for args in [
        "args: [--server.port={{ slot.port }}]",
        "args: [ {{ slot.port }} ]",
        "args: {{ slot.port }}",
    ] {
        let shown = report(&format!("app: a\nstart:\n  java:\n    {args}\nx: 1\n"));
        assert!(shown.contains("hint: put a value that"), "{shown}");
    }
}

#[test]
fn an_inventory_of_the_ini_form_is_named_with_its_detour() {
    let detour = "`ansible-inventory -i hosts.ini --list > inventory.json`";
    for text in [
        "[was]\nwas-1 ansible_host=1.2.3.4\n\n[nginx]\nnginx-1\n",
        "was-1 ansible_host=1.2.3.4\n[nginx]\nnginx-1\n",
        "# the fleet\n\n[was:children]\na\n",
        "[was]\nwas-1\n",
    ] {
        let shown = config::load_inventory(&Source::new("hosts.ini", text)).unwrap_err();
        assert!(shown.to_string().contains(detour), "{text}\n{shown}");
    }
    for text in ["all:\n  hosts:\n   - [a\n", "just words\n", "[a, b]\n"] {
        let shown = config::load_inventory(&Source::new("hosts.yml", text)).unwrap_err();
        assert!(!shown.to_string().contains("detour"), "{text}\n{shown}");
    }
}

#[test]
fn a_file_that_is_not_there_comes_with_the_ways_to_name_it() {
    let shown = config::load(
        Path::new("nowhere/inventory.yml"),
        Path::new("nowhere/playbook.yml"),
    )
    .unwrap_err()
    .to_string();
    for part in [
        "nowhere/inventory.yml: cannot be read",
        "name it with `-i FILE` or in NONSTOP_INVENTORY; `nonstop init`",
        "name it with `-p FILE` or in NONSTOP_PLAYBOOK; `nonstop init`",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

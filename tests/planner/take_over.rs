//! Fleets that another tool left behind: its file is renamed to ours, links stay what they are, and
//! the user's own files are never written into.

use nonstop::model::finding::Problem;
use nonstop::model::names::RemotePath;
use nonstop::model::plan::Switch;

use crate::fixture::{Fleet, SITE, V1, V2, host, site, slot};

const NGINX: [&str; 2] = ["nginx-1", "nginx-2"];
const OWN_GREEN: &str = "~/zero-down-confs/sokdak-8081.conf";

fn path(path: &str) -> RemotePath {
    RemotePath::new(path).unwrap()
}

fn switch_of(fleet: &Fleet) -> Switch {
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(
        (plan.from.clone(), plan.to.clone()),
        (Some(slot("blue")), slot("green"))
    );
    plan.switches()[&host("nginx-1")].clone()
}

pub(crate) fn each(fleet: &mut Fleet, place: impl Fn(&mut Fleet, &str)) {
    for name in NGINX {
        place(fleet, name);
    }
}

#[test]
fn the_old_scripts_file_is_found_by_its_server_name_and_taken_over_by_a_rename() {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "sokdak-8080.conf", &site(8080));
    });
    let switch = switch_of(&fleet);
    assert_eq!(
        switch.takes_over,
        Some(path("/etc/nginx/sites-enabled/sokdak-8080.conf"))
    );
    assert_eq!((switch.entry, switch.target), (path(SITE), path(SITE)));
    assert_eq!(switch.before, Some(site(8080)));
    assert!(!switch.shadow.contains("sokdak-8080.conf"), "{}", switch.shadow);
}

#[test]
fn a_file_of_any_name_is_found_by_the_endpoints_that_it_leads_to() {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "default", &site(8080).replace("sokdak.example", "_"));
    });
    assert_eq!(
        switch_of(&fleet).takes_over,
        Some(path("/etc/nginx/sites-enabled/default"))
    );
}

#[test]
fn two_files_that_could_be_taken_over_are_refused() {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "one.conf", &site(8080));
        let other = site(8080)
            .replace("upstream sokdak", "upstream two")
            .replace("//sokdak", "//two");
        fleet.file(name, "two.conf", &other);
    });
    let refusals = fleet.refusals();
    assert!(
        refusals
            .iter()
            .any(|(_, it)| matches!(it, Problem::StrayFile { .. })),
        "{refusals:?}"
    );
}

#[test]
fn the_link_of_the_old_script_is_renamed_and_becomes_a_file_of_ours() {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.link(
            name,
            "sokdak-8080.conf",
            "/etc/nginx/sites-available/sokdak",
            &site(8080),
        );
    });
    let switch = switch_of(&fleet);
    assert_eq!(
        switch.takes_over,
        Some(path("/etc/nginx/sites-enabled/sokdak-8080.conf"))
    );
    assert_eq!(
        switch.target,
        path(SITE),
        "the user's file in sites-available stays as it is"
    );
    assert_eq!(switch.link, None);
}

#[test]
fn an_entry_that_is_a_link_into_sites_available_stays_one() {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.link(
            name,
            "sokdak.conf",
            "/etc/nginx/sites-available/sokdak.conf",
            &site(8080),
        );
    });
    let switch = switch_of(&fleet);
    assert_eq!(switch.entry, path(SITE));
    assert_eq!(switch.target, path("/etc/nginx/sites-available/sokdak.conf"));
    assert_eq!((switch.link, switch.takes_over), (None, None));
}

#[test]
fn a_users_own_file_of_the_other_slot_is_put_in_place_as_it_is() {
    let mut fleet = Fleet::with_own_files();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "sokdak.conf", &site(8080));
    });
    let switch = switch_of(&fleet);
    assert_eq!(switch.after, site(8081));
    assert_eq!((switch.generation, switch.link), (None, None));
}

#[test]
fn a_copy_of_the_users_file_under_the_old_scripts_name_is_taken_over() {
    let mut fleet = Fleet::with_own_files();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "sokdak-8080.conf", &site(8080));
    });
    let switch = switch_of(&fleet);
    assert_eq!(
        switch.takes_over,
        Some(path("/etc/nginx/sites-enabled/sokdak-8080.conf"))
    );
    assert_eq!((switch.after, switch.link), (site(8081), None));
}

#[test]
fn a_link_to_the_users_own_file_becomes_one_to_the_other_slots_own_file() {
    for resolved in [
        "/home/ubuntu/zero-down-confs/sokdak-8080.conf",
        "/data/homes/ubuntu/zero-down-confs/sokdak-8080.conf",
    ] {
        let mut fleet = Fleet::with_own_files();
        each(&mut fleet, |fleet, name| {
            fleet.link(name, "sokdak.conf", resolved, &site(8080));
        });
        let switch = switch_of(&fleet);
        assert_eq!(switch.link, Some(path(OWN_GREEN)));
        assert_eq!(
            switch.target,
            path(SITE),
            "{resolved} must never get the other slot's bytes"
        );
    }
}

#[test]
fn the_old_scripts_link_to_the_users_own_file_is_taken_over_as_a_link() {
    let mut fleet = Fleet::with_own_files();
    each(&mut fleet, |fleet, name| {
        let own = "/home/ubuntu/zero-down-confs/sokdak-8080.conf";
        fleet.link(name, "sokdak-8080.conf", own, &site(8080));
    });
    let switch = switch_of(&fleet);
    assert_eq!(
        switch.takes_over,
        Some(path("/etc/nginx/sites-enabled/sokdak-8080.conf"))
    );
    assert_eq!((switch.link, switch.target), (Some(path(OWN_GREEN)), path(SITE)));
}

#[test]
fn an_entry_that_is_ours_is_never_passed_over_for_another_file() {
    let mut fleet = Fleet::on_blue();
    fleet.file("nginx-1", "sokdak-8080.conf", &site(8080));
    let refusals = fleet.refusals();
    assert!(
        refusals
            .iter()
            .any(|(host, it)| host == "nginx-1" && matches!(it, Problem::StrayFile { .. })),
        "{refusals:?}"
    );
}

#[test]
fn a_folder_in_the_place_of_the_entry_is_refused() {
    let mut fleet = Fleet::on_blue();
    let mut observed = fleet.observed();
    for seen in observed.hosts.values_mut().filter_map(|seen| seen.nginx.as_mut()) {
        seen.entry.kind = nonstop::model::observed::EntryKind::Other;
    }
    fleet.observed = observed;
    let refusals = fleet.refusals();
    assert!(
        refusals
            .iter()
            .any(|(_, it)| matches!(it, Problem::EntryUnusable { .. })),
        "{refusals:?}"
    );
}

#[test]
fn a_missing_file_of_a_slot_is_refused() {
    let mut fleet = Fleet::with_own_files();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "sokdak.conf", &site(8080));
    });
    fleet.nginx("nginx-2").slot_files.insert(slot("green"), None);
    let refusals = fleet.refusals();
    let missing = Problem::SlotFileMissing { slot: slot("green") };
    assert!(
        refusals.contains(&("nginx-2".to_owned(), missing)),
        "{refusals:?}"
    );
}

#[test]
fn an_entry_that_nothing_includes_is_refused() {
    let inventory = "all: { children: { was: { hosts: { was-1: { address: 10.0.0.1 } } }, nginx: { hosts: { nginx-1: } } } }";
    let playbook = "
app: sokdak
artifact: x/*.jar
slots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }
release: { dir: /home/ubuntu/sokdak }
start: { java: {} }
health: { path: /health }
nginx: { group: nginx, site: { file: /etc/nginx/elsewhere/sokdak.conf, server_name: sokdak.example, listen: 80 } }
";
    let refusals = crate::fixture::refusals(Fleet::of(inventory, playbook).deploy(V1));
    assert!(
        matches!(&refusals[..], [(_, Problem::CannotShadow { .. })]),
        "{refusals:?}"
    );
}

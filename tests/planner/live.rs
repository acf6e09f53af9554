//! Which slot has the traffic, and what there is to say against what nginx reads.

use nonstop::model::finding::Problem;

use crate::fixture::{Fleet, SITE, SITES, V1, V2, our_site, site};

fn problems(fleet: &Fleet) -> Vec<Problem> {
    fleet.refusals().into_iter().map(|(_, problem)| problem).collect()
}

#[test]
fn nginx_hosts_that_disagree_are_refused_host_by_host() {
    let mut fleet = Fleet::on_blue();
    fleet.runs("green", V2);
    fleet.file("nginx-2", "sokdak.conf", &our_site(8081, "run-1"));
    let problems = problems(&fleet);
    let [Problem::NginxDisagree { views }] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert_eq!(views, "nginx-1 routes to blue, nginx-2 routes to green");
}

#[test]
fn one_nginx_host_without_a_site_disagrees_with_one_that_has_it() {
    let mut fleet = Fleet::on_blue();
    fleet.no_file("nginx-2", "sokdak.conf");
    fleet.nginx("nginx-2").generation = None;
    let problems = problems(&fleet);
    let [Problem::NginxDisagree { views }] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert_eq!(views, "nginx-1 routes to blue, nginx-2 routes to no slot");
}

#[test]
fn a_site_that_routes_to_a_part_of_a_slot_is_refused() {
    let mut fleet = Fleet::on_blue();
    let part = our_site(8080, "run-1").replace("server 10.0.0.2:8080;", "");
    fleet.file("nginx-1", "sokdak.conf", &part);
    let targets = "was-1:8080".to_owned();
    assert!(problems(&fleet).contains(&Problem::PartialSlot { targets }));
}

#[test]
fn a_site_that_routes_to_both_slots_is_refused() {
    let mut fleet = Fleet::on_blue();
    let both =
        our_site(8080, "run-1").replace("upstream sokdak {", "upstream sokdak { server 10.0.0.1:8081;");
    fleet.file("nginx-1", "sokdak.conf", &both);
    assert!(
        problems(&fleet)
            .iter()
            .any(|it| matches!(it, Problem::PartialSlot { .. }))
    );
}

#[test]
fn a_server_that_is_marked_as_down_gets_no_requests() {
    let mut fleet = Fleet::on_blue();
    let marked = our_site(8080, "run-1").replace(
        "upstream sokdak {",
        "upstream sokdak { server 10.0.0.1:8081 down; server 192.0.2.1:80 down;",
    );
    fleet.file("nginx-1", "sokdak.conf", &marked);
    assert!(fleet.deploy(V2).is_ok());
}

#[test]
fn an_address_that_is_no_endpoint_is_refused_with_its_file() {
    let mut fleet = Fleet::on_blue();
    fleet.file(
        "nginx-1",
        "sokdak.conf",
        &our_site(8080, "run-1").replace("10.0.0.2", "10.0.0.9"),
    );
    assert!(problems(&fleet).contains(&Problem::UnknownEndpoint {
        file: SITE.to_owned(),
        target: "10.0.0.9:8080".to_owned(),
    }));
}

#[test]
fn a_variable_of_which_nobody_knows_where_it_leads_is_refused_and_not_taken_for_an_empty_fleet() {
    let mut fleet = Fleet::empty();
    for name in ["nginx-1", "nginx-2"] {
        fleet.file(
            name,
            "sokdak.conf",
            "server { listen 80; server_name sokdak.example; location / { proxy_pass $service_url; } }",
        );
    }
    let problems = problems(&fleet);
    assert!(
        problems.iter().any(
            |it| matches!(it, Problem::UnknownEndpoint { target, .. } if target.contains("$service_url"))
        ),
        "{problems:?}"
    );
}

#[test]
fn a_stray_file_with_our_name_or_our_endpoints_is_refused_and_every_other_site_is_let_be() {
    let mut fleet = Fleet::on_blue();
    fleet.file(
        "nginx-1",
        "other",
        "server { listen 80; server_name other.example; location / { proxy_pass http://10.9.9.9:80; } }",
    );
    assert!(fleet.deploy(V2).is_ok());
    fleet.file(
        "nginx-1",
        "sokdak.conf.bak",
        &site(8080)
            .replace("upstream sokdak", "upstream old")
            .replace("http://sokdak", "http://old"),
    );
    let problems = problems(&fleet);
    let stray = format!("{SITES}/sokdak.conf.bak");
    assert!(!problems.is_empty());
    assert!(
        problems
            .iter()
            .all(|it| matches!(it, Problem::StrayFile { file, .. } if *file == stray)),
        "{problems:?}"
    );
}

#[test]
fn a_generation_that_runs_and_is_not_on_the_disk_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.nginx("nginx-2").generation = Some("run-0".to_owned());
    let expected = Problem::RunsOtherGeneration {
        file: SITE.to_owned(),
        running: "run-0".to_owned(),
        on_disk: "run-1".to_owned(),
    };
    assert_eq!(fleet.refusals(), [("nginx-2".to_owned(), expected)]);
}

#[test]
fn our_file_on_the_disk_that_nginx_does_not_run_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.nginx("nginx-1").generation = None;
    assert!(matches!(
        &problems(&fleet)[..],
        [Problem::RunsOtherGeneration { on_disk, .. }] if on_disk == "run-1"
    ));
}

#[test]
fn a_file_of_the_users_on_the_disk_while_nginx_still_runs_ours_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.file("nginx-1", "sokdak.conf", &site(8080));
    assert!(matches!(
        &problems(&fleet)[..],
        [Problem::RunsOtherGeneration { running, .. }] if running == "run-1"
    ));
}

#[test]
fn the_answer_of_another_applications_site_is_not_taken_for_ours() {
    let mut fleet = Fleet::empty();
    for name in ["nginx-1", "nginx-2"] {
        let other = "server { listen 80 default_server; server_name other.example; \
                     location = /__nonstop/generation { return 200 \"run-of-other\"; } }";
        fleet.file(name, "other.conf", other);
        fleet.nginx(name).generation = Some("run-of-other".to_owned());
    }
    assert!(fleet.deploy(V1).is_ok());
}

#[test]
fn an_nginx_that_shows_no_configuration_is_never_left_out_of_a_switch() {
    let mut fleet = Fleet::on_blue();
    let mut observed = fleet.observed();
    observed
        .hosts
        .get_mut(&crate::fixture::host("nginx-2"))
        .unwrap()
        .nginx
        .as_mut()
        .unwrap()
        .dump
        .clear();
    let live = nonstop::model::live::Live::read(&fleet.config.topology, &observed);
    assert!(!live.hosts.contains_key(&crate::fixture::host("nginx-2")));
    assert!(matches!(live.findings[0].problem, Problem::CannotObserve { .. }));

    fleet.host("nginx-2").nginx = None;
    assert!(
        problems(&fleet)
            .iter()
            .any(|it| matches!(it, Problem::CannotObserve { .. }))
    );
}

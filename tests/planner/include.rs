//! The style `include`: the line that sets the variable of the user's own server, and the upstreams
//! that it may name.

use nonstop::model::finding::{Problem, Severity};
use nonstop::model::names::SlotName;
use nonstop::model::plan::{Plan, Switch};

use crate::fixture::{Fleet, SERVICE_URL, UPSTREAMS, V1, V2, host};

fn switch<'a>(plan: &'a Plan, name: &str) -> &'a Switch {
    plan.switches()[&host(name)]
}

fn problems(fleet: &Fleet) -> Vec<Problem> {
    fleet.refusals().into_iter().map(|(_, problem)| problem).collect()
}

#[test]
fn one_endpoint_is_written_as_its_address_and_the_users_other_locations_are_the_users() {
    let mut fleet = Fleet::with_include();
    fleet.has(V1).runs("blue", V1);
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(plan.from.as_ref().map(SlotName::as_str), Some("blue"));
    let switch = switch(&plan, "was-1");
    assert_eq!(
        switch.before.as_deref(),
        Some("set $service_url http://10.0.0.1:8080;\n")
    );
    assert_eq!(switch.after, "set $service_url http://10.0.0.1:8081;\n");
    assert_eq!((&switch.upstreams, &switch.generation), (&None, &None));
    assert!(
        switch
            .shadow
            .contains("server { listen 80; include \"{candidate}\"; location /"),
        "{}",
        switch.shadow
    );
    assert_eq!(switch.endpoints.len(), 1);
}

#[test]
fn the_loopback_is_the_host_itself() {
    let mut fleet = Fleet::with_include();
    fleet.has(V1).runs("blue", V1);
    fleet.file("was-1", SERVICE_URL, "set $service_url http://127.0.0.1:8080;");
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(plan.from.as_ref().map(SlotName::as_str), Some("blue"));
    assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
}

#[test]
fn several_endpoints_are_an_upstream_that_is_put_in_place_before_it_is_named() {
    let mut fleet = Fleet::with_upstreams();
    fleet.has(V1).runs("blue", V1);
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(plan.from.as_ref().map(SlotName::as_str), Some("blue"));
    let switch = switch(&plan, "nginx-2");
    let name = switch.after.trim_start_matches("set $service_url http://");
    let name = name.trim_end_matches(";\n");
    let file = switch.upstreams.as_ref().expect("a file with upstreams");
    assert_eq!((file.path.as_str(), &file.before), (UPSTREAMS, &None));
    assert!(name.starts_with("nonstop_sokdak_green_"), "{name}");
    assert!(
        file.after.contains(&format!("upstream {name} {{")),
        "{}",
        file.after
    );
    for server in ["server 10.0.0.1:8081 ", "server 10.0.0.2:8081 "] {
        assert!(file.after.contains(server), "{}", file.after);
        assert!(switch.shadow.contains(server), "{}", switch.shadow);
    }

    // The next deploy adds the other slot's, and leaves what has the traffic as it is.
    let (entry, upstreams) = (switch.after.clone(), file.after.clone());
    for name in ["nginx-1", "nginx-2"] {
        fleet
            .file(name, SERVICE_URL, &entry)
            .file(name, "upstreams.conf", &upstreams);
        fleet.no_file(name, "old");
    }
    for name in ["was-1", "was-2"] {
        fleet.dies(name, "blue");
    }
    fleet.has(V2).runs("green", V2);
    let next = fleet.deploy("20260103T100000Z-sokdak-3-cccccccc").unwrap();
    assert_eq!(next.to.as_str(), "blue");
    let file = self::switch(&next, "nginx-1")
        .upstreams
        .as_ref()
        .expect("another upstream");
    assert!(file.after.starts_with(&upstreams), "{}", file.after);
    assert_eq!(file.before.as_deref(), Some(upstreams.as_str()));
}

#[test]
fn without_a_host_the_upstream_is_another_one() {
    let mut fleet = Fleet::with_upstreams();
    fleet.has(V1).runs("blue", V1);
    let whole = switch(&fleet.deploy(V2).unwrap(), "nginx-1").after.clone();
    fleet.leave_out("was-2");
    let plan = fleet.deploy(V2).unwrap();
    let without = switch(&plan, "nginx-1");
    assert_ne!(without.after, whole);
    let upstreams = &without.upstreams.as_ref().expect("a file").after;
    assert!(!upstreams.contains("10.0.0.2"), "{upstreams}");
}

#[test]
fn a_misspelt_address_is_named() {
    let mut fleet = Fleet::with_include();
    fleet.file("was-1", SERVICE_URL, "set $service_url http://127.0.01:8080;\n");
    assert_eq!(
        problems(&fleet),
        [Problem::NameInVariable {
            file: SERVICE_URL.to_owned(),
            address: "127.0.01:8080".to_owned(),
        }]
    );
}

#[test]
fn a_name_that_leads_to_a_slot_is_said_and_the_deploy_writes_an_address() {
    let mut fleet = Fleet::with_include();
    fleet.has(V1).runs("blue", V1);
    fleet.file("was-1", SERVICE_URL, "set $service_url http://localhost:8080;\n");
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(plan.from.as_ref().map(SlotName::as_str), Some("blue"));
    let [warning] = plan.warnings.as_slice() else {
        panic!("{:?}", plan.warnings)
    };
    assert_eq!(warning.severity, Severity::Warning);
    assert!(matches!(warning.problem, Problem::NameInVariable { .. }));
}

#[test]
fn a_variable_that_moves_nothing_or_that_others_set_too_is_refused() {
    let mut fleet = Fleet::with_include();
    let server =
        "server { listen 80; include /etc/nginx/service-url.inc; location / { proxy_pass http://up; } }
        upstream up { server 10.9.9.9:80; }";
    fleet.file("was-1", "app", server);
    assert!(
        matches!(&problems(&fleet)[..], [Problem::VariableUnused { variable, .. }] if variable == "service_url")
    );

    let mut fleet = Fleet::with_include();
    let server =
        "server { listen 80; include /etc/nginx/service-url.inc; set $service_url http://10.0.0.1:8080;
        location / { proxy_pass $service_url; } }";
    fleet.file("was-1", "app", server);
    let problems = problems(&fleet);
    assert!(
        problems
            .iter()
            .any(|it| matches!(it, Problem::StrayFile { file, reason }
            if file == "/etc/nginx/sites-enabled/app" && reason.starts_with("sets $service_url as well"))),
        "{problems:?}"
    );
}

#[test]
fn another_way_to_a_slot_beside_the_variable_is_refused() {
    let mut fleet = Fleet::with_include();
    let server =
        "server { listen 80; include /etc/nginx/service-url.inc; location / { proxy_pass $service_url; }
        location /old { proxy_pass http://10.0.0.1:8080; } }";
    fleet.file("was-1", "app", server);
    assert!(
        matches!(&problems(&fleet)[..], [Problem::StrayFile { reason, .. }]
        if reason == "sends requests to was-1:8080 beside $service_url: a switch would not move them")
    );
}

#[test]
fn another_server_that_leads_to_a_slot_is_in_the_way_and_one_that_includes_the_file_moves_along() {
    let mut fleet = Fleet::with_include();
    fleet.has(V1).runs("blue", V1);
    let second =
        "server { listen 443; include /etc/nginx/service-url.inc; location / { proxy_pass $service_url; } }";
    fleet.file("was-1", "second", second);
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(switch(&plan, "was-1").shadow.matches("{candidate}").count(), 2);
    fleet.file(
        "was-1",
        "stray",
        "server { listen 81; location / { proxy_pass http://10.0.0.1:8080; } }",
    );
    assert!(matches!(&problems(&fleet)[..], [Problem::StrayFile { file, .. }] if file.ends_with("/stray")));
}

#[test]
fn a_file_that_no_server_includes_is_refused() {
    let mut fleet = Fleet::with_include();
    fleet.no_file("was-1", "app");
    assert!(matches!(&problems(&fleet)[..], [Problem::CannotShadow { .. }]));
}

#[test]
fn a_way_back_is_planned_from_where_the_variable_leads() {
    let mut fleet = Fleet::with_include();
    fleet.has(V1).has(V2).runs("blue", V1).runs("green", V2);
    fleet.file("was-1", SERVICE_URL, "set $service_url http://10.0.0.1:8081;\n");
    fleet.record(Some(V1), V2);
    let plan = fleet.rollback(None).unwrap();
    assert_eq!((plan.to.as_str(), plan.release.id.as_str()), ("blue", V1));
    assert_eq!(
        switch(&plan, "was-1").after,
        "set $service_url http://10.0.0.1:8080;\n"
    );
}

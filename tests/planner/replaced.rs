//! What a first switch replaces: nobody's servers are lost with it, and what a person has to know is said.

use nonstop::model::finding::{Problem, Severity};
use nonstop::model::nginx_site::Replaced;
use nonstop::model::playbook::{SiteTemplate, SwitchStyle};
use nonstop::model::template::Template;

use crate::fixture::{Fleet, V2, host, our_site, site, slot};
use crate::take_over::each;

/// Every nginx host has a file `default` with that text.
fn with_default(text: &str) -> Fleet {
    let mut fleet = Fleet::empty();
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "default", text);
    });
    fleet
}

/// The same, and the playbook has a template of its own.
fn with_template(text: &str, template: &str) -> Fleet {
    let mut fleet = with_default(text);
    let SwitchStyle::Site(site) = &mut fleet.config.playbook.nginx.style else {
        panic!("another style");
    };
    site.template = Some(SiteTemplate {
        path: "own.j2".into(),
        text: Template::new(template).unwrap(),
    });
    fleet
}

/// What is said of it on nginx-1.
fn said_of(text: &str) -> Vec<(Severity, Replaced)> {
    said(&with_default(text))
}

fn said(fleet: &Fleet) -> Vec<(Severity, Replaced)> {
    said_on(fleet, "nginx-1")
}

fn said_on(fleet: &Fleet, name: &str) -> Vec<(Severity, Replaced)> {
    let found = match fleet.deploy(V2) {
        Ok(plan) => plan.warnings,
        Err(findings) => findings,
    };
    let of_one = found.into_iter().filter(|it| it.host == Some(host(name)));
    of_one
        .filter_map(|it| match it.problem {
            Problem::Replaced(what) => Some((it.severity, what)),
            _ => None,
        })
        .collect()
}

const DEFAULT: &str = "/etc/nginx/sites-enabled/default";

#[test]
fn a_file_whose_other_servers_would_be_lost_is_not_replaced() {
    for (other, told) in [
        (
            "listen 443 ssl; server_name sokdak.example;",
            "443 ssl sokdak.example",
        ),
        ("listen 80; server_name old.example;", "80 old.example"),
        ("listen 80 default_server; return 444;", "80"),
        ("listen [::]:8443; server_name _;", "[::]:8443 _"),
    ] {
        let text = site(8080) + &format!("server {{ {other} }}\n");
        let servers = vec![format!("the server of line 3 ({told})")];
        let file = DEFAULT.to_owned();
        let lost = (Severity::Refusal, Replaced::ServersLost { file, servers });
        assert_eq!(said_of(&text), [lost], "{other}");
    }
    // A name of the application that the playbook does not know.
    let two = site(8080).replace("sokdak.example", "sokdak.example www.sokdak.example");
    let servers = vec!["the server of line 2 (80 sokdak.example www.sokdak.example)".to_owned()];
    let file = DEFAULT.to_owned();
    assert_eq!(
        said_of(&two),
        [(Severity::Refusal, Replaced::ServersLost { file, servers })]
    );
}

fn by_hand(listens: &[&str], defaults: &[&str]) -> [(Severity, Replaced); 1] {
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let said = Replaced::FileByHandReplaced {
        file: DEFAULT.to_owned(),
        listens: owned(listens),
        defaults: owned(defaults),
    };
    [(Severity::Warning, said)]
}

#[test]
fn a_file_by_hand_is_replaced_with_a_word() {
    assert_eq!(said_of(&site(8080)), by_hand(&[], &[]));
    for nobody in ["_", "localhost"] {
        let text = site(8080).replace("sokdak.example", nobody);
        assert_eq!(said_of(&text), by_hand(&[], &[]));
    }
    // The other family of addresses is easily forgotten.
    let six = site(8080).replace("listen 80;", "listen 80; listen [::]:80;");
    assert_eq!(said_of(&six), by_hand(&["[::]:80"], &[]));
    // What was under the name of the file `default` stood before this one.
    let mut fleet = with_default(&site(8080));
    let other = "server { listen 80; server_name blog.example; }";
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "extra.conf", other);
    });
    let goes = "80 to /etc/nginx/sites-enabled/extra.conf";
    assert_eq!(said(&fleet), by_hand(&[], &[goes]));
    assert_eq!(said_of(&our_site(8080, "run-1")), []);
}

/// What is lost from the file `default`.
fn lost(severity: Severity, servers: &[&str]) -> [(Severity, Replaced); 1] {
    let file = DEFAULT.to_owned();
    let servers = servers.iter().map(ToString::to_string).collect();
    [(severity, Replaced::ServersLost { file, servers })]
}

#[test]
fn a_socket_a_protocol_and_an_included_server_would_be_lost_too() {
    for (text, told) in [
        (
            site(8080) + "server { listen unix:/run/x; server_name sokdak.example; }",
            "the server of line 3 (sokdak.example)",
        ),
        (
            site(8080).replace("listen 80", "listen 80 proxy_protocol"),
            "the server of line 2 (80 sokdak.example)",
        ),
        (
            site(8080) + "include /etc/nginx/more/*.conf;",
            "the server of line 1 of /etc/nginx/more/one.conf (81)",
        ),
    ] {
        let mut fleet = with_default(&text);
        each(&mut fleet, |fleet, name| {
            fleet.file(name, "/etc/nginx/more/one.conf", "server { listen 81; }");
        });
        assert_eq!(said(&fleet), lost(Severity::Refusal, &[told]), "{text}");
    }
}

#[test]
fn the_host_that_routes_to_itself_by_its_loopback_may_be_taken_over() {
    for own in ["localhost", "127.0.0.1", "10.0.0.1"] {
        let mut fleet = Fleet::on_one_host();
        let text =
            format!("server {{ listen 80; server_name _; location / {{ proxy_pass http://{own}:8080; }} }}");
        fleet.file("was-1", "default", &text);
        assert_eq!(said_on(&fleet, "was-1"), by_hand(&[], &[]), "{own}");
    }
}

#[test]
fn a_template_may_have_the_same_server_that_has_no_name() {
    let nobodys = "server { listen 80 default_server; server_name _; return 444; }\n";
    let old = nobodys.to_owned() + &site(8080);
    let told = ["the server of line 1 (80 _)"];
    assert_eq!(said_of(&old), lost(Severity::Refusal, &told));
    let own = "upstream sokdak { server 10.0.0.1:8081; server 10.0.0.2:8081; }
server { listen 80; server_name sokdak.example; {{ generation_location }} location / { proxy_pass http://sokdak; } }\n";
    assert_eq!(
        said(&with_template(&old, &(nobodys.to_owned() + own))),
        by_hand(&[], &[])
    );
    // What it includes from a file that is there is known, and what is not there may be anything.
    let listens = own.replace("listen 80;", "include /etc/nginx/eighty;");
    let mut fleet = with_template(&site(8080), &listens);
    each(&mut fleet, |fleet, name| {
        fleet.file(name, "/etc/nginx/eighty", "listen 81;");
    });
    let told = ["the server of line 2 (80 sokdak.example)"];
    assert_eq!(said(&fleet), lost(Severity::Refusal, &told));
    assert_eq!(
        said(&with_template(
            &site(8080),
            &listens.replace("eighty", "nobody_knows")
        )),
        by_hand(&[], &[])
    );
    let unknown = with_template(&old, &(own.to_owned() + "include /etc/nginx/nobody_knows;\n"));
    assert_eq!(
        said(&unknown),
        lost(Severity::Warning, &["the server of line 1 (80 _)"])
    );
}

#[test]
fn what_a_person_added_to_our_own_file_is_not_lost() {
    let ours = format!("# Written by nonstop for sokdak.\n{}", our_site(8080, "run-1"));
    let tls = "server { listen 443 ssl; server_name sokdak.example; }\n";
    let told = ["the server of line 5 (443 ssl sokdak.example)"];
    assert_eq!(said_of(&(ours.clone() + tls)), lost(Severity::Refusal, &told));
    let both = ours.replace("listen 80;", "listen 80; listen [::]:80;");
    let told = ["the server of line 3 (80 [::]:80 sokdak.example)"];
    assert_eq!(said_of(&both), lost(Severity::Refusal, &told));
    // Another name or port is the playbook's.
    let moved = ours.replace("sokdak.example;", "old.example;");
    let told = ["the server of line 3 (80 old.example)"];
    assert_eq!(said_of(&moved), lost(Severity::Warning, &told));
    // And so may be what a template no longer has.
    let of_template = ours.replace("# Written by nonstop for sokdak.\n", "") + tls;
    let told = ["the server of line 4 (443 ssl sokdak.example)"];
    assert_eq!(said_of(&of_template), lost(Severity::Warning, &told));
}

#[test]
fn another_applications_file_is_not_replaced() {
    let file = DEFAULT.to_owned();
    let text = format!(
        "# Written by nonstop for petclinic. Every deploy replaces this file.\ngeo $nonstop_petclinic_local {{ }}\n{}",
        our_site(8080, "run-1")
    );
    let app = "petclinic".to_owned();
    let other = (Severity::Refusal, Replaced::FileOfAnotherApp { file, app });
    assert_eq!(said_of(&text), [other]);
    assert_eq!(said_of(&text.replace("petclinic", "sokdak")), []);
}

#[test]
fn with_the_users_own_files_too_no_other_server_is_lost() {
    let own = |text: &str| {
        let mut fleet = Fleet::with_own_files();
        each(&mut fleet, |fleet, name| {
            fleet.file(name, "default", text);
        });
        fleet
    };
    assert_eq!(said(&own(&site(8080))), []);
    let more = site(8080) + "server { listen 81; }\n";
    let told = ["the server of line 3 (81)"];
    assert_eq!(said(&own(&more)), lost(Severity::Refusal, &told));
    // That the files of the two slots differ is their author's affair.
    let mut fleet = own(&more);
    for name in ["nginx-1", "nginx-2"] {
        let files = &mut fleet.nginx(name).slot_files;
        files.insert(slot("blue"), Some(more.clone()));
    }
    assert_eq!(said(&fleet), lost(Severity::Warning, &told));
    let petclinic = our_site(8080, "run-1") + "geo $nonstop_petclinic_local { }\n";
    let (file, app) = (DEFAULT.to_owned(), "petclinic".to_owned());
    let other = (Severity::Refusal, Replaced::FileOfAnotherApp { file, app });
    assert_eq!(said(&own(&petclinic)), [other]);
}

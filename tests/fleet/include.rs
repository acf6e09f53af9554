//! The style `include`: the server is the user's, as an older script left it, and a switch is one line in
//! the file that it includes. The upstreams that the line names are in place before.

use nonstop::demo::app::Health;
use serde_json::json;

use crate::fixture::{App, Fleet, HomeMade, Is, NGINX, sick, small};

const LINE: &str = "/etc/nginx/sokdak-url.inc";

/// The user's own server instead of a file for each port.
const OWN_SERVER: &str = r"
rm /etc/nginx/sites-enabled/sokdak-8080.conf
echo 'set $service_url http://by_hand;' >/etc/nginx/sokdak-url.inc
cat >/etc/nginx/sites-enabled/sokdak.conf <<'END'
upstream by_hand {
    server was-1:8080;
    server was-2:8080;
}
server {
    listen 80;
    server_name sokdak.test;
    include /etc/nginx/sokdak-url.inc;
    location / {
        proxy_pass $service_url;
        proxy_set_header Host $http_host;
    }
}
END
nginx -s reload
";

/// v1 is live on port 8080, by hand.
fn sokdak(fleet: &Fleet) -> App<'_> {
    HomeMade::small().set_up(fleet, "v1");
    for host in NGINX {
        fleet.on(host, OWN_SERVER);
    }
    let include = json!({
        "file": LINE,
        "upstream_file": "/etc/nginx/conf.d/sokdak-upstreams.conf",
        "listen": 80,
        "server_name": "sokdak.test",
    });
    let identify = json!({ "path": "/profile", "is": { "blue": "real1", "green": "real2" } });
    let mut sokdak = fleet
        .shop()
        .with("/app", json!("sokdak"))
        .with("/release/dir", json!("/home/deploy/sokdak"))
        .with("/identify", identify)
        .without("/nginx/site")
        .with("/nginx/include", include);
    "sokdak.test".clone_into(&mut sokdak.site);
    sokdak.serves("v1");
    sokdak
}

fn line(fleet: &Fleet, host: &str) -> String {
    fleet.on(host, &format!("cat {LINE}"))
}

#[test]
fn a_line_in_the_users_own_server_is_switched_without_a_lost_request() {
    let fleet = Fleet::reset();
    let sokdak = sokdak(&fleet);
    let load = sokdak.load();
    let run = sokdak.has_deployed("v2");
    let planned = run.event(Is::Named("planned"));
    assert_eq!(
        (&planned["from"], &planned["to"]),
        (&json!("blue"), &json!("green"))
    );
    assert_eq!(sokdak.answers("/profile"), ["real2"]);
    sokdak.stands("v2", 8081);
    sokdak.has_deployed("v3");
    load.lost_nothing();
    sokdak.stands("v3", 8080);
    for host in NGINX {
        let line = line(&fleet, host);
        assert!(
            line.starts_with("set $service_url http://nonstop_sokdak_blue_"),
            "{host}: {line}"
        );
    }
}

#[test]
fn a_release_that_gets_ill_under_traffic_gives_the_line_back() {
    let fleet = Fleet::reset();
    let sokdak = sokdak(&fleet);
    // Both upstreams are in their file from now on, so that not even that one changes.
    sokdak.has_deployed("v2");
    sokdak.has_deployed("v3");
    let before = fleet.photograph();
    let load = sokdak.load();
    let bad = small("v4").behaving(sick::health(Health::DownAfterRequests(40)));
    let run = sokdak.clone().with("/bake/for", json!("20s")).deploy(bad).run();
    run.rolled_back().says("503");
    let summaries = load.lost_nothing();
    assert!(
        summaries.iter().all(|it| it.versions.contains_key("v4")),
        "v4 had traffic: {summaries:?}"
    );
    fleet.is_as_it_was(&before);
    sokdak.stands("v3", 8080);
}

#[test]
fn the_first_deploy_that_goes_back_leaves_the_line_that_was_written_by_hand() {
    let fleet = Fleet::reset();
    let sokdak = sokdak(&fleet);
    let load = sokdak.load();
    let mut run = sokdak
        .clone()
        .with("/bake/for", json!("20s"))
        .deploy("v2")
        .start();
    run.reaches(Is::PhaseStarted("bake"));
    run.interrupt();
    run.wait().ends(130, "rolled_back");
    load.lost_nothing();
    for host in NGINX {
        assert_eq!(line(&fleet, host), "set $service_url http://by_hand;\n");
    }
    sokdak.stands("v1", 8080);
}

#[test]
fn a_rollback_of_the_line_is_a_switch_alone() {
    let fleet = Fleet::reset();
    let sokdak = sokdak(&fleet).with("/bake/then", json!("keep"));
    sokdak.has_deployed("v2");
    sokdak.has_deployed("v3");
    let load = sokdak.load();
    let run = sokdak.rollback().run();
    run.deployed();
    load.lost_nothing();
    assert!(!run.came(Is::PhaseStarted("start")), "{run}");
    sokdak.serves("v2");
}

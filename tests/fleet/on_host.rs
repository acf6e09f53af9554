//! A jar that a deploy agent has put on the hosts, reached by SSH.

use nonstop::demo::app::DemoJar;
use serde_json::json;

use crate::fixture::{Fleet, Is, WAS};

/// Where the agent leaves what it brings.
const FOLDER: &str = "/srv/incoming";

/// Leaves a version on a host, as an agent that runs as root does.
fn leaves(fleet: &Fleet, host: &str, version: &str, name: &str) {
    let jar = fleet.file("agent.jar", "");
    DemoJar::new(version).write(&jar).expect("a jar can be written");
    let place = format!("{FOLDER}/{name}");
    fleet.on(host, &format!("mkdir -p {FOLDER}"));
    fleet.ctl(&["put", host, jar.to_str().expect("text"), &place]);
    fleet.on(host, &format!("touch {place} && chmod 644 {place}"));
}

#[test]
fn a_jar_that_an_agent_left_on_every_host_is_deployed_and_where_two_differ_nothing_is_touched() {
    let fleet = Fleet::reset();
    for host in WAS {
        fleet.on(host, &format!("rm -rf {FOLDER}"));
        leaves(&fleet, host, "v1", "app-1.jar");
    }
    let from = json!({ "on_host": format!("{FOLDER}/*.jar") });
    let shop = fleet.shop().with("/artifact", from);
    shop.has_deployed("v1");
    // What is newest counts, whatever it is called.
    leaves(&fleet, "was-1", "v2", "app-2.jar");
    leaves(&fleet, "was-2", "v2", "another-name.jar");
    let load = shop.load();
    let run = shop.deploy_on_host().run();
    run.deployed();
    assert!(!run.came(Is::Named("uploaded")), "{run}");
    shop.stands("v2", 8081);

    // The agent is through with one host, and not with the other.
    leaves(&fleet, "was-1", "v3", "app-3.jar");
    let before = fleet.photograph();
    let run = shop.deploy_on_host().run();
    run.refused().says("app-3.jar").says("another-name.jar");
    load.lost_nothing();
    fleet.is_as_it_was(&before);
    for host in WAS {
        let releases = |photograph: &crate::fixture::Photograph| photograph.all(host, "release shop").count();
        assert_eq!(releases(&fleet.photograph()), releases(&before), "{host}");
        fleet.on(host, &format!("rm -rf {FOLDER}"));
    }
    shop.stands("v2", 8081);
}

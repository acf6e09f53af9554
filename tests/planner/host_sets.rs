//! Slots on two sets of hosts, in place of two ports on each.

use nonstop::model::phase::Phase;
use nonstop::model::plan::{Plan, Step};

use crate::fixture::{Fleet, V1, V2, steps};

const INVENTORY: &str = "
all:
  children:
    was_a: { hosts: { a-1: { address: 10.0.0.1 }, a-2: { address: 10.0.0.2 } } }
    was_b: { hosts: { b-1: { address: 10.0.1.1 }, b-2: { address: 10.0.1.2 }, b-3: { address: 10.0.1.3 } } }
    nginx: { hosts: { nginx-1: } }
";
const PLAYBOOK: &str = "
app: sokdak
artifact: build/libs/*.jar
slots: { blue: { group: was_a, port: 8080 }, green: { group: was_b, port: 8080 } }
release: { dir: /home/ubuntu/sokdak, keep: 5 }
start: { java: {} }
health: { path: /actuator/health, min_healthy_time: 3s }
nginx:
  group: nginx
  site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 }
";

/// Blue is live with `V1`, put there by us.
fn on_blue(update: &str) -> Fleet {
    let mut fleet = Fleet::of(INVENTORY, &format!("{PLAYBOOK}{update}"));
    for name in ["a-1", "a-2"] {
        fleet.has_on(name, V1).runs_on(name, "blue", V1);
    }
    fleet.routes(8080, "run-1");
    fleet
}

fn hosts(plan: &Plan, phase: Phase) -> Vec<&str> {
    steps(plan, phase).into_iter().map(|(host, _)| host).collect()
}

#[test]
fn only_the_hosts_of_the_new_slot_get_the_jar_and_start() {
    let plan = on_blue("").deploy(V2).unwrap();
    assert_eq!(hosts(&plan, Phase::Upload), ["b-1", "b-2", "b-3"]);
    assert_eq!(hosts(&plan, Phase::Start), ["b-1", "b-2", "b-3"]);
    let stopped = steps(&plan, Phase::Stop).into_iter();
    let stopped = stopped.filter(|(_, step)| matches!(step, Step::Stop { .. }));
    assert_eq!(stopped.map(|(host, _)| host).collect::<Vec<_>>(), ["a-1", "a-2"]);
}

#[test]
fn a_rolling_step_drops_the_same_share_as_it_adds() {
    let plan = on_blue("update: { strategy: rolling, max_parallel: 1 }\n")
        .deploy(V2)
        .unwrap();
    let told: Vec<String> = plan
        .routings
        .iter()
        .map(|routing| {
            let hosts = routing.endpoints().map(|endpoint| endpoint.host.to_string());
            hosts.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(told, ["a-1 a-2", "a-1 a-2 b-1", "a-2 b-1 b-2", "b-1 b-2 b-3"]);
}

#[test]
fn a_rollback_goes_to_a_release_that_the_other_hosts_have() {
    let mut fleet = on_blue("");
    for name in ["b-1", "b-2", "b-3"] {
        fleet.has_on(name, "20251201T100000Z-sokdak-0-99999999");
    }
    let plan = fleet.rollback(None).unwrap();
    assert_eq!(plan.release.id.as_str(), "20251201T100000Z-sokdak-0-99999999");
    assert_eq!(hosts(&plan, Phase::Start), ["b-1", "b-2", "b-3"]);
}

#[test]
fn an_old_host_that_is_gone_does_not_stop_the_deploy_that_replaces_it() {
    let mut fleet = on_blue("");
    fleet.leave_out("a-2");
    let plan = fleet.deploy(V2).unwrap();
    assert_eq!(hosts(&plan, Phase::Stop), ["a-1"]);
    let last = plan.routings.last().unwrap();
    assert_eq!(last.endpoints().count(), 3);
}

//! Strategies beside the slots and hosts that they are to move traffic between.

use nonstop::config::{self, Source};
use nonstop::model::playbook::AfterBake;

use super::{INVENTORY, report, with};

#[test]
fn more_in_service_than_a_slot_has_hosts_is_refused() {
    let update = |least: &str| {
        let update = format!("app: sokdak\nupdate: {{ strategy: rolling, min_in_service: {least} }}");
        with("app: sokdak", &update)
    };
    let text = report(&update("9"));
    assert!(
        text.contains("9 are to be in service, and slot `blue` has"),
        "{text}"
    );
    for fits in ["1", "100%"] {
        let inventory = Source::new("inventory.yml", INVENTORY);
        let playbook = Source::new("playbook.yml", update(fits));
        assert!(config::load_sources(&inventory, &playbook).is_ok(), "{fits}");
    }
}

#[test]
fn of_a_misspelt_strategy_only_its_name_is_said() {
    let rolling = "app: sokdak\nupdate: { strategy: roling, max_parallel: 2, auto_promote: false }";
    let report = report(&with("app: sokdak", rolling));
    assert!(
        report.contains("roling") && report.contains("rolling"),
        "{report}"
    );
    assert!(!report.contains("goes with"), "{report}");
}

#[test]
fn a_single_slot_needs_a_host_that_may_leave() {
    let single = |update: &str| {
        let text = with(", green: { group: was, port: 8081 }", "");
        format!("{text}update: {{ strategy: rolling, {update} }}\n")
    };
    let load = |inventory: &str, playbook: String| {
        let inventory = Source::new("inventory.yml", inventory);
        config::load_sources(&inventory, &Source::new("p.yml", playbook))
    };
    assert!(load(INVENTORY, single("max_parallel: 9")).is_ok());
    let hooked =
        single("max_parallel: 1 }\nhooks: { before_stop: x, after_allow_traffic: { run: y, on: controller }");
    assert_eq!(load(INVENTORY, hooked).unwrap().playbook.hooks.all().count(), 2);
    for (inventory, update, expected) in [
        (
            INVENTORY.replace(", w2: { base: 9080 }", ""),
            "max_parallel: 1",
            "slot `blue` is the only one and has one host: the last one in service never leaves",
        ),
        (
            INVENTORY.to_owned(),
            "min_in_service: 100%",
            "all 2 hosts of slot `blue` are to be in service, and it is the only one: none may leave",
        ),
        (
            INVENTORY.to_owned(),
            "max_parallel: 1 }\nbake: { then: keep",
            "with a single slot nothing old is left that could be kept",
        ),
    ] {
        let report = load(&inventory, single(update))
            .expect_err("it is refused")
            .to_string();
        assert!(report.contains(expected), "{report}");
    }
}

#[test]
fn units_of_systemd_may_be_left_to_their_hosts_too() {
    let units = "start: { systemd: { unit: 'sokdak@{{ slot.port }}.service' } }";
    let text = with("start: { java: {} }", units);
    let text = format!("{text}bake: {{ for: 24h, detach: true }}\n");
    let inventory = Source::new("inventory.yml", INVENTORY);
    let loaded = config::load_sources(&inventory, &Source::new("playbook.yml", text));
    let config = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.playbook.bake.then, AfterBake::LeftToHosts);
    assert!(config.topology.was.values().all(|was| was.units.len() == 2));
}

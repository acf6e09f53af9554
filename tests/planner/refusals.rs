//! What speaks against a run before anything is touched, all of it at once.

use nonstop::model::finding::{Problem, Severity};
use nonstop::model::observed::{StateStatus, WatchKeeper};

use crate::fixture::{Fleet, V1, V2, endpoint, host};

fn one_refusal(fleet: &Fleet) -> (String, Problem) {
    let mut refusals = fleet.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals.remove(0)
}

#[test]
fn a_foreign_process_on_the_idle_port_is_refused_with_its_command_line() {
    let mut fleet = Fleet::on_blue();
    fleet.listens("was-2", "green");
    let problem = Problem::ForeignProcess {
        endpoint: endpoint("was-2", 8081),
        command: "java -jar app.jar".to_owned(),
    };
    assert_eq!(one_refusal(&fleet), ("was-2".to_owned(), problem));
}

#[test]
fn a_stranger_on_the_port_of_a_recorded_process_is_still_a_stranger() {
    let mut fleet = Fleet::on_blue();
    fleet.runs_on("was-1", "green", V2).listens("was-1", "green");
    assert!(matches!(one_refusal(&fleet).1, Problem::ForeignProcess { .. }));
}

#[test]
fn a_kept_process_that_is_still_in_use_is_refused_with_its_connections() {
    let mut fleet = Fleet::on_blue();
    fleet.has(V2).runs("green", V2);
    fleet.slot("was-1", "green").connections = 3;
    let problem = Problem::KeptInstanceInUse {
        endpoint: endpoint("was-1", 8081),
        connections: 3,
    };
    assert_eq!(one_refusal(&fleet), ("was-1".to_owned(), problem));
}

#[test]
fn a_process_that_cannot_be_looked_into_is_refused_on_either_slot() {
    let mut fleet = Fleet::on_blue();
    fleet.slot("was-1", "blue").listener.as_mut().unwrap().identity = None;
    fleet.slot("was-1", "blue").listener.as_mut().unwrap().uid = 0;
    let problem = Problem::ProcessOpaque {
        endpoint: endpoint("was-1", 8080),
        uid: 0,
    };
    assert_eq!(one_refusal(&fleet), ("was-1".to_owned(), problem));
}

#[test]
fn too_little_disk_is_refused_only_where_the_jar_has_to_go() {
    let mut fleet = Fleet::on_blue();
    for name in ["was-1", "was-2"] {
        fleet.was(name).disk_free_bytes = 61_000_000;
    }
    fleet.has_on("was-1", V2);
    let problem = Problem::DiskFull {
        free_bytes: 61_000_000,
        needed_bytes: 60_000_000 + (16 << 20),
    };
    assert_eq!(one_refusal(&fleet), ("was-2".to_owned(), problem));
}

#[test]
fn too_few_inodes_are_refused_and_uncounted_ones_are_not() {
    let mut fleet = Fleet::on_blue();
    fleet.was("was-1").disk_free_inodes = Some(10);
    fleet.was("was-2").disk_free_inodes = None;
    assert_eq!(
        one_refusal(&fleet),
        ("was-1".to_owned(), Problem::InodesFull { free: 10 })
    );
}

#[test]
fn memory_that_does_not_suffice_for_two_is_refused_with_the_numbers() {
    let mut fleet = Fleet::on_blue();
    fleet.slot("was-1", "blue").peak_memory_bytes = (4 << 30) - (128 << 20);
    assert!(fleet.deploy(V2).is_ok(), "the peak and the reserve fit in");
    fleet.slot("was-1", "blue").peak_memory_bytes += 1;
    let problem = Problem::MemoryTight {
        available_bytes: 4 << 30,
        peak_bytes: (4 << 30) - (128 << 20) + 1,
        reserve_bytes: 128 << 20,
    };
    assert_eq!(one_refusal(&fleet), ("was-1".to_owned(), problem));
}

#[test]
fn the_playbook_says_what_too_little_memory_means() {
    let tight = |playbook: &str| {
        let mut fleet = Fleet::with(playbook);
        fleet.has(V1).runs("blue", V1).routes(8080, "run-1");
        fleet.slot("was-2", "blue").peak_memory_bytes = 3 << 30;
        let found = fleet
            .deploy(V2)
            .map_or_else(|refused| refused, |plan| plan.warnings);
        let severities = found.iter().map(|it| {
            assert!(matches!(it.problem, Problem::MemoryTight { .. }), "{it:?}");
            it.severity
        });
        severities.collect::<Vec<_>>()
    };
    assert_eq!(tight(""), []);
    assert_eq!(tight("memory: { reserve: 2g }\n"), [Severity::Refusal]);
    assert_eq!(
        tight("memory: { reserve: 2g, check: warn }\n"),
        [Severity::Warning]
    );
    assert_eq!(tight("memory: { reserve: 2g, check: off }\n"), []);
}

#[test]
fn memory_is_looked_at_only_where_an_instance_starts_beside_the_live_one() {
    let mut kept = Fleet::on_blue();
    kept.has(V2).runs("green", V2);
    kept.slot("was-1", "blue").peak_memory_bytes = 4 << 30;
    assert!(kept.deploy(V2).is_ok(), "the host carries two already");
    let mut first = Fleet::empty();
    first.slot("was-1", "blue").peak_memory_bytes = 4 << 30;
    assert!(first.deploy(V1).is_ok(), "nothing is live");
}

#[test]
fn a_host_on_which_nobody_would_keep_a_watch_alive_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.host("nginx-2").machine.keeper = WatchKeeper::Nobody;
    let wanted = Problem::WatchNotKept {
        user: "ubuntu".to_owned(),
    };
    assert_eq!(fleet.refusals(), [("nginx-2".to_owned(), wanted)]);
}

#[test]
fn an_instance_that_would_end_with_the_login_is_refused_where_that_is_certain() {
    let problem = Problem::InstanceNotKept {
        user: "ubuntu".to_owned(),
    };
    let mut fleet = Fleet::on_blue();
    fleet.host("was-2").machine.keeper = WatchKeeper::Nobody;
    assert_eq!(one_refusal(&fleet), ("was-2".to_owned(), problem.clone()));
    // Whether lingering, or systemd for root, saves it is not certain.
    for (keeper, uid) in [
        (WatchKeeper::User, 1000),
        (WatchKeeper::Systemd, 0),
        (WatchKeeper::Nobody, 0),
    ] {
        let machine = &mut fleet.host("was-2").machine;
        (machine.keeper, machine.uid) = (keeper, uid);
        let plan = fleet.deploy(V2).unwrap();
        let warned: Vec<_> = plan.warnings.iter().map(|it| (&it.host, &it.problem)).collect();
        assert_eq!(warned, [(&Some(host("was-2")), &problem)]);
    }
    // A script may start it as a service.
    fleet.host("was-2").machine.uid = 1000;
    fleet.config.playbook.start =
        nonstop::model::playbook::Runner::Command(nonstop::model::playbook::UserCommand {
            run: Vec::new(),
            chdir: None,
            env: [].into(),
            deadline: std::time::Duration::from_secs(60),
        });
    assert!(fleet.deploy(V2).unwrap().warnings.is_empty());
}

#[test]
fn a_recorded_host_that_the_inventory_lacks_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.record(None, V1).nginx.insert(host("nginx-9"));
    let problem = Problem::RecordedHostMissing {
        missing: host("nginx-9"),
    };
    assert_eq!(one_refusal(&fleet).1, problem);
}

#[test]
fn a_host_that_lost_its_part_in_the_inventory_counts_as_missing() {
    let mut fleet = Fleet::on_blue();
    fleet.record(None, V1).nginx.insert(host("was-1"));
    let problem = Problem::RecordedHostMissing {
        missing: host("was-1"),
    };
    assert_eq!(one_refusal(&fleet).1, problem);
}

#[test]
fn an_answer_that_leaves_a_slot_out_is_not_an_empty_slot() {
    let mut fleet = Fleet::on_blue();
    fleet.was("was-1").slots.remove(&crate::fixture::slot("green"));
    assert!(matches!(one_refusal(&fleet).1, Problem::CannotObserve { .. }));
}

#[test]
fn all_findings_of_all_hosts_come_together() {
    let mut fleet = Fleet::on_blue();
    fleet.host("was-1").machine.missing_tools.push("flock".to_owned());
    fleet.host("was-2").state.status = StateStatus::ForeignOwner;
    fleet.nginx("nginx-1").master = None;
    fleet.nginx("nginx-2").test_failure = Some("unknown directive".to_owned());
    fleet.listens("was-2", "green");
    let found: Vec<_> = fleet.refusals();
    let on = |name: &str, wanted: fn(&Problem) -> bool| {
        found
            .iter()
            .any(|(host, problem)| host == name && wanted(problem))
    };
    assert!(
        on("was-1", |it| matches!(it, Problem::MissingTool { .. })),
        "{found:?}"
    );
    assert!(
        on("was-2", |it| matches!(it, Problem::StateFolderForeign { .. })),
        "{found:?}"
    );
    assert!(
        on("was-2", |it| matches!(it, Problem::ForeignProcess { .. })),
        "{found:?}"
    );
    assert!(
        on("nginx-1", |it| matches!(it, Problem::NginxNotRunning)),
        "{found:?}"
    );
    assert!(
        on("nginx-2", |it| matches!(it, Problem::NginxTestFails { .. })),
        "{found:?}"
    );
}

#[test]
fn a_host_that_gave_no_answer_is_refused() {
    let mut fleet = Fleet::on_blue();
    fleet.observed.hosts.remove(&host("nginx-2"));
    assert!(matches!(
        fleet.refusals()[..],
        [(ref name, Problem::CannotObserve { .. })] if name == "nginx-2"
    ));
}

#[test]
fn a_variable_that_no_host_has_is_refused_before_anything_is_sent() {
    let mut fleet = Fleet::of(
        "all: { children: { was: { hosts: { was-1: { address: 10.0.0.1 } } }, nginx: { hosts: { nginx-1: } } } }",
        "
app: sokdak
artifact: x/*.jar
slots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }
release: { dir: /home/ubuntu/sokdak }
start: { java: { args: [\"{{ release.version }}\"] } }
health: { path: /health }
nginx: { group: nginx, site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 } }
",
    );
    fleet.config.playbook.start =
        nonstop::model::playbook::Runner::Command(nonstop::model::playbook::UserCommand {
            run: vec![nonstop::model::template::Template::new("{{ nobody_has_this }}").unwrap()],
            chdir: None,
            env: std::collections::BTreeMap::new(),
            deadline: std::time::Duration::from_secs(1),
        });
    let refusals = crate::fixture::refusals(fleet.deploy(V1));
    assert!(
        matches!(&refusals[..], [(name, Problem::CannotRender { .. })] if name == "was-1"),
        "{refusals:?}"
    );
}

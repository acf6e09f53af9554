//! What `nonstop status` prints.

use insta::assert_snapshot;
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::RunId;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunRecord;
use nonstop::report::json;
use nonstop::report::output::Palette;
use nonstop::report::status::{self, Status};

use crate::fixture::{NEW, host};
use crate::fleet::Fleet;

fn read(fleet: &Fleet) -> Status {
    Status::read(&fleet.config.topology, &fleet.observed)
}

fn render(fleet: &Fleet) -> String {
    status::render(&read(fleet), Palette::Monochrome)
}

#[test]
fn a_fleet_with_one_live_slot_is_told_in_a_table() {
    assert_snapshot!(render(&Fleet::on_blue()), @"
    sokdak: blue is live with 20260101-100000-sokdak-1

    nginx-1  nginx                       routes to blue
    nginx-2  nginx                       routes to blue
    was-1    blue 8080   live  pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081        -         empty
    was-2    blue 8080   live  pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081        -         empty

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1  live
      20251231-100000-sokdak-0

    `nonstop rollback` starts 20251231-100000-sokdak-0 again and switches to it.
    ");
}

#[test]
fn a_kept_slot_is_an_instant_way_back() {
    let mut fleet = Fleet::on_blue();
    fleet
        .runs("was-1", "green", NEW, 50)
        .runs("was-2", "green", NEW, 51);
    fleet.routes("nginx-1", 8081).routes("nginx-2", 8081);
    let text = render(&fleet);
    let last = text.lines().last().unwrap();
    assert_snapshot!(last, @"`nonstop rollback` is an instant switch back to blue with 20260101-100000-sokdak-1.");
}

#[test]
fn nginx_hosts_that_disagree_are_mixed_in_words_and_in_json() {
    let mut fleet = Fleet::on_blue();
    fleet
        .runs("was-1", "green", NEW, 50)
        .runs("was-2", "green", NEW, 51);
    fleet.routes("nginx-2", 8081);
    assert!(read(&fleet).is_mixed());
    assert!(
        json::line(&read(&fleet))
            .unwrap()
            .contains(r#""live":{"state":"mixed"}"#)
    );
    assert_snapshot!(render(&fleet), @"
    sokdak: MIXED: nginx hosts disagree on the live slot

    nginx-1  nginx                   routes to blue
    nginx-2  nginx                   routes to green
    was-1    blue 8080     pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 50    20260102-100000-sokdak-2, 2 connections
    was-2    blue 8080     pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 51    20260102-100000-sokdak-2, 2 connections

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1
      20251231-100000-sokdak-0

    findings
      fleet  REFUSED  nginx hosts disagree on the live slot: nginx-1 routes to blue, nginx-2 routes to green
                      hint: put the site file of a host that is right on the others and reload them; both slots can serve

    Both slots must stay up until every nginx host routes to one of them; then deploy or roll back.
    ");
}

#[test]
fn what_hosts_that_could_not_be_asked_do_is_not_guessed() {
    let mut fleet = Fleet::on_blue();
    fleet.observed.hosts.remove(&host("nginx-2"));
    fleet.observed.hosts.remove(&host("was-1"));
    assert_snapshot!(render(&fleet), @"
    sokdak: NOT KNOWN: not every nginx host could be read; blue is live on the others with 20260101-100000-sokdak-1

    nginx-1  nginx                       routes to blue
    was-2    blue 8080   live  pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081        -         empty
    nginx-2                              could not be asked
    was-1                                could not be asked

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1  live
      20251231-100000-sokdak-0

    What there is to go back to is known when every host can be asked.
    ");
}

#[test]
fn locks_open_runs_and_strangers_are_named() {
    let mut fleet = Fleet::on_blue();
    let owner = Owner {
        who: "kim".to_owned(),
        place: "laptop".to_owned(),
        command: "deploy".to_owned(),
        build_url: None,
        since: "2026-01-02T05:12:33Z".to_owned(),
    };
    for name in ["was-1", "was-2"] {
        let lock = &mut fleet.host(name).lock;
        lock.run = Some(RunId::new("0197-now").unwrap());
        lock.owner = Some(owner.clone());
    }
    fleet.host("nginx-1").record = Some(RunRecord {
        phase: Phase::Commit,
        ..RunRecord::opened(RunId::new("0197-died").unwrap(), Epoch(3), owner)
    });
    fleet.foreign("was-2", "green", "python3 -m http.server");
    assert_snapshot!(render(&fleet), @"
    sokdak: blue is live with 20260101-100000-sokdak-1

    nginx-1  nginx                       routes to blue
    nginx-2  nginx                       routes to blue
    was-1    blue 8080   live  pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081        -         empty
    was-2    blue 8080   live  pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081        pid 77    a process that nonstop did not start, 0 connections

    locks
      was-1, was-2: the lock of kim@laptop (deploy since 2026-01-02T05:12:33Z)

    runs that never ended
      0197-died (deploy by kim@laptop) ended in the middle of its phase commit

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1  live
      20251231-100000-sokdak-0

    `nonstop rollback` starts 20251231-100000-sokdak-0 again and switches to it.
    ");
}

//! What `nonstop status` prints.

use std::time::Duration;

use insta::assert_snapshot;
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{ReleaseId, RunId, SlotName};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Scene};
use nonstop::model::record::{RunRecord, RunStatus};
use nonstop::model::token::{Token, TokenId, TokenState, WatchProcess};
use nonstop::report::output::Palette;
use nonstop::report::status::{self, Status};
use nonstop::report::{findings, json};

use crate::fixture::{NEW, OLD, host};
use crate::fleet::Fleet;

fn read(fleet: &Fleet) -> Status {
    let run = RunId::new("0197-reads").unwrap();
    let way_back = plan::way_back(&Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &fleet.observed,
        run: &run,
    });
    Status::read(&fleet.config.topology, &fleet.observed).with_way_back(way_back)
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
fn a_release_that_was_taken_back_is_not_what_a_rollback_is_said_to_lead_to() {
    let mut fleet = Fleet::on_blue();
    fleet
        .runs("was-1", "green", NEW, 50)
        .runs("was-2", "green", NEW, 51);
    fleet.routes("nginx-1", 8081).routes("nginx-2", 8081);
    for name in ["was-1", "was-2"] {
        let seen = fleet.host(name);
        let was = seen.was.as_mut().unwrap();
        let blue = was.slots.get_mut(&SlotName::new("blue").unwrap()).unwrap();
        (blue.listener, blue.record) = (None, None);
        seen.record = Some(RunRecord {
            status: RunStatus::Done,
            phase: Phase::Finish,
            release: Some(ReleaseId::new(NEW).unwrap()),
            from_release: Some(ReleaseId::new("20251231-100000-sokdak-0").unwrap()),
            ..RunRecord::opened(RunId::new("0197-done").unwrap(), Epoch(3), kim())
        });
    }
    let text = render(&fleet);
    let last = text.lines().last().unwrap();
    assert_snapshot!(last, @"`nonstop rollback` starts 20251231-100000-sokdak-0 again and switches to it.");
}

#[test]
fn a_release_that_was_taken_back_is_marked_and_can_be_named() {
    let mut fleet = Fleet::on_blue();
    for name in ["was-1", "was-2"] {
        let seen = fleet.host(name);
        let was = seen.was.as_mut().unwrap();
        was.releases.retain(|kept| kept.id.as_str() >= OLD);
        seen.record = Some(RunRecord {
            status: RunStatus::Done,
            phase: Phase::Finish,
            release: Some(ReleaseId::new(OLD).unwrap()),
            left: [ReleaseId::new(NEW).unwrap()].into(),
            ..RunRecord::opened(RunId::new("0197-done").unwrap(), Epoch(3), kim())
        });
    }
    let text = render(&fleet);
    let (_, releases) = text.split_once("releases\n").unwrap();
    assert_snapshot!(releases.trim_end(), @"
      20260102-100000-sokdak-2  taken back
      20260101-100000-sokdak-1  live

    There is no release to go back to that was not taken back; `nonstop rollback --to RELEASE` leads to one that was.
    ");
    let taken_back = vec![ReleaseId::new(NEW).unwrap()];
    let problem = Problem::NothingToGoBackTo { taken_back };
    let refused = findings::render(&[Finding::refusal(None, problem)], Palette::Monochrome);
    assert_snapshot!(refused, @"
    fleet  REFUSED  there is no earlier release to go back to
                    hint: `nonstop rollback --to RELEASE` leads to one that was taken back: 20260102-100000-sokdak-2; or deploy another jar
    ");
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
                      hint: `nonstop resume` brings them together; both slots can serve until then

    Both slots must stay up until every nginx host routes to one of them: `nonstop resume --to blue` or `nonstop resume --to green` brings them together.
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
      was-1, was-2: the lock of kim@laptop (deploy since 2026-01-02T05:12:33Z); no end: somebody locked it by hand

    run that never ended
      run 0197-died of kim@laptop (deploy) was interrupted in its phase commit
      nonstop resume  goes back to what was before, because no nginx host was switched

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1  live
      20251231-100000-sokdak-0

    `nonstop resume` finishes that run; a deploy or a rollback starts from it as well.
    ");
}

fn kim() -> Owner {
    Owner {
        who: "kim".to_owned(),
        place: "ci-7".to_owned(),
        command: "deploy".to_owned(),
        build_url: None,
        since: "2026-01-02T05:12:33Z".to_owned(),
    }
}

/// A run from blue to green that was in its commit, and both slots are up.
fn in_the_commit() -> (Fleet, RunRecord) {
    let mut fleet = Fleet::on_blue();
    fleet
        .runs("was-1", "green", NEW, 50)
        .runs("was-2", "green", NEW, 51);
    let names = |names: [&str; 2]| names.into_iter().map(host).collect();
    let record = RunRecord {
        phase: Phase::Commit,
        was: names(["was-1", "was-2"]),
        nginx: names(["nginx-1", "nginx-2"]),
        from_slot: Some(SlotName::new("blue").unwrap()),
        to_slot: Some(SlotName::new("green").unwrap()),
        ..RunRecord::opened(RunId::new("0197-died").unwrap(), Epoch(3), kim())
    };
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
    }
    (fleet, record)
}

fn token(fleet: &mut Fleet, name: &str, state: TokenState, left: Option<u64>) {
    let nginx = fleet.host(name).nginx.as_mut().unwrap();
    nginx.tokens.push(Token {
        id: TokenId {
            run: RunId::new("0197-died").unwrap(),
            epoch: Epoch(3),
            number: 7,
        },
        state,
        watch: WatchProcess::Alive,
        left: left.map(Duration::from_secs),
        restored: state == TokenState::Fired,
    });
}

fn lock(fleet: &mut Fleet, left: Option<Duration>) {
    for seen in fleet.observed.hosts.values_mut() {
        seen.lock.run = Some(RunId::new("0197-died").unwrap());
        seen.lock.owner = Some(kim());
        seen.lock.lease_left = left;
    }
}

#[test]
fn a_run_at_work_is_told_with_its_watches_and_its_leases() {
    let (mut fleet, _) = in_the_commit();
    fleet.routes("nginx-1", 8081).routes("nginx-2", 8081);
    token(&mut fleet, "nginx-1", TokenState::Confirmed, None);
    token(&mut fleet, "nginx-2", TokenState::Armed, Some(21));
    lock(&mut fleet, Some(Duration::from_millis(27_400)));
    fleet.host("was-2").lock.lease_left = Some(Duration::from_millis(28_100));
    assert_snapshot!(render(&fleet), @"
    sokdak: green is live with 20260102-100000-sokdak-2

    nginx-1  nginx                       routes to green; confirmed: this switch stays
    nginx-2  nginx                       routes to green; armed: goes home by itself in 21 s unless confirmed
    was-1    blue 8080         pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081  live  pid 50    20260102-100000-sokdak-2, 2 connections
    was-2    blue 8080         pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081  live  pid 51    20260102-100000-sokdak-2, 2 connections

    locks
      nginx-1, nginx-2, was-1, was-2: the lock of kim@ci-7 (deploy since 2026-01-02T05:12:33Z); frees itself in 28 s without a sign of life

    run at work
      run 0197-died of kim@ci-7 (deploy) is in its phase commit

    releases
      20260102-100000-sokdak-2  live
      20260101-100000-sokdak-1
      20251231-100000-sokdak-0

    A run is at work: what there is to go back to is known when it is over.
    ");
}

#[test]
fn an_interrupted_run_is_told_with_the_way_that_resume_goes() {
    let (mut fleet, _) = in_the_commit();
    fleet.routes("nginx-2", 8081);
    token(&mut fleet, "nginx-1", TokenState::Fired, None);
    token(&mut fleet, "nginx-2", TokenState::Armed, None);
    lock(&mut fleet, Some(Duration::ZERO));
    assert_snapshot!(render(&fleet), @"
    sokdak: MIXED: nginx hosts disagree on the live slot

    nginx-1  nginx                   routes to blue; its watch went home by itself
    nginx-2  nginx                   routes to green; armed, and its watch is gone: nothing happens by itself
    was-1    blue 8080     pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 50    20260102-100000-sokdak-2, 2 connections
    was-2    blue 8080     pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 51    20260102-100000-sokdak-2, 2 connections

    locks
      nginx-1, nginx-2, was-1, was-2: the lock of kim@ci-7 (deploy since 2026-01-02T05:12:33Z); its lease is over: the next run takes it

    run that never ended
      run 0197-died of kim@ci-7 (deploy) was interrupted in its phase commit
      nonstop resume  goes back to blue, because no switch was confirmed

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1
      20251231-100000-sokdak-0

    findings
      fleet  REFUSED  nginx hosts disagree on the live slot: nginx-1 routes to blue, nginx-2 routes to green
                      hint: `nonstop resume` brings them together; both slots can serve until then

    Both slots must stay up until every nginx host routes to one of them: `nonstop resume` brings them together.
    ");
    token(&mut fleet, "nginx-1", TokenState::Confirmed, None);
    let nginx = fleet.host("nginx-1").nginx.as_mut().unwrap();
    nginx.tokens.remove(0);
    let text = render(&fleet);
    let way = text
        .lines()
        .find(|line| line.contains("nonstop resume  "))
        .unwrap();
    assert_snapshot!(way, @"  nonstop resume  goes forward to green, because the switch was confirmed on nginx-1");
}

#[test]
fn nginx_hosts_that_disagree_without_a_run_have_a_way_out_too() {
    let (mut fleet, _) = in_the_commit();
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = None;
    }
    fleet.routes("nginx-2", 8081);
    let text = render(&fleet);
    assert_snapshot!(text.lines().last().unwrap(), @"Both slots must stay up until every nginx host routes to one of them: `nonstop resume --to blue` or `nonstop resume --to green` brings them together.");
}

#[test]
fn hosts_that_are_left_out_or_behind_are_named() {
    let (mut fleet, record) = in_the_commit();
    let record = RunRecord {
        status: RunStatus::Done,
        without: [host("was-2")].into(),
        ..record
    };
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
    }
    fleet.host("was-2").record = None;
    fleet.host("was-1").record_unreadable = Some("EOF while parsing".to_owned());
    fleet.config.topology.leave_out(&host("nginx-2"));
    fleet.observed.hosts.remove(&host("nginx-2"));
    assert_snapshot!(render(&fleet), @"
    sokdak: blue is live with 20260101-100000-sokdak-1

    nginx-1  nginx                       routes to blue
    was-1    blue 8080   live  pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081        pid 50    20260102-100000-sokdak-2, 2 connections
    was-2    blue 8080   live  pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081        pid 51    20260102-100000-sokdak-2, 2 connections
    nginx-2                              left out, by your word

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1  live
      20251231-100000-sokdak-0

    findings
      was-1  REFUSED  the record of the last run, /var/lib/nonstop/sokdak/record, cannot be read: EOF while parsing
                      hint: what that run meant is unknown. If a newer nonstop wrote it, use that one; if it is torn, see with `nonstop status` that no other host names an open run, and move the file away
      was-2  warning  is behind: run 0197-died of kim@ci-7 went on without it
                      hint: nothing that it remembers can act by itself; the next deploy brings it along, but an nginx host that routes elsewhere needs `nonstop resume --to SLOT` first

    `nonstop rollback` is an instant switch back to green with 20260102-100000-sokdak-2.
    ");
}

#[test]
fn a_slot_whose_end_has_begun_is_none_to_go_back_to() {
    let (mut fleet, record) = in_the_commit();
    let record = RunRecord {
        phase: Phase::Stop,
        point_of_no_return: true,
        ..record
    };
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
    }
    for (name, slot) in [("was-1", "blue"), ("was-2", "green")] {
        let was = fleet.host(name).was.as_mut().unwrap();
        was.slots.get_mut(&SlotName::new(slot).unwrap()).unwrap().listener = None;
    }
    token(&mut fleet, "nginx-1", TokenState::Confirmed, None);
    token(&mut fleet, "nginx-2", TokenState::Confirmed, None);
    let text = render(&fleet);
    let way = text
        .lines()
        .find(|line| line.contains("nonstop resume  "))
        .unwrap();
    assert_snapshot!(way, @"  nonstop resume  touches nothing, because the new slot is not healthy on every endpoint, and the old one is gone or on its way out");
}

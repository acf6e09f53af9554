//! What is said of a run of several routings, and of one that waits for a person.

use std::time::Duration;

use insta::assert_snapshot;
use nonstop::model::event::{Event, Until};
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{ReleaseId, RunId, SlotName, UnitName};
use nonstop::model::notify::{Moment, Service};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{Goal, Plan, Scene, forward, intent};
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::release::Release;
use nonstop::model::secret::Secrets;
use nonstop::model::timer::{Timer, TimerProgram, TimerState, Window};
use nonstop::model::token::{Token, TokenId, TokenState, WatchProcess};
use nonstop::report::output::Palette;
use nonstop::report::status::{self, Status};
use nonstop::report::{notice, plan, summary};

use crate::fixture::{NEW, Story, WAS, host, lines_of};
use crate::fleet::Fleet;

const CANARY: &str =
    "update: { strategy: canary, steps: [{ weight: 5, hold: 5m }, { weight: 25, hold: until_promoted }] }\n";

fn planned(fleet: &Fleet) -> (Plan, RunRecord) {
    let run = RunId::new("0197-run").unwrap();
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &fleet.observed,
        run: &run,
    };
    let release = Release {
        id: ReleaseId::new(NEW).unwrap(),
        sha256: "3fa9".to_owned(),
        size_bytes: 60_112_345,
        jar_name: "sokdak-2.jar".to_owned(),
    };
    let plan = forward(&scene, &Goal::Deploy(release)).unwrap();
    let owner = Owner {
        who: "kim".to_owned(),
        place: "ci-7".to_owned(),
        command: "deploy".to_owned(),
        build_url: None,
        since: "2026-01-02T05:12:33Z".to_owned(),
    };
    let opened = RunRecord::opened(run.clone(), Epoch(3), owner);
    let record = RunRecord {
        phase: Phase::Hold,
        status: RunStatus::Waiting,
        ..intent(&scene, &plan, RunKind::Deploy, opened)
    };
    (plan, record)
}

fn summary_of(story: &Story) -> String {
    summary::render(&story.view(), Palette::Monochrome)
}

/// A deploy that waits after a canary's second step.
fn waits() -> Story {
    let (_, record) = planned(&Fleet::with(CANARY));
    let mut story = Story::of("deploy");
    story.planned().uploads().starts().verifies();
    story
        .then(Event::Waits {
            record: Box::new(record),
            reached: 2,
            percent: 25,
            until: Until::Promoted,
        })
        .ends(Outcome::Waiting, Exit::Done, None);
    story
}

#[test]
fn a_deploy_that_waits_says_what_waits_and_how_it_goes_on() {
    assert_snapshot!(summary_of(&waits()), @"
    sokdak: deploy waits for a person (12 s)
      from  blue (20260101-100000-sokdak-1)
      to    green (20260102-100000-sokdak-2)
      run   0197-run

    state of the fleet
      green has 25 % of the requests, after step 2 of 3.
      Nothing is locked, and nothing acts by itself: both slots stay up until somebody says more.

    hosts
      was-1  started pid 4242 on was-1:8081
      was-2  started pid 9876 on was-2:8081

    phases
      upload 5.4 s  start 1.2 s  verify 6.0 s

    what to do next
      nonstop promote         lets it go on, to where it waits next
      nonstop promote --full  lets it go on to its end
      nonstop rollback        takes it back

    outcome: waiting
    ");
    let last = lines_of(&waits());
    assert_snapshot!(last.lines().last().unwrap_or_default(), @"05:12:45.730 fleet   end       waiting after 12 s");
}

#[test]
fn webhooks_are_told_that_a_run_waits() {
    let end = &waits().events.pop().unwrap().event;
    assert_eq!(notice::moment(end), Some(Moment::Waiting));
}

#[test]
fn a_deploy_that_waits_before_its_first_switch_has_moved_nothing() {
    let (_, record) = planned(&Fleet::with("update: { auto_promote: false }\n"));
    let mut story = Story::of("deploy");
    story
        .planned()
        .then(Event::Waits {
            record: Box::new(record),
            reached: 0,
            percent: 0,
            until: Until::Promoted,
        })
        .ends(Outcome::Waiting, Exit::Done, None);
    assert_snapshot!(summary_of(&story), @"
    sokdak: deploy waits for a person (10 ms)
      from  blue (20260101-100000-sokdak-1)
      to    green (20260102-100000-sokdak-2)
      run   0197-run

    state of the fleet
      green is up and healthy, and has no traffic yet.
      Nothing is locked, and nothing acts by itself: both slots stay up until somebody says more.

    what to do next
      nonstop promote         lets it go on, to where it waits next
      nonstop promote --full  lets it go on to its end
      nonstop rollback        takes it back

    outcome: waiting
    ");
}

#[test]
fn whoever_comes_meanwhile_is_told_who_waits_and_what_to_do() {
    let (_, record) = planned(&Fleet::with(CANARY));
    let problem = Problem::RunWaits {
        record: Box::new(record),
        run: RunId::new("0198-run").unwrap(),
    };
    let mut story = Story::of("deploy");
    story
        .then(Event::Refused {
            findings: vec![Finding::refusal(None, problem)],
        })
        .ends(Outcome::AsItWas, Exit::Locked, None);
    assert_snapshot!(summary_of(&story), @"
    sokdak: deploy did not begin: another run waits for a person (10 ms)
      run  0197-run

    state of the fleet
      Nothing was changed.

    refused for 1 reason
      fleet  REFUSED  run 0197-run of kim@ci-7 (deploy) waits to be promoted or rolled back; run 0198-run does not begin
                      hint: `nonstop promote` lets that run go on, `nonstop rollback` takes it back; then this one can begin

    what to do next
      nonstop promote  lets the run go on that waits; `nonstop rollback` takes it back

    outcome: as_it_was
    ");
}

#[test]
fn a_plan_lists_every_routing_in_order() {
    let fleet = Fleet::with(CANARY);
    let (plan, _) = planned(&fleet);
    let text = plan::render(
        &plan,
        &fleet.config.topology,
        &fleet.observed,
        Palette::Monochrome,
    );
    let from = text.find("routings\n").unwrap();
    let to = text.find("nginx files\n").unwrap();
    assert_snapshot!(text[from..to].trim_end(), @"
    routings
      now  0 % to green    was-1:8080, was-2:8080
      1    5 % to green    was-1:8080 *19, was-1:8081, was-2:8080 *19, was-2:8081  for 5 min 00 s
      2    25 % to green   was-1:8080 *3, was-1:8081, was-2:8080 *3, was-2:8081    until `nonstop promote`
      3    100 % to green  was-1:8081, was-2:8081

    steps
      upload   was-1, was-2                    has 20260102-100000-sokdak-2 already; its digest is checked
      start    was-1, was-2                    starts green on 8081: java -Xmx512m -jar /home/ubuntu/sokdak/releases/20260102-100000-sokdak-2/app.jar '--greeting=hello world', with TZ set
      verify   nginx-1, nginx-2                asks 2 endpoints until healthy
               was-1, was-2                    asks its own endpoint until healthy
      prepare  nginx-1, nginx-2                tests /etc/nginx/sites-enabled/sokdak.conf without it being live
      commit   nginx-1, nginx-2                /etc/nginx/sites-enabled/sokdak.conf: replaces it, reloads and proves
      hold     nginx-1, nginx-2                watches 2 endpoints for 5 min 00 s, both slots up
               was-1, was-2                    watches 1 endpoint for 5 min 00 s, both slots up
      verify   nginx-1, nginx-2                asks 2 endpoints until healthy
               was-1, was-2                    asks its own endpoint until healthy
      prepare  nginx-1, nginx-2                tests /etc/nginx/sites-enabled/sokdak.conf without it being live
      commit   nginx-1, nginx-2                /etc/nginx/sites-enabled/sokdak.conf: replaces it, reloads and proves
      hold     nginx-1, nginx-2, was-1, was-2  waits for `nonstop promote`, with nothing locked
      verify   nginx-1, nginx-2                asks 2 endpoints until healthy
               was-1, was-2                    asks its own endpoint until healthy
      prepare  nginx-1, nginx-2                tests /etc/nginx/sites-enabled/sokdak.conf without it being live
      commit   nginx-1, nginx-2                /etc/nginx/sites-enabled/sokdak.conf: replaces it, reloads and proves
      drain    nginx-1, nginx-2                waits until nginx's old workers are done
               was-1, was-2                    waits until blue (8080) has no connections
      stop     was-1                           stops blue (8080), pid 4242, if green is alive and listening
               was-2                           stops blue (8080), pid 9876, if green is alive and listening
      finish   was-1, was-2                    removes old releases beyond 5
               nginx-1, nginx-2                removes what the switch left beside the live file
    ");
    let bodies = text[to..]
        .matches("/etc/nginx/sites-enabled/sokdak.conf\n")
        .count();
    assert_eq!(bodies, 3, "what each switch changes");
}

#[test]
fn status_names_the_run_that_waits_and_what_its_slot_gets() {
    let mut fleet = Fleet::with(CANARY);
    let (plan, record) = planned(&fleet);
    let second = plan.commits().nth(1).unwrap();
    let site = second.switches()[&host("nginx-1")].after.clone();
    for (name, pid) in WAS.into_iter().zip([50, 51]) {
        fleet.runs(name, "green", NEW, pid);
    }
    for name in ["nginx-1", "nginx-2"] {
        fleet.site(name, site.clone());
        let nginx = fleet.host(name).nginx.as_mut().unwrap();
        nginx.generation = Some("0197-run.2".to_owned());
        nginx.tokens.extend([1, 2].map(|number| Token {
            id: TokenId {
                run: record.run.of_switch(number),
                epoch: Epoch(3),
                number: u64::from(number),
            },
            state: TokenState::Confirmed,
            watch: WatchProcess::Gone,
            left: None,
            restored: false,
        }));
    }
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
    }
    let status = Status::read(&fleet.config.topology, &fleet.observed);
    assert_snapshot!(status::render(&status, Palette::Monochrome), @"
    sokdak: blue with 20260101-100000-sokdak-1 shares the traffic with the other slot

    nginx-1  nginx                   routes to blue and to the other slot; confirmed: this switch stays
    nginx-2  nginx                   routes to blue and to the other slot; confirmed: this switch stays
    was-1    blue 8080     pid 4242  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 50    20260102-100000-sokdak-2, 2 connections
    was-2    blue 8080     pid 9876  20260101-100000-sokdak-1, 2 connections
             green 8081    pid 51    20260102-100000-sokdak-2, 2 connections

    run that waits
      run 0197-run of kim@ci-7 (deploy) waits with 20260102-100000-sokdak-2
      green has 25 % of the requests, after step 2 of 3

    releases
      20260102-100000-sokdak-2
      20260101-100000-sokdak-1
      20251231-100000-sokdak-0

    `nonstop promote` lets that run go on, `nonstop rollback` takes it back; nothing else begins until then.
    ");
}

const DETACHED: &str = "bake: { for: 24h, detach: true }\n";

fn in_the_window(fleet: &Fleet) -> RunRecord {
    let (_, record) = planned(fleet);
    RunRecord {
        phase: Phase::Bake,
        window: Some(Window {
            hosts: WAS.map(host).into(),
            ends: "2026-01-03T05:12:45Z".to_owned(),
        }),
        ..record
    }
}

#[test]
fn a_deploy_that_leaves_the_rest_to_the_hosts_says_the_hour() {
    let record = in_the_window(&Fleet::with(DETACHED));
    let mut story = Story::of("deploy");
    story.planned().uploads().starts().verifies();
    story
        .then(Event::Waits {
            record: Box::new(record),
            reached: 1,
            percent: 100,
            until: Until::Hour,
        })
        .ends(Outcome::Waiting, Exit::Done, None);
    let summary = summary_of(&story);
    for line in [
        "sokdak: deploy done; the hosts stop the old slot at 2026-01-03T05:12:45Z (12 s)",
        "  green has all of the requests, and the hosts stop blue by themselves at 2026-01-03T05:12:45Z.",
        "  nonstop rollback  takes it back: one switch, until the hour",
        "  nonstop promote   stops the old slot now",
        "outcome: waiting",
    ] {
        assert!(summary.lines().any(|it| it == line), "{line}\n{summary}");
    }
    let told = notice::message(
        Service::Slack,
        Moment::Waiting,
        &story.view(),
        &Secrets::default(),
    )
    .to_string();
    assert!(
        told.contains("2026-01-03T05:12:45Z") && told.contains("nonstop rollback"),
        "{told}"
    );
}

#[test]
fn whoever_comes_before_the_hour_is_told_of_it() {
    let problem = Problem::RunWaits {
        record: Box::new(in_the_window(&Fleet::with(DETACHED))),
        run: RunId::new("0198-run").unwrap(),
    };
    let mut story = Story::of("deploy");
    story
        .then(Event::Refused {
            findings: vec![Finding::refusal(None, problem)],
        })
        .ends(Outcome::AsItWas, Exit::Locked, None);
    assert_snapshot!(summary_of(&story), @"
    sokdak: deploy did not begin: another run has left its old slot up until an hour (10 ms)
      run  0197-run

    state of the fleet
      Nothing was changed.

    refused for 1 reason
      fleet  REFUSED  run 0197-run of kim@ci-7 (deploy) has left both slots up, and the hosts stop the old one by themselves at 2026-01-03T05:12:45Z; run 0198-run does not begin
                      hint: that run ends by itself at its hour, if the new slot is well; `nonstop promote` stops the old slot now, `nonstop rollback` takes it back; then this one can begin

    what to do next
      nonstop promote  stops the old slot now, and ends that run; `nonstop rollback` takes it back

    outcome: as_it_was
    ");
}

#[test]
fn a_plan_says_what_is_left_to_the_hosts() {
    let fleet = Fleet::with(DETACHED);
    let (plan, _) = planned(&fleet);
    let text = plan::render(
        &plan,
        &fleet.config.topology,
        &fleet.observed,
        Palette::Monochrome,
    );
    for part in [
        "shows that an answer of the release comes through its listener",
        "stops blue (8080) by itself 24 h 00 min later, unless somebody promotes the run or takes it back",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn status_shows_the_hour_of_each_host_and_what_became_of_it() {
    let mut fleet = Fleet::with(DETACHED);
    let record = in_the_window(&fleet);
    for (name, pid) in WAS.into_iter().zip([50, 51]) {
        fleet.runs(name, "green", NEW, pid);
    }
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
        seen.lock.epoch = record.epoch;
    }
    let unit = std::cell::Cell::new(false);
    let mut said = |timers: [(TimerState, TimerProgram, Option<u64>, Option<&str>); 2]| {
        for (name, (state, program, left, reason)) in WAS.into_iter().zip(timers) {
            fleet.host(name).was.as_mut().unwrap().timer = Some(Timer {
                unit: unit.get().then(|| UnitName::new("sokdak@8080.service").unwrap()),
                id: TokenId {
                    run: record.run.clone(),
                    epoch: record.epoch,
                    number: 9,
                },
                slot: SlotName::new("blue").unwrap(),
                state,
                program,
                left: left.map(Duration::from_secs),
                reason: reason.map(str::to_owned),
            });
        }
        let status = Status::read(&fleet.config.topology, &fleet.observed);
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["open_run"]["timers"]["was-1"]["state"], timers[0].0.as_str());
        status::render(&status, Palette::Monochrome)
    };
    let text = said([
        (TimerState::Pending, TimerProgram::Alive, Some(3_600), None),
        (TimerState::Pending, TimerProgram::Rebooted, None, None),
    ]);
    for line in [
        "  green has all of the requests, and the hosts stop blue by themselves at 2026-01-03T05:12:45Z",
        "  was-1 stops blue in 60 min 00 s",
        "  was-2 was booted since: what ran on blue then is gone",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    assert!(
        text.contains("`nonstop rollback` is one switch back while"),
        "{text}"
    );
    // A boot starts a unit again.
    unit.set(true);
    let text = said([
        (TimerState::Pending, TimerProgram::Rebooted, None, None),
        (TimerState::Stopping, TimerProgram::Rebooted, None, None),
    ]);
    for host in WAS {
        let line = format!(
            "  {host} was booted since, and stops blue no more: its unit sokdak@8080.service may be up again; \
             `nonstop promote` stops it"
        );
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    unit.set(false);
    let text = said([
        (TimerState::Stopped, TimerProgram::Gone, None, None),
        (
            TimerState::Refused,
            TimerProgram::Gone,
            None,
            Some("it answers 503"),
        ),
    ]);
    for line in [
        "  was-1 has stopped blue",
        "  was-2 left blue up: it answers 503; `nonstop promote` ends this",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let text = said([
        (TimerState::Stopping, TimerProgram::Gone, None, None),
        (
            TimerState::Stopping,
            TimerProgram::Gone,
            None,
            Some("it is there after KILL"),
        ),
    ]);
    for line in [
        "  was-1 began to stop blue, and was ended at it: `nonstop promote` sees to the rest",
        "  was-2 told blue to end, and it is still there: it is there after KILL",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

#[test]
fn status_foretells_no_hour_at_which_nothing_will_be_stopped() {
    let mut fleet = Fleet::with(DETACHED);
    let record = in_the_window(&fleet);
    for (name, pid) in WAS.into_iter().zip([50, 51]) {
        fleet.runs(name, "green", NEW, pid);
    }
    for seen in fleet.observed.hosts.values_mut() {
        seen.record = Some(record.clone());
        seen.lock.epoch = record.epoch;
    }
    // Somebody took the lock of one of them since, and the other has lost its state folder.
    fleet.host("was-1").lock.epoch = Epoch(record.epoch.0 + 1);
    fleet.host("was-1").was.as_mut().unwrap().timer = Some(Timer {
        unit: None,
        id: TokenId {
            run: record.run.clone(),
            epoch: record.epoch,
            number: 9,
        },
        slot: SlotName::new("blue").unwrap(),
        state: TimerState::Pending,
        program: TimerProgram::Alive,
        left: Some(Duration::from_secs(3_600)),
        reason: None,
    });
    let status = Status::read(&fleet.config.topology, &fleet.observed);
    let text = status::render(&status, Palette::Monochrome);
    for line in [
        "  was-1 stops blue no more: somebody came; `nonstop promote` or `nonstop rollback` ends this",
        "  was-2 has nothing on record of its hour, and stops nothing by itself: `nonstop promote` does it",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}

//! What is said of a run of several routings, and of one that waits for a person.

use insta::assert_snapshot;
use nonstop::model::event::{Event, Until};
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{ReleaseId, RunId};
use nonstop::model::notify::Moment;
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{Goal, Plan, Scene, forward, intent};
use nonstop::model::record::{RunKind, RunRecord, RunStatus};
use nonstop::model::release::Release;
use nonstop::model::token::{Token, TokenId, TokenState, WatchProcess};
use nonstop::report::output::Palette;
use nonstop::report::status::{self, Status};
use nonstop::report::{notice, plan, summary};

use crate::fixture::{NEW, Story, WAS, host, lines_of};
use crate::fleet::Fleet;

const CANARY: &str =
    "update: { strategy: canary, steps: [{ weight: 5, hold: 5m }, { weight: 25, hold: until_promoted }] }\n";

pub(crate) fn planned(fleet: &Fleet) -> (Plan, RunRecord) {
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

pub(crate) fn summary_of(story: &Story) -> String {
    summary::render(&story.view(), Palette::Monochrome)
}

/// A deploy that waits after a canary's second step.
pub(crate) fn waits() -> Story {
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

//! What is said of the window after a run whose old slot is left to the hosts.

use std::time::Duration;

use insta::assert_snapshot;
use nonstop::model::event::{Event, Until};
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::Epoch;
use nonstop::model::names::{RunId, SlotName, UnitName};
use nonstop::model::notify::{Moment, Service};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::record::{RunRecord, RunStatus};
use nonstop::model::secret::Secrets;
use nonstop::model::timer::{Timer, TimerProgram, TimerState, Window};
use nonstop::model::token::TokenId;
use nonstop::report::output::Palette;
use nonstop::report::status::{self, Status};
use nonstop::report::{notice, plan};

use crate::fixture::{NEW, OLD, Story, WAS, host};
use crate::fleet::Fleet;
use crate::waiting::{planned, summary_of};

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
    let blue = SlotName::new("blue").unwrap();
    // was-2 was booted, and nothing brought back what ran there.
    fleet.slot("was-2", &blue).listener = None;
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
        "  was-2 left blue up: it answers 503; `nonstop promote` ends this, and leads back to blue where the new slot is not well",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let not_disabled = "its unit sokdak@8080.service was not disabled, and a boot may start it again: no";
    let text = said([
        (TimerState::Stopped, TimerProgram::Gone, None, Some(not_disabled)),
        (TimerState::Refused, TimerProgram::Gone, None, None),
    ]);
    let line = format!("  was-1 has stopped blue; {not_disabled}");
    assert!(text.lines().any(|it| it == line), "{line}\n{text}");
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
    // Or it never heard that the run waits, though its hour was set.
    fleet.host("was-1").lock.epoch = record.epoch;
    fleet.host("was-1").record.as_mut().unwrap().status = RunStatus::Open;
    let status = Status::read(&fleet.config.topology, &fleet.observed);
    let text = status::render(&status, Palette::Monochrome);
    let line = "  was-1 stops blue no more: the run on its record does not wait; `nonstop promote` or `nonstop rollback` ends this";
    assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    // What a boot took away is not gone where something has the port again.
    fleet.runs("was-1", "blue", OLD, 60);
    fleet
        .host("was-1")
        .was
        .as_mut()
        .unwrap()
        .timer
        .as_mut()
        .unwrap()
        .program = TimerProgram::Rebooted;
    let status = Status::read(&fleet.config.topology, &fleet.observed);
    let text = status::render(&status, Palette::Monochrome);
    let line = "  was-1 was booted since, and stops blue no more: something listens on its port that nonstop did not start; \
                stop that by hand, or `nonstop promote`, which leaves it alone, ends this";
    assert!(text.lines().any(|it| it == line), "{line}\n{text}");
}

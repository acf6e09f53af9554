//! A single slot: hosts leave the routing, change their release and come back, forward and back.

use std::collections::BTreeSet;
use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::finding::Problem;
use nonstop::model::journey::Rolling;
use nonstop::model::names::{HostName, ReleaseId};
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use tokio::time::Instant;

use crate::scene::{Scene, V1, jar};
use crate::world::{Fault, Health, Process, Start, World};

/// Which version each host runs, `-` for one without, `!` for one that no nginx routes to.
pub(crate) fn runs(scene: &Scene) -> Vec<String> {
    let world = scene.world.borrow();
    let nginx = world.hosts.values().filter_map(|host| host.nginx.as_ref());
    let routed: Vec<_> = nginx.flat_map(|nginx| nginx.targets().to_vec()).collect();
    let was = world.hosts.values().filter(|host| !host.ports.is_empty());
    let told = was.map(|host| {
        let (slot, port) = host.ports.first_key_value().expect("a slot");
        let up = host.listener(*port).is_some();
        let release = host.instances.get(slot).filter(|_| up);
        let version = release.map_or("-", |it| if it.release.as_str() == V1 { "1" } else { "2" });
        let routed = routed
            .iter()
            .filter(|(address, _)| *address == host.address.as_str());
        let mark = if routed.count() == 2 { "" } else { "!" };
        format!("{version}{mark}")
    });
    told.collect()
}

pub(crate) fn release(id: &str) -> ReleaseId {
    ReleaseId::new(id).unwrap()
}

/// Every host has that version, and nothing is left of a run.
pub(crate) async fn is_on(scene: &Scene, version: &str) {
    scene.rests(90).await;
    assert_eq!(runs(scene), [version; 3]);
    assert_eq!(scene.records(), [RunStatus::Done; 5]);
    scene.has_processes(1);
    scene.is_unlocked();
    let world = scene.world.borrow();
    assert!(world.broken.is_empty(), "{:#?}", world.broken);
    let records = world.hosts.values().filter_map(|host| host.record.as_ref());
    for record in records {
        assert_eq!(record.journey, None, "the last word is the run's own");
        assert!(record.version < 4, "an earlier program may read it");
    }
}

pub(crate) fn turns(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Rolling {
            what: Rolling::Turns { .. }
        }
    )
}

#[tokio::test(start_paused = true)]
async fn hosts_change_one_after_another_and_at_least_two_of_three_serve() {
    let scene = Scene::on_a_single_slot("");
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(ended.says(|it| matches!(
        it,
        Problem::Rolling {
            what: Rolling::Ahead {
                least: 2,
                hosts: 3,
                ..
            }
        }
    )));
    is_on(&scene, "2").await;
    assert_eq!(
        scene.times("commit").len(),
        12,
        "out and in of three hosts, on two nginx hosts"
    );
    let (stops, starts) = (scene.times("stop"), scene.times("start"));
    assert!(stops[0] < starts[0] && starts[0] < stops[1] && stops[2] < starts[2]);
    let puts = scene.times("put");
    assert!(
        puts.len() == 3 && puts[2] < scene.times("commit")[0],
        "the jar goes first"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_deploy_starts_all_at_once() {
    let scene = Scene::single("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    assert_eq!(scene.times("commit").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_goes_the_same_way_and_so_does_the_next_deploy() {
    let scene = Scene::on_a_single_slot("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "1").await;
    let again = Wanted::Jar(jar("sokdak-2.jar", "b"));
    scene.run("run-3", again).await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_that_runs_everywhere_already_moves_nobody() {
    let scene = Scene::on_a_single_slot("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    let commits = scene.times("commit").len();
    let again = Wanted::Jar(jar("sokdak-2.jar", "b"));
    scene.run("run-3", again).await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.times("commit").len(), commits);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_leaves_everything_as_it_was() {
    let scene = Scene::on_a_single_slot("").faults("was-2", "put", (0, 9), Fault::NotSent);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    is_on(&scene, "1").await;
    assert!(scene.times("commit").is_empty() && scene.times("stop").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_second_host_that_does_not_start_leads_all_of_them_back() {
    let scene = Scene::on_a_single_slot("");
    let breaks = |world: &mut World| {
        // The second start is that of the new release, the third one that of the old one.
        let starts = world.times("start").len();
        let start = if starts == 1 {
            Start::Exits
        } else {
            Start::Listens(Duration::from_secs(2))
        };
        world.host("was-2").start = start;
    };
    let scene = scene.when(Phase::Start, breaks);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert!(ended.says(turns));
    is_on(&scene, "1").await;
    assert_eq!(scene.marked(), 3, "the release failed");
}

#[tokio::test(start_paused = true)]
async fn what_systemd_starts_again_in_service_stays_when_a_later_host_fails() {
    let scene = Scene::single_by_units();
    let goes_wrong = |world: &mut World| {
        let changes_the_second = world.times("start").len() == 1;
        if changes_the_second {
            world.host("was-1").crashes(8080.try_into().unwrap());
        }
        world.host("was-2").start = if changes_the_second {
            Start::Exits
        } else {
            Start::Listens(Duration::from_secs(2))
        };
    };
    let scene = scene.when(Phase::Start, goes_wrong);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_fails_as_well_holds_with_the_others_in_service() {
    let scene = Scene::on_a_single_slot("").when(Phase::Start, |world| {
        world.host("was-2").start = Start::Exits;
    });
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(runs(&scene), ["2", "-!", "1"]);
    assert!(scene.records().contains(&RunStatus::Open));
    {
        let world = scene.world.borrow();
        let hosts = world.hosts.values();
        let mut old = hosts.filter_map(|host| host.releases.get(&release(V1)));
        assert!(old.all(|it| !it.failed), "the old release is not to blame");
    }
    // Once a person has mended the host, the run is taken back from there.
    scene.world.borrow_mut().host("was-2").start = Start::Listens(Duration::from_secs(2));
    let mended = scene.mended();
    mended.resume().await.ends(&mended, Outcome::RolledBack, 0);
    is_on(&mended, "1").await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_in_the_middle_leads_all_of_them_back() {
    for phase in [
        Phase::Prepare,
        Phase::Commit,
        Phase::Drain,
        Phase::Retire,
        Phase::Start,
        Phase::Verify,
    ] {
        let scene = Scene::on_a_single_slot("").signal(phase, Signal::Terminate);
        let ended = scene.deploy().await;
        let outcome = ended.verdict.outcome;
        assert!(
            matches!(outcome, Outcome::AsItWas | Outcome::RolledBack),
            "{phase:?} {outcome:?}"
        );
        ended.ends(&scene, outcome, 143);
        is_on(&scene, "1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_controller_died_is_gone_on_with_from_every_phase() {
    let mut went = BTreeSet::new();
    for phase in [
        Phase::Upload,
        Phase::Prepare,
        Phase::Commit,
        Phase::Confirm,
        Phase::Drain,
        Phase::Retire,
        Phase::Start,
        Phase::Verify,
    ] {
        for milliseconds in [1, 8, 2_500, 4_500] {
            let scene = Scene::on_a_single_slot("");
            scene.dies(phase, Duration::from_millis(milliseconds)).await;
            scene.rests(90).await;
            let is_changed = runs(&scene).iter().any(|host| host == "2");
            let ended = scene.resume().await;
            let told = (phase, milliseconds, ended.verdict);
            assert_eq!(ended.verdict.exit.code(), 0, "{told:?} {:#?}", ended.events);
            is_on(&scene, if is_changed { "2" } else { "1" }).await;
            went.insert(is_changed);
        }
    }
    assert_eq!(
        went.len(),
        2,
        "some had changed a host that serves, and some had not"
    );
}

/// The controller dies when a host has begun to start for the so manieth time.
pub(crate) async fn dies_at_start(scene: &Scene, number: usize) {
    dies(scene, number, "run-1", Wanted::Jar(jar("sokdak-2.jar", "b"))).await;
}

/// The same of a run by its name.
pub(crate) async fn dies(scene: &Scene, number: usize, name: &str, wanted: Wanted) {
    let at = async {
        while scene.times("start").len() < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        () = at => {}
        _ = scene.run(name, wanted) => panic!("it ended before it died"),
    }
    scene.rests(90).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_changed_a_host_is_resumed_forward_while_that_one_is_well() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    assert_eq!(runs(&scene), ["2", "2!", "1"]);
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_changed_host_is_sick_is_resumed_back() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    for process in &mut scene.world.borrow_mut().host("was-1").processes {
        process.health = Health::Down;
    }
    scene.resume().await.ends(&scene, Outcome::RolledBack, 0);
    is_on(&scene, "1").await;
}

#[tokio::test(start_paused = true)]
async fn another_deploy_or_a_rollback_goes_on_from_where_a_dead_run_was() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "1").await;
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 3).await;
    let again = Wanted::Jar(jar("sokdak-2.jar", "b"));
    scene.run("run-3", again).await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_down_comes_first_and_the_others_stay_until_it_is_back() {
    let scene = Scene::on_a_single_slot("").change(|world| world.host("was-3").kill(8080));
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
    let first = scene
        .world
        .borrow()
        .trace
        .iter()
        .find(|(_, what)| *what == "start")
        .cloned();
    assert_eq!(first.map(|(host, _)| host.to_string()).as_deref(), Some("was-3"));
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_while_the_others_are_sick() {
    let scene = Scene::on_a_single_slot("").change(|world| {
        for name in ["was-2", "was-3"] {
            for process in &mut world.host(name).processes {
                process.health = Health::Down;
            }
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(runs(&scene), ["1"; 3]);
    assert!(scene.times("stop").is_empty() && scene.times("commit").is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_two_of_three_left_out_nobody_may_leave() {
    let scene = Scene::on_a_single_slot("").without("was-2").without("was-3");
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    assert!(ended.says(|it| matches!(
        it,
        Problem::Rolling {
            what: Rolling::TooFew {
                serving: 1,
                least: 1,
                ..
            }
        }
    )));
}

/// What was-2 and was-3 are; was-1 is well, routed to, and left out.
fn with_the_best_one_left_out(others: impl Fn(&mut Vec<Process>)) -> Scene {
    let scene = Scene::on_a_single_slot("").change(|world| {
        for name in ["was-2", "was-3"] {
            others(&mut world.host(name).processes);
        }
    });
    scene.without("was-1")
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_left_out_keeps_its_requests_until_the_others_are_back() {
    let scene = with_the_best_one_left_out(Vec::clear);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(runs(&scene), ["1!", "2", "2"]);
    assert!(
        scene.world.borrow().broken.is_empty(),
        "{:#?}",
        scene.world.borrow().broken
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_left_out_does_not_leave_while_the_others_are_sick() {
    let scene = with_the_best_one_left_out(|processes| {
        for process in processes {
            process.health = Health::Down;
        }
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(runs(&scene), ["1"; 3]);
    assert!(scene.times("stop").is_empty() && scene.times("commit").is_empty());
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_end_keep_their_instance_and_lead_the_run_back() {
    let keeps = |world: &mut World| {
        world
            .host("was-2")
            .connections
            .insert(8080.try_into().unwrap(), 1);
    };
    let scene = Scene::on_a_single_slot("").change(keeps);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    is_on(&scene, "1").await;
    let scene = Scene::on_a_single_slot("").change(keeps);
    scene.world.borrow_mut().may_cut = true;
    let scene = scene.cuts();
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
}

#[tokio::test(start_paused = true)]
async fn a_sick_host_in_service_keeps_no_healthy_one_out() {
    let scene = Scene::on_a_single_slot("").when(Phase::Verify, |world| {
        // Once the second host is to come in, the first one is sick.
        if world.times("start").len() == 2 {
            for process in &mut world.host("was-1").processes {
                process.health = Health::Down;
            }
        }
    });
    scene.deploy().await;
    let verified = scene.times("commit").len();
    assert!(verified >= 8, "the second host came in: {verified}");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_dies_once_it_is_in_service_turns_the_run_round() {
    let scene = Scene::on_a_single_slot("").when(Phase::Commit, |world| {
        if world.times("start").len() == 1 {
            world.host("was-1").kill(8080);
        }
    });
    let ended = scene.deploy().await;
    assert!(ended.says(turns));
    assert!(scene.times("start").len() < 6, "it does not go on for ever");
}

#[tokio::test(start_paused = true)]
async fn nobody_leaves_while_an_nginx_reaches_none_of_the_others() {
    let scene = Scene::on_a_single_slot("").change(|world| {
        for name in ["was-2", "was-3"] {
            let ends = Instant::now() + Duration::from_secs(3_600);
            let link = (HostName::new("nginx-1").unwrap(), HostName::new(name).unwrap());
            world.links.insert(link, (Instant::now(), ends));
        }
    });
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(runs(&scene), ["1"; 3]);
    assert!(scene.times("stop").is_empty() && scene.times("commit").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_changed_host_that_cannot_be_asked_holds_a_resume() {
    let scene = Scene::on_a_single_slot("");
    dies_at_start(&scene, 2).await;
    let scene = scene.faults("was-1", "http", (0, 50), Fault::NotSent);
    let before = scene.times("commit").len();
    scene.resume().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("commit").len(), before);
    scene.world.borrow_mut().rules.clear();
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    is_on(&scene, "2").await;
}

//! Controllers that sleep, that are told to go, and two that come at once.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::scene::Scene;
use crate::fixture::{Fleet, Is};

/// Longer than the lease of [`Scene::patient_shop`].
const LONG: Duration = Duration::from_secs(8);

/// Stops the controller where a phase begins, for longer than its lease.
pub(super) fn sleeps(scene: &mut Scene<'_>, phase: &'static str, meanwhile: Meanwhile) {
    scene.fleet.forgets_runs();
    let old = scene.live.clone();
    let version = scene.next_version();
    let shop = scene.patient_shop();
    let load = shop.load();
    let mut run = shop.deploy(version.as_str()).start();
    run.reaches(Is::PhaseStarted(phase));
    run.signal(Signal::SIGSTOP);
    std::thread::sleep(LONG);
    match meanwhile {
        Meanwhile::Nothing => {
            run.signal(Signal::SIGCONT);
            let run = run.wait();
            println!(
                "asleep in {phase}: exit code {}, {}",
                run.code(),
                run.end()["outcome"]
            );
            scene.awaits_watches();
            super::links::says_the_truth(scene, &run, &old, &version);
            assert_ne!(run.code(), 0, "it went on after its lease:\n{run}");
        }
        Meanwhile::SomebodyResumes => {
            // What was under way when it fell asleep may have renewed the lease.
            let resume = shop.resume().arg("--lock-wait").arg("60s").run();
            assert!([0, 6, 7].contains(&resume.code()), "{resume}");
            let routes = scene.routes();
            let live = routes.uniform().unwrap_or_else(|| panic!("{routes}{resume}"));
            scene.live = live.clone();
            let before = scene.fleet.photograph();
            run.signal(Signal::SIGCONT);
            run.wait().ends(5, "taken_over");
            scene.fleet.is_as_it_was(&before);
        }
    }
    let version = scene.next_version();
    let shop = scene.fleet.shop();
    scene.deploys(&shop, &version);
    load.lost_nothing();
    shop.stands(&scene.live.version, scene.live.port);
}

/// What happens while it sleeps.
#[derive(Clone, Copy)]
pub(super) enum Meanwhile {
    Nothing,
    SomebodyResumes,
}

#[test]
fn a_controller_that_slept_through_its_lease_changes_nothing_that_its_successor_did() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    sleeps(&mut scene, "commit", Meanwhile::SomebodyResumes);
}

#[test]
#[ignore = "takes minutes: make test-all"]
fn a_controller_that_slept_through_its_lease_in_any_phase() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    for phase in [
        "upload", "start", "verify", "prepare", "commit", "bake", "drain", "stop",
    ] {
        for meanwhile in [Meanwhile::Nothing, Meanwhile::SomebodyResumes] {
            sleeps(&mut scene, phase, meanwhile);
        }
    }
}

#[test]
fn of_two_resumes_at_once_one_does_it_and_the_other_exits_5() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    let shop = scene.patient_shop();
    let load = shop.load();
    let mut run = shop.deploy("v2").start();
    run.reaches(Is::PhaseStarted("bake"));
    run.dies();
    // Until the lease is over.
    std::thread::sleep(LONG);
    let shop = fleet.shop();
    let (one, other) = (shop.resume().start(), shop.resume().start());
    let (one, other) = (one.wait(), other.wait());
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 5], "{one}{other}");
    load.lost_nothing();
    shop.stands("v2", 8081);
    scene.deploys(&shop, "v3");
}

#[test]
fn a_second_signal_leaves_at_once_and_resume_mends() {
    let fleet = Fleet::reset();
    let scene = Scene::begin(&fleet);
    let shop = scene.patient_shop();
    let load = shop.load();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut run = shop.deploy("v2").start();
        run.reaches(Is::PhaseStarted("commit"));
        run.signal(signal);
        // Two that come at once are one.
        run.reaches(Is::Named("interrupted"));
        run.signal(signal);
        let run = run.wait();
        run.exits(code).says("resume");
        let resume = shop.resume().arg("--lock-wait").arg("60s").run();
        assert!([0, 6, 7].contains(&resume.code()), "{resume}");
        shop.stands("v1", 8080);
    }
    load.lost_nothing();
}

#[test]
fn term_and_soon_kill_as_a_ci_server_does() {
    let fleet = Fleet::reset();
    let mut scene = Scene::begin(&fleet);
    let shop = scene.hasty_shop();
    let load = shop.load();
    for phase in ["start", "commit"] {
        let version = scene.next_version();
        let mut run = shop.deploy(version.as_str()).start();
        run.reaches(Is::PhaseStarted(phase));
        run.signal(Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(300));
        run.dies();
        scene.awaits_watches();
        let version = scene.next_version();
        scene.deploys(&fleet.shop(), &version);
        fleet.shop().stands(&scene.live.version, scene.live.port);
    }
    load.lost_nothing();
}

//! Little memory: whom the kernel kills is said, and an instance that had the traffic is started again.

use std::time::Duration;

use nonstop::model::event::Event;
use nonstop::model::failure::Failure;
use nonstop::model::finding::Problem;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::process::AfterKill;
use nonstop::model::record::RunStatus;

use crate::scene::{Ended, Scene};
use crate::world::{Fault, Health, Killed, Start, Tight, World};

/// On was-1 the kernel kills one of two, so many milliseconds after the second was started.
fn tight(kills: Killed, after: u64) -> Scene {
    let tight = Tight {
        after: Duration::from_millis(after),
        kills,
    };
    Scene::with("memory: { check: warn }\n").change(|world| world.host("was-1").tight = Some(tight))
}

/// The new instance of was-2 does not get healthy.
fn green_is_sick(world: &mut World) {
    let processes = world.host("was-2").processes.iter_mut();
    let green = processes.filter(|process| process.port.number() == 8081);
    green.for_each(|process| process.health = Health::Down);
}

/// The old instance of was-1 is killed, and the run has to go home.
fn old_is_killed() -> Scene {
    tight(Killed::Old, 300).when(Phase::Verify, green_is_sick)
}

fn said_killed(ended: &Ended) -> Vec<AfterKill> {
    let events = ended.events.iter();
    let next = events.filter_map(|event| match event {
        Event::Warned { finding } => match &finding.problem {
            Problem::LiveKilled { endpoint, next, .. } => {
                assert_eq!(endpoint.to_string(), "was-1:8080");
                Some(*next)
            }
            _ => None,
        },
        _ => None,
    });
    next.collect()
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_that_the_kernel_killed_is_said_to_be_that() {
    // While it starts, and while it is asked for its health.
    for (after, during) in [(500, Phase::Start), (2_500, Phase::Verify)] {
        let scene = tight(Killed::New, after);
        let ended = scene.deploy().await;
        let killed = |event: &Event| {
            matches!(event, Event::HostFailed { host, phase, failure: Failure::OutOfMemory { kills: 1, .. } }
                if host.as_str() == "was-1" && *phase == during)
        };
        assert!(ended.events.iter().any(killed), "{during}: {:?}", ended.events);
        ended.ends(&scene, Outcome::AsItWas, 6);
        scene.is_as_it_was();
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_that_the_kernel_killed_is_started_again_on_the_way_back() {
    let scene = old_is_killed();
    let ended = scene.deploy().await;
    assert_eq!(said_killed(&ended), [AfterKill::StartsAgain]);
    ended.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
    let world = scene.world.borrow();
    let blue = &world.hosts.iter().next().unwrap().1.instances;
    assert!(
        blue.values()
            .all(|record| record.release.as_str() == crate::scene::V1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_dies_leaves_it_to_whoever_resumes() {
    let scene = old_is_killed();
    scene.dies(Phase::Verify, Duration::from_secs(3)).await;
    assert_eq!(scene.listeners(8080), ["was-2"]);
    scene.rests(120).await;
    let ended = scene.resume().await;
    assert_eq!(said_killed(&ended), [AfterKill::StartsAgain]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_started_beside_a_new_one_that_could_not_be_ended_and_resume_does_it_later() {
    let scene = old_is_killed().faults("was-1", "stop", (0, 1), Fault::LostBefore);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.listeners(8080), ["was-2"]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.resume().await;
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), [""; 0]);
    assert_eq!(scene.records(), [RunStatus::Done; 4]);
}

#[tokio::test(start_paused = true)]
async fn where_it_does_not_start_again_the_run_stays_open_and_resume_tries_once_more() {
    let scene = old_is_killed().when(Phase::Stop, |world| world.host("was-1").start = Start::Exits);
    scene.deploy().await.ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.listeners(8080), ["was-2"]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    let scene = scene.change(|world| world.host("was-1").start = Start::Listens(Duration::from_secs(2)));
    let ended = scene.resume().await;
    assert_eq!(said_killed(&ended), [AfterKill::StartsAgain]);
}

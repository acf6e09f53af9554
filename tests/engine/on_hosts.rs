//! A jar that a deploy agent has put on the hosts.

use nonstop::engine::run::Wanted;
use nonstop::model::event::Event;
use nonstop::model::finding::Problem;
use nonstop::model::names::{JarPattern, RemotePath};
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;
use nonstop::model::release::{JarProblem, Offer, OfferedJar};

use crate::scene::{Ended, Scene};
use crate::world::World;

fn wanted() -> Wanted {
    Wanted::OnHosts(JarPattern::new("/srv/zip/*.jar").unwrap())
}

/// Puts a jar on a host.
fn puts(world: &mut World, host: &str, name: &str, digit: &str) {
    world.host(host).offer = Offer::Jar(OfferedJar {
        path: RemotePath::new(format!("/srv/zip/{name}")).unwrap(),
        sha256: digit.repeat(64),
        size_bytes: 60_000_000,
    });
}

/// What was refused, by host.
fn refused(ended: &Ended) -> Vec<(String, &'static str)> {
    let findings = ended.events.iter().filter_map(|event| match event {
        Event::Refused { findings } => Some(findings),
        _ => None,
    });
    let kind = |problem: &Problem| match problem {
        Problem::Jar(JarProblem::NoJarOnHost { .. }) => "none",
        Problem::Jar(JarProblem::JarUnfit { .. }) => "unfit",
        Problem::Jar(JarProblem::JarsDiffer { .. }) => "differs",
        _ => "other",
    };
    findings
        .flatten()
        .map(|finding| {
            let host = finding.host.as_ref().map(ToString::to_string).unwrap_or_default();
            (host, kind(&finding.problem))
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_jar_that_is_the_same_on_every_host_is_deployed_and_nothing_is_sent() {
    let scene = Scene::on_blue().change(|world| {
        puts(world, "was-1", "sokdak-2.jar", "b");
        puts(world, "was-2", "copy-of-sokdak-2.jar", "b");
    });
    scene
        .run("run-1", wanted())
        .await
        .ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.live_port(), 8081);
    let mut world = scene.world.borrow_mut();
    assert_eq!(world.hosts_with("take"), ["was-1", "was-2"]);
    assert_eq!(world.times("put"), [0; 0]);
    for host in ["was-1", "was-2"] {
        let kept = world.host(host).releases.values().last().unwrap().clone();
        assert_eq!(
            (kept.jar_name.as_str(), kept.sha256),
            ("sokdak-2.jar", "b".repeat(64))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn different_jars_are_refused_with_every_host_and_its_digest() {
    let scene = Scene::on_blue().change(|world| {
        puts(world, "was-1", "sokdak-2.jar", "b");
        puts(world, "was-2", "sokdak-2.jar", "c");
    });
    let ended = scene.run("run-1", wanted()).await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    let each = [("was-1".to_owned(), "differs"), ("was-2".to_owned(), "differs")];
    assert_eq!(refused(&ended), each);
    let refusal = ended.events.iter().find_map(|event| match event {
        Event::Refused { findings } => Some(findings[1].problem.to_string()),
        _ => None,
    });
    assert!(refusal.unwrap().contains(&"c".repeat(64)));
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_host_without_a_jar_and_one_whose_jar_is_not_clear_are_both_named() {
    let scene = Scene::on_blue().change(|world| {
        world.host("was-2").offer = Offer::Unfit {
            reason: "two are equally new".to_owned(),
        };
    });
    let ended = scene.run("run-1", wanted()).await;
    ended.ends(&scene, Outcome::AsItWas, 4);
    let each = [("was-1".to_owned(), "none"), ("was-2".to_owned(), "unfit")];
    assert_eq!(refused(&ended), each);
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_jar_that_the_agent_replaces_in_the_middle_fails_the_run_and_starts_nothing() {
    let scene = Scene::on_blue()
        .change(|world| {
            puts(world, "was-1", "sokdak-2.jar", "b");
            puts(world, "was-2", "sokdak-2.jar", "b");
        })
        .when(Phase::Upload, |world| puts(world, "was-2", "sokdak-2.jar", "c"));
    scene
        .run("run-1", wanted())
        .await
        .ends(&scene, Outcome::AsItWas, 6);
    assert_eq!(scene.world.borrow().times("start"), [0; 0]);
    scene.is_as_it_was();
}

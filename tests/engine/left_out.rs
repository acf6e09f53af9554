//! A host that a person left out of a run that never ended, and that is back.

use std::time::Duration;

use nonstop::engine::run::Wanted;
use nonstop::model::finding::Problem;
use nonstop::model::names::HostName;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;

use crate::scene::{Scene, jar};

#[tokio::test(start_paused = true)]
async fn what_a_returned_nginx_host_routes_to_is_not_stopped_with_a_run_that_left_it_out() {
    let mut scene = Scene::on_blue();
    let whole = scene.config.clone();
    scene = scene.without("nginx-2");
    scene.dies(Phase::Verify, Duration::from_millis(50)).await;
    scene.rests(60).await;
    scene.config = whole;
    let old = scene
        .world
        .borrow_mut()
        .nginx("nginx-2")
        .content()
        .unwrap()
        .replace(":8080", ":8081");
    scene
        .world
        .borrow_mut()
        .nginx("nginx-2")
        .site(crate::scene::SITE, &old);
    let is_said =
        |it: &Problem| matches!(it, Problem::LeftOutIsBack { host, .. } if host.as_str() == "nginx-2");
    for wanted in [Wanted::Resume, Wanted::Jar(jar("sokdak-3.jar", "c"))] {
        let ended = scene.run("run-2", wanted).await;
        ended.ends(&scene, Outcome::AsItWas, 4);
        assert!(ended.says(is_said));
    }
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    scene.is_unlocked();
    let scene = scene.without("nginx-2");
    scene.world.borrow_mut().host("nginx-2").is_left_out = true;
    scene.world.borrow_mut().leavers.insert("run-9".parse().unwrap());
    scene.resume().await.ends(&scene, Outcome::AsItWas, 0);
    assert_eq!(scene.listeners(8081), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_without_a_host_puts_that_on_record() {
    let scene = Scene::on_blue();
    scene.dies(Phase::Drain, Duration::from_millis(50)).await;
    let gone = HostName::new("was-2").unwrap();
    scene.rests(60).await;
    let scene = scene.without("was-2");
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    let world = scene.world.borrow();
    assert!(world.observed().behind().contains_key(&gone));
    let record = world.hosts[&HostName::new("was-1").unwrap()]
        .record
        .clone()
        .unwrap();
    assert!(record.left_routed().iter().all(|endpoint| endpoint.host != gone));
}

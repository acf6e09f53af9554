//! Slots on two sets of hosts.

use nonstop::model::finding::Problem;
use nonstop::model::outcome::Outcome;
use nonstop::model::phase::Phase;

use crate::scene::Scene;

const ROLLING: &str = "update: { strategy: rolling, max_parallel: 1 }\n";

#[tokio::test(start_paused = true)]
async fn traffic_moves_to_the_other_hosts_and_the_old_ones_end() {
    for update in ["", ROLLING] {
        let scene = Scene::on_two_sets(update);
        scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(scene.listeners(8081), ["was-3", "was-4", "was-5"]);
        assert_eq!(scene.listeners(8080), [""; 0]);
        assert_eq!(scene.live_port(), 8081);
        assert_eq!(
            scene.world.borrow().hosts_with("put"),
            ["was-3", "was-4", "was-5"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_instance_is_not_stopped_while_a_new_one_on_another_host_is_gone() {
    let scene = Scene::on_two_sets("").when(Phase::Stop, |world| world.host("was-4").processes.clear());
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 8);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    let is_said = |it: &Problem| {
        matches!(it, Problem::LeftUndone { reason }
            if reason.contains("was-1:8080 was not stopped: was-4:8081 is not healthy"))
    };
    assert!(ended.says(is_said));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_leads_back_to_the_hosts_of_before() {
    let scene = Scene::on_two_sets("");
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.rollback().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.live_port(), 8080);
}

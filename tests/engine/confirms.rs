//! The second half of a switch: confirmed when all are proven, in time and everywhere; and what comes of it
//! where a host stays silent or its watch was faster.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::model::event::Event;
use nonstop::model::failure::Failure;
use nonstop::model::outcome::{Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use nonstop::remote::answer::{Answer, ConfirmAnswer, Fenced};

use crate::scene::{Ended, Scene};
use crate::world::{Fault, Health};

const BAKE: &str = "bake: { for: 60s, then: stop }\n";

fn fails(ended: &Ended, wanted: impl Fn(&Failure) -> bool) -> bool {
    ended
        .events
        .iter()
        .any(|event| matches!(event, Event::HostFailed { failure, .. } if wanted(failure)))
}

/// What became of the token of each nginx host, in the order of their names.
fn tokens(ended: &Ended) -> Vec<&'static str> {
    let moved = |event: &Event| match event {
        Event::TokenMoved { host, state, .. } => Some((host.clone(), state.as_str())),
        _ => None,
    };
    let last: BTreeMap<_, _> = ended.events.iter().filter_map(moved).collect();
    last.into_values().collect()
}

#[tokio::test(start_paused = true)]
async fn a_switch_stays_only_when_all_are_proven_and_then_for_good() {
    let scene = Scene::with(BAKE);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert!(scene.times("commit").last() < scene.times("confirm").first());
    assert!(scene.times("confirm").last() < scene.times("stop").first());
    assert_eq!(tokens(&ended), ["confirmed", "confirmed"]);
    scene.rests(120).await;
    assert_eq!(scene.live_port(), 8081, "no watch was left to go home");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_that_it_stays_while_one_is_not_proven() {
    let scene = Scene::on_blue().change(|world| world.nginx("nginx-1").refuses_reload = true);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.times("confirm"), [0; 0]);
    assert_eq!(tokens(&ended), ["reverted", "reverted"]);
}

#[tokio::test(start_paused = true)]
async fn a_proof_that_took_too_long_sends_everybody_home() {
    // Three seconds of six are gone on the way; what is left may be less than a third.
    let slow = Fault::Slow(Duration::from_secs(4));
    let scene = Scene::with("watch: { deadline: 6s }\n").fault("nginx-2", "commit", slow);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert!(fails(&ended, |it| matches!(it, Failure::TooLate { .. })));
    assert_eq!(scene.times("confirm"), [0; 0]);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_confirm_whose_answer_is_lost_is_sent_again() {
    for fault in [Fault::LostBefore, Fault::LostAfter, Fault::NotSent] {
        let scene = Scene::on_blue().faults("nginx-2", "confirm", (0, 3), fault);
        scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
        assert_eq!(scene.times("revert"), [0; 0]);
        scene.rests(60).await;
        scene.is_deployed();
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_watch_was_faster_is_switched_again() {
    let fired = |scene: &Scene| scene.times("commit").len();
    let scene =
        Scene::with("watch: { deadline: 6s }\n").faults("nginx-2", "confirm", (0, 20), Fault::LostBefore);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(fired(&scene), 3, "one of the two was committed twice");
    assert_eq!(tokens(&ended), ["confirmed", "confirmed"]);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_watch_was_faster_is_not_led_to_a_slot_that_died() {
    let scene = Scene::with("watch: { deadline: 6s }\n")
        .faults("nginx-2", "confirm", (0, 20), Fault::LostBefore)
        .when(Phase::Confirm, |world| world.host("was-1").kill(8081));
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.times("commit").len(), 2);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_gave_up_is_not_waited_for_and_what_stopped_it_is_not_overwritten() {
    let edited = |world: &mut crate::world::World| {
        let nginx = world.nginx("nginx-2");
        let entry = nginx.entry.to_string();
        nginx.files.get_mut(&entry).unwrap().push_str("# by hand\n");
    };
    let scene = Scene::with("watch: { deadline: 6s }\n")
        .faults("nginx-2", "confirm", (0, 20), Fault::LostBefore)
        .when(Phase::Confirm, edited);
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::Mixed, 8);
    assert!(fails(&ended, |failure| matches!(
        failure,
        Failure::Unconfirmed { reason } if reason.contains("gave up")
    )));
    assert_eq!(scene.times("commit").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answers_leaves_both_slots_up_and_the_run_open() {
    let scene = Scene::on_blue().faults("nginx-2", "confirm", (0, 999), Fault::LostBefore);
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("stop"), [0; 0]);
    assert_eq!(scene.times("revert"), [0; 0]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
    assert_eq!(scene.listeners(8081), ["was-1", "was-2"]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    scene.is_unlocked();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_watch_was_first_is_not_taken_for_a_confirm() {
    let lost = Fault::Answers(Answer::Confirm(Fenced::Passed(ConfirmAnswer::Lost(None))));
    let scene = Scene::on_blue().fault("nginx-1", "confirm", lost);
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    assert_eq!(scene.times("commit").len(), 3);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_way_back_after_a_confirm_arms_every_host_before_the_first_goes_home() {
    let scene = Scene::with(BAKE).when(Phase::Bake, |world| {
        let processes = &mut world.host("was-2").processes;
        let green = processes
            .iter_mut()
            .filter(|process| process.port.number() == 8081);
        green.for_each(|process| process.health = Health::Down);
    });
    let ended = scene.deploy().await;
    ended.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.world.borrow().hosts_with("arm").len(), 2);
    assert!(scene.times("arm").last() < scene.times("revert").first());
    assert_eq!(tokens(&ended), ["reverted", "reverted"]);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_way_back_before_any_confirm_arms_nobody() {
    let scene = Scene::on_blue().fault("nginx-2", "commit", Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert_eq!(scene.times("arm"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_arming_whose_answer_is_lost_is_sent_again() {
    let scene =
        Scene::with(BAKE)
            .signal(Phase::Bake, Signal::Interrupt)
            .fault("nginx-1", "arm", Fault::LostAfter);
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 130);
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_armed_is_mixed_and_not_led_home() {
    let scene = Scene::with(BAKE).signal(Phase::Bake, Signal::Interrupt).faults(
        "nginx-1",
        "arm",
        (0, 99),
        Fault::NotSent,
    );
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.world.borrow().hosts_with("revert"), ["nginx-2"]);
    assert_eq!(scene.times("stop"), [0; 0]);
    assert_eq!(scene.records(), [RunStatus::Open; 4]);
    let scene = scene.undisturbed();
    scene.resume().await.ends(&scene, Outcome::Deployed, 0);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn a_signal_while_it_is_confirmed_goes_back_from_all_of_it() {
    let scene = Scene::with(BAKE).signal(Phase::Confirm, Signal::Terminate).fault(
        "nginx-1",
        "confirm",
        Fault::LostBefore,
    );
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 143);
    assert!(scene.times("confirm").last() < scene.times("arm").first());
    scene.rests(60).await;
    scene.is_as_it_was();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_read_back_as_confirmed_stops_nothing() {
    // The host says that it confirmed, and did not.
    let liar = Fault::Answers(Answer::Confirm(Fenced::Passed(ConfirmAnswer::Confirmed)));
    let scene = Scene::on_blue().fault("nginx-1", "confirm", liar);
    scene.deploy().await.ends(&scene, Outcome::Mixed, 8);
    assert_eq!(scene.times("stop"), [0; 0]);
    assert_eq!(scene.listeners(8080), ["was-1", "was-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_faster_each_time_does_not_keep_a_run_for_ever() {
    let slow = Fault::Slow(Duration::from_secs(7));
    let scene = Scene::with("watch: { deadline: 6s }\n").faults("nginx-2", "confirm", (0, 9999), slow);
    let ended = tokio::time::timeout(Duration::from_secs(600), scene.deploy()).await;
    ended.expect("it gives up").ends(&scene, Outcome::Mixed, 8);
    assert!(scene.times("commit").len() > 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_make_the_new_slot_sick_while_a_host_is_switched_again() {
    let lost = Fault::Answers(Answer::Confirm(Fenced::Passed(ConfirmAnswer::Lost(None))));
    let scene = Scene::on_blue().fault("nginx-1", "confirm", lost);
    let scene = scene.when(Phase::Confirm, |world| {
        world.rules.push(crate::world::Rule {
            host: nonstop::model::names::HostName::new("was-1").expect("a name"),
            command: "http",
            spares: 0,
            hits: 5,
            fault: Fault::NotSent,
        });
    });
    scene.deploy().await.ends(&scene, Outcome::Deployed, 0);
    scene.rests(60).await;
    scene.is_deployed();
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_silent_host_when_another_found_the_new_slot_dead() {
    let lost = Fault::Answers(Answer::Confirm(Fenced::Passed(ConfirmAnswer::Lost(None))));
    let scene = Scene::with("watch: { deadline: 10m }\n")
        .fault("nginx-1", "confirm", lost)
        .faults("nginx-2", "confirm", (0, 9999), Fault::LostBefore)
        .when(Phase::Confirm, |world| world.host("was-1").kill(8081));
    let began = tokio::time::Instant::now();
    scene.deploy().await.ends(&scene, Outcome::RolledBack, 7);
    assert!(began.elapsed() < Duration::from_secs(120));
}

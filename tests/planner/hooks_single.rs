//! Where hooks stand in the legs of a run with a single slot, and which of them a leg leaves out.

use nonstop::model::hook::{HookPoint, HookState};
use nonstop::model::names::RunId;
use nonstop::model::plan::{self, Bound, Hooked, Jar, Next, Scene};

use crate::fixture::{Fleet, V1, V2, host, release, release_id, slot};
use crate::hooks::{EVERYWHERE, id, knows, told};
use crate::single::live_with;

#[test]
fn with_a_single_slot_a_host_has_its_own_in_its_turn_and_the_others_are_in_the_first() {
    let plan = live_with(EVERYWHERE).deploy(V2).unwrap();
    assert_eq!(
        told(&plan.stages),
        [
            "before_install.1@was-1,was-2",
            "upload",
            "after_install.1@was-1,was-2",
            "after_install.2@nginx-1,nginx-2",
            "prepare",
            "commit",
            "drain",
            "before_stop.1@was-1",
            "retire",
            "start",
            "application_start.1@was-1",
            "application_start.2@was-1",
            "application_start.3@was-1",
            "verify",
            "validate_service.1@was-1",
            "prepare",
            "before_allow_traffic.1@was-1",
            "commit",
            "prepare",
            "commit",
            "drain",
            "before_stop.1@was-2",
            "retire",
            "start",
            "application_start.1@was-2",
            "verify",
            "validate_service.1@was-2",
            "prepare",
            "commit",
            "after_allow_traffic.1@was-1",
            "finish",
        ]
    );
    let after = live_with("hooks: { after_allow_traffic: [a, { run: b, on: nginx }] }\n");
    let hooks = told(&after.deploy(V2).unwrap().stages);
    let is_hook = |stage: &&String| stage.contains('@');
    assert_eq!(
        hooks.iter().filter(is_hook).collect::<Vec<_>>(),
        [
            "after_allow_traffic.1@was-1",
            "after_allow_traffic.1@was-2",
            "after_allow_traffic.2@nginx-1,nginx-2"
        ]
    );
}

/// The hooks of the next leg of `run-2`, where these hosts have come in.
fn of_next_leg(fleet: &Fleet, came: &[&str]) -> Vec<String> {
    let observed = fleet.observed();
    let (run, leg) = (RunId::new("run-2").unwrap(), RunId::new("run-2-3").unwrap());
    let scene = Scene {
        topology: &fleet.config.topology,
        playbook: &fleet.config.playbook,
        observed: &observed,
        run: &leg,
    };
    let bound = Bound {
        slot: slot("blue"),
        release: release(V2),
        from_release: Some(release_id(V1)),
        sends: true,
        apart: [].into(),
    };
    let came = came.iter().map(|name| host(name)).collect();
    let hooked = Hooked {
        run: &run,
        came: &came,
    };
    let stages = |hooked| match plan::next_leg(&scene, &bound, Jar::There, hooked).unwrap() {
        Next::Leg(leg) => leg.plan.stages,
        Next::Arrived(plan) => plan.stages,
    };
    assert!(stages(None).iter().all(|stage| stage.hooks_of().is_none()));
    let stages = stages(Some(hooked));
    told(&stages).into_iter().filter(|it| it.contains('@')).collect()
}

#[test]
fn no_leg_has_a_hook_again_that_is_on_record_and_the_first_host_stays_the_first() {
    let mut fleet = live_with(
        "hooks: { after_install: { run: a, on: first }, after_allow_traffic: [b, { run: c, on: controller }] }\n",
    );
    fleet.has(V2);
    assert_eq!(of_next_leg(&fleet, &[]), ["after_install.1@was-1"]);
    let install = id(HookPoint::AfterInstall);
    knows(&mut fleet, "was-2", install, HookState::Unknown);
    assert_eq!(of_next_leg(&fleet, &[]), ["after_install.1@was-2"]);
    fleet.host("was-2").hooks[0].state = HookState::Done;
    assert_eq!(of_next_leg(&fleet, &["was-1"]), ["after_allow_traffic.1@was-1"]);
    fleet.runs("blue", V2);
    knows(
        &mut fleet,
        "was-1",
        id(HookPoint::AfterAllowTraffic),
        HookState::Done,
    );
    assert_eq!(
        of_next_leg(&fleet, &["was-1", "was-2"]),
        ["after_allow_traffic.1@was-2", "after_allow_traffic.2@was-1"]
    );
    assert_eq!(of_next_leg(&fleet, &[]), [""; 0]);
}

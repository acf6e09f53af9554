//! Whatever a dead controller left: no way on stops what is needed, and none is forward without proof.

use proptest::prelude::*;

use nonstop::model::decision::{Newest, Slots, Way, decide};
use nonstop::model::phase::Phase;
use nonstop::model::plan::Step;
use nonstop::model::token::TokenState;

use crate::fixture::{host, our_site, slot};
use crate::resume::{Died, back_hosts};

fn any_state() -> impl Strategy<Value = TokenState> {
    prop_oneof![
        Just(TokenState::Armed),
        Just(TokenState::Confirmed),
        Just(TokenState::Reverted),
        Just(TokenState::Fired),
        Just(TokenState::Superseded),
    ]
}

/// What an nginx host may have: nothing (it gave no answer), or any tokens, on either slot.
fn any_nginx() -> impl Strategy<Value = Option<(Vec<TokenState>, bool)>> {
    proptest::option::weighted(0.9, (proptest::collection::vec(any_state(), 0..4), any::<bool>()))
}

/// What a WAS host may have on either slot.
fn any_was() -> impl Strategy<Value = (bool, bool)> {
    (any::<bool>(), any::<bool>())
}

fn any_died() -> impl Strategy<Value = Died> {
    let (nginx, was) = ([any_nginx(), any_nginx()], [any_was(), any_was()]);
    (nginx, was, any::<bool>()).prop_map(|(nginx, was, no_return)| {
        let mut died = Died::deploying();
        died.record.point_of_no_return = no_return;
        for (name, seen) in ["nginx-1", "nginx-2"].into_iter().zip(nginx) {
            let Some((tokens, is_green)) = seen else {
                died.now.observed.hosts.remove(&host(name));
                continue;
            };
            if is_green {
                died.now.file(name, "sokdak.conf", &our_site(8081, "run-2"));
                died.now.nginx(name).generation = Some("run-2".to_owned());
            }
            for state in tokens {
                died.now.token(name, "run-2", state);
            }
        }
        for (name, (blue, green)) in ["was-1", "was-2"].into_iter().zip(was) {
            for (slot, lives) in [("blue", blue), ("green", green)] {
                if !lives {
                    died.now.dies(name, slot);
                }
            }
        }
        died
    })
}

proptest! {
    #[test]
    fn nothing_leads_forward_without_a_confirmed_token(died in any_died(), new in any::<bool>(), old in any::<bool>()) {
        let slots = Slots { new_is_healthy: Some(new), old_is_alive: old };
        let tokens = died.evidence();
        let confirmed = tokens.contains(&Newest::Is(TokenState::Confirmed));
        if decide(tokens, slots) == Way::Forward {
            prop_assert!(confirmed && new);
        }
    }

    #[test]
    fn whatever_forward_does_not_commit_is_confirmed_and_runs_the_new_routing(died in any_died()) {
        let Ok(plan) = died.forward() else { return Ok(()) };
        let committed = plan.switches();
        for name in ["nginx-1", "nginx-2"] {
            let nginx = died.now.observed.hosts[&host(name)].nginx.as_ref().unwrap();
            let newest = nginx.newest_token(&died.record.run).map(|token| token.state);
            let is_settled = newest == Some(TokenState::Confirmed)
                && nginx.generation.as_deref() == Some("run-2");
            let is_kept = newest == Some(TokenState::Confirmed) && died.record.point_of_no_return;
            prop_assert_eq!(committed.contains_key(&host(name)), !is_settled && !is_kept);
        }
        for name in ["was-1", "was-2"] {
            let green = died.now.observed.slot(&host(name), &slot("green")).unwrap();
            prop_assert!(green.recorded_process_listens());
        }
        let switch_and_stop = [Phase::Commit, Phase::Stop].map(|phase| plan.phases().iter().position(|it| *it == phase));
        if let [Some(commit), Some(stop)] = switch_and_stop {
            prop_assert!(commit < stop);
        }
    }

    #[test]
    fn back_reverts_every_host_that_could_still_show_the_new_routing_and_never_ends_the_old_slot(died in any_died()) {
        let stages = died.back();
        let reverted = back_hosts(&stages, Phase::Revert);
        for name in ["nginx-1", "nginx-2"] {
            let nginx = died.now.observed.hosts.get(&host(name)).and_then(|seen| seen.nginx.as_ref());
            let may_show = nginx.is_none_or(|nginx| !nginx.tokens.is_empty() || nginx.generation.as_deref() == Some("run-2"));
            prop_assert_eq!(reverted.contains(&name), may_show);
        }
        for on in stages.iter().flat_map(|stage| &stage.steps) {
            if let Step::Withdraw { instance: Some((ended, ..)), .. } = &on.step {
                prop_assert_eq!(ended, &slot("green"));
            }
            let stops = matches!(on.step, Step::Stop { .. } | Step::Retire { .. });
            prop_assert!(!stops);
        }
    }

    #[test]
    fn a_converged_fleet_has_no_armed_token_and_one_live_slot(died in any_died()) {
        if died.is_converged() {
            let tokens = died.evidence();
            prop_assert!(!tokens.contains(&Newest::Is(TokenState::Armed)));
            prop_assert!(!tokens.contains(&Newest::Unreadable));
            let confirmed = tokens.iter().filter(|it| **it == Newest::Is(TokenState::Confirmed)).count();
            prop_assert!(confirmed == 0 || confirmed == tokens.len());
        }
    }
}

//! What becomes of a switch's token: who moves it, once, and what late scripts cannot do.

use std::fs;
use std::time::Duration;

use nonstop::model::token::{TokenId, TokenState};
use nonstop::remote::answer::{Answer, ArmAnswer, ConfirmAnswer, Fenced};
use nonstop::remote::command::{Arm, Command, Commit, Confirm, Revert};

use crate::host::which;
use crate::site::{accepted, eventually, proven, with_nginx_in_every_shell};
use crate::watch::{LATE, fires, last, prepared, restored, sites};

#[test]
fn a_confirmed_switch_stays_and_its_watch_leaves() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        let tokens = site.tokens();
        assert_eq!(tokens.len(), 1);
        let left = tokens[0].left.expect("it is armed");
        assert!(left <= LATE && left > LATE / 2, "{left:?}");
        assert_eq!(site.watches().len(), 1);
        assert_eq!(site.confirm(&tokens[0].id), ConfirmAnswer::Confirmed);
        assert_eq!(site.confirm(&tokens[0].id), ConfirmAnswer::Confirmed);
        eventually("the watch leaves", || site.watches().is_empty());
        assert_eq!(site.get(), "v2");
        let confirmed = site.tokens();
        assert_eq!(
            (confirmed[0].state, confirmed[0].left),
            (TokenState::Confirmed, None)
        );
        let unknown = TokenId {
            number: 999,
            ..tokens[0].id.clone()
        };
        assert_eq!(site.confirm(&unknown), ConfirmAnswer::Lost(None));

        // A way back after the confirm begins with another watch; it is home that it brings.
        assert!(matches!(site.arm(LATE), ArmAnswer::Armed { left } if left <= LATE));
        assert!(matches!(site.arm(LATE), ArmAnswer::Armed { .. }));
        assert_eq!(site.get(), "v2");
        fires(site);
        assert_eq!(
            site.token_states(),
            [TokenState::Confirmed, TokenState::Superseded, TokenState::Fired]
        );
    });
}

#[test]
fn a_revert_takes_the_token_first_and_brings_home_whatever_it_says() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        proven(site.commit_for(&placement, LATE));
        proven(site.revert());
        assert_eq!(site.token_states(), [TokenState::Reverted]);
        eventually("the watch leaves", || site.watches().is_empty());
        assert_eq!((site.get().as_str(), sites(site)), ("v1", before.clone()));
        proven(site.commit_for(&placement, LATE));
        assert_eq!(site.confirm(&last(site)), ConfirmAnswer::Confirmed);
        proven(site.revert());
        assert_eq!(site.token_states(), [TokenState::Reverted, TokenState::Confirmed]);
        assert_eq!((site.get().as_str(), sites(site)), ("v1", before));
    });
}

#[test]
fn what_the_second_step_of_a_run_put_is_taken_back_to_where_it_was_before_the_run() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        proven(site.commit_for(&placement, LATE));
        let next = site.placement(&site.site("v3"));
        accepted(site.prepare(&next));
        proven(site.commit_for(&next, LATE));
        fires(site);
        assert_eq!(site.token_states(), [TokenState::Superseded, TokenState::Fired]);
        assert_eq!(sites(site), before);
    });
}

#[test]
fn a_commit_after_its_watch_fired_goes_forward_again() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        fires(site);
        // The one who resumes has read what runs: either bytes are fine to begin with.
        let resumed = site.placement(&site.site("v2"));
        for placement in [placement, resumed] {
            proven(site.commit_for(&placement, LATE));
            assert_eq!(site.get(), "v2");
        }
        assert_eq!(site.confirm(&last(site)), ConfirmAnswer::Confirmed);
        assert_eq!(
            site.token_states(),
            [TokenState::Fired, TokenState::Superseded, TokenState::Confirmed]
        );
        eventually("the watches leave", || site.watches().is_empty());
        assert_eq!(site.get(), "v2");
    });
}

#[test]
fn of_two_watches_and_a_confirm_that_race_exactly_one_decides() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let before = sites(site);
        for wait in [0, 300, 600, 900] {
            proven(site.commit_for(&placement, LATE));
            assert!(matches!(site.arm(LATE), ArmAnswer::Armed { .. }));
            let token = last(site);
            site.host.later(LATE);
            std::thread::sleep(Duration::from_millis(wait));
            match site.confirm(&token) {
                ConfirmAnswer::Confirmed => {
                    assert_eq!(site.token_states().pop(), Some(TokenState::Confirmed));
                    eventually("the watches leave", || site.watches().is_empty());
                    assert_eq!(site.get(), "v2");
                    proven(site.revert());
                }
                ConfirmAnswer::Lost(Some(TokenState::Fired)) => restored(site),
                other @ ConfirmAnswer::Lost(_) => panic!("{other:?}"),
            }
            let fired = site
                .tokens()
                .into_iter()
                .filter(|token| token.state == TokenState::Fired);
            assert!(
                fired.into_iter().all(|token| token.restored),
                "the superseded one never fires"
            );
            assert_eq!((site.get().as_str(), sites(site)), ("v1", before.clone()));
        }
    });
}

#[test]
fn cleaning_up_leaves_everything_where_a_token_is_armed() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        proven(site.commit_for(&placement, LATE));
        site.clean();
        assert_eq!(site.token_states(), [TokenState::Armed]);
        assert_eq!(site.observe().saved_homes, ["run-1"]);
        assert_eq!(site.watches().len(), 1);
        site.confirm(&last(site));
        site.clean();
        assert!(site.tokens().is_empty() && site.observe().saved_homes.is_empty());
        assert!(!site.host.state().join("tokens").exists());
        assert_eq!(site.arm(LATE), ArmAnswer::NoHome);
        assert!(site.tokens().is_empty());
    });
}

#[test]
fn what_the_network_delivers_late_moves_no_token() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let late = site.host.fence();
        proven(site.commit_for(&placement, LATE));
        let token = last(site);
        let arm = Command::Arm(Arm {
            fence: late.clone(),
            home: token.run.clone(),
            nginx: site.nginx_place(),
            watch: LATE,
            deadline: LATE,
        });
        let revert = Command::Revert(Revert {
            fence: late.clone(),
            home: token.run.clone(),
            nginx: site.nginx_place(),
            deadline: LATE,
        });
        let confirm = Command::Confirm(Confirm {
            fence: late.clone(),
            token,
        });
        for command in [arm, revert, confirm] {
            assert!(matches!(
                site.host.run(command),
                Answer::Arm(Fenced::Refused(_))
                    | Answer::Revert(Fenced::Refused(_))
                    | Answer::Confirm(Fenced::Refused(_))
            ));
        }
        assert_eq!(site.token_states(), [TokenState::Armed]);
        assert_eq!(site.get(), "v2");
        proven(site.revert());
        // The commit itself, late once more: what exit 7 has said stays true.
        let commit = Commit {
            fence: late,
            ..site.commit_command(&placement)
        };
        assert!(matches!(
            site.host.run(Command::Commit(commit)),
            Answer::Commit(Fenced::Refused(_))
        ));
        assert_eq!(site.token_states(), [TokenState::Reverted]);
        assert_eq!(site.get(), "v1");
    });
}

#[test]
fn a_switch_that_takes_longer_than_the_lease_still_holds_the_lock_when_it_ends() {
    with_nginx_in_every_shell(|site| {
        site.host.machine("uptime_offset", "0");
        let placement = prepared(site);
        let lock = site.host.state().join("lock");
        let text = fs::read_to_string(&lock).expect("a lock");
        fs::write(&lock, text.replace("lease_ms=", "lease_ms=60000")).expect("written");
        assert!(
            site.lock_left()
                .is_some_and(|left| left <= Duration::from_secs(60))
        );
        // While nginx reloads, two minutes pass.
        let offset = site.host.path("machine/uptime_offset");
        let nginx = which("nginx").expect("installed");
        let program = format!(
            "#!/bin/sh\ncase \"$*\" in *reload*) echo 12000 >{}; sleep 1;; esac\nexec {} \"$@\"\n",
            offset.display(),
            nginx.display()
        );
        site.host.program("nginx", &program);
        let commit = Command::Commit(site.commit_command(&placement));
        assert!(matches!(site.host.run(commit), Answer::Commit(Fenced::Passed(_))));
        let left = site.lock_left().expect("a lease");
        assert!(left > Duration::from_secs(45), "{left:?}");
    });
}

#[test]
fn a_switch_that_is_under_way_is_not_observed_half() {
    with_nginx_in_every_shell(|site| {
        let placement = prepared(site);
        let held = site.host.path("held");
        let nginx = which("nginx").expect("installed");
        let program = format!(
            "#!/bin/sh\ncase \"$*\" in *reload*) : >{}; sleep 2;; esac\nexec {} \"$@\"\n",
            held.display(),
            nginx.display()
        );
        site.host.program("nginx", &program);
        let commit = Command::Commit(site.commit_command(&placement));
        std::thread::scope(|scope| {
            let commit = scope.spawn(|| site.host.run(commit));
            eventually("the renamed file waits for its reload", || held.exists());
            let serving = site.observe().master.expect("nginx runs").serving;
            match commit.join().expect("no panic") {
                Answer::Commit(Fenced::Passed(answer)) => assert_eq!(proven(answer).0, serving),
                other => panic!("{other:?}"),
            }
        });
    });
}

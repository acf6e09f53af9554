//! The summary at the end.

use insta::assert_snapshot;
use nonstop::model::obstacle::{KeyFault, Obstacle};
use nonstop::report::output::Palette;
use nonstop::report::text::advice::Given;
use nonstop::report::{harmless, summary};

use crate::fixture::Story;

fn summary_of(story: &Story) -> String {
    summary::render(&story.view(), Palette::Monochrome)
}

#[test]
fn a_deploy_says_what_was_done_and_how_long_it_took() {
    assert_snapshot!(summary_of(&Story::deploy()), @"
    sokdak: deploy done (15 s)
      from    blue (20260101-100000-sokdak-1)
      to      green (20260102-100000-sokdak-2)
      switch  312 ms from the first rename to the last proof, 1 nginx host
      run     0197-run

    state of the fleet
      Every nginx sends its requests to green (20260102-100000-sokdak-2).

    hosts
      nginx-1  proven by fresh workers and the generation endpoint
      was-1    started pid 4242 on was-1:8081; stopped was-1:8080; removed 2 old releases
      was-2    started pid 9876 on was-2:8081; stopped was-2:8080 by KILL, for it did not end by TERM; removed 1 old release

    phases
      lock 120 ms   upload 5.4 s   start 1.2 s
      verify 6.0 s  prepare 90 ms  commit 312 ms
      stop 2.4 s    finish 0 ms

    warnings
      was-2  warning  its clock is 42 s away from the controller's
                      hint: check its NTP; nothing depends on it, but its logs mislead

    what to do next
      nonstop rollback  goes back to 20260101-100000-sokdak-1

    outcome: deployed
    ");
}

#[test]
fn the_same_release_again_is_nothing_that_a_rollback_would_lead_to() {
    let mut view = Story::deploy().view();
    let planned = view.plan.as_mut().expect("it was planned");
    planned.from_release = Some(planned.release.clone());
    let text = summary::render(&view, Palette::Monochrome);
    assert!(!text.contains("nonstop rollback"), "{text}");
}

#[test]
fn a_health_failure_says_why_where_things_stand_and_what_to_do() {
    assert_snapshot!(summary_of(&Story::unhealthy()), @r#"
    sokdak: deploy FAILED before the switch (107 s)
      from  blue (20260101-100000-sokdak-1)
      to    green (20260102-100000-sokdak-2)
      run   0197-run

    state of the fleet
      No nginx was switched.
      Traffic goes to blue (20260101-100000-sokdak-1), as before.

    what failed
      was-2  verify     was-2:8081 is not healthy as seen from was-2: HTTP 503: status is DOWN
             pid 9876
             body: {"status":"DOWN","components":{"db":{"status":"DOWN"}}}
             the end of its log:
             | ERROR try 6: cannot reach the database^[[2J
             | ERROR try 7: cannot reach the database^[[2J
             | ERROR try 8: cannot reach the database^[[2J
             | ERROR try 9: cannot reach the database^[[2J
             | ERROR try 10: cannot reach the database^[[2J
             | ERROR try 11: cannot reach the database^[[2J
             | ERROR try 12: cannot reach the database^[[2J
             | ERROR try 13: cannot reach the database^[[2J
             | ERROR try 14: cannot reach the database^[[2J
             | ERROR try 15: cannot reach the database^[[2J
             | ERROR try 16: cannot reach the database^[[2J
             | ERROR try 17: cannot reach the database^[[2J
             | ERROR try 18: cannot reach the database^[[2J
             | ERROR try 19: cannot reach the database^[[2J
             | ERROR try 20: cannot reach the database^[[2J

    hosts
      was-1  started pid 4242 on was-1:8081; stopped was-1:8081; last health answer of was-1:8081: connection refused
      was-2  started pid 9876 on was-2:8081; stopped was-2:8081; FAILED in verify

    phases
      lock 120 ms              upload 5.4 s  start 1.2 s
      verify 100 s NOT PASSED  stop 700 ms

    what to do next
      nonstop logs --host was-2 --slot green  shows what the application says about itself
      nonstop deploy                          once that is mended: the same again, from the start

    outcome: as_it_was
    "#);
}

#[test]
fn what_is_advised_has_the_options_that_were_given() {
    let given = Given::new(["-i", "hosts.yml", "-p", "my apps/bg.yml"]);
    let text = summary::render_given(&Story::unhealthy().view(), Palette::Monochrome, &given);
    let (_, next) = text.split_once("what to do next\n").unwrap();
    assert_snapshot!(next.split_once("\n\n").unwrap().0, @"
      nonstop logs -i hosts.yml -p 'my apps/bg.yml' --host was-2 --slot green  shows what the application says about itself
      nonstop deploy -i hosts.yml -p 'my apps/bg.yml'                          once that is mended: the same again, from the start
    ");
}

#[test]
fn a_refusal_lists_all_findings_of_all_hosts() {
    assert_snapshot!(summary_of(&Story::refused()), @r#"
    sokdak: deploy REFUSED before any change (810 ms)
      run  0197-run

    state of the fleet
      Nothing was changed.

    refused for 5 reasons
      nginx-1  REFUSED  `nginx -t` fails on what is there:
                        | nginx: [emerg] unknown directive "sever" in /etc/nginx/sites-enabled/a:3
                        | nginx: configuration file /etc/nginx/nginx.conf test failed
                        hint: mend it first: no reload works until then, and the next restart fails
      was-1    REFUSED  a foreign process listens on was-1:8081, the idle port: python3 -m http.server 8081^[]0;owned^G
                        hint: stop it, or give the slot another port; nonstop never stops what it cannot identify as the app
               REFUSED  has 9.0 MB free for releases, and the jar needs 180.3 MB
                        hint: make room, or lower `release.keep`; nonstop removes only what it made
               warning  sshd refuses forwarding; health is asked through a tool on the host, which is slower
                        hint: `AllowTcpForwarding local` in sshd_config makes it fast again
      was-2    REFUSED  has 12.0 MB free for releases, and the jar needs 180.3 MB
               REFUSED  has no `flock`
                        hint: install the package that has `flock`

    what to do next
      nonstop doctor  checks all of it again without changing anything
      nonstop deploy  once that is mended: the same again, from the start

    outcome: as_it_was
    "#);
}

#[test]
fn a_rolled_back_switch_says_that_traffic_is_where_it_was() {
    assert_snapshot!(summary_of(&Story::rolled_back()), @"
    sokdak: deploy FAILED after the switch, rolled back (18 s)
      from  blue (20260101-100000-sokdak-1)
      to    green (20260102-100000-sokdak-2)
      run   0197-run

    state of the fleet
      Traffic is back where it was, on blue (20260101-100000-sokdak-1).
      Every nginx was seen to run what it ran before.

    what failed
      nginx-1  commit     the switch is not proven: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)

    hosts
      nginx-1  proven by fresh workers; FAILED in commit
      was-1    started pid 4242 on was-1:8081
      was-2    started pid 9876 on was-2:8081

    phases
      lock 120 ms    upload 5.4 s   start 1.2 s
      verify 6.0 s   prepare 90 ms  commit 5.2 s NOT PASSED
      revert 240 ms

    what to do next
      nonstop doctor --limit nginx-1  checks nginx: its test, its listener, what it runs
      nonstop deploy                  once that is mended: the same again, from the start

    outcome: rolled_back
    ");
}

#[test]
fn a_mixed_fleet_is_said_loudly_with_the_ways_out() {
    assert_snapshot!(summary_of(&Story::mixed()), @"
    sokdak: MIXED: a person is needed (18 s)
      from  blue (20260101-100000-sokdak-1)
      to    green (20260102-100000-sokdak-2)
      run   0197-run

    state of the fleet
      nginx hosts disagree on the live slot, or it is not known whether they agree.
      Nothing that is still needed was stopped: both slots were left up.
      The run stays open: `nonstop resume`, or the next deploy or rollback, starts from it.

    what failed
      nginx-1  commit     the switch is not proven: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)
      nginx-1  revert     outcome unknown: the connection ended without an exit status

    hosts
      nginx-1  FAILED in commit, revert
      was-1    started pid 4242 on was-1:8081
      was-2    started pid 9876 on was-2:8081

    phases
      lock 120 ms               upload 5.4 s   start 1.2 s
      verify 6.0 s              prepare 90 ms  commit 5.2 s NOT PASSED
      revert 240 ms NOT PASSED

    what to do next
      nonstop resume                  finishes this run, forward or back, once what failed can be reached again
      nonstop status                  shows host by host what is live
      nonstop doctor                  shows what keeps the hosts apart
      nonstop doctor --limit nginx-1  checks nginx: its test, its listener, what it runs
      nonstop history                 shows what was done on every host, in order

    outcome: mixed
    ");
}

#[test]
fn an_interrupted_run_says_that_it_was_unwound() {
    assert_snapshot!(summary_of(&Story::interrupted()), @"
    sokdak: deploy interrupted and unwound (8.8 s)
      from    blue (20260101-100000-sokdak-1)
      to      green (20260102-100000-sokdak-2)
      signal  Ctrl-C (INT) during verify
      run     0197-run

    state of the fleet
      No nginx was switched.
      Traffic goes to blue (20260101-100000-sokdak-1), as before.

    hosts
      was-1  started pid 4242 on was-1:8081
      was-2  started pid 9876 on was-2:8081

    phases
      lock 120 ms              upload 5.4 s  start 1.2 s
      verify 1.5 s NOT PASSED  stop 300 ms

    what to do next
      nonstop status  shows what is live, and that no lock is left

    outcome: as_it_was
    ");
}

#[test]
fn a_lock_of_somebody_else_is_named_with_its_owner() {
    assert_snapshot!(summary_of(&Story::locked()), @"
    sokdak: deploy did not begin: locked by somebody else (3.0 s)
      run  0197-run

    state of the fleet
      Nothing was changed.

    refused for 1 reason
      was-1  REFUSED  locked by jenkins@ci-3 (deploy since 2026-01-02T05:10:00Z, https://ci.example/job/sokdak/12/, run 0197-other); frees itself in 27 s without a sign of life
                      hint: wait for it with `--lock-wait 5m`; if its owner is dead, it frees itself when its lease is over

    what to do next
      nonstop deploy --lock-wait 5m  waits until the other is done
      nonstop status                 shows what its owner does, and when the lock frees itself if the owner is dead

    outcome: as_it_was
    ");
}

#[test]
fn a_host_that_cannot_be_reached_is_said_once() {
    assert_snapshot!(summary_of(&Story::unreachable()), @"
    sokdak: deploy REFUSED before any change (30 ms)
      run  0197-run

    state of the fleet
      Nothing was changed.

    refused for 1 reason
      was-2  REFUSED  cannot connect to was-2 (ubuntu@10.0.0.2:22): Connection refused
                      hint: try `ssh` to it from here with the same user and key; the inventory's address, port, user and bastion are what is used; a host that is gone for good is left out with `--without HOST`

    what to do next
      nonstop doctor  checks all of it again without changing anything
      nonstop deploy  once that is mended: the same again, from the start

    outcome: as_it_was
    ");
}

/// The reasons of a run that could not reach a host, and what to do next.
fn not_reached(reason: &str, obstacle: Obstacle) -> String {
    let text = summary_of(&Story::not_reached(reason.to_owned(), obstacle));
    let (_, rest) = text.split_once("refused for 1 reason\n").unwrap();
    rest.split_once("\n\noutcome").unwrap().0.to_owned()
}

#[test]
fn a_host_key_that_nobody_knows_is_told_from_one_that_has_changed() {
    let unknown = "no host key is known for `was-2`; the host shows ssh-ed25519 SHA256:abc";
    assert_snapshot!(not_reached(unknown, Obstacle::HostKeyUnknown), @"
      was-2  REFUSED  cannot connect: no host key is known for `was-2`; the host shows ssh-ed25519 SHA256:abc
                      hint: compare it with what `ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub` says on the host's own console; if it is the same, `--host-key accept-new` records it in known_hosts

    what to do next
      nonstop doctor --host-key accept-new  records the keys of hosts that nobody knows yet, once you have compared them
      nonstop deploy                        once that is mended: the same again, from the start
    ");
    let changed =
        "the host key of `was-2` has changed to ssh-ed25519 SHA256:abc; known_hosts:3 holds another";
    let changed = not_reached(changed, Obstacle::HostKeyRefused);
    assert!(
        changed.contains("take the old line out of known_hosts"),
        "{changed}"
    );
    assert!(!changed.contains("accept-new"), "{changed}");
}

#[test]
fn a_key_file_that_cannot_be_used_comes_with_what_mends_it() {
    for (fault, hint) in [
        (KeyFault::Missing, "`ansible_ssh_private_key_file`"),
        (KeyFault::Unreadable, "`ls -l /k/id` says who may"),
        (KeyFault::TooOpen, "hint: `chmod 600 /k/id`"),
        (KeyFault::Locked, "NONSTOP_KEY_PASSPHRASE"),
        (KeyFault::Format, "`ssh-keygen -y -f /k/id`"),
    ] {
        let file = "/k/id".to_owned();
        let said = not_reached("a key", Obstacle::KeyFile { file, fault });
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn nothing_from_a_host_can_steer_the_terminal() {
    let stories = [Story::unhealthy(), Story::refused(), Story::mixed()];
    for story in stories {
        let text = summary_of(&story).replace('\n', "");
        assert!(!text.contains(harmless::is_dangerous), "{text}");
    }
}

#[test]
fn colours_add_nothing_to_the_words() {
    let story = Story::unhealthy();
    let colored = summary::render(&story.view(), Palette::Colored);
    assert!(colored.contains("\u{1b}["));
    assert_eq!(console::strip_ansi_codes(&colored), summary_of(&story));
}

#[test]
fn a_resumed_run_says_what_it_found_and_who_was_left_out() {
    assert_snapshot!(summary_of(&Story::resumed()), @"
    sokdak: resume done (742 ms)
      from     blue (20260101-100000-sokdak-1)
      to       green (20260102-100000-sokdak-2)
      switch   312 ms from the first rename to the last proof, 1 nginx host
      found    run 0197-died of kim@ci-7 (deploy) was interrupted in its phase confirm; it goes forward to green, because the switch was confirmed on nginx-2
      without  nginx-3 is neither switched nor asked: by your word it carries no traffic
      run      0197-run

    state of the fleet
      Every nginx that was not left out sends its requests to green (20260102-100000-sokdak-2).

    hosts
      nginx-1  proven by fresh workers and the generation endpoint

    phases
      lock 120 ms  commit 312 ms

    outcome: deployed
    ");
}

#[test]
fn a_run_that_was_taken_back_is_a_resume_that_is_done() {
    assert_snapshot!(summary_of(&Story::taken_back()), @"
    sokdak: resume done: the interrupted run was taken back (310 ms)
      found  run 0197-died of kim@ci-7 (deploy) was interrupted in its phase verify; it goes back to blue, because no nginx host was switched
      run    0197-run

    state of the fleet
      No nginx was switched.
      Traffic goes to blue (20260101-100000-sokdak-1), as before.

    outcome: as_it_was
    ");
}

#[test]
fn nothing_to_resume_is_no_warning() {
    assert_snapshot!(summary_of(&Story::nothing_to_resume()), @"
    sokdak: nothing to do (10 ms)
      run  0197-run

    state of the fleet
      Nothing was changed.

    notes
      fleet  ok       no run was interrupted: there is nothing to resume

    outcome: as_it_was
    ");
}

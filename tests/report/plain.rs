//! The plain reporter.

use std::time::Duration;

use insta::assert_snapshot;
use nonstop::model::failure::HealthAnswer;
use nonstop::model::phase::Phase;
use nonstop::report::Reporter;

use crate::fixture::{Story, WAS, lines_of, plain};

#[test]
fn a_deploy_is_told_line_by_line() {
    assert_snapshot!(lines_of(&Story::deploy()), @"
    05:12:33.120 fleet   run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:33.420 fleet   lock      begins on 3 hosts
    05:12:33.540 was-1   lock      done in 120 ms
    05:12:33.540 was-2   lock      done in 120 ms
    05:12:33.540 nginx-1 lock      done in 120 ms
    05:12:33.540 fleet   lock      done in 120 ms
    05:12:33.540 fleet   plan      from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    05:12:33.540 fleet   upload    begins on 2 hosts
    05:12:35.340 was-1   upload    22.5 MB of 60.1 MB sent
    05:12:35.340 was-2   upload    22.5 MB of 60.1 MB sent
    05:12:36.540 was-1   upload    37.6 MB of 60.1 MB sent
    05:12:36.540 was-2   upload    37.6 MB of 60.1 MB sent
    05:12:37.740 was-1   upload    52.6 MB of 60.1 MB sent
    05:12:37.740 was-2   upload    52.6 MB of 60.1 MB sent
    05:12:38.940 was-1   upload    done in 5.4 s
    05:12:38.940 was-2   upload    done in 5.4 s
    05:12:38.940 fleet   upload    done in 5.4 s
    05:12:38.940 fleet   start     begins on 2 hosts
    05:12:40.140 was-1   start     done in 1.2 s: started pid 4242 on was-1:8081
    05:12:40.140 was-2   start     done in 1.2 s: started pid 9876 on was-2:8081
    05:12:40.140 fleet   start     done in 1.2 s
    05:12:40.140 fleet   verify    begins on 2 hosts
    05:12:41.140 was-1   health    was-1:8081 answers: connection refused (try 1)
    05:12:41.140 was-2   health    was-2:8081 answers: connection refused (try 1)
    05:12:44.140 was-1   health    was-1:8081 answers: HTTP 200, healthy (try 4)
    05:12:44.140 was-2   health    was-2:8081 answers: HTTP 200, healthy (try 4)
    05:12:46.140 was-1   verify    done in 6.0 s
    05:12:46.140 was-2   verify    done in 6.0 s
    05:12:46.140 fleet   verify    done in 6.0 s
    05:12:46.140 fleet   prepare   begins on 1 host
    05:12:46.230 nginx-1 prepare   done in 90 ms
    05:12:46.230 fleet   prepare   done in 90 ms
    05:12:46.230 fleet   commit    begins on 1 host
    05:12:46.542 nginx-1 commit    done in 312 ms: proven by fresh workers and the generation endpoint
    05:12:46.542 fleet   commit    done in 312 ms
    05:12:46.542 fleet   stop      begins on 2 hosts
    05:12:48.942 was-1   stop      done in 2.4 s: stopped was-1:8080
    05:12:48.942 was-2   stop      done in 2.4 s: stopped was-2:8080 by KILL, for it did not end by TERM
    05:12:48.942 fleet   stop      done in 2.4 s
    05:12:48.942 fleet   finish    begins on 2 hosts
    05:12:48.942 was-1   finish    done in 0 ms: removed 2 old releases
    05:12:48.942 was-2   finish    done in 0 ms: removed 1 old release
    05:12:48.942 fleet   finish    done in 0 ms
    05:12:48.942 was-2   warning   its clock is 42 s away from the controller's
    05:12:48.952 fleet   end       deployed after 15 s
    ");
}

#[test]
fn a_health_failure_is_told_with_its_way_back() {
    assert_snapshot!(lines_of(&Story::unhealthy()), @"
    05:12:33.120 fleet   run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:33.420 fleet   lock      begins on 3 hosts
    05:12:33.540 was-1   lock      done in 120 ms
    05:12:33.540 was-2   lock      done in 120 ms
    05:12:33.540 nginx-1 lock      done in 120 ms
    05:12:33.540 fleet   lock      done in 120 ms
    05:12:33.540 fleet   plan      from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    05:12:33.540 fleet   upload    begins on 2 hosts
    05:12:35.340 was-1   upload    22.5 MB of 60.1 MB sent
    05:12:35.340 was-2   upload    22.5 MB of 60.1 MB sent
    05:12:36.540 was-1   upload    37.6 MB of 60.1 MB sent
    05:12:36.540 was-2   upload    37.6 MB of 60.1 MB sent
    05:12:37.740 was-1   upload    52.6 MB of 60.1 MB sent
    05:12:37.740 was-2   upload    52.6 MB of 60.1 MB sent
    05:12:38.940 was-1   upload    done in 5.4 s
    05:12:38.940 was-2   upload    done in 5.4 s
    05:12:38.940 fleet   upload    done in 5.4 s
    05:12:38.940 fleet   start     begins on 2 hosts
    05:12:40.140 was-1   start     done in 1.2 s: started pid 4242 on was-1:8081
    05:12:40.140 was-2   start     done in 1.2 s: started pid 9876 on was-2:8081
    05:12:40.140 fleet   start     done in 1.2 s
    05:12:40.140 fleet   verify    begins on 2 hosts
    05:12:41.140 was-1   health    was-1:8081 answers: connection refused (try 1)
    05:12:41.140 was-2   health    was-2:8081 answers: HTTP 503: status is DOWN (try 1)
    05:14:20.140 was-2   verify    FAILED: was-2:8081 is not healthy as seen from was-2: HTTP 503: status is DOWN
    05:14:20.140 fleet   verify    NOT PASSED after 100 s
    05:14:20.140 fleet   stop      begins on 2 hosts
    05:14:20.840 was-1   stop      done in 700 ms: stopped was-1:8081
    05:14:20.840 was-2   stop      done in 700 ms: stopped was-2:8081
    05:14:20.840 fleet   stop      done in 700 ms
    05:14:20.850 fleet   end       as_it_was after 107 s
    ");
}

#[test]
fn a_refusal_is_told_in_one_line_before_its_summary() {
    assert_snapshot!(lines_of(&Story::refused()), @"
    05:12:33.120 fleet   run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:33.920 fleet   refused   for 5 reasons, listed below
    05:12:33.930 fleet   end       as_it_was after 810 ms
    ");
}

#[test]
fn an_interrupt_is_told_with_the_direction_that_it_takes() {
    assert_snapshot!(lines_of(&Story::interrupted()), @"
    05:12:33.120 fleet   run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:33.420 fleet   lock      begins on 3 hosts
    05:12:33.540 was-1   lock      done in 120 ms
    05:12:33.540 was-2   lock      done in 120 ms
    05:12:33.540 nginx-1 lock      done in 120 ms
    05:12:33.540 fleet   lock      done in 120 ms
    05:12:33.540 fleet   plan      from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    05:12:33.540 fleet   upload    begins on 2 hosts
    05:12:35.340 was-1   upload    22.5 MB of 60.1 MB sent
    05:12:35.340 was-2   upload    22.5 MB of 60.1 MB sent
    05:12:36.540 was-1   upload    37.6 MB of 60.1 MB sent
    05:12:36.540 was-2   upload    37.6 MB of 60.1 MB sent
    05:12:37.740 was-1   upload    52.6 MB of 60.1 MB sent
    05:12:37.740 was-2   upload    52.6 MB of 60.1 MB sent
    05:12:38.940 was-1   upload    done in 5.4 s
    05:12:38.940 was-2   upload    done in 5.4 s
    05:12:38.940 fleet   upload    done in 5.4 s
    05:12:38.940 fleet   start     begins on 2 hosts
    05:12:40.140 was-1   start     done in 1.2 s: started pid 4242 on was-1:8081
    05:12:40.140 was-2   start     done in 1.2 s: started pid 9876 on was-2:8081
    05:12:40.140 fleet   start     done in 1.2 s
    05:12:40.140 fleet   verify    begins on 2 hosts
    05:12:41.640 fleet   signal    Ctrl-C (INT): going back
    05:12:41.640 fleet   verify    NOT PASSED after 1.5 s
    05:12:41.640 fleet   stop      begins on 2 hosts
    05:12:41.940 was-1   stop      done in 300 ms
    05:12:41.940 was-2   stop      done in 300 ms
    05:12:41.940 fleet   stop      done in 300 ms
    05:12:41.950 fleet   end       as_it_was after 8.8 s
    ");
}

#[test]
fn a_wait_for_a_lock_is_told_once() {
    assert_snapshot!(lines_of(&Story::locked()), @"
    05:12:33.120 fleet   run       deploy of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:34.120 was-1   lock      waits for the lock of jenkins@ci-3 (deploy since 2026-01-02T05:10:00Z, https://ci.example/job/sokdak/12/)
    05:12:36.120 fleet   refused   for 1 reason, listed below
    05:12:36.130 fleet   end       as_it_was after 3.0 s
    ");
}

#[test]
fn the_summary_is_the_end_of_every_report_and_the_outcome_its_last_line() {
    let ends = [
        (Story::deploy(), "outcome: deployed\n"),
        (Story::unhealthy(), "outcome: as_it_was\n"),
        (Story::refused(), "outcome: as_it_was\n"),
        (Story::rolled_back(), "outcome: rolled_back\n"),
        (Story::mixed(), "outcome: mixed\n"),
        (Story::interrupted(), "outcome: as_it_was\n"),
    ];
    for (story, last_line) in ends {
        let text = plain(&story).1.text();
        assert!(text.ends_with(last_line), "{text}");
    }
}

#[test]
fn silence_is_broken_by_a_sign_of_life_every_ten_seconds() {
    let mut story = Story::of("deploy");
    story.begin(Phase::Start, &WAS).after(2_000);
    story.health("was-2", 1, HealthAnswer::Refused);
    let (mut reporter, kept) = plain(&story);
    let before = kept.text().len();
    for tenths in 1..=205 {
        reporter.tick(story.now() + Duration::from_millis(tenths * 100));
    }
    assert_snapshot!(kept.text()[before..].trim_end(), @"
    05:12:45.120 still waiting for was-1: start (12 s)
    05:12:45.120 still waiting for was-2: start (12 s), last health answer: connection refused
    05:12:55.120 still waiting for was-1: start (22 s)
    05:12:55.120 still waiting for was-2: start (22 s), last health answer: connection refused
    ");
}

#[test]
fn nothing_more_is_said_after_the_end() {
    let story = Story::deploy();
    let (mut reporter, kept) = plain(&story);
    let before = kept.text().len();
    reporter.tick(story.now() + Duration::from_secs(60));
    assert_eq!(kept.text().len(), before);
}

#[test]
fn an_unchanged_health_answer_is_said_once() {
    let mut story = Story::of("deploy");
    story.begin(Phase::Verify, &WAS);
    for tries in 1..=50 {
        story.after(100).health("was-1", tries, HealthAnswer::Refused);
    }
    assert_eq!(lines_of(&story).matches("connection refused").count(), 1);
}

#[test]
fn an_interrupted_run_that_is_found_is_told_with_the_way_and_the_reason() {
    assert_snapshot!(lines_of(&Story::resumed()), @"
    05:12:33.120 fleet   run       resume of sokdak by kim@ci-7, run 0197-run: 2 WAS hosts, 1 nginx host
    05:12:33.120 fleet   without   nginx-3 is neither switched nor asked: by your word it carries no traffic
    05:12:33.420 fleet   lock      begins on 3 hosts
    05:12:33.540 was-1   lock      done in 120 ms
    05:12:33.540 was-2   lock      done in 120 ms
    05:12:33.540 nginx-1 lock      done in 120 ms
    05:12:33.540 fleet   lock      done in 120 ms
    05:12:33.540 fleet   found     run 0197-died of kim@ci-7 (deploy) was interrupted in its phase confirm; it goes forward to green, because the switch was confirmed on nginx-2
    05:12:33.540 fleet   plan      from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    05:12:33.540 fleet   commit    begins on 1 host
    05:12:33.540 nginx-1 token     armed: goes home by itself in 30 s unless confirmed
    05:12:33.852 nginx-1 commit    done in 312 ms: proven by fresh workers and the generation endpoint
    05:12:33.852 fleet   commit    done in 312 ms
    05:12:33.852 nginx-1 token     confirmed: this switch stays
    05:12:33.862 fleet   end       deployed after 742 ms
    ");
}

#[test]
fn a_watch_that_was_first_and_a_lease_that_was_over_are_told() {
    let text = lines_of(&Story::too_slow());
    let lines: Vec<_> = text.lines().skip_while(|line| !line.contains("token")).collect();
    assert_snapshot!(lines.join("\n"), @"
    05:12:46.230 nginx-1 token     armed: goes home by itself in 30 s unless confirmed
    05:13:17.230 nginx-1 token     its watch was first and goes home by itself
    05:13:17.230 fleet   commit    NOT PASSED after 31 s
    05:13:17.230 fleet   lock      our lease was over and nobody had come: took the locks again, epoch 9
    05:13:17.230 fleet   converge  nginx hosts disagree: bringing nginx-1 to blue
    05:13:17.240 fleet   end       rolled_back after 44 s
    ");
}

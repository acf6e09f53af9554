//! What webhooks are told.

use insta::assert_snapshot;
use nonstop::model::event::Event;
use nonstop::model::failure::Failure;
use nonstop::model::notify::{Moment, Service};
use nonstop::model::phase::Phase;
use nonstop::model::secret::{Gathering, Secrets};
use nonstop::report::notice;
use serde_json::Value;

use crate::fixture::{NGINX, Story, WAS, endpoint};

fn told(service: Service, moment: Moment, story: &Story) -> Value {
    notice::message(service, moment, &story.view(), &Secrets::default())
}

/// The message to Slack as its text and the text below it.
fn slack(moment: Moment, story: &Story) -> String {
    let message = told(Service::Slack, moment, story);
    let attachment = &message["attachments"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!(
        "{}\n[{}]\n{}",
        text(&message["text"]),
        text(&attachment["color"]),
        text(&attachment["text"])
    )
}

/// Gives the run a build.
fn built(mut story: Story, url: &str) -> Story {
    for stamped in &mut story.events {
        if let Event::RunStarted { owner, .. } = &mut stamped.event {
            owner.build_url = Some(url.to_owned());
        }
    }
    story
}

#[test]
fn the_moments_are_the_plan_and_the_end() {
    let moments = |story: Story| {
        let moments: Vec<Moment> = story
            .events
            .iter()
            .filter_map(|stamped| notice::moment(&stamped.event))
            .collect();
        moments
    };
    assert_eq!(moments(Story::deploy()), [Moment::Start, Moment::Success]);
    assert_eq!(moments(Story::rolled_back()), [Moment::Start, Moment::Failure]);
    assert_eq!(moments(Story::interrupted()), [Moment::Start, Moment::Failure]);
    assert_eq!(moments(Story::refused()), [Moment::Failure]);
    assert_eq!(moments(Story::taken_back()), [Moment::Success]);
}

#[test]
fn slack_is_told_what_goes_where_by_whom_and_how_it_went() {
    let mut begun = Story::of("deploy");
    begun.planned();
    let begun = built(begun, "https://ci.example/job/sokdak/12/?a=1&b=2");
    assert_snapshot!(slack(Moment::Start, &begun), @"
    sokdak: deploy of 20260102-100000-sokdak-2 begins
    [#439FE0]
    from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    was-1, was-2 behind nginx-1
    by kim@ci-7 · <https://ci.example/job/sokdak/12/?a=1&amp;b=2|build>
    ");
    assert_snapshot!(slack(Moment::Success, &Story::deploy()), @"
    sokdak: deploy done, 20260102-100000-sokdak-2 (15 s)
    [good]
    Every nginx sends its requests to green (20260102-100000-sokdak-2).
    from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    was-1, was-2 behind nginx-1
    by kim@ci-7
    ");
    assert_snapshot!(slack(Moment::Failure, &Story::unhealthy()), @"
    sokdak: deploy FAILED before the switch, 20260102-100000-sokdak-2 (107 s)
    [danger]
    No nginx was switched.
    Traffic goes to blue (20260101-100000-sokdak-1), as before.
    • was-2, verify: was-2:8081 is not healthy as seen from was-2: HTTP 503: status is DOWN
    from blue (20260101-100000-sokdak-1) to green (20260102-100000-sokdak-2)
    was-1, was-2 behind nginx-1
    by kim@ci-7
    ");
    assert_snapshot!(slack(Moment::Failure, &Story::refused()), @r#"
    sokdak: deploy REFUSED before any change (810 ms)
    [danger]
    Nothing was changed.
    • was-2: has 12.0 MB free for releases, and the jar needs 180.3 MB
    • was-2: has no `flock`
    • was-1: a foreign process listens on was-1:8081, the idle port: python3 -m http.server 8081^[]0;owned^G
    • was-1: has 9.0 MB free for releases, and the jar needs 180.3 MB
    • nginx-1: `nginx -t` fails on what is there: nginx: [emerg] unknown directive "sever" in /etc/nginx/sites-enabled/a:3 / nginx: configuration file /etc/nginx/nginx.conf test failed
    was-1, was-2 behind nginx-1
    by kim@ci-7
    "#);
}

#[test]
fn any_other_service_gets_fields() {
    let message = told(Service::Webhook, Moment::Failure, &Story::rolled_back());
    assert_snapshot!(serde_json::to_string_pretty(&message).unwrap(), @r#"
    {
      "app": "sokdak",
      "at": "2026-01-02T05:12:33.12Z",
      "build_url": null,
      "command": "deploy",
      "exit_code": 7,
      "from_release": "20260101-100000-sokdak-1",
      "from_slot": "blue",
      "live_release": "20260101-100000-sokdak-1",
      "live_slot": "blue",
      "moment": "failure",
      "nginx": [
        "nginx-1"
      ],
      "outcome": "rolled_back",
      "place": "ci-7",
      "reasons": [
        "nginx-1, commit: the switch is not proven: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"
      ],
      "release": "20260102-100000-sokdak-2",
      "run": "0197-run",
      "text": "sokdak: deploy FAILED after the switch, rolled back, 20260102-100000-sokdak-2 (18 s)",
      "to_slot": "green",
      "took_seconds": 18.56,
      "was": [
        "was-1",
        "was-2"
      ],
      "who": "kim",
      "without": []
    }
    "#);
}

#[test]
fn no_word_of_a_host_calls_a_channel_or_is_a_link() {
    let mut story = Story::of("deploy");
    let reason = "<!channel> <https://evil.example|click> & more".to_owned();
    story
        .planned()
        .begin(Phase::Start, &WAS)
        .failed("was-1", Phase::Start, Failure::Script { reason })
        .end(Phase::Start, false);
    let said = slack(Moment::Failure, &built(story, "javascript:x|<!here>"));
    assert!(
        said.contains("&lt;!channel&gt; &lt;https://evil.example|click&gt; &amp; more"),
        "{said}"
    );
    assert!(!said.contains('<'), "{said}");
}

#[test]
fn a_secret_goes_to_nobody_outside() {
    let mut gathering = Gathering::default();
    gathering.secret("Address already in use");
    let secrets = gathering.finish();
    for service in [Service::Slack, Service::Webhook] {
        let message = notice::message(service, Moment::Failure, &Story::rolled_back().view(), &secrets);
        let message = message.to_string();
        assert!(
            message.contains("***") && !message.contains("Address already"),
            "{message}"
        );
    }
}

#[test]
fn a_large_fleet_and_many_reasons_make_no_long_message() {
    let names: Vec<String> = (1..=40).map(|n| format!("was-{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::of("deploy");
    if let Event::RunStarted { was, .. } = &mut story.events[0].event {
        was.extend(names.iter().map(|name| crate::fixture::host(name)));
    }
    story.begin(Phase::Start, &names);
    for name in &names {
        let reason = "x".repeat(5_000);
        story.failed(name, Phase::Start, Failure::Script { reason });
    }
    story.passes(Phase::Revert, &NGINX, 1);
    let said = slack(Moment::Failure, &story);
    assert!(
        said.contains("32 more hosts") && said.contains("and 35 more reasons"),
        "{said}"
    );
    assert!(said.len() < 4_000, "{}", said.len());
}

#[test]
fn whom_the_kernel_killed_is_named_with_what_was_available() {
    let mut story = Story::of("deploy");
    let killed = Failure::OutOfMemory {
        endpoint: endpoint("was-1", 8081),
        available_bytes: 300 << 20,
        kills: 1,
        tail: String::new(),
    };
    story
        .planned()
        .begin(Phase::Start, &WAS)
        .failed("was-1", Phase::Start, killed)
        .end(Phase::Start, false);
    let said = slack(Moment::Failure, &story);
    let wanted = "was-1:8081 was killed by the kernel: out of memory (314.6 MB were available before it was started; \
                  1 kill for want of memory since then)";
    assert!(said.contains(wanted), "{said}");
}

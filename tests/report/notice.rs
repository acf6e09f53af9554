//! What webhooks are told.

use insta::assert_snapshot;
use nonstop::model::event::Event;
use nonstop::model::failure::Failure;
use nonstop::model::notify::{Moment, Service};
use nonstop::model::phase::Phase;
use nonstop::model::secret::{Gathering, Secrets};
use nonstop::report::notice;
use serde_json::Value;

use crate::fixture::{NGINX, Story, WAS};

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
    assert_snapshot!(slack(Moment::Start, &begun), @"");
    assert_snapshot!(slack(Moment::Success, &Story::deploy()), @"");
    assert_snapshot!(slack(Moment::Failure, &Story::unhealthy()), @"");
    assert_snapshot!(slack(Moment::Failure, &Story::refused()), @"");
}

#[test]
fn any_other_service_gets_fields() {
    let message = told(Service::Webhook, Moment::Failure, &Story::rolled_back());
    assert_snapshot!(serde_json::to_string_pretty(&message).unwrap(), @"");
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

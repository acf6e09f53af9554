//! Webhooks: their address stays in the environment, and is never shown.

use nonstop::config::{self, Source};

use super::{INVENTORY, report, with};

#[test]
fn webhooks_are_read_and_an_address_in_place_of_a_name_is_not_shown() {
    let shown = report(
        "\
notify:
  - slack: { webhook_env: https://hooks.example/services/T0/B0/hunter2 }
  - webhook: { url_env: 'https://hooks.example/hunter3', on: [start, end] }
  - slack: { webhook_env: A }
    webhook: { url_env: B }
  - { }
  - email
",
    );
    assert!(!shown.contains("hunter"), "{shown}");
    for said in [
        "put it into an environment variable",
        "notify.1.webhook.on.1",
        "takes one of `slack` and `webhook`",
        "lacks `slack` or `webhook`",
        "`notify.4` takes a map",
    ] {
        assert!(shown.contains(said), "`{said}` is not in {shown}");
    }
    let playbook = with(
        "health: { path: /health }",
        "health: { path: /health }\nnotify: [{ slack: { webhook_env: HOOK, on: failure } }, { webhook: { url_env: URL, deadline: 2s } }]",
    );
    let (inventory, playbook) = (Source::new("i.yml", INVENTORY), Source::new("p.yml", playbook));
    let config = config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"));
    let notify = config.playbook.notify;
    assert_eq!((notify[0].variable.as_str(), notify[0].on.len()), ("HOOK", 1));
    assert_eq!((notify[1].deadline.as_secs(), notify[1].on.len()), (2, 4));
}

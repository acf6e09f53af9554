//! What the documents show is true: their files pass, and every key is there.

use nonstop::config::combinations::{Row, StrategyName, StyleName, TABLE};
use nonstop::config::{self, Source};

use super::{INVENTORY, report, with};

/// The fenced blocks of a document, by language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(document).expect("the document is there");
    let opening = format!("```{language}\n");
    text.split(opening.as_str())
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn the_playbooks_and_inventories_of_the_documents_pass() {
    let inventory = Source::new("docs/inventory.md", blocks("docs/inventory.md", "yaml").remove(0));
    let playbooks = blocks("docs/playbook.md", "yaml");
    assert_eq!(playbooks.len(), 5);
    for playbook in playbooks {
        let playbook = Source::new("docs/playbook.md", playbook);
        config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"));
    }
    let own = blocks("docs/playbook.md", "nginx").pop().expect("a template");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.j2"), own).unwrap();
    let file = folder.path().join("playbook.yml");
    std::fs::write(&file, with("listen: 80", "listen: 80, template: own.j2")).unwrap();
    let inventory = Source::new("inventory.yml", INVENTORY);
    config::load_sources(&inventory, &Source::read(&file).unwrap())
        .unwrap_or_else(|report| panic!("{report}"));
}

#[test]
fn every_key_of_a_playbook_is_documented() {
    let document = std::fs::read_to_string("docs/playbook.md").unwrap();
    let nonsense = report(
        "\
qqqqqqqq: 1
app: x
artifact: x.jar
slots: { blue: { qqqqqqqq: 1, group: was, port: 1 }, green: { group: was, port: 2 } }
release: { qqqqqqqq: 1 }
start: { qqqqqqqq: 1, java: { qqqqqqqq: 1 }, command: { qqqqqqqq: 1 }, systemd: { qqqqqqqq: 1 } }
health: { qqqqqqqq: 1 }
warmup: { qqqqqqqq: 1 }
nginx: { qqqqqqqq: 1, site: { qqqqqqqq: 1, tls: { qqqqqqqq: 1 } }, conf_per_slot: { qqqqqqqq: 1 }, include: { qqqqqqqq: 1 }, proof: { qqqqqqqq: 1 } }
update: { qqqqqqqq: 1, strategy: canary, steps: [{ qqqqqqqq: 1 }] }
drain: { qqqqqqqq: 1 }
stop: { qqqqqqqq: 1 }
bake: { qqqqqqqq: 1 }
notify: [{ qqqqqqqq: 1 }, { slack: { qqqqqqqq: 1 } }, { webhook: { qqqqqqqq: 1 } }]
identify: { qqqqqqqq: 1 }
",
    );
    // No report shows more than some of them.
    let hooks = with(
        "health:",
        "hooks: { qqqqqqqq: 1, before_stop: { qqqqqqqq: 1 } }\nhealth:",
    );
    let nonsense = nonsense + &report(&hooks);
    let lists: Vec<&str> = nonsense
        .lines()
        .filter_map(|line| line.trim().strip_prefix("hint: known here: "))
        .collect();
    assert_eq!(lists.len(), 26, "{nonsense}");
    for key in lists.iter().flat_map(|list| list.split(", ")) {
        assert!(
            document.contains(&format!("{key}:")),
            "docs/playbook.md does not show `{key}`"
        );
    }
}

#[test]
fn what_goes_together_is_what_the_table_says() {
    let document = std::fs::read_to_string("docs/strategies.md").unwrap();
    for Row {
        strategy,
        style,
        two_slots: goes,
        single_slot,
    } in TABLE
    {
        let nginx = match style {
            StyleName::Site => "site: { file: /etc/nginx/conf.d/x.conf, listen: 80 }",
            StyleName::ConfPerSlot => {
                "conf_per_slot: { file: /etc/nginx/conf.d/x.conf, listen: 80, slots: { blue: /b, green: /g } }"
            }
            StyleName::Include => "include: { file: /etc/nginx/service-url.inc, listen: 80 }",
        };
        let steps = match strategy {
            StrategyName::Canary => ", steps: [{ weight: 5 }]",
            StrategyName::BlueGreen | StrategyName::Rolling => "",
        };
        let both = ", green: { group: was, port: 8081 }";
        let text = with(
            "nginx: { group: was, site: { file: /etc/nginx/conf.d/x.conf, listen: 80 } }",
            &format!(
                "nginx: {{ group: was, {nginx} }}\nupdate: {{ strategy: {}{steps} }}",
                strategy.as_str()
            ),
        );
        let single = text.replace(both, "").replace(", green: /g", "");
        assert_ne!(single, text);
        for (text, goes) in [(text, goes), (single, single_slot)] {
            let read = config::load_playbook(&Source::new("p.yml", text));
            match goes {
                Ok(()) => assert!(read.is_ok(), "{strategy:?} {style:?}"),
                Err(reason) => {
                    let report = read.expect_err("it is refused").to_string();
                    assert!(report.contains(reason) && report.contains("p.yml:8:"), "{report}");
                }
            }
        }
        let row = document
            .lines()
            .find(|line| line.starts_with(&format!("| `{}`", strategy.as_str())));
        let cells: Vec<_> = row.expect("it has a row").split('|').map(str::trim).collect();
        let column = match style {
            StyleName::Site => 2,
            StyleName::ConfPerSlot => 3,
            StyleName::Include => 4,
        };
        let says = |column: usize| cells[column] == "yes";
        assert_eq!(
            says(column),
            goes.is_ok(),
            "docs/strategies.md on {strategy:?} and {style:?}"
        );
        if style == StyleName::Site {
            assert_eq!(says(5), single_slot.is_ok(), "docs/strategies.md on {strategy:?}");
        }
    }
}

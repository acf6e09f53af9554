use super::*;

fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

fn line(time: &str, run: &str, event: &str) -> String {
    format!(
        r#"{{"time":"2026-01-02T{time}Z","run":"{run}","epoch":3,"who":"kim@ci-7","event":"{event}","result":"done"}}"#
    )
}

fn merged(hosts: &[(&str, &[String])]) -> History {
    let answers = hosts.iter().map(|(name, lines)| (host(name), lines.join("\n")));
    History::merge(&answers.collect())
}

fn events(run: &Run) -> Vec<String> {
    let event = |entry: &Entry| format!("{} {}", entry.host, entry.event);
    run.entries.iter().map(event).collect()
}

#[test]
fn runs_come_in_the_order_in_which_they_began_the_newest_last() {
    let history = merged(&[
        (
            "a",
            &[line("05:00:09", "r2", "lock"), line("05:00:00", "r1", "lock")],
        ),
        ("b", &[line("05:00:01", "r1", "commit")]),
    ]);
    let runs: Vec<_> = history
        .runs
        .iter()
        .map(|run| run.run.clone().unwrap().to_string())
        .collect();
    assert_eq!(runs, ["r1", "r2"]);
    assert_eq!(events(&history.runs[0]), ["a lock", "b commit"]);
}

#[test]
fn lines_of_one_host_keep_their_order_although_its_clock_was_set_back() {
    let history = merged(&[
        (
            "a",
            &[line("05:00:09", "r1", "lock"), line("05:00:02", "r1", "commit")],
        ),
        ("b", &[line("05:00:05", "r1", "lock")]),
    ]);
    assert_eq!(events(&history.runs[0]), ["b lock", "a lock", "a commit"]);
}

#[test]
fn torn_lines_and_nonsense_are_counted_and_left_out() {
    let whole = line("05:00:00", "r1", "lock");
    let history = merged(&[
        (
            "a",
            &[
                whole[..40].to_owned(),
                whole.clone(),
                "not json".to_owned(),
                r#"{"time":"yesterday","event":"lock"}"#.to_owned(),
                r#"{"time":"2026-01-02T05:00:00Z","run":"a b;c","event":"lock"}"#.to_owned(),
                format!(
                    r#"{{"time":"2026-01-02T05:00:00Z","event":"{}"}}"#,
                    "x".repeat(9_000)
                ),
                "[".repeat(8_000),
            ],
        ),
        ("b", &[String::new(), whole]),
    ]);
    assert_eq!(history.skipped, BTreeMap::from([(host("a"), 6)]));
    assert_eq!(events(&history.runs[0]), ["a lock", "b lock"]);
}

#[test]
fn what_else_a_line_tells_is_kept_as_what_was_touched() {
    let line = r#"{"time":"2026-01-02T05:00:00Z","event":"stop","port":8080,"pid":"42"}"#;
    let history = merged(&[("a", &[line.to_owned()])]);
    let touched = &history.runs[0].entries[0].touched;
    assert_eq!(history.runs[0].run, None);
    assert_eq!(
        touched
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>(),
        ["pid=\"42\"", "port=8080"]
    );
}

#[test]
fn only_the_newest_runs_or_those_of_a_name_are_kept() {
    let lines: Vec<String> = (1..=4)
        .map(|n| line(&format!("05:00:0{n}"), &format!("r{n}"), "lock"))
        .collect();
    let mut history = merged(&[("a", &lines)]);
    history.keep_newest(2);
    assert_eq!(history.runs.len(), 2);
    assert!(history.keep_run("r4"));
    assert_eq!(history.runs.len(), 1);
    assert!(!history.keep_run("r1"));
}

#[test]
fn within_a_second_what_others_have_still_before_them_comes_later() {
    let at = |event| line("05:00:00", "r1", event);
    let history = merged(&[
        ("a", &[at("lock"), at("record"), at("commit")]),
        ("b", &[at("lock"), at("put"), at("record")]),
    ]);
    assert_eq!(
        events(&history.runs[0]),
        ["a lock", "b lock", "b put", "a record", "b record", "a commit"]
    );
}

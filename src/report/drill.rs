//! Drills for people: how one went, and how earlier ones did, from the audit trails of the fleet.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::model::drill::{Drill, DrillResult};
use crate::model::names::{ReleaseId, RunId};
use crate::model::outcome::Outcome;
use crate::report::harmless::harmless;
use crate::report::history::{Entry, History};
use crate::report::output::Palette;
use crate::report::{table, units};

/// How many drills the last one is compared with.
const COMPARED: usize = 10;
/// Fewer say nothing about what is usual.
const FEWEST: usize = 3;
/// By how much one has to be slower than usual, beside being twice as slow.
const SLOWER: Duration = Duration::from_secs(2);

/// How the last run of a drill left the fleet.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// In what state.
    pub outcome: Outcome,
    /// The release that has the traffic, where it is known.
    pub live: Option<&'a ReleaseId>,
}

/// A drill as the hosts have it on record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Past {
    /// When it ended, by a host's clock.
    pub at: Timestamp,
    /// Under which name.
    pub run: Option<RunId>,
    /// By whom.
    pub who: String,
    /// How it went.
    #[serde(flatten)]
    pub drill: Drill,
}

/// How it went, in a sentence.
pub fn verdict(drill: &Drill, ending: Ending<'_>) -> String {
    match drill.result {
        DrillResult::Passed => "drill passed: going back works, and going forward again".to_owned(),
        DrillResult::LostRequests => format!(
            "drill FAILED: {} of {} requests failed on the way",
            drill.failed_requests, drill.requests
        ),
        DrillResult::NoWayBack => format!(
            "drill FAILED: it did not get to {}; {}",
            drill.earlier,
            live(drill, ending)
        ),
        DrillResult::Stranded => format!(
            "drill STRANDED: it went back to {}, and not forward again; {}",
            drill.earlier,
            live(drill, ending)
        ),
    }
}

/// The drill in a few lines; where it did not end on the release that it began with, that comes first.
pub fn render(drill: &Drill, ending: Ending<'_>, palette: Palette) -> String {
    let verdict = verdict(drill, ending);
    let verdict = match drill.result {
        DrillResult::Passed => palette.good(&verdict),
        _ => palette.bad(&verdict),
    };
    let requests = match drill.requests {
        0 => "none were sent: name a URL with --probe".to_owned(),
        sent => format!("{sent}, {} failed", drill.failed_requests),
    };
    let rows = [
        ["  back".to_owned(), way(drill.back, &drill.earlier)],
        ["  forward".to_owned(), way(drill.forward, &drill.release)],
        ["  requests".to_owned(), requests],
    ];
    let mut lines = vec![verdict];
    lines.extend(table::aligned(&rows));
    lines.join("\n") + "\n"
}

fn way(took: Option<Duration>, release: &ReleaseId) -> String {
    took.map_or_else(
        || format!("never confirmed ({release})"),
        |took| {
            format!(
                "{} until every nginx was confirmed on {release}",
                units::duration(took)
            )
        },
    )
}

/// Which release has the traffic after a drill that did not come to its end, and what to do.
fn live(drill: &Drill, ending: Ending<'_>) -> String {
    match (ending.outcome, ending.live) {
        // It ended before it looked, and touched nothing.
        (Outcome::AsItWas, None) if drill.result == DrillResult::Stranded => format!(
            "{} HAD THE TRAFFIC when this drill left it, and the drill touched nothing since. `nonstop status` shows whether \
             somebody else did; if not, `nonstop rollback --to {}` leads to the release of before",
            drill.earlier, drill.release
        ),
        (Outcome::Mixed | Outcome::TakenOver, _) | (_, None) => {
            "`nonstop status` shows which release has the traffic, `nonstop resume` finishes what is open"
                .to_owned()
        }
        (_, Some(live)) if *live == drill.release => format!("{live} has the traffic, as before"),
        (_, Some(live)) => format!(
            "{live} HAS THE TRAFFIC. `nonstop rollback --to {}` leads to the release of before",
            drill.release
        ),
    }
}

/// The drills that hosts have on record, the newest last. What several hosts wrote down is one.
pub fn past(history: &History) -> Vec<Past> {
    let of_run = |run: &crate::report::history::Run| {
        let entry = run.entries.iter().find(|entry| entry.event == "drill")?;
        Some(Past {
            at: entry.time,
            run: run.run.clone(),
            who: entry.who.clone(),
            drill: read(entry)?,
        })
    };
    history.runs.iter().filter_map(of_run).collect()
}

fn read(entry: &Entry) -> Option<Drill> {
    let text = |name: &str| entry.touched.get(name)?.as_str();
    let took = |name: &str| text(name)?.parse().ok().map(Duration::from_millis);
    let count = |name: &str| text(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(Drill {
        result: entry.result.parse().ok()?,
        release: ReleaseId::new(text("release")?).ok()?,
        earlier: ReleaseId::new(text("earlier")?).ok()?,
        back: took("back_ms"),
        forward: took("forward_ms"),
        requests: count("requests"),
        failed_requests: count("failed_requests"),
    })
}

/// In what the last drill is worse than the ones before it.
pub fn worse(drills: &[Past]) -> Vec<String> {
    let Some((last, before)) = drills.split_last() else {
        return Vec::new();
    };
    let mut worse = Vec::new();
    match last.drill.result {
        DrillResult::Passed => {}
        DrillResult::LostRequests => worse.push(format!(
            "the last drill lost {} of {} requests",
            last.drill.failed_requests, last.drill.requests
        )),
        DrillResult::NoWayBack => worse.push("the last drill found no way back".to_owned()),
        DrillResult::Stranded => worse.push("the last drill did not get forward again".to_owned()),
    }
    let before = &before[before.len().saturating_sub(COMPARED)..];
    let mut slower = |name: &str, took: fn(&Drill) -> Option<Duration>| {
        let usual = median(before.iter().filter_map(|past| took(&past.drill)).collect());
        if let (Some(now), Some(usual)) = (took(&last.drill), usual)
            && now > usual * 2
            && now > usual + SLOWER
        {
            let (now, usual) = (units::duration(now), units::duration(usual));
            worse.push(format!("the way {name} took {now}, and usually takes {usual}"));
        }
    };
    slower("back", |drill| drill.back);
    slower("forward", |drill| drill.forward);
    worse
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    (times.len() >= FEWEST).then(|| times[times.len() / 2])
}

/// Earlier drills as a table, the newest last, and below it what got worse.
pub fn render_past(drills: &[Past], worse: &[String], palette: Palette, zone: &TimeZone) -> String {
    if drills.is_empty() {
        return "No host has a drill on record: `nonstop drill` is the first.\n".to_owned();
    }
    let heads = ["when", "back", "forward", "requests", "failed", "result", "who"].map(str::to_owned);
    let cell = |took: Option<Duration>| took.map_or_else(|| "-".to_owned(), units::duration);
    let row = |past: &Past| {
        let drill = &past.drill;
        [
            past.at
                .to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M")
                .to_string(),
            cell(drill.back),
            cell(drill.forward),
            drill.requests.to_string(),
            drill.failed_requests.to_string(),
            drill.result.to_string().replace('_', " "),
            harmless(&past.who),
        ]
    };
    let rows: Vec<_> = std::iter::once(heads).chain(drills.iter().map(row)).collect();
    let mut lines = table::aligned(&rows);
    if let Some(head) = lines.first_mut() {
        *head = palette.heading(head);
    }
    for line in worse {
        lines.push(palette.bad(&format!("WORSE: {line}")));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::names::HostName;

    fn release(name: &str) -> ReleaseId {
        ReleaseId::new(name).unwrap()
    }

    fn passed(back: u64) -> Drill {
        Drill {
            result: DrillResult::Passed,
            release: release("v2"),
            earlier: release("v1"),
            back: Some(Duration::from_secs(back)),
            forward: Some(Duration::from_secs(3)),
            requests: 100,
            failed_requests: 0,
        }
    }

    fn drills(all: &[Drill]) -> Vec<Past> {
        let past = |(number, drill): (usize, &Drill)| Past {
            at: Timestamp::from_second(1_800_000_000 + i64::try_from(number).unwrap() * 604_800).unwrap(),
            run: None,
            who: "kim".to_owned(),
            drill: drill.clone(),
        };
        all.iter().enumerate().map(past).collect()
    }

    #[test]
    fn a_drill_that_takes_much_longer_than_usual_is_worse() {
        let usual = [passed(3), passed(4), passed(3)];
        let last = |drill: Drill| {
            let all: Vec<_> = usual.iter().cloned().chain([drill]).collect();
            worse(&drills(&all))
        };
        assert_eq!(last(passed(6)), Vec::<String>::new(), "twice, and no more");
        assert_eq!(
            last(passed(9)),
            ["the way back took 9.0 s, and usually takes 3.0 s"]
        );
        assert!(
            worse(&drills(&[passed(1), passed(9)])).is_empty(),
            "two say nothing of what is usual"
        );
        let failed = Drill {
            result: DrillResult::LostRequests,
            failed_requests: 2,
            ..passed(3)
        };
        assert_eq!(last(failed), ["the last drill lost 2 of 100 requests"]);
    }

    #[test]
    fn drills_are_read_from_the_trails_of_all_hosts_once() {
        let line = |run: &str, result: &str| {
            format!(
                r#"{{"time":"2026-01-02T05:00:00Z","run":"{run}","epoch":0,"who":"kim","event":"drill","result":"{result}","release":"v2","earlier":"v1","back_ms":"3100","forward_ms":"","requests":"40","failed_requests":"1","place":"ci"}}"#
            )
        };
        let trail = [
            line("r1", "stranded"),
            line("r2", "something new"),
            line("r3", "passed"),
        ]
        .join("\n");
        let host = |name: &str| HostName::new(name).unwrap();
        let answers = BTreeMap::from([(host("was-1"), trail.clone()), (host("nginx-1"), trail)]);
        let found = past(&History::merge(&answers));
        let results: Vec<_> = found.iter().map(|past| past.drill.result).collect();
        assert_eq!(results, [DrillResult::Stranded, DrillResult::Passed]);
        let drill = &found[0].drill;
        assert_eq!(
            (drill.back, drill.forward),
            (Some(Duration::from_millis(3100)), None)
        );
        assert_eq!((drill.requests, drill.failed_requests), (40, 1));
    }

    #[test]
    fn a_stranded_drill_names_the_release_that_has_the_traffic_and_the_way_out() {
        let stranded = Drill {
            result: DrillResult::Stranded,
            forward: None,
            ..passed(3)
        };
        let live = release("v1");
        let said = |outcome, live| render(&stranded, Ending { outcome, live }, Palette::Monochrome);
        let away = said(Outcome::AsItWas, Some(&live));
        assert!(
            away.contains("v1 HAS THE TRAFFIC") && away.contains("rollback --to v2"),
            "{away}"
        );
        let refused = said(Outcome::AsItWas, None);
        assert!(
            refused.contains("v1 HAD THE TRAFFIC") && refused.contains("rollback --to v2"),
            "{refused}"
        );
        let mixed = said(Outcome::Mixed, Some(&live));
        assert!(
            mixed.contains("nonstop status") && !mixed.contains("HAS THE TRAFFIC"),
            "{mixed}"
        );
    }
}

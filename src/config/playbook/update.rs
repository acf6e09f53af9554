//! `update`: how traffic moves, who lets it, and what happens when a deploy fails.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::playbook::{Slot, SwitchStyle, Update};
use crate::model::strategy::{CanaryStep, Course, Hold, Promotion, Share, Strategy};

use super::super::combinations::{self, StrategyName};
use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::values;
use super::super::yaml::Kind;

const DAY: Duration = Duration::from_secs(86_400);
/// The word of a hold that lasts until a person ends it.
const UNTIL_PROMOTED: &str = "until_promoted";

/// `update`; blue-green with a revert by itself where it is absent.
pub(super) fn read(item: Option<&Item<'_>>) -> Update {
    let default = Update {
        course: Course::default(),
        auto_revert: true,
    };
    let Some((item, mut fields)) = item.and_then(|item| Some((item, Fields::of(item)?))) else {
        return default;
    };
    let words = StrategyName::ALL.map(|name| (name.as_str(), name));
    // What goes with a strategy that is misspelt is not for us to say.
    let name = match fields.item("strategy") {
        Some(item) => fields.keep(values::choice(&item, &words)),
        None => Some(StrategyName::BlueGreen),
    };
    let is_other = |of| name.is_some_and(|name| name != of);
    let auto_revert = fields.read_or("auto_revert", true, values::boolean);
    let promotion = fields.read_or("auto_promote", Promotion::Automatic, |item| {
        let by_hand = !values::boolean(item)?;
        if by_hand && is_other(StrategyName::BlueGreen) {
            let problem = item.problem("`auto_promote: false` goes with `blue_green` only");
            return Err(match name {
                Some(StrategyName::Canary) => {
                    problem.hint("let a step of the canary wait: `hold: until_promoted`")
                }
                _ => problem.hint("take it away: between hosts of a rolling run nobody is asked"),
            });
        }
        Ok(if by_hand {
            Promotion::ByHand
        } else {
            Promotion::Automatic
        })
    });
    let max_parallel = fields.item("max_parallel");
    let min_in_service = fields.item("min_in_service");
    let steps = fields.item("steps");
    for (key, item, of) in [
        ("max_parallel", &max_parallel, StrategyName::Rolling),
        ("min_in_service", &min_in_service, StrategyName::Rolling),
        ("steps", &steps, StrategyName::Canary),
    ] {
        if let Some(item) = item.as_ref().filter(|_| is_other(of)) {
            let message = format!("`{key}` goes with `strategy: {}` only", of.as_str());
            item.note(Problem::at(&item.key, message));
        }
    }
    let max_parallel = max_parallel.map(|item| share(&item));
    let min_in_service = min_in_service.map(|item| share(&item));
    let strategy = match name {
        None | Some(StrategyName::BlueGreen) => Strategy::BlueGreen,
        Some(StrategyName::Rolling) => Strategy::Rolling {
            max_parallel: max_parallel
                .and_then(|read| fields.keep(read))
                .unwrap_or(Share::Count(NonZeroU32::MIN)),
            min_in_service: min_in_service.and_then(|read| fields.keep(read)),
        },
        Some(StrategyName::Canary) => Strategy::Canary {
            steps: canary(item, steps.as_ref(), &fields),
        },
    };
    fields.finish();
    Update {
        course: Course { strategy, promotion },
        auto_revert,
    }
}

/// Refuses a strategy that cannot be written down in the style of the playbook's nginx, or that its slots do not
/// carry. Where the playbook names none, the slots are what does not fit.
pub(super) fn fits(
    item: Option<&Item<'_>>,
    update: &Update,
    style: &SwitchStyle,
    (slots_item, slots): (&Item<'_>, &[Slot]),
) {
    let Err(reason) = combinations::check(&update.course.strategy, style, slots) else {
        return;
    };
    if let Some(item) = item {
        item.note(Problem::at(&item.place("strategy"), reason));
    } else {
        let problem = Problem::at(&slots_item.key, reason);
        let example = match style {
            SwitchStyle::Site(_) => "such as `update: { strategy: rolling, max_parallel: 1 }`",
            SwitchStyle::ConfPerSlot(_) | SwitchStyle::Include(_) => {
                "such as `update: { strategy: rolling, max_parallel: 1 }`, with `site` in `nginx`"
            }
        };
        slots_item.note(problem.hint(example));
    }
}

/// A number of hosts, or a share of them such as `25%`.
fn share(item: &Item<'_>) -> Read<Share> {
    let wanted = "a number of hosts, or a share of them such as `25%`";
    let text = item.node.text().ok_or_else(|| item.expected(wanted))?;
    let (number, is_percent) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    let number = number.parse::<NonZeroU32>().map_err(|_| item.expected(wanted))?;
    if !is_percent {
        return Ok(Share::Count(number));
    }
    if number.get() > 100 {
        return Err(item.expected(wanted));
    }
    Ok(Share::Percent(number))
}

/// The steps of a canary, each with more weight than the one before.
fn canary(update: &Item<'_>, steps: Option<&Item<'_>>, fields: &Fields<'_>) -> Vec<CanaryStep> {
    let Some(item) = steps else {
        let problem = Problem::at(&update.place("strategy"), "`strategy: canary` lacks `steps`");
        update.note(problem.hint("such as `steps: [{ weight: 5, hold: 5m }, { weight: 25 }]`"));
        return Vec::new();
    };
    let read = values::list(item, |item| {
        let mut fields = Fields::of(item).ok_or_else(|| item.expected("a map with `weight`"))?;
        let weight = fields.require("weight", |item| values::whole(item, 1..=99));
        let hold = fields.read_or("hold", Hold::None, hold);
        fields.finish();
        Ok((weight, hold))
    });
    let read = fields.keep(read).unwrap_or_default();
    let steps: Vec<CanaryStep> = read
        .into_iter()
        .filter_map(|(weight, hold)| {
            Some(CanaryStep {
                weight: weight?,
                hold,
            })
        })
        .collect();
    if item.node.kind == Kind::List(Vec::new()) {
        let problem = Problem::at(
            &item.key,
            "a canary needs a step at least: without one it is `blue_green`",
        );
        item.note(problem.hint("such as `steps: [{ weight: 5, hold: 5m }, { weight: 25 }]`"));
        return Vec::new();
    }
    if steps.is_sorted_by(|before, after| before.weight < after.weight) {
        return steps;
    }
    let problem = Problem::at(
        &item.key,
        "each step of a canary needs more weight than the one before",
    );
    item.note(problem.hint("the last step, all of the traffic, comes by itself"));
    Vec::new()
}

fn hold(item: &Item<'_>) -> Read<Hold> {
    if item.node.text() == Some(UNTIL_PROMOTED) {
        return Ok(Hold::UntilPromoted);
    }
    values::duration(item, Duration::ZERO..=DAY)
        .map(Hold::lasting)
        .map_err(|problem| problem.hint("or `until_promoted`: the run waits for `nonstop promote`"))
}

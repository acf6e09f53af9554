//! `health` and `warmup`: what is asked of a new instance, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::playbook::{HealthCheck, Warmup};

use super::super::fields::{Fields, Item};
use super::super::report::Problem;
use super::super::{rules, values};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// The health check.
pub(super) fn read(item: &Item<'_>) -> Option<HealthCheck> {
    let mut fields = Fields::of(item)?;
    let path = fields.require("path", |item| values::ruled(item, rules::url_path));
    let status = fields.read_or("status", 200, |item| values::whole(item, 100..=599));
    let json = fields.read_or("json", BTreeMap::new(), |item| {
        values::map(item, rules::json_field, values::text)
    });
    let body_contains = fields.read("body_contains", values::text);
    let interval = fields.read_or("interval", SECOND, |item| {
        values::duration(item, 50 * MILLISECOND..=60 * SECOND)
    });
    let timeout = fields.read_or("timeout", 2 * SECOND, |item| {
        values::duration(item, 50 * MILLISECOND..=60 * SECOND)
    });
    let min_healthy_time = fields.read_or("min_healthy_time", 3 * SECOND, |item| {
        values::duration(item, Duration::ZERO..=DAY)
    });
    let healthy_deadline = fields.read_or("healthy_deadline", 100 * SECOND, |item| {
        values::duration(item, SECOND..=DAY)
    });
    fields.finish();
    let shown = |duration| humantime::format_duration(duration).to_string();
    if min_healthy_time >= healthy_deadline {
        let (least, most) = (shown(min_healthy_time), shown(healthy_deadline));
        // The one that is written is meant; both written, the shorter one.
        let spot = match item.node.get("min_healthy_time") {
            Some(_) => item.place("min_healthy_time"),
            None => item.place("healthy_deadline"),
        };
        let message = format!(
            "no instance can be healthy for {least} (`min_healthy_time`) within {most} (`healthy_deadline`)"
        );
        item.note(
            Problem::at(&spot, message)
                .hint("make `healthy_deadline` the longer one: it counts from the start"),
        );
    }
    Some(HealthCheck {
        path: path?,
        status,
        json,
        body_contains,
        interval,
        timeout,
        min_healthy_time,
        healthy_deadline,
    })
}

/// The warm-up requests.
pub(super) fn warmup(item: &Item<'_>) -> Option<Warmup> {
    let mut fields = Fields::of(item)?;
    let path = fields.require("path", |item| values::ruled(item, rules::url_path));
    let requests = fields.require("requests", |item| values::whole(item, 1..=100_000));
    fields.finish();
    Some(Warmup {
        path: path?,
        requests: requests?,
    })
}

//! `notify`: the webhooks that are told of runs.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::notify::{Moment, Notify, Service};

use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::yaml::Kind;
use super::super::{rules, values};

/// The longest that the end of a run waits for a webhook.
const LONGEST: Duration = Duration::from_secs(60);

/// All of them; nobody where it is absent.
pub(super) fn read(item: Option<&Item<'_>>) -> Vec<Notify> {
    let Some(item) = item else { return Vec::new() };
    let Kind::List(nodes) = &item.node.kind else {
        item.note(item.expected("a list"));
        return Vec::new();
    };
    let each = nodes.iter().enumerate();
    each.filter_map(|(at, node)| one(&item.below(&at.to_string(), &node.spot, node)))
        .collect()
}

fn one(item: &Item<'_>) -> Option<Notify> {
    let mut fields = Fields::of(item)?;
    let slack = fields.item("slack");
    let webhook = fields.item("webhook");
    let written = fields.items().len();
    fields.finish();
    match (slack, webhook) {
        (Some(_), Some(second)) => {
            let message = format!(
                "`{}` takes one of `slack` and `webhook`, and these are both",
                item.path
            );
            item.note(Problem::at(&second.key, message));
            None
        }
        (Some(slack), None) => target(&slack, Service::Slack, "webhook_env"),
        (None, Some(webhook)) => target(&webhook, Service::Webhook, "url_env"),
        (None, None) => {
            if written == 0 {
                item.note(item.problem(format!("`{}` lacks `slack` or `webhook`", item.path)));
            }
            None
        }
    }
}

fn target(item: &Item<'_>, service: Service, variable: &'static str) -> Option<Notify> {
    let mut fields = Fields::of(item)?;
    let variable = fields.require(variable, environment_variable);
    let on = fields.read_or("on", Moment::ALL.to_vec(), |item| values::list(item, moment));
    let deadline = fields.read_or("deadline", Notify::DEADLINE, |item| {
        values::duration(item, Duration::from_millis(100)..=LONGEST)
    });
    fields.finish();
    Some(Notify {
        service,
        variable: variable?,
        on: on.into_iter().collect::<BTreeSet<_>>(),
        deadline,
    })
}

/// The name of a variable. An address in its place is not shown again.
fn environment_variable(item: &Item<'_>) -> Read<String> {
    values::ruled(item, rules::environment_name).map_err(|problem| {
        problem.hint("the address is a secret: put it into an environment variable, and write that variable's name here")
    })
}

fn moment(item: &Item<'_>) -> Read<Moment> {
    values::choice(item, &Moment::ALL.map(|moment| (moment.as_str(), moment)))
}

//! `start`: one runner, `java`, `command` or `systemd`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::names::UnitName;
use crate::model::playbook::{Java, Runner, Systemd, UserCommand};
use crate::model::template::Template;
use crate::model::unit::AtBoot;

use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::{rules, values};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The runner.
pub(super) fn read(item: &Item<'_>) -> Option<Runner> {
    let mut fields = Fields::of(item)?;
    let written = fields.items().len();
    let items: Vec<_> = ["java", "command", "systemd"]
        .into_iter()
        .filter_map(|key| Some((key, fields.item(key)?)))
        .collect();
    let spot = fields.spot().clone();
    fields.finish();
    let runner = |(key, item): &(&str, Item<'_>)| match *key {
        "java" => java(item).map(Runner::Java),
        "command" => command(item).map(Runner::Command),
        _ => systemd(item).map(Runner::Systemd),
    };
    match items.as_slice() {
        [] => {
            if written == 0 {
                item.note(Problem::at(&spot, "`start` lacks `java`, `command` or `systemd`"));
            }
            None
        }
        [one] => runner(one),
        [_, (_, more), ..] => {
            let _all_of_their_mistakes: Vec<_> = items.iter().map(runner).collect();
            let message = format!(
                "`start` takes one of `java`, `command` and `systemd`, and these are {}",
                items.len()
            );
            item.note(Problem::at(&more.key, message));
            None
        }
    }
}

fn systemd(item: &Item<'_>) -> Option<Systemd> {
    let mut fields = Fields::of(item)?;
    let unit = fields.require("unit", |item| {
        values::ruled_template(item, |text| {
            UnitName::new(text).map(|_| ()).map_err(|error| error.reason)
        })
    });
    let enable = fields.read_or("enable", true, values::boolean);
    fields.finish();
    let at_boot = if enable {
        AtBoot::Follows
    } else {
        AtBoot::Untouched
    };
    Some(Systemd { unit: unit?, at_boot })
}

fn java(item: &Item<'_>) -> Option<Java> {
    let mut fields = Fields::of(item)?;
    let default = Template::new("java").ok();
    let bin = fields
        .read("bin", |item| values::ruled_template(item, rules::program))
        .or(default);
    let opts = fields.read_or("opts", Vec::new(), templates);
    let args = fields.read_or("args", Vec::new(), templates);
    let env = fields.read_or("env", BTreeMap::new(), environment);
    fields.finish();
    Some(Java {
        bin: bin?,
        opts,
        args,
        env,
    })
}

fn command(item: &Item<'_>) -> Option<UserCommand> {
    let mut fields = Fields::of(item)?;
    let run = fields.require("run", |item| {
        let words = templates(item)?;
        if words.is_empty() {
            return Err(item.problem("`start.command.run` names no program"));
        }
        Ok(words)
    });
    let chdir = fields.read("chdir", |item| values::ruled_template(item, rules::remote_path));
    let env = fields.read_or("env", BTreeMap::new(), environment);
    let deadline = fields.read_or("deadline", 60 * SECOND, |item| {
        values::duration(item, SECOND..=HOUR)
    });
    fields.finish();
    Some(UserCommand {
        run: run?,
        chdir,
        env,
        deadline,
    })
}

fn templates(item: &Item<'_>) -> Read<Vec<Template>> {
    values::list(item, values::template)
}

fn environment(item: &Item<'_>) -> Read<BTreeMap<String, Template>> {
    values::map(item, rules::environment_name, values::template)
}

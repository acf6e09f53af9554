//! `start`: one runner, `java` or `command`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::playbook::{Java, Runner, UserCommand};
use crate::model::template::Template;

use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::{rules, values};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The runner.
pub(super) fn read(item: &Item<'_>) -> Option<Runner> {
    let mut fields = Fields::of(item)?;
    fields.later("systemd", "use `java`, or `command` with a script of your own");
    let (java_item, command_item) = (fields.item("java"), fields.item("command"));
    let java = java_item.as_ref().and_then(|item| java(item));
    let command = command_item.as_ref().and_then(|item| command(item));
    let spot = fields.spot().clone();
    let written = fields.items().len();
    fields.finish();
    match (java_item, command_item) {
        (Some(_), Some(command)) => {
            item.note(Problem::at(
                &command.key,
                "`start` takes one of `java` and `command`, and these are both",
            ));
            None
        }
        (Some(_), None) => java.map(Runner::Java),
        (None, Some(_)) => command.map(Runner::Command),
        (None, None) => {
            if written == 0 {
                item.note(Problem::at(&spot, "`start` lacks `java` or `command`"));
            }
            None
        }
    }
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

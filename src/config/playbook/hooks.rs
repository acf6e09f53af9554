//! `hooks`: commands of the user's own, and files of the project that are sent over, at fixed points of a run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use crate::model::hook::{Hook, HookBody, HookId, HookPlace, HookPoint, HookScript, Hooks, Repeats};

use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::source::Source;
use super::super::values;
use super::super::yaml::Kind;

const SECOND: Duration = Duration::from_secs(1);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// It goes to each host with its command.
const MAX_SCRIPT_BYTES: u64 = 256 * 1024;
/// Longer than any line that a person types.
const MAX_COMMAND_CHARS: usize = 16 * 1024;

/// `hooks`; none where it is absent.
pub(super) fn read(item: Option<&Item<'_>>, source: &Arc<Source>) -> Hooks {
    let Some((item, mut fields)) = item.and_then(|item| Some((item, Fields::of(item)?))) else {
        return Hooks::default();
    };
    let mut hooks = Vec::new();
    for point in HookPoint::ALL {
        if let Some(list) = fields.item(point.as_str()) {
            hooks.extend(of_point(point, &list, source));
        }
    }
    let spot = fields.spot().clone();
    fields.finish();
    if item.node.entries().is_some_and(<[_]>::is_empty) {
        item.note(Problem::at(&spot, "`hooks` names no point of a run"));
    }
    Hooks::new(hooks)
}

/// The hooks of one point: a list, or one alone.
fn of_point(point: HookPoint, item: &Item<'_>, source: &Arc<Source>) -> Vec<Hook> {
    let one = |item: &Item<'_>, number| hook(HookId { point, number }, item, source);
    let Kind::List(nodes) = &item.node.kind else {
        return one(item, 1).into_iter().collect();
    };
    let hooks = nodes.iter().zip(1..).filter_map(|(node, number)| {
        let item = item.below(&(number - 1).to_string(), &node.spot, node);
        one(&item, number)
    });
    hooks.collect()
}

/// A hook: a command alone, or a map.
fn hook(id: HookId, item: &Item<'_>, source: &Arc<Source>) -> Option<Hook> {
    let plain = |body| Hook {
        id,
        body,
        place: HookPlace::Was,
        timeout: DEFAULT_TIMEOUT,
        run_as: None,
        repeats: Repeats::Never,
    };
    if item.node.text().is_some() {
        return match body(item, source, HookPlace::Was) {
            Ok(body) => Some(plain(body)),
            Err(problem) => {
                item.note(problem);
                None
            }
        };
    }
    let mut fields = Fields::of(item)?;
    let words = [
        HookPlace::Controller,
        HookPlace::Was,
        HookPlace::Nginx,
        HookPlace::First,
    ];
    let words = words.map(|place| (place.as_str(), place));
    let place = fields.read_or("on", HookPlace::Was, |item| values::choice(item, &words));
    let body = fields.require("run", |item| body(item, source, place));
    let timeout = fields.read_or("timeout", DEFAULT_TIMEOUT, |item| {
        values::duration(item, SECOND..=LONGEST_TIMEOUT)
    });
    let run_as = fields.read("run_as", |item| {
        let user = values::name(item)?;
        if place == HookPlace::Controller {
            let problem = item.problem("`run_as` goes with hooks on hosts");
            return Err(problem.hint("on the controller a hook runs as whoever runs nonstop"));
        }
        Ok(user)
    });
    let repeatable = fields.read_or("repeatable", false, values::boolean);
    fields.finish();
    Some(Hook {
        place,
        timeout,
        run_as,
        repeats: if repeatable {
            Repeats::Freely
        } else {
            Repeats::Never
        },
        ..plain(body?)
    })
}

/// What is run: a line for the shell. One that begins with a relative path with a `/` runs a file of the project.
fn body(item: &Item<'_>, source: &Arc<Source>, place: HookPlace) -> Read<HookBody> {
    let text = item.node.text().ok_or_else(|| item.expected("a command line"))?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if !text.chars().all(is_plain) {
        return Err(item.problem(format!("`{}` holds a control character", item.path)));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(item.problem(format!("`{}` is empty", item.path)));
    }
    if text.len() > MAX_COMMAND_CHARS {
        let problem = item.problem(format!("`{}` is longer than 16 KiB", item.path));
        return Err(problem.hint("put it into a file beside the playbook"));
    }
    if text.contains("{{") {
        let problem = item.problem(format!("`{}` is no template", item.path));
        return Err(problem.hint("what a hook has to know is in its environment, such as `$NONSTOP_PORT`"));
    }
    let end = text.find(|c: char| c.is_whitespace() || ";|&<>()".contains(c));
    let (word, arguments) = text.split_at(end.unwrap_or(text.len()));
    let of_host = word.starts_with(['/', '~', '$', '"', '\'']) || word.contains('=');
    if of_host || !word.contains('/') {
        return Ok(HookBody::Command(text.to_owned()));
    }
    script(item, source, word, place).map(|mut script| {
        arguments.clone_into(&mut script.arguments);
        HookBody::Script(script)
    })
}

fn script(item: &Item<'_>, source: &Arc<Source>, name: &str, place: HookPlace) -> Read<HookScript> {
    if Path::new(name)
        .components()
        .any(|part| part == Component::ParentDir)
    {
        let problem = item.problem(format!("the script `{name}` is not below the playbook's folder"));
        return Err(problem.hint("a file of the host itself is named by its absolute path"));
    }
    let path = source.folder().join(name.strip_prefix("./").unwrap_or(name));
    let unreadable = |reason: &dyn ToString| {
        let path = path.display();
        let problem = item.problem(format!("cannot read the script `{path}`: {}", reason.to_string()));
        problem.hint("a relative path names a file beside the playbook, which is sent over")
    };
    let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(unreadable(&"it is no file"));
    }
    if metadata.len() > MAX_SCRIPT_BYTES {
        return Err(unreadable(&"it is larger than 256 KiB"));
    }
    let bytes = std::fs::read(&path).map_err(|error| unreadable(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is no UTF-8 text"))?;
    if text.contains('\0') {
        return Err(unreadable(&"it is no text"));
    }
    if place == HookPlace::Controller && metadata.permissions().mode() & 0o111 == 0 {
        let problem = item.problem(format!("the script `{}` is not executable", path.display()));
        return Err(problem.hint(format!("chmod +x {}", path.display())));
    }
    Ok(HookScript {
        file: std::path::absolute(&path).unwrap_or(path),
        text,
        arguments: String::new(),
    })
}

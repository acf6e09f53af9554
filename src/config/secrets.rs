//! Which values of inventory and playbook are secret: those of variables whose name says so, and those
//! that the playbook lists under `secrets`. They are hidden wherever anything is shown, mistakes in the
//! very files included; and a listed one never becomes an argument of a program.

use serde_json::Value;

use crate::model::context::{self, ReleaseFacts};
use crate::model::inventory::{Inventory, Vars};
use crate::model::names::{Port, ReleaseId, RemotePath};
use crate::model::playbook::{Playbook, Runner};
use crate::model::secret::{Gathering, HIDDEN, Secrets, is_secret_name};
use crate::model::template::Template;

use super::playbook::LoadedPlaybook;
use super::report::Report;
use super::suggest;

/// Gathers every secret of the two files.
pub(super) fn gather(inventory: &Inventory, playbook: &Playbook) -> Secrets {
    let mut gathering = Gathering::with_names(&playbook.secrets);
    gathering.plain(playbook.app.as_str());
    for group in inventory.groups.keys() {
        gathering.plain(group.as_str());
    }
    for (name, host) in &inventory.hosts {
        gathering.plain(name.as_str());
        for (name, value) in &host.vars {
            gathering.variable(name, value);
        }
    }
    for slot in &playbook.slots {
        gathering.plain(slot.name.as_str());
        for (name, value) in &slot.vars {
            gathering.variable(name, &Value::from(value.as_str()));
        }
    }
    for (name, template) in environment(playbook) {
        if !gathering.is_secret(name) {
            continue;
        }
        if template.is_constant() {
            gathering.secret(template.as_str());
        } else {
            rendered(inventory, playbook, template).for_each(|text| gathering.secret(&text));
        }
    }
    gathering.finish()
}

fn environment(playbook: &Playbook) -> impl Iterator<Item = (&String, &Template)> {
    let env = match &playbook.start {
        Runner::Java(java) => Some(&java.env),
        Runner::Command(command) => Some(&command.env),
        Runner::Systemd(_) => None,
    };
    env.into_iter().flatten()
}

/// What a template of the start becomes on the hosts of the slots.
fn rendered<'a>(
    inventory: &'a Inventory,
    playbook: &'a Playbook,
    template: &'a Template,
) -> impl Iterator<Item = String> + 'a {
    let dir = RemotePath::new("/release").expect("an absolute path");
    let id = ReleaseId::new("release").expect("letters");
    playbook.slots.iter().flat_map(move |slot| {
        let members = inventory.groups.get(&slot.group).into_iter().flatten();
        let (dir, id) = (dir.clone(), id.clone());
        members.filter_map(move |host| {
            let release = ReleaseFacts {
                id: &id,
                dir: &dir,
                jar: &dir,
                version: "0",
            };
            let port = Port::new(1).expect("it is not 0");
            let found = inventory.hosts.get(host)?;
            let vars = with_facts(&found.vars, host.as_str(), found.address.as_str(), playbook);
            template
                .render(&context::instance(&vars, slot, port, &release))
                .ok()
        })
    })
}

fn with_facts(vars: &Vars, host: &str, address: &str, playbook: &Playbook) -> Vars {
    let facts = [
        ("host", host),
        ("address", address),
        ("app", playbook.app.as_str()),
    ];
    let facts = facts.map(|(name, value)| (name.to_owned(), Value::from(value)));
    vars.clone().into_iter().chain(facts).collect()
}

/// Notes listed names that nothing has, and listed secrets that would show in a process list.
pub(super) fn check(inventory: &Inventory, loaded: &LoadedPlaybook, report: &mut Report) {
    let playbook = &loaded.playbook;
    let known: Vec<&str> = inventory
        .hosts
        .values()
        .flat_map(|host| host.vars.keys())
        .chain(playbook.slots.iter().flat_map(|slot| slot.vars.keys()))
        .chain(environment(playbook).map(|(name, _)| name))
        .map(String::as_str)
        .collect();
    for name in &playbook.secrets {
        if !known.contains(&name.as_str()) {
            let message = format!("`secrets` lists `{name}`, and no variable has that name");
            let hint = suggest::did_you_mean(name, known.iter().copied());
            report.push(loaded.places.problem("secrets", message).maybe_hint(hint));
        }
    }
    let words: Vec<(&str, &Vec<Template>)> = match &playbook.start {
        Runner::Java(java) => vec![("start.java.opts", &java.opts), ("start.java.args", &java.args)],
        Runner::Command(command) => vec![("start.command.run", &command.run)],
        Runner::Systemd(_) => Vec::new(),
    };
    for (path, templates) in words {
        for name in templates.iter().flat_map(Template::names) {
            let last = name.rsplit('.').next().unwrap_or(&name);
            if playbook.secrets.contains(last) {
                let message = format!("`{path}` uses `{last}`, which `secrets` lists");
                let problem = loaded.places.problem(path, message);
                report
                    .push(problem.hint("every user of a host sees the arguments of its programs: use `env`"));
            }
        }
    }
}

/// A line of a file without the values of variables whose names say that they are secret, and those values.
pub(super) fn redacted(line: &str) -> (String, Option<String>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for (at, _) in line.match_indices([':', '=']) {
        let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        let value = line[at + 1..].trim_start();
        // The name of a variable belongs there, and somebody wrote what the variable should hold.
        let address = name.ends_with("_env") && value.contains("://");
        if !(is_secret_name(name) || address)
            || value.is_empty()
            || value.starts_with(['#', '{', '[', '|', '>'])
        {
            continue;
        }
        let starts = line.len() - value.len();
        let plain = value.trim_end().trim_matches(['"', '\'']).to_owned();
        return (format!("{}{HIDDEN}", &line[..starts]), Some(plain));
    }
    (line.to_owned(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_without_the_secret_that_it_holds() {
        for (line, shown) in [
            ("db_password: hunter2 # old", "db_password: ***"),
            (
                "  \"ansible_ssh_pass\": \"hunter2\", \"x\": 1",
                "  \"ansible_ssh_pass\": ***",
            ),
            (
                "was-1 ansible_password=hunter2 port=1",
                "was-1 ansible_password=***",
            ),
            (
                "vars: { user: x, api_key: hunter2 }",
                "vars: { user: x, api_key: ***",
            ),
            ("profile: real1", "profile: real1"),
            ("password:", "password:"),
            ("비밀password: hunter2", "비밀password: ***"),
            ("password: \"{{ vault }}\"", "password: ***"),
            ("https://x:1/token:2", "https://x:1/token:***"),
            ("url_env: https://x/hunter2", "url_env: ***"),
            (
                "- slack: { webhook_env: \"https://x/hunter2\" }",
                "- slack: { webhook_env: ***",
            ),
            ("url_env: DEPLOY_HOOK", "url_env: DEPLOY_HOOK"),
        ] {
            assert_eq!(redacted(line).0, shown, "{line}");
        }
    }
}

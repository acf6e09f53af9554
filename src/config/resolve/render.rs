//! Rendering a template of the playbook for one host, with the place and the likely cause of what
//! goes wrong.

use serde_json::Value;

use crate::model::names::HostName;
use crate::model::template::Template;

use super::super::suggest;
use super::{OnHost, Resolver};

impl Resolver<'_> {
    /// The text of a template for a host, or `None` with the problem noted at the template's place.
    pub(super) fn text(
        &mut self,
        path: &str,
        template: &Template,
        host: &HostName,
        context: &Value,
    ) -> Option<String> {
        match template.render(context) {
            Ok(text) if text.contains(['\0', '\n', '\r']) => {
                let message = format!("`{path}` holds a line break: {}", text.escape_debug());
                self.on_host(host, whole(path, message), None);
                None
            }
            Ok(text) => Some(text),
            Err(error) => {
                let names = template.names();
                let unknown: Vec<&String> = names.iter().filter(|name| !has(context, name)).collect();
                if unknown.is_empty() {
                    self.on_host(host, whole(path, format!("`{path}`: {}", error.reason)), None);
                }
                for name in unknown {
                    self.unknown(path, name, host, context);
                }
                None
            }
        }
    }

    /// The value that a rendered template stands for.
    pub(super) fn value<T>(
        &mut self,
        path: &str,
        template: &Template,
        host: &HostName,
        context: &Value,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(path, template, host, context)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                let message = format!("`{path}`: {reason}");
                if template.is_constant() {
                    self.problem(path, message, None);
                } else {
                    self.on_host(host, whole(path, message), None);
                }
                None
            }
        }
    }

    fn unknown(&mut self, path: &str, name: &str, host: &HostName, context: &Value) {
        let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
        let siblings: Vec<String> = siblings(context, parent);
        let hint = match suggest::nearest(last, siblings.iter().map(String::as_str)) {
            Some(near) if parent.is_empty() => Some(format!("did you mean `{near}`?")),
            Some(near) => Some(format!("did you mean `{parent}.{near}`?")),
            None if parent.is_empty() => {
                Some("give it to the hosts or their group in the inventory".to_owned())
            }
            None => None,
        };
        let problem = OnHost {
            path: path.to_owned(),
            part: name.to_owned(),
            message: format!("`{name}` is not defined"),
        };
        self.on_host(host, problem, hint);
    }
}

fn whole(path: &str, message: String) -> OnHost {
    OnHost {
        path: path.to_owned(),
        part: String::new(),
        message,
    }
}

fn lookup<'v>(context: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(context, |value, part| value.get(part))
}

fn has(context: &Value, name: &str) -> bool {
    lookup(context, name).is_some()
}

fn siblings(context: &Value, parent: &str) -> Vec<String> {
    match lookup(context, parent) {
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

//! Rendering a template of the playbook for one host, with the place and the likely cause of what
//! goes wrong.

use serde_json::Value;

use crate::model::names::HostName;
use crate::model::template::Template;

use super::super::suggest;
use super::Resolver;

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
            Ok(text) if text.chars().any(|c| c == '\0' || c == '\n' || c == '\r') => {
                let message = format!(
                    "`{path}` holds a line break on host `{host}`: {}",
                    text.escape_debug()
                );
                self.problem(path, message, None);
                None
            }
            Ok(text) => Some(text),
            Err(error) => {
                let unknown: Vec<String> = template
                    .names()
                    .into_iter()
                    .filter(|name| !has(context, name))
                    .collect();
                match &unknown[..] {
                    [] => self.problem(path, format!("`{path}` on host `{host}`: {}", error.reason), None),
                    unknown => {
                        for name in unknown {
                            self.unknown(path, name, host, context);
                        }
                    }
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
                let on = if template.is_constant() {
                    String::new()
                } else {
                    format!(" on host `{host}`")
                };
                self.problem(path, format!("`{path}`{on}: {reason}"), None);
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
                Some(format!("give it to host `{host}` or its group in the inventory"))
            }
            None => None,
        };
        let spot = self.playbook.places.spot(path).map(|spot| spot.narrowed_to(name));
        let message = format!("host `{host}` has no `{name}`");
        match spot {
            Some(spot) => self
                .report
                .push(super::super::report::Problem::at(&spot, message).maybe_hint(hint)),
            None => self.problem(path, message, hint),
        }
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

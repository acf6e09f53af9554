//! Variables that refer to other variables: `{{ … }}` in a value is rendered where all that it asks
//! for is known. What this cannot render stays as it is written.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::model::inventory::Vars;
use crate::model::template::Template;

/// The longest text that rendering may make.
const MAX_RENDERED: usize = 64 << 10;
/// The longest chain of variables that refer to each other.
const MAX_ROUNDS: usize = 20;

/// The variables with every `{{ … }}` replaced whose own variables are known, and `more` beside them.
pub(in crate::config) fn rendered(vars: &Vars, more: &Vars) -> Vars {
    let mut known: Vars = more.clone();
    let mut open: Vec<(&String, &Value)> = Vec::new();
    for (name, value) in vars {
        if is_open(value) {
            open.push((name, value));
        } else {
            known.insert(name.clone(), value.clone());
        }
    }
    // A variable is rendered after all that it refers to; what is left in the end refers to itself,
    // or to something that cannot be rendered.
    for _ in 0..MAX_ROUNDS {
        let waiting: BTreeSet<&String> = open.iter().map(|(name, _)| *name).collect();
        let context = Value::Object(known.clone().into_iter().collect::<Map<_, _>>());
        let mut left = Vec::new();
        let mut done = Vec::new();
        for (name, value) in &open {
            let ready = names(value).iter().all(|asked| !waiting.contains(asked));
            match ready.then(|| render(value, &context)).flatten() {
                Some(text) => done.push(((*name).clone(), text)),
                None => left.push((*name, *value)),
            }
        }
        if done.is_empty() {
            break;
        }
        known.extend(done);
        open = left;
    }
    for (name, value) in open {
        known.insert(name.clone(), value.clone());
    }
    known
}

/// Whether a value holds a template.
pub(super) fn is_open(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{") || text.contains("{%"),
        Value::Array(items) => items.iter().any(is_open),
        Value::Object(map) => map.values().any(is_open),
        _ => false,
    }
}

/// The variables that a value asks for.
fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) if is_open(value) => {
            let names = Template::new(text.clone())
                .map(|template| template.names())
                .unwrap_or_default();
            let top = |name: String| name.split('.').next().unwrap_or_default().to_owned();
            names.into_iter().map(top).collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(map) => map.values().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

fn render(value: &Value, context: &Value) -> Option<Value> {
    match value {
        Value::String(text) if is_open(value) => {
            let rendered = Template::new(text.clone()).ok()?.render(context).ok()?;
            (rendered.len() <= MAX_RENDERED).then_some(Value::String(rendered))
        }
        Value::Array(items) => items.iter().map(|item| render(item, context)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, inner)| Some((key.clone(), render(inner, context)?)))
            .collect::<Option<Map<_, _>>>()
            .map(Value::Object),
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn vars(value: Value) -> Vars {
        match value {
            Value::Object(map) => map.into_iter().collect(),
            _ => Vars::new(),
        }
    }

    #[test]
    fn variables_refer_to_each_other_in_any_order_and_circles_stay_text() {
        let given = vars(json!({
            "a": "{{ b }}.{{ c.d }}", "b": "{{ inventory_hostname }}-x", "c": { "d": 1 },
            "loop": "{{ loop }}!", "lost": "{{ lookup('env', 'HOME') }}", "one": "{{ two }}", "two": "{{ one }}",
            "list": ["{{ b }}"],
        }));
        let more = vars(json!({ "inventory_hostname": "was1" }));
        let all = rendered(&given, &more);
        assert_eq!(all["a"], "was1-x.1");
        assert_eq!(all["list"], json!(["was1-x"]));
        for stays in ["loop", "lost", "one", "two"] {
            assert_eq!(all[stays], given[stays], "{stays}");
        }
    }
}

//! Values that nobody may see: which variables hold them, and how they are taken out of whatever is shown.
//! `config` gathers them from inventory and playbook; every stream of the command line hides them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// What stands in place of a secret.
pub const HIDDEN: &str = "***";

/// A shorter value is no secret worth the name, and hiding it would make every text unreadable.
const SHORTEST: usize = 4;

/// A variable whose name holds one of these holds a secret.
const PARTS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "api_key",
    "apikey",
    "private_key",
    "webhook",
];

/// So does one whose name ends with one of these.
const ENDS: [&str; 2] = ["_pass", "_pwd"];

/// Unless it says where the secret is, or something about it.
const ABOUT: [&str; 6] = ["_file", "_path", "_dir", "_env", "_ttl", "_name"];

/// Whether a variable of that name holds a secret, as its name says.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let named = PARTS.iter().any(|part| name.contains(part)) || ENDS.iter().any(|end| name.ends_with(end));
    named && !ABOUT.iter().any(|end| name.ends_with(end))
}

/// Values that are hidden. Printing it shows how many, and none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Every form in which one may be written, the longest first.
    forms: Arc<[String]>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.forms.len())
    }
}

/// Secrets while they are gathered, with what is plain to see anyway.
#[derive(Default)]
pub struct Gathering {
    listed: BTreeSet<String>,
    secret: BTreeSet<String>,
    plain: BTreeSet<String>,
}

impl Gathering {
    /// Begins with the names that a person lists beside those that say it themselves.
    pub fn with_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        Self {
            listed: names.into_iter().cloned().collect(),
            ..Self::default()
        }
    }

    /// Whether a variable of that name holds a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.listed.contains(name) || is_secret_name(name)
    }

    /// Takes a variable: whatever is below a secret name is secret.
    pub fn variable(&mut self, name: &str, value: &Value) {
        self.value(self.is_secret(name), value);
    }

    /// Takes a secret by itself.
    pub fn secret(&mut self, text: &str) {
        self.secret.insert(text.to_owned());
    }

    /// Takes a word that is plain to see, such as a name: where a secret is the same, hiding it would only
    /// tell which of the words it is.
    pub fn plain(&mut self, text: &str) {
        self.plain.insert(text.to_owned());
    }

    fn value(&mut self, secret: bool, value: &Value) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    self.value(secret || self.is_secret(name), value);
                }
            }
            Value::Array(list) => list.iter().for_each(|value| self.value(secret, value)),
            Value::String(text) if secret => self.secret(text),
            Value::String(text) => self.plain(text),
            Value::Number(number) if secret => self.secret(&number.to_string()),
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    /// The secrets, ready to be hidden.
    pub fn finish(self) -> Secrets {
        let mut forms = BTreeSet::new();
        for secret in self.secret.difference(&self.plain) {
            // A report is made of lines, and so is a key.
            for line in secret.lines().map(str::trim) {
                forms.extend(written(line).into_iter().filter(|form| is_long(form)));
            }
        }
        let mut forms: Vec<String> = forms.into_iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Secrets { forms: forms.into() }
    }
}

fn is_long(text: &str) -> bool {
    text.chars().count() >= SHORTEST
}

/// The forms in which a text may be shown: as it is, in JSON, in a shell's words, escaped.
fn written(text: &str) -> [String; 4] {
    let json = Value::from(text).to_string();
    [
        text.to_owned(),
        json.trim_matches('"').to_owned(),
        text.replace('\'', "'\\''"),
        text.escape_debug().to_string(),
    ]
}

impl Secrets {
    /// The same with one more.
    pub fn with(&self, secret: Option<&str>) -> Self {
        let mut gathering = Gathering::default();
        gathering.secret.extend(self.forms.iter().cloned());
        gathering.secret.extend(secret.map(str::to_owned));
        gathering.finish()
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// The text with every secret replaced, those that are cut off by `…` too.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for form in self.forms.iter() {
            if text.contains(form.as_str()) {
                text = Cow::Owned(text.replace(form.as_str(), HIDDEN));
            }
        }
        if text.contains('…') && !self.is_empty() {
            text = Cow::Owned(self.hide_cut(&text));
        }
        text
    }

    /// Every string of a JSON value with every secret replaced; its keys and its shape stay.
    pub fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(hidden) = self.hide(text) {
                    *text = hidden;
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.hide_in(value)),
            Value::Object(map) => map.values_mut().for_each(|value| self.hide_in(value)),
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn hide_cut(&self, text: &str) -> String {
        let mut parts = text.split('…');
        let mut hidden = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            if let Some(beginning) = self.forms.iter().find_map(|form| beginning_at_end(&hidden, form)) {
                hidden.truncate(hidden.len() - beginning);
                hidden.push_str(HIDDEN);
            }
            hidden.push('…');
            hidden.push_str(part);
        }
        hidden
    }
}

/// How many bytes at the end of `text` are the beginning of `form`, where they are enough to matter.
fn beginning_at_end(text: &str, form: &str) -> Option<usize> {
    let ends = form.char_indices().map(|(at, _)| at).skip(SHORTEST);
    ends.filter(|end| text.ends_with(&form[..*end])).last()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let mut gathering = Gathering::default();
        for value in values {
            gathering.secret(value);
        }
        gathering.finish()
    }

    #[test]
    fn a_name_says_whether_its_value_is_secret() {
        for name in [
            "ansible_password",
            "ansible_become_pass",
            "ANSIBLE_SSH_PASS",
            "db_password",
            "SPRING_DATASOURCE_PASSWORD",
            "slack_webhook",
            "vault_token",
            "apiKey",
            "CLIENT_SECRET",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "profile",
            "ansible_ssh_private_key_file",
            "secret_name",
            "token_ttl",
            "passenger",
            "compass",
            "host_key_alias",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_and_the_longest_first() {
        let secrets = secrets(&["pa'ss\"wörd\\", "pa'ss", "hunter2hunter2", "abc"]);
        for shown in [
            "x pa'ss\"wörd\\ y",
            "x pa'ss\\\"wörd\\\\ y",
            "x pa'\\''ss\"wörd\\ y",
            "x hunter2hunter2 y",
        ] {
            assert_eq!(secrets.hide(shown), "x *** y", "{shown}");
        }
        assert_eq!(secrets.hide("abc"), "abc");
        assert_eq!(secrets.hide("password=hunter2hun…"), "password=***…");
        assert_eq!(secrets.hide("hun… nothing"), "hun… nothing");
        assert_eq!(
            format!("{secrets:?}"),
            format!("Secrets({})", secrets.forms.len())
        );
    }

    #[test]
    fn json_keeps_its_shape_whatever_the_secret_is() {
        let secrets = secrets(&["true", "outcome", "\",\"a\":\"", "deployed!"]);
        let mut value = json!({ "outcome": true, "list": ["deployed!", "it is true"], "n": 1 });
        secrets.hide_in(&mut value);
        assert_eq!(
            value,
            json!({ "outcome": true, "list": ["***", "it is ***"], "n": 1 })
        );
    }

    #[test]
    fn what_is_below_a_secret_name_is_secret_and_what_is_plain_elsewhere_is_not() {
        let mut gathering = Gathering::with_names(&["licence".to_owned()]);
        gathering.variable("db", &json!({ "user": "sokdak", "password": "sokdak" }));
        gathering.variable(
            "tokens",
            &json!(["first-token", { "of": "second-token" }, 123_456]),
        );
        gathering.variable("licence", &json!("abcd-efgh"));
        gathering.variable("private_key", &json!("-----BEGIN-----\nc2VjcmV0\n"));
        let secrets = gathering.finish();
        let shown = "sokdak first-token second-token 123456 abcd-efgh c2VjcmV0";
        assert_eq!(secrets.hide(shown), "sokdak *** *** *** *** ***");
    }
}

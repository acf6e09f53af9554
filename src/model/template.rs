//! Texts with `{{ … }}`, rendered with strict undefined variables: a misspelt name is an error and
//! never an empty text.

use std::collections::BTreeSet;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value;

/// A text that may hold `{{ … }}`; its syntax was checked when it was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Template(String);

/// Says why a template has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("template `{source_text}`: {reason}")]
pub struct TemplateError {
    /// The template as written.
    pub source_text: String,
    /// What the template engine says.
    pub reason: String,
    /// The line within the template, from 1, where the engine knows it.
    pub line: Option<usize>,
}

impl Template {
    /// Checks the syntax and keeps the text.
    pub fn new(text: impl Into<String>) -> Result<Self, TemplateError> {
        let text = text.into();
        environment()
            .template_from_str(&text)
            .map_err(|error| failure(&text, &error))?;
        Ok(Self(text))
    }

    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether rendering cannot change the text.
    pub fn is_constant(&self) -> bool {
        !["{{", "{%", "{#"].iter().any(|opening| self.0.contains(opening))
    }

    /// The variables that the template asks for, with dots between levels, in order.
    pub fn names(&self) -> BTreeSet<String> {
        environment()
            .template_from_str(&self.0)
            .map(|template| template.undeclared_variables(true).into_iter().collect())
            .unwrap_or_default()
    }

    /// The text with every `{{ … }}` replaced from `context`, a JSON object.
    ///
    /// Returns an error if the template asks for something that `context` has not.
    pub fn render(&self, context: &Value) -> Result<String, TemplateError> {
        environment()
            .render_str(&self.0, minijinja::value::Serde(context))
            .map_err(|error| failure(&self.0, &error))
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .keep_trailing_newline(true)
            .build()
            .expect("no delimiter was changed"),
    );
    environment.set_fuel(Some(100_000));
    environment
}

fn failure(text: &str, error: &minijinja::Error) -> TemplateError {
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateError {
        source_text: text.to_owned(),
        reason,
        line: error.line(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_undefined_variable_is_an_error_that_names_the_template() {
        let template = Template::new("--p={{ slot.vars.profil }}").unwrap();
        let error = template
            .render(&json!({ "slot": { "vars": { "profile": "x" } } }))
            .unwrap_err();
        assert!(error.to_string().contains("slot.vars.profil"), "{error}");
    }

    #[test]
    fn a_template_is_rendered_from_its_context() {
        let template = Template::new("{{ port + 1 }}").unwrap();
        assert_eq!(template.render(&json!({ "port": 8080 })).unwrap(), "8081");
    }
}

//! The questions of `init`, on a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, Write as _};
use std::str::FromStr;

use clap::ValueEnum;

use crate::cli::args::Init;
use crate::cli::console;
use crate::cli::failure::CliError;

use super::answers::{Answers, Style};

/// Asks for everything; what the options say, and defaults, are taken where nothing is typed.
pub(super) fn everything(init: &Init) -> Result<Answers, CliError> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        let styles: Vec<_> = names().collect();
        return Err(CliError::Usage(format!(
            "`init` asks, and there is no terminal: say --style {}, and whatever else is known (see `nonstop init --help`)",
            styles.join("|")
        )));
    }
    for style in Style::value_variants() {
        let value = style.to_possible_value().expect("no style is hidden");
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        console::say(&format!("  {:<14} {help}", value.get_name()));
    }
    let Named(style) = question("style", Named(Style::Site))?;
    let given = Init {
        style: Some(style),
        ..init.clone()
    };
    let mut answers = given.answers(style);
    answers.app = question("application", answers.app)?;
    // The name that users type often holds the application's.
    let given = Init {
        app: Some(answers.app.clone()),
        ..given
    };
    answers.server_name = given.answers(style).server_name;
    answers.was = question("WAS hosts, with commas", answers.was)?;
    // With the style `include` nginx is usually there, too.
    let given = Init {
        was: Some(answers.was.clone()),
        ..given
    };
    answers.nginx = given.answers(style).nginx;
    answers.nginx = question("nginx hosts, with commas", answers.nginx)?;
    answers.user = question("login user", answers.user)?;
    answers.ports = question("ports of the two slots", answers.ports)?;
    answers.artifact = question("jar, a glob on this machine", answers.artifact)?;
    answers.server_name = question("server name in nginx", answers.server_name)?;
    Ok(answers)
}

fn names() -> impl Iterator<Item = String> {
    let values = Style::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value);
    values.map(|value| value.get_name().to_owned())
}

/// A style as it is typed.
struct Named(Style);

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Style::from_str(text, true).map(Self)
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.0.to_possible_value().expect("no style is hidden");
        f.write_str(value.get_name())
    }
}

/// Asks until the answer can be used; an empty one is the default.
fn question<T: FromStr<Err: Display> + Display>(what: &str, default: T) -> Result<T, CliError> {
    let mut out = std::io::stderr();
    loop {
        let _ = write!(out, "{what} [{default}]: ");
        let _ = out.flush();
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        if !read.is_ok_and(|count| count > 0) {
            return Err(CliError::Usage(
                "the answers ended: nothing was written".to_owned(),
            ));
        }
        match line.trim() {
            "" => return Ok(default),
            text => match text.parse() {
                Ok(value) => return Ok(value),
                Err(error) => console::say(&format!("  {error}")),
            },
        }
    }
}

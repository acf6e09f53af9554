//! What `init` has to know, and the two files that follow from it. The files' texts lie beside this one, with
//! `<name>` where a value goes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;

use crate::cli::args::Init;
use crate::model::names::{AppName, HostName, Port, UserName};

const INVENTORY: &str = include_str!("inventory.yml");

/// How nginx learns of a switch, and what goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Style {
    /// nonstop writes the nginx file, and starts the jar with java.
    Site,
    /// What a script of your own left: a start script and an nginx file for each port.
    #[value(name = "conf_per_slot", alias = "seed2")]
    ConfPerSlot,
    /// A variable that your own nginx server reads from one file, and two Spring profiles.
    #[value(alias = "seed1")]
    Include,
}

impl Style {
    fn playbook(self) -> &'static str {
        match self {
            Self::Site => include_str!("site.yml"),
            Self::ConfPerSlot => include_str!("conf_per_slot.yml"),
            Self::Include => include_str!("include.yml"),
        }
    }
}

/// Hosts, with commas between them.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Hosts(Vec<HostName>);

impl FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let names: Vec<HostName> = names
            .map(HostName::new)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        match names.iter().collect::<BTreeSet<_>>().len() {
            0 => Err("names no host".to_owned()),
            count if count < names.len() => Err("names a host twice".to_owned()),
            _ => Ok(Self(names)),
        }
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(HostName::as_str).collect();
        f.write_str(&names.join(","))
    }
}

/// The port of each slot, with a comma between them.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Ports {
    blue: Port,
    green: Port,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ports = text.split([',', ' ']).filter(|port| !port.is_empty());
        let ports: Vec<Port> = ports
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{error}"))?;
        match ports[..] {
            [blue, green] if blue != green => Ok(Self { blue, green }),
            _ => Err("takes two different ports, such as 8080,8081".to_owned()),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.blue, self.green)
    }
}

/// What goes into the files.
pub(super) struct Answers {
    pub(super) style: Style,
    pub(super) app: AppName,
    pub(super) was: Hosts,
    pub(super) nginx: Hosts,
    pub(super) user: UserName,
    pub(super) ports: Ports,
    pub(super) artifact: String,
    pub(super) server_name: String,
}

impl Init {
    /// What the options say, and defaults.
    pub(super) fn answers(&self, style: Style) -> Answers {
        let app = self.app.clone().unwrap_or_else(folder);
        let [was, user, ports] = match style {
            Style::Include => ["web-1", "ec2-user", "8081,8082"],
            Style::Site | Style::ConfPerSlot => ["was-1,was-2", "ubuntu", "8080,8081"],
        };
        let was: Hosts = self.was.clone().unwrap_or_else(|| valid(was));
        let nginx = self.nginx.clone().unwrap_or_else(|| match style {
            // Who switches by a variable often has one machine for everything.
            Style::Include => was.clone(),
            Style::Site | Style::ConfPerSlot => valid("nginx-1"),
        });
        Answers {
            style,
            was,
            nginx,
            user: self.user.clone().unwrap_or_else(|| valid(user)),
            ports: self.ports.unwrap_or_else(|| valid(ports)),
            artifact: self
                .artifact
                .clone()
                .unwrap_or_else(|| "build/libs/*.jar".to_owned()),
            server_name: self
                .server_name
                .clone()
                .unwrap_or_else(|| format!("{app}.example")),
            app,
        }
    }
}

/// The application is often called like the folder in which it lies.
fn folder() -> AppName {
    let folder = std::env::current_dir().ok();
    let name = folder.as_deref().and_then(|folder| folder.file_name()?.to_str());
    name.and_then(|name| AppName::new(name).ok())
        .unwrap_or_else(|| valid("app"))
}

fn valid<T: FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a default is valid")
}

impl Answers {
    /// Whether the variable holds the address of the only application, on nginx's own host.
    fn holds_one_address(&self) -> bool {
        self.style == Style::Include && self.was.0.len() == 1 && self.was.0 == self.nginx.0
    }

    /// The text of the inventory.
    pub(super) fn inventory(&self) -> String {
        let lines = |hosts: &Hosts, says: &str| {
            let line = |host: &HostName| format!("        {}:{says}", scalar(host.as_str()));
            hosts.0.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        // Behind a variable nginx takes an address, and no name.
        let address = if self.holds_one_address() {
            " { address: 127.0.0.1 }"
        } else {
            ""
        };
        fill(
            INVENTORY,
            &[
                ("user", scalar(self.user.as_str())),
                ("was", lines(&self.was, address)),
                ("nginx", lines(&self.nginx, "")),
            ],
        )
    }

    /// The text of the playbook.
    pub(super) fn playbook(&self) -> String {
        let upstream_file = if self.holds_one_address() {
            String::new()
        } else {
            let line = "upstream_file: /etc/nginx/conf.d";
            format!(
                "\n    {line}/{}-upstreams.conf   # nginx must include it in `http`",
                self.app
            )
        };
        fill(
            self.style.playbook(),
            &[
                ("app", self.app.to_string()),
                ("upstream_file", upstream_file),
                ("artifact", scalar(&self.artifact)),
                // It stands within quotes.
                ("user", self.user.as_str().replace('\\', "\\\\")),
                ("server_name", scalar(&self.server_name)),
                ("blue", self.ports.blue.to_string()),
                ("green", self.ports.green.to_string()),
            ],
        )
    }
}

/// Puts values in, in one pass: a value that looks like a place stays as it is.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut parts = template.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let place = part.split_once('>');
        let value = place.and_then(|(name, rest)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, rest))
        });
        let (value, rest) = value.expect("the templates name only what is given");
        text.push_str(value);
        text.push_str(rest);
    }
    text
}

/// A value as YAML reads it: in quotes wherever it could be taken for anything but a text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

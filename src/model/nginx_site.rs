//! The text of the nginx file that the style `site` puts in place: an upstream of all endpoints, the
//! server in front of it, and the location that says which generation runs. Pure; the planner calls it.

use serde::Serialize;
use serde_json::{Value, json};

use super::context;
use super::names::{Address, AppName, Port};
use super::playbook::Site;
use super::routing::Weight;
use super::template::{Template, TemplateError};
use super::topology::NginxHost;

/// The path that answers with the generation, to requests from the host itself.
pub const GENERATION_PATH: &str = "/__nonstop/generation";

/// Says why a site has no text.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A template asks for something that is not there: the playbook is to be mended.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The user's own template leaves the generation location out: it is to be put in.
    #[error("the template leaves out `{{{{ generation_location }}}}`, without which no switch can be proven")]
    NoGeneration,
    /// The generation is no plain word: a bug in the caller.
    #[error("`{0}` is no generation: letters, digits and `_.+:-` are allowed")]
    Generation(String),
}

/// What a switch would take away with a file that is not ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "problem")]
pub enum Replaced {
    /// Servers that the new file would not have: requests to them would be lost.
    #[error("{file} is replaced, and has what the new file would not have: {}", .servers.join("; "))]
    ServersLost {
        /// The file.
        file: String,
        /// Each server, with its line.
        servers: Vec<String>,
    },
    /// Another application's switch wrote it.
    #[error("{file} is replaced, and belongs to another application of nonstop, {app}")]
    FileOfAnotherApp {
        /// The file.
        file: String,
        /// Its application, or what nginx's names in it have of that.
        app: String,
    },
    /// Somebody else's work.
    #[error("{file} is not nonstop's and is replaced: what it has beyond the playbook is gone{}", also(.listens, .defaults))]
    FileByHandReplaced {
        /// The file.
        file: String,
        /// What the new file does not listen on.
        listens: Vec<String>,
        /// Where requests that name no server go to another file from now on.
        defaults: Vec<String>,
    },
}

fn also(listens: &[String], defaults: &[String]) -> String {
    let told = |what: &str, places: &[String], between: &str| match places {
        [] => String::new(),
        _ => format!("; {what} {}", places.join(between)),
    };
    told("it does not listen any more on", listens, ", ")
        + &told("requests that name no server go from", defaults, ", from ")
}

/// How our own template begins.
pub const HEADING: &str = "# Written by nonstop for ";

/// The application of which nonstop wrote this file, as far as nginx's names in it tell.
pub fn other_app(app: &AppName, text: &str) -> Option<String> {
    let own = identifier(app.as_str());
    let (_, rest) = text.split_once("geo $nonstop_")?;
    let (other, _) = rest.split_once("_local")?;
    if other == own {
        return None;
    }
    let named = text.strip_prefix(HEADING);
    let named = named.and_then(|rest| rest.split_once(". ")).map(|(name, _)| name);
    Some(named.unwrap_or(other).to_owned())
}

/// Our own template; the variables are those that a user's own gets.
const STANDARD: &str = include_str!("nginx_site.conf.j2");

/// Renders the file for one nginx host. `upstream` is the routing: address, port and weight of each
/// instance; `generation` is what the generation endpoint answers.
///
/// Returns an error if a template cannot be rendered, or if the user's own leaves the generation out.
pub fn render(
    app: &AppName,
    nginx: &NginxHost,
    site: &Site,
    upstream: &[(Address, Port, Weight)],
    generation: &str,
) -> Result<String, SiteError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+:-".contains(c);
    if generation.is_empty() || !generation.chars().all(plain) {
        return Err(SiteError::Generation(generation.chars().take(80).collect()));
    }
    let id = format!("nonstop_{}", identifier(app.as_str()));
    let location = generation_location(&id, generation);
    let mut context = context::host(&nginx.vars);
    context["app"] = json!(app);
    context["generation"] = json!(generation);
    context["local_addresses"] = json!(local_addresses(&id, &nginx.listener.address));
    context["servers"] = servers(upstream);
    context["listen"] = json!(site.listen.render(&context)?);
    context["server_name"] = json!(server_name(site));
    context["tls"] = json!(site.tls);
    context["client_max_body_size"] = json!(site.client_max_body_size);
    context["generation_location"] = json!(location);
    context["id"] = json!(id);
    match &site.template {
        None => Ok(Template::new(STANDARD)?.render(&context)?),
        Some(own) => {
            let text = own.text.render(&context)?;
            if text.contains(&location) {
                Ok(text)
            } else {
                Err(SiteError::NoGeneration)
            }
        }
    }
}

/// A word for nginx's names that differs for different applications. Case means nothing in those, so
/// that capitals are spelt out like other characters.
pub(super) fn identifier(app: &str) -> String {
    let mut out = String::new();
    for c in app.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            out.push(c);
        } else {
            out.extend(['_', hex(c, 4), hex(c, 0)]);
        }
    }
    out
}

fn hex(c: char, shift: u32) -> char {
    char::from_digit((u32::from(c) >> shift) & 15, 16).expect("four bits are a hexadecimal digit")
}

fn servers(upstream: &[(Address, Port, Weight)]) -> Value {
    upstream
        .iter()
        .filter(|(_, _, weight)| weight.0 > 0)
        .map(|(address, port, weight)| json!({ "address": address.in_url(), "port": port, "weight": weight.0 }))
        .collect()
}

fn server_name(site: &Site) -> String {
    if site.server_name.is_empty() {
        "_".to_owned()
    } else {
        site.server_name.join(" ")
    }
}

/// The addresses from which a host asks itself, as a `geo` block. A request to a listener on one
/// address comes from that very address.
fn local_addresses(id: &str, listener: &Address) -> String {
    let own = match listener.as_str().parse::<std::net::IpAddr>() {
        Ok(ip) if !ip.is_loopback() => format!("    {ip} 1;\n"),
        _ => String::new(),
    };
    format!("geo ${id}_local {{\n    default 0;\n    127.0.0.0/8 1;\n    ::1 1;\n{own}}}\n")
}

/// `return` answers before `allow` and `deny` are looked at, so that the address is asked by `if`.
fn generation_location(id: &str, generation: &str) -> String {
    format!(
        "location = {GENERATION_PATH} {{
        access_log off;
        default_type text/plain;
        if (${id}_local = 0) {{
            return 404;
        }}
        return 200 \"{generation}\";
    }}"
    )
}

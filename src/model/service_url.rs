//! The two texts that the style `include` writes: the line that sets the user's variable, and the file with
//! the upstreams that the line may name. Pure; the planner calls it.
//!
//! An upstream's name ends in a digest of what it holds, so that a block that is there is never changed:
//! what ran before a run still means the same after it, whoever reloads nginx in between.

use std::fmt::Write as _;
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::names::{Address, AppName, Port, SlotName};
use super::nginx_conf::parse_directives;
use super::nginx_site::identifier;
use super::routing::Weight;
use super::topology::ServiceUrl;

/// How many bytes of the digest tell one upstream from another.
const DIGEST_BYTES: usize = 4;

/// Says why a routing cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServiceUrlError {
    /// Several endpoints need an upstream: name an `upstream_file`.
    #[error(
        "slot {slot} has {count} endpoints, and without an `upstream_file` `${variable}` takes one address"
    )]
    Several {
        /// The slot.
        slot: SlotName,
        /// How many endpoints.
        count: usize,
        /// The variable.
        variable: String,
    },
    /// nginx looks a name behind a variable up with each request: give the host an address.
    #[error("`{address}` is a name, and behind a variable nginx finds no name without a `resolver`")]
    Name {
        /// The address in the inventory.
        address: Address,
    },
    /// The file with the upstreams cannot be read: mend it on the host.
    #[error("its line {line} is no nginx configuration: {reason}")]
    Upstreams {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
}

/// What is to be written for one routing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// The file that the user's server includes.
    pub entry: String,
    /// The file with the upstreams, where it has to be another one than it is.
    pub upstreams: Option<String>,
}

/// What is known of the file with the upstreams.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The file as it is; `None` where there is none.
    pub text: Option<&'a str>,
    /// The addresses and ports that the application has: an upstream that leads elsewhere is left from
    /// an older inventory and goes, unless `entry` names it.
    pub endpoints: &'a [(Address, Port)],
    /// The entry as it is.
    pub entry: Option<&'a str>,
}

/// Writes down that `slot` gets the requests; `upstream` is the routing.
///
/// Returns an error if a variable cannot hold it, or if the file that is there cannot be read.
pub fn render(
    app: &AppName,
    slot: &SlotName,
    service: &ServiceUrl,
    upstream: &[(Address, Port, Weight)],
    known: &Known<'_>,
) -> Result<Texts, ServiceUrlError> {
    if service.upstream_file.is_some() {
        let block = block(app, slot, upstream);
        return Ok(Texts {
            entry: line(service, &block.name),
            upstreams: upstreams(app, &block, known)?,
        });
    }
    let [(address, port, _)] = upstream else {
        let (slot, count, variable) = (slot.clone(), upstream.len(), service.variable.clone());
        return Err(ServiceUrlError::Several {
            slot,
            count,
            variable,
        });
    };
    if !is_ip(address) {
        let address = address.clone();
        return Err(ServiceUrlError::Name { address });
    }
    Ok(Texts {
        entry: line(service, &format!("{}:{port}", address.in_url())),
        upstreams: None,
    })
}

/// Whether an address is a number and no name.
pub fn is_ip(address: &Address) -> bool {
    address.as_str().parse::<IpAddr>().is_ok()
}

fn line(service: &ServiceUrl, to: &str) -> String {
    format!("set ${} http://{to};\n", service.variable)
}

struct Block {
    name: String,
    text: String,
}

fn prefix(app: &AppName) -> String {
    format!("nonstop_{}_", identifier(app.as_str()))
}

fn block(app: &AppName, slot: &SlotName, upstream: &[(Address, Port, Weight)]) -> Block {
    let mut servers = String::new();
    for (address, port, weight) in upstream.iter().filter(|(_, _, weight)| weight.0 > 0) {
        let weight = match weight.0 {
            1 => String::new(),
            more => format!(" weight={more}"),
        };
        let address = address.in_url();
        writeln!(
            servers,
            "    server {address}:{port}{weight} max_fails=2 fail_timeout=2s;"
        )
        .expect("a String takes every text");
    }
    let digest = &Sha256::digest(&servers)[..DIGEST_BYTES];
    let digest = data_encoding::HEXLOWER.encode(digest);
    let name = format!("{}{}_{digest}", prefix(app), identifier(slot.as_str()));
    let text = format!("upstream {name} {{\n{servers}}}\n");
    Block { name, text }
}

/// The file with the block in it and without blocks that nobody needs; `None` where it has the block.
fn upstreams(app: &AppName, block: &Block, known: &Known<'_>) -> Result<Option<String>, ServiceUrlError> {
    let Some(text) = known.text else {
        let head = format!(
            "# Written by nonstop for {app}: upstreams, of which the file of `nginx.include` names one.\n"
        );
        return Ok(Some(head + &block.text));
    };
    let directives =
        parse_directives(text).map_err(|(line, reason)| ServiceUrlError::Upstreams { line, reason })?;
    let named = |name: &str| {
        directives
            .iter()
            .any(|it| it.name == "upstream" && it.args == [name])
    };
    if named(&block.name) {
        return Ok(None);
    }
    let (prefix, servers) = (prefix(app), servers(known.endpoints));
    let mut kept = String::new();
    let mut copied = 0;
    for directive in directives.iter().filter(|it| it.name == "upstream") {
        let [name] = directive.args.as_slice() else {
            continue;
        };
        let is_live = known.entry.is_some_and(|entry| entry.contains(name.as_str()));
        let mut inside = directive.block.iter().flatten().filter_map(|it| it.args.first());
        if name.starts_with(&prefix) && !is_live && inside.any(|server| !servers.contains(server)) {
            kept.push_str(&text[copied..directive.span.start]);
            copied = directive.span.end;
            copied += text[copied..].len() - text[copied..].trim_start_matches(['\r', '\n']).len();
        }
    }
    kept.push_str(&text[copied..]);
    if !kept.is_empty() && !kept.ends_with('\n') {
        kept.push('\n');
    }
    Ok(Some(kept + &block.text))
}

fn servers(endpoints: &[(Address, Port)]) -> Vec<String> {
    let server = |(address, port): &(Address, Port)| format!("{}:{port}", address.in_url());
    endpoints.iter().map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::super::names::RemotePath;
    use super::*;

    fn service(upstream_file: Option<&str>) -> ServiceUrl {
        ServiceUrl {
            variable: "service_url".to_owned(),
            upstream_file: upstream_file.map(|path| RemotePath::new(path).expect("a path")),
        }
    }

    fn endpoint(address: &str, port: u16) -> (Address, Port) {
        (
            Address::new(address).expect("an address"),
            Port::new(port).expect("a port"),
        )
    }

    fn texts(
        slot: &str,
        endpoints: &[(Address, Port)],
        file: Option<&str>,
        known: &Known<'_>,
    ) -> Result<Texts, ServiceUrlError> {
        let (app, slot) = (AppName::new("sokdak"), SlotName::new(slot));
        let routing: Vec<_> = endpoints
            .iter()
            .map(|(address, port)| (address.clone(), *port, Weight(1)))
            .collect();
        render(
            &app.expect("a name"),
            &slot.expect("a name"),
            &service(file),
            &routing,
            known,
        )
    }

    const NOTHING: Known<'_> = Known {
        text: None,
        endpoints: &[],
        entry: None,
    };

    #[test]
    fn one_endpoint_is_the_line_that_the_users_script_wrote() {
        let texts = texts("green", &[endpoint("127.0.0.1", 8082)], None, &NOTHING);
        let texts = texts.expect("an address");
        assert_eq!(texts.entry, "set $service_url http://127.0.0.1:8082;\n");
        assert_eq!(texts.upstreams, None);
    }

    #[test]
    fn what_a_variable_cannot_hold_is_refused() {
        let name = texts("green", &[endpoint("localhost", 8082)], None, &NOTHING);
        assert!(matches!(name, Err(ServiceUrlError::Name { .. })), "{name:?}");
        let both = [endpoint("10.0.0.1", 8082), endpoint("10.0.0.2", 8082)];
        let several = texts("green", &both, None, &NOTHING);
        assert!(matches!(several, Err(ServiceUrlError::Several { count: 2, .. })));
    }

    #[test]
    fn an_upstream_that_is_there_is_never_changed_and_others_stay_as_long_as_they_lead_to_ours() {
        let file = Some("/etc/nginx/conf.d/sokdak.conf");
        let all = ["10.0.0.1", "10.0.0.2"].map(|address| [8081, 8082].map(|port| endpoint(address, port)));
        let all = all.concat();
        let known = Known {
            endpoints: &all,
            ..NOTHING
        };
        let green = [all[1].clone(), all[3].clone()];
        let first = texts("green", &green, file, &known).expect("texts");
        let written = first.upstreams.expect("a file");
        let name = first.entry.trim_start_matches("set $service_url http://");
        let name = name.trim_end_matches(";\n");
        assert!(name.starts_with("nonstop_sokdak_green_"), "{name}");
        assert!(
            written.ends_with(&format!(
                "upstream {name} {{\n    server 10.0.0.1:8082 max_fails=2 fail_timeout=2s;\n    \
                 server 10.0.0.2:8082 max_fails=2 fail_timeout=2s;\n}}\n"
            )),
            "{written}"
        );
        let there = Known {
            text: Some(&written),
            ..known
        };
        let again = texts("green", &green, file, &there).expect("texts");
        assert_eq!((again.entry, again.upstreams), (first.entry.clone(), None));

        let own = format!("{written}# mine\nupstream mine {{ server 10.9.9.9:80; }}\n");
        let there = Known {
            text: Some(&own),
            ..known
        };
        let half = texts("green", &green[..1], file, &there).expect("texts");
        let half_written = half.upstreams.expect("another block");
        assert!(half_written.starts_with(&own), "{half_written}");
        assert_ne!(half.entry, first.entry);

        // The second host is gone from the inventory: its upstream goes, unless requests go there still.
        let gone = Known {
            text: Some(&half_written),
            endpoints: &all[..2],
            entry: None,
        };
        let blue = texts("blue", &all[..1], file, &gone)
            .expect("texts")
            .upstreams
            .expect("a file");
        assert!(
            !blue.contains(name) && blue.contains("# mine\nupstream mine"),
            "{blue}"
        );
        let live = Known {
            entry: Some(&first.entry),
            ..gone
        };
        let blue = texts("blue", &all[..1], file, &live)
            .expect("texts")
            .upstreams
            .expect("a file");
        assert!(blue.contains(name), "{blue}");
    }
}

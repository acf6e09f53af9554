//! What texts of a playbook may hold that end up in an nginx file, a request or a process: each rule
//! says what is wrong, continuing the sentence "`listen` …".

use crate::model::names::{Address, Port, RemotePath};

type Rule = Result<(), &'static str>;

fn all(text: &str, ok: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(ok)
}

/// The path and query of a request.
pub(super) fn url_path(text: &str) -> Rule {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err("must start with one `/`");
    }
    if text.len() > 1024
        || !all(text, |c| {
            c.is_ascii_alphanumeric() || "/_.~%?=&+:@,-!*".contains(c)
        })
    {
        return Err("may hold only characters of a URL's path: letters, digits and `/_.~%?=&+:@,-!*`");
    }
    Ok(())
}

/// A name for nginx's `server_name`: a DNS name, one with a leading or trailing `*`, or `_`.
pub(super) fn server_name(text: &str) -> Rule {
    let plain = text
        .strip_prefix("*.")
        .or_else(|| text.strip_prefix('.'))
        .unwrap_or(text);
    let plain = plain.strip_suffix(".*").unwrap_or(plain);
    if text.starts_with('~') {
        return Err("must be a plain name: regular expressions are not supported");
    }
    if text.len() > 253
        || !all(plain, |c| c.is_ascii_alphanumeric() || "_.-".contains(c))
        || plain.contains("..")
    {
        return Err("must be a host name, such as `www.example.com` or `*.example.com`");
    }
    Ok(())
}

/// A size as nginx writes it.
pub(super) fn size(text: &str) -> Rule {
    let digits = text.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']).unwrap_or(text);
    if digits.len() > 9 || !all(digits, |c| c.is_ascii_digit()) {
        return Err("must be a size such as `512k`, `20m` or `1g`");
    }
    Ok(())
}

/// A port, or an address and a port, as nginx's `listen` takes it.
pub(super) fn listen(text: &str) -> Rule {
    parse_listen(text).map(|_| ())
}

/// The address (`None` for all) and the port of a `listen` value.
pub(super) fn parse_listen(text: &str) -> Result<(Option<Address>, Port), &'static str> {
    const REASON: &str = "must be a port, or an address and a port, such as `80`, `10.0.0.5:80` or `[::]:80`";
    let (address, port) = match text.rsplit_once(':') {
        Some((address, port)) => (Some(address), port),
        None => (None, text),
    };
    if port.starts_with('0') || !all(port, |c| c.is_ascii_digit()) {
        return Err(REASON);
    }
    let port: Port = port.parse().map_err(|_| REASON)?;
    let address = match address {
        None | Some("*" | "0.0.0.0") => None,
        Some(bracketed) if bracketed.starts_with('[') => {
            let inner = bracketed[1..].strip_suffix(']').ok_or(REASON)?;
            let ip: std::net::Ipv6Addr = inner.parse().map_err(|_| REASON)?;
            let ip = if ip.is_unspecified() {
                std::net::Ipv6Addr::LOCALHOST
            } else {
                ip
            };
            Some(Address::new(ip.to_string()).map_err(|_| REASON)?)
        }
        Some(plain) if plain.contains(':') => return Err(REASON),
        Some(plain) => Some(Address::new(plain).map_err(|_| REASON)?),
    };
    Ok((address, port))
}

/// A program: a name for the `PATH`, or a path.
pub(super) fn program(text: &str) -> Rule {
    let word = all(text, |c| c.is_ascii_alphanumeric() || "_.+-/~".contains(c));
    let path = text.contains('/');
    if !word || text.starts_with('-') || (path && !text.starts_with("./") && RemotePath::new(text).is_err()) {
        return Err("must be a program's name or path");
    }
    Ok(())
}

/// A path on a host.
pub(super) fn remote_path(text: &str) -> Rule {
    RemotePath::new(text).map(|_| ()).map_err(|error| error.reason)
}

/// A port number.
pub(super) fn port(text: &str) -> Rule {
    match text.parse::<Port>() {
        Ok(_) if !text.starts_with(['0', '+']) => Ok(()),
        _ => Err("must be a port from 1 to 65535"),
    }
}

/// The name of an environment variable that may be set.
pub(super) fn environment_name(text: &str) -> Rule {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || text.len() > 128 || !all(text, |c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must be a name of letters, digits and `_`");
    }
    if text.starts_with("NONSTOP_") {
        return Err("is set by nonstop itself");
    }
    if matches!(
        text,
        "UID" | "EUID" | "PPID" | "BASHOPTS" | "SHELLOPTS" | "BASH_VERSINFO"
    ) {
        return Err("is set by the host's shell itself");
    }
    Ok(())
}

/// The name of a variable for templates.
pub(super) fn variable_name(text: &str) -> Rule {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || text.len() > 128 || !all(text, |c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must be a name of letters, digits and `_`, so that a template can ask for it");
    }
    Ok(())
}

/// The name of an nginx variable, without its `$`.
pub(super) fn nginx_variable(text: &str) -> Rule {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || text.len() > 64 || !all(text, |c| c.is_ascii_alphanumeric() || c == '_') {
        return Err("must be the name of a variable without its `$`: letters, digits and `_`");
    }
    Ok(())
}

/// A JSON field, with dots between levels.
pub(super) fn json_field(text: &str) -> Rule {
    if text.len() > 256 || !all(text, |c| c.is_alphanumeric() || "_.-$@".contains(c)) {
        return Err("must name a JSON field, with dots between levels");
    }
    Ok(())
}

/// The URL of a proof: scheme, host, perhaps a port, perhaps a path.
pub(super) fn proof_url(text: &str) -> Rule {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or("must start with `http://` or `https://`")?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    url_path(path)?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed
            .split_once(']')
            .ok_or("has a bracket that is never closed")?,
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    if Address::new(host).is_err() {
        return Err("must name a host after `://`");
    }
    match port.strip_prefix(':') {
        Some(number) => self::port(number),
        None if port.is_empty() => Ok(()),
        None => Err("has something other than a port after the host"),
    }
}

/// The glob of an artifact.
pub(super) fn artifact(text: &str) -> Rule {
    if glob::Pattern::new(text).is_err() {
        return Err("is not a glob such as `build/libs/*.jar`");
    }
    let jar = std::path::Path::new(text)
        .extension()
        .is_some_and(|extension| extension == "jar");
    if !jar && !text.ends_with('*') {
        return Err("must name jar files, such as `build/libs/*.jar`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_out_of_an_nginx_line_is_refused_everywhere() {
        let bad = [
            "", "a b", "a;b", "a{", "a}", "$a", "a\"", "a'", "a\nb", "a\\b", "a#b", "é\u{7}",
        ];
        let rules: [fn(&str) -> Rule; 6] = [url_path, server_name, size, listen, program, proof_url];
        for text in bad {
            for rule in rules {
                assert!(rule(text).is_err(), "{text:?}");
                assert!(rule(&format!("/{text}")).is_err() || text.is_empty(), "{text:?}");
            }
        }
    }

    #[test]
    fn listen_takes_what_nginx_takes_for_tcp() {
        let port = |number| Port::new(number).expect("valid");
        assert_eq!(parse_listen("80"), Ok((None, port(80))));
        assert_eq!(parse_listen("*:80"), Ok((None, port(80))));
        let local = Address::new("127.0.0.1").ok();
        assert_eq!(parse_listen("127.0.0.1:8080"), Ok((local, port(8080))));
        assert_eq!(parse_listen("[::]:80"), Ok((Address::new("::1").ok(), port(80))));
        for bad in [
            "0",
            "080",
            "65536",
            "127.0.01:80",
            "::1:80",
            "[::1]",
            "unix:/x",
            "80 ssl",
        ] {
            assert!(parse_listen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_url_of_a_proof_needs_scheme_and_host() {
        for good in [
            "http://sokdak.example",
            "https://a.b:8443/version",
            "http://[::1]:80/",
            "http://10.0.0.1/x?y=1",
        ] {
            assert_eq!(proof_url(good), Ok(()), "{good}");
        }
        for bad in [
            "sokdak.example",
            "ftp://a/",
            "http:///x",
            "http://a:99999/",
            "http://a:b/",
            "http://u@h/",
            "http://a//b c",
        ] {
            assert!(proof_url(bad).is_err(), "{bad}");
        }
    }
}

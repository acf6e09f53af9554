//! A bastion as OpenSSH writes it: `[user@]host[:port]`, several of them with commas between.

use crate::model::names::{Address, Port, UserName};

use super::SettingsError;

/// One bastion of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) user: Option<UserName>,
    pub(super) host: Address,
    pub(super) port: Option<Port>,
}

/// Reads a chain of bastions, the first one to connect to first; `none` is an empty chain.
pub(super) fn parse(text: &str) -> Result<Vec<Jump>, SettingsError> {
    if text.trim().is_empty() || text.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    text.split(',').map(|one| parse_one(one.trim())).collect()
}

fn parse_one(text: &str) -> Result<Jump, SettingsError> {
    let bad = || SettingsError::BadJump(text.to_owned());
    let rest = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(UserName::new(user).map_err(|_| bad())?), rest),
        None => (None, rest),
    };
    let (host, port) = split_port(rest).ok_or_else(bad)?;
    let port = match port {
        Some(port) => Some(port.parse().map_err(|_| bad())?),
        None => None,
    };
    Ok(Jump {
        user,
        host: Address::new(host).map_err(|_| bad())?,
        port,
    })
}

/// Splits `host:port`, `[v6]:port` and the bare forms of both.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (Option<String>, String, Option<u16>) {
        let jump = parse(text).expect(text).remove(0);
        let user = jump.user.map(|user| user.to_string());
        (user, jump.host.to_string(), jump.port.map(Port::number))
    }

    #[test]
    fn a_bastion_may_have_a_user_and_a_port() {
        assert_eq!(one("b"), (None, "b".into(), None));
        assert_eq!(one("ops@b:2222"), (Some("ops".into()), "b".into(), Some(2222)));
        assert_eq!(one("ssh://ops@b"), (Some("ops".into()), "b".into(), None));
        assert_eq!(one("[::1]:22"), (None, "::1".into(), Some(22)));
        assert_eq!(one("::1"), (None, "::1".into(), None));
    }

    #[test]
    fn a_chain_keeps_its_order_and_none_is_no_bastion() {
        assert_eq!(parse("a,b").expect("a chain").len(), 2);
        assert!(parse("none").expect("none").is_empty());
    }

    #[test]
    fn what_could_become_an_option_of_ssh_is_refused() {
        for bad in [
            "-oProxyCommand=x",
            "a b",
            "u@-x",
            "b:0",
            "b:99999",
            "[::1",
            "$(x)@b",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

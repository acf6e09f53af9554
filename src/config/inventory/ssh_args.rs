//! The options of ssh's own command line, as Ansible's `ansible_ssh_common_args` and its like hold
//! them. Those that say where a host is are taken over; others are left out: nonstop does its own
//! checks of host keys, and has one connection a host anyway.

use std::path::PathBuf;

use crate::model::inventory::Connection;
use crate::model::names::{Address, InvalidName, Port, UserName};

/// ssh's flags that have a value.
const WITH_VALUE: &str = "BbcDEeFIiJLlmOoPpQRSWw";

/// Takes the options of a command line over, unless a variable has said the same already.
///
/// Returns what is wrong with single options, each to be read after the variable's name.
pub(super) fn apply_all(text: &str, connection: &mut Connection) -> Vec<String> {
    let Some(words) = shlex::split(text) else {
        return vec!["has a quote that is never closed".to_owned()];
    };
    let mut wrong = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let flag = word.strip_prefix('-').and_then(|rest| rest.chars().next());
        let Some(flag) = flag.filter(|flag| WITH_VALUE.contains(*flag)) else {
            continue;
        };
        let value = match &word[2..] {
            "" => words.next().unwrap_or_default(),
            attached => attached.to_owned(),
        };
        if let Some((key, value)) = option(flag, value)
            && let Err(message) = apply(&key, value, connection)
        {
            wrong.push(format!("cannot be followed: {message}"));
        }
    }
    wrong
}

/// The name, as in ssh's configuration, and the value of an option.
fn option(flag: char, value: String) -> Option<(String, String)> {
    let named = |name: &str, value| Some((name.to_owned(), value));
    match flag {
        'J' => named("proxyjump", value),
        'i' => named("identityfile", value),
        'p' => named("port", value),
        'l' => named("user", value),
        'o' => {
            let (key, value) = value.split_once(['=', ' '])?;
            Some((key.trim().to_lowercase(), value.trim().to_owned()))
        }
        _ => None,
    }
}

/// Takes one option of ssh over, unless a variable has said the same already.
fn apply(key: &str, value: String, connection: &mut Connection) -> Result<(), String> {
    fn keep<T>(place: &mut Option<T>, value: T) {
        place.get_or_insert(value);
    }
    let wrong = |error: InvalidName| error.to_string();
    match key {
        "proxyjump" if jump_is_sound(&value) => keep(&mut connection.proxy_jump, value),
        "proxyjump" => return Err("ProxyJump must be `[user@]host[:port]`".to_owned()),
        "proxycommand" => {
            let other = "ProxyCommand is not supported, other than `ssh -W %h:%p HOST`: use `-J HOST`";
            keep(&mut connection.proxy_jump, as_jump(&value).ok_or(other)?);
        }
        "identityfile" => keep(&mut connection.identity_file, PathBuf::from(value)),
        "userknownhostsfile" => keep(&mut connection.user_known_hosts_file, PathBuf::from(value)),
        "hostkeyalias" => {
            let alias = Address::new(value).map_err(wrong)?;
            keep(&mut connection.host_key_alias, alias.into());
        }
        "port" => keep(&mut connection.port, value.parse().map_err(wrong)?),
        "user" => keep(&mut connection.user, UserName::new(value).map_err(wrong)?),
        "hostname" => keep(&mut connection.host_name, Address::new(value).map_err(wrong)?),
        _ => {}
    }
    Ok(())
}

/// The bastion of `ssh -W %h:%p [options] [user@]host`.
fn as_jump(command: &str) -> Option<String> {
    let words = shlex::split(command)?;
    let mut words = words.iter().map(String::as_str);
    if words.next()? != "ssh" {
        return None;
    }
    let (mut host, mut port, mut user, mut forwards) = (None, None, None, false);
    while let Some(word) = words.next() {
        match word {
            "-W" => forwards = words.next()? == "%h:%p",
            "-p" => port = Some(words.next()?),
            "-l" => user = Some(words.next()?),
            "-q" | "-A" | "-T" | "-x" => {}
            word if word.starts_with('-') || host.is_some() => return None,
            word => host = Some(word),
        }
    }
    let host = host.filter(|_| forwards)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let jump = format!("{user}{host}{port}");
    jump_is_sound(&jump).then_some(jump)
}

/// Whether a text is `[user@]host[:port]`, or several of them with commas; `none` is none.
pub(super) fn jump_is_sound(text: &str) -> bool {
    text.split(',').all(hop_is_sound)
}

fn hop_is_sound(text: &str) -> bool {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("?"))),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    user.is_none_or(|user| UserName::new(user).is_ok())
        && Address::new(host).is_ok()
        && port.is_none_or(|port| port.parse::<Port>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_say_where_a_host_is_count_and_others_do_not() {
        let mut connection = Connection {
            user: UserName::new("own").ok(),
            ..Connection::default()
        };
        let text = "-C -o ControlMaster=auto -oStrictHostKeyChecking=no -o \"ProxyJump me@b\" -p2222 -l other -i '/k 1'";
        assert_eq!(apply_all(text, &mut connection), Vec::<String>::new());
        assert_eq!(connection.proxy_jump.as_deref(), Some("me@b"));
        assert_eq!(connection.port, Port::new(2222).ok());
        assert_eq!(connection.user, UserName::new("own").ok());
        assert_eq!(connection.identity_file, Some(PathBuf::from("/k 1")));
        for bad in [
            "-o 'unclosed",
            "-p 99999",
            "-J 'a b'",
            "-o ProxyCommand='nc %h %p'",
            "-",
            "-o",
            "-J",
        ] {
            let said = apply_all(bad, &mut connection);
            assert_eq!(said.is_empty(), matches!(bad, "-" | "-o"), "{bad}: {said:?}");
        }
    }

    #[test]
    fn a_bastion_is_found_in_all_the_ways_to_write_it() {
        for good in [
            "bastion",
            "ubuntu@bastion:2222",
            "a@[::1]:22",
            "10.0.0.1",
            "a,b@c:22",
        ] {
            assert!(jump_is_sound(good), "{good}");
        }
        for bad in [
            "",
            "a b",
            "-oProxyCommand=x",
            "a@b@c:x",
            "host:0",
            "h;x",
            "a,",
            ",a",
        ] {
            assert!(!jump_is_sound(bad), "{bad}");
        }
        assert_eq!(
            as_jump("ssh -W %h:%p -q ubuntu@bastion").as_deref(),
            Some("ubuntu@bastion")
        );
        assert_eq!(
            as_jump("ssh -p 2222 -l me -W %h:%p b").as_deref(),
            Some("me@b:2222")
        );
        assert_eq!(as_jump("nc -X 5 %h %p"), None);
    }
}

//! The variables that say how SSH reaches a host: Ansible's names, and OpenSSH's in snake_case.
//! Where a host has both, Ansible's name counts, because `port` or `user` may mean something else in
//! an inventory that was not written for nonstop.

use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;

use crate::model::inventory::{Connection, Vars};
use crate::model::names::{Address, InvalidName, Port, UserName};

use super::super::report::Problem;
use super::super::scalar;
use super::graph::{Var, VarMap};
use super::jinja;

const SSH_ARGS: [&str; 3] = [
    "ansible_ssh_args",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
];

/// Reads the connection of one host.
pub(super) struct Reader<'a> {
    written: &'a VarMap,
    rendered: Vars,
    wrong: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(written: &'a VarMap, rendered: Vars, wrong: &'a mut Vec<Problem>) -> Self {
        Self {
            written,
            rendered,
            wrong,
        }
    }

    /// What nginx proxies to, where a variable says so.
    pub(super) fn address(&mut self) -> Option<Address> {
        self.name(&["address"])
    }

    /// How SSH reaches the host.
    pub(super) fn connection(&mut self) -> Connection {
        self.way();
        let mut connection = Connection {
            host_name: self.name(&["ansible_host", "ansible_ssh_host", "host_name"]),
            port: self.name(&["ansible_port", "ansible_ssh_port", "port"]),
            user: self.name(&["ansible_user", "ansible_ssh_user", "user"]),
            identity_file: self.path(&[
                "ansible_ssh_private_key_file",
                "ansible_private_key_file",
                "identity_file",
            ]),
            proxy_jump: self.jump(&["proxy_jump"]),
            user_known_hosts_file: self.path(&["user_known_hosts_file"]),
            host_key_alias: self.name::<Address>(&["host_key_alias"]).map(String::from),
            become_root: self.become_root(),
        };
        for name in SSH_ARGS {
            self.ssh_args(name, &mut connection);
        }
        connection
    }

    /// Refuses ways other than SSH.
    fn way(&mut self) {
        let Some((name, var, way)) = self.text(&["ansible_connection"]) else {
            return;
        };
        match way.rsplit('.').next().unwrap_or_default() {
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => {}
            _ => {
                let problem = Problem::at(&var, format!("`{name}: {way}` is not supported yet"));
                self.wrong
                    .push(problem.hint("hosts are reached over SSH: a host may be reached at 127.0.0.1 too"));
            }
        }
    }

    /// The first of some variables that is set: its name, place and text. A value that is still a
    /// template, or is no text, is a problem.
    fn text(&mut self, names: &[&'static str]) -> Option<(&'static str, super::super::source::Spot, String)> {
        let name = names
            .iter()
            .copied()
            .find(|name| self.rendered.get(*name).is_some_and(|value| !value.is_null()))?;
        let value = &self.rendered[name];
        let spot = self
            .written
            .get(name)
            .map(|var: &std::rc::Rc<Var>| var.spot.clone())?;
        let text = match value {
            Value::String(text) if !jinja::is_open(value) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::String(text) => {
                let problem = Problem::at(&spot, format!("`{name}: {text}` cannot be rendered"));
                self.wrong
                    .push(problem.hint("nonstop knows the inventory's own variables, and no lookups"));
                return None;
            }
            Value::Object(map) if map.contains_key("__ansible_vault") => {
                let message = format!("`{name}` is encrypted with ansible-vault, which is not supported yet");
                self.wrong.push(Problem::at(&spot, message));
                return None;
            }
            _ => {
                self.wrong
                    .push(Problem::at(&spot, format!("`{name}` must be a text or a number")));
                return None;
            }
        };
        Some((name, spot, text))
    }

    fn name<T: FromStr<Err = InvalidName>>(&mut self, names: &[&'static str]) -> Option<T> {
        let (name, spot, text) = self.text(names)?;
        match T::from_str(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong.push(Problem::at(&spot, format!("`{name}`: {error}")));
                None
            }
        }
    }

    fn path(&mut self, names: &[&'static str]) -> Option<PathBuf> {
        let (name, spot, text) = self.text(names)?;
        if text.is_empty() || text.chars().any(char::is_control) {
            self.wrong
                .push(Problem::at(&spot, format!("`{name}` is no path")));
            return None;
        }
        Some(PathBuf::from(text))
    }

    fn jump(&mut self, names: &[&'static str]) -> Option<String> {
        let (name, spot, text) = self.text(names)?;
        if jump_is_sound(&text) {
            return Some(text);
        }
        self.wrong.push(Problem::at(
            &spot,
            format!("`{name}` must be `[user@]host[:port]`"),
        ));
        None
    }

    fn become_root(&mut self) -> Option<bool> {
        let (name, spot, text) = self.text(&["ansible_become"])?;
        let truth = match text.to_lowercase().as_str() {
            "1" | "1.0" | "y" | "t" => Some(true),
            "0" | "0.0" | "n" | "f" => Some(false),
            other => scalar::boolean(other),
        };
        if truth.is_none() {
            self.wrong
                .push(Problem::at(&spot, format!("`{name}` must be true or false")));
        }
        truth
    }

    /// The options of ssh's own command line that say where a host is. Others are left out: nonstop
    /// does its own checks of host keys, and has one connection a host anyway.
    fn ssh_args(&mut self, name: &'static str, connection: &mut Connection) {
        let Some((_, spot, text)) = self.text(&[name]) else {
            return;
        };
        let Some(words) = shlex::split(&text) else {
            self.wrong.push(Problem::at(
                &spot,
                format!("`{name}` has a quote that is never closed"),
            ));
            return;
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
                continue;
            };
            if !"JoiplFEcmbBDeILOQRSwW".contains(flag) {
                continue;
            }
            let value = match &word[2..] {
                "" => words.next().unwrap_or_default(),
                attached => attached.to_owned(),
            };
            let option = match flag {
                'J' => Some(("proxyjump".to_owned(), value)),
                'i' => Some(("identityfile".to_owned(), value)),
                'p' => Some(("port".to_owned(), value)),
                'l' => Some(("user".to_owned(), value)),
                'o' => value
                    .split_once(['=', ' '])
                    .map(|(key, value)| (key.trim().to_lowercase(), value.trim().to_owned())),
                _ => None,
            };
            if let Some((key, value)) = option
                && let Err(message) = apply(&key, value, connection)
            {
                self.wrong
                    .push(Problem::at(&spot, format!("`{name}`: {message}")));
            }
        }
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

/// Whether a text is `[user@]host[:port]`, with `[…]` around an IPv6 address; `none` is none.
fn jump_is_sound(text: &str) -> bool {
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
    fn a_bastion_is_found_in_all_the_ways_to_write_it() {
        for good in ["bastion", "ubuntu@bastion:2222", "a@[::1]:22", "10.0.0.1"] {
            assert!(jump_is_sound(good), "{good}");
        }
        for bad in ["", "a b", "-oProxyCommand=x", "a@b@c:x", "host:0", "h;x"] {
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

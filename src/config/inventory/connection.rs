//! The variables that say how a host is reached, most of them for SSH: Ansible's names, and OpenSSH's in snake_case.
//! Where a host has both, Ansible's name counts, because `port` or `user` may mean something else in
//! an inventory that was not written for nonstop.

use std::path::PathBuf;
use std::str::FromStr;

use serde_json::Value;

use crate::model::inventory::{Connection, Vars, Way};
use crate::model::names::{Address, InvalidName};

use super::super::report::Problem;
use super::super::scalar;
use super::graph::{Var, VarMap};
use super::jinja;
use super::ssh_args::{self, jump_is_sound};

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

    /// How the host is reached.
    pub(super) fn connection(&mut self) -> Connection {
        let mut connection = Connection {
            way: self.way(),
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

    /// Over SSH, or here; other ways are refused.
    fn way(&mut self) -> Way {
        let Some((name, var, way)) = self.text(&["ansible_connection"]) else {
            return Way::Ssh;
        };
        match way.rsplit('.').next().unwrap_or_default() {
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => Way::Ssh,
            "local" => Way::Local,
            _ => {
                let problem = Problem::at(&var, format!("`{name}: {way}` is not supported"));
                self.wrong
                    .push(problem.hint("hosts are reached over SSH, and the controller itself with `local`"));
                Way::Ssh
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

    /// The options of ssh's own command line that say where a host is.
    fn ssh_args(&mut self, name: &'static str, connection: &mut Connection) {
        let Some((_, spot, text)) = self.text(&[name]) else {
            return;
        };
        for wrong in ssh_args::apply_all(&text, connection) {
            self.wrong.push(Problem::at(&spot, format!("`{name}` {wrong}")));
        }
    }
}

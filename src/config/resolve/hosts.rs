//! One host of the application: ports, folders, files and listener.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::context;
use crate::model::inventory::{Host, Vars};
use crate::model::names::{Address, HostName, Port, RemotePath, SlotName};
use crate::model::playbook::{Nginx, Slot, SwitchStyle};
use crate::model::template::Template;
use crate::model::topology::{Listener, NginxHost, ServiceUrl, Topology, WasHost};

use super::super::inventory::{magic, rendered};
use super::super::rules;
use super::Resolver;

fn path(text: &str) -> Result<RemotePath, String> {
    RemotePath::new(text).map_err(|error| error.to_string())
}

impl Resolver<'_> {
    /// The host's variables with ours beside them.
    fn vars(&self, name: &HostName, host: &Host) -> Vars {
        let groups = &self.inventory.inventory.groups;
        let member_of = groups
            .iter()
            .filter(|(group, hosts)| group.as_str() != "all" && hosts.contains(name));
        let mut vars = rendered(
            &host.vars,
            &magic(name, member_of.map(|(group, _)| group.to_string()).collect()),
        );
        let text = |text: &str| Value::String(text.to_owned());
        vars.insert("host".to_owned(), text(name.as_str()));
        vars.insert("address".to_owned(), text(host.address.as_str()));
        vars.insert("app".to_owned(), text(self.playbook.playbook.app.as_str()));
        vars
    }

    fn state_dir(&mut self, name: &HostName, context: &Value) -> Option<RemotePath> {
        let template = self.playbook.playbook.state_dir.as_ref()?;
        self.value("state_dir", template, name, context, path)
    }

    /// A host that runs the application.
    pub(super) fn was(&mut self, name: &HostName) -> Option<WasHost> {
        let playbook = &self.playbook.playbook;
        let host = self.inventory.inventory.hosts.get(name)?;
        let vars = self.vars(name, host);
        let context = context::host(&vars);
        let mut ports: BTreeMap<SlotName, Port> = BTreeMap::new();
        let groups = &self.inventory.inventory.groups;
        let has = |slot: &&Slot| groups.get(&slot.group).is_some_and(|hosts| hosts.contains(name));
        let slots: Vec<_> = playbook.slots.iter().filter(has).collect();
        for slot in slots {
            let path = format!("slots.{}.port", slot.name);
            let parse = |text: &str| text.trim().parse::<Port>().map_err(|error| error.to_string());
            let port = self.value(&path, &slot.port, name, &context::slot(&vars, slot), parse);
            let taken = port.and_then(|port| ports.iter().find(|(_, other)| **other == port));
            if let Some((other, port)) = taken {
                let message = format!(
                    "slots `{other}` and `{}` have the same port on host `{name}`: {port}",
                    slot.name
                );
                self.problem(&path, message, None);
            }
            ports.extend(port.map(|port| (slot.name.clone(), port)));
        }
        let release_dir = self.value("release.dir", &playbook.release.dir, name, &context, path);
        let state_dir = self.state_dir(name, &context);
        let release_dir = release_dir?;
        let units = self.units(name, &vars, &ports);
        Some(WasHost {
            units,
            address: host.address.clone(),
            config_files: self.config_files(&vars, &release_dir, &ports),
            release_dir,
            state_dir,
            ports,
            vars,
            may_sudo: host.connection.become_root != Some(false),
        })
    }

    /// A host that routes to the application.
    pub(super) fn nginx(&mut self, name: &HostName) -> Option<NginxHost> {
        let nginx = &self.playbook.playbook.nginx;
        let host = self.inventory.inventory.hosts.get(name)?;
        let vars = self.vars(name, host);
        let context = context::host(&vars);
        let state_dir = self.state_dir(name, &context);
        let binary = self.value("nginx.binary", &nginx.binary, name, &context, |text| {
            rules::program(text)
                .map(|()| text.to_owned())
                .map_err(|reason| format!("`{text}` {reason}"))
        });
        let conf = nginx
            .conf
            .as_ref()
            .map(|conf| self.value("nginx.conf", conf, name, &context, path));
        let slot_files = self.slot_files(name, &context);
        let service_url = self.service_url_of(name, &context);
        let style = Style::of(nginx);
        let key = style.key;
        let file = self.value(&format!("{key}.file"), style.file, name, &context, path);
        let listen = self.value(&format!("{key}.listen"), style.listen, name, &context, |text| {
            rules::parse_listen(text).map_err(|reason| format!("`{text}` {reason}"))
        });
        for (slot, _) in slot_files.iter().filter(|(_, own)| file.as_ref() == Some(*own)) {
            let message = format!("the file of `{slot}` is the very file that is replaced on host `{name}`");
            self.problem(&format!("{key}.slots.{slot}"), message, None);
        }
        let (address, port) = listen?;
        let address = address.or_else(|| Address::new("127.0.0.1").ok());
        Some(NginxHost {
            address: host.address.clone(),
            state_dir,
            file: file?,
            slot_files,
            service_url,
            listener: Listener {
                address: address?,
                port,
                tls: style.tls,
                server_name: style.server_name,
            },
            binary: binary?,
            conf: match conf {
                None => None,
                Some(conf) => Some(conf?),
            },
            vars,
            may_sudo: host.connection.become_root != Some(false),
        })
    }

    /// The user's own file of each slot, where the style has them.
    fn slot_files(&mut self, host: &HostName, context: &Value) -> BTreeMap<SlotName, RemotePath> {
        let SwitchStyle::ConfPerSlot(conf) = &self.playbook.playbook.nginx.style else {
            return BTreeMap::new();
        };
        let mut files = BTreeMap::new();
        for (slot, file) in &conf.slots {
            let key = format!("nginx.conf_per_slot.slots.{slot}");
            let file = self.value(&key, file, host, context, path);
            files.extend(file.map(|file| (slot.clone(), file)));
        }
        files
    }

    /// What the file sets, where the style has a variable.
    fn service_url_of(&mut self, host: &HostName, context: &Value) -> Option<ServiceUrl> {
        let SwitchStyle::Include(include) = &self.playbook.playbook.nginx.style else {
            return None;
        };
        let upstream_file = include.upstream_file.as_ref();
        let key = "nginx.include.upstream_file";
        Some(ServiceUrl {
            variable: include.variable.clone(),
            upstream_file: upstream_file.and_then(|file| self.value(key, file, host, context, path)),
        })
    }

    /// Two hosts that nginx cannot tell apart would get each other's requests and proofs.
    pub(super) fn distinct(&mut self, topology: &Topology) {
        let mut seen: BTreeMap<&str, &HostName> = BTreeMap::new();
        for (name, host) in &topology.was {
            if let Some(other) = seen.insert(host.address.as_str(), name) {
                let shared = topology.was[other]
                    .ports
                    .values()
                    .any(|port| host.ports.values().any(|own| own == port));
                if shared {
                    let message = format!(
                        "hosts `{other}` and `{name}` have the same address and ports: {}",
                        host.address
                    );
                    let slot = &self.playbook.playbook.slots[0].name;
                    let hint =
                        "give each its own `address` in the inventory, or make the ports differ by host"
                            .to_owned();
                    self.problem(&format!("slots.{slot}.port"), message, Some(hint));
                }
            }
        }
    }
}

/// What all styles of a switch have.
struct Style<'a> {
    /// The key in the playbook.
    key: &'static str,
    file: &'a Template,
    listen: &'a Template,
    tls: bool,
    server_name: Option<String>,
}

impl<'a> Style<'a> {
    fn of(nginx: &'a Nginx) -> Self {
        match &nginx.style {
            SwitchStyle::Site(site) => Self {
                key: "nginx.site",
                file: &site.file,
                listen: &site.listen,
                tls: site.tls.is_some(),
                server_name: site.server_name.iter().find_map(|name| askable(name)),
            },
            SwitchStyle::ConfPerSlot(conf) => Self {
                key: "nginx.conf_per_slot",
                file: &conf.file,
                listen: &conf.listen,
                tls: proof_speaks_tls(nginx),
                server_name: conf.server_name.as_deref().and_then(askable),
            },
            SwitchStyle::Include(include) => Self {
                key: "nginx.include",
                file: &include.file,
                listen: &include.listen,
                tls: proof_speaks_tls(nginx),
                server_name: include.server_name.as_deref().and_then(askable),
            },
        }
    }
}

/// Only the proof's URL says what a server of the user's own speaks.
fn proof_speaks_tls(nginx: &Nginx) -> bool {
    let proof = nginx.proof.as_ref();
    proof.is_some_and(|proof| proof.url.starts_with("https://"))
}

/// A name that a request can ask for, of one for `server_name`.
fn askable(name: &str) -> Option<String> {
    let name = match name {
        "_" => return None,
        name if name.starts_with("*.") => format!("nonstop{}", &name[1..]),
        name if name.starts_with('.') => name[1..].to_owned(),
        name => name.to_owned(),
    };
    Some(match name.strip_suffix(".*") {
        Some(stem) => format!("{stem}.invalid"),
        None => name,
    })
}

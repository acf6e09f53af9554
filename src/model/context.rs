//! What templates see: host variables at the top level, and beside them `slot` and `release` where
//! they are known. One place, so that what `check` accepts is what a deploy renders.
//!
//! The variables of a host in a topology already hold `host` (its inventory name), `address` and
//! `app`; a variable of the inventory with one of these names, or named `slot` or `release`, is
//! hidden by ours.

use serde_json::{Value, json};

use super::inventory::Vars;
use super::names::{Port, ReleaseId, RemotePath};
use super::playbook::Slot;

/// A release as templates see it.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseFacts<'a> {
    /// `release.id`.
    pub id: &'a ReleaseId,
    /// `release.dir`: the release's own folder on the host.
    pub dir: &'a RemotePath,
    /// `release.jar`: the jar within that folder, as an absolute path.
    pub jar: &'a RemotePath,
    /// `release.version`.
    pub version: &'a str,
}

/// For templates that only ask for a host: folders, nginx files, `listen`.
pub fn host(vars: &Vars) -> Value {
    vars.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// For a slot's port, which is not known yet: `slot.name` and `slot.vars`.
pub fn slot(vars: &Vars, slot: &Slot) -> Value {
    let mut context = host(vars);
    context["slot"] = json!({ "name": slot.name, "vars": slot.vars });
    context
}

/// For a slot's unit: `slot.name`, `slot.port` and `slot.vars`.
pub fn placed(vars: &Vars, slot: &Slot, port: Port) -> Value {
    let mut context = host(vars);
    context["slot"] = json!({ "name": slot.name, "port": port, "vars": slot.vars });
    context
}

/// For whatever starts an instance: `slot.name`, `slot.port`, `slot.vars` and `release`.
pub fn instance(vars: &Vars, slot: &Slot, port: Port, release: &ReleaseFacts<'_>) -> Value {
    let mut context = placed(vars, slot, port);
    context["release"] = facts(release);
    context
}

/// For the proof of a switch on an nginx host: `slot.name`, `slot.vars` and `release` of what is to
/// answer. Ports differ by WAS host, so there is none.
pub fn proof(vars: &Vars, to: &Slot, release: &ReleaseFacts<'_>) -> Value {
    let mut context = slot(vars, to);
    context["release"] = facts(release);
    context
}

fn facts(release: &ReleaseFacts<'_>) -> Value {
    json!({
        "id": release.id,
        "dir": release.dir,
        "jar": release.jar,
        "version": release.version,
    })
}

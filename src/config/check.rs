//! What `nonstop check --json` prints.

use serde_json::{Map, Value, json};

use crate::model::inventory::Inventory;
use crate::model::topology::Topology;

/// Hosts, groups and variables of the inventory, and the hosts of the application, as resolved.
/// `inventory.groups` names all members of a group; `inventory.hosts.NAME.vars` is what
/// `ansible-inventory --list` shows as `_meta.hostvars`.
pub fn check_json(inventory: &Inventory, topology: &Topology) -> Value {
    json!({ "inventory": inventory_json(inventory), "topology": topology })
}

fn inventory_json(inventory: &Inventory) -> Value {
    let hosts: Map<String, Value> = inventory
        .hosts
        .iter()
        .map(|(name, host)| (name.to_string(), json!(host)))
        .collect();
    json!({ "groups": inventory.groups, "hosts": hosts })
}

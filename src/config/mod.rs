//! Floor 1: the files that a person writes. Reads an inventory and a playbook, checks every value, and
//! resolves both into the hosts of one application; whatever is wrong is reported at once, each
//! mistake with its place, its line and a hint. The command line calls [`load`]; nothing here
//! connects anywhere.

mod check;
pub mod combinations;
mod fields;
mod inventory;
mod merge;
mod playbook;
mod report;
mod resolve;
mod rules;
mod scalar;
mod secrets;
mod source;
mod suggest;
mod timestamp;
mod values;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use crate::model::inventory::Inventory;
use crate::model::playbook::Playbook;
use crate::model::secret::Secrets;
use crate::model::topology::Topology;

pub use self::check::check_json;
pub use self::inventory::{LoadedInventory, load_inventory};
pub use self::playbook::{LoadedPlaybook, Places, load_playbook};
pub use self::report::{Problem, Report};
pub use self::resolve::resolve;
pub use self::source::{Source, Spot};

/// Everything that the files say.
#[derive(Debug, Clone)]
pub struct Config {
    /// All hosts of the inventory.
    pub inventory: Inventory,
    /// The playbook.
    pub playbook: Playbook,
    /// The hosts of the application.
    pub topology: Topology,
    /// What is never shown.
    pub secrets: Secrets,
}

/// Reads and resolves an inventory and a playbook.
///
/// Returns all that is wrong with both.
pub fn load(inventory: &Path, playbook: &Path) -> Result<Config, Report> {
    let read = |path: &Path, option: &str, variable: &str| {
        Source::read(path).map_err(|problem| match path.try_exists() {
            Ok(false) => problem.hint(format!(
                "go to the folder that holds it, or name it with `{option} FILE` or in {variable}; `nonstop init` writes \
                 one to start from"
            )),
            _ => problem,
        })
    };
    let inventory = read(inventory, "-i", "NONSTOP_INVENTORY");
    let playbook = read(playbook, "-p", "NONSTOP_PLAYBOOK");
    match (inventory, playbook) {
        (Ok(inventory), Ok(playbook)) => load_sources(&inventory, &playbook),
        (inventory, playbook) => {
            let mut report = Report::default();
            report.problems.extend(inventory.err());
            report.problems.extend(playbook.err());
            Err(report)
        }
    }
}

/// The same as [`load`], of texts that are there already.
pub fn load_sources(inventory: &Arc<Source>, playbook: &Arc<Source>) -> Result<Config, Report> {
    let inventory = load_inventory(inventory);
    let (playbook, mut report) = playbook::read_as_far_as_possible(playbook);
    let config = match (inventory, playbook) {
        (Ok(inventory), Some(playbook)) => {
            let hidden = secrets::gather(&inventory.inventory, &playbook.playbook);
            secrets::check(&inventory.inventory, &playbook, &mut report);
            let topology = resolve(&playbook, &inventory);
            let topology = topology.map_err(|wrong| report.append(wrong)).ok();
            report.hide(&hidden);
            topology.map(|topology| Config {
                inventory: inventory.inventory,
                playbook: playbook.playbook,
                topology,
                secrets: hidden,
            })
        }
        (inventory, _) => {
            report.append(inventory.err().unwrap_or_default());
            None
        }
    };
    report.finish(config)
}

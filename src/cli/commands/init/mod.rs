//! `nonstop init`: writes an inventory and a playbook to start from. Asks on a terminal; with `--style` it takes
//! what the options say, and defaults. What it writes was read by the same code as `check` before.

mod answers;
mod ask;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::cli::Ended;
use crate::cli::args::{Common, Init};
use crate::cli::console;
use crate::cli::failure::CliError;
use crate::config::{self, Source};
use crate::model::outcome::Exit;

pub(in crate::cli) use answers::{Hosts, Ports, Style};

pub(super) fn run(common: &Common, init: &Init) -> Ended {
    let (inventory, playbook) = (&common.inventory, &common.playbook);
    for file in [inventory, playbook] {
        if file.symlink_metadata().is_ok() {
            return Err(is_there(file));
        }
    }
    let answers = match init.style {
        Some(style) => init.answers(style),
        None => ask::everything(init)?,
    };
    let texts = (answers.inventory(), answers.playbook());
    let sources = (
        Source::new(inventory.display().to_string(), texts.0.as_str()),
        Source::new(playbook.display().to_string(), texts.1.as_str()),
    );
    config::load_sources(&sources.0, &sources.1).map_err(|report| CliError::Config(report.to_string()))?;
    write(inventory, &texts.0)?;
    write(playbook, &texts.1)?;
    console::say(&format!(
        "wrote {} and {}: look through both, then `nonstop check`, `nonstop doctor` and `nonstop plan`; none of \
         them changes anything",
        inventory.display(),
        playbook.display()
    ));
    Ok(Exit::Done)
}

/// Writes a file that is not there.
fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let mut options = OpenOptions::new();
    let written = options.write(true).create_new(true).open(file);
    let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => is_there(file),
        _ => console::cannot_write(file, &error),
    })
}

fn is_there(file: &Path) -> CliError {
    CliError::Refused {
        message: format!(
            "{} is there already, and `init` writes over no file",
            file.display()
        ),
        hint: Some("-i FILE and -p FILE name others".to_owned()),
    }
}

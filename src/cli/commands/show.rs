//! `nonstop demo`, and the small application that it deploys.

use crate::cli::Ended;
use crate::cli::args::{Common, Demo};
use crate::cli::failure::CliError;

pub(super) fn run(_common: &Common, _args: &Demo) -> Ended {
    Err(CliError::Internal("not yet".to_owned()))
}

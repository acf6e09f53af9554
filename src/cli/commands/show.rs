//! `nonstop demo`, and the small application that it deploys.

use crate::cli::Ended;
use crate::cli::args::{Common, Demo, DemoApp};
use crate::cli::failure::CliError;
use crate::demo;
use crate::model::outcome::Exit;

pub(super) fn run(_common: &Common, _args: &Demo) -> Ended {
    Err(CliError::Internal("not yet".to_owned()))
}

pub(super) fn app(args: &DemoApp) -> Ended {
    let ended = demo::app::main(&args.words);
    ended.map(|()| Exit::Done).map_err(|error| CliError::Refused {
        message: error.to_string(),
        hint: None,
    })
}

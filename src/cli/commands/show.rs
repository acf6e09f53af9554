//! `nonstop demo`, and the small application that it deploys.

use std::error::Error;

use crate::cli::Ended;
use crate::cli::args::{Common, Demo, DemoApp};
use crate::cli::failure::CliError;
use crate::demo::{self, DemoError};
use crate::model::outcome::Exit;

pub(super) fn run(_common: &Common, args: &Demo) -> Ended {
    demo::show(args.jar.as_deref()).map_err(|error| {
        let hint = match &error {
            DemoError::Fleet(demo::fleet::FleetError::NoNginx) => {
                Some("install it, such as with `apt install nginx`")
            }
            _ => None,
        };
        refused(&error, hint)
    })
}

pub(super) fn app(args: &DemoApp) -> Ended {
    let ended = demo::app::main(&args.words);
    ended.map(|()| Exit::Done).map_err(|error| refused(&error, None))
}

fn refused(error: &dyn Error, hint: Option<&str>) -> CliError {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    CliError::Refused {
        message,
        hint: hint.map(str::to_owned),
    }
}

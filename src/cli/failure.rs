//! Why a command could not begin: a sentence, a cause, a hint and an exit code.

use crate::model::outcome::Exit;

/// Why a command could not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Inventory or playbook are refused; the text places every error.
    #[error("{0}")]
    Config(String),
    /// Something on the controller is not as it must be, such as a missing jar.
    #[error("{message}")]
    Refused {
        /// What.
        message: String,
        /// What helps.
        hint: Option<String>,
    },
    /// A bug, or a controller on which nothing can run.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    /// What the process exits with.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Config(_) => Exit::Config,
            Self::Refused { .. } => Exit::Refused,
            Self::Internal(_) => Exit::Internal,
        }
    }

    /// What helps, where there is something to say.
    pub(super) fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

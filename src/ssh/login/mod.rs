//! Owns how we log in: which keys are tried and in which order, where their passphrases come from,
//! and the agent. Secrets stay here; errors carry fingerprints and file names only.

mod agent;
mod key_file;
mod key_ring;
mod order;

use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;

pub use key_file::KeyError;
pub(super) use key_ring::KeyRing;
pub(super) use order::{Refusal, log_in};

/// A passphrase, which `Debug` does not show.
#[derive(Clone)]
pub struct Passphrase(pub String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Whether a person may be asked for a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prompt {
    /// No; an encrypted key without a passphrase is not used.
    #[default]
    Never,
    /// Yes, on the terminal; once for each key file of a run.
    Terminal,
}

impl Prompt {
    /// Asks where standard input is a terminal.
    pub fn where_possible() -> Self {
        if std::io::stdin().is_terminal() {
            Self::Terminal
        } else {
            Self::Never
        }
    }
}

/// A key, or a source of keys, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Type, fingerprint and file of the key; never a secret.
    pub what: String,
    /// What came of it.
    pub outcome: String,
}

/// Nobody lets us in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoginError {
    /// The key that the inventory names cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There was no key to offer.
    #[error("there is no key to log in with{}", list(tried))]
    NoKey {
        /// Where keys were looked for.
        tried: Vec<Tried>,
    },
    /// The server took none of the keys.
    #[error("the server took none of the keys for user `{user}`{}", list(tried))]
    Rejected {
        /// The user.
        user: String,
        /// The keys that were offered.
        tried: Vec<Tried>,
        /// The ways to log in that the server would have taken.
        methods: Vec<String>,
    },
}

fn list(tried: &[Tried]) -> String {
    let mut text = String::new();
    for one in tried {
        text.extend(["; ", &one.what, ": ", &one.outcome]);
    }
    text
}

/// A key file that waits for its passphrase.
#[derive(Debug)]
pub(super) struct Locked(pub(super) PathBuf);

//! What is in the way to a host, as far as what helps differs by it.

use serde::Serializer;

/// What kept a connection from being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Nobody knows the key that the host shows: it may be new, or somebody in the middle.
    HostKeyUnknown,
    /// The host's key is not the one on record, or is refused.
    HostKeyRefused,
    /// A key to log in with cannot be used.
    KeyFile {
        /// The file.
        file: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// Anything else.
    Other,
}

/// What is wrong with a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not there.
    Missing,
    /// It cannot be read.
    Unreadable,
    /// Others may read it.
    TooOpen,
    /// It is encrypted, and there is no passphrase that opens it.
    Locked,
    /// It holds no key.
    Format,
}

impl Obstacle {
    /// Whether the host's key is the reason: then somebody may be in the middle.
    pub fn is_host_key(&self) -> bool {
        matches!(self, Self::HostKeyUnknown | Self::HostKeyRefused)
    }
}

/// Writes whether the host's key is the reason, as programs read it.
pub(super) fn as_host_key<S: Serializer>(obstacle: &Obstacle, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(obstacle.is_host_key())
}

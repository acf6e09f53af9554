//! The idle connections of a host, by target.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::connection::Connection;

/// No more idle connections than this are kept for one target.
const IDLE: usize = 4;

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls_name: Option<String>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The idle connections.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Target, Vec<Connection>>>,
}

impl Pool {
    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<Target, Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that seems alive.
    pub(super) fn take(&self, target: &Target) -> Option<Connection> {
        let mut idle = self.idle();
        let kept = idle.get_mut(target)?;
        kept.retain(Connection::is_usable);
        kept.pop()
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(super) fn keep(&self, target: &Target, connection: Connection) {
        let mut idle = self.idle();
        let kept = idle.entry(target.clone()).or_default();
        if connection.is_usable() && kept.len() < IDLE {
            kept.push(connection);
        }
    }

    /// Closes what is kept for an address, with TLS and without.
    pub(super) fn forget(&self, host: &str, port: u16) {
        self.idle()
            .retain(|target, _| (target.host.as_str(), target.port) != (host, port));
    }
}

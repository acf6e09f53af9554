//! Where a process can be reached, and what runs there.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::{HostName, Port, ReleaseId};

/// A port on a WAS host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The host, by its inventory name.
    pub host: HostName,
    /// The TCP port.
    pub port: Port,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// An endpoint and the release that runs there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The release; `None` for a process that another tool started.
    pub release: Option<ReleaseId>,
}

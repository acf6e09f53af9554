//! The SSH agent: which keys it holds, and a login with one of them.

use std::path::Path;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PublicKey};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::super::handler::Handler;

/// An agent answers at once, unless it asks a person to confirm a signature.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the agent.
pub(super) struct Agent {
    client: AgentClient<UnixStream>,
    /// The plain keys that it holds.
    pub(super) keys: Vec<PublicKey>,
}

impl Agent {
    /// Connects and lists the keys. The error is for people.
    pub(super) async fn connect(socket: &Path, handle: &Handle<Handler>) -> Result<Self, String> {
        let connecting = async {
            let mut client = AgentClient::connect_uds(socket).await?;
            if let Some(binding) = handle.agent_session_binding() {
                // An agent without this extension says no and works all the same.
                let _ = client.bind_session(binding, false).await;
            }
            let identities = client.request_identities().await?;
            Ok::<_, russh::keys::Error>((client, identities))
        };
        let (client, identities) = match timeout(PATIENCE, connecting).await {
            Err(_) => return Err("it does not answer".to_owned()),
            Ok(Err(error)) => return Err(error.to_string()),
            Ok(Ok(connected)) => connected,
        };
        let keys = identities.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(Self {
            client,
            keys: keys.collect(),
        })
    }

    pub(super) fn holds(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|held| held.key_data() == key.key_data())
    }

    /// Logs in with a key that the agent holds. The error is for people.
    pub(super) async fn log_in(
        &mut self,
        handle: &mut Handle<Handler>,
        user: &str,
        key: PublicKey,
        hash: Option<HashAlg>,
    ) -> Result<AuthResult, String> {
        let login = handle.authenticate_publickey_with(user, key, hash, &mut self.client);
        login.await.map_err(|error| error.to_string())
    }
}

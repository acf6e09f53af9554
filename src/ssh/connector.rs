//! Owns the sessions of a run: one for each host, one for each bastion however many hosts are behind
//! it, handshakes capped, and tries repeated while a server is busy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::model::inventory::Inventory;
use crate::model::names::HostName;

use super::backoff::Backoff;
use super::error::{ConnectCause, ConnectError};
use super::handshake::{self, Failure, Terms};
use super::login::{KeyRing, LoginError};
use super::options::ConnectorOptions;
use super::session::Session;
use super::settings::{NamedBy, Resolver, Settings};

/// sshd's `MaxStartups` begins to drop connections at ten that have not logged in yet.
const HANDSHAKES_PER_SERVER: usize = 8;

/// Connects to the hosts of a run.
#[derive(Debug)]
pub struct Connector {
    resolver: Resolver,
    terms: Terms,
    connect_timeout: Duration,
    handshakes: Semaphore,
    servers: Mutex<HashMap<String, Arc<Semaphore>>>,
    sessions: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Kept>>>>,
}

/// The session of one host, or how the last try to get one ended.
#[derive(Debug, Default)]
enum Kept {
    #[default]
    Nothing,
    Session(Session),
    Failed(Arc<ConnectError>, Instant),
}

impl Connector {
    /// Makes a connector without any connection.
    pub fn new(options: ConnectorOptions) -> Self {
        Self {
            resolver: Resolver::new(&options),
            handshakes: Semaphore::new(options.forks.max(1)),
            connect_timeout: options.connect_timeout,
            terms: Terms {
                policy: options.host_key_policy,
                keepalive: options.keepalive.max(Duration::from_millis(100)),
                keys: KeyRing::new(options.passphrase, options.prompt),
            },
            servers: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    /// The session of a host: the one that there is, or a new one where there is none or it was lost.
    /// Returns an error if the host cannot be reached; nothing was run there then.
    pub async fn connect(&self, host: &HostName, inventory: &Inventory) -> Result<Session, ConnectError> {
        let settings = self
            .resolver
            .resolve(host, inventory)
            .await
            .map_err(|error| ConnectError {
                host: host.to_string(),
                address: host.to_string(),
                cause: error.into(),
            })?;
        self.session(Arc::new(settings))
            .await
            .map_err(|error| ConnectError::clone(&error))
    }

    /// All that ask for one session at once get the same answer, good or bad.
    async fn session(&self, settings: Arc<Settings>) -> Result<Session, Arc<ConnectError>> {
        let asked = Instant::now();
        let place = shared(&self.sessions, settings.connection_key(), Arc::default);
        let mut kept = place.lock().await;
        match &*kept {
            Kept::Session(session) if !session.is_lost() => return Ok(session.clone()),
            Kept::Failed(error, when) if *when >= asked => return Err(Arc::clone(error)),
            _ => {}
        }
        let result = self.reach(&settings).await.map_err(|cause| {
            let (host, address) = (settings.label.clone(), settings.address());
            Arc::new(ConnectError { host, address, cause })
        });
        *kept = match &result {
            Ok(session) => Kept::Session(session.clone()),
            Err(error) => Kept::Failed(Arc::clone(error), Instant::now()),
        };
        result
    }

    async fn reach(&self, settings: &Arc<Settings>) -> Result<Session, ConnectCause> {
        for identity in settings
            .identities
            .iter()
            .filter(|key| key.named_by == NamedBy::Inventory)
        {
            self.terms.keys.check(&identity.path).map_err(LoginError::from)?;
        }
        // The bastion comes before any permit is taken: it needs permits of its own.
        let bastion = match &settings.via {
            None => None,
            Some(via) => {
                let session = Box::pin(self.session(Arc::clone(via))).await;
                Some(session.map_err(ConnectCause::Bastion)?)
            }
        };
        loop {
            let tried = self.try_until_deadline(settings, bastion.as_ref()).await;
            match tried {
                Ok(session) => return Ok(session),
                Err(Failure::Final(cause)) => return Err(cause),
                Err(Failure::HungUp(detail)) => return Err(ConnectCause::HungUp { tries: 1, detail }),
                // A person needs longer than a server waits, so nobody holds a connection meanwhile.
                Err(Failure::Locked(locked)) => {
                    if let Err(error) = self.terms.keys.unlock(&locked.0).await {
                        tracing::warn!("{error}");
                    }
                }
            }
        }
    }

    /// Tries until the server lets us in, says no, or the time is over.
    async fn try_until_deadline(
        &self,
        settings: &Arc<Settings>,
        bastion: Option<&Session>,
    ) -> Result<Session, Failure> {
        let servers = self.servers_on_the_way(settings);
        let mut backoff = Backoff::new();
        let (mut tries, mut deadline) = (0, None);
        loop {
            let failure = {
                // The server's turn comes first, so that a long queue there takes no turn from others.
                let mut turns = Vec::new();
                for server in servers.iter().map(AsRef::as_ref).chain([&self.handshakes]) {
                    turns.push(server.acquire().await.expect("the semaphore is never closed"));
                }
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.connect_timeout);
                tries += 1;
                match handshake::attempt(settings, bastion, &self.terms, deadline).await {
                    Err(failure) => failure,
                    session => return session,
                }
            };
            let detail = match failure {
                Failure::HungUp(detail) => detail,
                Failure::Final(ConnectCause::TimedOut { phase, .. }) => {
                    return Err(ConnectCause::TimedOut {
                        phase,
                        after: self.connect_timeout,
                    }
                    .into());
                }
                failure => return Err(failure),
            };
            let again = Instant::now() + backoff.pause();
            if deadline.is_some_and(|deadline| again >= deadline) {
                return Err(ConnectCause::HungUp { tries, detail }.into());
            }
            tracing::debug!(
                host = settings.label,
                tries,
                detail,
                "the server hung up, trying again"
            );
            sleep_until(again).await;
        }
    }

    /// The servers on which a handshake weighs: the host's own, and its bastion's.
    fn servers_on_the_way(&self, settings: &Settings) -> Vec<Arc<Semaphore>> {
        let bastion = settings.via.as_ref().map(|via| via.connection_key());
        let keys = std::iter::once(settings.endpoint_key()).chain(bastion);
        let make = || Arc::new(Semaphore::new(HANDSHAKES_PER_SERVER));
        keys.map(|key| shared(&self.servers, key, make)).collect()
    }
}

/// The value of a key, made where there is none.
fn shared<T>(map: &Mutex<HashMap<String, Arc<T>>>, key: String, make: impl FnOnce() -> Arc<T>) -> Arc<T> {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(map.entry(key).or_insert_with(make))
}

//! The order in which keys are tried: the files that inventory or configuration name, then the
//! agent's, then OpenSSH's default files. An encrypted file is put off until all others are tried, so
//! that nobody is asked for a passphrase without need.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};

use super::super::handler::Handler;
use super::super::settings::{Identity, NamedBy, Settings};
use super::agent::Agent;
use super::key_file::{KeyError, KeyFile};
use super::{KeyRing, Locked, LoginError, Tried};

/// Why a login did not come about.
pub(in super::super) enum Refusal {
    /// For good.
    Final(LoginError),
    /// A passphrase is needed; then the whole connection is tried anew.
    Locked(Locked),
    /// The connection went away before the server said no to anything.
    HungUp,
}

/// Logs in, or says why not.
pub(in super::super) async fn log_in(
    handle: &mut Handle<Handler>,
    settings: &Settings,
    keys: &KeyRing,
) -> Result<(), Refusal> {
    let mut login = Login {
        handle,
        settings,
        keys,
        tried: Vec::new(),
        methods: Vec::new(),
        locked: None,
    };
    if login.run().await? {
        return Ok(());
    }
    Err(login.refusal())
}

struct Login<'a> {
    handle: &'a mut Handle<Handler>,
    settings: &'a Settings,
    keys: &'a KeyRing,
    tried: Vec<Tried>,
    methods: Vec<String>,
    locked: Option<Locked>,
}

impl Login<'_> {
    async fn run(&mut self) -> Result<bool, Refusal> {
        let mut agent = self.agent().await;
        let settings = self.settings;
        let (named, default): (Vec<_>, Vec<_>) = settings
            .identities
            .iter()
            .partition(|identity| identity.named_by != NamedBy::Default);
        for identity in named {
            if self.try_file(identity, agent.as_mut()).await? {
                return Ok(true);
            }
        }
        if let Some(agent) = agent.as_mut().filter(|_| !settings.identities_only) {
            for key in agent.keys.clone() {
                if self.try_agent(agent, key).await? {
                    return Ok(true);
                }
            }
        }
        for identity in default {
            if self.try_file(identity, agent.as_mut()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn agent(&mut self) -> Option<Agent> {
        let socket = self.settings.agent.as_deref()?;
        match Agent::connect(socket, self.handle).await {
            Ok(agent) => Some(agent),
            Err(reason) => {
                self.note(format!("agent at {}", socket.display()), reason);
                None
            }
        }
    }

    async fn try_file(&mut self, identity: &Identity, agent: Option<&mut Agent>) -> Result<bool, Refusal> {
        let path = identity.path.as_path();
        let file = match self.keys.look(path) {
            Ok(file) => file,
            Err(KeyError::Missing(_)) if identity.named_by == NamedBy::Default => return Ok(false),
            Err(error) if identity.named_by == NamedBy::Inventory => {
                return Err(Refusal::Final(error.into()));
            }
            Err(error) => {
                self.note(path.display().to_string(), error.to_string());
                return Ok(false);
            }
        };
        match file {
            KeyFile::Open(key) => self.try_key(path, key).await,
            KeyFile::Locked { .. } => self.try_locked(identity, &file, agent).await,
        }
    }

    /// An encrypted file needs no passphrase where the agent holds its key.
    async fn try_locked(
        &mut self,
        identity: &Identity,
        file: &KeyFile,
        agent: Option<&mut Agent>,
    ) -> Result<bool, Refusal> {
        let path = identity.path.as_path();
        if let (Some(public), Some(agent)) = (file.public(), agent)
            && agent.holds(public)
        {
            return self.try_agent(agent, public.clone()).await;
        }
        if self.keys.can_unlock() {
            self.locked.get_or_insert_with(|| Locked(path.to_path_buf()));
        }
        let error = KeyError::Locked(path.to_path_buf());
        if identity.named_by == NamedBy::Inventory && self.locked.is_none() {
            return Err(Refusal::Final(error.into()));
        }
        self.note(path.display().to_string(), error.to_string());
        Ok(false)
    }

    async fn try_key(&mut self, path: &Path, key: Arc<PrivateKey>) -> Result<bool, Refusal> {
        let what = format!("{} ({})", describe(key.public_key()), path.display());
        let Some(hash) = self.hash_for(key.public_key(), &what).await? else {
            return Ok(false);
        };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let result = self.handle.authenticate_publickey(&self.settings.user, key).await;
        let result = result.map_err(|_| self.hung_up())?;
        self.take(what, &result)
    }

    async fn try_agent(&mut self, agent: &mut Agent, key: PublicKey) -> Result<bool, Refusal> {
        let what = format!("{} (agent)", describe(&key));
        if self.tried.iter().any(|tried| tried.what == what) {
            return Ok(false);
        }
        let Some(hash) = self.hash_for(&key, &what).await? else {
            return Ok(false);
        };
        match agent.log_in(self.handle, &self.settings.user, key, hash).await {
            Ok(result) => self.take(what, &result),
            Err(_) if self.handle.is_closed() => Err(self.hung_up()),
            Err(reason) => {
                self.note(what, format!("the agent did not sign: {reason}"));
                Ok(false)
            }
        }
    }

    /// The hash to sign with: `Some(None)` where the key's type needs none, `None` where the server
    /// takes nothing better than SHA-1.
    async fn hash_for(&mut self, key: &PublicKey, what: &str) -> Result<Option<Option<HashAlg>>, Refusal> {
        if !matches!(key.algorithm(), russh::keys::Algorithm::Rsa { .. }) {
            return Ok(Some(None));
        }
        match self.handle.best_supported_rsa_hash().await {
            Err(_) => Err(self.hung_up()),
            Ok(Some(Some(hash))) => Ok(Some(Some(hash))),
            // A server that does not say takes SHA-2 all the same, unless it is from before 2016.
            Ok(None) => Ok(Some(Some(HashAlg::Sha256))),
            Ok(Some(None)) => {
                self.note(
                    what.to_owned(),
                    "the server takes SHA-1 signatures only".to_owned(),
                );
                Ok(None)
            }
        }
    }

    fn take(&mut self, what: String, result: &AuthResult) -> Result<bool, Refusal> {
        let AuthResult::Failure {
            remaining_methods,
            partial_success,
        } = result
        else {
            return Ok(true);
        };
        // russh answers with an empty list when the connection is gone.
        if remaining_methods.is_empty() && self.handle.is_closed() {
            return Err(self.hung_up());
        }
        self.methods = remaining_methods.iter().map(String::from).collect();
        let outcome = if *partial_success {
            format!(
                "accepted, but the server also wants {}",
                self.methods.join(" or ")
            )
        } else {
            "rejected".to_owned()
        };
        self.note(what, outcome);
        Ok(false)
    }

    /// A server that said no before and hangs up has had enough; otherwise it may be busy.
    fn hung_up(&mut self) -> Refusal {
        if self.tried.iter().any(|tried| tried.outcome == "rejected") {
            self.note("the server".to_owned(), "hung up after these".to_owned());
            return self.refusal();
        }
        Refusal::HungUp
    }

    fn refusal(&mut self) -> Refusal {
        if let Some(locked) = self.locked.take() {
            return Refusal::Locked(locked);
        }
        let tried = std::mem::take(&mut self.tried);
        let offered = |one: &Tried| one.outcome == "rejected" || one.outcome.starts_with("accepted");
        Refusal::Final(if tried.iter().any(offered) {
            let methods = std::mem::take(&mut self.methods);
            LoginError::Rejected {
                user: self.settings.user.clone(),
                tried,
                methods,
            }
        } else {
            LoginError::NoKey { tried }
        })
    }

    fn note(&mut self, what: String, outcome: String) {
        self.tried.push(Tried { what, outcome });
    }
}

/// Type and fingerprint of a key.
fn describe(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

//! What russh asks us during a connection: whether the host key is right, and how it ended.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use rand::RngExt;
use russh::client::{ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure};

use super::error::HostKeyError;
use super::known_hosts::{self, KnownHost, Lookup, Verdict};
use super::options::HostKeyPolicy;
use super::settings::Settings;

/// What the server said last, shared by the handler and the session.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    ended: OnceLock<String>,
    refusal: Mutex<String>,
}

impl Farewell {
    /// Why the connection ended, for people.
    pub(super) fn reason(&self) -> String {
        self.ended
            .get()
            .cloned()
            .unwrap_or_else(|| "the connection is gone".to_owned())
    }

    /// The words that came with the last channel that the server refused. They are a hint only:
    /// russh does not say which channel they belong to.
    pub(super) fn last_refusal(&self) -> String {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What the handshake may end with.
#[derive(Debug)]
pub(super) enum HandlerError {
    Russh(russh::Error),
    HostKey(HostKeyError),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Answers russh's questions about one connection.
#[derive(Debug)]
pub(super) struct Handler {
    known: KnownHost,
    lookup: Lookup,
    policy: HostKeyPolicy,
    files: Vec<PathBuf>,
    record_in: Option<PathBuf>,
    hash_names: bool,
    farewell: Arc<Farewell>,
}

impl Handler {
    pub(super) fn new(
        settings: &Settings,
        known: KnownHost,
        policy: HostKeyPolicy,
        farewell: Arc<Farewell>,
    ) -> Self {
        Self {
            known,
            lookup: settings.lookup(),
            policy,
            files: settings.known_hosts_files(),
            record_in: settings.user_known_hosts.first().cloned(),
            hash_names: settings.hash_known_hosts,
            farewell,
        }
    }

    fn judge(&self, presented: &PublicKeyOrCertificate) -> Result<(), HostKeyError> {
        let name = self.lookup.recorded_name();
        let key = presented.public_key();
        let (algorithm, fingerprint) = (
            key.algorithm().to_string(),
            key.fingerprint(HashAlg::Sha256).to_string(),
        );
        match self.known.judge(presented, SystemTime::now()) {
            Verdict::Known => Ok(()),
            Verdict::Unknown if self.policy == HostKeyPolicy::AcceptNew => self.record(&key),
            Verdict::Unknown => {
                let files = self.files.clone();
                Err(HostKeyError::Unknown {
                    name,
                    algorithm,
                    fingerprint,
                    files,
                })
            }
            Verdict::Changed(recorded) => Err(HostKeyError::Changed {
                name,
                algorithm,
                fingerprint,
                recorded,
            }),
            Verdict::Revoked(recorded) => Err(HostKeyError::Revoked { name, recorded }),
            Verdict::BadCertificate(fault) => Err(HostKeyError::Certificate { name, fault }),
        }
    }

    fn record(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        // `UserKnownHostsFile none` is a person's decision to record nothing.
        let Some(file) = &self.record_in else {
            return Ok(());
        };
        let salt = self.hash_names.then(|| rand::rng().random());
        known_hosts::append(file, &self.lookup, key, salt).map_err(|source| HostKeyError::NotRecorded {
            file: file.clone(),
            source: Arc::new(source),
        })?;
        tracing::warn!(name = %self.lookup.recorded_name(), file = %file.display(), "recorded a new host");
        Ok(())
    }
}

/// Refuses what russh accepts where nobody says otherwise: no server has anything to open with us, and a
/// hostile one could go on for ever. Whoever drops the handle of a reply refuses.
macro_rules! refuse_to_open {
    ($($kind:ident($($told:ty),*);)*) => {
        $(
            async fn $kind(
                &mut self,
                _: Channel<Msg>,
                $(_: $told,)*
                _: ChannelOpenHandle,
                _: &mut Session,
            ) -> Result<(), HandlerError> {
                Ok(())
            }
        )*
    };
}

impl russh::client::Handler for Handler {
    type Error = HandlerError;

    refuse_to_open! {
        server_channel_open_session();
        server_channel_open_agent_forward();
        server_channel_open_x11(&str, u32);
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_streamlocal(&str);
    }

    async fn check_server_key(&mut self, presented: &PublicKeyOrCertificate) -> Result<bool, HandlerError> {
        self.judge(presented).map_err(HandlerError::HostKey)?;
        Ok(true)
    }

    async fn channel_open_failure(
        &mut self,
        _: ChannelId,
        _: ChannelOpenFailure,
        description: &str,
        _: &str,
        _: &mut Session,
    ) -> Result<(), HandlerError> {
        let mut refusal = self
            .farewell
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        description.clone_into(&mut refusal);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandlerError>) -> Result<(), HandlerError> {
        let words = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the server said: {}", info.message),
            DisconnectReason::Error(HandlerError::Russh(russh::Error::KeepaliveTimeout)) => {
                "the server gave no sign of life".to_owned()
            }
            DisconnectReason::Error(HandlerError::Russh(russh::Error::InactivityTimeout)) => {
                "nothing went through any more".to_owned()
            }
            DisconnectReason::Error(HandlerError::Russh(error)) => error.to_string(),
            DisconnectReason::Error(HandlerError::HostKey(error)) => error.to_string(),
        };
        let _ = self.farewell.ended.set(words);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

//! One try to reach a host: a stream, the key exchange with the check of the host key, the login.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::{ConnectCause, HostKeyError, Phase};
use super::handler::{Farewell, Handler, HandlerError};
use super::known_hosts::KnownHost;
use super::login::{KeyRing, Locked, Refusal, log_in};
use super::options::HostKeyPolicy;
use super::session::Session;
use super::settings::Settings;

/// AES-GCM is fastest where the processor has AES; russh leaves aes128-gcm out of its own list.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// How many unanswered signs of life end a connection.
const KEEPALIVES: u32 = 3;

/// What all tries of a run share.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) policy: HostKeyPolicy,
    pub(super) keepalive: Duration,
    pub(super) keys: KeyRing,
}

/// Why a try did not end in a login.
pub(super) enum Failure {
    /// Another try would end the same way.
    Final(ConnectCause),
    /// The server hung up early; it may be busy.
    HungUp(String),
    /// A passphrase is needed first.
    Locked(Locked),
}

impl<C: Into<ConnectCause>> From<C> for Failure {
    fn from(cause: C) -> Self {
        Self::Final(cause.into())
    }
}

/// Opens a way to the host, directly or through its bastion, and logs in.
pub(super) async fn attempt(
    settings: &Arc<Settings>,
    bastion: Option<&Session>,
    terms: &Terms,
    deadline: Instant,
) -> Result<Session, Failure> {
    let farewell = Arc::new(Farewell::default());
    let ready = prepare(settings, terms, &farewell)?;
    let handle = match bastion {
        None => greet(tcp(settings, deadline).await?, ready, deadline, &farewell).await?,
        Some(bastion) => {
            let way = bastion.open_way(&settings.host, settings.port);
            let stream = within(deadline, Phase::Forward, way).await??;
            greet(stream, ready, deadline, &farewell).await?
        }
    };
    let mut handle = handle;
    let login = log_in(&mut handle, settings, &terms.keys);
    match within(deadline, Phase::Login, login).await? {
        Ok(()) => Ok(Session::new(
            Arc::clone(settings),
            handle,
            farewell,
            bastion.cloned(),
        )),
        Err(Refusal::Final(error)) => Err(error.into()),
        Err(Refusal::Locked(locked)) => Err(Failure::Locked(locked)),
        Err(Refusal::HungUp) => Err(Failure::HungUp(farewell.reason())),
    }
}

/// Every wait on the way ends at the deadline, and says where it was.
async fn within<T>(deadline: Instant, phase: Phase, wait: impl Future<Output = T>) -> Result<T, Failure> {
    timeout_at(deadline, wait).await.map_err(|_| timed_out(phase))
}

/// The connector knows how long the host had.
fn timed_out(phase: Phase) -> Failure {
    Failure::Final(ConnectCause::TimedOut {
        phase,
        after: Duration::ZERO,
    })
}

async fn tcp(settings: &Settings, deadline: Instant) -> Result<TcpStream, Failure> {
    let lookup = tokio::net::lookup_host((settings.host.as_str(), settings.port));
    let addresses = within(deadline, Phase::Resolve, lookup).await?;
    let addresses = addresses.map_err(|error| ConnectCause::Resolve(Arc::new(error)))?;
    let addresses: Vec<_> = addresses.collect();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets must not use up the time of the next one.
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let until = Instant::now() + left / others;
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without this every small command waits for an acknowledgement, some 40 ms.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    match last.kind() {
        io::ErrorKind::ConnectionReset => Err(Failure::HungUp(last.to_string())),
        io::ErrorKind::TimedOut => Err(timed_out(Phase::Tcp)),
        _ => Err(ConnectCause::Tcp(Arc::new(last)).into()),
    }
}

struct Ready {
    config: Arc<Config>,
    handler: Handler,
}

/// Reads known_hosts, and asks the server for a key of a type that is recorded there.
fn prepare(settings: &Settings, terms: &Terms, farewell: &Arc<Farewell>) -> Result<Ready, Failure> {
    let known = KnownHost::read(settings.lookup(), &settings.known_hosts_files())
        .map_err(|error| ConnectCause::HostKey(HostKeyError::Unreadable(Arc::new(error))))?;
    for bad in known.bad_lines() {
        tracing::warn!("passed over {bad}");
    }
    let config = Config {
        nodelay: true,
        keepalive_interval: Some(terms.keepalive),
        keepalive_max: KEEPALIVES as usize,
        // Keepalives are not looked at while a write is stuck; this ends such a connection, too.
        inactivity_timeout: Some(terms.keepalive * (KEEPALIVES + 2)),
        preferred: preferred(&known),
        ..Config::default()
    };
    let handler = Handler::new(settings, known, terms.policy, Arc::clone(farewell));
    Ok(Ready {
        config: Arc::new(config),
        handler,
    })
}

/// The algorithms in the order in which we want them.
fn preferred(known: &KnownHost) -> Preferred {
    let recorded = known.recorded_algorithms();
    let mut keys = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ];
    // A stable sort: recorded types first, each group in its usual order.
    keys.sort_by_key(|key| {
        let is_rsa = matches!(key, Algorithm::Rsa { .. });
        let same = |one: &Algorithm| one == key || is_rsa && matches!(one, Algorithm::Rsa { .. });
        !recorded.iter().any(same)
    });
    let certificates = if known.has_authority() {
        keys.clone()
    } else {
        Vec::new()
    };
    Preferred {
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Borrowed(CIPHERS),
        ..Preferred::default()
    }
}

async fn greet<S>(
    stream: S,
    ready: Ready,
    deadline: Instant,
    farewell: &Farewell,
) -> Result<Handle<Handler>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let greeting = russh::client::connect_stream(ready.config, stream, ready.handler);
    match within(deadline, Phase::KeyExchange, greeting).await? {
        Ok(handle) => Ok(handle),
        Err(HandlerError::HostKey(error)) => Err(error.into()),
        Err(HandlerError::Russh(error)) if hung_up(&error) => {
            let farewell = farewell.reason();
            tracing::debug!(%error, farewell, "the server hung up during the greeting");
            Err(Failure::HungUp(error.to_string()))
        }
        Err(HandlerError::Russh(error)) => Err(ConnectCause::KeyExchange(error.to_string()).into()),
    }
}

/// Whether the error means that the other side went away, as an sshd does that has too many
/// connections waiting for their login.
fn hung_up(error: &russh::Error) -> bool {
    use russh::Error as E;
    matches!(
        error,
        E::Disconnect | E::HUP | E::RecvError | E::SendError | E::IO(_)
    )
}

//! An SSH server inside the process, for one host of the embedded fleet: it listens on loopback,
//! lets one key in, runs commands in the host's own folder, and forwards to loopback only. It does
//! what sshd does where a client can tell, and can be told to misbehave for tests.

mod command;
mod listener;
mod session;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use russh::keys::{Algorithm, PrivateKey, PublicKey};
use tokio::sync::{mpsc, watch};

/// What a host of the embedded fleet is.
#[derive(Debug, Clone)]
pub struct SshServerOptions {
    /// The folder that commands see as their home, and in which they start.
    pub home: PathBuf,
    /// The one key that is let in.
    pub client_key: PublicKey,
    /// Variables that every command gets beside those that sshd sets.
    pub environment: BTreeMap<OsString, OsString>,
    /// How many sessions one connection may have at a time; OpenSSH's `MaxSessions` is 10.
    pub max_sessions: usize,
}

impl SshServerOptions {
    /// A host that lets `client_key` in.
    pub fn new(home: impl Into<PathBuf>, client_key: PublicKey) -> Self {
        Self {
            home: home.into(),
            client_key,
            environment: BTreeMap::new(),
            max_sessions: 10,
        }
    }
}

/// Whether connections may be forwarded, as OpenSSH's `AllowTcpForwarding` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// To loopback addresses.
    Allowed,
    /// Never.
    Refused,
}

/// A running SSH server. Dropping it closes its connections; what commands started goes on, as it
/// does when sshd ends.
#[derive(Debug)]
pub struct SshServer {
    address: SocketAddr,
    host_key: PublicKey,
    orders: mpsc::UnboundedSender<Order>,
    forwarding: watch::Sender<Forwarding>,
    accepted: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's thread can be asked.
#[derive(Debug)]
enum Order {
    DropConnections,
    Stop,
}

impl SshServer {
    /// Starts a server on an endpoint and with a host key of its own.
    pub fn start(options: SshServerOptions) -> io::Result<Self> {
        let host_key = new_key()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (orders, received) = mpsc::unbounded_channel();
        let (forwarding, forwards) = watch::channel(Forwarding::Allowed);
        let accepted = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let public_key = host_key.public_key().clone();
        let counter = Arc::clone(&accepted);
        let thread = std::thread::Builder::new()
            .name(format!("sshd:{}", address.port()))
            .spawn(move || {
                let served = listener::serve(listener, host_key, options, forwards, received, &counter);
                runtime.block_on(served);
            })?;
        Ok(Self {
            address,
            host_key: public_key,
            orders,
            forwarding,
            accepted,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The line of a known_hosts file for this server.
    pub fn known_hosts_line(&self) -> String {
        let key = self.host_key.to_openssh().unwrap_or_default();
        format!("[{}]:{} {key}", self.address.ip(), self.address.port())
    }

    /// Allows or refuses forwarding, for connections that are open as well.
    pub fn set_forwarding(&self, forwarding: Forwarding) {
        self.forwarding.send_replace(forwarding);
    }

    /// Cuts every connection without a word, as a network that fails.
    pub fn drop_connections(&self) {
        let _ = self.orders.send(Order::DropConnections);
    }

    /// How many connections were accepted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A fresh Ed25519 key.
pub fn new_key() -> io::Result<PrivateKey> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;

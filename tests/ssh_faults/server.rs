//! A server that obeys a small vocabulary of misbehaviour, behind a wire that can be stalled or cut.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nonstop::model::inventory::{Connection, Host, Inventory};
use nonstop::model::names::{Address, HostName, Port, UserName};
use nonstop::ssh::{ConnectError, Connector, ConnectorOptions, Session as Client, SshConfig};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, Sig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Open,
    Stalled,
    Cut,
}

/// What the test can see of the server, and do to it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) wire: watch::Sender<Wire>,
    /// How many sessions are allowed at once.
    pub(crate) most_sessions: AtomicUsize,
    pub(crate) open_sessions: AtomicUsize,
    pub(crate) refused_sessions: AtomicUsize,
    pub(crate) closed_channels: AtomicUsize,
    pub(crate) tunnels: AtomicUsize,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) shared: Arc<Shared>,
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
}

fn random_key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).expect("a key")
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (host, client) = (random_key(), random_key());
        let identity = folder.path().join("id");
        let text = client.to_openssh(LineEnding::LF).expect("text");
        fs::write(&identity, text.as_bytes()).expect("written");
        fs::set_permissions(&identity, fs::Permissions::from_mode(0o600)).expect("permitted");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let line = format!(
            "[127.0.0.1]:{port} {}\n",
            host.public_key().to_openssh().expect("text")
        );
        fs::write(folder.path().join("known_hosts"), line).expect("written");
        let shared = Arc::new(Shared {
            wire: watch::channel(Wire::Open).0,
            most_sessions: AtomicUsize::new(10),
            open_sessions: AtomicUsize::new(0),
            refused_sessions: AtomicUsize::new(0),
            closed_channels: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
        });
        let config = Arc::new(Config {
            keys: vec![host],
            inactivity_timeout: None,
            // Larger than the buffers of TCP, so that a stalled wire stops a write halfway.
            window_size: 64 << 20,
            ..Config::default()
        });
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer {
                    shared: Arc::clone(&accepting),
                    commands: HashMap::new(),
                };
                let (near, far) = duplex(64 * 1024);
                tokio::spawn(carry(stream, near, accepting.wire.subscribe()));
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, far, peer).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Self { shared, port, folder }
    }

    pub(crate) fn wire(&self, wire: Wire) {
        self.shared.wire.send_replace(wire);
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_with(options()).await.expect("a session")
    }

    pub(crate) async fn connect_with(&self, options: ConnectorOptions) -> Result<Client, ConnectError> {
        connect(self.port, self.folder.path(), options).await
    }
}

/// Connects to whatever listens there.
pub(crate) async fn connect(
    port: u16,
    folder: &std::path::Path,
    options: ConnectorOptions,
) -> Result<Client, ConnectError> {
    let address = Address::new("127.0.0.1").expect("an address");
    let connection = Connection {
        host_name: Some(address.clone()),
        port: Some(Port::new(port).expect("a port")),
        user: Some(UserName::new("deploy").expect("a user")),
        identity_file: Some(folder.join("id")),
        user_known_hosts_file: Some(folder.join("known_hosts")),
        ..Connection::default()
    };
    let name = HostName::new("was1").expect("a name");
    let host = Host {
        address,
        connection,
        vars: BTreeMap::new(),
    };
    let inventory = Inventory {
        hosts: [(name.clone(), host)].into(),
        groups: BTreeMap::new(),
    };
    Connector::new(options).connect(&name, &inventory).await
}

pub(crate) fn options() -> ConnectorOptions {
    ConnectorOptions {
        ssh_config: SshConfig::Ignored,
        global_known_hosts: Some(Vec::new()),
        connect_timeout: Duration::from_secs(30),
        ..ConnectorOptions::default()
    }
}

/// Carries bytes both ways as long as the wire is open.
async fn carry(tcp: TcpStream, near: tokio::io::DuplexStream, wire: watch::Receiver<Wire>) {
    let _ = tcp.set_nodelay(true);
    let (mut tcp_read, mut tcp_write) = tcp.into_split();
    let (mut near_read, mut near_write) = tokio::io::split(near);
    let mut cut = wire.clone();
    let mut copies = (wire.clone(), wire);
    tokio::select! {
        _ = cut.wait_for(|wire| *wire == Wire::Cut) => {}
        () = copy(&mut tcp_read, &mut near_write, &mut copies.0) => {}
        () = copy(&mut near_read, &mut tcp_write, &mut copies.1) => {}
    }
}

async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    wire: &mut watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let _ = wire.wait_for(|wire| *wire != Wire::Stalled).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

/// One connection of the server.
struct Peer {
    shared: Arc<Shared>,
    commands: HashMap<ChannelId, (String, u64)>,
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let open = self.shared.open_sessions.load(Ordering::Relaxed);
        if open >= self.shared.most_sessions.load(Ordering::Relaxed) {
            self.shared.refused_sessions.fetch_add(1, Ordering::Relaxed);
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
        } else {
            self.shared.open_sessions.fetch_add(1, Ordering::Relaxed);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        let number = self.shared.tunnels.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::spawn(super::tunnels::serve(port, number, channel.into_stream()));
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if self.commands.remove(&channel).is_some() {
            self.shared.open_sessions.fetch_sub(1, Ordering::Relaxed);
            self.shared.closed_channels.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        self.commands.insert(channel, (command.clone(), 0));
        if command == "refused" {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        tokio::spawn(obey(command, channel, session.handle(), Arc::clone(&self.shared)));
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some((command, seen)) = self.commands.get_mut(&channel) else {
            return Ok(());
        };
        *seen += data.len() as u64;
        if command == "take a little" && *seen < 100_000 {
            session.exit_status_request(channel, 7)?;
            session.eof(channel)?;
            session.close(channel)?;
            // The client's own close comes later and is not seen any more.
            self.commands.remove(&channel);
            self.shared.open_sessions.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        if let Some((command, seen)) = self.commands.get(&channel)
            && command == "count"
        {
            session.data(channel, format!("{seen}\n"))?;
            session.exit_status_request(channel, 0)?;
            session.eof(channel)?;
            session.close(channel)?;
        }
        Ok(())
    }
}

/// Does what a command says.
async fn obey(command: String, channel: ChannelId, handle: Handle, shared: Arc<Shared>) {
    let mut words = command.split(' ');
    match words.next().unwrap_or_default() {
        "echo" => {
            let _ = handle
                .data(channel, format!("{}\n", words.collect::<Vec<_>>().join(" ")))
                .await;
            end(&handle, channel, &shared).await;
        }
        "nap" => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            end(&handle, channel, &shared).await;
        }
        // A child in the background holds the output open.
        "background" => {
            let _ = handle.data(channel, "begun\n").await;
            let _ = handle.exit_status_request(channel, 0).await;
        }
        "late" => {
            let _ = handle.exit_status_request(channel, 0).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = handle.data(channel, "late words\n").await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        }
        "forget" => {
            let _ = handle.data(channel, "half\n").await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        }
        "signal" => {
            let none = String::new;
            let _ = handle
                .exit_signal_request(channel, Sig::KILL, false, none(), none())
                .await;
            let _ = handle.close(channel).await;
        }
        "cut" => {
            let _ = handle.data(channel, "begun\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            shared.wire.send_replace(Wire::Cut);
        }
        "stall" => {
            let _ = handle.data(channel, "begun\n").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            shared.wire.send_replace(Wire::Stalled);
        }
        "flood" => while handle.data(channel, vec![b'x'; 32 * 1024]).await.is_ok() {},
        "complain" => {
            while handle
                .extended_data(channel, 1, vec![b'x'; 32 * 1024])
                .await
                .is_ok()
            {}
        }
        "open" => {
            let opened = [
                handle.channel_open_session().await.is_ok(),
                handle.channel_open_agent().await.is_ok(),
                handle.channel_open_x11("a", 1).await.is_ok(),
                handle.channel_open_forwarded_tcpip("a", 1, "b", 2).await.is_ok(),
            ];
            let _ = handle.data(channel, format!("{opened:?}")).await;
            end(&handle, channel, &shared).await;
        }
        _ => {}
    }
}

async fn end(handle: &Handle, channel: ChannelId, shared: &Shared) {
    let _ = handle.exit_status_request(channel, 0).await;
    let _ = handle.eof(channel).await;
    // Of a channel that the server closes first, the client's own close is not told any more.
    shared.open_sessions.fetch_sub(1, Ordering::Relaxed);
    let _ = handle.close(channel).await;
}

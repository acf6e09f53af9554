//! One SSH connection: who gets in, which channels it opens.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::command;
use super::{Forwarding, SshServerOptions};

/// How long a forwarded connection may take to open; it is loopback.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// What a connection knows.
pub(super) struct Session {
    options: Arc<SshServerOptions>,
    forwarding: watch::Receiver<Forwarding>,
    /// The client and the server, for `SSH_CONNECTION`.
    ends: Option<(SocketAddr, SocketAddr)>,
    /// Sessions that have not asked for a command yet.
    waiting: HashMap<ChannelId, (Channel<Msg>, OpenSession)>,
    /// Its clones are the open sessions. The library does not tell when a channel that the server
    /// closed is gone, so each is counted by whoever serves it.
    open: Arc<()>,
}

/// Counts as a session for as long as it lives.
struct OpenSession(#[expect(dead_code, reason = "it is only counted")] Arc<()>);

impl Session {
    pub(super) fn new(
        stream: &TcpStream,
        options: Arc<SshServerOptions>,
        forwarding: watch::Receiver<Forwarding>,
    ) -> Self {
        Self {
            options,
            forwarding,
            ends: stream.peer_addr().ok().zip(stream.local_addr().ok()),
            waiting: HashMap::new(),
            open: Arc::new(()),
        }
    }

    fn lets_in(&self, key: &russh::keys::PublicKey) -> Auth {
        if key.key_data() == self.options.client_key.key_data() {
            Auth::Accept
        } else {
            Auth::reject()
        }
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.lets_in(offer.public_key))
    }

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.lets_in(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        if Arc::strong_count(&self.open) > self.options.max_sessions {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        let open = OpenSession(Arc::clone(&self.open));
        self.waiting.insert(channel.id(), (channel, open));
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let taken = self.waiting.remove(&channel).and_then(|(channel, open)| {
            let child = command::spawn(command, &self.options, self.ends).ok()?;
            Some((channel, open, child))
        });
        match taken {
            Some((channel, open, child)) => {
                session.channel_success(channel.id())?;
                tokio::spawn(async move {
                    command::attend(channel, child).await;
                    drop(open);
                });
            }
            None => session.channel_failure(channel)?,
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut russh::server::Session,
    ) -> Result<(), Self::Error> {
        let target = loopback(host).zip(u16::try_from(port).ok());
        let target = target.filter(|_| *self.forwarding.borrow() == Forwarding::Allowed);
        let Some(target) = target else {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        tokio::spawn(forward(channel, target, reply));
        Ok(())
    }
}

async fn forward(channel: Channel<Msg>, target: (IpAddr, u16), reply: ChannelOpenHandle) {
    let connecting = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(target)).await;
    let Ok(Ok(mut stream)) = connecting else {
        reply.reject(ChannelOpenFailure::ConnectFailed).await;
        return;
    };
    let _ = stream.set_nodelay(true);
    reply.accept().await;
    let mut channel = channel.into_stream();
    // Either end may cut the connection; there is nobody to tell.
    let _ = tokio::io::copy_bidirectional(&mut channel, &mut stream).await;
}

fn loopback(host: &str) -> Option<IpAddr> {
    if host == "localhost" {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    host.parse().ok().filter(IpAddr::is_loopback)
}

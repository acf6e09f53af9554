//! The connection of one host, kept for the run, and the channels in it. A clone is another handle on
//! the same connection, which ends with the last of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelReadHalf, ChannelStream, ChannelWriteHalf, Disconnect};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::http::Client;

use super::channels::{Channels, Turn};
use super::error::ConnectCause;
use super::handler::{Farewell, Handler};
use super::settings::Settings;

/// How long the closing of something may take that nobody waits for.
const FAREWELL: Duration = Duration::from_secs(5);

/// A connection to one host.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    handle: Arc<Handle<Handler>>,
    farewell: Arc<Farewell>,
    channels: Channels,
    http: Client,
    /// The bastion's connection lives as long as the ones that lead through it.
    bastion: Option<Session>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.0.settings.label).finish()
    }
}

impl Session {
    pub(super) fn new(
        settings: Arc<Settings>,
        handle: Handle<Handler>,
        farewell: Arc<Farewell>,
        bastion: Option<Session>,
    ) -> Self {
        let (handle, channels, http) = (Arc::new(handle), Channels::new(), Client::default());
        Self(Arc::new(Inner {
            settings,
            handle,
            farewell,
            channels,
            http,
            bastion,
        }))
    }

    /// The host's name in the inventory, or the bastion as it is written.
    pub fn name(&self) -> &str {
        &self.0.settings.label
    }

    /// `user@host:port` as it was connected to.
    pub fn address(&self) -> String {
        self.0.settings.address()
    }

    /// The bastion's session, where there is a bastion.
    pub fn bastion(&self) -> Option<&Session> {
        self.0.bastion.as_ref()
    }

    /// Whether the connection is gone.
    pub fn is_lost(&self) -> bool {
        self.0.handle.is_closed()
    }

    /// Why the connection is gone, for people.
    pub fn loss(&self) -> String {
        match self.bastion().filter(|bastion| bastion.is_lost()) {
            Some(bastion) => format!("the bastion {} is lost: {}", bastion.name(), bastion.loss()),
            None => self.0.farewell.reason(),
        }
    }

    /// How many commands the server lets run at once on this connection, as far as is known.
    pub fn allowed_channels(&self) -> usize {
        self.0.channels.allowed()
    }

    /// Ends the connection, whoever else uses it.
    pub async fn close(&self) {
        let _ = timeout(
            FAREWELL,
            self.0.handle.disconnect(Disconnect::ByApplication, "", ""),
        )
        .await;
    }

    pub(super) fn client(&self) -> &Client {
        &self.0.http
    }

    pub(super) fn channels(&self) -> &Channels {
        &self.0.channels
    }

    pub(super) fn last_refusal(&self) -> String {
        self.0.farewell.last_refusal()
    }

    /// Opens an exec channel for a turn. Whoever stops waiting leaves no open channel behind.
    pub(super) async fn open_exec(&self, turn: Turn) -> Result<ExecChannel, (Turn, russh::Error)> {
        let handle = Arc::clone(&self.0.handle);
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let _ = sender.send(match handle.channel_open_session().await {
                Ok(channel) => Ok(ExecChannel::new(channel, turn)),
                Err(error) => Err((turn, error)),
            });
        });
        receiver.await.expect("the task sends before it ends")
    }

    /// Opens a forwarded channel. Whoever stops waiting leaves no open channel behind.
    pub(super) async fn open_forwarded(
        &self,
        host: &str,
        port: u16,
    ) -> Result<ChannelStream<Msg>, russh::Error> {
        let (handle, host) = (Arc::clone(&self.0.handle), host.to_owned());
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let channel = handle
                .channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0)
                .await;
            let _ = sender.send(channel.map(Channel::into_stream));
        });
        receiver.await.expect("the task sends before it ends")
    }

    /// Opens a way through this bastion.
    pub(super) async fn open_way(&self, host: &str, port: u16) -> Result<ChannelStream<Msg>, ConnectCause> {
        use russh::ChannelOpenFailure as F;
        let bastion = self.name().to_owned();
        self.open_forwarded(host, port)
            .await
            .map_err(|error| match error {
                russh::Error::ChannelOpenFailure(F::AdministrativelyProhibited) => {
                    ConnectCause::BastionForbids { bastion }
                }
                russh::Error::ChannelOpenFailure(_) => ConnectCause::BastionCannotReach {
                    bastion,
                    detail: self.last_refusal(),
                },
                _ => ConnectCause::BastionCannotReach {
                    bastion,
                    detail: self.loss(),
                },
            })
    }
}

/// An open exec channel. Dropping it closes it; only then does its turn pass to the next.
pub(super) struct ExecChannel {
    pub(super) read: ChannelReadHalf,
    pub(super) write: Arc<ChannelWriteHalf<Msg>>,
    /// Whether the server has closed it already.
    pub(super) closed: bool,
    turn: Option<Turn>,
}

impl ExecChannel {
    fn new(channel: Channel<Msg>, turn: Turn) -> Self {
        let (read, write) = channel.split();
        Self {
            read,
            write: Arc::new(write),
            closed: false,
            turn: Some(turn),
        }
    }
}

impl Drop for ExecChannel {
    fn drop(&mut self) {
        let (write, turn) = (Arc::clone(&self.write), self.turn.take());
        let runtime = tokio::runtime::Handle::try_current();
        if let (false, Ok(runtime)) = (self.closed, runtime) {
            runtime.spawn(async move {
                // The server works off messages in order: the next channel opens after this one closed.
                let _ = timeout(FAREWELL, write.close()).await;
                drop(turn);
            });
        }
    }
}

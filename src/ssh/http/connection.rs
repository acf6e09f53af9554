//! One HTTP connection through one forwarded channel.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use russh::ChannelOpenFailure;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::super::session::Session;
use super::HttpError;
use super::pool::Target;
use super::tls;

/// A connection; dropping it closes the channel, whatever it is in the middle of.
#[derive(Debug)]
pub(in super::super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) async fn open(session: &Session, target: &Target) -> Result<Self, HttpError> {
        let opened = session.open_forwarded(&target.host, target.port).await;
        let stream = opened.map_err(|error| refused(session, target, &error))?;
        match &target.tls_name {
            None => Self::over(stream, target).await,
            Some(name) => Self::over(tls::wrap(stream, name, target).await?, target).await,
        }
    }

    async fn over<S>(stream: S, target: &Target) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let shaken = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| HttpError::Protocol {
            target: target.to_string(),
            detail: error.to_string(),
        })?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a forwarded HTTP connection ended");
            }
        });
        Ok(Self { sender, task })
    }

    /// Whether another request may be sent; false once the other side has closed.
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }
}

fn refused(session: &Session, target: &Target, error: &russh::Error) -> HttpError {
    let target = target.to_string();
    match error {
        russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
            HttpError::ForwardingRefused { target }
        }
        russh::Error::ChannelOpenFailure(_) => HttpError::Refused {
            target,
            detail: session.last_refusal(),
        },
        _ => HttpError::ConnectionLost(session.loss()),
    }
}

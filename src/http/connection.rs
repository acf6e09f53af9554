//! One HTTP connection over one stream.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::pool::Target;
use super::{HttpError, Opens, tls};

/// A connection; dropping it closes the stream, whatever it is in the middle of.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) async fn open(way: &impl Opens, target: &Target) -> Result<Self, HttpError> {
        let stream = way.open(&target.host, target.port).await?;
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
                tracing::trace!(%error, "an HTTP connection ended");
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

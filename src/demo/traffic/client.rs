//! One HTTP connection, and what to make of its end.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection ended before any byte of an answer came.
    BeforeAnyByte(String),
    /// The connection ended in the middle of an answer, or what came was no answer.
    Halfway(String),
}

impl Lost {
    pub(super) fn reason(self) -> String {
        match self {
            Self::BeforeAnyByte(why) => format!("no answer: {why}"),
            Self::Halfway(why) => format!("half an answer: {why}"),
        }
    }
}

/// A connection that can carry one request after the other.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    received: Rc<Cell<u64>>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let received = Rc::new(Cell::new(0));
        let counted = Counted {
            stream,
            received: Rc::clone(&received),
        };
        let (sender, connection) = http1::handshake(TokioIo::new(counted))
            .await
            .map_err(io::Error::other)?;
        // Its errors arrive at the request that they concern.
        tokio::task::spawn_local(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, received })
    }

    /// Whether the connection looks as if it could carry another request.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    pub(super) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let before = self.received.get();
        let outcome = match self.sender.send_request(request).await {
            Ok(response) => read(response).await,
            Err(error) => Err(error),
        };
        outcome.map_err(|error| {
            let why = innermost(&error);
            if self.received.get() == before {
                Lost::BeforeAnyByte(why)
            } else {
                Lost::Halfway(why)
            }
        })
    }
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, hyper::Error> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A stream that counts what arrives on it.
struct Counted {
    stream: TcpStream,
    received: Rc<Cell<u64>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = (buffer.filled().len() - before) as u64;
        self.received.set(self.received.get() + count);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

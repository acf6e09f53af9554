//! HTTP/1.1 over streams that somebody else opens (`ssh` through direct-tcpip channels, `local` by TCP): what
//! a health check or a proof asks for, as seen from the host itself. Connections are kept alive for each
//! target and replaced when dead.

mod connection;
mod pool;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::engine::fleet;

use connection::Connection;
use pool::{Pool, Target};

/// A request, sent from the host's own network.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// What the host connects to; its own loopback is `127.0.0.1`.
    pub connect_host: String,
    /// The TCP port.
    pub connect_port: u16,
    /// The `Host` header.
    pub host_header: String,
    /// Speaks TLS with this server name. The certificate is *not* verified: this is for a listener on
    /// the host itself, which is reached through the authenticated SSH connection and shows a
    /// certificate for its public name or a private one.
    pub unverified_tls_name: Option<String>,
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: String,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// How long everything may take.
    pub timeout: Duration,
    /// How much of the answer's body is read.
    pub max_body_bytes: usize,
}

impl HttpRequest {
    /// A GET with five seconds of time and at most 64 KiB of answer.
    pub fn get(connect_host: impl Into<String>, connect_port: u16, path: impl Into<String>) -> Self {
        let connect_host = connect_host.into();
        let name = if connect_host.contains(':') {
            format!("[{connect_host}]")
        } else {
            connect_host.clone()
        };
        Self {
            host_header: format!("{name}:{connect_port}"),
            connect_host,
            connect_port,
            unverified_tls_name: None,
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            max_body_bytes: 64 * 1024,
        }
    }

    fn target(&self) -> Target {
        Target {
            host: self.connect_host.clone(),
            port: self.connect_port,
            tls_name: self.unverified_tls_name.clone(),
        }
    }

    fn to_hyper(&self) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header("host", &self.host_header);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = Full::new(self.body.clone());
        request
            .body(body)
            .map_err(|error| HttpError::BadRequest(error.to_string()))
    }

    /// Whether sending it twice does no harm.
    fn is_safe(&self) -> bool {
        self.method.is_safe()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, such as 200.
    pub status: u16,
    /// The headers as they came; what is no UTF-8 is replaced.
    pub headers: Vec<(String, String)>,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether the body was longer than was asked for.
    pub body_cut: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens there, or the host gets no connection to it.
    #[error("no connection to {target}: {detail}")]
    Refused {
        /// What the host connected to.
        target: String,
        /// What its sshd says.
        detail: String,
    },
    /// The host's sshd forbids forwarding (`AllowTcpForwarding`, `PermitOpen`, `DisableForwarding`).
    #[error("the sshd of the host does not allow forwarding to {target}")]
    ForwardingRefused {
        /// What was asked for.
        target: String,
    },
    /// The SSH connection is gone.
    #[error("the SSH connection is lost ({0})")]
    ConnectionLost(String),
    /// The other side speaks no TLS that we understand.
    #[error("no TLS with {target}: {detail}")]
    Tls {
        /// What was asked.
        target: String,
        /// What is wrong.
        detail: String,
    },
    /// No whole answer in time.
    #[error("no answer from {target} within {} s", after.as_secs_f32())]
    TimedOut {
        /// What was asked.
        target: String,
        /// The time it had.
        after: Duration,
    },
    /// What came is no HTTP answer, or not a whole one.
    #[error("no proper HTTP answer from {target}: {detail}")]
    Protocol {
        /// What was asked.
        target: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The request itself makes no sense.
    #[error("not a proper HTTP request: {0}")]
    BadRequest(String),
}

/// How much of a body the engine's questions read.
const BODY_BYTES: usize = 64 * 1024;

impl From<&fleet::HttpRequest> for HttpRequest {
    fn from(request: &fleet::HttpRequest) -> Self {
        let mut get = Self::get(request.address.clone(), request.port, request.path.clone());
        get.host_header.clone_from(&request.host_header);
        get.unverified_tls_name = request.tls.then(|| name_of(&request.host_header).to_owned());
        get.timeout = request.timeout;
        get.max_body_bytes = BODY_BYTES;
        get
    }
}

impl From<HttpResponse> for fleet::HttpResponse {
    fn from(response: HttpResponse) -> Self {
        Self {
            status: response.status,
            body: response.body.to_vec(),
        }
    }
}

impl From<HttpError> for fleet::HttpError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Refused { .. } => Self::Refused,
            HttpError::TimedOut { after, .. } => Self::TimedOut { after },
            other => Self::Failed {
                reason: other.to_string(),
            },
        }
    }
}

/// The name in a `Host` header, without its port.
fn name_of(header: &str) -> &str {
    if let Some(rest) = header.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    header.split_once(':').map_or(header, |(name, _)| name)
}

/// Opens streams on behalf of a host.
#[expect(async_fn_in_trait, reason = "whoever asks runs on one thread")]
pub trait Opens {
    /// A stream of bytes in both directions.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens a stream to an address and port as the host sees them.
    async fn open(&self, host: &str, port: u16) -> Result<Self::Stream, HttpError>;
}

/// Asks, and keeps connections for the next time.
#[derive(Debug, Default)]
pub struct Client {
    pool: Pool,
}

impl Client {
    /// Sends a request from the host and reads the answer. Dropping the future, or running out of
    /// time, ends that connection only; the next request gets a fresh one.
    pub async fn send(&self, way: &impl Opens, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let target = request.target();
        match timeout(request.timeout, self.exchange(way, request, &target)).await {
            Ok(result) => result,
            Err(_) => Err(HttpError::TimedOut {
                target: target.to_string(),
                after: request.timeout,
            }),
        }
    }

    /// Closes the idle connections to one target, so that nothing of ours keeps it busy.
    pub fn forget(&self, connect_host: &str, connect_port: u16) {
        self.pool.forget(connect_host, connect_port);
    }

    async fn exchange(
        &self,
        way: &impl Opens,
        request: &HttpRequest,
        target: &Target,
    ) -> Result<HttpResponse, HttpError> {
        // A kept connection may have died unseen; a safe request is then sent once more.
        if request.is_safe()
            && let Some(kept) = self.pool.take(target)
            && let Ok(response) = self.over(kept, request, target).await
        {
            return Ok(response);
        }
        let fresh = Connection::open(way, target).await?;
        self.over(fresh, request, target).await
    }

    async fn over(
        &self,
        mut connection: Connection,
        request: &HttpRequest,
        target: &Target,
    ) -> Result<HttpResponse, HttpError> {
        let protocol = |error: hyper::Error| HttpError::Protocol {
            target: target.to_string(),
            detail: words(&error),
        };
        let response = connection.send(request.to_hyper()?).await.map_err(protocol)?;
        let answer = read(response, request.max_body_bytes).await.map_err(protocol)?;
        if !answer.body_cut {
            self.pool.keep(target, connection);
        }
        Ok(answer)
    }
}

async fn read(response: Response<Incoming>, most: usize) -> Result<HttpResponse, hyper::Error> {
    let (head, mut incoming) = response.into_parts();
    let (mut body, mut body_cut) = (Vec::new(), false);
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = most - body.len();
        body.extend_from_slice(&data[..room.min(data.len())]);
        if data.len() > room {
            body_cut = true;
            break;
        }
    }
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value.as_bytes())));
    Ok(HttpResponse {
        status: head.status.as_u16(),
        headers: headers.collect(),
        body: body.into(),
        body_cut,
    })
}

/// hyper's errors keep the interesting part in their source.
fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

//! HTTP through direct-tcpip channels of a session: the way that `crate::http` asks by.

use russh::client::Msg;
use russh::{ChannelOpenFailure, ChannelStream};

use crate::http::{HttpError, HttpRequest, HttpResponse, Opens};

use super::session::Session;

impl Session {
    /// Sends a request from the host and reads the answer. Dropping the future, or running out of
    /// time, ends that connection only; the next request gets a fresh one.
    pub async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.client().send(self, request).await
    }

    /// Closes the idle connections to one target, so that nothing of ours keeps it busy.
    pub fn close_http(&self, connect_host: &str, connect_port: u16) {
        self.client().forget(connect_host, connect_port);
    }
}

impl Opens for Session {
    type Stream = ChannelStream<Msg>;

    async fn open(&self, host: &str, port: u16) -> Result<Self::Stream, HttpError> {
        let opened = self.open_forwarded(host, port).await;
        opened.map_err(|error| {
            let target = if host.contains(':') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            match error {
                russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited) => {
                    HttpError::ForwardingRefused { target }
                }
                russh::Error::ChannelOpenFailure(_) => HttpError::Refused {
                    target,
                    detail: self.last_refusal(),
                },
                _ => HttpError::ConnectionLost(self.loss()),
            }
        })
    }
}

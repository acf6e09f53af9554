//! What the application answers. Every answer is plain text except for health.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};

use super::jar::Health;

/// Bodies above this size are refused.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// One running application.
pub(in crate::demo) struct Service {
    version: String,
    profile: String,
    port: u16,
    health: Mutex<Health>,
    answered: AtomicU64,
}

type Answer = Response<Full<Bytes>>;

impl Service {
    pub(in crate::demo) fn new(version: String, profile: String, port: u16, health: Health) -> Self {
        Self {
            version,
            profile,
            port,
            health: Mutex::new(health),
            answered: AtomicU64::new(0),
        }
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        if path == "/actuator/health" {
            return self.health();
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        let query = request.uri().query().unwrap_or_default().to_owned();
        match (request.method(), path.as_str()) {
            (&Method::GET, "/") => text(format!(
                "demo-app {} {} {}\n",
                self.version, self.profile, self.port
            )),
            (&Method::GET, "/version") => text(self.version.clone()),
            (&Method::GET, "/profile") => text(self.profile.clone()),
            (&Method::GET, "/slow") => {
                let milliseconds = parameter(&query, "ms").and_then(|number| number.parse().ok());
                tokio::time::sleep(Duration::from_millis(milliseconds.unwrap_or(1000))).await;
                text(self.version.clone())
            }
            (&Method::GET, "/echo") => text(parameter(&query, "say").unwrap_or_default().to_owned()),
            (&Method::POST, "/echo") => echo(request).await,
            (&Method::POST, "/control/health") => self.control(parameter(&query, "say")),
            _ => status(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    fn health(&self) -> Answer {
        let health = *self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let (code, says) = match health {
            Health::Unknown => (StatusCode::OK, "UNKNOWN"),
            Health::Down => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
            Health::DownAfterRequests(count) if self.answered.load(Ordering::Relaxed) >= count => {
                (StatusCode::SERVICE_UNAVAILABLE, "DOWN")
            }
            Health::Up | Health::DownAfterRequests(_) => (StatusCode::OK, "UP"),
        };
        let mut answer = status(code, &format!("{{\"status\":\"{says}\"}}"));
        let json = hyper::header::HeaderValue::from_static("application/json");
        answer.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
        answer
    }

    /// Lets a running application get ill or well again.
    fn control(&self, say: Option<&str>) -> Answer {
        let health = match say {
            Some("up") => Health::Up,
            Some("down") => Health::Down,
            Some("unknown") => Health::Unknown,
            _ => return status(StatusCode::BAD_REQUEST, "say=up|down|unknown\n"),
        };
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
        text(say.unwrap_or_default().to_owned())
    }
}

async fn echo(request: Request<Incoming>) -> Answer {
    match Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await {
        Ok(body) => plain(StatusCode::OK, body.to_bytes()),
        Err(_) => status(StatusCode::BAD_REQUEST, "the body is too long or was cut off\n"),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn text(body: String) -> Answer {
    plain(StatusCode::OK, body.into())
}

fn status(code: StatusCode, body: &str) -> Answer {
    plain(code, body.to_owned().into())
}

fn plain(code: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = code;
    let kind = hyper::header::HeaderValue::from_static("text/plain");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    answer
}

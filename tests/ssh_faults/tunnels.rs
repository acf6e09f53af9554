//! HTTP through tunnels to apps that misbehave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nonstop::ssh::{HttpError, HttpRequest};
use russh::ChannelStream;
use russh::server::Msg;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::server::{Server, Wire};

const COUNTING: u16 = 1;
const GARBAGE: u16 = 2;
const SLOW_AT_FIRST: u16 = 3;
const CLOSES_UNSEEN: u16 = 4;
const LONG: u16 = 5;
const CUT_SHORT: u16 = 6;

/// The app behind a port; `tunnel` counts the tunnels of the server from 1.
pub(crate) async fn serve(port: u32, tunnel: usize, mut stream: ChannelStream<Msg>) {
    let port = u16::try_from(port).expect("a port");
    let mut buffer = [0; 4096];
    let mut requests = 0;
    while let Ok(1..) = stream.read(&mut buffer).await {
        requests += 1;
        let answer = match port {
            GARBAGE => "what?\r\n\r\n".to_owned(),
            LONG => format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}",
                "x".repeat(100_000)
            ),
            CUT_SHORT => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_owned(),
            SLOW_AT_FIRST if tunnel == 1 => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale".to_owned()
            }
            _ => {
                let body = format!("{tunnel}.{requests}");
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() || [CLOSES_UNSEEN, CUT_SHORT].contains(&port) {
            break;
        }
    }
    let _ = stream.shutdown().await;
}

fn get(port: u16) -> HttpRequest {
    HttpRequest::get("127.0.0.1", port, "/")
}

#[tokio::test]
async fn a_request_out_of_time_does_not_poison_the_next_one() {
    let server = Server::start().await;
    let session = server.connect().await;
    let hasty = HttpRequest {
        timeout: Duration::from_millis(100),
        ..get(SLOW_AT_FIRST)
    };
    let error = session.http(&hasty).await.expect_err("too slow");
    assert!(matches!(error, HttpError::TimedOut { .. }), "{error:?}");
    for answer in ["2.1", "2.2"] {
        assert_eq!(
            &session.http(&get(SLOW_AT_FIRST)).await.expect("an answer").body[..],
            answer.as_bytes()
        );
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_does_not_poison_the_next_one() {
    let server = Server::start().await;
    let session = server.connect().await;
    let dropped = tokio::time::timeout(Duration::from_millis(50), session.http(&get(SLOW_AT_FIRST))).await;
    assert!(dropped.is_err());
    assert_eq!(
        &session.http(&get(SLOW_AT_FIRST)).await.expect("an answer").body[..],
        b"2.1"
    );
}

#[tokio::test]
async fn a_kept_connection_that_died_unseen_is_replaced() {
    let server = Server::start().await;
    let session = server.connect().await;
    for answer in ["1.1", "2.1", "3.1"] {
        assert_eq!(
            &session.http(&get(CLOSES_UNSEEN)).await.expect("an answer").body[..],
            answer.as_bytes()
        );
    }
}

#[tokio::test]
async fn requests_at_once_get_connections_of_their_own_and_share_them_later() {
    let server = Server::start().await;
    let session = server.connect().await;
    let request = get(COUNTING);
    let all = futures::future::try_join_all((0..3).map(|_| session.http(&request))).await;
    assert_eq!(all.expect("answers").len(), 3);
    session.http(&request).await.expect("an answer");
    assert_eq!(server.shared.tunnels.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_is_no_whole_http_answer_is_told() {
    let server = Server::start().await;
    let session = server.connect().await;
    for port in [GARBAGE, CUT_SHORT] {
        let error = session.http(&get(port)).await.expect_err("no answer");
        assert!(matches!(error, HttpError::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_long_answer_is_cut_and_its_connection_not_kept() {
    let server = Server::start().await;
    let session = server.connect().await;
    let request = HttpRequest {
        max_body_bytes: 10,
        ..get(LONG)
    };
    for tunnels in [1, 2] {
        let response = session.http(&request).await.expect("an answer");
        assert_eq!(
            (&response.body[..], response.body_cut),
            (&b"xxxxxxxxxx"[..], true)
        );
        assert_eq!(server.shared.tunnels.load(Ordering::Relaxed), tunnels);
    }
}

#[tokio::test]
async fn a_lost_ssh_connection_is_told_from_a_dead_app() {
    let server = Server::start().await;
    let session = server.connect().await;
    session.http(&get(COUNTING)).await.expect("an answer");
    server.wire(Wire::Cut);
    while !session.is_lost() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = session.http(&get(COUNTING)).await.expect_err("no answer");
    assert!(matches!(error, HttpError::ConnectionLost(_)), "{error:?}");
}

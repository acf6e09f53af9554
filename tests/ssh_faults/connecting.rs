//! Servers that never let anybody in.

use std::time::Duration;

use nonstop::ssh::{ConnectCause, ConnectError, ConnectorOptions, Phase, Session};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::server::{Server, Wire, connect, options};

fn hasty() -> ConnectorOptions {
    ConnectorOptions {
        connect_timeout: Duration::from_secs(2),
        ..options()
    }
}

fn cause(result: Result<Session, ConnectError>) -> ConnectCause {
    result.expect_err("no session").cause
}

#[tokio::test]
async fn a_server_that_says_nothing_costs_only_the_connect_timeout() {
    let server = Server::start().await;
    server.wire(Wire::Stalled);
    let cause = cause(server.connect_with(hasty()).await);
    assert!(
        matches!(
            cause,
            ConnectCause::TimedOut {
                phase: Phase::KeyExchange,
                ..
            }
        ),
        "{cause:?}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_is_tried_again_until_the_time_is_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"Exceeded MaxStartups\r\n").await;
        }
    });
    let server = Server::start().await;
    let cause = cause(connect(port, server.folder.path(), hasty()).await);
    let ConnectCause::HungUp { tries, .. } = cause else {
        panic!("{cause:?}")
    };
    assert!(tries > 1, "{tries}");
}

#[tokio::test]
async fn what_is_no_ssh_server_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-1.5-ancient\r\n").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    let server = Server::start().await;
    let cause = cause(connect(port, server.folder.path(), hasty()).await);
    assert_eq!(cause.phase(), Phase::KeyExchange, "{cause:?}");
}

#[tokio::test]
async fn a_closed_port_is_told_at_once() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let cause = cause(connect(port, server.folder.path(), options()).await);
    assert!(matches!(cause, ConnectCause::Tcp(_)), "{cause:?}");
}

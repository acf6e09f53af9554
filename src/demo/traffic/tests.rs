use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::app::{Health, Service, serve};
use super::*;

/// The demo's application on a thread of its own; ends with the returned sender.
fn application() -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let service = Service::new("v7".to_owned(), "default".to_owned(), 0, Health::Up);
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            serve(listener, Arc::new(service), async {
                let _ = ended.await;
            })
            .await;
        });
    });
    (address, end)
}

/// A server that does what `answer` says with every connection.
fn server(answer: impl Fn(TcpStream) + Send + Copy + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Sends requests until `enough` of them are through.
fn run(options: TrafficOptions, enough: impl Fn(Counts) -> bool) -> Summary {
    let traffic = Traffic::start(options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let began = Instant::now();
    runtime.block_on(async {
        while !enough(traffic.counts().await) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{:?}",
                traffic.counts().await
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    traffic.stop()
}

fn fast(address: SocketAddr) -> TrafficOptions {
    TrafficOptions {
        requests_per_second: 500,
        ..TrafficOptions::new(address, "demo.localhost")
    }
}

#[test]
fn every_request_to_a_healthy_application_is_served_and_counted_by_version() {
    let (address, end) = application();
    let summary = run(fast(address), |counts| counts.served >= 200);
    let _ = end.send(());
    assert_eq!(
        (summary.counts.failed, summary.counts.retried),
        (0, 0),
        "{summary:?}"
    );
    let gets = summary.versions["v7"];
    assert!(gets.abs_diff(summary.counts.served / 2) <= 1, "{summary:?}");
    assert!(summary.latency.p50 <= summary.latency.p99 && summary.latency.p99 <= summary.latency.max);
    assert!(!summary.latency.p50.is_zero());
}

#[test]
fn a_kept_alive_connection_that_is_closed_before_an_answer_is_retried_and_not_lost() {
    // Answers once on every connection and closes it when the next request has come.
    let address = server(|mut stream| {
        let request = read_request(&mut stream);
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        read_request(&mut stream);
    });
    let summary = run(fast(address), |counts| counts.retried >= 20);
    assert_eq!(summary.counts.failed, 0, "{summary:?}");
}

#[test]
fn an_answer_that_breaks_off_is_a_failure_and_never_retried() {
    let address = server(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    });
    let summary = run(fast(address), |counts| counts.failed >= 20);
    assert_eq!((summary.counts.served, summary.counts.retried), (0, 0));
    assert!(summary.examples[0].reason.contains("half"), "{summary:?}");
}

#[test]
fn an_answer_that_breaks_off_on_a_kept_alive_connection_is_not_retried_either() {
    // The first answer of every connection is whole, the second one breaks off.
    let address = server(|mut stream| {
        let request = read_request(&mut stream);
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if !read_request(&mut stream).is_empty() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
        }
    });
    let summary = run(fast(address), |counts| counts.failed >= 10);
    assert_eq!(summary.counts.retried, 0, "{summary:?}");
    assert!(
        summary.examples[0]
            .request
            .ends_with("on a kept-alive connection"),
        "{summary:?}"
    );
}

#[test]
fn errors_refusals_and_wrong_bodies_are_failures_with_their_reason() {
    let bad_gateway = server(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
    });
    let summary = run(fast(bad_gateway), |counts| counts.failed >= 8);
    assert!(
        summary.failures.contains_key("answered 502 Bad Gateway"),
        "{summary:?}"
    );

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let summary = run(fast(nobody), |counts| counts.failed >= 8);
    let reason = summary.failures.keys().next().unwrap();
    assert!(reason.contains("refused"), "{summary:?}");

    let forgetful = server(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nv1");
    });
    let summary = run(fast(forgetful), |counts| counts.failed >= 8);
    assert!(
        summary
            .failures
            .contains_key("answered with another body than was posted")
    );
    assert!(summary.versions.contains_key("v1"), "{summary:?}");
}

#[test]
fn a_request_that_is_never_answered_fails_at_its_deadline() {
    let silent = server(|mut stream| {
        read_request(&mut stream);
        std::thread::sleep(Duration::from_secs(120));
    });
    let options = TrafficOptions {
        deadline: Duration::from_millis(50),
        ..fast(silent)
    };
    let summary = run(options, |counts| counts.failed >= 4);
    assert_eq!(summary.counts.served, 0, "{summary:?}");
}

#[test]
fn an_application_that_ends_gracefully_loses_nothing_that_is_in_flight() {
    let (address, end) = application();
    let mut slow = TcpStream::connect(address).unwrap();
    write!(slow, "GET /slow?ms=300 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    // The request has to have arrived: its connection is asked before the end.
    let mut idle = TcpStream::connect(address).unwrap();
    write!(idle, "GET /version HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(read_request(&mut idle).ends_with("v7"));
    let _ = end.send(());
    assert_eq!(
        read_request(&mut idle),
        "",
        "an idle connection is closed at once"
    );
    let answer = read_request(&mut slow);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(TcpStream::connect(address).is_err());
}

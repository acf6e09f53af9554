//! Commands and uploads when the server or the network misbehaves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::try_join_all;
use nonstop::ssh::{ConnectorOptions, ExecError, ExecRequest, Exit, NotSent, UploadRequest};
use tokio::time::Instant;

use super::server::{Server, Wire, options};

fn patient(command: &str) -> ExecRequest {
    ExecRequest {
        deadline: Duration::from_secs(600),
        ..ExecRequest::new(command)
    }
}

/// A client that asks for a sign of life five times a second.
fn watchful() -> ConnectorOptions {
    ConnectorOptions {
        keepalive: Duration::from_millis(200),
        ..options()
    }
}

#[tokio::test]
async fn a_connection_lost_after_sending_leaves_the_outcome_unknown() {
    let server = Server::start().await;
    let session = server.connect().await;
    let error = session.exec(patient("cut")).await.expect_err("no answer");
    let ExecError::OutcomeUnknown { ref stdout, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(stdout.text(), "begun\n");
    assert!(error.may_have_run() && session.is_lost());
}

#[tokio::test]
async fn a_command_on_a_lost_connection_was_certainly_not_sent() {
    let server = Server::start().await;
    let session = server.connect().await;
    server.wire(Wire::Cut);
    while !session.is_lost() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = session.exec(patient("echo x")).await.expect_err("no answer");
    assert!(
        matches!(error, ExecError::NotSent(NotSent::ConnectionLost(_))),
        "{error:?}"
    );
    assert!(!error.may_have_run());
}

#[tokio::test]
async fn a_silent_network_is_found_dead_long_before_the_deadline() {
    let server = Server::start().await;
    let session = server.connect_with(watchful()).await.expect("a session");
    let begun = Instant::now();
    let error = session.exec(patient("stall")).await.expect_err("no answer");
    let ExecError::OutcomeUnknown { ref reason, .. } = error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("no sign of life"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(session.is_lost());
}

#[tokio::test]
async fn a_write_that_is_stuck_ends_the_connection_too() {
    let server = Server::start().await;
    let session = server.connect_with(watchful()).await.expect("a session");
    let request = upload(&server, "count", 64 << 20);
    let (wire, begun) = (server.shared.wire.clone(), Instant::now());
    let patient = UploadRequest {
        stall: Duration::from_secs(600),
        deadline: Duration::from_secs(900),
        ..request
    };
    let stall = |sent: u64| {
        if sent == 1 << 20 {
            wire.send_replace(Wire::Stalled);
        }
    };
    let error = session.upload(patient, stall).await.expect_err("no answer");
    assert!(matches!(error, ExecError::OutcomeUnknown { .. }), "{error:?}");
    assert!(
        begun.elapsed() < Duration::from_secs(120),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_command_that_answers_nothing_ends_at_its_deadline_and_closes_its_channel() {
    let server = Server::start().await;
    let session = server.connect().await;
    let request = ExecRequest {
        deadline: Duration::from_millis(200),
        ..ExecRequest::new("hang")
    };
    let error = session.exec(request).await.expect_err("no answer");
    assert!(matches!(error, ExecError::Deadline { .. }), "{error:?}");
    let next = session.exec(patient("echo on")).await.expect("the session lives");
    assert_eq!(next.stdout.text(), "on\n");
    assert!(server.shared.closed_channels.load(Ordering::Relaxed) >= 1);
}

#[tokio::test]
async fn a_server_that_never_stops_talking_ends_at_the_deadline_and_fills_no_memory() {
    for command in ["flood", "complain"] {
        let server = Server::start().await;
        let session = server.connect().await;
        let request = ExecRequest {
            deadline: Duration::from_millis(500),
            limit_bytes: 4096,
            ..ExecRequest::new(command)
        };
        let error = session.exec(request).await.expect_err("no answer");
        let ExecError::Deadline { stdout, stderr, .. } = error else {
            panic!("{error:?}")
        };
        assert!(stdout.bytes.len() <= 4096 && stderr.bytes.len() <= 4096);
        assert!(stdout.is_truncated() || stderr.is_truncated(), "{command}");
    }
}

#[tokio::test]
async fn a_server_may_open_nothing() {
    let server = Server::start().await;
    let session = server.connect().await;
    let output = session.exec(patient("open")).await.expect("an answer");
    assert_eq!(output.stdout.text(), "[false, false, false, false]");
}

#[tokio::test]
async fn a_dropped_command_gives_its_channel_back() {
    let server = Server::start().await;
    server.shared.most_sessions.store(1, Ordering::Relaxed);
    let session = server.connect().await;
    for _ in 0..20 {
        let dropped = tokio::time::timeout(Duration::from_millis(10), session.exec(patient("hang"))).await;
        assert!(dropped.is_err());
    }
    let next = session.exec(patient("echo on")).await.expect("a channel is free");
    assert_eq!(next.stdout.text(), "on\n");
}

#[tokio::test]
async fn a_child_in_the_background_does_not_hold_the_command() {
    let server = Server::start().await;
    let session = server.connect().await;
    let begun = Instant::now();
    let output = session.exec(patient("background")).await.expect("an answer");
    assert_eq!(
        (output.status, &output.stdout.bytes[..]),
        (Exit::Code(0), &b"begun\n"[..])
    );
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "it waited for the child"
    );
}

#[tokio::test]
async fn output_that_comes_after_the_exit_status_is_not_lost() {
    let server = Server::start().await;
    let output = server
        .connect()
        .await
        .exec(patient("late"))
        .await
        .expect("an answer");
    assert_eq!(output.stdout.text(), "late words\n");
}

#[tokio::test]
async fn a_channel_closed_without_exit_status_leaves_the_outcome_unknown() {
    let server = Server::start().await;
    let session = server.connect().await;
    let error = session.exec(patient("forget")).await.expect_err("no status");
    let ExecError::OutcomeUnknown { ref stdout, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(stdout.text(), "half\n");
    assert!(!session.is_lost());
}

#[tokio::test]
async fn a_refused_command_did_not_run_and_a_signal_is_told() {
    let server = Server::start().await;
    let session = server.connect().await;
    let error = session.exec(patient("refused")).await.expect_err("refused");
    assert!(matches!(error, ExecError::NotSent(NotSent::Refused)), "{error:?}");
    let output = session.exec(patient("signal")).await.expect("an answer");
    assert_eq!(output.status, Exit::Signal("KILL".to_owned()));
}

#[tokio::test]
async fn a_server_that_refuses_channels_gets_fewer_at_once() {
    let server = Server::start().await;
    server.shared.most_sessions.store(3, Ordering::Relaxed);
    let session = server.connect().await;
    try_join_all((0..30).map(|_| session.exec(patient("nap"))))
        .await
        .expect("all run");
    let refused = server.shared.refused_sessions.load(Ordering::Relaxed);
    assert!(
        (3..=7).contains(&session.allowed_channels()),
        "{}",
        session.allowed_channels()
    );
    let before = refused;
    try_join_all((0..30).map(|_| session.exec(patient("nap"))))
        .await
        .expect("all run");
    let refused = server.shared.refused_sessions.load(Ordering::Relaxed);
    assert!(
        refused <= before + 7,
        "it goes on asking for too many: {before} then {refused}"
    );
}

#[tokio::test]
async fn a_server_that_grants_no_channel_at_all_is_told_from_a_slow_command() {
    let server = Server::start().await;
    server.shared.most_sessions.store(0, Ordering::Relaxed);
    let session = server.connect().await;
    let request = ExecRequest {
        deadline: Duration::from_millis(500),
        ..ExecRequest::new("echo x")
    };
    let error = session.exec(request).await.expect_err("no channel");
    assert!(
        matches!(error, ExecError::NotSent(NotSent::NoChannel(_))),
        "{error:?}"
    );
    server.shared.most_sessions.store(1, Ordering::Relaxed);
    session.exec(patient("echo x")).await.expect("now there is one");
}

#[tokio::test]
async fn lines_are_handed_on_as_they_come() {
    let server = Server::start().await;
    let session = server.connect().await;
    let mut seen = Vec::new();
    let _ = session
        .exec_lines(patient("cut"), |line| seen.push(line.to_owned()))
        .await;
    assert_eq!(seen, ["begun"]);
}

fn upload(server: &Server, command: &str, size_bytes: u64) -> UploadRequest {
    let source = server.folder.path().join("source");
    let file = std::fs::File::create(&source).expect("a file");
    file.set_len(size_bytes).expect("a hole");
    UploadRequest {
        command: command.to_owned(),
        source,
        size_bytes,
        stall: Duration::from_secs(20),
        deadline: Duration::from_secs(120),
        limit_bytes: 4096,
    }
}

#[tokio::test]
async fn an_upload_that_stands_still_is_given_up() {
    let server = Server::start().await;
    let session = server.connect().await;
    let request = UploadRequest {
        stall: Duration::from_millis(300),
        ..upload(&server, "count", 64 << 20)
    };
    let wire = server.shared.wire.clone();
    let stall = |sent: u64| {
        if sent >= 1 << 20 {
            wire.send_replace(Wire::Stalled);
        }
    };
    let error = session.upload(request, stall).await.expect_err("it stalls");
    let ExecError::Stalled { sent_bytes, .. } = error else {
        panic!("{error:?}")
    };
    assert!((1 << 20..64 << 20).contains(&sent_bytes), "{sent_bytes}");
}

#[tokio::test]
async fn a_command_that_ends_early_ends_its_upload_with_its_status() {
    let server = Server::start().await;
    let session = server.connect().await;
    let mut most = 0;
    let request = upload(&server, "take a little", 64 << 20);
    let output = session
        .upload(request, |sent| most = sent)
        .await
        .expect("an answer");
    assert_eq!(output.status, Exit::Code(7));
    assert!(most < 64 << 20, "nobody reads the rest");
    session.exec(patient("echo on")).await.expect("the session lives");
}

#[tokio::test]
async fn a_file_of_another_length_is_not_sent() {
    let server = Server::start().await;
    let session = server.connect().await;
    let request = UploadRequest {
        size_bytes: 5,
        ..upload(&server, "count", 6)
    };
    let error = session.upload(request, |_| {}).await.expect_err("refused");
    assert!(
        matches!(error, ExecError::NotSent(NotSent::Source(_))),
        "{error:?}"
    );
    let output = session
        .upload(upload(&server, "count", 6), |_| {})
        .await
        .expect("an answer");
    assert_eq!(output.stdout.text(), "6\n");
}

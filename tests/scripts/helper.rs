//! The application that the tests start: this very test program, asked to listen.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

use nonstop::remote::command::RenderedRunner;
use tokio::signal::unix::{SignalKind, signal};

/// The words that start it. It listens on NONSTOP_PORT.
pub(crate) fn words() -> Vec<String> {
    words_of("helper::listens_where_nonstop_says")
}

fn words_of(test: &str) -> Vec<String> {
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("UTF-8").to_owned();
    let rest = [test, "--exact", "--ignored", "--nocapture"];
    std::iter::once(program).chain(rest.map(str::to_owned)).collect()
}

/// The runner of one that answers over HTTP: it is sick while a file `sick` lies beside the releases.
pub(crate) fn answering() -> RenderedRunner {
    let argv = words_of("helper::answers_over_http");
    RenderedRunner::Process { argv }
}

/// The runner of one that listens, and copies the record to `at-term` when it is told to end.
pub(crate) fn copying() -> RenderedRunner {
    let argv = words_of("helper::copies_the_record_when_it_is_told_to_end");
    RenderedRunner::Process { argv }
}

/// The words that start it, in one shell word list.
pub(crate) fn shell_words() -> String {
    words().join(" ")
}

/// The runner that starts it.
pub(crate) fn runner() -> RenderedRunner {
    RenderedRunner::Process { argv: words() }
}

/// A runner of a shell program.
pub(crate) fn sh(program: &str) -> RenderedRunner {
    RenderedRunner::Process {
        argv: ["sh", "-c", program].map(str::to_owned).to_vec(),
    }
}

#[test]
#[ignore = "started by the tests as the application"]
fn listens_where_nonstop_says() {
    let port: u16 = std::env::var("NONSTOP_PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    println!(
        "listening on {port} for {}",
        std::env::var("NONSTOP_SLOT").expect("a slot")
    );
    for connection in listener.incoming() {
        std::mem::forget(connection);
    }
}

#[test]
#[ignore = "started by the tests as the application"]
fn copies_the_record_when_it_is_told_to_end() {
    let port: u16 = std::env::var("NONSTOP_PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate()).expect("a signal");
        let _listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        term.recv().await;
        std::fs::copy("../../../state/record", "../../../at-term").expect("a record");
    });
}

#[test]
#[ignore = "started by the tests as the application"]
fn answers_over_http() {
    let port: u16 = std::env::var("NONSTOP_PORT")
        .expect("a port")
        .parse()
        .expect("a number");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    for connection in listener.incoming() {
        let mut connection = connection.expect("a connection");
        let _ = connection.read(&mut [0; 4096]);
        let status = if Path::new("../../sick").exists() {
            "503 Service Unavailable"
        } else {
            "200 OK"
        };
        let body = "{\"status\":\"UP\"}";
        let _ = write!(
            connection,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

//! The application that the tests start: this very test program, asked to listen.

use std::net::TcpListener;

use nonstop::remote::command::RenderedRunner;

/// The words that start it. It listens on NONSTOP_PORT.
pub(crate) fn words() -> Vec<String> {
    let program = std::env::current_exe().expect("a path");
    let program = program.to_str().expect("UTF-8").to_owned();
    let rest = [
        "helper::listens_where_nonstop_says",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    std::iter::once(program).chain(rest.map(str::to_owned)).collect()
}

/// The same in one shell word list.
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

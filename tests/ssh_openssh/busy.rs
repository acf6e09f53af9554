//! Servers that allow little: few sessions, few logins at once.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use nonstop::model::names::HostName;
use nonstop::ssh::{Connector, ExecRequest};

use super::fixture::{Sshd, connect, inventory, options};

#[tokio::test]
async fn a_server_that_allows_one_session_gets_its_commands_one_by_one() {
    let sshd = Sshd::with("MaxSessions 1");
    let session = sshd.connect().await;
    let requests = (0..12).map(|n| session.exec(ExecRequest::new(format!("echo {n}"))));
    let outputs = try_join_all(requests).await.expect("all are answered");
    for (n, output) in outputs.iter().enumerate() {
        assert_eq!(output.stdout.text(), format!("{n}\n"));
    }
    assert_eq!((session.allowed_channels(), sshd.connections()), (1, 1));
}

#[tokio::test]
async fn more_commands_than_channels_wait_for_their_turn() {
    let sshd = Sshd::start();
    let session = sshd.connect().await;
    let requests = (0..40).map(|n| session.exec(ExecRequest::new(format!("sleep 0.05; echo {n}"))));
    let outputs = try_join_all(requests).await.expect("all are answered");
    assert_eq!(outputs[39].stdout.text(), "39\n");
    assert_eq!(session.allowed_channels(), 8, "nothing was refused");
    assert!(!sshd.log().contains("no more sessions"));
}

#[tokio::test]
async fn thirty_connections_get_through_a_server_that_takes_two_logins_at_once() {
    let sshd = Sshd::with("MaxStartups 2:100:2");
    // Each connector knows nothing of the others, as thirty runs at once would.
    let connectors: Vec<_> = (0..30).map(|_| Connector::new(options())).collect();
    let sessions = join_all(
        connectors
            .iter()
            .map(|connector| connect(connector, sshd.connection())),
    )
    .await;
    assert_eq!(
        sessions.iter().filter(|session| session.is_ok()).count(),
        30,
        "{sessions:?}"
    );
    assert!(
        sshd.log().contains("MaxStartups"),
        "the server never had to refuse: {}",
        sshd.log()
    );
}

#[tokio::test]
async fn one_run_does_not_crowd_a_server() {
    let sshd = Sshd::with("MaxStartups 12:100:12");
    let names: Vec<_> = (0..30)
        .map(|n| HostName::new(format!("was{n}")).expect("a name"))
        .collect();
    let mut hosts = inventory([]);
    for (n, name) in names.iter().enumerate() {
        // Another alias makes it another host with a connection of its own.
        let mut connection = sshd.connection();
        let known = std::fs::read_to_string(sshd.make_known()).expect("text");
        let (_, key) = known.split_once(' ').expect("a name and a key");
        let file = sshd.path(&format!("known{n}"));
        std::fs::write(&file, format!("alias{n} {key}")).expect("written");
        connection.user_known_hosts_file = Some(file);
        connection.host_key_alias = Some(format!("alias{n}"));
        hosts.hosts.extend(inventory([(name.as_str(), connection)]).hosts);
    }
    let connector = Connector::new(options());
    let sessions = try_join_all(names.iter().map(|name| connector.connect(name, &hosts))).await;
    assert_eq!(sessions.expect("all connect").len(), 30);
    assert_eq!(sshd.connections(), 30, "no try was wasted");
}

#[tokio::test]
async fn the_session_of_a_host_is_kept_and_a_lost_one_replaced() {
    let sshd = Sshd::start();
    let connector = Connector::new(options());
    let first = connect(&connector, sshd.connection()).await.expect("a session");
    let again = connect(&connector, sshd.connection()).await.expect("a session");
    assert_eq!(sshd.connections(), 1);
    first.close().await;
    while !again.is_lost() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let new = connect(&connector, sshd.connection()).await.expect("a session");
    assert!(
        new.exec(ExecRequest::new("true"))
            .await
            .expect("an answer")
            .status
            .is_success()
    );
    assert_eq!(sshd.connections(), 2);
}

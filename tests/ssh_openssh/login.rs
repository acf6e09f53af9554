//! Logging in: files, passphrases, PEM, agents, and the errors about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nonstop::model::inventory::Connection;
use nonstop::model::names::{HostName, UserName};
use nonstop::ssh::{
    ConnectCause, Connector, ConnectorOptions, ExecRequest, KeyError, LoginError, Passphrase, Session,
};

use super::fixture::{Sshd, connect, inventory, key, options, public, run, user};

/// An inventory entry that logs in with this key.
fn with_key(sshd: &Sshd, identity: &Path) -> Connection {
    Connection {
        identity_file: Some(identity.to_path_buf()),
        ..sshd.connection()
    }
}

async fn logs_in(options: ConnectorOptions, connection: Connection) {
    let session = connect(&Connector::new(options), connection)
        .await
        .expect("a session");
    let output = session
        .exec(ExecRequest::new("echo in"))
        .await
        .expect("an answer");
    assert_eq!(output.stdout.text(), "in\n");
}

async fn cause(options: ConnectorOptions, connection: Connection) -> ConnectCause {
    connect(&Connector::new(options), connection)
        .await
        .expect_err("no session")
        .cause
}

#[tokio::test]
async fn keys_of_every_kind_log_in() {
    let sshd = Sshd::start();
    let kinds: [(&str, &[&str]); 5] = [
        ("ecdsa", &["-t", "ecdsa"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa.pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("ecdsa.pem", &["-t", "ecdsa", "-m", "PEM"]),
        ("rsa.pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
    ];
    for (name, arguments) in kinds {
        let file = key(sshd.folder.path(), name, arguments);
        // AWS gives the private half alone.
        let public_file = PathBuf::from(format!("{}.pub", file.display()));
        sshd.let_in(&fs::read_to_string(&public_file).expect("text"));
        fs::remove_file(public_file).expect("removed");
        logs_in(options(), with_key(&sshd, &file)).await;
    }
}

#[tokio::test]
async fn an_encrypted_key_opens_with_its_passphrase_and_with_no_other() {
    let sshd = Sshd::start();
    for (name, arguments) in [
        ("locked", &["-t", "ed25519"][..]),
        ("locked-rsa", &["-t", "rsa", "-m", "PKCS8"]),
    ] {
        let file = key(
            sshd.folder.path(),
            name,
            &[arguments, &["-N", "open sesame"]].concat(),
        );
        sshd.let_in(&public(&file));
        let passphrase = |word: &str| ConnectorOptions {
            passphrase: Some(Passphrase(word.to_owned())),
            ..options()
        };
        logs_in(passphrase("open sesame"), with_key(&sshd, &file)).await;
        let wrong = cause(passphrase("open barley"), with_key(&sshd, &file)).await;
        let expected = LoginError::Key(KeyError::WrongPassphrase(file.clone()));
        assert_eq!(
            format!("{wrong:?}"),
            format!("{:?}", ConnectCause::Login(expected))
        );
        let none = cause(options(), with_key(&sshd, &file)).await;
        assert!(
            matches!(none, ConnectCause::Login(LoginError::Key(KeyError::Locked(_)))),
            "{none:?}"
        );
    }
}

#[tokio::test]
async fn key_and_user_of_the_run_stand_in_for_those_of_the_inventory() {
    let (sshd, bastion) = (Sshd::start(), Sshd::start());
    let file = key(sshd.folder.path(), "credential", &["-t", "ed25519"]);
    let of_a_laptop = |sshd: &Sshd| Connection {
        identity_file: Some("/nowhere/laptop.pem".into()),
        user: Some(UserName::new("somebody-else").expect("a user")),
        ..sshd.connection()
    };
    for server in [&sshd, &bastion] {
        server.let_in(&public(&file));
    }
    let of_the_run = |user: &str| ConnectorOptions {
        key: Some(file.clone()),
        user: Some(user.to_owned()),
        ..options()
    };
    let behind = Connection {
        proxy_jump: Some("gate".to_owned()),
        ..of_a_laptop(&sshd)
    };
    let inventory = inventory([("gate", of_a_laptop(&bastion)), ("was1", behind)]);
    let host = HostName::new("was1").expect("a name");
    let connector = Connector::new(of_the_run(&user()));
    let session = connector.connect(&host, &inventory).await;
    assert_eq!(
        session.expect("a session").bastion().map(Session::name),
        Some("gate")
    );

    let missing = ConnectorOptions {
        key: Some(sshd.path("nowhere")),
        ..options()
    };
    let missing = cause(missing, sshd.connection()).await;
    assert!(
        matches!(
            missing,
            ConnectCause::Login(LoginError::Key(KeyError::Missing(_)))
        ),
        "{missing:?}"
    );
    let wrong = cause(of_the_run("no user"), sshd.connection()).await;
    assert!(
        wrong.to_string().contains("`NONSTOP_USER` is `no user`"),
        "{wrong}"
    );
}

#[tokio::test]
async fn key_files_that_cannot_be_used_are_refused_before_any_connection() {
    let sshd = Sshd::start();
    let before = sshd.connections();
    let missing = cause(options(), with_key(&sshd, &sshd.path("nowhere"))).await;
    assert!(
        matches!(
            missing,
            ConnectCause::Login(LoginError::Key(KeyError::Missing(_)))
        ),
        "{missing:?}"
    );
    let open = key(sshd.folder.path(), "open", &["-t", "ed25519"]);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).expect("permitted");
    let open = cause(options(), with_key(&sshd, &open)).await;
    let ConnectCause::Login(LoginError::Key(KeyError::TooOpen { mode, .. })) = open else {
        panic!("{open:?}")
    };
    assert_eq!(mode, 0o640);
    fs::write(sshd.path("junk"), "junk").expect("written");
    fs::set_permissions(sshd.path("junk"), fs::Permissions::from_mode(0o600)).expect("permitted");
    let junk = cause(options(), with_key(&sshd, &sshd.path("junk"))).await;
    assert!(
        matches!(
            junk,
            ConnectCause::Login(LoginError::Key(KeyError::Format { .. }))
        ),
        "{junk:?}"
    );
    assert_eq!(sshd.connections(), before);
}

#[tokio::test]
async fn a_rejected_key_is_named_by_its_fingerprint() {
    let sshd = Sshd::start();
    let stranger = key(sshd.folder.path(), "stranger", &["-t", "ed25519"]);
    let error = cause(options(), with_key(&sshd, &stranger)).await;
    let ConnectCause::Login(LoginError::Rejected { tried, methods, .. }) = error else {
        panic!("{error:?}")
    };
    let fingerprint = run("ssh-keygen", &["-lf", stranger.to_str().expect("text")]);
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
    assert!(tried[0].what.contains(fingerprint), "{tried:?}");
    assert_eq!(methods, ["publickey"]);
}

/// An agent with a socket of its own.
struct Agent {
    socket: PathBuf,
    child: Child,
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    fn start(folder: &Path) -> Self {
        let socket = folder.join("agent");
        let mut command = Command::new("ssh-agent");
        command
            .args(["-D", "-a"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn().expect("ssh-agent; apt package: openssh-client");
        let until = Instant::now() + Duration::from_secs(10);
        while !socket.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { socket, child }
    }

    fn add(&self, key: &Path) {
        let mut command = Command::new("ssh-add");
        command
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .stdin(Stdio::null());
        assert!(command.status().expect("ssh-add").success());
    }

    fn options(&self) -> ConnectorOptions {
        ConnectorOptions {
            agent: Some(self.socket.clone()),
            ..options()
        }
    }
}

#[tokio::test]
async fn the_agents_keys_log_in_unless_the_inventory_names_another() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.folder.path());
    let held = key(sshd.folder.path(), "held", &["-t", "rsa", "-b", "2048"]);
    sshd.let_in(&public(&held));
    agent.add(&held);
    let anything = Connection {
        identity_file: None,
        ..sshd.connection()
    };
    logs_in(agent.options(), anything).await;
    let stranger = key(sshd.folder.path(), "stranger", &["-t", "ed25519"]);
    let error = cause(agent.options(), with_key(&sshd, &stranger)).await;
    let ConnectCause::Login(LoginError::Rejected { tried, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(tried.len(), 1, "only the named key was offered: {tried:?}");
}

#[tokio::test]
async fn an_encrypted_key_that_the_agent_holds_needs_no_passphrase() {
    let sshd = Sshd::start();
    let agent = Agent::start(sshd.folder.path());
    let file = key(sshd.folder.path(), "locked", &["-t", "ed25519"]);
    sshd.let_in(&public(&file));
    agent.add(&file);
    run(
        "ssh-keygen",
        &[
            "-q",
            "-p",
            "-P",
            "",
            "-N",
            "secret",
            "-f",
            file.to_str().expect("text"),
        ],
    );
    logs_in(agent.options(), with_key(&sshd, &file)).await;
}

#[tokio::test]
async fn a_dead_agent_does_not_stop_a_key_file() {
    let sshd = Sshd::start();
    let options = ConnectorOptions {
        agent: Some(sshd.path("no-agent")),
        ..options()
    };
    logs_in(options, sshd.connection()).await;
    assert_eq!(
        sshd.logins_tried(),
        2,
        "one question for the methods or the key, one signature"
    );
}

//! What happens when the host key is right, unknown, changed, certified; always before any login.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nonstop::model::inventory::Connection;
use nonstop::ssh::{ConnectCause, Connector, ConnectorOptions, HostKeyError, HostKeyPolicy, SshConfig};

use super::fixture::{Sshd, connect, key, options, public, run};

fn knowing(sshd: &Sshd, file: &Path) -> Connection {
    Connection {
        user_known_hosts_file: Some(file.to_path_buf()),
        ..sshd.connection()
    }
}

fn accepting() -> ConnectorOptions {
    ConnectorOptions {
        host_key_policy: HostKeyPolicy::AcceptNew,
        ..options()
    }
}

async fn refusal(options: ConnectorOptions, connection: Connection) -> HostKeyError {
    let error = connect(&Connector::new(options), connection)
        .await
        .expect_err("no session");
    let ConnectCause::HostKey(error) = error.cause else {
        panic!("{error:?}")
    };
    error
}

#[tokio::test]
async fn a_changed_key_is_refused_before_any_login_with_its_file_and_line() {
    let sshd = Sshd::start();
    let other = key(sshd.folder.path(), "other", &["-t", "ed25519"]);
    let file = sshd.path("wrong");
    let text = format!("# a comment\n\n[127.0.0.1]:{} {}\n", sshd.port, public(&other));
    fs::write(&file, &text).expect("written");
    for options in [options(), accepting()] {
        let error = refusal(options, knowing(&sshd, &file)).await;
        let HostKeyError::Changed {
            ref recorded,
            ref fingerprint,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((&recorded[0].file, recorded[0].line), (&file, 3));
        let shown = run(
            "ssh-keygen",
            &["-lf", sshd.path("host_key.pub").to_str().expect("text")],
        );
        assert!(shown.contains(fingerprint), "{shown}");
    }
    assert_eq!((sshd.connections(), sshd.logins_tried()), (2, 0));
    assert_eq!(fs::read_to_string(&file).expect("text"), text);
}

#[tokio::test]
async fn an_unknown_host_is_refused_and_recorded_only_on_request() {
    let sshd = Sshd::start();
    let file = sshd.path("new/folder/known_hosts");
    let error = refusal(options(), knowing(&sshd, &file)).await;
    assert!(matches!(error, HostKeyError::Unknown { .. }), "{error:?}");
    assert!(!file.exists() && sshd.logins_tried() == 0);
    connect(&Connector::new(accepting()), knowing(&sshd, &file))
        .await
        .expect("a session");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(
        (mode(&file), mode(file.parent().expect("a folder"))),
        (0o600, 0o700)
    );
    connect(&Connector::new(options()), knowing(&sshd, &file))
        .await
        .expect("it is known now");
    let name = format!("[127.0.0.1]:{}", sshd.port);
    let found = run("ssh-keygen", &["-F", &name, "-f", file.to_str().expect("text")]);
    assert!(found.contains("ssh-ed25519"), "{found}");
}

#[tokio::test]
async fn a_new_host_is_recorded_below_a_line_without_end_and_hashed_on_request() {
    let sshd = Sshd::start();
    let (file, config) = (sshd.path("known"), sshd.path("ssh_config"));
    fs::write(&file, format!("elsewhere {}", public(&sshd.path("host_key")))).expect("written");
    fs::write(&config, "HashKnownHosts yes\n").expect("written");
    let hashing = ConnectorOptions {
        ssh_config: SshConfig::File(config),
        ..accepting()
    };
    connect(&Connector::new(hashing), knowing(&sshd, &file))
        .await
        .expect("a session");
    let text = fs::read_to_string(&file).expect("text");
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().nth(1).expect("a line").starts_with("|1|") && !text.contains("127.0.0.1"));
    let name = format!("[127.0.0.1]:{}", sshd.port);
    run("ssh-keygen", &["-F", &name, "-f", file.to_str().expect("text")]);
}

#[tokio::test]
async fn hosts_that_are_recorded_at_once_do_not_lose_a_line() {
    let sshd = Sshd::start();
    let file = sshd.path("known");
    let aliased = |n: usize| Connection {
        host_key_alias: Some(format!("host{n}")),
        ..knowing(&sshd, &file)
    };
    let connectors: Vec<_> = (0..8).map(|_| Connector::new(accepting())).collect();
    let connecting = connectors
        .iter()
        .enumerate()
        .map(|(n, connector)| connect(connector, aliased(n)));
    futures::future::try_join_all(connecting)
        .await
        .expect("all connect");
    let text = fs::read_to_string(&file).expect("text");
    for n in 0..8 {
        let line = format!(
            "host{n} {}\n",
            public(&sshd.path("host_key")).trim_end_matches(" host_key")
        );
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(text.lines().count(), 8);
}

#[tokio::test]
async fn a_server_with_several_keys_is_asked_for_the_one_that_is_recorded() {
    let sshd = {
        let folder = tempfile::tempdir().expect("a folder");
        key(folder.path(), "host_key", &["-t", "ed25519"]);
        let rsa = key(folder.path(), "rsa", &["-t", "rsa", "-b", "2048"]);
        let client = key(folder.path(), "id", &["-t", "ed25519"]);
        fs::write(folder.path().join("authorized_keys"), public(&client)).expect("written");
        let line = format!("HostKey {}", rsa.display());
        Sshd::serve(folder, &line)
    };
    let file = sshd.path("rsa_only");
    fs::write(
        &file,
        format!("[127.0.0.1]:{} {}\n", sshd.port, public(&sshd.path("rsa"))),
    )
    .expect("written");
    connect(&Connector::new(options()), knowing(&sshd, &file))
        .await
        .expect("a session");
}

#[tokio::test]
async fn a_host_certificate_of_a_recorded_authority_is_accepted_over_the_wire() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = key(folder.path(), "ca", &["-t", "ed25519"]);
    key(folder.path(), "host_key", &["-t", "ed25519"]);
    let client = key(folder.path(), "id", &["-t", "ed25519"]);
    fs::write(folder.path().join("authorized_keys"), public(&client)).expect("written");
    let host_key = folder.path().join("host_key.pub");
    let path = |path: &Path| path.to_str().expect("text").to_owned();
    run(
        "ssh-keygen",
        &[
            "-q",
            "-s",
            &path(&ca),
            "-I",
            "x",
            "-h",
            "-n",
            "127.0.0.1",
            &path(&host_key),
        ],
    );
    let line = format!(
        "HostCertificate {}",
        folder.path().join("host_key-cert.pub").display()
    );
    let sshd = Sshd::serve(folder, &line);
    let file = sshd.path("authority");
    fs::write(&file, format!("@cert-authority 127.0.0.* {}\n", public(&ca))).expect("written");
    connect(&Connector::new(options()), knowing(&sshd, &file))
        .await
        .expect("a session");
    let alias = Connection {
        host_key_alias: Some("127.0.0.9".to_owned()),
        ..knowing(&sshd, &file)
    };
    let error = refusal(options(), alias).await;
    assert!(matches!(error, HostKeyError::Certificate { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unreadable_known_hosts_file_is_an_error_and_not_an_unknown_host() {
    let sshd = Sshd::start();
    let error = refusal(accepting(), knowing(&sshd, sshd.folder.path())).await;
    assert!(matches!(error, HostKeyError::Unreadable(_)), "{error:?}");
}

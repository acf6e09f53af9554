//! Ways through a bastion, and the settings that come from `~/.ssh/config`.

use std::fs;
use std::path::PathBuf;

use nonstop::model::inventory::Connection;
use nonstop::model::names::{Address, HostName};
use nonstop::ssh::{
    ConnectCause, Connector, ConnectorOptions, ExecRequest, HostKeyError, Session, SettingsError, SshConfig,
};

use super::fixture::{Sshd, connect, inventory, options};

fn behind(target: &Sshd, bastion: &str) -> Connection {
    Connection {
        proxy_jump: Some(bastion.to_owned()),
        ..target.connection()
    }
}

#[tokio::test]
async fn all_hosts_behind_a_bastion_share_one_connection_to_it() {
    let (bastion, one, two) = (Sshd::start(), Sshd::start(), Sshd::start());
    let inventory = inventory([
        ("gate", bastion.connection()),
        ("was1", behind(&one, "gate")),
        ("was2", behind(&two, "gate")),
    ]);
    let connector = Connector::new(options());
    let names = ["was1", "was2"].map(|name| HostName::new(name).expect("a name"));
    let (first, second) = tokio::join!(
        connector.connect(&names[0], &inventory),
        connector.connect(&names[1], &inventory)
    );
    for session in [first.expect("a session"), second.expect("a session")] {
        let output = session
            .exec(ExecRequest::new("echo $SSH_CONNECTION"))
            .await
            .expect("an answer");
        assert!(output.stdout.text().starts_with("127.0.0.1 "));
    }
    assert_eq!(
        (bastion.connections(), one.connections(), two.connections()),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn a_chain_of_bastions_is_walked_in_its_order() {
    let (first, second, target) = (Sshd::start(), Sshd::start(), Sshd::start());
    let inventory = inventory([
        ("outer", first.connection()),
        ("inner", second.connection()),
        ("was1", behind(&target, "outer,inner")),
    ]);
    let connector = Connector::new(options());
    let session = connector
        .connect(&HostName::new("was1").expect("a name"), &inventory)
        .await;
    let session = session.expect("a session");
    assert_eq!(session.bastion().map(Session::name), Some("inner"));
    assert!(
        first.log().contains(&format!("127.0.0.1 port {}", second.port)),
        "{}",
        first.log()
    );
    assert!(second.log().contains(&format!("127.0.0.1 port {}", target.port)));
}

#[tokio::test]
async fn a_bastion_that_is_not_the_known_one_is_refused_before_the_host_is_reached() {
    let (bastion, other, target) = (Sshd::start(), Sshd::start(), Sshd::start());
    let line = fs::read_to_string(other.make_known()).expect("text");
    let wrong = bastion.path("wrong");
    fs::write(
        &wrong,
        line.replace(&other.port.to_string(), &bastion.port.to_string()),
    )
    .expect("written");
    let gate = Connection {
        user_known_hosts_file: Some(wrong.clone()),
        ..bastion.connection()
    };
    let inventory = inventory([("gate", gate), ("was1", behind(&target, "gate"))]);
    let connector = Connector::new(options());
    let error = connector
        .connect(&HostName::new("was1").expect("a name"), &inventory)
        .await;
    let ConnectCause::Bastion(error) = error.expect_err("no session").cause else {
        panic!("the bastion")
    };
    let ConnectCause::HostKey(HostKeyError::Changed { ref recorded, .. }) = error.cause else {
        panic!("{error:?}")
    };
    assert_eq!((&recorded[0].file, recorded[0].line), (&wrong, 1));
    assert_eq!((bastion.logins_tried(), target.connections()), (0, 0));
}

#[tokio::test]
async fn a_bastion_that_forbids_forwarding_or_reaches_nothing_says_so() {
    let mut target = Sshd::start();
    let strict = Sshd::with("AllowTcpForwarding no");
    let hosts = inventory([("gate", strict.connection()), ("was1", behind(&target, "gate"))]);
    let was1 = HostName::new("was1").expect("a name");
    let error = Connector::new(options())
        .connect(&was1, &hosts)
        .await
        .expect_err("no session");
    assert!(
        matches!(error.cause, ConnectCause::BastionForbids { ref bastion } if bastion == "gate"),
        "{error:?}"
    );
    let gate = Sshd::start();
    let hosts = inventory([("gate", gate.connection()), ("was1", behind(&target, "gate"))]);
    target.stop();
    let error = Connector::new(options())
        .connect(&was1, &hosts)
        .await
        .expect_err("no session");
    assert!(
        matches!(error.cause, ConnectCause::BastionCannotReach { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn bastions_that_lead_to_each_other_are_refused() {
    let sshd = Sshd::start();
    let hosts = inventory([("a", behind(&sshd, "b")), ("b", behind(&sshd, "a"))]);
    let error = Connector::new(options())
        .connect(&HostName::new("a").expect("a name"), &hosts)
        .await;
    let cause = error.expect_err("no session").cause;
    assert!(
        matches!(cause, ConnectCause::Settings(SettingsError::JumpCircle(_))),
        "{cause:?}"
    );
}

#[tokio::test]
async fn a_bastion_that_inherits_its_own_jump_is_reached_directly() {
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let hosts = inventory([
        ("gate", behind(&bastion, "gate")),
        ("was1", behind(&target, "gate")),
    ]);
    let session = Connector::new(options())
        .connect(&HostName::new("was1").expect("a name"), &hosts)
        .await;
    assert_eq!(
        session.expect("a session").bastion().map(Session::name),
        Some("gate")
    );
}

/// Options that read one configuration file.
fn configured(sshd: &Sshd, text: &str) -> ConnectorOptions {
    let file: PathBuf = sshd.path("ssh_config");
    fs::write(&file, text).expect("written");
    ConnectorOptions {
        ssh_config: SshConfig::File(file),
        ..options()
    }
}

#[tokio::test]
async fn what_the_inventory_leaves_open_comes_from_the_ssh_configuration() {
    let (bastion, target) = (Sshd::start(), Sshd::start());
    let text = format!(
        "Host was1\n HostName 127.0.0.1\n Port {port}\n IdentityFile {id}\n IdentitiesOnly yes\n\
         UserKnownHostsFile {known}\n ProxyJump gate\n\
         Host gate\n HostName 127.0.0.1\n Port {gate_port}\n IdentityFile {gate_id}\n\
         UserKnownHostsFile {gate_known}\n",
        port = target.port,
        id = target.path("id").display(),
        known = target.make_known().display(),
        gate_port = bastion.port,
        gate_id = bastion.path("id").display(),
        gate_known = bastion.make_known().display(),
    );
    let session = connect(&Connector::new(configured(&target, &text)), Connection::default()).await;
    let session = session.expect("a session");
    assert!(
        session
            .address()
            .ends_with(&format!("@127.0.0.1:{}", target.port))
    );
    assert_eq!(session.bastion().map(Session::name), Some("gate"));
    assert_eq!(bastion.connections(), 1);
}

#[tokio::test]
async fn the_inventory_wins_over_the_ssh_configuration() {
    let target = Sshd::start();
    let text = "Host *\n HostName 192.0.2.1\n Port 9\n User nobody\n IdentityFile /nowhere\n\
                UserKnownHostsFile /nowhere\n ProxyCommand false\n StrictHostKeyChecking no\n\
                Host 127.0.0.1\n HostName 127.0.0.1\n";
    let text = format!("Host 127.0.0.1\n HostName 127.0.0.1\n{text}");
    let open = Connection {
        proxy_jump: Some("none".to_owned()),
        ..target.connection()
    };
    connect(&Connector::new(configured(&target, &text)), open)
        .await
        .expect("a session");
}

#[tokio::test]
async fn a_configuration_cannot_relax_the_check_of_host_keys() {
    let target = Sshd::start();
    let text = "Host *\n StrictHostKeyChecking no\n";
    let empty = target.path("empty");
    let stranger = Connection {
        user_known_hosts_file: Some(empty.clone()),
        ..target.connection()
    };
    let error = connect(&Connector::new(configured(&target, text)), stranger)
        .await
        .expect_err("no session");
    assert!(
        matches!(error.cause, ConnectCause::HostKey(HostKeyError::Unknown { .. })),
        "{error:?}"
    );
    assert!(!empty.exists() && target.logins_tried() == 0);
}

#[tokio::test]
async fn a_proxy_command_is_refused_and_named() {
    let target = Sshd::start();
    let text = "Host *\n ProxyCommand nc %h %p\n";
    let error = connect(&Connector::new(configured(&target, text)), target.connection()).await;
    let cause = error.expect_err("no session").cause;
    let ConnectCause::Settings(SettingsError::ProxyCommand(command)) = cause else {
        panic!("{cause:?}")
    };
    assert_eq!(command, "nc %h %p");
}

#[tokio::test]
async fn the_key_is_looked_up_under_its_alias() {
    let target = Sshd::start();
    let known = target.path("aliased");
    let line = fs::read_to_string(target.make_known()).expect("text");
    let (_, key) = line.split_once(' ').expect("a name and a key");
    fs::write(&known, format!("production-was {key}")).expect("written");
    let aliased = |alias: &str| Connection {
        host_name: Some(Address::new("localhost").expect("an address")),
        user_known_hosts_file: Some(known.clone()),
        host_key_alias: Some(alias.to_owned()),
        ..target.connection()
    };
    connect(&Connector::new(options()), aliased("Production-WAS"))
        .await
        .expect("a session");
    let error = connect(&Connector::new(options()), aliased("staging-was"))
        .await
        .expect_err("no session");
    assert!(
        matches!(error.cause, ConnectCause::HostKey(HostKeyError::Unknown { .. })),
        "{error:?}"
    );
}

//! An sshd on loopback, and an inventory that leads to it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nonstop::model::inventory::{Connection, Host, Inventory, Way};
use nonstop::model::names::{Address, HostName, Port, UserName};
use nonstop::ssh::{ConnectError, Connector, ConnectorOptions, Session, SshConfig};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

/// A server, its folder, and the key that it lets in.
pub(crate) struct Sshd {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().filter(|line| !line.starts_with("debug1")).collect();
            eprintln!("--- sshd on {} ---\n{}", self.port, lines.join("\n"));
        }
    }
}

/// Runs a program and demands success.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); apt packages: openssh-server openssh-client")
    });
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).expect("text")
}

/// Makes a key pair and gives the path of its private half.
pub(crate) fn key(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let file = folder.join(name);
    let path = file.to_str().expect("text");
    let mut arguments = vec!["-q", "-f", path, "-C", name];
    if !options.contains(&"-N") {
        arguments.extend(["-N", ""]);
    }
    arguments.extend(options);
    run("ssh-keygen", &arguments);
    file
}

pub(crate) fn public(key: &Path) -> String {
    fs::read_to_string(key.with_extension("pub"))
        .expect("a public key")
        .trim()
        .to_owned()
}

pub(crate) fn user() -> String {
    run("id", &["-un"]).trim().to_owned()
}

impl Sshd {
    /// An sshd as it comes.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// An sshd with more lines in its configuration; the first value of a keyword counts.
    pub(crate) fn with(lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        key(folder.path(), "host_key", &["-t", "ed25519"]);
        let client = key(folder.path(), "id", &["-t", "ed25519"]);
        fs::write(folder.path().join("authorized_keys"), public(&client)).expect("written");
        Self::serve(folder, lines)
    }

    /// Starts the server of a folder that holds `host_key` and `authorized_keys`.
    pub(crate) fn serve(folder: TempDir, lines: &str) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing; apt package: openssh-server"
        );
        // sshd demands this folder where it runs as root, and makes it nowhere itself.
        let _ = fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let child = spawn(folder.path(), port, lines);
        let mut sshd = Self { folder, port, child };
        assert!(sshd.comes_up(), "sshd did not start:\n{}", sshd.log());
        sshd
    }

    fn comes_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if self.log().contains("Server listening on") {
                return true;
            }
            if self.child.try_wait().expect("a child").is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Ends the listener; connections that it has accepted live on.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lets a further key in.
    pub(crate) fn let_in(&self, public: &str) {
        let file = self.path("authorized_keys");
        let before = fs::read_to_string(&file).expect("text");
        fs::write(file, format!("{before}\n{public}\n")).expect("written");
    }

    /// Writes the known_hosts file that knows this server.
    pub(crate) fn make_known(&self) -> PathBuf {
        let file = self.path("known_hosts");
        let line = format!("[127.0.0.1]:{} {}\n", self.port, public(&self.path("host_key")));
        fs::write(&file, line).expect("written");
        file
    }

    /// How the inventory reaches it.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            way: Way::Ssh,
            host_name: Some(Address::new("127.0.0.1").expect("an address")),
            port: Some(Port::new(self.port).expect("a port")),
            user: Some(UserName::new(user()).expect("a user")),
            identity_file: Some(self.path("id")),
            proxy_jump: None,
            user_known_hosts_file: Some(self.make_known()),
            host_key_alias: None,
            become_root: None,
        }
    }

    pub(crate) async fn connect(&self) -> Session {
        connect(&Connector::new(options()), self.connection())
            .await
            .expect("a session")
    }

    /// How many connections the server has accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.log().matches("Connection from ").count()
    }

    /// How many logins the server has seen tried.
    pub(crate) fn logins_tried(&self) -> usize {
        self.log().matches("userauth-request for user").count()
    }
}

/// Options that keep the machine's own configuration out.
pub(crate) fn options() -> ConnectorOptions {
    ConnectorOptions {
        ssh_config: SshConfig::Ignored,
        global_known_hosts: Some(Vec::new()),
        connect_timeout: Duration::from_secs(30),
        ..ConnectorOptions::default()
    }
}

/// An inventory of these hosts.
pub(crate) fn inventory<const N: usize>(hosts: [(&str, Connection); N]) -> Inventory {
    let hosts = hosts.map(|(name, connection)| {
        let address = Address::new("127.0.0.1").expect("an address");
        (
            HostName::new(name).expect("a name"),
            Host {
                address,
                connection,
                vars: BTreeMap::new(),
            },
        )
    });
    Inventory {
        hosts: hosts.into(),
        groups: BTreeMap::new(),
    }
}

/// Connects to the only host of an inventory.
pub(crate) async fn connect(connector: &Connector, connection: Connection) -> Result<Session, ConnectError> {
    let name = HostName::new("was1").expect("a name");
    connector.connect(&name, &inventory([("was1", connection)])).await
}

fn spawn(folder: &Path, port: u16, lines: &str) -> Child {
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "{lines}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
         PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel DEBUG1\n\
         UseDNS no\n",
        at("host_key"),
        at("authorized_keys"),
    );
    fs::write(folder.join("sshd_config"), config).expect("written");
    // sshd runs children as the user who logs in: the folder must be open to that user.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("permitted");
    let mut command = Command::new(SSHD);
    command
        .args(["-D", "-E", &at("log"), "-f", &at("sshd_config")])
        .stdin(Stdio::null());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd starts")
}

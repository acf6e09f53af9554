use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use russh::keys::ssh_key::LineEnding;

use super::*;

/// A host and OpenSSH's own client with the key to it.
struct Host {
    folder: tempfile::TempDir,
    server: SshServer,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("was-1");
        std::fs::create_dir(&home).unwrap();
        let key = new_key().unwrap();
        write_key(&folder.path().join("key"), &key);
        let options = SshServerOptions {
            max_sessions: 2,
            ..SshServerOptions::new(home, key.public_key().clone())
        };
        let server = SshServer::start(options).unwrap();
        let known_hosts = server.known_hosts_line() + "\n";
        std::fs::write(folder.path().join("known_hosts"), known_hosts).unwrap();
        Self { folder, server }
    }

    fn ssh(&self, options: &[&str]) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=yes"])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.folder.path().join("known_hosts").display()
            ))
            .arg("-i")
            .arg(self.folder.path().join("key"))
            .args(["-p", &self.server.address().port().to_string()])
            .args(options)
            .stdin(Stdio::null());
        ssh
    }

    fn run(&self, command: &str) -> Output {
        self.ssh(&["demo@127.0.0.1", command]).output().unwrap()
    }
}

fn write_key(path: &Path, key: &PrivateKey) {
    let text = key.to_openssh(LineEnding::LF).unwrap();
    std::fs::write(path, text.as_bytes()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_runs_in_the_hosts_own_folder_and_its_streams_and_status_arrive() {
    let host = Host::new();
    let output = host.run("pwd; echo $HOME; echo trouble >&2; exit 7");
    let home = host.folder.path().join("was-1");
    let home = home.to_str().unwrap();
    assert_eq!(text(&output.stdout), format!("{home}\n{home}"));
    assert_eq!(text(&output.stderr), "trouble");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(host.run("kill -9 $$").status.code(), Some(137));
}

#[test]
fn what_is_sent_arrives_whole_and_comes_back_whole() {
    let host = Host::new();
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[0] ^ 0x5a).collect();
    let file = host.folder.path().join("sent");
    std::fs::write(&file, &sent).unwrap();
    let mut ssh = host.ssh(&["demo@127.0.0.1", "tee copy"]);
    let output = ssh.stdin(std::fs::File::open(file).unwrap()).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == sent, "{} bytes came back", output.stdout.len());
    assert!(std::fs::read(host.folder.path().join("was-1/copy")).unwrap() == sent);
}

#[test]
fn another_key_is_not_let_in_and_the_host_key_is_the_recorded_one() {
    let host = Host::new();
    write_key(&host.folder.path().join("key"), &new_key().unwrap());
    let output = host.run("true");
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Permission denied (publickey)"));

    let other = Host::new();
    let line = other.server.known_hosts_line();
    let key = line.split_once(' ').unwrap().1;
    let line = format!("[127.0.0.1]:{} {key}\n", host.server.address().port());
    std::fs::write(host.folder.path().join("known_hosts"), line).unwrap();
    assert!(text(&host.run("true").stderr).contains("HOST IDENTIFICATION HAS CHANGED"));
}

#[test]
fn a_detached_process_outlives_its_command_and_does_not_hold_it() {
    let host = Host::new();
    let output = host.run("setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $!");
    let pid: i32 = text(&output.stdout).parse().unwrap();
    assert!(
        Path::new(&format!("/proc/{pid}/stat")).exists(),
        "it lives after the command"
    );
    host.server.drop_connections();
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn connections_to_loopback_are_forwarded_until_forwarding_is_refused() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::io::Write::write_all(&mut stream.unwrap(), b"hello").unwrap();
        }
    });
    let forward = |target: &str| host.ssh(&["-W", target, "demo@127.0.0.1"]).output().unwrap();
    assert_eq!(text(&forward(&target).stdout), "hello");
    let refused = forward("192.0.2.1:80");
    assert!(
        text(&refused.stderr).contains("administratively prohibited"),
        "{refused:?}"
    );
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(text(&forward(&nobody.to_string()).stderr).contains("connect failed"));
    host.server.set_forwarding(Forwarding::Refused);
    let refused = forward(&target);
    assert!(
        text(&refused.stderr).contains("administratively prohibited"),
        "{refused:?}"
    );
}

#[test]
fn a_connection_that_is_cut_ends_without_a_status() {
    let host = Host::new();
    let mut ssh = host.ssh(&["demo@127.0.0.1", "echo up; sleep 60"]);
    let mut child = ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(host.server.accepted(), 1);
    host.server.drop_connections();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(255));
}

#[test]
fn sessions_one_after_the_other_never_reach_the_limit() {
    let host = Host::new();
    let control = format!("ControlPath={}", host.folder.path().join("control").display());
    let mut master = host
        .ssh(&["-MN", "-o", &control, "demo@127.0.0.1"])
        .spawn()
        .unwrap();
    until("the master connection is up", || {
        host.folder.path().join("control").exists()
    });
    for number in 0..12 {
        let command = format!("exit {number}");
        let output = host
            .ssh(&["-o", &control, "demo@127.0.0.1", &command])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(number), "{output:?}");
    }
    assert_eq!(host.server.accepted(), 1, "all over one connection");
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn a_session_above_the_limit_is_refused_and_a_closed_one_makes_room() {
    let host = Host::new();
    let control = format!("ControlPath={}", host.folder.path().join("control").display());
    let mut master = host
        .ssh(&["-MN", "-o", &control, "demo@127.0.0.1"])
        .spawn()
        .unwrap();
    until("the master connection is up", || {
        host.folder.path().join("control").exists()
    });
    let started = host.folder.path().join("was-1");
    let session = |name: &str| {
        let command = format!("touch {name}; sleep 60");
        let arguments = ["-o", &control, "demo@127.0.0.1", &command];
        let child = host.ssh(&arguments).spawn().unwrap();
        until("the session runs", || started.join(name).exists());
        child
    };
    let (mut one, mut two) = (session("one"), session("two"));
    let arguments = [
        "-S",
        &control[12..],
        "-o",
        "ControlMaster=no",
        "demo@127.0.0.1",
        "true",
    ];
    let refused = host.ssh(&arguments).output().unwrap();
    // OpenSSH's client then opens a connection of its own.
    assert!(text(&refused.stderr).contains("refused by peer"), "{refused:?}");
    one.kill().unwrap();
    one.wait().unwrap();
    until("there is room again", || {
        let output = host.ssh(&arguments).output().unwrap();
        !text(&output.stderr).contains("refused by peer")
    });
    two.kill().unwrap();
    two.wait().unwrap();
    master.kill().unwrap();
    master.wait().unwrap();
}

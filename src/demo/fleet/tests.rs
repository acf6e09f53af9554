use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};

use super::*;

fn fleet() -> Fleet {
    let options = FleetOptions {
        program: PathBuf::from("/bin/false"),
        application: Application::BuiltIn,
    };
    Fleet::start(&options).unwrap()
}

fn ssh(fleet: &Fleet, host: &str, command: &str) -> Output {
    let known_hosts = fleet.folder().join("known_hosts");
    Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(fleet.folder().join("key"))
        .args(["-p", &fleet.server(host).unwrap().address().port().to_string()])
        .args(["demo@127.0.0.1", command])
        .output()
        .unwrap()
}

fn get(fleet: &Fleet, host: &str) -> String {
    let mut stream = TcpStream::connect(fleet.listener()).unwrap();
    write!(stream, "GET / HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn exists(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is no process any more, only nobody has asked for its status.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn nothing_is_left_of_a_fleet_that_was_stopped() {
    let fleet = fleet();
    let detached = "trap '' TERM; while :; do sleep 0.1; done";
    let command =
        format!("setsid sh -c {detached:?} </dev/null >/dev/null 2>&1 & echo $! $(cat ../nginx-1/nginx.pid)");
    let output = ssh(&fleet, "was-1", &command);
    assert!(output.status.success(), "{output:?}");
    let pids = String::from_utf8(output.stdout).unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 2);
    assert!(pids.iter().all(|pid| exists(pid)), "{pids:?}");
    let (folder, listener) = (fleet.folder().to_owned(), fleet.listener());
    assert_eq!(fleet.stop(), []);
    assert!(!pids.iter().any(|pid| exists(pid)), "{pids:?}");
    assert!(!folder.exists());
    assert!(TcpStream::connect(listener).is_err());
}

#[test]
fn a_panic_ends_the_fleet_too() {
    let fleet = fleet();
    let output = ssh(
        &fleet,
        "was-2",
        "setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $!",
    );
    let pid = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert!(exists(&pid));
    let folder = fleet.folder().to_owned();
    let panicked = std::thread::spawn(move || {
        let _fleet = fleet;
        std::panic::resume_unwind(Box::new("a test's own"));
    });
    assert!(panicked.join().is_err());
    assert!(!exists(&pid));
    assert!(!folder.exists());
}

#[test]
fn nginx_runs_another_site_and_its_host_can_test_and_reload_it() {
    let fleet = fleet();
    assert!(get(&fleet, "other.localhost").ends_with("another site\n"));
    let change = "sed -i 's/another/one more/' sites/other.conf \
        && nginx -t -c $PWD/nginx.conf && nginx -s reload -c $PWD/nginx.conf";
    let output = ssh(&fleet, NGINX_HOST, change);
    assert!(output.status.success(), "{output:?}");
    let began = std::time::Instant::now();
    while !get(&fleet, "other.localhost").ends_with("one more site\n") {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_host_has_a_folder_and_a_host_key_of_its_own() {
    let fleet = fleet();
    let homes = ["was-1", "was-2", "nginx-1"].map(|host| {
        let output = ssh(&fleet, host, "cd ~ && basename \"$PWD\"");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    });
    assert_eq!(homes, ["was-1", "was-2", "nginx-1"]);
    let known_hosts = std::fs::read_to_string(fleet.folder().join("known_hosts")).unwrap();
    let mut keys: Vec<&str> = known_hosts
        .lines()
        .filter_map(|line| line.rsplit(' ').next())
        .collect();
    keys.dedup();
    assert_eq!(keys.len(), 3);
}

#[test]
fn inventory_and_playbook_are_accepted_and_name_this_fleets_hosts() {
    let fleet = fleet();
    let config = crate::config::load(&fleet.inventory(), &fleet.playbook()).unwrap();
    let was: Vec<_> = config.topology.was.keys().map(ToString::to_string).collect();
    assert_eq!(was, WAS_HOSTS);
    for (host, connection) in &config.inventory.hosts {
        let port = connection.connection.port.unwrap().number();
        assert_eq!(port, fleet.server(host.as_str()).unwrap().address().port());
    }
    let (_, nginx) = config.topology.nginx.first_key_value().unwrap();
    assert_eq!(nginx.listener.port.number(), fleet.listener().port());
    assert_eq!(nginx.listener.server_name.as_deref(), Some(SERVER_NAME));
}

//! What observe and the other reading commands say about a machine and its connections.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nonstop::model::names::Port;
use nonstop::model::observed::{HostObserved, SlotObserved, StateStatus};
use nonstop::model::record::RunRecord;
use nonstop::remote::answer::{Answer, FetchAnswer, LogPlace, StartAnswer};
use nonstop::remote::command::{AwaitConnections, Command, Fetch, LogTail, Observe, Peers, Record};
use nonstop::remote::parse::ParseError;

use crate::helper;
use crate::host::{Host, Shell, blue, free_port, in_every_shell, lock_by, remote, run_id, tree, which};

fn observe(host: &Host, port: Port) -> HostObserved {
    host.observe(Observe {
        slots: [(blue(), port)].into(),
        files: [].into(),
        nginx: None,
    })
}

fn slot(host: &Host, port: Port) -> SlotObserved {
    let mut was = observe(host, port).was.expect("a WAS host");
    was.slots.remove(&blue()).expect("a slot")
}

/// A listener of this very process, on a port from which the kernel lets nobody connect by itself: a connection
/// from another of the machine's addresses would be counted too. No port is given twice: connections that were
/// closed a moment ago may still be there.
fn listener(address: &str) -> (TcpListener, Port) {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 24_000 + (std::process::id() + GIVEN.fetch_add(1, Ordering::Relaxed)) % 8_000;
        let port = u16::try_from(port).expect("below 32,000");
        if let Ok(listener) = TcpListener::bind((address, port)) {
            return (listener, Port::new(port).expect("not 0"));
        }
    }
}

/// What the kernel counts, where a container has a count of its own that one.
fn memory_kills() -> Option<u64> {
    let counts = fs::read_to_string("/sys/fs/cgroup/memory.events");
    let counts = counts.or_else(|_| fs::read_to_string("/proc/vmstat"));
    let counts = counts.unwrap_or_default();
    let mut counts = counts.lines();
    counts.find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

#[test]
fn an_untouched_host_is_observed_and_stays_untouched() {
    in_every_shell(|host| {
        let before = tree(host.folder.path());
        let observed = observe(host, free_port());
        assert_eq!(tree(host.folder.path()), before);
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
        assert_eq!(observed.machine.boot_id, boot_id.trim());
        assert_eq!(observed.machine.uid, nix::unistd::geteuid().as_raw());
        assert!(observed.machine.uptime_centiseconds > 0 && observed.machine.clock_seconds > 1_700_000_000);
        assert!(observed.machine.memory_available_bytes > 0);
        assert_eq!(observed.machine.memory_kills, memory_kills());
        assert_eq!(observed.machine.missing_tools, Vec::<String>::new());
        assert_eq!(observed.state.status, StateStatus::Absent);
        assert_eq!(observed.state.path, remote(host.state()));
        assert_eq!(observed.lock.epoch.0, 0);
        let was = observed.was.expect("a WAS host");
        assert!(was.disk_free_bytes > 0);
        assert!(was.slots[&blue()].is_empty());
        assert!(observed.nginx.is_none());
    });
}

#[test]
fn a_listener_and_its_connections_are_seen_without_ss_or_lsof() {
    in_every_shell(|host| {
        for address in ["127.0.0.1", "::1"] {
            let (listener, port) = listener(address);
            let clients: Vec<_> = (0..3)
                .map(|_| TcpStream::connect((address, port.number())).expect("it listens"))
                .collect();
            let accepted: Vec<_> = clients
                .iter()
                .map(|_| listener.accept().expect("a client"))
                .collect();
            let observed = slot(host, port);
            assert_eq!(observed.connections, 3);
            let found = observed.listener.expect("a listener");
            assert_eq!(found.identity.expect("our own").pid, std::process::id());
            assert!(observed.record.is_none() && !observed.record_runs);
            let wait = |deadline| host.run(Command::AwaitConnections(AwaitConnections { port, deadline }));
            assert_eq!(wait(Duration::from_millis(100)), Answer::AwaitConnections(3));
            let Answer::Peers(peers) = host.run(Command::Peers(Peers { port })) else {
                panic!("not peers");
            };
            let expected: BTreeSet<String> = clients
                .iter()
                .map(|client| client.local_addr().expect("an address").to_string())
                .collect();
            assert_eq!(peers.into_iter().collect::<BTreeSet<_>>(), expected);
            drop(clients);
            drop(accepted);
            assert_eq!(wait(Duration::from_secs(20)), Answer::AwaitConnections(0));
        }
    });
}

#[test]
fn after_a_reboot_what_was_on_record_runs_no_more() {
    in_every_shell(|host| {
        host.lock();
        host.put("r1", b"a jar");
        let port = free_port();
        let started = host.start(host.start_command(port, helper::runner()));
        assert!(matches!(started, StartAnswer::Listening { .. }), "{started:?}");
        assert!(slot(host, port).record_runs);
        let before = observe(host, port);
        host.machine("boot_id", "another-boot");
        host.machine("uptime_offset", "1000000000");
        host.machine("clock_offset", "-100000");
        let after = observe(host, port);
        assert_eq!(after.machine.boot_id, "another-boot");
        assert!(after.machine.uptime_centiseconds >= before.machine.uptime_centiseconds + 1_000_000_000);
        assert!(after.machine.clock_seconds < before.machine.clock_seconds);
        let slot = &after.was.expect("a WAS host").slots[&blue()];
        assert!(!slot.record_runs && slot.record.is_some() && slot.listener.is_some());
    });
}

#[test]
fn a_record_comes_back_as_it_went_and_a_torn_one_is_not_taken_for_none() {
    in_every_shell(|host| {
        host.lock();
        let record = RunRecord {
            to_slot: Some(blue()),
            phase: nonstop::model::phase::Phase::Commit,
            ..RunRecord::opened(
                run_id("run-1"),
                nonstop::model::lock::Epoch(1),
                lock_by("run-1", 0, 1).owner,
            )
        };
        let json = serde_json::to_string_pretty(&record).expect("JSON");
        let write = |json: &str| {
            host.run(Command::Record(Record {
                fence: host.fence(),
                json: json.to_owned(),
            }));
        };
        write(&json);
        assert_eq!(host.observe(Observe::default()).record, Some(record));
        write(&json[..json.len() / 2]);
        let torn = host.observe(Observe::default());
        assert_eq!(torn.record, None);
        assert!(
            torn.record_unreadable.is_some(),
            "it is there, and cannot be read"
        );
    });
}

#[test]
fn a_slot_without_a_record_shows_its_newest_log_and_one_without_logs_shows_none() {
    in_every_shell(|host| {
        let tail = || {
            host.run(Command::LogTail(LogTail {
                slot: blue(),
                lines: 2,
            }))
        };
        assert_eq!(tail(), Answer::LogTail(None));
        fs::create_dir_all(host.path("app/logs")).expect("a folder");
        fs::write(host.path("app/logs/r1-blue.log"), "one\ntwo\nthree\x1b[2J\n").expect("written");
        fs::write(host.path("app/logs/r1-green.log"), "green\n").expect("written");
        match tail() {
            Answer::LogTail(Some(end)) => {
                let file = remote(host.path("app/logs/r1-blue.log"));
                assert_eq!(end.place, LogPlace::File(file));
                assert_eq!(end.text, "two\nthree\u{fffd}[2J\n");
            }
            other => panic!("{other:?}"),
        }
    });
}

/// A PATH with busybox's applets, without those that fetch, and one tool that does.
fn path_with(host: &Host, tool: Option<&str>) -> PathBuf {
    let folder = host.path(&format!("tools-{}", tool.unwrap_or("none")));
    fs::create_dir(&folder).expect("a folder");
    let busybox = which("busybox").expect("install busybox");
    for applet in [
        "awk", "base64", "cat", "dd", "grep", "head", "id", "mktemp", "rm", "sed", "sleep", "tail",
        "timeout", "tr",
    ] {
        symlink(&busybox, folder.join(applet)).expect("a link");
    }
    match tool {
        None => {}
        Some("busybox wget") => symlink(&busybox, folder.join("wget")).expect("a link"),
        Some("busybox nc") => symlink(&busybox, folder.join("nc")).expect("a link"),
        Some(tool) => symlink(which(tool).expect(tool), folder.join(tool)).expect("a link"),
    }
    folder
}

#[test]
fn an_endpoint_is_asked_with_whichever_tool_the_host_has() {
    let tools = ["curl", "wget", "nc", "bash"]
        .into_iter()
        .filter(|tool| which(tool).is_some());
    for tool in tools
        .chain(["busybox wget", "busybox nc"])
        .map(Some)
        .chain([None])
    {
        let host = Host::new(Shell::Dash);
        let path = path_with(&host, tool);
        host.set("PATH", &path);
        let (server, port) = listener("127.0.0.1");
        let fetch = |path: &str| {
            let fetch = Fetch {
                address: "127.0.0.1".to_owned(),
                port,
                path: path.to_owned(),
                host_header: "app.example".to_owned(),
                timeout: Duration::from_secs(5),
            };
            match host.run(Command::Fetch(fetch)) {
                Answer::Fetch(answer) => answer,
                other => panic!("{other:?}"),
            }
        };
        if tool.is_none() {
            assert_eq!(fetch("/"), FetchAnswer::NoTool);
            continue;
        }
        let serve = |status: &'static str| {
            let server = server.try_clone().expect("a socket");
            std::thread::spawn(move || {
                let (mut stream, _) = server.accept().expect("a client");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).expect("a request");
                    request.push(byte[0]);
                }
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{{\"status\":\"UP\"}}"
                );
                stream.write_all(answer.as_bytes()).expect("sent");
                String::from_utf8(request).expect("UTF-8")
            })
        };
        let request = serve("200 OK");
        let answer = fetch("/actuator/health?a=b&c='d'");
        let expected = FetchAnswer::Response {
            status: 200,
            body: b"{\"status\":\"UP\"}".to_vec(),
        };
        assert_eq!(answer, expected, "{tool:?}");
        let sent = request.join().expect("no panic");
        assert!(
            sent.starts_with("GET /actuator/health?a=b&c='d' HTTP/1."),
            "{tool:?}: {sent}"
        );
        assert!(sent.contains("\r\nHost: app.example\r\n"), "{tool:?}: {sent}");
        let request = serve("503 Service Unavailable");
        match fetch("/") {
            FetchAnswer::Response { status: 503, body } => {
                assert!(
                    tool == Some("busybox wget") || body == b"{\"status\":\"UP\"}",
                    "{tool:?}"
                );
            }
            other => panic!("{tool:?}: {other:?}"),
        }
        request.join().expect("no panic");
        drop(server);
        assert!(matches!(fetch("/"), FetchAnswer::Failed { .. }), "{tool:?}");
    }
}

#[test]
fn without_flock_nothing_is_changed_and_the_tool_is_named() {
    let host = Host::new(Shell::Dash);
    let path = path_with(&host, None);
    host.set("PATH", &path);
    symlink(which("busybox").expect("installed"), path.join("mkdir")).expect("a link");
    let error = host
        .try_run(&Command::Lock(lock_by("run-1", 0, 1)))
        .expect_err("no flock");
    assert_eq!(
        error,
        ParseError::MissingTool {
            tool: "flock".to_owned()
        }
    );
}

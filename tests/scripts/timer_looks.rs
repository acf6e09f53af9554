//! What a host sees, asks and writes down at the hour, and what becomes of it where it cannot.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use nonstop::model::names::Port;
use nonstop::model::record::RunRecord;
use nonstop::model::timer::TimerState;
use nonstop::remote::command::Stop;

use crate::helper;
use crate::hindered::{SHELLS, hinder};
use crate::host::{Host, in_every_shell};
use crate::instances::runs;
use crate::site::eventually;
use crate::timer::{HOUR, Two, green, started};

/// Fails where the test says that there is no room.
fn full(host: &Host) -> String {
    format!("[ ! -e '{}' ] || exit 1", host.path("full").display())
}

#[test]
fn where_it_cannot_be_seen_who_is_connected_the_old_instance_is_left_up() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        hinder(host, "awk", "*list=*", "exit 1");
        let two = Two::up(host);
        two.set(|timer| timer.quiet_limit = Duration::from_secs(1));
        host.later(HOUR);
        two.becomes(TimerState::Refused);
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("cannot be seen"), "{said}");
        assert!(runs(&two.old));
    }
}

/// What an old instance does with a connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Old {
    Keeps,
    Closes,
}

/// A port of this test's own, in the place of the old instance's.
fn old_port(two: &Two<'_>, address: &str, does: Old) -> Port {
    let listener = TcpListener::bind(address).expect("a port");
    let port = Port::new(listener.local_addr().expect("an address").port()).expect("not 0");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            match does {
                Old::Keeps => std::mem::forget(connection),
                Old::Closes => drop(connection),
            }
        }
    });
    two.set(|timer| {
        timer.port = port;
        timer.quiet_limit = Duration::from_secs(1);
        timer.nginx = ["127.0.0.1", "::1"]
            .map(|address| address.parse().expect("an address"))
            .into();
    });
    port
}

#[test]
fn a_connection_counts_over_ipv6_too_and_for_a_while_after_its_end() {
    // An IPv4 one on a socket for both, as Java opens it; one over IPv6; and one that the application closes first.
    let connections = [
        ("[::]:0", "127.0.0.1", Old::Keeps),
        ("[::1]:0", "::1", Old::Keeps),
        ("127.0.0.1:0", "127.0.0.1", Old::Closes),
    ];
    in_every_shell(|host| {
        for (listens, from, does) in connections {
            let host = &Host::new(host.shell);
            let two = Two::up(host);
            let port = old_port(&two, listens, does);
            let mut connection = TcpStream::connect((from, port.number())).expect("it listens");
            if does == Old::Closes {
                let _ = connection.read(&mut [0]);
                drop(connection);
            } else {
                std::mem::forget(connection);
            }
            host.later(HOUR);
            two.becomes(TimerState::Refused);
            let said = two.timer().reason.unwrap_or_default();
            assert!(said.contains("nginx goes on using port"), "{listens}: {said}");
            assert!(runs(&two.old));
        }
    });
}

#[test]
fn a_connection_of_somebody_else_does_not_count() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|timer| timer.nginx = ["10.9.8.7".parse().expect("an address")].into());
        let _connection = TcpStream::connect(("127.0.0.1", two.port.number())).expect("it listens");
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old));
    });
}

#[test]
fn whoever_comes_at_the_hour_does_not_wait_for_the_health_of_the_new_instance() {
    in_every_shell(|host| {
        let mut two = Two::up(host);
        // It takes connections, and never says anything.
        host.stop(Stop {
            slot: green(),
            ..host.stop_command(&two.new)
        });
        two.new = started(host, green(), two.new_port, helper::runner());
        two.set(|timer| timer.health.timeout = Duration::from_secs(60));
        host.later(HOUR);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(two.cancel(), Some(TimerState::Cancelled));
        assert!(runs(&two.old));
    });
}

#[test]
fn an_instance_that_is_well_again_when_it_is_asked_once_more_is_well() {
    in_every_shell(|host| {
        let two = Two::up(host);
        fs::write(host.path("app/sick"), "").expect("written");
        two.set(|timer| timer.quiet = Duration::from_secs(2));
        host.later(HOUR);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(two.timer().state, TimerState::Pending);
        fs::remove_file(host.path("app/sick")).expect("it was there");
        two.becomes(TimerState::Stopped);
        assert!(!runs(&two.old) && runs(&two.new));
    });
}

#[test]
fn a_proxy_of_the_login_has_no_say_in_the_health_of_the_host_itself() {
    in_every_shell(|host| {
        for variable in ["http_proxy", "all_proxy"] {
            host.set(variable, "http://127.0.0.1:9");
        }
        let two = Two::up(host);
        two.set(|_| {});
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
    });
}

#[test]
fn on_a_full_disk_nothing_ends_and_nobody_is_told_that_it_has_begun() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        // The state folder takes no new bytes any more; a rename needs none.
        hinder(host, "dd", "*", &full(host));
        let two = Two::up(host);
        two.set(|_| {});
        fs::write(host.path("full"), "").expect("written");
        host.later(HOUR);
        two.becomes(TimerState::Refused);
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("the record cannot be written"), "{said}");
        let record = fs::read(host.state().join("record")).expect("a record");
        assert!(
            !RunRecord::read(&record)
                .expect("it can be read")
                .point_of_no_return
        );
        assert!(runs(&two.old));
    }
}

#[test]
fn where_nothing_can_be_asked_for_want_of_a_folder_the_host_says_so() {
    for shell in SHELLS {
        let host = &Host::new(shell);
        hinder(host, "mktemp", "*", &full(host));
        let two = Two::up(host);
        two.set(|_| {});
        fs::write(host.path("full"), "").expect("written");
        host.later(HOUR);
        two.becomes(TimerState::Refused);
        let said = two.timer().reason.unwrap_or_default();
        assert!(said.contains("no room"), "{said}");
        assert!(runs(&two.old));
    }
}

#[test]
fn a_wall_clock_that_is_set_moves_no_hour() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|_| {});
        host.machine("clock_offset", "10000000");
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(two.timer().state, TimerState::Pending);
        host.machine("clock_offset", "-10000000");
        host.later(HOUR);
        two.becomes(TimerState::Stopped);
    });
}

#[test]
fn without_its_state_folder_it_leaves_and_ends_nothing() {
    in_every_shell(|host| {
        let two = Two::up(host);
        two.set(|_| {});
        let pid = two.sleeper();
        fs::remove_dir_all(host.state()).expect("it was there");
        host.later(HOUR);
        eventually("it leaves", || !Path::new(&format!("/proc/{pid}/stat")).exists());
        assert!(runs(&two.old));
    });
}

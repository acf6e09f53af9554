//! The cases of `tests/contract` on a host that is reached by SSH: a container with nginx and both slots,
//! its scripts under its own shell, with sudo. The simulated host has to mean the same.

use std::path::Path;
use std::time::Duration;

use nonstop::config::{self, Config, Source};
use nonstop::engine::fleet::{CallError, Fleet as _, Host as _, HttpRequest};
use nonstop::model::names::{HostName, Port, RemotePath};
use nonstop::model::nginx_conf::Dump;
use nonstop::model::observed::NginxObserved;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, RenderedRunner};
use nonstop::ssh::{Connector, ConnectorOptions, SshConfig, SshFleet, SshHost};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::fixture::{Fleet, SMALL_APP};
use crate::suite::moves::Slot;
use crate::suite::{self, Fate, JAR, Subject, cases};

const HOST: &str = "was-1";
const ENTRY: &str = "/etc/nginx/sites-enabled/contract.conf";
/// What the scripts read of the machine.
const MACHINE: &str = "/var/lib/fleet-machine";
const PLAYBOOK: &str = r#"{
    "app": "contract",
    "artifact": "contract.jar",
    "slots": { "blue": { "group": "was", "port": 8080 }, "green": { "group": "was", "port": 8081 } },
    "release": { "dir": "/home/deploy/contract" },
    "start": { "java": {} },
    "health": { "path": "/version" },
    "nginx": {
        "group": "nginx",
        "site": { "file": "/etc/nginx/sites-enabled/contract.conf", "server_name": "contract.test", "listen": 80 }
    }
}"#;

/// A container that was reached.
struct Real<'f> {
    fleet: &'f Fleet,
    runtime: Runtime,
    host: SshHost,
}

fn configuration(state: &Path) -> Config {
    let inventory = json!({
        "all": {
            "vars": {
                "ansible_host": "127.0.0.1",
                "ansible_user": "deploy",
                "ansible_ssh_private_key_file": state.join("id_ed25519"),
                "user_known_hosts_file": state.join("known_hosts"),
            },
            "children": {
                "was": { "hosts": { HOST: { "ansible_port": 22_201 } } },
                "nginx": { "hosts": { HOST: {} } },
            },
        },
    });
    let inventory = Source::new("inventory.yml", inventory.to_string());
    let config = config::load_sources(&inventory, &Source::new("playbook.yml", PLAYBOOK));
    config.unwrap_or_else(|report| panic!("{report}"))
}

impl<'f> Real<'f> {
    /// A container after a reset, whose nginx serves v1.
    fn reached(fleet: &'f Fleet) -> Self {
        fleet.on(HOST, &format!("mkdir -p {MACHINE}"));
        let line = format!("SetEnv NONSTOP_MACHINE={MACHINE}");
        fleet.ctl(&["sshd", HOST, &line]);
        fleet.on(HOST, &format!("cat >{ENTRY} <<'END'\n{}END\nnginx", site("v1")));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let config = configuration(&fleet.state());
        let options = ConnectorOptions {
            ssh_config: SshConfig::Ignored,
            ..ConnectorOptions::default()
        };
        let host = runtime.block_on(async {
            let hosts = SshFleet::new(Connector::new(options), &config.inventory, &config.topology);
            hosts.connect(&HostName::new(HOST).expect("a name")).await
        });
        Self {
            fleet,
            runtime,
            host: host.unwrap_or_else(|failure| panic!("{failure}")),
        }
    }

    /// Adds to one of the numbers that the scripts read of the machine.
    fn adds(&self, what: &str, number: i64) {
        let add = format!(
            "cd {MACHINE}; now=0; [ ! -f {what} ] || now=$(cat {what}); \
             echo $((now + {number})) >{what}.new; chmod 644 {what}.new; mv {what}.new {what}"
        );
        self.fleet.on(HOST, &add);
    }
}

fn site(text: &str) -> String {
    format!("server {{ listen 80; server_name contract.test; location / {{ return 200 '{text}'; }} }}\n")
}

impl Subject for Real<'_> {
    fn conf(&self) -> Option<RemotePath> {
        None
    }

    fn entry(&self) -> RemotePath {
        RemotePath::new(ENTRY).expect("a path")
    }

    fn site(&self, text: &str) -> String {
        site(text)
    }

    fn shadow(&self, seen: &NginxObserved) -> String {
        let dump = Dump::parse(&seen.dump).expect("nginx's own dump");
        dump.shadow(ENTRY, None).expect("it is included")
    }

    fn port(&self, slot: Slot) -> Port {
        let number = match slot {
            Slot::Blue => 8080,
            Slot::Green => 8081,
        };
        Port::new(number).expect("a port")
    }

    fn offered(&self) -> RemotePath {
        RemotePath::new("/var/tmp/contract-zip").expect("a path")
    }

    fn runner(&self, slot: Slot) -> RenderedRunner {
        let port = format!("--server.port={}", self.port(slot));
        RenderedRunner::Process {
            argv: [SMALL_APP, "demo-app", "-jar", "{jar}", &port]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    fn asks(&self, command: &Command) -> Answer {
        let deadline = Duration::from_secs(60);
        let ask = || {
            self.runtime.block_on(async {
                if let Command::Put(put) = command {
                    let jar = self.fleet.file("contract.jar", &String::from_utf8_lossy(JAR));
                    return self.host.put(put, &jar, deadline, &mut |_| {}).await;
                }
                self.host.run(command, deadline).await
            })
        };
        let mut answer = ask();
        // A reboot ends the connection, and the next call opens another.
        if let Err(CallError::NotSent { .. }) = answer {
            answer = ask();
        }
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    fn serves(&self) -> String {
        let request = HttpRequest {
            address: "127.0.0.1".to_owned(),
            port: 80,
            tls: false,
            host_header: "contract.test".to_owned(),
            path: "/".to_owned(),
            timeout: Duration::from_secs(10),
        };
        let mut served = String::new();
        // A tunnel's connection may still be to a worker of the generation before.
        for _ in 0..3 {
            served = self.runtime.block_on(async {
                self.host.forget_http("127.0.0.1", 80).await;
                let response = self.host.http(&request).await.expect("nginx answers");
                String::from_utf8_lossy(&response.body).into_owned()
            });
        }
        served
    }

    fn waits(&self) {
        std::thread::sleep(Duration::from_millis(100));
    }

    fn befalls(&mut self, fate: Fate<'_>) {
        match fate {
            Fate::Later(time) => {
                let hundredths = i64::try_from(time.as_millis() / 10).expect("not that long");
                self.adds("uptime_offset", hundredths);
            }
            Fate::SomebodyWrites(site) => {
                self.fleet.on(HOST, &format!("cat >{ENTRY} <<'END'\n{site}END\n"));
            }
            Fate::SomebodyOffers(bytes) => {
                let folder = self.offered();
                let bytes = data_encoding::BASE64.encode(bytes);
                let put = format!("mkdir -p {folder}; echo {bytes} | base64 -d >{folder}/app-1.0.jar");
                self.fleet.on(HOST, &put);
            }
            Fate::Dies(identity) => {
                let pid = identity.pid;
                self.fleet.on(
                    HOST,
                    &format!("kill -KILL {pid}; while [ -s /proc/{pid}/cmdline ]; do sleep 0.05; done"),
                );
            }
            Fate::Reboots => {
                self.fleet.ctl(&["power-off", HOST]);
                self.fleet.ctl(&["power-on", HOST]);
                self.fleet.on(HOST, "nginx");
            }
            Fate::ClockJumps(seconds) => self.adds("clock_offset", seconds),
        }
    }
}

fn plays(names: &[&str]) {
    for name in names {
        eprintln!("case: {name}");
        let fleet = Fleet::reset();
        suite::alike(name, cases::named(name), Real::reached(&fleet));
    }
}

#[test]
fn the_simulated_host_means_what_a_host_that_is_reached_by_ssh_means() {
    plays(&[
        "a_switch_is_confirmed_once_and_stays",
        "a_reboot_ends_processes_and_watches_and_the_lease_begins_anew",
        "nothing_is_stopped_while_its_successor_is_not_there",
    ]);
}

#[test]
#[ignore = "takes a minute: make test-all"]
fn the_simulated_host_means_the_same_in_every_case() {
    let names: Vec<_> = cases::ALL.iter().map(|(name, _)| *name).collect();
    plays(&names);
}

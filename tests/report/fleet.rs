//! A fleet as observed: two WAS hosts behind two nginx hosts, `blue` live with the older release.

use std::collections::BTreeMap;

use nonstop::config::{self, Config, Source};
use nonstop::model::lock::LockState;
use nonstop::model::names::{ReleaseId, RemotePath, SlotName};
use nonstop::model::observed::{
    Entry, EntryKind, HostObserved, Machine, Master, NginxObserved, Observed, ReleaseObserved, SlotObserved,
    StateFolder, StateStatus, WasObserved,
};
use nonstop::model::process::{InstanceRecord, ListeningProcess};

use crate::fixture::{NEW, OLD, host, process};

const INVENTORY: &str = "
all:
  children:
    was: { hosts: { was-1: { address: 10.0.0.1 }, was-2: { address: 10.0.0.2 } } }
    nginx: { hosts: { nginx-1: , nginx-2: } }
";

const PLAYBOOK: &str = "
app: sokdak
artifact: build/libs/*.jar
slots:
  blue: { group: was, port: 8080 }
  green: { group: was, port: 8081 }
release: { dir: /home/ubuntu/sokdak, keep: 5 }
start: { java: { opts: [-Xmx512m], args: [\"--greeting=hello world\"], env: { TZ: Asia/Seoul } } }
health: { path: /actuator/health }
nginx:
  group: nginx
  site: { file: /etc/nginx/sites-enabled/sokdak.conf, server_name: sokdak.example, listen: 80 }
";

const MAIN: &str = "events {}\nhttp {\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";
const FILE: &str = "/etc/nginx/sites-enabled/sokdak.conf";

pub(crate) struct Fleet {
    pub(crate) config: Config,
    pub(crate) observed: Observed,
}

impl Fleet {
    /// Blue is live with the older release, green is empty.
    pub(crate) fn on_blue() -> Self {
        Self::with("")
    }

    /// The same with more in the playbook.
    pub(crate) fn with(more: &str) -> Self {
        Self::of(format!("{PLAYBOOK}{more}"))
    }

    /// The same with a single slot.
    pub(crate) fn single() -> Self {
        Self::changed(
            "  green: { group: was, port: 8081 }\n",
            "update: { strategy: rolling }\n",
        )
    }

    /// The same with a part of the playbook in place of another.
    pub(crate) fn changed(part: &str, other: &str) -> Self {
        assert!(PLAYBOOK.contains(part), "{part}");
        Self::of(PLAYBOOK.replace(part, other))
    }

    /// The same with this playbook.
    fn of(playbook: String) -> Self {
        let inventory = Source::new("inventory.yml", INVENTORY);
        let playbook = Source::new("playbook.yml", playbook);
        let config = config::load_sources(&inventory, &playbook).unwrap();
        let mut fleet = Self {
            config,
            observed: Observed::default(),
        };
        for (name, pid) in [("was-1", 4242), ("was-2", 9876)] {
            fleet.observed.hosts.insert(host(name), was_host());
            fleet.runs(name, "blue", OLD, pid);
        }
        for name in ["nginx-1", "nginx-2"] {
            fleet.observed.hosts.insert(host(name), plain_host());
            fleet.routes(name, 8080);
        }
        fleet
    }

    /// Puts a listening process of ours on a slot.
    pub(crate) fn runs(&mut self, name: &str, slot: &str, release: &str, pid: u32) -> &mut Self {
        let slot = SlotName::new(slot).unwrap();
        let seen = self.slot(name, &slot);
        seen.listener = Some(ListeningProcess {
            identity: Some(process(pid)),
            uid: 1000,
            command: "java -jar app.jar".to_owned(),
        });
        seen.record = Some(InstanceRecord {
            slot,
            port: seen.port,
            release: ReleaseId::new(release).unwrap(),
            identity: process(pid),
            log: RemotePath::new("/home/ubuntu/sokdak/logs/app.log").ok(),
        });
        seen.record_runs = true;
        seen.connections = 2;
        self
    }

    /// Puts a process on a slot that nobody knows.
    pub(crate) fn foreign(&mut self, name: &str, slot: &str, command: &str) -> &mut Self {
        let slot = SlotName::new(slot).unwrap();
        self.slot(name, &slot).listener = Some(ListeningProcess {
            identity: Some(process(77)),
            uid: 0,
            command: command.to_owned(),
        });
        self
    }

    /// Lets an nginx host route to both hosts on that port.
    pub(crate) fn routes(&mut self, name: &str, port: u16) -> &mut Self {
        let site = format!(
            "upstream sokdak {{\n\tserver 10.0.0.1:{port};\n\tserver 10.0.0.2:{port};\n}}\nserver {{\n\tlisten 80;\n\
             \tserver_name sokdak.example;\n\tlocation / {{ proxy_pass http://sokdak; }}\n}}\n"
        );
        self.site(name, site)
    }

    /// Lets an nginx host run this site.
    pub(crate) fn site(&mut self, name: &str, site: String) -> &mut Self {
        let dump = format!(
            "# configuration file /etc/nginx/nginx.conf:\n{MAIN}\n# configuration file {FILE}:\n{site}\n"
        );
        let seen = self.observed.hosts.get_mut(&host(name)).unwrap();
        seen.nginx = Some(nginx(dump, site));
        self
    }

    pub(crate) fn host(&mut self, name: &str) -> &mut HostObserved {
        self.observed.hosts.get_mut(&host(name)).unwrap()
    }

    pub(crate) fn slot(&mut self, name: &str, slot: &SlotName) -> &mut SlotObserved {
        let was = self.host(name).was.as_mut().unwrap();
        was.slots.get_mut(slot).unwrap()
    }
}

fn plain_host() -> HostObserved {
    HostObserved {
        machine: Machine {
            boot_id: "b0".to_owned(),
            uptime_centiseconds: 1_000_000,
            clock_seconds: 1_767_330_753,
            uid: 1000,
            user: "ubuntu".to_owned(),
            missing_tools: Vec::new(),
            memory_available_bytes: 4 << 30,
            memory_kills: None,
            keeper: nonstop::model::observed::WatchKeeper::Session,
        },
        state: StateFolder {
            path: RemotePath::new("/var/lib/nonstop/sokdak").unwrap(),
            status: StateStatus::Ready,
        },
        lock: LockState::default(),
        record: None,
        record_unreadable: None,
        hooks: Vec::new(),
        was: None,
        nginx: None,
    }
}

fn was_host() -> HostObserved {
    let slot = |port: u16| SlotObserved {
        port: port.try_into().unwrap(),
        listener: None,
        connections: 0,
        record: None,
        record_runs: false,
        unfinished: None,
        unit: None,
        peak_memory_bytes: 0,
        answers_as: None,
    };
    let release = |id: &str| ReleaseObserved {
        id: ReleaseId::new(id).unwrap(),
        sha256: "3fa9".to_owned(),
        size_bytes: 60_112_345,
        jar_name: "sokdak.jar".to_owned(),
        failed: false,
    };
    let slots = [("blue", 8080), ("green", 8081)];
    let was = WasObserved {
        slots: slots
            .into_iter()
            .map(|(name, port)| (SlotName::new(name).unwrap(), slot(port)))
            .collect(),
        releases: vec![release("20251231-100000-sokdak-0"), release(OLD), release(NEW)],
        timer: None,
        http_tool: Some("curl".to_owned()),
        missing_files: [].into(),
        disk_free_bytes: 10 << 30,
        disk_free_inodes: Some(1_000_000),
    };
    HostObserved {
        was: Some(was),
        ..plain_host()
    }
}

fn nginx(dump: String, site: String) -> NginxObserved {
    NginxObserved {
        master: Some(Master {
            identity: process(900),
            serving: vec![901],
            leaving: Vec::new(),
        }),
        conf: RemotePath::new("/etc/nginx/nginx.conf").unwrap(),
        error_log: None,
        dump,
        test_failure: None,
        entry: Entry {
            kind: EntryKind::File,
            content: Some(site),
            owner: "0:0".to_owned(),
            mode: "644".to_owned(),
        },
        siblings: BTreeMap::new(),
        slot_files: BTreeMap::new(),
        own_addresses: vec!["127.0.0.1".to_owned(), "10.0.1.1".to_owned()],
        generation: None,
        saved_homes: Vec::new(),
        tokens: Vec::new(),
    }
}

//! The style `include` on a real nginx: planned from what is observed, prepared, committed and taken
//! back by the real scripts, with requests that say which slot they reached.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command as Process;

use nonstop::config::{self, Config, Source};
use nonstop::model::names::{HostName, Port, SlotName};
use nonstop::model::observed::{HostObserved, Observed};
use nonstop::model::plan::{self, Goal, Plan, Scene, Switch};
use nonstop::model::release::Release;
use nonstop::remote::answer::PrepareAnswer;
use nonstop::remote::command::{Observe, PlacedContent, Placement, Prepare, Upstreams};

use crate::host::{free_port, in_every_shell, release, remote, run_id, sha256, which};
use crate::site::{Site, accepted, eventually, proven, with_nginx_in_every_shell};

/// A fleet of one machine whose WAS hosts are addresses of the loopback.
struct Fleet<'a> {
    site: &'a Site,
    config: Config,
    blue: Port,
    green: Port,
}

fn host(name: &str) -> HostName {
    HostName::new(name).expect("a name")
}

/// Answers every request at an address with a text, for as long as the tests run.
fn serve(address: &str, port: Port, text: &'static str) {
    let listener = TcpListener::bind((address, port.number())).expect("the port is free");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let length = text.len();
            let _ = write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"
            );
        }
    });
}

impl<'a> Fleet<'a> {
    /// The user's server reads the line that an old script wrote, and blue answers.
    fn new(site: &'a Site, addresses: &[&str], upstream_file: Option<&str>) -> Self {
        let (blue, green) = (free_port(), free_port());
        let listen = site.port;
        let file = entry(site).display().to_string();
        let server = |port: Port| {
            format!(
                "server {{ listen 127.0.0.1:{port}; include {file}; location / {{ proxy_pass $service_url; }} }}\n"
            )
        };
        // Two servers share the file, as with one for each scheme.
        let app = server(listen) + &server(free_port()) + "# the user's own";
        fs::write(site.host.path("sites-enabled/app"), app).expect("written");
        for address in addresses {
            serve(address, blue, "blue");
        }
        let was = addresses.iter().enumerate();
        let was: Vec<_> = was
            .map(|(at, address)| format!("        was-{at}: {{ address: {address} }}\n"))
            .collect();
        let was = was.concat();
        let inventory = format!(
            "all:\n  children:\n    was:\n      hosts:\n{was}    nginx: {{ hosts: {{ nginx-0: }} }}\n"
        );
        let upstream_file = upstream_file.map(|name| {
            let path = site.host.path(name);
            format!("    upstream_file: {}\n", path.display())
        });
        let conf = site.conf().display().to_string();
        let playbook = format!(
            "app: sokdak\nartifact: a.jar\nslots:\n  blue: {{ group: was, port: {blue} }}\n  green: {{ group: was, \
             port: {green} }}\nrelease: {{ dir: /srv/sokdak }}\nstart: {{ java: {{}} }}\nhealth: {{ path: / }}\n\
             nginx:\n  group: nginx\n  conf: {conf}\n  include:\n    file: {file}\n    listen: 127.0.0.1:{listen}\n{}",
            upstream_file.unwrap_or_default()
        );
        let files = [
            Source::new("inventory.yml", inventory.as_str()),
            Source::new("playbook.yml", playbook.as_str()),
        ];
        let config = config::load_sources(&files[0], &files[1]).unwrap_or_else(|report| panic!("{report}"));
        Self {
            site,
            config,
            blue,
            green,
        }
    }

    fn observed(&self) -> Observed {
        let topology = &self.config.topology;
        let seen = |name: &HostName| -> HostObserved {
            let ports = topology.was.get(name).map(|was| was.ports.clone());
            let nginx = topology.nginx.get(name).map(|nginx| {
                let mut asked = self.site.observe_command();
                asked.file = nginx.file.clone();
                asked
            });
            self.site.host.observe(Observe {
                slots: ports.unwrap_or_default(),
                files: BTreeSet::new(),
                nginx,
            })
        };
        let hosts = topology.hosts().into_iter();
        Observed {
            hosts: hosts
                .map(|name| (name.clone(), seen(name)))
                .collect::<BTreeMap<_, _>>(),
            ..Observed::default()
        }
    }

    /// A deploy as it is planned from what is observed now.
    fn plan(&self) -> Plan {
        let (observed, run) = (self.observed(), run_id("run-1"));
        let scene = Scene {
            topology: &self.config.topology,
            playbook: &self.config.playbook,
            observed: &observed,
            run: &run,
        };
        let goal = Goal::Deploy(Release {
            id: release("20260102T100000Z-sokdak-2-bbbbbbbb"),
            sha256: "f".repeat(64),
            size_bytes: 1,
            jar_name: "a.jar".to_owned(),
        });
        plan::forward(&scene, &goal).unwrap_or_else(|findings| panic!("{findings:#?}"))
    }

    fn switch(&self) -> Switch {
        let plan = self.plan();
        assert_eq!(plan.from.as_ref().map(SlotName::as_str), Some("blue"));
        plan.switches()[&host("nginx-0")].clone()
    }

    fn green_starts(&self, addresses: &[&str]) {
        for address in addresses {
            serve(address, self.green, "green");
        }
    }

    fn prepare(&self, switch: &Switch) -> PrepareAnswer {
        let placement = placement(switch);
        let prepare = self
            .site
            .prepare_command(&placement, &switch.after, switch.shadow.clone());
        let upstreams = switch.upstreams.as_ref().map(|file| Upstreams {
            file: file.path.clone(),
            expected_sha256: file.before.as_ref().map(|text| sha256(text.as_bytes())),
            text: file.after.clone(),
        });
        self.site.prepare_by(Prepare { upstreams, ..prepare })
    }
}

fn entry(site: &Site) -> PathBuf {
    site.host.path("service-url.inc")
}

fn placement(switch: &Switch) -> Placement {
    Placement {
        entry: switch.entry.clone(),
        content: PlacedContent::File(switch.after.clone()),
        target: switch.target.clone(),
        takes_over: None,
        expected_sha256: switch.before.as_ref().map(|text| sha256(text.as_bytes())),
    }
}

fn reload(site: &Site) {
    let nginx = which("nginx").expect("install nginx");
    let status = Process::new(nginx)
        .arg("-s")
        .arg("reload")
        .arg("-c")
        .arg(site.conf())
        .status();
    assert!(status.expect("nginx runs").success());
}

#[test]
fn the_line_of_the_old_script_is_switched_and_put_back_byte_for_byte() {
    with_nginx_in_every_shell(|site| {
        let fleet = Fleet::new(site, &["127.0.0.1"], None);
        let line = |port: Port| format!("set $service_url http://127.0.0.1:{port};\n");
        fs::write(entry(site), line(fleet.blue)).expect("written");
        site.start();
        let switch = fleet.switch();
        fleet.green_starts(&["127.0.0.1"]);
        accepted(fleet.prepare(&switch));
        assert_eq!(site.get(), "blue");
        proven(site.commit(&placement(&switch)));
        assert_eq!(site.get(), "green");
        assert_eq!(
            fs::read_to_string(entry(site)).expect("a file"),
            line(fleet.green)
        );
        proven(site.revert());
        assert_eq!(site.get(), "blue");
        assert_eq!(fs::read_to_string(entry(site)).expect("a file"), line(fleet.blue));
    });
}

#[test]
fn upstreams_are_in_place_before_they_are_named_and_whoever_reloads_meanwhile_switches_nothing() {
    with_nginx_in_every_shell(|site| {
        let both = ["127.0.0.1", "127.0.0.2"];
        let fleet = Fleet::new(site, &both, Some("sites-enabled/upstreams.conf"));
        let upstreams = site.host.path("sites-enabled/upstreams.conf");
        let old = format!(
            "upstream old {{ server 127.0.0.1:{0}; server 127.0.0.2:{0}; }}\n",
            fleet.blue
        );
        fs::write(site.host.path("sites-enabled/old"), old).expect("written");
        fs::write(entry(site), "set $service_url http://old;\n").expect("written");
        site.start();
        let switch = fleet.switch();
        fleet.green_starts(&both);
        accepted(fleet.prepare(&switch));
        let written = fs::read_to_string(&upstreams).expect("the upstreams are there");
        assert_eq!(written, switch.upstreams.as_ref().expect("upstreams").after);
        reload(site);
        // The answer got lost: the same again is accepted again.
        accepted(fleet.prepare(&switch));
        assert_eq!(site.get(), "blue");
        proven(site.commit(&placement(&switch)));
        for _ in 0..4 {
            assert_eq!(site.get(), "green");
        }
        proven(site.revert());
        eventually("blue answers again", || site.get() == "blue");
        assert_eq!(fs::read_to_string(&upstreams).expect("a file"), written);
        let line = fs::read_to_string(entry(site)).expect("a file");
        assert_eq!(line, "set $service_url http://old;\n");
    });
}

#[test]
fn upstreams_that_nginx_refuses_or_that_somebody_else_changed_are_not_put_in_place() {
    with_nginx_in_every_shell(|site| {
        let fleet = Fleet::new(site, &["127.0.0.1"], Some("sites-enabled/upstreams.conf"));
        let upstreams = site.host.path("sites-enabled/upstreams.conf");
        fs::write(
            entry(site),
            format!("set $service_url http://127.0.0.1:{};\n", fleet.blue),
        )
        .expect("written");
        site.start();
        let switch = fleet.switch();
        let mut broken = switch.clone();
        broken.shadow = broken.shadow.replace("max_fails=2", "max_fials=2");
        match fleet.prepare(&broken) {
            PrepareAnswer::Refused { output } => assert!(output.contains("max_fials=2"), "{output}"),
            other => panic!("{other:?}"),
        }
        assert!(!upstreams.exists());
        fs::write(&upstreams, "# by hand\n").expect("written");
        assert_eq!(fleet.prepare(&switch), PrepareAnswer::Drifted);
        assert_eq!(fs::read_to_string(&upstreams).expect("a file"), "# by hand\n");
    });
}

#[test]
fn files_that_are_not_there_are_told() {
    in_every_shell(|host| {
        let there = host.path("there.properties");
        fs::write(&there, "a=b\n").expect("written");
        let missing = remote(host.path("missing.properties"));
        let seen = host.observe(Observe {
            slots: [(SlotName::new("blue").expect("a name"), free_port())].into(),
            files: [remote(&there), missing.clone(), remote(host.folder.path())].into(),
            nginx: None,
        });
        assert_eq!(seen.was.expect("a WAS host").missing_files, [missing].into());
    });
}

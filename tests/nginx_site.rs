//! The rendered nginx site, judged by the real nginx: it passes `nginx -t`, serves, upgrades to
//! WebSocket, and two applications live side by side. Needs `nginx`, `curl` and `openssl`.

#![expect(clippy::unwrap_used, reason = "a failing step of a test shall stop it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;

use nonstop::config::{self, Config, Source};
use nonstop::model::names::{Address, HostName, Port};
use nonstop::model::nginx_site;
use nonstop::model::playbook::SwitchStyle;
use nonstop::model::routing::Weight;

/// An nginx of its own, in a folder of its own, on ports that were free.
struct Nginx {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl Nginx {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let at = folder.path().display();
        fs::create_dir(folder.path().join("sites")).unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {at}/{kind};\n"))
            .concat();
        let conf = format!(
            "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{}}\n\
             http {{\n    access_log off;\n{temporary}    include {at}/sites/*.conf;\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), conf).unwrap();
        let running = None;
        Self {
            folder,
            port,
            running,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts the site of an application in place.
    fn site(&self, config: &Config, backends: &[u16], generation: &str) -> String {
        let text = render(config, backends, generation).unwrap();
        fs::write(self.path(&format!("sites/{}.conf", config.playbook.app)), &text).unwrap();
        text
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-p")
            .arg(self.folder.path())
            .arg("-c")
            .arg(self.path("nginx.conf"));
        command
    }

    fn test(&self) {
        let output = self.command().arg("-t").output().expect("nginx is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !said.contains("[warn]"), "{said}");
    }

    fn start(&mut self) {
        self.test();
        self.running = Some(self.command().spawn().expect("nginx is installed"));
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            thread::yield_now();
        }
    }

    /// What curl gets: the status and the body.
    fn get(&self, host: &str, path: &str, arguments: &[&str]) -> (String, String) {
        let scheme = if arguments.contains(&"-k") {
            "https"
        } else {
            "http"
        };
        let output = Command::new("curl")
            .args(["-s", "-m", "20", "-w", "\n%{http_code}", "--resolve"])
            .arg(format!("{host}:{}:127.0.0.1", self.port))
            .args(arguments)
            .arg(format!("{scheme}://{host}:{}{path}", self.port))
            .output()
            .expect("curl is installed");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').expect("curl writes the status last");
        (status.to_owned(), body.to_owned())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

fn render(config: &Config, backends: &[u16], generation: &str) -> Result<String, nginx_site::SiteError> {
    let SwitchStyle::Site(site) = &config.playbook.nginx.style else {
        panic!("the playbook has the style `site`");
    };
    let host = &config.topology.nginx[&HostName::new("n1").unwrap()];
    let upstream: Vec<_> = backends
        .iter()
        .map(|port| {
            (
                Address::new("127.0.0.1").unwrap(),
                Port::new(*port).unwrap(),
                Weight(1),
            )
        })
        .collect();
    nginx_site::render(&config.playbook.app, host, site, &upstream, generation)
}

fn config(app: &str, site: &str, folder: &Path) -> Config {
    let inventory = Source::new(
        "i.yml",
        "was: { hosts: { w1: {} } }\nnginx: { hosts: { n1: {} } }\n",
    );
    let playbook = format!(
        "app: {app}
artifact: '*.jar'
slots: {{ blue: {{ group: was, port: 8080 }}, green: {{ group: was, port: 8081 }} }}
release: {{ dir: /srv/x }}
start: {{ java: {{}} }}
health: {{ path: / }}
nginx: {{ group: nginx, site: {{ file: /etc/nginx/conf.d/x.conf, {site} }} }}
"
    );
    let file = folder.join("playbook.yml");
    fs::write(&file, playbook).unwrap();
    let playbook = Source::read(&file).unwrap();
    config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"))
}

/// A server that answers every request with its own name and the request's head; an upgrade turns
/// into an echo.
fn backend(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap(), name));
        }
    });
    port
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut head = format!("{name}\n");
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        head.push_str(&line);
    }
    if head.to_lowercase().contains("upgrade: websocket") {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
        stream.write_all(switch.as_bytes()).unwrap();
        let mut byte = [0];
        while reader.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).unwrap();
        }
        return;
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{head}",
        head.len()
    );
    _ = stream.write_all(answer.as_bytes());
}

#[test]
fn requests_reach_the_backend_with_the_headers_that_an_application_needs() {
    let mut nginx = Nginx::new();
    let site = format!("server_name: a.example, listen: '{}'", nginx.port);
    let config = config("sokdak", &site, nginx.folder.path());
    nginx.site(&config, &[backend("one")], "r1");
    nginx.start();
    let (status, seen) = nginx.get("a.example", "/x?y=1", &["-H", "X-Forwarded-For: 9.9.9.9"]);
    assert_eq!(status, "200");
    for line in [
        "one".to_owned(),
        "GET /x?y=1 HTTP/1.1".to_owned(),
        format!("Host: a.example:{}", nginx.port),
        "X-Real-IP: 127.0.0.1".to_owned(),
        "X-Forwarded-For: 9.9.9.9, 127.0.0.1".to_owned(),
        "X-Forwarded-Proto: http".to_owned(),
        "Connection: close".to_owned(),
    ] {
        assert!(
            seen.lines().any(|found| found.trim_end() == line),
            "{line} is not in:\n{seen}"
        );
    }
}

#[test]
fn the_generation_is_told_to_the_host_itself_and_to_nobody_else() {
    let mut nginx = Nginx::new();
    // A client from elsewhere is played by the real-ip module: it believes the header.
    let site = format!("server_name: a.example, listen: '{}'", nginx.port);
    let config = config("sokdak", &site, nginx.folder.path());
    nginx.site(&config, &[backend("one")], "20260102T030405Z-r1");
    let believe = "set_real_ip_from 127.0.0.1; real_ip_header X-Client;\n";
    fs::write(nginx.path("sites/0.conf"), believe).unwrap();
    nginx.start();
    let path = nginx_site::GENERATION_PATH;
    let own = nginx.get("a.example", path, &[]);
    assert_eq!(own, ("200".to_owned(), "20260102T030405Z-r1".to_owned()));
    let (status, body) = nginx.get("a.example", path, &["-H", "X-Client: 8.8.8.8"]);
    assert_eq!(status, "404");
    assert!(!body.contains("20260102T030405Z-r1"), "{body}");
}

#[test]
fn two_applications_on_one_nginx_do_not_touch_each_other() {
    let mut nginx = Nginx::new();
    for (app, host, name) in [
        ("a-b", "one.example", "one"),
        ("a_b", "two.example", "two"),
        ("A-b", "three.example", "three"),
    ] {
        let site = format!("server_name: {host}, listen: '{}'", nginx.port);
        let config = config(app, &site, nginx.folder.path());
        nginx.site(&config, &[backend(name)], name);
    }
    nginx.start();
    for (host, name) in [
        ("one.example", "one"),
        ("two.example", "two"),
        ("three.example", "three"),
    ] {
        assert!(nginx.get(host, "/", &[]).1.starts_with(name), "{host}");
        assert_eq!(nginx.get(host, nginx_site::GENERATION_PATH, &[]).1, name);
    }
}

#[test]
fn a_websocket_upgrade_passes_both_ways() {
    let mut nginx = Nginx::new();
    let site = format!("server_name: a.example, listen: '{}'", nginx.port);
    let config = config("sokdak", &site, nginx.folder.path());
    nginx.site(&config, &[backend("one")], "r1");
    nginx.start();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, nginx.port)).unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut status = String::new();
    reader.read_line(&mut status).unwrap();
    assert!(status.starts_with("HTTP/1.1 101"), "{status}");
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    stream.write_all(b"ping").unwrap();
    let mut echo = [0; 4];
    reader.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
}

#[test]
fn a_request_goes_to_the_next_backend_where_one_does_not_listen() {
    let mut nginx = Nginx::new();
    let site = format!("listen: '127.0.0.1:{}'", nginx.port);
    let config = config("sokdak", &site, nginx.folder.path());
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    nginx.site(&config, &[closed, backend("one")], "r1");
    nginx.start();
    for _ in 0..6 {
        let (status, body) = nginx.get("any.example", "/", &["-X", "POST"]);
        assert!(status == "200" && body.starts_with("one"), "{status} {body}");
    }
}

#[test]
fn tls_is_served_with_the_certificate_of_the_playbook() {
    let mut nginx = Nginx::new();
    let (certificate, key) = (nginx.path("cert.pem"), nginx.path("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=a.example",
            "-out",
        ])
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let site = format!(
        "server_name: a.example, listen: '{}', client_max_body_size: 20m, tls: {{ certificate: {}, key: {} }}",
        nginx.port,
        certificate.display(),
        key.display()
    );
    let config = config("sokdak", &site, nginx.folder.path());
    nginx.site(&config, &[backend("one")], "r1");
    nginx.start();
    let (status, seen) = nginx.get("a.example", "/", &["-k"]);
    assert_eq!(status, "200");
    assert!(seen.contains("X-Forwarded-Proto: https"), "{seen}");
    assert!(config.topology.nginx[&HostName::new("n1").unwrap()].listener.tls);
}

#[test]
fn a_site_without_instances_passes_the_test_of_nginx() {
    let nginx = Nginx::new();
    let config = config(
        "sokdak",
        &format!("listen: '{}'", nginx.port),
        nginx.folder.path(),
    );
    nginx.site(&config, &[], "r1");
    nginx.test();
}

#[test]
fn a_template_of_ones_own_gets_everything_that_ours_gets() {
    let mut nginx = Nginx::new();
    let own = "upstream own { {% for s in servers %} server {{ s.address }}:{{ s.port }}; {% endfor %} }\n\
               {{ local_addresses }}\nserver { listen {{ listen }}; server_name {{ server_name }};\n\
               {{ generation_location }}\nlocation / { proxy_pass http://own; add_header X-App {{ app }}; } }\n";
    fs::write(nginx.path("own.conf.j2"), own).unwrap();
    let site = format!(
        "server_name: a.example, listen: '{}', template: own.conf.j2",
        nginx.port
    );
    let config = config("sokdak", &site, nginx.folder.path());
    nginx.site(&config, &[backend("one")], "r7");
    nginx.start();
    assert!(nginx.get("a.example", "/", &["-i"]).1.contains("X-App: sokdak"));
    assert_eq!(nginx.get("a.example", nginx_site::GENERATION_PATH, &[]).1, "r7");
}

#[test]
fn a_generation_that_could_break_out_of_its_quotes_is_refused() {
    let nginx = Nginx::new();
    let config = config("sokdak", "listen: 80", nginx.folder.path());
    for bad in ["", "a\"; evil", "a b", "$host", "a\nb"] {
        assert!(render(&config, &[1], bad).is_err(), "{bad:?}");
    }
}

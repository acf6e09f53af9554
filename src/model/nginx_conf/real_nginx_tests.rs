//! The real nginx judges our reading.

use std::path::Path;
use std::process::{Command, Output};

use super::Dump;

fn nginx(arguments: &[&str]) -> Output {
    let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "nginx"]
        .into_iter()
        .find(|program| !program.starts_with('/') || Path::new(program).exists())
        .expect("the last one is no path");
    Command::new(program)
        .args(arguments)
        .output()
        .expect("nginx is installed")
}

fn dump_of(folder: &Path, conf: &Path) -> (Dump, String) {
    let (folder, conf) = (folder.to_str().unwrap(), conf.to_str().unwrap());
    let output = nginx(&["-p", folder, "-e", "stderr", "-c", conf, "-T"]);
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaints}");
    let text = String::from_utf8(output.stdout).unwrap();
    (
        Dump::parse(&text).expect("what nginx prints is a dump"),
        complaints,
    )
}

#[test]
fn the_installed_configuration_is_read() {
    let output = nginx(&["-T"]);
    if output.stdout.is_empty() {
        return; // Without root's rights Debian's files cannot be tested.
    }
    let dump = Dump::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert!(dump.main().path.ends_with("nginx.conf"));
    for file in dump.files() {
        let on_disk = std::fs::read_to_string(&file.path).unwrap();
        assert_eq!(file.text, on_disk, "{}", file.path);
    }
}

#[test]
fn nginx_reads_a_shadow_in_the_order_of_the_real_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let main = "daemon off; pid nginx.pid; error_log stderr;
        events {}
        http { access_log off; include types; include sites/*; }\n";
    std::fs::create_dir(path("sites")).unwrap();
    std::fs::write(path("nginx.conf"), main).unwrap();
    std::fs::write(path("types"), "types { text/html html; }").unwrap();
    for name in ["B", "a", "old", "z z", ".hidden"] {
        let site = format!("server {{ listen 127.0.0.1:1; server_name {name:?}; return 200; }}\r\n");
        std::fs::write(path("sites").join(name), site).unwrap();
    }
    let (dump, _) = dump_of(folder.path(), &path("nginx.conf"));
    assert_eq!(dump.main().text, main);

    let entry = path("sites").join("m.conf");
    let old = path("sites").join("old");
    let shadow = dump.shadow(entry.to_str().unwrap(), old.to_str()).unwrap();
    let candidate = path(".candidate");
    std::fs::write(
        &candidate,
        "server { listen 127.0.0.1:1; server_name candidate; return 200; }",
    )
    .unwrap();
    let shadow = shadow.replace(super::CANDIDATE, candidate.to_str().unwrap());
    std::fs::write(path(".shadow.conf"), shadow).unwrap();
    let (shadowed, complaints) = dump_of(folder.path(), &path(".shadow.conf"));
    assert!(!complaints.contains("warn"), "{complaints}");
    let names: Vec<String> = shadowed
        .routes()
        .iter()
        .flat_map(|r| r.server_names.clone())
        .collect();
    assert_eq!(names, ["b", "a", "candidate", "z z"]);
}

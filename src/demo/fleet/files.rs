//! The files of a fleet: key, known_hosts, nginx's own, and inventory and playbook, which are the
//! examples `inventory/demo.yml` and `playbooks/demo.yml` with this fleet's values put in.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;

use super::super::ssh_server::SshServer;
use super::{Application, NGINX_HOST, nginx};

pub(super) const INVENTORY: &str = "inventory.yml";
pub(super) const PLAYBOOK: &str = "playbook.yml";
pub(super) const JARS: &str = "jars";
pub(super) const TEMPORARY: &str = "tmp";
const KEY: &str = "key";
const KNOWN_HOSTS: &str = "known_hosts";

const INVENTORY_EXAMPLE: &str = include_str!("../../../inventory/demo.yml");
const PLAYBOOK_EXAMPLE: &str = include_str!("../../../playbooks/demo.yml");

/// What stands in the examples where a fleet has values of its own.
const EXAMPLE_FOLDER: &str = "/tmp/nonstop-demo";
const EXAMPLE_SSH_PORTS: [&str; 2] = ["2211", "2212"];
const EXAMPLE_NGINX_SSH_PORT: &str = "2213";
const EXAMPLE_APPLICATION_PORTS: [&str; 4] = ["18081", "18082", "18083", "18084"];
const EXAMPLE_LISTEN_PORT: &str = "18080";
const EXAMPLE_PROGRAM: &str = "bin: nonstop";
const EXAMPLE_OPTIONS: &str = "opts: [demo-app]";
const EXAMPLE_NGINX: &str = "binary: nginx";

const README: &str = "\
The fleet of `nonstop demo`: a folder for each host, the key to them, and the inventory and the
playbook that the demo deploys with. It goes away when the demo ends.
";

/// What one fleet puts into the examples.
pub(super) struct Values<'a> {
    pub(super) folder: &'a Path,
    pub(super) ssh_ports: [u16; 2],
    pub(super) nginx_ssh_port: u16,
    /// Blue and green of the first WAS host, then of the second.
    pub(super) application_ports: [u16; 4],
    pub(super) listen_port: u16,
    pub(super) program: &'a Path,
    pub(super) nginx: &'a Path,
    pub(super) application: Application,
}

impl Values<'_> {
    fn inventory(&self) -> String {
        let mut values = vec![(EXAMPLE_FOLDER, self.folder.display().to_string())];
        let ssh_ports = EXAMPLE_SSH_PORTS.into_iter().zip(self.ssh_ports);
        let application_ports = EXAMPLE_APPLICATION_PORTS.into_iter().zip(self.application_ports);
        let others = [
            (EXAMPLE_NGINX_SSH_PORT, self.nginx_ssh_port),
            (EXAMPLE_LISTEN_PORT, self.listen_port),
        ];
        let ports = ssh_ports.chain(application_ports).chain(others);
        values.extend(ports.map(|(example, port)| (example, port.to_string())));
        put_in(INVENTORY_EXAMPLE, &values)
    }

    fn playbook(&self) -> String {
        let mut values = vec![
            (EXAMPLE_FOLDER, self.folder.display().to_string()),
            (EXAMPLE_NGINX, format!("binary: {}", self.nginx.display())),
        ];
        match self.application {
            Application::BuiltIn => {
                values.push((EXAMPLE_PROGRAM, format!("bin: {}", self.program.display())));
            }
            Application::Java => values.extend([
                (EXAMPLE_PROGRAM, "bin: java".to_owned()),
                (EXAMPLE_OPTIONS, "opts: [-Xmx256m]".to_owned()),
            ]),
        }
        put_in(PLAYBOOK_EXAMPLE, &values)
    }
}

/// Puts values into an example in one pass, so that no value is taken for an example of another.
fn put_in(example: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(example.len());
    let mut rest = example;
    while let Some((at, (what, value))) = values
        .iter()
        .filter_map(|pair| Some((rest.find(pair.0)?, pair)))
        .min_by_key(|(at, _)| *at)
    {
        text.push_str(&rest[..at]);
        text.push_str(value);
        rest = &rest[at + what.len()..];
    }
    text + rest
}

/// Writes the key that lets in to every host, for its owner alone.
pub(super) fn write_key(folder: &Path, key: &PrivateKey) -> io::Result<()> {
    let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.join(KEY))?;
    file.write_all(text.as_bytes())
}

/// Writes everything else.
pub(super) fn write<'a>(values: &Values, servers: impl Iterator<Item = &'a SshServer>) -> io::Result<()> {
    let folder = values.folder;
    let nginx_folder = folder.join(NGINX_HOST);
    std::fs::create_dir(nginx_folder.join("sites"))?;
    for (path, text) in nginx::conf(&nginx_folder, values.listen_port) {
        std::fs::write(path, text)?;
    }
    std::fs::create_dir(folder.join(JARS))?;
    std::fs::create_dir(folder.join(TEMPORARY))?;
    let known_hosts: Vec<String> = servers.map(|server| server.known_hosts_line() + "\n").collect();
    std::fs::write(folder.join(KNOWN_HOSTS), known_hosts.concat())?;
    std::fs::write(folder.join(INVENTORY), values.inventory())?;
    std::fs::write(folder.join(PLAYBOOK), values.playbook())?;
    std::fs::write(folder.join("README"), README)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(application: Application) -> Values<'static> {
        Values {
            folder: Path::new("/tmp/nonstop-demo-x"),
            // One of them is what stands for another in the example.
            ssh_ports: [2212, 40002],
            nginx_ssh_port: 40003,
            application_ports: [20001, 20002, 20003, 20004],
            listen_port: 20005,
            program: Path::new("/opt/nonstop"),
            nginx: Path::new("/usr/sbin/nginx"),
            application,
        }
    }

    #[test]
    fn every_value_of_the_fleet_replaces_its_example() {
        let inventory = values(Application::BuiltIn).inventory();
        assert!(
            inventory.contains("was-1: { ansible_port: 2212, blue_port: 20001, green_port: 20002 }"),
            "{inventory}"
        );
        assert!(
            inventory.contains("was-2: { ansible_port: 40002, blue_port: 20003, green_port: 20004 }"),
            "{inventory}"
        );
        assert!(
            inventory.contains("nginx-1: { ansible_port: 40003, listen_port: 20005 }"),
            "{inventory}"
        );
        assert!(
            inventory.contains("/tmp/nonstop-demo-x/known_hosts"),
            "{inventory}"
        );
        let playbook = values(Application::BuiltIn).playbook();
        assert!(
            playbook.contains("bin: /opt/nonstop ") && playbook.contains("opts: [demo-app]"),
            "{playbook}"
        );
        assert!(playbook.contains("binary: /usr/sbin/nginx\n"), "{playbook}");
        assert!(
            playbook.contains("file: /tmp/nonstop-demo-x/nginx-1/sites/demo.conf"),
            "{playbook}"
        );
    }

    #[test]
    fn a_real_jar_is_started_by_java() {
        let playbook = values(Application::Java).playbook();
        assert!(playbook.contains("bin: java "), "{playbook}");
        assert!(!playbook.contains("opts: [demo-app]"), "{playbook}");
    }
}

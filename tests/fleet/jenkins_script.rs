//! The system that an older pipeline left, as it stands: its user, folders, start scripts and nginx files, and its
//! own deploys by its own stage (jenkins_script/stage.sh). Then nonstop, with the files that `init` writes and no hand
//! on any host; and back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nonstop::demo::app::DemoJar;
use serde_json::json;

use crate::fixture::{App, Fleet, Photograph, WAS, get};

/// The only nginx host of that system.
const NGINX: &str = "nginx-1";
const HOSTS: [&str; 3] = ["was-1", "was-2", NGINX];
const SITE: &str = "sokdak.test";

/// What the old system keeps and nonstop only uses.
const KEPT: &str = "cd /home/ubuntu && sha256sum sokdak/deploy-* zero-down-confs/* 2>/dev/null || :";

struct OldSystem<'f> {
    fleet: &'f Fleet,
    folder: tempfile::TempDir,
}

impl<'f> OldSystem<'f> {
    fn set_up(fleet: &'f Fleet) -> Self {
        for host in HOSTS {
            fleet.on(host, include_str!("jenkins_script/server.sh"));
        }
        let folder = tempfile::tempdir().expect("a folder");
        Self { fleet, folder }
    }

    /// A deploy by the old pipeline.
    fn builds(&self, version: &str) {
        let jar = self.folder.path().join("app.jar");
        DemoJar::new(version).write(&jar).expect("a jar can be written");
        self.fleet
            .ctl(&["put", "bastion", jar.to_str().expect("text"), "/tmp/app.jar"]);
        let stage = include_str!("jenkins_script/stage.sh");
        let agent = include_str!("jenkins_script/agent.sh");
        let said = self.fleet.on(
            "bastion",
            &format!("{agent}\ncat >stage.sh <<'END_OF_STAGE'\n{stage}\nEND_OF_STAGE\nbash stage.sh 2>&1"),
        );
        assert!(said.contains("SUCCESS"), "{said}");
        let began = Instant::now();
        while answers() != [version] {
            assert!(began.elapsed() < Duration::from_secs(30), "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn on_each(&self, script: &str) -> Vec<String> {
        HOSTS.map(|host| self.fleet.on(host, script)).to_vec()
    }

    /// The ports that the application listens on, with their pids.
    fn listeners(&self, host: &str) -> Vec<(u16, u32)> {
        let said = self.fleet.on(host, "sh /fleet/repo/tests/fleet/host/listeners");
        let read = |line: &str| {
            let mut words = line.split(' ');
            let port = words.next()?.parse().ok()?;
            Some((port, words.next()?.parse().ok()?))
        };
        let all = said.lines().filter_map(read);
        all.filter(|(port, _)| [8080, 8081].contains(port)).collect()
    }

    /// The application's only listener on each WAS host, once what the stage has told to end has ended.
    fn rests_on(&self, port: u16) -> Vec<(u16, u32)> {
        let began = Instant::now();
        loop {
            let all: Vec<_> = WAS.iter().flat_map(|host| self.listeners(host)).collect();
            if all.len() == WAS.len() && all.iter().all(|(listened, _)| *listened == port) {
                return all;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{all:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The application with the files that `init` writes, and the way to the hosts of this fleet.
    fn taken_over(&self) -> App<'f> {
        let file = |name: &str| self.folder.path().join(name);
        let init = Command::new(env!("CARGO_BIN_EXE_nonstop"))
            .args([
                "init",
                "--style",
                "conf_per_slot",
                "--app",
                "sokdak",
                "--user",
                "ubuntu",
            ])
            .args(["--was", "was-1,was-2", "--nginx", NGINX, "--server-name", SITE])
            .current_dir(self.folder.path())
            .env_remove("NONSTOP_INVENTORY")
            .env_remove("NONSTOP_PLAYBOOK")
            .output();
        assert!(init.expect("nonstop can be run").status.success());
        let text = |file: PathBuf| file.to_str().expect("text").to_owned();
        let state = self.fleet.state();
        let key = text(state.join("id_ed25519"));
        let mut app = self
            .fleet
            .shop()
            .with_playbook(&text(file("playbook.yml")), SITE)
            .with_inventory(&text(file("inventory.yml")))
            .inventory("/all/vars/ansible_host", json!("127.0.0.1"))
            .inventory("/all/vars/ansible_ssh_private_key_file", json!(key))
            .inventory(
                "/all/vars/user_known_hosts_file",
                json!(text(state.join("known_hosts"))),
            );
        for (group, host, port) in [
            ("was", "was-1", 22201),
            ("was", "was-2", 22202),
            ("nginx", NGINX, 22211),
        ] {
            let place = format!("/all/children/{group}/hosts/{host}/ansible_port");
            app = app.inventory(&place, json!(port));
        }
        app
    }
}

impl Drop for OldSystem<'_> {
    fn drop(&mut self) {
        // The reset of the fleet knows nothing of this user; a second panic would end all tests.
        let remove = "userdel -f -r ubuntu 2>/dev/null; rm -f /etc/sudoers.d/90-cloud-init-users";
        let _ = catch_unwind(AssertUnwindSafe(|| self.on_each(remove)));
    }
}

#[test]
fn the_fleet_of_the_old_pipeline_is_deployed_to_and_rolled_back_without_a_hand_on_it() {
    let fleet = Fleet::reset();
    let old = OldSystem::set_up(&fleet);
    old.builds("v1");
    old.builds("v2");
    let left = old.rests_on(8081);
    let kept = old.on_each(KEPT);

    let sokdak = old.taken_over();
    let before = fleet.photograph();
    // What the old pipeline left is no release on record.
    sokdak.rollback().run().exits(4).says("no earlier release");
    fleet_is_as_it_was(&fleet, &before);

    let load = sokdak.load();
    sokdak.has_deployed("v3");
    assert_eq!(answers(), ["v3"]);
    // The old slot is kept until the next deploy, and is still the script's own process.
    for (host, left) in WAS.iter().zip(&left) {
        assert!(old.listeners(host).contains(left), "{host}");
    }
    sokdak.has_deployed("v4");
    assert_eq!(answers(), ["v4"]);
    for (host, left) in WAS.iter().zip(&left) {
        assert!(!old.listeners(host).contains(left), "{host}");
    }
    sokdak.rollback().run().deployed();
    assert_eq!(answers(), ["v3"]);
    load.lost_nothing_through(&[NGINX]);

    assert_eq!(old.on_each(KEPT), kept, "files of the old system");
    let sites = fleet.on(NGINX, "ls /etc/nginx/sites-enabled");
    assert_eq!(sites.trim(), "sokdak.conf");
}

/// What nginx answers when it is asked for the version: each distinct answer once.
fn answers() -> Vec<String> {
    let (_, port) = App::listeners()
        .find(|(host, _)| *host == NGINX)
        .expect("it is published");
    let mut answers: Vec<String> = (0..12)
        .map(|_| match get(port, SITE, "/version") {
            Ok(answer) if answer.status == 200 => answer.body,
            other => format!("{other:?}"),
        })
        .collect();
    answers.sort();
    answers.dedup();
    answers
}

/// Files of nginx and everything that serves.
#[track_caller]
fn fleet_is_as_it_was(fleet: &Fleet, before: &Photograph) {
    let now = fleet.photograph();
    assert!(
        now.of_service() == before.of_service(),
        "{}",
        now.difference(before)
    );
}

//! Whole deploys on the embedded fleet with a sentinel in every place where a secret may stand, and a search
//! for them in whatever came out: every reporter, the log of `-vvv`, the events, what is kept on the hosts, and
//! the arguments of every process of the machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nonstop::demo::app::{AtStart, Behaviour, DemoJar};
use nonstop::demo::fleet::{Application, Fleet, FleetOptions};

const NONSTOP: &str = env!("CARGO_BIN_EXE_nonstop");

/// Each in one place; all begin alike, so that one search finds them.
const MARK: &str = "S3nt1nel";
const LOGIN: &str = "S3nt1nel-login";
const DATABASE: &str = "S3nt1nel-da'ta\\\"base";
const LISTED: &str = "S3nt1nel-listed";
const SLOT: &str = "S3nt1nel-slot";
const PASSPHRASE: &str = "S3nt1nel-passphrase";
const BUILD: &str = "S3nt1nel-build";
/// Nobody listens there: what is said about that must not say where.
const WEBHOOK: &str = "http://127.0.0.1:9/services/S3nt1nel-webhook";
/// A value of the environment that is no secret: it may be shown, but no process list has it.
const PLAIN: &str = "Plain-value-of-the-environment";

struct Scene {
    fleet: Fleet,
    /// What every stream of every command said, by a name for messages.
    said: BTreeMap<String, String>,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::start(&FleetOptions {
            program: NONSTOP.into(),
            application: Application::BuiltIn,
        })
        .unwrap();
        let scene = Self {
            fleet,
            said: BTreeMap::new(),
        };
        write_files(&scene.fleet.inventory(), &scene.fleet.playbook(), NONSTOP);
        scene.lock_key();
        scene
    }

    fn folder(&self) -> &Path {
        self.fleet.folder()
    }

    /// The key of the fleet, encrypted.
    fn lock_key(&self) {
        let key = self.folder().join("key");
        let status = Command::new("ssh-keygen")
            .args(["-p", "-q", "-P", "", "-a", "4", "-N", PASSPHRASE, "-f"])
            .arg(key)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    fn jar(&self, version: &str, at_start: AtStart) -> PathBuf {
        let path = self.fleet.jars().join(format!("demo-{version}.jar"));
        let behaviour = Behaviour {
            at_start,
            ..Behaviour::default()
        };
        DemoJar::new(version).behaving(behaviour).write(&path).unwrap();
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(NONSTOP);
        command
            .args(["-i", self.fleet.inventory().to_str().unwrap()])
            .args(["-p", self.fleet.playbook().to_str().unwrap()])
            .args(["--ssh-config", "none"])
            .args(words)
            .env("NONSTOP_KEY_PASSPHRASE", PASSPHRASE)
            .env("HOOK", WEBHOOK)
            .env("OTHER_HOOK", WEBHOOK.replace("http:", "https:"))
            .env("BUILD_URL", format!("https://kim:{BUILD}@ci.example/job/7/"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    /// Runs it, keeps what it said, and returns that with its exit code.
    fn run(&mut self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        self.said.insert(words.join(" "), said.clone());
        (output.status.code().unwrap_or(-1), said)
    }

    /// The same on a terminal, which gets the live lines.
    fn run_on_a_terminal(&mut self, words: &[&str]) -> (i32, String) {
        let command = self.command(words);
        let line = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| shlex::try_quote(word.to_str().unwrap()).unwrap().into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let output = script.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        self.said
            .insert(format!("{} on a terminal", words.join(" ")), said.clone());
        (output.status.code().unwrap_or(-1), said)
    }

    /// What the hosts keep, the logs of the application left out: what it prints is its own affair.
    fn kept_on_hosts(&self) -> BTreeMap<String, String> {
        let mut kept = BTreeMap::new();
        for host in ["was-1", "was-2", "nginx-1"] {
            read_all(&self.folder().join(host), &mut kept);
        }
        kept.retain(|path, _| !path.contains("/logs/"));
        kept
    }
}

/// Puts the sentinels into both files, and makes a program before the application that prints what it was
/// given.
fn write_files(inventory: &Path, playbook: &Path, bin: &str) {
    let program = playbook.with_file_name("chatty.sh");
    let text = format!(
        "#!/bin/sh\necho \"my password is $DB_PASSWORD, my licence $LICENCE, my greeting $GREETING\"\n\
         echo \"and {SLOT}\"\nexec {NONSTOP} \"$@\"\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let yaml = serde_json::to_string(DATABASE).unwrap();
    let vars = format!(
        "  vars:\n    ansible_become_pass: {LOGIN}\n    database: {{ user: kim, password: {yaml} }}\n    \
         licence: {LISTED}\n"
    );
    edit(inventory, &[("  vars:\n", &vars)]);
    let start = format!(
        "bin: {}\n    env: {{ DB_PASSWORD: \"{{{{ database.password }}}}\", LICENCE: \"{{{{ licence }}}}\", \
         GREETING: {PLAIN}, API_TOKEN: \"{{{{ slot.vars.api_token }}}}\" }}",
        program.display()
    );
    edit(
        playbook,
        &[
            (&format!("bin: {bin}"), &start),
            ("profile: real1", &format!("profile: real1, api_token: {SLOT}")),
            ("profile: real2", &format!("profile: real2, api_token: {SLOT}")),
            (
                "bake: { for: 3s",
                "secrets: [licence]\nnotify: [{ slack: { webhook_env: HOOK } }, { webhook: { url_env: OTHER_HOOK } }]\nbake: { for: 0s",
            ),
            ("drain: { deadline: 10s }", "drain: { deadline: 2s }"),
        ],
    );
}

/// The same files without a fleet, for `check`.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        fs::write(files.inventory(), include_str!("../inventory/demo.yml")).unwrap();
        fs::write(files.playbook(), include_str!("../playbooks/demo.yml")).unwrap();
        write_files(&files.inventory(), &files.playbook(), "nonstop ");
        files
    }

    fn inventory(&self) -> PathBuf {
        self.0.path().join("inventory.yml")
    }

    fn playbook(&self) -> PathBuf {
        self.0.path().join("playbook.yml")
    }

    /// The exit code of `check`, and what it says.
    fn check(&self) -> (i32, BTreeMap<String, String>) {
        let mut check = Command::new(NONSTOP);
        check
            .args(["check", "--json", "-i"])
            .arg(self.inventory())
            .arg("-p")
            .arg(self.playbook());
        let output = check.output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (
            output.status.code().unwrap_or(-1),
            [("check".to_owned(), said)].into(),
        )
    }
}

fn edit(file: &Path, changes: &[(&str, &str)]) {
    let mut text = fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "`{from}` is not in {text}");
        text = text.replacen(from, to, 1);
    }
    fs::write(file, text).unwrap();
}

fn read_all(folder: &Path, kept: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            read_all(&path, kept);
        } else if let Ok(bytes) = fs::read(&path) {
            kept.insert(
                path.display().to_string(),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
}

/// Reads the arguments of every process, again and again, until it is told to stop.
struct Watcher {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<BTreeSet<String>>,
}

impl Watcher {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let seen = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !told.load(Ordering::Relaxed) {
                let processes = fs::read_dir("/proc").unwrap().flatten();
                seen.extend(
                    processes
                        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
                        .filter(|words| !words.is_empty())
                        .map(|words| String::from_utf8_lossy(&words).replace('\0', " ")),
                );
                std::thread::sleep(Duration::from_millis(10));
            }
            seen
        });
        Self { stop, seen }
    }

    fn finish(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().unwrap()
    }
}

/// The texts in which a sentinel stands, by their names.
fn found_in<'a>(texts: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<String> {
    texts
        .into_iter()
        .filter_map(|(name, text)| {
            let line = text.lines().find(|line| line.contains(MARK))?;
            Some(format!("{name}: {line}"))
        })
        .collect()
}

#[test]
fn a_secret_is_in_no_output_no_event_no_file_and_no_process_list() {
    let mut scene = Scene::new();
    let first = scene.jar("v1", AtStart::Listen);
    let broken = scene.jar("v2", AtStart::Crash);
    let second = scene.jar("v3", AtStart::Listen);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (first, broken, second) = (path(&first), path(&broken), path(&second));
    let (log, events) = (
        path(&scene.folder().join("log")),
        path(&scene.folder().join("events")),
    );
    let failed = path(&scene.folder().join("failed"));
    let junit = path(&scene.folder().join("junit"));
    let watcher = Watcher::start();

    let (code, plan) = scene.run(&["plan", "--jar", &first]);
    assert_eq!(code, 0, "{plan}");
    assert!(
        plan.contains("with API_TOKEN, DB_PASSWORD, GREETING, LICENCE set"),
        "{plan}"
    );
    assert!(!plan.contains(PLAIN), "{plan}");
    let (_, plan) = scene.run(&["plan", "--json", "--jar", &first]);
    assert!(plan.contains("DB_PASSWORD") && !plan.contains(PLAIN), "{plan}");
    let (_, check) = scene.run(&["check", "--json"]);
    assert!(check.contains("\"licence\": \"***\""), "{check}");

    let words = [
        "deploy",
        "--jar",
        &first,
        "-vvv",
        "--json",
        "--log-file",
        &log,
        "--events",
        &events,
    ];
    let (code, said) = scene.run(&words);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the webhook of OTHER_HOOK was not told"), "{said}");
    let words = ["deploy", "--jar", &broken, "--events", &failed, "--junit", &junit];
    let (code, said) = scene.run_on_a_terminal(&words);
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("my password is ***, my licence ***"),
        "the tail of the log is in the summary: {said}"
    );
    let (code, said) = scene.run_on_a_terminal(&["deploy", "--jar", &second]);
    assert_eq!(code, 0, "{said}");

    let (_, logs) = scene.run(&["logs"]);
    assert!(logs.contains(&format!("my greeting {PLAIN}")), "{logs}");
    for words in [&["status"][..], &["status", "--json"], &["history"]] {
        scene.run(words);
    }
    let processes = watcher.finish();

    // The very places hold what the search has to find, or it would prove nothing.
    let in_a_log = scene.folder().join("was-1/demo/logs");
    let mut printed = BTreeMap::new();
    read_all(&in_a_log, &mut printed);
    let printed = printed.into_values().collect::<String>();
    for sentinel in [DATABASE, LISTED, SLOT] {
        assert!(
            printed.contains(sentinel),
            "the application was not given {sentinel}: {printed}"
        );
    }
    assert!(
        processes
            .iter()
            .any(|line| line.contains("--spring.profiles.active")),
        "{processes:?}"
    );

    let outputs = ["log", "events", "failed", "junit"].map(|name| {
        let file = scene.folder().join(name);
        (name.to_owned(), fs::read_to_string(file).unwrap())
    });
    assert!(
        outputs.iter().all(|(_, text)| text.lines().count() > 10),
        "{outputs:?}"
    );
    scene.said.extend(outputs);
    assert!(scene.said["failed"].contains("my password is ***, my licence ***"));
    assert_eq!(found_in(&scene.said), Vec::<String>::new());
    assert_eq!(found_in(&scene.kept_on_hosts()), Vec::<String>::new());
    let arguments: Vec<_> = processes
        .iter()
        .filter(|line| line.contains(MARK) || line.contains(PLAIN))
        // The preparation of this very test.
        .filter(|line| !line.starts_with("ssh-keygen "))
        .collect();
    assert!(arguments.is_empty(), "{arguments:?}");
}

#[test]
fn the_search_finds_a_value_that_is_not_marked_as_secret() {
    let files = Files::new();
    edit(&files.inventory(), &[("    licence:", "    advertisement:")]);
    edit(
        &files.playbook(),
        &[
            ("{{ licence }}", "{{ advertisement }}"),
            ("secrets: [licence]", "secrets: []"),
            ("LICENCE", "ADVERTISEMENT"),
        ],
    );
    let (code, said) = files.check();
    assert_eq!((code, found_in(&said).len()), (0, 1), "{said:?}");
    let kept = BTreeMap::from([("x".to_owned(), format!("a\nb {LOGIN}"))]);
    assert_eq!(found_in(&kept), [format!("x: b {LOGIN}")]);
}

#[test]
fn mistakes_in_the_files_are_shown_without_the_secrets_on_their_lines() {
    let files = Files::new();
    edit(
        &files.inventory(),
        &[(
            "nginx-1: { ",
            "nginx-1: { address: a b, ansible_password: S3nt1nel-line, ",
        )],
    );
    edit(
        &files.playbook(),
        &[("warmup: {", "warmup: { x: S3nt1nel-listed,")],
    );
    let (code, said) = files.check();
    assert_eq!(code, 3, "{said:?}");
    assert!(
        said["check"].contains("***") && said["check"].contains("address"),
        "{said:?}"
    );
    assert_eq!(found_in(&said), Vec::<String>::new());
}

#[test]
fn a_listed_secret_that_would_become_an_argument_is_refused_and_so_is_a_misspelt_one() {
    let files = Files::new();
    edit(
        &files.playbook(),
        &[
            (
                "      - --server.address=127.0.0.1\n",
                "      - --licence={{ licence }}\n",
            ),
            ("secrets: [licence]", "secrets: [licence, licennce]"),
        ],
    );
    let (code, said) = files.check();
    let said = &said["check"];
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("`start.java.args` uses `licence`, which `secrets` lists"),
        "{said}"
    );
    assert!(
        said.contains("`secrets` lists `licennce`, and no variable has that name"),
        "{said}"
    );
}

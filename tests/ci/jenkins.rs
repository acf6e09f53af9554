//! `examples/jenkins/Jenkinsfile`, its `sh` steps run as Jenkins runs them: `sh -xe` on a file, no terminal,
//! Jenkins' variables and nothing else, the exit code in a file; and its abort button, which sends TERM to every
//! process that carries the step's cookie, children first
//! (<https://github.com/jenkinsci/durable-task-plugin>, `hudson.util.ProcessTree`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nonstop::demo::app::AtStart;

use crate::hooks::Hooks;
use crate::jenkinsfile::Pipeline;
use crate::report::failed;
use crate::scene::{NONSTOP, Scene, edit, write_jar};

const PASSPHRASE: &str = "a passphrase of the credential";
const PATIENCE: Duration = Duration::from_secs(240);

fn file() -> String {
    fs::read_to_string("examples/jenkins/Jenkinsfile").unwrap()
}

/// A Jenkins with one job and one credential.
struct Jenkins {
    scene: Scene,
    hooks: Hooks,
    pipeline: Pipeline,
    steps: u32,
}

impl Jenkins {
    fn new() -> Self {
        let scene = Scene::new(&[
            (
                "bake: { for: 3s",
                "notify: [{ slack: { webhook_env: SLACK_WEBHOOK_URL } }]\nbake: { for: 0s",
            ),
            ("artifact: ", "artifact: backend/sokdak/build/libs/*.jar #"),
        ]);
        let jenkins = Self {
            scene,
            hooks: Hooks::start(),
            pipeline: Pipeline::read(&file()),
            steps: 0,
        };
        jenkins.lay_out();
        jenkins
    }

    fn workspace(&self) -> PathBuf {
        self.scene.folder().join("workspace")
    }

    /// What a checkout would bring, and the key as the plugin hands it over: encrypted, beside the workspace, and
    /// not where the inventory says.
    fn lay_out(&self) {
        let workspace = self.workspace();
        for folder in ["deploy", "backend/sokdak", "bin"] {
            fs::create_dir_all(workspace.join(folder)).unwrap();
        }
        let key = self.scene.folder().join("private-key.key");
        fs::rename(self.scene.folder().join("key"), &key).unwrap();
        let locked = Command::new("ssh-keygen")
            .args(["-p", "-q", "-P", "", "-a", "4", "-N", PASSPHRASE, "-f"])
            .arg(&key)
            .stdout(Stdio::null())
            .status();
        assert!(locked.unwrap().success());
        for (from, to) in [
            (
                self.scene.fleet.inventory(),
                &self.pipeline.environment["NONSTOP_INVENTORY"],
            ),
            (
                self.scene.fleet.playbook(),
                &self.pipeline.environment["NONSTOP_PLAYBOOK"],
            ),
        ] {
            fs::copy(from, workspace.join(to)).unwrap();
        }
        program(
            &workspace.join("bin/nonstop"),
            &format!("exec {NONSTOP} --ssh-config none \"$@\""),
        );
        self.built("v1", AtStart::Listen);
    }

    /// What the next build makes.
    fn built(&self, version: &str, at_start: AtStart) {
        let source = self.workspace().join("backend/sokdak");
        write_jar(&source.join(format!("{version}.jar.new")), version, at_start);
        let build =
            format!("rm -rf build; mkdir -p build/libs; cp {version}.jar.new build/libs/{version}.jar");
        program(&source.join("gradlew"), &build);
    }

    fn playbook(&self) -> PathBuf {
        self.workspace()
            .join(&self.pipeline.environment["NONSTOP_PLAYBOOK"])
    }

    fn junit(&self) -> PathBuf {
        self.workspace().join("nonstop-deploy.xml")
    }

    /// What a step finds in its environment.
    fn environment(&self, cookie: &str) -> BTreeMap<String, String> {
        let workspace = self.workspace();
        let path = format!(
            "{}:/usr/sbin:/usr/bin:/sbin:/bin",
            workspace.join("bin").display()
        );
        let url = "https://ci.example/job/sokdak";
        let hook = self.hooks.url("ok");
        let mut environment: BTreeMap<String, String> = [
            ("PATH", path.as_str()),
            ("HOME", self.scene.folder().to_str().unwrap()),
            ("LANG", "C.UTF-8"),
            ("CI", "true"),
            ("JENKINS_URL", "https://ci.example/"),
            ("JENKINS_HOME", "/var/jenkins_home"),
            ("JOB_NAME", "sokdak"),
            ("JOB_BASE_NAME", "sokdak"),
            ("JOB_URL", url),
            ("BUILD_NUMBER", "12"),
            ("BUILD_ID", "12"),
            ("BUILD_DISPLAY_NAME", "#12"),
            ("BUILD_TAG", "jenkins-sokdak-12"),
            ("BUILD_URL", "https://ci.example/job/sokdak/12/"),
            ("EXECUTOR_NUMBER", "0"),
            ("NODE_NAME", "built-in"),
            ("NODE_LABELS", "built-in"),
            ("STAGE_NAME", "Deploy"),
            ("GIT_BRANCH", "origin/main"),
            ("WORKSPACE", workspace.to_str().unwrap()),
            ("WORKSPACE_TMP", workspace.to_str().unwrap()),
            ("SLACK_WEBHOOK_URL", hook.as_str()),
            ("COOKIE", cookie),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        environment.extend(self.pipeline.environment.clone());
        let key = self.scene.folder().join("private-key.key");
        for (argument, value) in [
            ("keyFileVariable", key.to_str().unwrap()),
            ("usernameVariable", "ubuntu"),
            ("passphraseVariable", PASSPHRASE),
        ] {
            environment.insert(self.pipeline.arguments[argument].clone(), value.to_owned());
        }
        environment
    }

    /// Starts a step, and returns while it runs.
    fn begin(&mut self, folder: &str, script: &str) -> Running {
        self.steps += 1;
        let control = self.scene.folder().join(format!("durable-{}", self.steps));
        fs::create_dir(&control).unwrap();
        fs::write(control.join("script.sh"), script).unwrap();
        let cookie = format!("durable-{}-{}", std::process::id(), control.display());
        let wrapper = "(JENKINS_SERVER_COOKIE=$COOKIE sh -xe \"$0/script.sh\" >\"$0/log\" 2>&1; echo $? >\"$0/new\"; \
                       mv \"$0/new\" \"$0/result\") >&- 2>&- &";
        let started = Command::new("setsid")
            .args(["nohup", "sh", "-c", wrapper])
            .arg(&control)
            .current_dir(self.workspace().join(folder))
            .env_clear()
            .envs(self.environment(&cookie))
            .env("JENKINS_SERVER_COOKIE", "please-do-not-kill-me")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(started.unwrap().success());
        Running { control, cookie }
    }

    /// Runs all steps of a stage, until one fails.
    fn stage(&mut self, name: &str, folder: &str) -> (i32, String) {
        let scripts: Vec<String> = self.pipeline.stage(name).into_iter().map(str::to_owned).collect();
        let mut last = (0, String::new());
        for script in scripts {
            // `dir('backend/sokdak')` is around the build's own command.
            let folder = if script.starts_with("./") { folder } else { "." };
            last = self.begin(folder, &script).wait();
            if last.0 != 0 {
                break;
            }
        }
        last
    }

    /// A whole build; the result of its deploy.
    fn build(&mut self) -> (i32, String) {
        for (stage, folder) in [("Build", "backend/sokdak"), ("Check", ".")] {
            let (code, log) = self.stage(stage, folder);
            assert_eq!(code, 0, "{stage}: {log}");
        }
        self.stage("Deploy", ".")
    }

    /// A build up to its deploy, which is left running.
    fn build_until(&mut self, phase: &str) -> Running {
        let (code, log) = self.stage("Build", "backend/sokdak");
        assert_eq!(code, 0, "{log}");
        let script = self.pipeline.stage("Deploy")[0].to_owned();
        let running = self.begin(".", &script);
        let begins = |log: &str| {
            log.lines()
                .any(|line| line.contains(phase) && line.contains("begins"))
        };
        running.until(&format!("{phase} begins"), |running| begins(&running.log()));
        running
    }

    /// Whether the pipeline would ask a person: whether the text that it looks for is in the file of the deploy.
    fn asks(&self) -> bool {
        let file = file();
        let (_, rest) = file.split_once("readFile('").unwrap();
        let (name, rest) = rest.split_once("').contains('").unwrap();
        let (text, _) = rest.split_once("')").unwrap();
        let events = fs::read_to_string(self.workspace().join(name)).unwrap();
        events.contains(text)
    }

    fn told(&self) -> Vec<String> {
        self.hooks
            .told("ok")
            .iter()
            .map(crate::hooks::Told::text)
            .collect()
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A step that runs.
struct Running {
    control: PathBuf,
    cookie: String,
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(self.control.join("log")).unwrap_or_default()
    }

    fn until(&self, what: &str, there: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !there(self) {
            assert!(began.elapsed() < PATIENCE, "never: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait(&self) -> (i32, String) {
        self.until("an end", |running| running.control.join("result").exists());
        let code = fs::read_to_string(self.control.join("result")).unwrap();
        (code.trim().parse().unwrap(), self.log())
    }

    /// The processes of the step, each with its parent.
    fn processes(&self) -> Vec<(i32, i32)> {
        let mark = format!("JENKINS_SERVER_COOKIE={}\0", self.cookie);
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter_map(|pid| {
            let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            let marked = String::from_utf8_lossy(&environ).contains(&mark);
            marked.then_some((pid, parent.trim().parse().ok()?))
        })
        .collect()
    }

    /// The abort button: TERM to each process of the step, to its children before that, and again as one of the
    /// step's own; after each up to five seconds until it is gone.
    fn abort(&self) {
        let all = self.processes();
        for (pid, _) in &all {
            let deadline = Instant::now() + Duration::from_secs(5);
            for (child, parent) in &all {
                if parent == pid {
                    end(*child, deadline);
                }
            }
            end(*pid, deadline);
        }
    }

    fn all_get(&self, signal: Signal) {
        for (pid, _) in self.processes() {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

fn end(pid: i32, deadline: Instant) {
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    while Path::new(&format!("/proc/{pid}/status")).exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn groovy_accepts_the_file() {
    // Declarative Pipeline is a library; the syntax is Groovy's, and this is the version that Jenkins brings.
    let script = "import org.codehaus.groovy.control.*; def unit = new CompilationUnit(); \
                  args.each { unit.addSource(new File(it)) }; unit.compile(Phases.CONVERSION)";
    let groovy = |file: &str| {
        Command::new("groovy")
            .args(["-e", script, file])
            .output()
            .expect("groovy is installed")
    };
    let output = groovy("examples/jenkins/Jenkinsfile");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("Jenkinsfile");
    fs::write(&broken, file().replacen("steps {", "steps (", 1)).unwrap();
    assert!(!groovy(broken.to_str().unwrap()).status.success());
}

#[test]
fn a_build_is_deployed_with_the_credential_reported_and_told() {
    let mut jenkins = Jenkins::new();
    edit(
        &jenkins
            .workspace()
            .join(&jenkins.pipeline.environment["NONSTOP_INVENTORY"]),
        &[("ansible_user: demo", "ansible_user: somebody-else")],
    );
    let (code, log) = jenkins.build();
    assert_eq!(code, 0, "{log}");
    assert_eq!(jenkins.scene.live(), "v1");
    assert_eq!(failed(&jenkins.junit()).0, [""; 0]);
    let told = jenkins.told();
    assert!(
        told[0].contains("begins") && told[1].contains("https://ci.example/job/sokdak/12/"),
        "{told:?}"
    );

    jenkins.built("v2", AtStart::Crash);
    let (code, log) = jenkins.build();
    assert_eq!(code, 6, "{log}");
    assert_eq!(jenkins.scene.live(), "v1");
    assert!(
        failed(&jenkins.junit()).0.contains(&"was-1 start".to_owned())
            || failed(&jenkins.junit()).0.contains(&"was-2 start".to_owned())
    );
    assert!(jenkins.told()[3].contains("FAILED"), "{:?}", jenkins.told());
    assert!(
        !log.contains(PASSPHRASE) && !log.contains(&jenkins.hooks.url("ok")),
        "{log}"
    );
}

#[test]
fn a_build_that_never_came_to_its_deploy_is_told_as_well() {
    let mut jenkins = Jenkins::new();
    let script = jenkins.pipeline.post("failure").to_owned();
    let (code, log) = jenkins.begin(".", &script).wait();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(&jenkins.hooks.url("ok")), "{log}");
    let told = jenkins.told();
    assert!(
        told[0].contains("FAILED before the deploy: sokdak 12 (https://ci.example/job/sokdak/12/)"),
        "{told:?}"
    );
}

#[test]
fn a_release_that_waits_is_promoted_by_the_stage_after_the_question() {
    let mut jenkins = Jenkins::new();
    assert_eq!(jenkins.build().0, 0);
    assert!(!jenkins.asks(), "nothing waits");
    edit(
        &jenkins.playbook(),
        &[("drain:", "update: { auto_promote: false }\ndrain:")],
    );
    jenkins.built("v2", AtStart::Listen);
    let (code, log) = jenkins.build();
    assert_eq!(code, 0, "{log}");
    assert_eq!(jenkins.scene.live(), "v1", "it waits: {log}");
    assert!(jenkins.asks());
    assert!(
        jenkins.told().last().unwrap().contains("waits for a person"),
        "{:?}",
        jenkins.told()
    );
    let (code, log) = jenkins.stage("Promote", ".");
    assert_eq!(code, 0, "{log}");
    assert_eq!(jenkins.scene.live(), "v2");
    assert_eq!(
        failed(&jenkins.workspace().join("nonstop-promote.xml")).0,
        [""; 0]
    );
}

#[test]
fn nobody_is_asked_where_the_hosts_stop_the_old_slot_at_their_hour() {
    let mut jenkins = Jenkins::new();
    assert_eq!(jenkins.build().0, 0);
    edit(
        &jenkins.playbook(),
        &[("bake: { for: 0s, then: keep", "bake: { for: 1h, detach: true")],
    );
    jenkins.built("v2", AtStart::Listen);
    let (code, log) = jenkins.build();
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("outcome: waiting"), "{log}");
    assert_eq!(jenkins.scene.live(), "v2", "it has all of the traffic: {log}");
    assert!(!jenkins.asks());
}

#[test]
fn the_abort_button_unwinds_and_the_next_build_deploys() {
    let mut jenkins = Jenkins::new();
    assert_eq!(jenkins.build().0, 0);
    edit(&jenkins.playbook(), &[("bake: { for: 0s", "bake: { for: 10m")]);
    jenkins.built("v2", AtStart::Listen);
    let deploy = jenkins.build_until("bake");
    assert_eq!(jenkins.scene.live(), "v2");
    assert_eq!(deploy.processes().len(), 1, "nonstop is the step's own process");
    deploy.abort();
    let (code, log) = deploy.wait();
    assert_eq!(code, 143, "{log}");
    assert!(log.trim_end().ends_with("outcome: rolled_back"), "{log}");
    assert_eq!(jenkins.scene.live(), "v1");
    assert!(failed(&jenkins.junit()).0.contains(&"demo outcome".to_owned()));
    assert!(
        jenkins
            .told()
            .last()
            .unwrap()
            .contains("interrupted, and rolled back")
    );

    edit(&jenkins.playbook(), &[("bake: { for: 10m", "bake: { for: 0s")]);
    let (code, log) = jenkins.build();
    assert_eq!(code, 0, "{log}");
    assert_eq!(jenkins.scene.live(), "v2");
}

#[test]
fn an_abort_that_ends_in_kill_leaves_nothing_that_the_next_build_does_not_mend() {
    let mut jenkins = Jenkins::new();
    edit(
        &jenkins.playbook(),
        &[("drain:", "watch: { deadline: 6s }\nlock: { lease: 6s }\ndrain:")],
    );
    assert_eq!(jenkins.build().0, 0);
    jenkins.built("v2", AtStart::Listen);
    let deploy = jenkins.build_until("commit");
    deploy.all_get(Signal::SIGTERM);
    deploy.all_get(Signal::SIGKILL);
    let (code, log) = deploy.wait();
    assert_eq!(code, 137, "{log}");
    let (some, _) = failed(&jenkins.junit());
    assert!(
        some.contains(&"demo outcome".to_owned()),
        "the report of a killed run: {some:?}"
    );
    assert!(["v1", "v2"].contains(&jenkins.scene.live().as_str()));

    jenkins.built("v3", AtStart::Listen);
    let (code, log) = jenkins.build();
    assert_eq!(code, 0, "{log}");
    assert_eq!(jenkins.scene.live(), "v3");
    assert_eq!(failed(&jenkins.junit()).0, [""; 0]);
}

//! One host in a temporary folder: runs commands with a given shell and remembers what to clean up.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use nonstop::model::lock::{Epoch, Fence, Owner};
use nonstop::model::names::{AppName, Port, ReleaseId, RemotePath, RunId, SlotName};
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::unit::Unit;
use nonstop::remote::answer::{Answer, Fenced, LockAnswer, PutAnswer, StartAnswer, StopAnswer};
use nonstop::remote::command::{Command, Lock, Observe, Place, Put, RenderedRunner, Start, Stop};
use nonstop::remote::parse::{Exit, ParseError, RawOutput, parse};
use nonstop::remote::render::render;
use sha2::{Digest as _, Sha256};

/// A shell that a host may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Dash,
    Bash,
    /// busybox, with nothing but its applets, flock and nginx on the PATH.
    Busybox,
}

impl Shell {
    pub(crate) const ALL: [Self; 3] = [Self::Dash, Self::Bash, Self::Busybox];

    /// The program and its first arguments; fails the test where the machine lacks it.
    pub(crate) fn process(self) -> Process {
        let (program, argument) = match self {
            Self::Dash => ("dash", None),
            Self::Bash => ("bash", Some("--posix")),
            Self::Busybox => ("busybox", Some("sh")),
        };
        let path =
            which(program).unwrap_or_else(|| panic!("install {program}: a host may have it as its sh"));
        let path_variable = match self {
            Self::Busybox => applets().into(),
            Self::Dash | Self::Bash => path_where_sh_is(&path),
        };
        let mut process = Process::new(path);
        process.args(argument).env("PATH", path_variable);
        process
    }
}

/// Where a program is.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The PATH with `sh` led to a shell: what a script leaves asleep runs under its host's own.
fn path_where_sh_is(shell: &Path) -> std::ffi::OsString {
    let name = shell.file_name().expect("a name").to_string_lossy();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sh-is-{name}"));
    fs::create_dir_all(&folder).expect("a folder");
    let _ = symlink(shell, folder.join("sh"));
    let path = std::env::var_os("PATH").expect("a PATH");
    std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path))).expect("a PATH")
}

/// A folder with busybox's applets, and what a host with busybox must have beside them.
fn applets() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let busybox = which("busybox").expect("busybox is installed");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("busybox-applets");
        let list = Process::new(&busybox)
            .arg("--list")
            .output()
            .expect("busybox lists its applets");
        fs::create_dir_all(&folder).expect("a folder");
        for applet in String::from_utf8(list.stdout).expect("names").lines() {
            let _ = symlink(&busybox, folder.join(applet));
        }
        for program in ["flock", "nginx"] {
            let _ = symlink(
                which(program).expect("flock and nginx are installed"),
                folder.join(program),
            );
        }
        folder
    })
}

/// Runs `test` on a fresh host for every shell.
pub(crate) fn in_every_shell(test: impl Fn(&Host)) {
    for shell in Shell::ALL {
        eprintln!("shell: {shell:?}");
        test(&Host::new(shell));
    }
}

pub(crate) fn app() -> AppName {
    AppName::new("sokdak").expect("a name")
}

pub(crate) fn blue() -> SlotName {
    SlotName::new("blue").expect("a name")
}

pub(crate) fn run_id(name: &str) -> RunId {
    RunId::new(name).expect("a name")
}

pub(crate) fn release(name: &str) -> ReleaseId {
    ReleaseId::new(name).expect("a name")
}

pub(crate) fn remote(path: impl AsRef<Path>) -> RemotePath {
    RemotePath::new(path.as_ref().to_str().expect("UTF-8")).expect("a path")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// A port of this test's own: not one that the kernel gives to connections, which would take it while its application
/// is started anew.
pub(crate) fn free_port() -> Port {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 24_000 + u16::try_from(std::process::id() % 4_000).expect("small");
    let next = || first + NEXT.fetch_add(1, Ordering::Relaxed);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = std::iter::repeat_with(next).find(is_free);
    Port::new(port.expect("there are many")).expect("not 0")
}

/// What `test` still says after `Passed`.
pub(crate) fn passed<T: std::fmt::Debug>(fenced: Fenced<T>) -> T {
    match fenced {
        Fenced::Passed(value) => value,
        Fenced::Refused(lock) => panic!("the fence refused: {lock:?}"),
    }
}

/// A host.
pub(crate) struct Host {
    pub(crate) shell: Shell,
    pub(crate) folder: tempfile::TempDir,
    environment: Mutex<BTreeMap<String, String>>,
    pub(crate) may_sudo: bool,
    /// The unit of systemd that runs each slot.
    pub(crate) units: BTreeMap<SlotName, Unit>,
    sequence: AtomicU64,
    /// How much later than outside it is there, in milliseconds.
    passed: AtomicU64,
}

impl Host {
    pub(crate) fn new(shell: Shell) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("nonstop-host-")
            .tempdir()
            .expect("a folder");
        // Workers of nginx run as another user where the test runs as root.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).expect("a mode");
        Self {
            shell,
            folder,
            environment: Mutex::default(),
            may_sudo: false,
            units: BTreeMap::new(),
            sequence: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Sets a variable in the environment of every script from now on.
    pub(crate) fn set(&self, name: &str, value: impl AsRef<Path>) {
        let value = value.as_ref().to_str().expect("UTF-8").to_owned();
        self.environment
            .lock()
            .expect("no panic")
            .insert(name.to_owned(), value);
    }

    /// Gives the host another boot id, uptime or clock: `boot_id`, `uptime_offset` (hundredths of a
    /// second) or `clock_offset` (seconds).
    pub(crate) fn machine(&self, what: &str, text: &str) {
        let folder = self.path("machine");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("new"), format!("{text}\n")).expect("written");
        fs::rename(folder.join("new"), folder.join(what)).expect("renamed");
        self.set("NONSTOP_MACHINE", folder);
    }

    /// Lets time pass on the host, for every script and watch that was started since it first did.
    pub(crate) fn later(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).expect("not for ever");
        let passed = self.passed.fetch_add(time, Ordering::SeqCst) + time;
        self.machine("uptime_offset", &(passed / 10).to_string());
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            app: app(),
            state_dir: Some(remote(self.state())),
            release_dir: Some(remote(self.path("app"))),
            may_sudo: self.may_sudo,
            units: self.units.clone(),
        }
    }

    /// Starts the program of a command. What it reads is the second value, and then the jar.
    pub(crate) fn spawn(&self, place: &Place, command: &Command) -> (Child, Vec<u8>) {
        let script = render(place, command).text;
        let mut process = self.shell.process();
        let mut input = Vec::new();
        if matches!(command, Command::Put(_)) {
            process.args(["-c", &script]);
        } else {
            process.args(["-c", "eval \"$(cat)\""]);
            input = script.into_bytes();
        }
        let child = process
            .env("NONSTOP_SHARED_STATE", self.path("shared"))
            .envs(&*self.environment.lock().expect("no panic"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that a test can end all of it at once.
            .process_group(0)
            .spawn()
            .expect("the shell starts");
        (child, input)
    }

    /// The program's output for a command.
    pub(crate) fn raw(&self, place: &Place, command: &Command, stdin: &[u8]) -> RawOutput {
        let (mut child, mut input) = self.spawn(place, command);
        input.extend_from_slice(stdin);
        let mut pipe = child.stdin.take().expect("piped");
        let writer = std::thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().expect("the shell ends");
        writer.join().expect("the input is written");
        let exit = match output.status.code() {
            Some(code) => Exit::Status(code.unsigned_abs()),
            None => Exit::Signal(output.status.signal().unwrap_or_default().to_string()),
        };
        RawOutput {
            exit,
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// The answer to a command, or why there is none.
    pub(crate) fn try_run(&self, command: &Command) -> Result<Answer, ParseError> {
        let output = self.raw(&self.place(), command, b"");
        parse(command, &output)
    }

    /// The answer to a command.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a test makes each command for one call"
    )]
    pub(crate) fn run(&self, command: Command) -> Answer {
        self.run_with(&command, b"")
    }

    /// The answer to a command with standard input.
    pub(crate) fn run_with(&self, command: &Command, stdin: &[u8]) -> Answer {
        let output = self.raw(&self.place(), command, stdin);
        parse(command, &output).unwrap_or_else(|error| {
            panic!(
                "{:?}: {error}\nstdout: {}\nstderr: {}",
                self.shell,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// Puts a program before all others on the PATH of every script from now on.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let folder = self.path("bin");
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.join(name), mode).expect("a mode");
        let process = self.shell.process();
        let path = process.get_envs().find(|(name, _)| *name == "PATH");
        let path = path.and_then(|(_, value)| value).expect("a PATH");
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(path)));
        self.set("PATH", path.expect("a PATH"));
    }

    /// The fence of run `run-1` with the next sequence number.
    pub(crate) fn fence(&self) -> Fence {
        Fence {
            epoch: Epoch(1),
            run: run_id("run-1"),
            sequence: self.sequence.fetch_add(1, Ordering::SeqCst) + 1,
        }
    }

    /// Takes the lock for run `run-1` under epoch 1.
    pub(crate) fn lock(&self) {
        let answer = self.run(Command::Lock(lock_by("run-1", 0, 1)));
        assert_eq!(answer, Answer::Lock(LockAnswer::Taken));
    }

    pub(crate) fn observe(&self, observe: Observe) -> nonstop::model::observed::HostObserved {
        match self.run(Command::Observe(observe)) {
            Answer::Observe(observed) => *observed,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a release in place.
    pub(crate) fn put(&self, id: &str, bytes: &[u8]) -> PutAnswer {
        match self.run_with(&Command::Put(self.put_command(id, bytes)), bytes) {
            Answer::Put(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn put_command(&self, id: &str, bytes: &[u8]) -> Put {
        Put {
            fence: self.fence(),
            release: release(id),
            sha256: sha256(bytes),
            size_bytes: bytes.len() as u64,
            jar_name: "sokdak-1.0.jar".to_owned(),
        }
    }

    pub(crate) fn start_command(&self, port: Port, runner: RenderedRunner) -> Start {
        Start {
            fence: self.fence(),
            slot: blue(),
            port,
            release: release("r1"),
            runner,
            env: BTreeMap::new(),
            deadline: Duration::from_secs(20),
        }
    }

    pub(crate) fn start(&self, start: Start) -> StartAnswer {
        match self.run(Command::Start(start)) {
            Answer::Start(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn stop_command(&self, identity: &ProcessIdentity) -> Stop {
        Stop {
            fence: self.fence(),
            slot: blue(),
            target: StopTarget::Process(identity.clone()),
            grace: Duration::from_secs(10),
            successor: None,
        }
    }

    pub(crate) fn stop(&self, stop: Stop) -> StopAnswer {
        match self.run(Command::Stop(stop)) {
            Answer::Stop(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }
}

impl Host {
    /// Kills whatever runs from this host's folder.
    pub(crate) fn kill_all(&self) {
        let folder = self.folder.path().to_string_lossy().into_owned();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else {
                continue;
            };
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let directory = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let marked = String::from_utf8_lossy(&environment).contains(&format!("NONSTOP_JAR={folder}"));
            if marked || directory.starts_with(&folder) {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_all();
    }
}

/// A lock command.
pub(crate) fn lock_by(run: &str, expected: u64, epoch: u64) -> Lock {
    Lock {
        expected: Epoch(expected),
        epoch: Epoch(epoch),
        run: run_id(run),
        owner: Owner {
            who: "jenkins".to_owned(),
            place: "ci".to_owned(),
            command: "deploy".to_owned(),
            build_url: None,
            since: "2026-01-01T00:00:00Z".to_owned(),
        },
        lease: None,
    }
}

/// Every file, link and folder below a folder, with its bytes or its text.
pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().expect("a kind");
            let content = if kind.is_symlink() {
                fs::read_link(&path)
                    .expect("a link")
                    .into_os_string()
                    .into_encoded_bytes()
            } else if kind.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).expect("a file")
            };
            found.insert(path, content);
        }
    }
    found
}

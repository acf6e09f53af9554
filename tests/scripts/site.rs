//! A real nginx with sites of its own on a host, and the commands that switch one of them.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command as Process;
use std::time::{Duration, Instant};

use nonstop::model::names::{Port, RemotePath};
use nonstop::model::observed::NginxObserved;
use nonstop::model::playbook::ReloadWay;
use nonstop::model::token::{Token, TokenId, TokenState};
use nonstop::remote::answer::{Answer, ArmAnswer, ConfirmAnswer, Fenced, PrepareAnswer, SwitchAnswer};
use nonstop::remote::command::{
    Arm, CleanNginx, Command, Commit, Confirm, NginxPlace, Observe, ObserveNginx, PlacedContent, Placement,
    Prepare, Revert,
};

use crate::host::{Host, Shell, free_port, passed, remote, run_id, sha256, which};

/// Runs `test` with a fresh nginx for every shell.
pub(crate) fn with_nginx_in_every_shell(test: impl Fn(&Site)) {
    for shell in Shell::ALL {
        eprintln!("shell: {shell:?}");
        test(&Site::new(shell));
    }
}

/// A host with an nginx.
pub(crate) struct Site {
    pub(crate) host: Host,
    pub(crate) port: Port,
    /// What the main file includes.
    include: String,
}

impl Site {
    pub(crate) fn new(shell: Shell) -> Self {
        let site = Self::unlocked(shell);
        site.host.lock();
        site
    }

    /// The same on a host that nobody has locked.
    pub(crate) fn unlocked(shell: Shell) -> Self {
        let host = Host::new(shell);
        let include = format!("include {};", host.path("sites-enabled/*").display());
        let site = Self {
            host,
            port: free_port(),
            include,
        };
        for folder in ["sites-enabled", "sites-available", "tmp"] {
            fs::create_dir(site.host.path(folder)).expect("a folder");
        }
        fs::write(site.conf(), site.main_file(&site.include)).expect("written");
        site
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.host.path("nginx.conf")
    }

    pub(crate) fn entry(&self) -> PathBuf {
        self.host.path("sites-enabled/sokdak.conf")
    }

    /// The main file with another include.
    fn main_file(&self, include: &str) -> String {
        let folder = self.host.folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {folder}/tmp/{kind};\n"))
            .concat();
        format!(
            "# pid /wrong; {{\npid {folder}/nginx.pid;\nerror_log {folder}/error.log notice;\nworker_processes 2;\n\
             events {{ worker_connections 64; }}\nhttp {{\n    access_log off;\n    error_log /dev/null;\n\
             {temporary}    {include}\n}}\n"
        )
    }

    /// The main file as it tests a candidate in place of an entry.
    pub(crate) fn shadow(&self, in_place_of: &str) -> String {
        let mut include = String::from("include \"{candidate}\";");
        for entry in fs::read_dir(self.host.path("sites-enabled"))
            .expect("a folder")
            .flatten()
        {
            let name = entry.file_name().into_string().expect("UTF-8");
            if name != in_place_of && !name.starts_with('.') {
                write!(include, " include {};", entry.path().display()).expect("written");
            }
        }
        self.main_file(&include)
    }

    /// A site that answers every request with `text`.
    pub(crate) fn site(&self, text: &str) -> String {
        format!(
            "server {{ listen 127.0.0.1:{}; server_name a; location / {{ return 200 '{text}'; }} }}\n",
            self.port
        )
    }

    pub(crate) fn start(&self) {
        let nginx = which("nginx").expect("install nginx");
        let status = Process::new(nginx)
            .arg("-c")
            .arg(self.conf())
            .status()
            .expect("nginx starts");
        assert!(status.success());
        eventually("workers", || {
            self.observe()
                .master
                .is_some_and(|master| !master.serving.is_empty())
        });
    }

    /// The body that a request through the listener gets.
    pub(crate) fn get(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number())).expect("nginx listens");
        stream
            .write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned()
    }

    pub(crate) fn observe_command(&self) -> ObserveNginx {
        ObserveNginx {
            binary: "nginx".to_owned(),
            conf: Some(remote(self.conf())),
            file: remote(self.entry()),
            slot_files: [].into(),
            upstream_file: None,
        }
    }

    pub(crate) fn observe(&self) -> NginxObserved {
        let observe = Observe {
            slots: [].into(),
            files: [].into(),
            nginx: Some(self.observe_command()),
        };
        self.host.observe(observe).nginx.expect("an nginx host")
    }

    pub(crate) fn nginx_place(&self) -> NginxPlace {
        let observed = self.observe();
        NginxPlace {
            binary: "nginx".to_owned(),
            conf: observed.conf,
            error_log: observed.error_log,
            reload: ReloadWay::Auto,
            master: observed.master.expect("nginx runs").identity,
        }
    }

    /// A placement of `text`'s site at the entry.
    pub(crate) fn placement(&self, bytes: &str) -> Placement {
        let now = fs::read(self.entry()).ok();
        Placement {
            entry: remote(self.entry()),
            content: PlacedContent::File(bytes.to_owned()),
            target: remote(self.entry()),
            takes_over: None,
            expected_sha256: now.map(|bytes| sha256(&bytes)),
        }
    }

    /// A take-over of the file that an older tool left.
    pub(crate) fn take_over(&self, bytes: &str, legacy: &RemotePath) -> Placement {
        let now = fs::read(legacy.as_str()).expect("a legacy file");
        Placement {
            takes_over: Some(legacy.clone()),
            expected_sha256: Some(sha256(&now)),
            ..self.placement(bytes)
        }
    }

    pub(crate) fn prepare(&self, placement: &Placement) -> PrepareAnswer {
        let candidate = match &placement.content {
            PlacedContent::File(bytes) => bytes.clone(),
            PlacedContent::Link(to) => fs::read_to_string(to.as_str()).expect("the slot's file"),
        };
        let replaced = placement.takes_over.as_ref().unwrap_or(&placement.entry);
        self.prepare_with(placement, &candidate, self.shadow(replaced.file_name()))
    }

    pub(crate) fn prepare_with(
        &self,
        placement: &Placement,
        candidate: &str,
        shadow: String,
    ) -> PrepareAnswer {
        self.prepare_by(self.prepare_command(placement, candidate, shadow))
    }

    pub(crate) fn prepare_command(&self, placement: &Placement, candidate: &str, shadow: String) -> Prepare {
        Prepare {
            fence: self.host.fence(),
            home: run_id("run-1"),
            nginx: self.nginx_place(),
            placement: placement.clone(),
            candidate: candidate.to_owned(),
            upstreams: None,
            shadow,
        }
    }

    pub(crate) fn prepare_by(&self, prepare: Prepare) -> PrepareAnswer {
        match self.host.run(Command::Prepare(prepare)) {
            Answer::Prepare(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    /// What the lock's lease has left.
    pub(crate) fn lock_left(&self) -> Option<Duration> {
        self.host.observe(Observe::default()).lock.lease_left
    }

    /// What the tokens say, oldest first.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = self.observe().tokens;
        tokens.sort_by_key(|token| (token.id.epoch, token.id.number));
        tokens
    }

    /// The states of the tokens, oldest first.
    pub(crate) fn token_states(&self) -> Vec<TokenState> {
        self.tokens().into_iter().map(|token| token.state).collect()
    }

    /// The watches that are alive.
    pub(crate) fn watches(&self) -> Vec<nix::unistd::Pid> {
        let files = glob::glob(self.host.state().join("tokens/*.pid").to_str().expect("UTF-8"));
        files
            .expect("a pattern")
            .filter_map(|file| {
                fs::read_to_string(file.ok()?)
                    .ok()?
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .map(nix::unistd::Pid::from_raw)
            .filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(".watch"))
            })
            .collect()
    }

    pub(crate) fn confirm(&self, token: &TokenId) -> ConfirmAnswer {
        let confirm = Confirm {
            fence: self.host.fence(),
            token: token.clone(),
        };
        match self.host.run(Command::Confirm(confirm)) {
            Answer::Confirm(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn arm(&self, watch: Duration) -> ArmAnswer {
        let arm = Arm {
            fence: self.host.fence(),
            home: run_id("run-1"),
            nginx: self.nginx_place(),
            watch,
            deadline: Duration::from_secs(10),
        };
        match self.host.run(Command::Arm(arm)) {
            Answer::Arm(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    /// Commits with a watch that goes home after so long.
    pub(crate) fn commit_for(&self, placement: &Placement, watch: Duration) -> SwitchAnswer {
        let commit = Commit {
            watch,
            ..self.commit_command(placement)
        };
        match self.host.run(Command::Commit(commit)) {
            Answer::Commit(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn clean(&self) {
        let clean = CleanNginx {
            fence: self.host.fence(),
            entry: remote(self.entry()),
            target: remote(self.entry()),
            conf: remote(self.conf()),
        };
        let answer = self.host.run(Command::CleanNginx(clean));
        assert_eq!(answer, Answer::CleanNginx(Fenced::Passed(())));
    }

    pub(crate) fn commit_command(&self, placement: &Placement) -> Commit {
        Commit {
            fence: self.host.fence(),
            home: run_id("run-1"),
            watch: Duration::from_secs(30),
            nginx: self.nginx_place(),
            placement: placement.clone(),
            deadline: Duration::from_secs(10),
        }
    }

    pub(crate) fn commit(&self, placement: &Placement) -> SwitchAnswer {
        match self.host.run(Command::Commit(self.commit_command(placement))) {
            Answer::Commit(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn revert(&self) -> SwitchAnswer {
        let revert = Revert {
            fence: self.host.fence(),
            home: run_id("run-1"),
            nginx: self.nginx_place(),
            deadline: Duration::from_secs(10),
        };
        match self.host.run(Command::Revert(revert)) {
            Answer::Revert(answer) => passed(answer),
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for something that other processes do.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what} within 60 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.host.path("nginx.pid"))
            && let Ok(pid) = pid.trim().parse()
        {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
    }
}

/// The workers that a switch was proven with.
pub(crate) fn proven(answer: SwitchAnswer) -> (Vec<u32>, Vec<u32>) {
    match answer {
        SwitchAnswer::Proven { serving, leaving, .. } => (serving, leaving),
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an answer is looked at once")]
pub(crate) fn accepted(answer: PrepareAnswer) {
    assert!(matches!(answer, PrepareAnswer::Accepted { .. }), "{answer:?}");
}

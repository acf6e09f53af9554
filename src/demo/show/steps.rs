//! The steps of the show: a command each, what it should end with, and what it did.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal as Kill;
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::super::fleet::Fleet;
use super::super::traffic::{Counts, Summary, Traffic};
use super::{DemoError, failed, stage};
use crate::model::outcome::Signal;

/// A command of the show.
pub(super) struct Step {
    title: &'static str,
    arguments: Vec<String>,
    foretold: i32,
}

impl Step {
    pub(super) fn deploy(title: &'static str, jar: &Path, foretold: u8) -> Self {
        Self {
            title,
            arguments: vec!["deploy".to_owned(), "--jar".to_owned(), jar.display().to_string()],
            foretold: foretold.into(),
        }
    }

    pub(super) fn rollback(title: &'static str) -> Self {
        Self {
            title,
            arguments: vec!["rollback".to_owned()],
            foretold: 0,
        }
    }
}

/// How a step went.
struct Played {
    title: &'static str,
    took: Duration,
    status: ExitStatus,
    foretold: i32,
    requests: Option<Counts>,
}

/// The steps that were played.
pub(super) struct Steps {
    program: PathBuf,
    played: Vec<Played>,
    interrupts: [Signals; 3],
}

impl Steps {
    /// Takes over the signals, so that whatever comes, the fleet is ended.
    pub(super) fn new(program: PathBuf, runtime: &Runtime) -> Result<Self, DemoError> {
        let _guard = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed("listen to signals"));
        Ok(Self {
            program,
            played: Vec::new(),
            interrupts: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            ],
        })
    }

    /// Whether every step ended as foretold.
    pub(super) fn went_well(&self) -> bool {
        self.played
            .iter()
            .all(|played| played.status.code() == Some(played.foretold))
    }

    pub(super) async fn play(
        &mut self,
        step: Step,
        fleet: &Fleet,
        traffic: Option<&Traffic>,
    ) -> Result<(), DemoError> {
        let files = [
            "-i".to_owned(),
            fleet.inventory().display().to_string(),
            "-p".to_owned(),
            fleet.playbook().display().to_string(),
        ];
        let arguments: Vec<String> = step.arguments.into_iter().chain(files).collect();
        stage::say(&format!("\n── {}\n$ nonstop {}", step.title, arguments.join(" ")));
        let before = counts(traffic).await;
        let began = Instant::now();
        let child = Command::new(&self.program)
            .args(&arguments)
            // What the user has set for other fleets is not meant for this one.
            .env_remove("NONSTOP_INVENTORY")
            .env_remove("NONSTOP_PLAYBOOK")
            .stdin(Stdio::null())
            .spawn()
            .map_err(failed("start nonstop"))?;
        let status = self.wait(child).await?;
        let took = began.elapsed();
        let after = counts(traffic).await;
        let requests = before.zip(after).map(|(before, after)| after - before);
        stage::say(&verdict(took, status, step.foretold, requests));
        self.played.push(Played {
            title: step.title,
            took,
            status,
            foretold: step.foretold,
            requests,
        });
        Ok(())
    }

    /// Waits for something that may be given up when a signal comes.
    pub(super) async fn unless_interrupted(
        &mut self,
        wait: impl Future<Output = ()>,
    ) -> Result<(), DemoError> {
        let [interrupt, terminate, hangup] = &mut self.interrupts;
        tokio::select! {
            biased;
            _ = interrupt.recv() => Err(DemoError::Interrupted(Signal::Interrupt)),
            _ = terminate.recv() => Err(DemoError::Interrupted(Signal::Terminate)),
            _ = hangup.recv() => Err(DemoError::Interrupted(Signal::Hangup)),
            () = wait => Ok(()),
        }
    }

    /// Waits for the command. A signal ends the show, but only after the command has ended: it puts
    /// the fleet back by itself.
    async fn wait(&mut self, mut child: Child) -> Result<ExitStatus, DemoError> {
        let [interrupt, terminate, hangup] = &mut self.interrupts;
        let (signal, passed_on) = tokio::select! {
            biased;
            status = child.wait() => return status.map_err(failed("wait for nonstop")),
            // The terminal tells the command as well.
            _ = interrupt.recv() => (Signal::Interrupt, None),
            _ = terminate.recv() => (Signal::Terminate, Some(Kill::SIGTERM)),
            _ = hangup.recv() => (Signal::Hangup, Some(Kill::SIGHUP)),
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        if let (Some(kill), Some(pid)) = (passed_on, pid) {
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), kill);
        }
        let _ = child.wait().await;
        Err(DemoError::Interrupted(signal))
    }

    /// Prints the table.
    pub(super) fn print(&self, traffic: &Summary) {
        let width = self.played.iter().map(|played| played.title.len()).max();
        let width = width.unwrap_or_default();
        stage::result(&format!(
            "\n{:width$}  {:>8}  exit  {:>8}  {:>6}",
            "", "took", "served", "failed"
        ));
        for played in &self.played {
            let (served, lost) = match played.requests {
                Some(requests) => (requests.served.to_string(), requests.failed.to_string()),
                None => ("–".to_owned(), "–".to_owned()),
            };
            stage::result(&format!(
                "{:width$}  {:>6.2} s  {:>4}  {served:>8}  {lost:>6}",
                played.title,
                played.took.as_secs_f64(),
                code(played.status),
            ));
        }
        if traffic.counts == Counts::default() {
            return;
        }
        let latency = traffic.latency;
        stage::result(&format!(
            "\nin all: {} · p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
            traffic.counts,
            milliseconds(latency.p50),
            milliseconds(latency.p99),
            milliseconds(latency.max),
        ));
        let versions: Vec<String> = traffic
            .versions
            .iter()
            .map(|(version, count)| format!("{version} {count}"))
            .collect();
        if !versions.is_empty() {
            stage::result(&format!("answers by version: {}", versions.join(", ")));
        }
        for example in &traffic.examples {
            stage::result(&format!(
                "failed at {:.1} s: {}: {}",
                example.at.as_secs_f64(),
                example.request,
                example.reason
            ));
        }
    }
}

async fn counts(traffic: Option<&Traffic>) -> Option<Counts> {
    match traffic {
        Some(traffic) => Some(traffic.counts().await),
        None => None,
    }
}

fn verdict(took: Duration, status: ExitStatus, foretold: i32, requests: Option<Counts>) -> String {
    let right = if status.code() == Some(foretold) {
        "as it should".to_owned()
    } else {
        format!("and it should have been {foretold}")
    };
    let meanwhile = requests.map_or_else(String::new, |requests| format!("; meanwhile {requests}"));
    let seconds = took.as_secs_f64();
    format!("→ {seconds:.2} s, exit {}, {right}{meanwhile}", code(status))
}

fn code(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

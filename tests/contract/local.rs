//! A real host without SSH: the scripts under dash, in a folder, with an nginx of its own.

use std::cell::Cell;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nonstop::model::names::{Port, RemotePath, SlotName};
use nonstop::model::observed::NginxObserved;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, RenderedRunner};

use crate::helper;
use crate::host::{Shell, free_port, remote};
use crate::site::{Site, eventually};
use crate::suite::moves::Slot;
use crate::suite::{Fate, JAR, Subject};
use crate::systemd;

/// A real host.
pub(crate) struct Local {
    site: Site,
    ports: [Port; 2],
    /// What its uptime is ahead of this machine's, in hundredths of a second.
    ahead: Cell<i64>,
    clock: i64,
    boots: u32,
    /// The units of systemd that run its slots; none where systemd has no part in it.
    units: Vec<String>,
}

impl Local {
    pub(crate) fn new() -> Self {
        let site = Site::unlocked(Shell::Dash);
        fs::write(site.entry(), site.site("v1")).expect("written");
        site.start();
        Self {
            site,
            ports: [free_port(), free_port()],
            ahead: Cell::new(0),
            clock: 0,
            boots: 0,
            units: Vec::new(),
        }
    }

    /// The same where units of systemd run both slots.
    pub(crate) fn by_units() -> Self {
        let mut local = Self::new();
        let host = &mut local.site.host;
        systemd::stands_in(host);
        for (slot, port) in Slot::BOTH.into_iter().zip(local.ports) {
            let slot = SlotName::new(slot.name()).expect("a name");
            local.units.push(systemd::answers(host, slot, port));
        }
        local
    }

    /// A boot starts what is enabled.
    fn units_boot(&self) {
        for (unit, port) in self.units.iter().zip(self.ports) {
            let place = self.site.host.path("systemd").join(unit);
            if place.join("enabled").exists() {
                systemd::by_hand(&self.site.host, "start", unit);
                eventually("it listens", || {
                    TcpStream::connect(("127.0.0.1", port.number())).is_ok()
                });
            }
        }
    }

    fn is_ahead(&self, hundredths: i64) {
        self.ahead.set(hundredths);
        self.site.host.machine("uptime_offset", &hundredths.to_string());
    }
}

fn uptime() -> i64 {
    let text = fs::read_to_string("/proc/uptime").expect("/proc");
    let seconds = text.split(' ').next().unwrap_or_default();
    seconds.replace('.', "").parse().expect("hundredths of a second")
}

fn ends(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    kill(pid, signal).expect("it runs");
    eventually("it ends", || {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    });
}

impl Subject for Local {
    fn conf(&self) -> Option<RemotePath> {
        Some(remote(self.site.conf()))
    }

    fn entry(&self) -> RemotePath {
        remote(self.site.entry())
    }

    fn site(&self, text: &str) -> String {
        self.site.site(text)
    }

    fn shadow(&self, _: &NginxObserved) -> String {
        self.site.shadow("sokdak.conf")
    }

    fn port(&self, slot: Slot) -> Port {
        self.ports[slot as usize]
    }

    fn offered(&self) -> RemotePath {
        remote(self.site.host.path("zip"))
    }

    fn runner(&self, slot: Slot) -> RenderedRunner {
        let slot = SlotName::new(slot.name()).expect("a name");
        match self.site.host.units.get(&slot) {
            Some(unit) => RenderedRunner::Unit(unit.clone()),
            None => helper::answering(),
        }
    }

    fn asks(&self, command: &Command) -> Answer {
        let stdin = if matches!(command, Command::Put(_)) {
            JAR
        } else {
            b""
        };
        self.site.host.run_with(command, stdin)
    }

    fn serves(&self) -> String {
        // Workers of two generations may both answer for a moment.
        let _ = (self.site.get(), self.site.get());
        self.site.get()
    }

    fn waits(&self) {
        std::thread::sleep(Duration::from_millis(20));
    }

    fn befalls(&mut self, fate: Fate<'_>) {
        match fate {
            Fate::Later(time) => {
                let later = i64::try_from(time.as_millis() / 10).expect("not that long");
                self.is_ahead(self.ahead.get() + later);
            }
            Fate::SomebodyWrites(site) => fs::write(self.site.entry(), site).expect("written"),
            Fate::SomebodyOffers(bytes) => {
                let folder = self.site.host.path("zip");
                fs::create_dir_all(&folder).expect("a folder");
                fs::write(folder.join("app-1.0.jar"), bytes).expect("written");
            }
            Fate::Dies(identity) => ends(identity.pid, Signal::SIGKILL),
            Fate::Reboots => {
                self.boots += 1;
                let boot = format!("another-boot-{}", self.boots);
                self.site.host.machine("boot_id", &boot);
                self.site.host.kill_all();
                let pid = fs::read_to_string(self.site.host.path("nginx.pid")).expect("nginx runs");
                ends(pid.trim().parse().expect("a pid"), Signal::SIGTERM);
                self.is_ahead(100 - uptime());
                self.site.start();
                self.units_boot();
            }
            Fate::ClockJumps(seconds) => {
                self.clock += seconds;
                self.site.host.machine("clock_offset", &self.clock.to_string());
            }
        }
    }
}

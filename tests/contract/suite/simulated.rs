//! The simulated host.

use std::time::Duration;

use nonstop::engine::fleet::{Fleet as _, Host as _};
use nonstop::model::names::{Address, HostName, Port, RemotePath, SlotName, UnitName};
use nonstop::model::observed::NginxObserved;
use nonstop::model::release::{Offer, OfferedJar};
use nonstop::model::unit::{AtBoot, Unit};
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, RenderedRunner};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::moves::Slot;
use super::player::{Fate, Subject, sha256};
use crate::world::{Shared, SimFleet, SimHost, SimNginx, World};

const ENTRY: &str = "/etc/nginx/sites-enabled/sokdak.conf";

/// The simulated host.
pub(crate) struct Simulated {
    runtime: Runtime,
    world: Shared,
}

fn name() -> HostName {
    HostName::new("host").unwrap()
}

fn site(text: &str) -> String {
    format!("server {{ listen 80; server_name a; location / {{ return 200 \"{text}\"; }} }}\n")
}

fn port(slot: Slot) -> Port {
    Port::new(match slot {
        Slot::Blue => 8080,
        Slot::Green => 8081,
    })
    .unwrap()
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime needs nothing but memory");
        let world = runtime.block_on(async {
            let mut host = SimHost::new(&Address::new("10.0.0.1").unwrap());
            let mut nginx = SimNginx::new(&RemotePath::new(ENTRY).unwrap());
            nginx.site(ENTRY, &site("v1"));
            host.nginx = Some(nginx);
            let ports = Slot::BOTH.map(|slot| (SlotName::new(slot.name()).unwrap(), port(slot)));
            host.ports = ports.into();
            World::of([(name(), host)].into())
        });
        world.borrow_mut().cleans_tokens = true;
        Self { runtime, world }
    }

    /// The same where units of systemd run both slots.
    pub(crate) fn by_units() -> Self {
        let it = Self::new();
        let name = |slot: Slot| (SlotName::new(slot.name()).unwrap(), unit(slot).name);
        it.world.borrow_mut().host("host").units = Slot::BOTH.map(name).into();
        it
    }

    fn sleeps(&self, pause: Duration) {
        self.runtime.block_on(async {
            sleep(pause).await;
            self.world.borrow_mut().settle();
        });
    }
}

/// The unit that runs a slot.
fn unit(slot: Slot) -> Unit {
    Unit {
        name: UnitName::new(format!("sokdak@{}.service", port(slot))).unwrap(),
        at_boot: AtBoot::Follows,
    }
}

impl Subject for Simulated {
    fn conf(&self) -> Option<RemotePath> {
        None
    }

    fn entry(&self) -> RemotePath {
        RemotePath::new(ENTRY).unwrap()
    }

    fn site(&self, text: &str) -> String {
        site(text)
    }

    fn shadow(&self, _: &NginxObserved) -> String {
        String::new()
    }

    fn port(&self, slot: Slot) -> Port {
        port(slot)
    }

    fn offered(&self) -> RemotePath {
        RemotePath::new("/srv/zip").unwrap()
    }

    fn runner(&self, slot: Slot) -> RenderedRunner {
        if self.world.borrow_mut().host("host").units.is_empty() {
            return RenderedRunner::Process { argv: Vec::new() };
        }
        RenderedRunner::Unit(unit(slot))
    }

    fn asks(&self, command: &Command) -> Answer {
        self.runtime.block_on(async {
            let fleet = SimFleet(self.world.clone());
            let host = fleet.connect(&name()).await.expect("it is up");
            let answer = host.run(command, Duration::from_secs(60)).await;
            answer.expect("an answer")
        })
    }

    fn serves(&self) -> String {
        let mut world = self.world.borrow_mut();
        world.nginx("host").generation().unwrap_or_default()
    }

    fn waits(&self) {
        self.sleeps(Duration::from_millis(100));
    }

    fn befalls(&mut self, fate: Fate<'_>) {
        if let Fate::Later(time) = fate {
            return self.sleeps(time);
        }
        let waits = matches!(fate, Fate::Reboots) && !self.world.borrow_mut().host("host").units.is_empty();
        let world = self.world.clone();
        self.runtime.block_on(async {
            let mut world = world.borrow_mut();
            match fate {
                Fate::SomebodyWrites(site) => {
                    world.nginx("host").files.insert(ENTRY.to_owned(), site);
                }
                Fate::SomebodyOffers(bytes) => {
                    world.host("host").offer = Offer::Jar(OfferedJar {
                        path: RemotePath::new("/srv/zip/app-1.0.jar").unwrap(),
                        sha256: sha256(bytes),
                        size_bytes: bytes.len() as u64,
                    });
                }
                Fate::Dies(identity) => {
                    let processes = &mut world.host("host").processes;
                    processes.retain(|process| process.identity != *identity);
                }
                Fate::Reboots => {
                    world.crash(&name());
                    world.boot(&name());
                }
                // Nothing that it does reads a wall clock.
                Fate::ClockJumps(_) | Fate::Later(_) => {}
            }
        });
        if waits {
            // What a boot starts takes its time.
            self.sleeps(Duration::from_secs(3));
        }
    }
}

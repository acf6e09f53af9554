//! The simulated host, asked the same.

use std::time::Duration;

use nonstop::engine::fleet::{Fleet as _, Host as _};
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{Address, HostName, RemotePath, RunId};
use nonstop::model::playbook::ReloadWay;
use nonstop::model::record::RunRecord;
use nonstop::model::token::TokenId;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{
    Arm, CleanNginx, Command, Commit, Confirm, Lock, NginxPlace, Observe, PlacedContent, Placement, Prepare,
    Record, Renew, Revert, Unlock,
};
use tokio::runtime::Runtime;
use tokio::time::sleep;

use crate::host::sha256;
use crate::moves::{Fence, Move, state_told, told};
use crate::world::{Shared, SimFleet, SimHost, SimNginx, World};

const ENTRY: &str = "/etc/nginx/sites-enabled/sokdak.conf";

/// A simulated host, whose nginx serves v1 and is to serve v2.
pub(crate) struct Simulated {
    runtime: Runtime,
    world: Shared,
}

fn site(text: &str) -> String {
    format!("server {{ listen 80; server_name a; location / {{ return 200 \"{text}\"; }} }}\n")
}

fn name() -> HostName {
    HostName::new("nginx-1").unwrap()
}

fn run(number: u32) -> RunId {
    RunId::new(format!("run-{number}")).unwrap()
}

/// A record of no importance.
pub(crate) fn record() -> String {
    serde_json::to_string(&RunRecord::opened(run(1), Epoch(1), Owner::default())).unwrap()
}

fn fence(fence: Fence) -> nonstop::model::lock::Fence {
    nonstop::model::lock::Fence {
        epoch: Epoch(fence.epoch),
        run: run(fence.run),
        sequence: fence.sequence,
    }
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
            World::of([(name(), host)].into())
        });
        world.borrow_mut().cleans_tokens = true;
        Self { runtime, world }
    }

    pub(crate) fn makes(&mut self, made: &Move) -> String {
        match self.command(made) {
            Some(command) => told(&self.asks(&command)),
            None => self.otherwise(made),
        }
    }

    fn asks(&self, command: &Command) -> Answer {
        self.runtime.block_on(async {
            let host = SimFleet(self.world.clone())
                .connect(&name())
                .await
                .expect("it is up");
            host.run(command, Duration::from_secs(30))
                .await
                .expect("an answer")
        })
    }

    fn otherwise(&mut self, made: &Move) -> String {
        let pause = match made {
            Move::Later(seconds) => Duration::from_secs(*seconds),
            Move::Fires => Duration::from_secs(2),
            _ => Duration::ZERO,
        };
        self.runtime.block_on(async {
            sleep(pause).await;
            // What the watch has begun takes a moment more.
            for _ in 0..3 {
                self.world.borrow_mut().settle();
                sleep(Duration::from_millis(200)).await;
            }
        });
        match made {
            Move::SomebodyEdits => {
                let mut world = self.world.borrow_mut();
                world.nginx("nginx-1").files.insert(ENTRY.to_owned(), site("v3"));
            }
            Move::Look => {
                let Answer::Observe(seen) = self.asks(&Command::Observe(Observe::default())) else {
                    panic!("no observation")
                };
                let nginx = seen.nginx.expect("an nginx host");
                let served = self
                    .world
                    .borrow_mut()
                    .nginx("nginx-1")
                    .generation()
                    .unwrap_or_default();
                return state_told(&nginx.tokens, &seen.lock, &served, &nginx.saved_homes);
            }
            _ => {}
        }
        String::new()
    }

    fn place(&self) -> NginxPlace {
        let Answer::Observe(seen) = self.asks(&Command::Observe(Observe::default())) else {
            panic!("no observation")
        };
        let nginx = seen.nginx.expect("an nginx host");
        NginxPlace {
            binary: "nginx".to_owned(),
            conf: nginx.conf,
            error_log: None,
            reload: ReloadWay::Auto,
            master: nginx.master.expect("it runs").identity,
        }
    }

    fn command(&self, made: &Move) -> Option<Command> {
        let entry = RemotePath::new(ENTRY).unwrap();
        let deadline = Duration::from_secs(8);
        let placement = Placement {
            entry: entry.clone(),
            content: PlacedContent::File(site("v2")),
            target: entry.clone(),
            takes_over: None,
            expected_sha256: Some(sha256(site("v1").as_bytes())),
        };
        Some(match *made {
            Move::Lock {
                run: number,
                expected,
                epoch,
            } => Command::Lock(Lock {
                expected: Epoch(expected),
                epoch: Epoch(epoch),
                run: run(number),
                owner: Owner::default(),
                lease: Some(Duration::from_secs(30)),
            }),
            Move::Renew { run: number, epoch } => Command::Renew(Renew {
                epoch: Epoch(epoch),
                run: run(number),
            }),
            Move::Unlock(by) => Command::Unlock(Unlock { fence: fence(by) }),
            Move::Record(by) => Command::Record(Record {
                fence: fence(by),
                json: record(),
            }),
            Move::Prepare(by) => Command::Prepare(Prepare {
                fence: fence(by),
                home: run(1),
                nginx: self.place(),
                placement,
                candidate: site("v2"),
                shadow: String::new(),
            }),
            Move::Commit(by, watch) => Command::Commit(Commit {
                fence: fence(by),
                home: run(1),
                watch: Duration::from_secs(watch),
                nginx: self.place(),
                placement,
                deadline,
            }),
            Move::Arm(by, watch) => Command::Arm(Arm {
                fence: fence(by),
                home: run(1),
                nginx: self.place(),
                watch: Duration::from_secs(watch),
                deadline,
            }),
            Move::Confirm(by, (epoch, number)) => Command::Confirm(Confirm {
                fence: fence(by),
                token: TokenId {
                    run: run(1),
                    epoch: Epoch(epoch),
                    number,
                },
            }),
            Move::Revert(by) => Command::Revert(Revert {
                fence: fence(by),
                home: run(1),
                nginx: self.place(),
                deadline,
            }),
            Move::Clean(by) => Command::CleanNginx(CleanNginx {
                fence: fence(by),
                entry: entry.clone(),
                target: entry,
                conf: RemotePath::new("/etc/nginx/nginx.conf").unwrap(),
            }),
            Move::Later(_) | Move::Fires | Move::SomebodyEdits | Move::Look => return None,
        })
    }
}

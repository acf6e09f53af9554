//! Makes the moves on one host, and tells what it answers and how it is then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::HEXLOWER;
use nonstop::model::hook::{HookBody, HookId, HookPoint, Recall, Repeats};
use nonstop::model::lock::{self, Epoch, Owner};
use nonstop::model::names::{JarPattern, Port, ReleaseId, RemotePath, RunId, SlotName};
use nonstop::model::observed::{HostObserved, NginxObserved};
use nonstop::model::playbook::ReloadWay;
use nonstop::model::process::{ProcessIdentity, StopTarget};
use nonstop::model::record::{RunRecord, RunStatus};
use nonstop::model::token::{TokenId, TokenState};
use nonstop::remote::answer::{Answer, Fenced, StartAnswer};
use nonstop::remote::command::{
    Arm, CancelTimer, CleanNginx, Command, Commit, Confirm, FindJar, HealthRequest, Hook, HookAct, HookRun,
    Lock, NginxPlace, Observe, ObserveNginx, PlacedContent, Placement, Prepare, Put, Record, RenderedRunner,
    Renew, Revert, SetTimer, Start, Stop, Successor, Take, Unlock,
};
use sha2::{Digest as _, Sha256};

use super::JAR;
use super::moves::{Asks, Fence, Hooked, Jar, Move, Slot, Whom, state_told, told};

/// A host whose nginx serves v1 and is to serve v2, and that has both slots.
pub(crate) trait Subject {
    /// The main file of its nginx, where it has to be told.
    fn conf(&self) -> Option<RemotePath>;
    /// The file that a switch replaces.
    fn entry(&self) -> RemotePath;
    /// A site that answers with a text.
    fn site(&self, text: &str) -> String;
    /// The main file as it tests a candidate in place of the entry.
    fn shadow(&self, seen: &NginxObserved) -> String;
    /// Where a slot listens.
    fn port(&self, slot: Slot) -> Port;
    /// Where a deploy agent puts its jars.
    fn offered(&self) -> RemotePath;
    /// How the application is started there.
    fn runner(&self, slot: Slot) -> RenderedRunner;
    /// The answer to a command.
    fn asks(&self, command: &Command) -> Answer;
    /// What a request to its nginx is answered.
    fn serves(&self) -> String;
    /// Lets a moment pass.
    fn waits(&self);
    /// Something befalls it.
    fn befalls(&mut self, fate: Fate<'_>);
}

/// What befalls a host.
#[derive(Debug)]
pub(crate) enum Fate<'a> {
    Later(Duration),
    SomebodyWrites(String),
    /// To where `offered` says, as `app-1.0.jar`.
    SomebodyOffers(&'static [u8]),
    Dies(&'a ProcessIdentity),
    Reboots,
    ClockJumps(i64),
}

/// Makes moves on a host.
pub(crate) struct Player<S> {
    subject: S,
    /// Who was started last in each slot.
    started: BTreeMap<Slot, ProcessIdentity>,
}

fn fence(fence: Fence) -> lock::Fence {
    lock::Fence {
        epoch: Epoch(fence.epoch),
        run: run(fence.run),
        sequence: fence.sequence,
    }
}

fn run(number: u32) -> RunId {
    RunId::new(format!("run-{number}")).unwrap()
}

fn release(number: u32) -> ReleaseId {
    ReleaseId::new(format!("r{number}")).unwrap()
}

fn slot(slot: Slot) -> SlotName {
    SlotName::new(slot.name()).unwrap()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn put(by: Fence, number: u32) -> Put {
    Put {
        fence: fence(by),
        release: release(number),
        sha256: sha256(JAR),
        size_bytes: JAR.len() as u64,
        jar_name: "app-1.0.jar".to_owned(),
    }
}

fn hook(by: Fence, number: u32, what: Hooked) -> Hook {
    let runs = || {
        HookAct::Run(HookRun {
            body: HookBody::Command("true".to_owned()),
            env: BTreeMap::new(),
            release: None,
            run_as: None,
            timeout: Duration::from_secs(20),
        })
    };
    let (act, recall) = match what {
        Hooked::Runs => (runs(), Recall::Ask),
        Hooked::RunsAgain => (runs(), Recall::Again),
        Hooked::CountsAsDone => (runs(), Recall::Done),
        Hooked::Begins => (HookAct::Begins, Recall::Ask),
        Hooked::EndsBadly => (HookAct::Ended(Some("exit status 1".to_owned())), Recall::Ask),
        Hooked::Ends => (HookAct::End, Recall::Ask),
    };
    Hook {
        fence: fence(by),
        run: run(by.run),
        hook: HookId {
            point: HookPoint::BeforeStop,
            number,
        },
        digest: None,
        recall,
        repeats: Repeats::Never,
        act,
    }
}

const LEASE: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(8);

impl<S: Subject> Player<S> {
    pub(crate) fn new(subject: S) -> Self {
        Self {
            subject,
            started: BTreeMap::new(),
        }
    }

    /// Makes a move, and tells what came of it.
    pub(crate) fn makes(&mut self, made: &Move) -> String {
        let command = self.switches(made).or_else(|| self.changes(made));
        let command = command.or_else(|| self.leaves(made));
        let Some(command) = command else {
            return self.otherwise(made);
        };
        let answer = self.subject.asks(&command);
        let mut told = told(&answer);
        if let (
            Answer::Start(Fenced::Passed(StartAnswer::Listening { identity, .. })),
            Move::Start(_, slot, _),
        ) = (&answer, made)
        {
            let before = self.started.insert(*slot, identity.clone());
            if before.as_ref() == Some(identity) {
                told.push_str(", the same process");
            }
        }
        told
    }

    fn otherwise(&mut self, made: &Move) -> String {
        let fate = match *made {
            Move::Later(seconds) => Fate::Later(Duration::from_secs(seconds)),
            Move::Offers(jar) => Fate::SomebodyOffers(match jar {
                Jar::Usual => JAR,
                Jar::Other => b"another jar",
            }),
            Move::SomebodyEdits => Fate::SomebodyWrites(self.subject.site("v3")),
            Move::Dies(slot) => Fate::Dies(&self.started[&slot]),
            Move::Reboots => Fate::Reboots,
            Move::ClockJumps(seconds) => Fate::ClockJumps(seconds),
            Move::Fires => {
                self.awaits_home();
                return String::new();
            }
            Move::HourPasses => {
                self.awaits_the_timer();
                return String::new();
            }
            _ => return state_told(&self.observes(), &self.subject.serves()),
        };
        self.subject.befalls(fate);
        String::new()
    }

    fn awaits_home(&self) {
        for _ in 0..1_000 {
            let tokens = self.observes().nginx.expect("an nginx host").tokens;
            let pending = tokens.iter().any(|token| match token.state {
                TokenState::Armed => true,
                TokenState::Fired => !token.restored,
                _ => false,
            });
            if !pending {
                return;
            }
            self.subject.waits();
        }
        panic!("the watch does not go home");
    }

    fn awaits_the_timer(&self) {
        for _ in 0..1_000 {
            let timer = self.observes().was.expect("a WAS host").timer;
            if !timer.expect("a timer").is_under_way() {
                return;
            }
            self.subject.waits();
        }
        panic!("the hour does not come");
    }

    fn observes(&self) -> HostObserved {
        let nginx = ObserveNginx {
            binary: "nginx".to_owned(),
            conf: self.subject.conf(),
            file: self.subject.entry(),
            slot_files: BTreeMap::new(),
            upstream_file: None,
        };
        let slots = Slot::BOTH.map(|it| (slot(it), self.subject.port(it)));
        let observe = Observe {
            slots: slots.into(),
            files: [].into(),
            nginx: Some(nginx),
        };
        match self.subject.asks(&Command::Observe(observe)) {
            Answer::Observe(seen) => *seen,
            other => panic!("{other:?}"),
        }
    }

    /// Its nginx as it is now, and the place of the new site.
    fn sees(&self) -> (NginxObserved, NginxPlace, Placement) {
        let seen = self.observes().nginx.expect("an nginx host");
        let place = NginxPlace {
            binary: "nginx".to_owned(),
            conf: seen.conf.clone(),
            error_log: seen.error_log.clone(),
            reload: ReloadWay::Auto,
            master: seen.master.clone().expect("nginx runs").identity,
        };
        let placement = Placement {
            entry: self.subject.entry(),
            content: PlacedContent::File(self.subject.site("v2")),
            target: self.subject.entry(),
            takes_over: None,
            expected_sha256: Some(sha256(self.subject.site("v1").as_bytes())),
        };
        (seen, place, placement)
    }

    /// The commands about nginx.
    fn switches(&self, made: &Move) -> Option<Command> {
        let home = run(1);
        Some(match *made {
            Move::Prepare(by) => {
                let (seen, nginx, placement) = self.sees();
                Command::Prepare(Prepare {
                    fence: fence(by),
                    home,
                    nginx,
                    placement,
                    candidate: self.subject.site("v2"),
                    upstreams: None,
                    shadow: self.subject.shadow(&seen),
                })
            }
            Move::Commit(by, watch) => {
                let (_, nginx, placement) = self.sees();
                Command::Commit(Commit {
                    fence: fence(by),
                    home,
                    watch: Duration::from_secs(watch),
                    nginx,
                    placement,
                    deadline: DEADLINE,
                })
            }
            Move::Arm(by, watch) => Command::Arm(Arm {
                fence: fence(by),
                home,
                nginx: self.sees().1,
                watch: Duration::from_secs(watch),
                deadline: DEADLINE,
            }),
            Move::Confirm(by, (epoch, number)) => Command::Confirm(Confirm {
                fence: fence(by),
                token: TokenId {
                    run: home,
                    epoch: Epoch(epoch),
                    number,
                },
            }),
            Move::Revert(by) => Command::Revert(Revert {
                fence: fence(by),
                home,
                nginx: self.sees().1,
                deadline: DEADLINE,
            }),
            Move::Clean(by) => Command::CleanNginx(CleanNginx {
                fence: fence(by),
                entry: self.subject.entry(),
                target: self.subject.entry(),
                conf: self.sees().1.conf,
            }),
            _ => return None,
        })
    }

    /// The commands about the lock, the record and the application.
    fn changes(&self, made: &Move) -> Option<Command> {
        Some(match *made {
            Move::Lock {
                run: number,
                expected,
                epoch,
            } => Command::Lock(Lock {
                expected: Epoch(expected),
                epoch: Epoch(epoch),
                run: run(number),
                owner: Owner {
                    since: "2026-01-01T00:00:00Z".to_owned(),
                    ..Owner::default()
                },
                lease: Some(LEASE),
            }),
            Move::Renew { run: number, epoch } => Command::Renew(Renew {
                epoch: Epoch(epoch),
                run: run(number),
            }),
            Move::Unlock(by) => Command::Unlock(Unlock { fence: fence(by) }),
            Move::Record(by) => {
                let record = RunRecord::opened(run(1), Epoch(1), Owner::default());
                Command::Record(Record {
                    fence: fence(by),
                    json: serde_json::to_string(&record).unwrap(),
                })
            }
            Move::Put(by, number) => Command::Put(put(by, number)),
            Move::FindJar => Command::FindJar(FindJar {
                pattern: JarPattern::new(format!("{}/*.jar", self.subject.offered())).unwrap(),
            }),
            Move::Take(by, number) => Command::Take(Take {
                put: put(by, number),
                from: RemotePath::new(format!("{}/app-1.0.jar", self.subject.offered())).unwrap(),
            }),
            Move::Start(by, which, number) => Command::Start(Start {
                fence: fence(by),
                slot: slot(which),
                port: self.subject.port(which),
                release: release(number),
                runner: self.subject.runner(which),
                env: BTreeMap::new(),
                deadline: Duration::from_secs(20),
            }),
            Move::Stop(by, which, whom, successor) => Command::Stop(Stop {
                fence: fence(by),
                slot: slot(which),
                target: StopTarget::Process(self.identity(which, whom)),
                grace: Duration::from_secs(10),
                successor: successor.map(|(slot, whom)| Successor {
                    identity: self.identity(slot, whom),
                    port: self.subject.port(slot),
                }),
            }),
            Move::Hook(by, number, what) => Command::Hook(hook(by, number, what)),
            _ => return None,
        })
    }

    /// The commands about the hour at which the host stops what runs on blue.
    fn leaves(&self, made: &Move) -> Option<Command> {
        Some(match *made {
            Move::Waits(by) => {
                let record = RunRecord {
                    status: RunStatus::Waiting,
                    ..RunRecord::opened(run(1), Epoch(1), Owner::default())
                };
                Command::Record(Record {
                    fence: fence(by),
                    json: serde_json::to_string_pretty(&record).unwrap(),
                })
            }
            Move::SetTimer(by, seconds, asks) => Command::SetTimer(Box::new(SetTimer {
                fence: fence(by),
                run: run(1),
                after: Duration::from_secs(seconds),
                slot: slot(Slot::Blue),
                port: self.subject.port(Slot::Blue),
                identity: self.identity(Slot::Blue, Whom::Itself),
                grace: Duration::from_secs(10),
                successor: Successor {
                    identity: self.identity(Slot::Green, Whom::Itself),
                    port: self.subject.port(Slot::Green),
                },
                successor_slot: slot(Slot::Green),
                health: HealthRequest {
                    address: "127.0.0.1".to_owned(),
                    path: "/version".to_owned(),
                    status: match asks {
                        Asks::Status => 200,
                        Asks::AnotherStatus => 299,
                    },
                    body_contains: None,
                    timeout: Duration::from_secs(5),
                },
                nginx: BTreeSet::new(),
                quiet: Duration::from_millis(300),
                quiet_limit: Duration::from_secs(60),
            })),
            Move::CancelTimer(by) => Command::CancelTimer(CancelTimer {
                fence: fence(by),
                run: run(1),
            }),
            _ => return None,
        })
    }

    fn identity(&self, slot: Slot, whom: Whom) -> ProcessIdentity {
        let mut identity = self.started[&slot].clone();
        match whom {
            Whom::Itself => {}
            Whom::AnotherStart => identity.start_ticks += 1,
            Whom::AnotherBoot => identity.boot_id.push('x'),
            Whom::AnotherUser => identity.uid += 1,
        }
        identity
    }
}

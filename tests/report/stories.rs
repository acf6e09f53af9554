//! The runs that the tests look at, one function a story.

use std::collections::BTreeSet;
use std::time::Duration;

use nonstop::model::decision::{Newest, Slots, Way};
use nonstop::model::event::{Event, Note, ProofUsed};
use nonstop::model::failure::{Failure, HealthAnswer};
use nonstop::model::finding::{Finding, Problem, Severity};
use nonstop::model::lock::{Epoch, LockState, Owner};
use nonstop::model::names::{RunId, SlotName};
use nonstop::model::obstacle::Obstacle;
use nonstop::model::outcome::{Exit, Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::record::RunRecord;
use nonstop::model::token::TokenState;

use crate::fixture::{NEW, NGINX, OLD, Story, WAS, endpoint, host, process};

impl Story {
    fn until_verified() -> Self {
        let mut story = Self::of("deploy");
        story
            .after(300)
            .passes(Phase::Lock, &["was-1", "was-2", "nginx-1"], 120)
            .planned()
            .uploads()
            .starts();
        story
    }

    fn until_prepared() -> Self {
        let mut story = Self::until_verified();
        story.verifies().passes(Phase::Prepare, &NGINX, 90);
        story
    }

    pub(crate) fn deploy() -> Self {
        let mut story = Self::until_prepared();
        let proof = ProofUsed::Generation;
        story
            .begin(Phase::Commit, &NGINX)
            .after(312)
            .done("nginx-1", Phase::Commit, Some(Note::Proven { proof }))
            .end(Phase::Commit, true)
            .begin(Phase::Stop, &WAS)
            .after(2_400);
        for (name, killed) in WAS.into_iter().zip([false, true]) {
            let endpoint = endpoint(name, 8080);
            story.done(name, Phase::Stop, Some(Note::Stopped { endpoint, killed }));
        }
        let note = |count| Some(Note::Pruned { count });
        story
            .end(Phase::Stop, true)
            .begin(Phase::Finish, &WAS)
            .done("was-1", Phase::Finish, note(2))
            .done("was-2", Phase::Finish, note(1))
            .end(Phase::Finish, true)
            .then(Event::Warned {
                finding: Finding::warning(Some(&host("was-2")), Problem::ClockSkew { seconds: 42 }),
            })
            .ends(Outcome::Deployed, Exit::Done, Some(("green", NEW)));
        story
    }

    pub(crate) fn unhealthy() -> Self {
        let mut story = Self::until_verified();
        let answer = HealthAnswer::Wrong {
            status: 503,
            reason: "status is DOWN".to_owned(),
            body: "{\"status\":\"DOWN\",\"components\":{\"db\":{\"status\":\"DOWN\"}}}".to_owned(),
        };
        let lines: Vec<String> = (1..=20)
            .map(|n| format!("\u{1b}[31mERROR\u{1b}[0m try {n}: cannot reach the database\u{1b}[2J"))
            .collect();
        let tail = lines.join("\n");
        story
            .begin(Phase::Verify, &WAS)
            .after(1_000)
            .health("was-1", 1, HealthAnswer::Refused)
            .health("was-2", 1, answer.clone())
            .after(99_000)
            .failed(
                "was-2",
                Phase::Verify,
                Failure::Unhealthy {
                    endpoint: endpoint("was-2", 8081),
                    seen_from: host("was-2"),
                    answer,
                    identity: Some(process(9876)),
                    tail,
                },
            )
            .end(Phase::Verify, false)
            .begin(Phase::Stop, &WAS)
            .after(700);
        for name in WAS {
            let endpoint = endpoint(name, 8081);
            let killed = false;
            story.done(name, Phase::Stop, Some(Note::Stopped { endpoint, killed }));
        }
        story
            .end(Phase::Stop, true)
            .ends(Outcome::AsItWas, Exit::Failed, Some(("blue", OLD)));
        story
    }

    pub(crate) fn refused() -> Self {
        let mut story = Self::of("deploy");
        let on = |name: &str, problem| Finding::refusal(Some(&host(name)), problem);
        let full = |free_bytes| Problem::DiskFull {
            free_bytes,
            needed_bytes: 180_337_035,
        };
        story
            .after(800)
            .then(Event::Refused {
                findings: vec![
                    on("was-2", full(12_000_000)),
                    on(
                        "was-2",
                        Problem::MissingTool {
                            tool: "flock".to_owned(),
                        },
                    ),
                    on(
                        "was-1",
                        Problem::ForeignProcess {
                            endpoint: endpoint("was-1", 8081),
                            command: "python3 -m http.server 8081\u{1b}]0;owned\u{7}".to_owned(),
                        },
                    ),
                    Finding::warning(Some(&host("was-1")), Problem::ForwardingRefused),
                    on("was-1", full(9_000_000)),
                    on(
                        "nginx-1",
                        Problem::NginxTestFails {
                            output:
                                "nginx: [emerg] unknown directive \"sever\" in /etc/nginx/sites-enabled/a:3\n\
                                     nginx: configuration file /etc/nginx/nginx.conf test failed\n"
                                    .to_owned(),
                        },
                    ),
                ],
            })
            .ends(Outcome::AsItWas, Exit::Refused, None);
        story
    }

    fn unproven() -> Self {
        let mut story = Self::until_prepared();
        story.begin(Phase::Commit, &NGINX).after(5_200).failed(
            "nginx-1",
            Phase::Commit,
            Failure::Unproven {
                reason: "[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)".to_owned(),
            },
        );
        story.end(Phase::Commit, false).begin(Phase::Revert, &NGINX);
        story
    }

    pub(crate) fn rolled_back() -> Self {
        let mut story = Self::unproven();
        let proof = ProofUsed::Workers;
        story
            .after(240)
            .done("nginx-1", Phase::Revert, Some(Note::Proven { proof }))
            .end(Phase::Revert, true)
            .ends(Outcome::RolledBack, Exit::RolledBack, Some(("blue", OLD)));
        story
    }

    pub(crate) fn mixed() -> Self {
        let mut story = Self::unproven();
        let reason = "the connection ended without an exit status".to_owned();
        story
            .after(240)
            .failed("nginx-1", Phase::Revert, Failure::OutcomeUnknown { reason })
            .end(Phase::Revert, false)
            .ends(Outcome::Mixed, Exit::Mixed, None);
        story
    }

    pub(crate) fn interrupted() -> Self {
        let mut story = Self::until_verified();
        let signal = Signal::Interrupt;
        story
            .begin(Phase::Verify, &WAS)
            .after(1_500)
            .then(Event::Interrupted {
                cause: signal.into(),
                unwinds: true,
            })
            .end(Phase::Verify, false)
            .passes(Phase::Stop, &WAS, 300)
            .ends(Outcome::AsItWas, Exit::Signalled(signal), Some(("blue", OLD)));
        story
    }

    pub(crate) fn locked() -> Self {
        let mut story = Self::of("deploy");
        let lock = LockState {
            epoch: Epoch(7),
            run: Some(RunId::new("0197-other").unwrap()),
            owner: Some(Owner {
                who: "jenkins".to_owned(),
                place: "ci-3".to_owned(),
                command: "deploy".to_owned(),
                build_url: Some("https://ci.example/job/sokdak/12/".to_owned()),
                since: "2026-01-02T05:10:00Z".to_owned(),
            }),
            lease_left: None,
        };
        let host = host("was-1");
        let left = |seconds| LockState {
            lease_left: Some(Duration::from_secs(seconds)),
            ..lock.clone()
        };
        for seconds in [30, 29, 30] {
            story.after(1_000).then(Event::LockWaiting {
                host: host.clone(),
                lock: left(seconds),
            });
        }
        let lock = left(27);
        let finding = Finding::refusal(Some(&host), Problem::Locked { lock });
        story
            .then(Event::Refused {
                findings: vec![finding],
            })
            .ends(Outcome::AsItWas, Exit::Locked, None);
        story
    }

    /// Somebody finishes a run that died between the first and the last confirm, without an nginx host that
    /// is gone.
    pub(crate) fn resumed() -> Self {
        let mut story = Self::of("resume");
        let proof = ProofUsed::Generation;
        story
            .then(Event::LeftOut {
                was: BTreeSet::new(),
                nginx: [host("nginx-3")].into(),
            })
            .after(300)
            .passes(Phase::Lock, &["was-1", "was-2", "nginx-1"], 120)
            .then(Event::InterruptedFound {
                record: Box::new(died_in(Phase::Confirm)),
                tokens: [
                    (host("nginx-1"), Newest::Is(TokenState::Fired)),
                    (host("nginx-2"), Newest::Is(TokenState::Confirmed)),
                ]
                .into(),
                slots: Slots {
                    new_is_healthy: Some(true),
                    old_is_alive: true,
                },
                way: Way::Forward,
            })
            .planned()
            .begin(Phase::Commit, &NGINX)
            .moved("nginx-1", TokenState::Armed, Some(30))
            .after(312)
            .done("nginx-1", Phase::Commit, Some(Note::Proven { proof }))
            .end(Phase::Commit, true)
            .moved("nginx-1", TokenState::Confirmed, None)
            .ends(Outcome::Deployed, Exit::Done, Some(("green", NEW)));
        story
    }

    /// Somebody takes a run back that died before its switch.
    pub(crate) fn taken_back() -> Self {
        let mut story = Self::of("resume");
        story
            .then(Event::InterruptedFound {
                record: Box::new(died_in(Phase::Verify)),
                tokens: [(host("nginx-1"), Newest::None)].into(),
                slots: Slots {
                    new_is_healthy: Some(false),
                    old_is_alive: true,
                },
                way: Way::Back,
            })
            .passes(Phase::Stop, &WAS, 300)
            .ends(Outcome::AsItWas, Exit::Done, Some(("blue", OLD)));
        story
    }

    /// Somebody resumes where nothing was interrupted.
    pub(crate) fn nothing_to_resume() -> Self {
        let mut story = Self::of("resume");
        let finding = Finding {
            host: None,
            severity: Severity::Info,
            problem: Problem::Fine {
                what: "no run was interrupted: there is nothing to resume".to_owned(),
            },
        };
        story
            .then(Event::Warned { finding })
            .ends(Outcome::AsItWas, Exit::Done, None);
        story
    }

    /// A run whose leases ran out, and of which one watch was faster than the confirm.
    pub(crate) fn too_slow() -> Self {
        let mut story = Self::until_prepared();
        story
            .begin(Phase::Commit, &NGINX)
            .moved("nginx-1", TokenState::Armed, Some(30))
            .after(31_000)
            .moved("nginx-1", TokenState::Fired, None)
            .end(Phase::Commit, false)
            .then(Event::LockRetaken { epoch: Epoch(9) })
            .then(Event::Converging {
                to: SlotName::new("blue").unwrap(),
                hosts: [host("nginx-1")].into(),
            })
            .ends(Outcome::RolledBack, Exit::RolledBack, Some(("blue", OLD)));
        story
    }

    fn moved(&mut self, name: &str, state: TokenState, left: Option<u64>) -> &mut Self {
        let (host, left) = (host(name), left.map(Duration::from_secs));
        self.then(Event::TokenMoved { host, state, left })
    }

    pub(crate) fn unreachable() -> Self {
        let reason = "cannot connect to was-2 (ubuntu@10.0.0.2:22): Connection refused".to_owned();
        Self::not_reached(reason, Obstacle::Other)
    }

    pub(crate) fn not_reached(reason: String, obstacle: Obstacle) -> Self {
        let mut story = Self::of("deploy");
        story.begin(Phase::Connect, &WAS).after(20).failed(
            "was-2",
            Phase::Connect,
            Failure::Unreachable {
                reason: reason.clone(),
                obstacle: obstacle.clone(),
            },
        );
        let problem = Problem::Unreachable { reason, obstacle };
        story
            .end(Phase::Connect, false)
            .then(Event::Refused {
                findings: vec![Finding::refusal(Some(&host("was-2")), problem)],
            })
            .ends(Outcome::AsItWas, Exit::Refused, None);
        story
    }
}

fn died_in(phase: Phase) -> RunRecord {
    let owner = Owner {
        who: "kim".to_owned(),
        place: "ci-7".to_owned(),
        command: "deploy".to_owned(),
        build_url: None,
        since: "2026-01-02T05:00:00Z".to_owned(),
    };
    RunRecord {
        phase,
        from_slot: Some(SlotName::new("blue").unwrap()),
        to_slot: Some(SlotName::new("green").unwrap()),
        ..RunRecord::opened(RunId::new("0197-died").unwrap(), Epoch(3), owner)
    }
}

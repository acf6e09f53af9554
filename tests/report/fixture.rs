//! Runs as lists of events, and writers that keep what they get.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nonstop::model::endpoint::Endpoint;
use nonstop::model::event::{Event, Note, ProofUsed, Stamped};
use nonstop::model::failure::{Failure, HealthAnswer};
use nonstop::model::finding::{Finding, Problem};
use nonstop::model::lock::Owner;
use nonstop::model::names::{AppName, HostName, Port, ReleaseId, RunId, SlotName};
use nonstop::model::outcome::{Exit, Outcome, Signal};
use nonstop::model::phase::Phase;
use nonstop::model::process::ProcessIdentity;
use nonstop::model::run_view::RunView;
use nonstop::report::Reporter;
use nonstop::report::output::Palette;
use nonstop::report::plain::Plain;

pub const OLD: &str = "20260101-100000-sokdak-1";
pub const NEW: &str = "20260102-100000-sokdak-2";

pub fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub fn endpoint(name: &str, port: u16) -> Endpoint {
    Endpoint {
        host: host(name),
        port: Port::new(port).unwrap(),
    }
}

pub fn process(pid: u32) -> ProcessIdentity {
    ProcessIdentity {
        pid,
        start_ticks: 1,
        boot_id: "b0".to_owned(),
        uid: 1000,
    }
}

fn names(hosts: &[&str]) -> BTreeSet<HostName> {
    hosts.iter().map(|name| host(name)).collect()
}

/// A run in the making: the events so far, and the time.
pub struct Story {
    pub events: Vec<Stamped>,
    start: Timestamp,
    elapsed: Duration,
    phase_began: Duration,
}

pub const WAS: [&str; 2] = ["was-1", "was-2"];
pub const NGINX: [&str; 1] = ["nginx-1"];

impl Story {
    /// A run of `command` on two WAS hosts and one nginx host, from 05:12:33.120 on.
    pub fn of(command: &str) -> Self {
        let mut story = Self {
            events: Vec::new(),
            start: "2026-01-02T05:12:33.120Z".parse().unwrap(),
            elapsed: Duration::ZERO,
            phase_began: Duration::ZERO,
        };
        let owner = Owner {
            who: "kim".to_owned(),
            place: "ci-7".to_owned(),
            command: command.to_owned(),
            build_url: None,
            since: "2026-01-02T05:12:33Z".to_owned(),
        };
        story.then(Event::RunStarted {
            run: RunId::new("0197-run").unwrap(),
            app: AppName::new("sokdak").unwrap(),
            owner,
            was: names(&WAS),
            nginx: names(&NGINX),
        });
        story
    }

    pub fn then(&mut self, event: Event) -> &mut Self {
        self.events.push(Stamped {
            at: self.start + self.elapsed,
            elapsed: self.elapsed,
            event,
        });
        self
    }

    pub fn after(&mut self, millis: u64) -> &mut Self {
        self.elapsed += Duration::from_millis(millis);
        self
    }

    pub fn now(&self) -> Timestamp {
        self.start + self.elapsed
    }

    pub fn planned(&mut self) -> &mut Self {
        self.then(Event::Planned {
            from: Some(SlotName::new("blue").unwrap()),
            to: SlotName::new("green").unwrap(),
            from_release: Some(ReleaseId::new(OLD).unwrap()),
            release: ReleaseId::new(NEW).unwrap(),
            phases: vec![
                Phase::Upload,
                Phase::Start,
                Phase::Verify,
                Phase::Prepare,
                Phase::Commit,
            ],
        })
    }

    pub fn begin(&mut self, phase: Phase, hosts: &[&str]) -> &mut Self {
        self.phase_began = self.elapsed;
        let hosts_of_phase = names(hosts);
        self.then(Event::PhaseStarted {
            phase,
            hosts: hosts_of_phase,
        });
        for name in hosts {
            let host = host(name);
            self.then(Event::HostStarted { host, phase });
        }
        self
    }

    pub fn done(&mut self, name: &str, phase: Phase, note: Option<Note>) -> &mut Self {
        let (host, took) = (host(name), self.elapsed - self.phase_began);
        self.then(Event::HostDone {
            host,
            phase,
            took,
            note,
        })
    }

    pub fn failed(&mut self, name: &str, phase: Phase, failure: Failure) -> &mut Self {
        let host = host(name);
        self.then(Event::HostFailed { host, phase, failure })
    }

    pub fn end(&mut self, phase: Phase, succeeded: bool) -> &mut Self {
        let took = self.elapsed - self.phase_began;
        self.then(Event::PhaseEnded {
            phase,
            took,
            succeeded,
        })
    }

    /// A phase in which every host takes `millis` and does what it should.
    pub fn passes(&mut self, phase: Phase, hosts: &[&str], millis: u64) -> &mut Self {
        self.begin(phase, hosts).after(millis);
        for name in hosts {
            self.done(name, phase, None);
        }
        self.end(phase, true)
    }

    pub fn uploads(&mut self) -> &mut Self {
        self.begin(Phase::Upload, &WAS);
        let total_bytes = 60_112_345;
        for step in 0..=8 {
            for name in WAS {
                let (host, sent_bytes) = (host(name), total_bytes * step / 8);
                self.then(Event::Uploaded {
                    host,
                    sent_bytes,
                    total_bytes,
                });
            }
            self.after(600);
        }
        for name in WAS {
            self.done(name, Phase::Upload, None);
        }
        self.end(Phase::Upload, true)
    }

    pub fn starts(&mut self) -> &mut Self {
        self.begin(Phase::Start, &WAS).after(1_200);
        for (name, pid) in WAS.into_iter().zip([4242, 9876]) {
            let endpoint = endpoint(name, 8081);
            self.done(name, Phase::Start, Some(Note::Started { pid, endpoint }));
        }
        self.end(Phase::Start, true)
    }

    pub fn health(&mut self, name: &str, tries: u32, answer: HealthAnswer) -> &mut Self {
        self.then(Event::HealthTried {
            endpoint: endpoint(name, 8081),
            seen_from: host(name),
            tries,
            answer,
            healthy_for: Duration::ZERO,
        })
    }

    pub fn verifies(&mut self) -> &mut Self {
        self.begin(Phase::Verify, &WAS);
        for tries in 1..=3 {
            self.after(1_000);
            for name in WAS {
                self.health(name, tries, HealthAnswer::Refused);
            }
        }
        for tries in 4..=6 {
            self.after(1_000);
            for name in WAS {
                self.health(name, tries, HealthAnswer::Healthy { status: 200 });
            }
        }
        for name in WAS {
            self.done(name, Phase::Verify, None);
        }
        self.end(Phase::Verify, true)
    }

    pub fn ends(&mut self, outcome: Outcome, exit: Exit, live: Option<(&str, &str)>) -> &mut Self {
        self.after(10);
        let took = self.elapsed;
        let switched = matches!(outcome, Outcome::Deployed | Outcome::RolledBack | Outcome::Mixed);
        self.then(Event::RunEnded {
            outcome,
            exit,
            live: live.map(|(_, release)| ReleaseId::new(release).unwrap()),
            live_slot: live.map(|(slot, _)| SlotName::new(slot).unwrap()),
            took,
            switch_took: switched.then_some(Duration::from_millis(312)),
        })
    }

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

    pub fn deploy() -> Self {
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

    pub fn unhealthy() -> Self {
        let mut story = Self::until_verified();
        let answer = HealthAnswer::Wrong {
            status: 503,
            reason: "status is DOWN".to_owned(),
            body: "{\"status\":\"DOWN\",\"components\":{\"db\":{\"status\":\"DOWN\"}}}".to_owned(),
        };
        let tail: String = (1..=20)
            .map(|n| format!("\u{1b}[31mERROR\u{1b}[0m try {n}: cannot reach the database\u{1b}[2J\n"))
            .collect();
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
            .begin(Phase::Revert, &WAS)
            .after(700);
        for name in WAS {
            let endpoint = endpoint(name, 8081);
            let killed = false;
            story.done(name, Phase::Revert, Some(Note::Stopped { endpoint, killed }));
        }
        story
            .end(Phase::Revert, true)
            .ends(Outcome::AsItWas, Exit::Failed, Some(("blue", OLD)));
        story
    }

    pub fn refused() -> Self {
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
            .ends(Outcome::AsItWas, Exit::Refused, Some(("blue", OLD)));
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

    pub fn rolled_back() -> Self {
        let mut story = Self::unproven();
        let proof = ProofUsed::Workers;
        story
            .after(240)
            .done("nginx-1", Phase::Revert, Some(Note::Proven { proof }))
            .end(Phase::Revert, true)
            .ends(Outcome::RolledBack, Exit::RolledBack, Some(("blue", OLD)));
        story
    }

    pub fn mixed() -> Self {
        let mut story = Self::unproven();
        let reason = "the connection ended without an exit status".to_owned();
        story
            .after(240)
            .failed("nginx-1", Phase::Revert, Failure::OutcomeUnknown { reason })
            .end(Phase::Revert, false)
            .ends(Outcome::Mixed, Exit::Mixed, None);
        story
    }

    pub fn interrupted() -> Self {
        let mut story = Self::until_verified();
        let signal = Signal::Interrupt;
        story
            .begin(Phase::Verify, &WAS)
            .after(1_500)
            .then(Event::Interrupted {
                signal,
                unwinds: true,
            })
            .end(Phase::Verify, false)
            .passes(Phase::Revert, &WAS, 300)
            .ends(Outcome::AsItWas, Exit::Signalled(signal), Some(("blue", OLD)));
        story
    }

    pub fn view(&self) -> RunView {
        let mut view = RunView::default();
        self.events.iter().for_each(|event| view.apply(event));
        view
    }
}

/// A writer that keeps what it gets.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buffer);
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A plain reporter that has eaten a story, and what it wrote.
pub fn plain(story: &Story) -> (Plain<Kept>, Kept) {
    let kept = Kept::default();
    let mut plain = Plain::new(kept.clone(), Palette::Monochrome, TimeZone::UTC);
    story.events.iter().for_each(|event| plain.event(event));
    (plain, kept)
}

/// The lines of a plain report without the summary, which has tests of its own.
pub fn lines_of(story: &Story) -> String {
    let text = plain(story).1.text();
    text.split("\n\n").next().unwrap_or_default().to_owned()
}

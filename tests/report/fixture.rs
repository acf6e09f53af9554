//! Runs as lists of events, and writers that keep what they get.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nonstop::model::endpoint::Endpoint;
use nonstop::model::event::{Event, Note, Stamped};
use nonstop::model::failure::{Failure, HealthAnswer};
use nonstop::model::lock::Owner;
use nonstop::model::names::{AppName, HostName, Port, ReleaseId, RunId, SlotName};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::process::ProcessIdentity;
use nonstop::model::run_view::RunView;
use nonstop::report::Reporter;
use nonstop::report::output::Palette;
use nonstop::report::plain::Plain;

pub(crate) const OLD: &str = "20260101-100000-sokdak-1";
pub(crate) const NEW: &str = "20260102-100000-sokdak-2";

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

pub(crate) fn endpoint(name: &str, port: u16) -> Endpoint {
    Endpoint {
        host: host(name),
        port: Port::new(port).unwrap(),
    }
}

pub(crate) fn process(pid: u32) -> ProcessIdentity {
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
pub(crate) struct Story {
    pub(crate) events: Vec<Stamped>,
    start: Timestamp,
    elapsed: Duration,
    phase_began: Duration,
}

pub(crate) const WAS: [&str; 2] = ["was-1", "was-2"];
pub(crate) const NGINX: [&str; 1] = ["nginx-1"];

impl Story {
    /// A run of `command` on two WAS hosts and one nginx host, from 05:12:33.120 on.
    pub(crate) fn of(command: &str) -> Self {
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

    pub(crate) fn then(&mut self, event: Event) -> &mut Self {
        self.events.push(Stamped {
            at: self.start + self.elapsed,
            elapsed: self.elapsed,
            event,
        });
        self
    }

    pub(crate) fn after(&mut self, millis: u64) -> &mut Self {
        self.elapsed += Duration::from_millis(millis);
        self
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.start + self.elapsed
    }

    pub(crate) fn planned(&mut self) -> &mut Self {
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

    pub(crate) fn begin(&mut self, phase: Phase, hosts: &[&str]) -> &mut Self {
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

    pub(crate) fn done(&mut self, name: &str, phase: Phase, note: Option<Note>) -> &mut Self {
        let (host, took) = (host(name), self.elapsed.saturating_sub(self.phase_began));
        self.then(Event::HostDone {
            host,
            phase,
            took,
            note,
        })
    }

    pub(crate) fn failed(&mut self, name: &str, phase: Phase, failure: Failure) -> &mut Self {
        let host = host(name);
        self.then(Event::HostFailed { host, phase, failure })
    }

    pub(crate) fn end(&mut self, phase: Phase, succeeded: bool) -> &mut Self {
        let took = self.elapsed.saturating_sub(self.phase_began);
        self.then(Event::PhaseEnded {
            phase,
            took,
            succeeded,
        })
    }

    /// A phase in which every host takes `millis` and does what it should.
    pub(crate) fn passes(&mut self, phase: Phase, hosts: &[&str], millis: u64) -> &mut Self {
        self.begin(phase, hosts).after(millis);
        for name in hosts {
            self.done(name, phase, None);
        }
        self.end(phase, true)
    }

    pub(crate) fn uploads(&mut self) -> &mut Self {
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

    pub(crate) fn starts(&mut self) -> &mut Self {
        self.begin(Phase::Start, &WAS).after(1_200);
        for (name, pid) in WAS.into_iter().zip([4242, 9876]) {
            let endpoint = endpoint(name, 8081);
            self.done(name, Phase::Start, Some(Note::Started { pid, endpoint }));
        }
        self.end(Phase::Start, true)
    }

    pub(crate) fn health(&mut self, name: &str, tries: u32, answer: HealthAnswer) -> &mut Self {
        self.then(Event::HealthTried {
            endpoint: endpoint(name, 8081),
            seen_from: host(name),
            tries,
            answer,
            healthy_for: Duration::ZERO,
        })
    }

    pub(crate) fn verifies(&mut self) -> &mut Self {
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

    pub(crate) fn ends(&mut self, outcome: Outcome, exit: Exit, live: Option<(&str, &str)>) -> &mut Self {
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

    pub(crate) fn view(&self) -> RunView {
        let mut view = RunView::default();
        self.events.iter().for_each(|event| view.apply(event));
        view
    }
}

/// A writer that keeps what it gets.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(crate) fn text(&self) -> String {
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
pub(crate) fn plain(story: &Story) -> (Plain<Kept>, Kept) {
    let kept = Kept::default();
    let mut plain = Plain::new(kept.clone(), Palette::Monochrome, TimeZone::UTC);
    story.events.iter().for_each(|event| plain.event(event));
    (plain, kept)
}

/// The lines of a plain report without the summary, which has tests of its own.
pub(crate) fn lines_of(story: &Story) -> String {
    let text = plain(story).1.text();
    text.split("\n\n").next().unwrap_or_default().to_owned()
}

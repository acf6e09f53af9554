//! One deploy that is killed at a point, whoever comes after it, and what must be true then.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::point::{Expect, Kind, Moment, Point, Straggler, Then};
use crate::fixture::{
    App, Artifact, Fate, Fleet, Gate, Is, Live, NGINX, Routes, Run, Running, Stop, WAS, small,
};

/// How long the hosts get to come to rest when nobody comes: the watches' deadline, and much more for a
/// machine that does other things too.
const REST: Duration = Duration::from_secs(60);

/// A fleet with an application that is live, and deploys that die.
pub(super) struct Scene<'f> {
    pub(super) fleet: &'f Fleet,
    pub(super) gate: Gate,
    pub(super) live: Live,
    versions: u32,
}

impl<'f> Scene<'f> {
    /// Brings a first version live.
    pub(super) fn begin(fleet: &'f Fleet) -> Self {
        let gate = Gate::before_all(fleet);
        let shop = fleet.shop();
        shop.has_deployed("v1");
        let live = Live {
            version: "v1".to_owned(),
            port: 8080,
        };
        shop.stands(&live.version, live.port);
        Self {
            fleet,
            gate,
            live,
            versions: 1,
        }
    }

    /// The application as its victims deploy it: a short lease, a short watch.
    pub(super) fn hasty_shop(&self) -> App<'f> {
        self.fleet
            .shop()
            .with("/lock/lease", json!("5s"))
            .with("/watch/deadline", json!("5s"))
            .with("/bake/for", json!("1s"))
    }

    /// The same with a watch that outlasts a slow machine and every sleep of these tests.
    pub(super) fn patient_shop(&self) -> App<'f> {
        self.hasty_shop().with("/watch/deadline", json!("20s"))
    }

    /// A version that nobody has deployed yet.
    pub(super) fn next_version(&mut self) -> String {
        self.versions += 1;
        format!("v{}", self.versions)
    }

    /// Kills a deploy at the point, lets come who comes, and demands that the fleet is well. Gives a word
    /// on how it ended.
    pub(super) fn play(&mut self, point: &Point, then: Then, seed: u64) -> &'static str {
        self.fleet.forgets_runs();
        if point.kind == Kind::Retiring {
            let version = self.next_version();
            let keeping = self.fleet.shop().with("/bake/then", json!("keep"));
            self.deploys(&keeping, &version);
            keeping.serves(&version);
        }
        let shop = self.fleet.shop();
        let load = shop.load();
        let old = self.live.clone();
        let version = self.kills(point, seed);
        let new = Live {
            port: 8080 + 8081 - old.port,
            version,
        };
        let ended = match then {
            Then::Resume => self.is_resumed(point, &old, &new),
            Then::Nobody => self.comes_to_rest(point, &old, &new),
        };
        if then == Then::Nobody {
            let version = self.next_version();
            self.deploys(&shop, &version);
        }
        if let (Straggler::AfterAll, Moment::Script { at, .. }) = (point.straggler, point.moment) {
            self.is_too_late(at);
            let version = self.next_version();
            self.deploys(&shop, &version);
        }
        load.lost_nothing();
        if then == Then::Nobody || point.straggler == Straggler::AfterAll {
            // The next deploy has left nothing of the one that died.
            shop.stands(&self.live.version, self.live.port);
        }
        ended
    }

    /// Deploys as others do, who wait for the lock, and demands that it stands.
    pub(super) fn deploys(&mut self, shop: &App<'_>, version: &str) -> Run {
        let run = shop.deploy(version).arg("--lock-wait").arg("60s").run();
        run.deployed();
        let green = run.event(Is::Named("planned"))["to"] == "green";
        self.live = Live {
            version: version.to_owned(),
            port: if green { 8081 } else { 8080 },
        };
        run
    }

    /// Starts a deploy and kills it at the point. One that went back or gave up by itself, for the machine was
    /// too slow for its watch or its lease, is tried again. Gives its version.
    fn kills(&mut self, point: &Point, seed: u64) -> String {
        for _ in 0..4 {
            let version = self.next_version();
            self.gate.clear();
            let mut jar = small(&version);
            if point.moment
                == (Moment::Event {
                    is: Is::Named("uploaded"),
                    count: 2,
                })
            {
                jar = jar.sized(24 << 20);
            }
            let shop = self.hasty_shop();
            let deploy = shop.deploy(Artifact::from(jar));
            let mut run = deploy.arg("--lock-wait").arg("60s").start();
            if self.reaches(&mut run, point) {
                std::thread::sleep(point.delay(seed));
                run.dies();
                lets_go(&self.gate, point);
                return version;
            }
            let run = run.wait();
            assert!(
                [5, 6, 7].contains(&run.code()),
                "it never came to `{point}`:\n{run}"
            );
            println!("  too slow, and ended with {}: once more", run.end()["outcome"]);
        }
        panic!("`{point}` was not reached in four deploys");
    }

    fn reaches(&self, run: &mut Running<'_>, point: &Point) -> bool {
        if point.kind == Kind::Homeward {
            if !run.awaits(|run| run.count(Is::PhaseStarted("bake")) > 0) {
                return false;
            }
            run.signal(Signal::SIGINT);
        }
        comes_to(&self.gate, run, point.moment)
    }

    /// `resume` from another folder: all goes one way, and nothing is left over.
    fn is_resumed(&mut self, point: &Point, old: &Live, new: &Live) -> &'static str {
        // A straggler holds its host's channel, not its locks.
        let shop = self.fleet.shop().elsewhere();
        let resume = shop
            .resume()
            .arg("--lock-wait")
            .arg("60s")
            .in_another_folder()
            .run();
        let routes = self.routes();
        let live = routes
            .uniform()
            .unwrap_or_else(|| panic!("after resume:\n{routes}\n{resume}"));
        let ended = if live == new {
            resume.exits(0);
            "new"
        } else {
            assert_eq!(live, old, "after resume:\n{routes}\n{resume}");
            assert!([0, 6, 7].contains(&resume.code()), "{resume}");
            "old"
        };
        match point.expect {
            Expect::Old => assert_eq!(ended, "old", "{resume}"),
            Expect::New | Expect::Split => {
                // On the way back a token that is confirmed nowhere leads back.
                let wanted = if point.kind == Kind::Homeward {
                    ended
                } else {
                    "new"
                };
                assert_eq!(ended, wanted, "{resume}");
            }
            Expect::Any => {}
        }
        self.live = live.clone();
        let shop = self.fleet.shop();
        if point.kind == Kind::Retiring {
            // What an earlier run kept on purpose may still be there.
            shop.serves(&self.live.version);
            self.fleet.is_tidy();
        } else if point.straggler != Straggler::AfterAll {
            shop.stands(&self.live.version, self.live.port);
        }
        ended
    }

    /// Nobody comes: the watches do what they do.
    fn comes_to_rest(&mut self, point: &Point, old: &Live, new: &Live) -> &'static str {
        self.awaits_watches();
        let routes = self.routes();
        self.is_up(&routes);
        let ended = match routes.uniform() {
            Some(live) if live == old => "old",
            Some(live) if live == new => "new",
            Some(_) => panic!("neither old nor new:\n{routes}"),
            None => {
                assert!(routes.is_split(), "{routes}");
                self.fleet.shop().command("status").run().says("MIXED");
                "MIXED"
            }
        };
        let as_expected = match point.expect {
            Expect::Old => ended == "old",
            Expect::New => ended == "new",
            Expect::Split => ended == "MIXED",
            Expect::Any => true,
        };
        assert!(
            as_expected,
            "{:?} was expected, not {ended}:\n{routes}",
            point.expect
        );
        ended
    }

    /// Demands that every port that nginx sends requests to is up on every WAS host.
    #[track_caller]
    pub(super) fn is_up(&self, routes: &Routes) {
        let now = self.fleet.photograph();
        for port in routes.ports() {
            for host in WAS {
                let is_up = now.listeners(host).contains_key(&port);
                assert!(is_up, "port {port} of {host} is needed and not up:\n{routes}");
            }
        }
    }

    /// Waits until no process of nonstop is left on an nginx host: the watches have ended.
    pub(super) fn awaits_watches(&self) {
        let began = Instant::now();
        loop {
            let now = self.fleet.photograph();
            let left: Vec<_> = NGINX
                .into_iter()
                .flat_map(|host| now.processes(host))
                .filter(|(_, command)| !Gate::is_of_gate(command))
                .collect();
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < REST, "still there: {left:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Lets a straggler run when all is over, and demands that it changes nothing.
    fn is_too_late(&self, at: Stop) {
        let before = self.fleet.photograph();
        let end = Stop {
            edge: crate::fixture::Edge::End,
            ..at
        };
        let ends = self.gate.count(end);
        self.gate.open(at, Fate::GoesOn);
        let began = Instant::now();
        while self.gate.count(end) == ends {
            assert!(began.elapsed() < REST, "the straggler does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.fleet.is_as_it_was(&before);
        self.fleet.shop().stands(&self.live.version, self.live.port);
    }

    pub(super) fn routes(&self) -> Routes {
        Routes::read(self.fleet, "shop.test")
    }
}

/// Waits for the moment; false when the run ends before.
pub(super) fn comes_to(gate: &Gate, run: &mut Running<'_>, moment: Moment) -> bool {
    match moment {
        Moment::Event { is, count } => run.awaits(|run| run.count(is) >= count),
        Moment::Script { at, first } => {
            gate.hold(at);
            run.awaits(|_| {
                let is_through = |stop: Stop| gate.count(stop) > 0;
                is_through(at) && first.is_none_or(is_through)
            })
        }
    }
}

/// What was held for the point meets its fate, now that the controller is dead.
pub(super) fn lets_go(gate: &Gate, point: &Point) {
    let Moment::Script { at, .. } = point.moment else {
        return;
    };
    match point.straggler {
        Straggler::Lost => gate.open(at, Fate::Lost),
        Straggler::Late => gate.open(at, Fate::GoesOn),
        Straggler::AfterAll => {}
    }
}

//! KILL for the controller in the midst of what a plain deploy does not have: hooks, a host with a single slot that is
//! out, timers of the hosts, the routings of a rolling and a canary. Then `resume` from another machine.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::killed::seed;
use super::point::{Expect, Moment, Point, Straggler, event, mixed, script, stop};
use super::scene::{comes_to, lets_go};
use crate::fixture::{App, Edge, Fleet, Gate, Is, NGINX, Run, WAS};

/// Where the hooks leave a word on each host.
const TOLD: &str = "/home/deploy/hooks-told";

/// How many points `make test` plays.
const SAMPLE: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Hooks,
    SingleSlot,
    Window,
    Rolling,
    Canary,
}

impl Shape {
    const ALL: [Self; 5] = [
        Self::Hooks,
        Self::SingleSlot,
        Self::Window,
        Self::Rolling,
        Self::Canary,
    ];

    /// The application, with a short lease and a short watch.
    fn shop(self, fleet: &Fleet) -> App<'_> {
        let shop = fleet
            .shop()
            .with("/lock/lease", json!("5s"))
            .with("/watch/deadline", json!("10s"));
        let rolling = json!({ "strategy": "rolling", "max_parallel": 1 });
        match self {
            Self::Hooks => {
                let tells = format!("echo \"$NONSTOP_RELEASE $NONSTOP_HOOK\" >>{TOLD}");
                shop.with(
                    "/hooks",
                    json!({
                        "after_install": { "run": tells, "on": "first" },
                        "application_start": tells,
                        "before_allow_traffic": { "run": tells, "on": "nginx" },
                        "after_allow_traffic": tells,
                        "before_stop": tells,
                    }),
                )
            }
            Self::SingleSlot => {
                let only = json!({ "group": "was", "port": 8080, "vars": { "profile": "real1" } });
                shop.with("/slots", json!({ "blue": only }))
                    .with("/update", rolling)
            }
            Self::Window => shop.with("/bake", json!({ "for": "10m", "detach": true })),
            Self::Rolling => shop.with("/update", rolling),
            Self::Canary => {
                let steps = json!([{ "weight": 20, "hold": "1s" }]);
                shop.with("/update", json!({ "strategy": "canary", "steps": steps }))
            }
        }
    }

    fn points(self) -> Vec<Point> {
        use Edge::{Begin, End};
        use Expect::{Any, New, Old};
        use Is::{PhaseEnded, PhaseStarted, TokenMoved};
        use Straggler::{Late, Lost};
        match self {
            Self::Hooks => vec![
                event(PhaseStarted("hook"), 1, Old),
                event(PhaseStarted("hook"), 3, Old),
                event(PhaseEnded("hook"), 3, Old),
                event(PhaseStarted("hook"), 4, New),
                event(PhaseEnded("hook"), 4, New),
                event(PhaseStarted("hook"), 5, New),
                script("hook", "was-1", Begin, Lost, Old),
                script("hook", "was-2", Begin, Late, Old),
                script("hook", "nginx-2", End, Lost, Old),
            ],
            Self::SingleSlot => vec![
                event(PhaseStarted("commit"), 1, Old),
                event(PhaseEnded("confirm"), 1, Old),
                event(PhaseStarted("retire"), 1, Old),
                event(PhaseEnded("retire"), 1, Old),
                event(PhaseEnded("start"), 1, Old),
                event(PhaseStarted("commit"), 2, Any),
                event(PhaseEnded("confirm"), 2, New),
                event(PhaseStarted("start"), 2, New),
                event(PhaseStarted("commit"), 4, New),
                script("commit", "nginx-2", Begin, Lost, Old),
                script("stop", "was-1", Begin, Late, Old),
                script("stop", "was-1", End, Lost, Old),
                script("start", "was-1", Begin, Lost, Old),
                script("start", "was-1", End, Lost, Old),
            ],
            Self::Window => vec![
                event(PhaseStarted("bake"), 1, New),
                event(PhaseEnded("bake"), 1, New),
                script("set_timer", "was-1", Begin, Lost, New),
                Point {
                    moment: Moment::Script {
                        at: stop("set_timer", "was-2", Begin),
                        first: Some(stop("set_timer", "was-1", End)),
                    },
                    ..script("set_timer", "was-2", Begin, Lost, New)
                },
                script("set_timer", "was-2", End, Lost, New),
            ],
            Self::Rolling => vec![
                event(PhaseStarted("commit"), 1, Old),
                event(PhaseStarted("commit"), 2, New),
                event(TokenMoved("confirmed"), 3, New),
                event(PhaseStarted("stop"), 1, New),
            ],
            Self::Canary => vec![
                event(PhaseStarted("hold"), 1, New),
                event(PhaseStarted("commit"), 2, New),
                event(TokenMoved("confirmed"), 3, New),
            ],
        }
    }
}

/// A fleet with an application of a shape.
struct Stage<'f> {
    fleet: &'f Fleet,
    shape: Shape,
    gate: Gate,
    live: String,
    versions: u32,
}

impl<'f> Stage<'f> {
    fn begin(fleet: &'f Fleet, shape: Shape) -> Self {
        let gate = Gate::before_all(fleet);
        let mut stage = Self {
            fleet,
            shape,
            gate,
            live: String::new(),
            versions: 0,
        };
        let first = stage.next_version();
        let run = shape.shop(fleet).deploy(first.as_str()).run();
        run.exits(0);
        stage.is_over(&run);
        stage.live = first;
        stage
    }

    fn next_version(&mut self) -> String {
        self.versions += 1;
        format!("v{}", self.versions)
    }

    /// Ends the window of a run that waits for its hour.
    fn is_over(&self, run: &Run) {
        if run.end()["outcome"] == "waiting" {
            self.shape.shop(self.fleet).promote().run().deployed();
            // What waited for the hour looks every ten seconds whether somebody came.
            std::thread::sleep(Duration::from_secs(12));
        }
    }

    /// Kills a deploy at the point, and demands that whoever resumes leads the whole fleet one way.
    fn play(&mut self, point: &Point, seed: u64) -> &'static str {
        self.fleet.forgets_runs();
        let shop = self.shape.shop(self.fleet);
        let load = shop.load();
        let version = self.kills(&shop, point, seed);
        let elsewhere = shop.clone().elsewhere();
        let resume = elsewhere.resume().arg("--lock-wait").arg("60s");
        let resume = resume.in_another_folder().run();
        let answers = shop.answers("/version");
        let [now] = &answers[..] else {
            panic!("{answers:?} answer after:\n{resume}")
        };
        let ended = if *now == version { "new" } else { "old" };
        if ended == "new" {
            resume.exits(0);
        } else {
            assert_eq!(*now, self.live, "{resume}");
            assert!([0, 6, 7].contains(&resume.code()), "{resume}");
        }
        let as_expected = match point.expect {
            Expect::Old => ended == "old",
            Expect::New => ended == "new",
            Expect::Split | Expect::Any => true,
        };
        assert!(as_expected, "{:?} was expected:\n{resume}", point.expect);
        self.is_over(&resume);
        load.lost_nothing();
        self.live.clone_from(now);
        shop.serves(&self.live);
        self.has_one_instance_a_host();
        self.no_hook_ran_twice();
        ended
    }

    /// Starts a deploy and kills it at the point. One that gave up by itself, for the machine was too slow for its
    /// watch or its lease, is tried again. Gives its version.
    fn kills(&mut self, shop: &App<'_>, point: &Point, seed: u64) -> String {
        for _ in 0..3 {
            let version = self.next_version();
            self.gate.clear();
            let deploy = shop.deploy(version.as_str());
            let mut run = deploy.arg("--lock-wait").arg("60s").start();
            if comes_to(&self.gate, &mut run, point.moment) {
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
        panic!("`{point}` was not reached in three deploys");
    }

    fn has_one_instance_a_host(&self) {
        let now = self.fleet.is_tidy();
        let [one, other] = WAS.map(|host| now.listeners(host).into_keys().collect::<Vec<_>>());
        assert_eq!(one.len(), 1, "{one:?}");
        assert_eq!(one, other);
    }

    fn no_hook_ran_twice(&self) {
        for host in WAS.into_iter().chain(NGINX) {
            let told = self.fleet.on(host, &format!("cat {TOLD} 2>/dev/null || true"));
            let mut times = BTreeMap::<&str, u32>::new();
            for line in told.lines() {
                *times.entry(line).or_default() += 1;
            }
            times.retain(|_, count| *count > 1);
            assert!(times.is_empty(), "{host}: {times:?}");
        }
    }
}

/// Plays these points; `NONSTOP_POINT` leaves only those whose name holds it.
fn play(cases: &[(Shape, Point)], seed: u64) {
    let only = std::env::var("NONSTOP_POINT").unwrap_or_default();
    let mut failed = Vec::new();
    for shape in Shape::ALL {
        let of_shape = cases.iter().filter(|case| case.0 == shape);
        let mut left = of_shape.filter(|(_, point)| format!("{shape:?}: {point}").contains(&only));
        let mut next = left.next();
        while next.is_some() {
            let fleet = Fleet::reset();
            let mut stage = Stage::begin(&fleet, shape);
            while let Some((_, point)) = next {
                let began = std::time::Instant::now();
                let played = std::panic::AssertUnwindSafe(|| stage.play(point, seed));
                let played = std::panic::catch_unwind(played);
                let word = *played.as_ref().unwrap_or(&"FAILED");
                let took = began.elapsed().as_secs_f32();
                println!("{took:>5.1} s  {word:<6} {shape:?}: {point}");
                next = left.next();
                if played.is_err() {
                    fleet.print_what_is_known();
                    failed.push(format!("{shape:?}: {point}"));
                    break;
                }
            }
        }
    }
    assert!(
        failed.is_empty(),
        "failed; repeat with NONSTOP_SEED={seed} NONSTOP_POINT='…' and one of {failed:#?}"
    );
}

fn all() -> Vec<(Shape, Point)> {
    let of_shape = |shape: Shape| shape.points().into_iter().map(move |point| (shape, point));
    Shape::ALL.into_iter().flat_map(of_shape).collect()
}

#[test]
fn a_controller_that_dies_at_a_sample_of_what_a_plain_deploy_does_not_have() {
    let seed = seed();
    let mut cases = all();
    // A window takes a wait of its own.
    cases.retain(|(shape, _)| *shape != Shape::Window);
    cases.sort_by_key(|(shape, point)| mixed(seed, &format!("{shape:?}: {point}")));
    cases.truncate(SAMPLE);
    play(&cases, seed);
}

#[test]
#[ignore = "takes minutes: make test-all"]
fn a_controller_that_dies_anywhere_in_what_a_plain_deploy_does_not_have() {
    play(&all(), seed());
}

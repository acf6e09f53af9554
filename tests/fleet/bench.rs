//! `make bench`: a whole deploy by nonstop and the same by bare parallel ssh and scp, in turns on the
//! same fleet, each under its own requests.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::fixture::{Fleet, Load, Run, WAS, spring};

const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

/// What one deploy cost.
#[derive(Clone, Copy, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    served: u64,
    failed: u64,
}

impl Cost {
    fn of(load: Option<Load>, deploy: impl FnOnce()) -> Self {
        let (began, cpu_before) = (Instant::now(), cpu_of_children());
        deploy();
        let (wall, cpu) = (began.elapsed(), cpu_of_children().saturating_sub(cpu_before));
        let counts: Vec<_> = load
            .into_iter()
            .flat_map(Load::finish)
            .map(|it| it.counts)
            .collect();
        Self {
            wall,
            cpu,
            served: counts.iter().map(|counts| counts.served).sum(),
            failed: counts.iter().map(|counts| counts.failed).sum(),
        }
    }
}

/// User and system time of all child processes that have ended, theirs included.
fn cpu_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit_once(')').expect("a stat line").1;
    // cutime and cstime are the fields 16 and 17; the first one here is field 3.
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(13)
        .take(2)
        .filter_map(|it| it.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 wherever Linux runs.
    Duration::from_millis(ticks * 10)
}

/// The other side's state: which port is live.
struct Bare<'f> {
    fleet: &'f Fleet,
    live: usize,
}

impl Bare<'_> {
    const PORTS: [u16; 2] = [9080, 9081];

    fn deploy(&mut self, version: &str) {
        let state = self.fleet.state();
        let next = 1 - self.live;
        let status = Command::new("sh")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/bench_bare.sh"))
            .arg(state.join("ssh_config"))
            .arg(state.join(format!("jars/app-{version}.jar")))
            .args([Self::PORTS[next], Self::PORTS[self.live]].map(|port| port.to_string()))
            .arg(["real1", "real2"][next])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "the bare deploy failed"
        );
        self.live = next;
    }
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> Duration) -> Duration {
    let mut all: Vec<Duration> = costs.iter().map(of).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

fn row(name: &str, costs: &[Cost]) {
    println!(
        "{name:<14}{:>8.2} s{:>14.2} s{:>12}{:>10}",
        median(costs, |cost| cost.wall).as_secs_f64(),
        median(costs, |cost| cost.cpu).as_secs_f64(),
        costs.iter().map(|cost| cost.served).sum::<u64>(),
        costs.iter().map(|cost| cost.failed).sum::<u64>(),
    );
}

fn phase_took(run: &Run, phase: &str) -> f64 {
    let ended = |event: &&serde_json::Value| event["event"] == "phase_ended" && event["phase"] == phase;
    let took = run
        .events
        .iter()
        .filter(ended)
        .filter_map(|event| event["took_seconds"].as_f64());
    took.sum()
}

#[test]
#[ignore = "a measurement: make bench"]
fn nonstop_beside_bare_ssh_and_scp() {
    let rounds = std::env::var("BENCH_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3);
    let fleet = Fleet::reset();
    let shop = fleet.spring_shop().without("/warmup");
    let mut bare = Bare {
        fleet: &fleet,
        live: 1,
    };
    // The first deploy of each is not measured: nothing is live yet.
    shop.has_deployed(spring(VERSIONS[0]));
    bare.deploy(VERSIONS[0]);
    let (mut ours, mut theirs, mut phases) = (Vec::new(), Vec::new(), String::new());
    for round in 1..=rounds {
        let version = VERSIONS[round % VERSIONS.len()];
        // A jar that is there already is not sent again: both send it in every round.
        for host in WAS {
            fleet.on(
                host,
                &format!("rm -rf /home/deploy/shop/releases/*-app-{version}-*"),
            );
        }
        let mut run = None;
        ours.push(Cost::of(Some(shop.load()), || {
            run = Some(shop.has_deployed(spring(version)));
        }));
        theirs.push(Cost::of(Some(Load::start("bare.test")), || bare.deploy(version)));
        if let Some(run) = run {
            let shown = [
                "connect", "lock", "observe", "upload", "start", "verify", "prepare", "commit", "drain",
                "stop", "finish",
            ];
            let times = shown.map(|phase| format!("{phase} {:.2}", phase_took(&run, phase)));
            phases = times.join(", ");
        }
    }
    println!(
        "\n{:<14}{:>10}{:>16}{:>12}{:>10}",
        "", "wall", "controller CPU", "served", "failed"
    );
    row("nonstop", &ours);
    row("ssh and scp", &theirs);
    let (our, their) = (
        median(&ours, |cost| cost.wall).as_secs_f64(),
        median(&theirs, |cost| cost.wall).as_secs_f64(),
    );
    println!(
        "\nmedian of {rounds}: ratio {:.2}, {:+.2} s",
        our / their,
        our - their
    );
    println!("nonstop's phases in the last round, in seconds: {phases}");
    println!(
        "min_healthy_time is 0.3 s; drain and stop wait for the old slot's end, the bare script does not."
    );
}

//! The instants at which a controller is killed: at the boundaries of phases, between two hosts of one
//! phase, before a script begins on one host, and when it has run and its answer is on the way.

use std::fmt;
use std::time::Duration;

use crate::fixture::{Edge, Is, Stop};

/// An instant of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Some milliseconds, by the seed, after so many such events.
    Event { is: Is, count: usize },
    /// A script is stopped on one host, once `first` is through on its own.
    Script { at: Stop, first: Option<Stop> },
}

/// What becomes of the script that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Straggler {
    /// It never runs; or it ran, and nobody hears of it.
    Lost,
    /// It runs when the controller is dead and nobody has taken over.
    Late,
    /// It runs when somebody else has taken over and is through: the fence must refuse it.
    AfterAll,
}

/// What the deploy that dies is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One without a fault.
    Plain,
    /// One that meets a slot that was kept.
    Retiring,
    /// One that is interrupted in the bake, and is on its way back.
    Homeward,
}

/// What nginx must run when nobody comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Old,
    New,
    /// One of each: the controller died between the first and the last confirm.
    Split,
    /// Any of these: the instant is not that exact.
    Any,
}

/// An instant, and what is expected after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) kind: Kind,
    pub(super) moment: Moment,
    pub(super) straggler: Straggler,
    pub(super) expect: Expect,
}

/// Who comes after the death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// `nonstop resume`, from another folder.
    Resume,
    /// Nobody: only the watches act. Later somebody deploys.
    Nobody,
}

/// The phases of a plain deploy, and on which side of the confirm they are.
const PHASES: [(&str, Expect); 14] = [
    ("connect", Expect::Old),
    ("observe", Expect::Old),
    ("lock", Expect::Old),
    ("preflight", Expect::Old),
    ("upload", Expect::Old),
    ("start", Expect::Old),
    ("verify", Expect::Old),
    ("prepare", Expect::Old),
    ("commit", Expect::Old),
    // The word is on its way at once.
    ("confirm", Expect::Any),
    ("bake", Expect::New),
    ("drain", Expect::New),
    ("stop", Expect::New),
    ("finish", Expect::New),
];

/// The beginnings of all phases.
pub(super) fn beginnings() -> Vec<Point> {
    let point = |(phase, expect)| event(Is::PhaseStarted(phase), 1, expect);
    PHASES.into_iter().map(point).collect()
}

/// The ends of all phases but the last, after which there is nothing to kill, and those of an old slot's
/// retirement.
pub(super) fn ends() -> Vec<Point> {
    let point = |(phase, expect)| {
        let expect = match phase {
            "commit" => Expect::Any,
            "confirm" => Expect::New,
            _ => expect,
        };
        event(Is::PhaseEnded(phase), 1, expect)
    };
    let mut points: Vec<Point> = PHASES[..13].iter().copied().map(point).collect();
    for is in [Is::PhaseStarted("retire"), Is::PhaseEnded("retire")] {
        points.push(Point {
            kind: Kind::Retiring,
            ..event(is, 1, Expect::Old)
        });
    }
    points
}

/// When one host of a phase is through and another is not, or right after.
pub(super) fn between() -> Vec<Point> {
    let mut points = Vec::new();
    for (phase, expect) in PHASES {
        if ["upload", "start", "prepare", "stop"].contains(&phase) {
            points.push(event(Is::HostDone(phase), 1, expect));
        }
    }
    points.push(event(Is::Named("uploaded"), 2, Expect::Old));
    points.push(event(Is::HostDone("commit"), 1, Expect::Any));
    points.push(event(Is::HostDone("commit"), 2, Expect::Any));
    points.push(event(Is::TokenMoved("confirmed"), 1, Expect::Any));
    points.push(event(Is::TokenMoved("confirmed"), 2, Expect::New));
    points
}

/// Around a script on one host.
pub(super) fn scripts() -> Vec<Point> {
    use Edge::{Begin, End};
    use Expect::{New, Old, Split};
    use Straggler::{AfterAll, Late, Lost};
    let first_confirm = stop("confirm", "nginx-1", End);
    let mut points = vec![
        script("lock", "was-2", Begin, Lost, Old),
        script("lock", "nginx-1", End, Lost, Old),
        script("record", "nginx-2", Begin, Lost, Old),
        script("put", "was-1", Begin, Lost, Old),
        script("start", "was-2", Begin, Lost, Old),
        script("start", "was-2", Begin, Late, Old),
        script("start", "was-1", End, Lost, Old),
        script("start", "was-1", Begin, AfterAll, Old),
        script("prepare", "nginx-2", Begin, Lost, Old),
        script("prepare", "nginx-1", End, Lost, Old),
        script("commit", "nginx-2", Begin, Lost, Old),
        script("commit", "nginx-2", Begin, Late, Old),
        script("commit", "nginx-1", Begin, AfterAll, Old),
        script("commit", "nginx-1", End, Lost, Old),
        script("commit", "nginx-2", End, Late, Old),
        script("confirm", "nginx-1", End, Lost, Expect::Any),
        script("stop", "was-1", Begin, Lost, New),
        script("stop", "was-2", Begin, Late, New),
        script("stop", "was-2", Begin, AfterAll, New),
        script("stop", "was-1", End, Lost, New),
        script("clean_nginx", "nginx-1", End, Lost, New),
        script("clean_nginx", "nginx-2", Begin, AfterAll, New),
        script("unlock", "nginx-1", Begin, Lost, New),
        script("unlock", "was-2", End, Lost, New),
    ];
    // The first one is through: the hosts must differ when nobody comes.
    for (straggler, expect) in [(Lost, Split), (Late, New), (AfterAll, Split)] {
        points.push(Point {
            moment: Moment::Script {
                at: stop("confirm", "nginx-2", Begin),
                first: Some(first_confirm),
            },
            ..script("confirm", "nginx-2", Begin, straggler, expect)
        });
    }
    // One nginx is switched and proven, and the controller has had the time to say that it stays.
    points.push(Point {
        moment: Moment::Script {
            at: stop("commit", "nginx-2", Begin),
            first: Some(stop("commit", "nginx-1", End)),
        },
        ..script("commit", "nginx-2", Begin, Lost, Old)
    });
    points.extend(homeward());
    points
}

/// On the way back after a confirm: first every host is armed, then every host reverted.
fn homeward() -> Vec<Point> {
    use Edge::{Begin, End};
    use Straggler::{AfterAll, Late, Lost};
    let first_arm = stop("arm", "nginx-1", End);
    let mut points = vec![
        script("arm", "nginx-1", Begin, Lost, Expect::Any),
        script("arm", "nginx-1", End, Lost, Expect::Any),
        script("revert", "nginx-1", Begin, Lost, Expect::Old),
        script("revert", "nginx-2", Begin, Late, Expect::Old),
        script("revert", "nginx-2", Begin, AfterAll, Expect::Old),
        script("revert", "nginx-2", End, Lost, Expect::Old),
        script("stop", "was-1", Begin, Lost, Expect::Old),
    ];
    points.push(Point {
        moment: Moment::Script {
            at: stop("arm", "nginx-2", Begin),
            first: Some(first_arm),
        },
        ..script("arm", "nginx-2", Begin, Lost, Expect::Split)
    });
    for point in &mut points {
        point.kind = Kind::Homeward;
    }
    points
}

pub(super) fn event(is: Is, count: usize, expect: Expect) -> Point {
    Point {
        kind: Kind::Plain,
        moment: Moment::Event { is, count },
        straggler: Straggler::Lost,
        expect,
    }
}

pub(super) fn stop(script: &'static str, host: &'static str, edge: Edge) -> Stop {
    Stop { script, host, edge }
}

pub(super) fn script(
    name: &'static str,
    host: &'static str,
    edge: Edge,
    straggler: Straggler,
    expect: Expect,
) -> Point {
    Point {
        kind: Kind::Plain,
        moment: Moment::Script {
            at: stop(name, host, edge),
            first: None,
        },
        straggler,
        expect,
    }
}

impl Point {
    /// How long after its event the controller is killed: up to twenty milliseconds, by the seed, or as long
    /// as a hasty controller would need for its next step.
    pub(super) fn delay(&self, seed: u64) -> Duration {
        match self.moment {
            Moment::Script {
                first: Some(first), ..
            } if first.script == "commit" => Duration::from_millis(500),
            Moment::Event {
                is: Is::PhaseStarted(_) | Is::PhaseEnded(_),
                ..
            }
            | Moment::Script { .. } => Duration::ZERO,
            Moment::Event { .. } => Duration::from_millis(mixed(seed, &self.to_string()) % 20),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Plain | Kind::Retiring => {}
            Kind::Homeward => write!(f, "on the way back, ")?,
        }
        match self.moment {
            Moment::Event { is, count } => match is {
                Is::PhaseStarted(phase) => write!(f, "{phase} begins"),
                Is::PhaseEnded(phase) => write!(f, "{phase} ends"),
                Is::HostDone(phase) => write!(f, "{count} done in {phase}"),
                Is::TokenMoved(state) => write!(f, "{count} {state}"),
                Is::Named(name) => write!(f, "{count} {name}"),
            },
            Moment::Script { at, first } => {
                if let Some(first) = first.filter(|first| first.host != at.host) {
                    write!(f, "{} through, ", first.host)?;
                }
                let straggler = match (at.edge, self.straggler) {
                    (Edge::Begin, Straggler::Lost) => "before it begins",
                    (Edge::Begin, Straggler::Late) => "and it runs late",
                    (Edge::Begin, Straggler::AfterAll) => "and it runs after all",
                    (Edge::End, _) => "with its answer on the way",
                };
                write!(f, "{} on {}, {straggler}", at.script, at.host)
            }
        }
    }
}

impl fmt::Display for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resume => "then resume",
            Self::Nobody => "then nobody",
        })
    }
}

/// A number that the seed and a word make: FNV-1a.
pub(super) fn mixed(seed: u64, word: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in word.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^ (hash >> 29)
}

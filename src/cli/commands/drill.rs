//! `nonstop drill`: from the live release to the one before it and forward again, on the live fleet, to know
//! how long that takes before the night when it is needed.

mod messages;

use std::cell::RefCell;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::cli::Ended;
use crate::cli::args::{Common, Drill as Wish};
use crate::cli::console::{self, Ear, Kept, Voice};
use crate::cli::courier::Courier;
use crate::cli::failure::CliError;
use crate::cli::identity;
use crate::cli::probe::{Probed, Prober};
use crate::cli::project::{Project, refuse_limit};
use crate::engine::run::{Leg, Verdict, Wanted};
use crate::model::deadline::Deadline;
use crate::model::drill::{Drill, DrillResult};
use crate::model::event::Event;
use crate::model::names::ReleaseId;
use crate::model::outcome::{Exit, Outcome};
use crate::model::phase::Phase;
use crate::model::token::TokenState;
use crate::remote::command::{Command, NoteDrill};
use crate::report::drill::{self as report, Ending};
use crate::report::notice::DrillEnd;

use self::messages::{Messages, When};
use super::run::{Asked, deadline, led};
use super::{history, reading};

pub(super) async fn run(common: &Common, wish: &Wish) -> Ended {
    if wish.history {
        return trend(common, wish).await;
    }
    let began = Instant::now();
    refuse_limit(common, "drill")?;
    let project = Project::load_without(common, &wish.leaving)?;
    let deadline = deadline(wish.deadline, &project, &Wanted::Drill(Leg::Back))?;
    let voice = if wish.quiet {
        Voice::Kept(Kept::default())
    } else {
        Voice::Streams
    };
    let when = if wish.quiet { When::IfWrong } else { When::Always };
    let requests = Prober::start(&wish.probing).await?;
    let stage = Stage {
        common,
        wish,
        project: &project,
        voice: &voice,
        messages: Messages::new(&project, when),
        deadline: deadline.map(|deadline| (began, deadline)),
    };
    let legs = stage.there_and_back().await;
    let probed = match requests {
        Some(requests) => Some(requests.stop().await),
        None => None,
    };
    let (back, forward) = legs?;
    let Some((release, earlier)) = back.heard.goes_from_to() else {
        // Refused or interrupted before there was a plan, and said so.
        if back.exit() != Exit::Done {
            stage.messages.was_refused();
        }
        if let (Voice::Kept(kept), true) = (&voice, back.exit() != Exit::Done) {
            kept.say();
        }
        stage.finish_messages(back.exit()).await;
        return Ok(back.exit());
    };
    let drill = Drill {
        result: result(&back, forward.as_ref(), probed.as_ref()),
        release,
        earlier,
        back: back.until_switched(),
        forward: forward.as_ref().and_then(Way::until_switched),
        requests: probed.as_ref().map_or(0, |probed| probed.requests),
        failed_requests: probed.as_ref().map_or(0, |probed| probed.failed),
    };
    let last = forward.as_ref().unwrap_or(&back);
    let exit = exit(drill.result, last.exit());
    stage.messages.ended(&DrillEnd {
        drill: &drill,
        verdict: report::verdict(&drill, last.ending()),
        exit,
    });
    stage.note(&drill).await;
    stage.finish_messages(exit).await;
    stage.tell(&drill, last, probed.as_ref())?;
    Ok(exit)
}

/// What came of both ways.
fn result(back: &Way, forward: Option<&Way>, probed: Option<&Probed>) -> DrillResult {
    match forward {
        None => DrillResult::NoWayBack,
        Some(_) if back.exit() != Exit::Done => DrillResult::NoWayBack,
        Some(forward) if forward.exit() != Exit::Done => DrillResult::Stranded,
        Some(_) if probed.is_some_and(|probed| probed.failed > 0) => DrillResult::LostRequests,
        Some(_) => DrillResult::Passed,
    }
}

/// The exit code: a drill that lost requests ended where it began and failed; one that is stranded needs a person.
fn exit(result: DrillResult, last: Exit) -> Exit {
    match (result, last) {
        (DrillResult::Passed, _) => Exit::Done,
        (DrillResult::LostRequests, _) => Exit::Failed,
        (DrillResult::NoWayBack, last) => last,
        (DrillResult::Stranded, Exit::Signalled(signal)) => Exit::Signalled(signal),
        (DrillResult::Stranded, _) => Exit::Mixed,
    }
}

/// What both ways are led with.
struct Stage<'a> {
    common: &'a Common,
    wish: &'a Wish,
    project: &'a Project,
    voice: &'a Voice,
    messages: Messages,
    /// When the drill began, and what it has of a deadline.
    deadline: Option<(Instant, Deadline)>,
}

impl Stage<'_> {
    /// Goes back and, if that went well, forward again.
    async fn there_and_back(&self) -> Result<(Way, Option<Way>), CliError> {
        let back = self.lead(Leg::Back).await?;
        let Some((release, earlier)) = back.heard.goes_from_to().filter(|_| back.exit() == Exit::Done) else {
            return Ok((back, None));
        };
        let leg = Leg::Forward {
            from: earlier,
            to: release,
        };
        // Whatever happens from here on, the earlier release is live.
        let forward = self.lead(leg).await.unwrap_or_else(|error| {
            console::say_error(self.common, &error);
            Way::never_begun()
        });
        Ok((back, Some(forward)))
    }

    async fn lead(&self, leg: Leg) -> Result<Way, CliError> {
        let ear = Ear::new(self.common, None, self.project, self.voice, Courier::silent())?;
        let began = Instant::now();
        let heard = RefCell::new(Heard::default());
        let asked = Asked {
            command: "drill",
            lock_wait: self.wish.lock_wait,
            turn: self.turn(&leg),
            hook_words: Vec::new(),
            wanted: Wanted::Drill(leg),
        };
        let hear = |event: &Event| {
            heard.borrow_mut().hear(event, began);
            self.messages.hear(event, began);
        };
        let verdict = led(self.common, self.project, &ear, asked, &hear).await?;
        Ok(Way {
            verdict,
            heard: heard.into_inner(),
        })
    }

    /// When a way turns around at the latest. The way back does so early enough for a way forward that takes as long:
    /// the drill is to end on the release that it began with.
    fn turn(&self, leg: &Leg) -> Option<Instant> {
        let (began, deadline) = self.deadline?;
        Some(match leg {
            Leg::Back => began + deadline.halfway(),
            Leg::Forward { .. } => began + deadline.forward(),
        })
    }

    /// Writes down on every host how it went. Where that is not possible the drill was no less of one.
    async fn note(&self, drill: &Drill) {
        let (crew, missing) = reading::reach(self.common, self.project).await;
        let note = Command::NoteDrill(NoteDrill {
            run: crew.run_id().clone(),
            by: identity::owner("drill", Timestamp::now()),
            drill: drill.clone(),
        });
        let written = crew.hosts().map(|host| crew.call(host, note.clone()));
        let unwritten = join_all(written).await.into_iter().filter(Result::is_err).count();
        if unwritten + missing.len() > 0 {
            let hosts = unwritten + missing.len();
            console::say(&format!(
                "warning: how the drill went could not be written down on {hosts} of the hosts"
            ));
        }
    }

    /// Waits for the messages; says what is wrong with webhooks, unless nothing else is and nobody wants to read.
    async fn finish_messages(&self, exit: Exit) {
        for finding in self.messages.finish().await {
            if !self.wish.quiet || exit != Exit::Done {
                console::say(&format!("warning: {}", finding.problem));
            }
        }
    }

    /// Says how it went, on standard error, and as JSON where that is asked for.
    fn tell(&self, drill: &Drill, last: &Way, probed: Option<&Probed>) -> Result<(), CliError> {
        if let (Voice::Kept(kept), true) = (self.voice, drill.result != DrillResult::Passed) {
            kept.say();
        }
        if !self.wish.quiet || drill.result != DrillResult::Passed {
            if let Some(probed) = probed {
                console::say(&probed.to_string());
            }
            console::say(&report::render(
                drill,
                last.ending(),
                console::palette(self.common),
            ));
        }
        if self.common.json {
            console::print_json(&serde_json::json!({ "drill": drill }))?;
        }
        Ok(())
    }
}

/// One way, and how it ended.
struct Way {
    verdict: Verdict,
    heard: Heard,
}

impl Way {
    fn never_begun() -> Self {
        Self {
            verdict: Verdict {
                outcome: Outcome::AsItWas,
                exit: Exit::Failed,
            },
            heard: Heard::default(),
        }
    }

    fn exit(&self) -> Exit {
        self.verdict.exit
    }

    fn ending(&self) -> Ending<'_> {
        Ending {
            outcome: self.verdict.outcome,
            live: self.heard.live.as_ref(),
        }
    }

    /// How long it took until all traffic was where it should be; `None` where it never was.
    fn until_switched(&self) -> Option<Duration> {
        self.heard.switched.filter(|_| self.exit() == Exit::Done)
    }
}

/// What the events of one way tell.
#[derive(Default)]
struct Heard {
    from: Option<ReleaseId>,
    to: Option<ReleaseId>,
    live: Option<ReleaseId>,
    switched: Option<Duration>,
}

impl Heard {
    fn hear(&mut self, event: &Event, began: Instant) {
        match event {
            Event::Planned {
                from_release,
                release,
                ..
            } => {
                self.from.clone_from(from_release);
                self.to = Some(release.clone());
            }
            Event::PhaseEnded {
                phase: Phase::Commit,
                succeeded: true,
                ..
            }
            | Event::TokenMoved {
                state: TokenState::Confirmed,
                ..
            } => self.switched = Some(began.elapsed()),
            Event::RunEnded { live, .. } => self.live.clone_from(live),
            _ => {}
        }
    }

    fn goes_from_to(&self) -> Option<(ReleaseId, ReleaseId)> {
        self.from.clone().zip(self.to.clone())
    }
}

/// `drill --history`: how earlier drills went.
async fn trend(common: &Common, wish: &Wish) -> Ended {
    let read = history::read(common).await?;
    let drills = report::past(&read.history);
    let worse = report::worse(&drills);
    if common.json {
        let answer = serde_json::json!({ "drills": drills, "worse": worse, "missing": read.missing });
        console::print_json(&answer)?;
    } else if !wish.quiet || !worse.is_empty() {
        let zone = TimeZone::system();
        let palette = console::stdout_palette(common);
        console::print(&report::render_past(&drills, &worse, palette, &zone));
    }
    Ok(history::missing(common, &read.missing))
}

//! Plays a story: controllers come and go, the clock runs, and everything is judged.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use nonstop::config::Config;
use nonstop::engine::context::Interrupt;
use nonstop::engine::run::{LocalJar, Request, Verdict, Wanted, run};
use nonstop::model::event::Event;
use nonstop::model::lock::Owner;
use nonstop::model::names::RunId;
use nonstop::model::outcome::{Exit, Outcome};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::controller::{LedFleet, Life};
use crate::defects::Planted;
use crate::fleet;
use crate::judge::{self, Confirms, Routes};
use crate::story::{Act, Fate, Story, What};
use crate::world::{Shared, SimFleet};

/// No controller works for longer than that.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// How a story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Not at all.
    Silent,
    /// Every step of it.
    Aloud,
}

struct Stage {
    story: Story,
    config: Config,
    world: Shared,
    telling: Telling,
    began: Instant,
    confirms: Rc<RefCell<Confirms>>,
    /// How many controllers are at work.
    at_work: Cell<u32>,
}

/// How an act ended.
struct ActEnd {
    act: Act,
    before: Routes,
    verdict: Option<Verdict>,
}

/// Plays a seed; says what was broken.
pub(crate) async fn play(seed: u64, telling: Telling, planted: Planted) -> Vec<String> {
    let story = Story::of(seed);
    let config = fleet::config(&story);
    let world = fleet::world(&story, &config);
    planted.plant(&mut world.borrow_mut());
    let stage = Stage {
        story,
        config,
        world,
        telling,
        began: Instant::now(),
        confirms: Rc::default(),
        at_work: Cell::new(0),
    };
    stage.tell(&format!("seed {seed}: {:?}", stage.story));
    stage.watch_everything();
    let bell = stage.world.borrow().bell.clone();
    let ticking = async {
        loop {
            stage.world.borrow_mut().settle();
            let next = stage.world.borrow().next_due();
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! { biased; () = bell.notified() => {}, () = due => {} }
        }
    };
    tokio::select! { biased; () = ticking => {}, () = stage.plays(seed) => {} }
    let mut world = stage.world.borrow_mut();
    std::mem::take(&mut world.broken)
}

impl Stage {
    fn tell(&self, line: &str) {
        if self.telling == Telling::Aloud {
            println!("{:>10.3} {line}", self.began.elapsed().as_secs_f64());
        }
    }

    fn broken(&self, line: String) {
        self.tell(&format!("BROKEN {line}"));
        self.world.borrow_mut().broken.push(line);
    }

    fn watch_everything(&self) {
        let (began, telling, is_live) = (self.began, self.telling, self.story.is_live);
        let mut known = 0;
        let witness = move |world: &mut crate::world::World, line: &str| {
            if telling == Telling::Aloud {
                println!("{:>10.3}   {line}", began.elapsed().as_secs_f64());
            }
            world.request_everywhere();
            for (name, ports) in judge::routes(world) {
                if is_live && ports.is_empty() {
                    world.broken.push(format!("I5: {name} routes nowhere"));
                }
            }
            for line in world
                .broken
                .iter()
                .skip(known)
                .filter(|_| telling == Telling::Aloud)
            {
                println!("{:>10.3}   BROKEN {line}", began.elapsed().as_secs_f64());
            }
            known = world.broken.len();
        };
        self.world.borrow_mut().witness = Some(Box::new(witness));
    }

    async fn plays(&self, seed: u64) {
        fleet::goes_wrong(&self.story, seed, &mut self.world.borrow_mut());
        let mut last = None;
        for (number, round) in self.story.rounds.iter().enumerate() {
            sleep(round.after).await;
            let acts = round.acts.iter().enumerate().map(|(place, act)| async move {
                sleep(act.after).await;
                let end = self.act(&format!("run-{}-{}", number + 1, place + 1), *act).await;
                if self.at_work.get() == 0 {
                    self.judge(&end, number > 0 || round.acts.len() > 1);
                }
                end
            });
            let ends = join_all(acts).await;
            let alone = ends.len() == 1;
            last = ends.into_iter().next().filter(|_| alone);
        }
        self.ends(last).await;
    }

    /// The weather clears up, and whoever comes now must find a fleet that can be mended.
    async fn ends(&self, last: Option<ActEnd>) {
        self.tell("the weather clears up");
        fleet::calms_down(&mut self.world.borrow_mut());
        sleep(Duration::from_secs(self.story.lease + self.story.watch + 70)).await;
        let verdict = last.and_then(|end| end.verdict);
        {
            let world = self.world.borrow();
            let now = judge::routes(&world);
            let split = judge::uniform(&now).is_none();
            self.tell(&format!("at rest: {now:?}"));
            let waits = judge::watch_that_waits(&world);
            let unnamed = split && !judge::split_is_named(&world) && !self.story.has_edits();
            drop(world);
            if let Some(waits) = waits {
                self.broken(format!("long after every deadline {waits}"));
            }
            if unnamed {
                self.broken(format!(
                    "at rest nginx hosts disagree, and the design does not name why: {now:?}"
                ));
            }
            let promises = |verdict: &Verdict| {
                matches!(verdict.outcome, Outcome::Deployed | Outcome::RolledBack)
                    && verdict.exit != Exit::Mixed
            };
            if split && verdict.as_ref().is_some_and(promises) {
                self.broken(format!(
                    "the last verdict was {verdict:?}, and at rest nginx hosts disagree: {now:?}"
                ));
            }
        }
        let struck = judge::was_struck(&self.world.borrow()) || self.story.has_edits();
        let faultless = |what| Act {
            after: Duration::ZERO,
            what,
            fate: Fate::Lives,
            lock_wait: Duration::ZERO,
        };
        for (name, what) in [
            ("last-1", self.story.last),
            ("last-2", What::Resume),
            ("last-3", What::Deploy(99)),
        ] {
            let end = self.act(name, faultless(what)).await;
            self.judge(&end, true);
            let exit = end.verdict.map(|verdict| verdict.exit);
            let refused = what == What::Rollback && exit == Some(Exit::Refused);
            if exit != Some(Exit::Done) && !refused && !struck {
                self.broken(format!(
                    "{what:?} on a fleet without faults ended with {:?}",
                    end.verdict
                ));
            }
            if exit == Some(Exit::Done) {
                self.is_whole();
            }
        }
    }

    /// After a faultless end nothing is left open.
    fn is_whole(&self) {
        let closed = judge::is_closed(&self.world.borrow());
        if let Err(broken) = closed {
            self.broken(format!("a run ended with 0, and {broken}"));
        }
        let now = judge::routes(&self.world.borrow());
        if judge::uniform(&now).is_none() {
            self.broken(format!("a run ended with 0, and nginx hosts disagree: {now:?}"));
        }
    }

    fn judge(&self, end: &ActEnd, may_change: bool) {
        let Some(verdict) = end.verdict else { return };
        let now = judge::routes(&self.world.borrow());
        if let Err(broken) = judge::is_true(verdict, &end.before, &now, may_change) {
            self.broken(broken);
        }
        if verdict.outcome == Outcome::Deployed && verdict.exit == Exit::Done && !may_change {
            let waits = judge::watch_that_waits(&self.world.borrow());
            if let Some(waits) = waits {
                self.broken(format!("deployed, and {waits}"));
            }
        }
        let calm = self.story.is_calm() && end.act.what == What::Deploy(2);
        if calm && verdict.exit != Exit::Done {
            self.broken(format!(
                "without any fault {:?} ended with {verdict:?}",
                end.act.what
            ));
        }
    }

    async fn act(&self, name: &str, act: Act) -> ActEnd {
        let before = judge::routes(&self.world.borrow());
        self.at_work.set(self.at_work.get() + 1);
        self.tell(&format!("{name} begins: {:?}, {:?}", act.what, act.fate));
        let deadline = self.config.playbook.watch.deadline;
        let (world, confirms) = (self.world.clone(), self.confirms.clone());
        let life = Life::new(
            act.fate,
            Rc::new(move |host, command| {
                confirms
                    .borrow_mut()
                    .sees(&mut world.borrow_mut(), host, command, deadline);
            }),
        );
        let fleet = LedFleet(SimFleet(self.world.clone()), life.clone());
        let request = self.request(name, act);
        let hear = |event: Event| self.hear(name, &event);
        let interrupt = Interrupt::new(life.signals());
        let running = timeout(AN_HOUR, run(&fleet, &request, interrupt, &hear));
        let verdict = match life.lead(running).await {
            Some(Ok(verdict)) => Some(verdict),
            Some(Err(_)) => {
                self.broken(format!("{name} works for an hour"));
                None
            }
            None => None,
        };
        self.tell(&format!("{name} ends: {verdict:?}"));
        self.at_work.set(self.at_work.get() - 1);
        ActEnd { act, before, verdict }
    }

    fn hear(&self, name: &str, event: &Event) {
        if self.telling == Telling::Aloud {
            let text: String = format!("{event:?}").chars().take(240).collect();
            self.tell(&format!("{name} {text}"));
        }
    }

    fn request(&self, name: &str, act: Act) -> Request<'_> {
        Request {
            topology: &self.config.topology,
            playbook: &self.config.playbook,
            wanted: wanted(act.what),
            run: RunId::new(name).unwrap(),
            owner: Owner {
                who: name.to_owned(),
                ..Owner::default()
            },
            began: "2026-01-02T10:00:00Z".parse().unwrap(),
            lock_wait: act.lock_wait,
        }
    }
}

fn wanted(what: What) -> Wanted {
    let jar = |version: u32| {
        Wanted::Jar(LocalJar {
            path: PathBuf::from("app.jar"),
            name: format!("sokdak-{version}.jar"),
            sha256: format!("{version:064x}"),
            size_bytes: 60_000_000,
        })
    };
    match what {
        What::Deploy(version) => jar(version),
        What::Rollback => Wanted::Earlier(None),
        What::Resume => Wanted::Resume,
    }
}

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
use nonstop::model::finding::Problem;
use nonstop::model::lock::{Epoch, Owner};
use nonstop::model::names::{HostName, RunId, SlotName};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::phase::Phase;
use nonstop::model::plan::{self, Promote};
use nonstop::model::record::RunRecord;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::controller::{LedFleet, Life, Overseer};
use crate::defects::Planted;
use crate::fleet;
use crate::hooks;
use crate::judge::{self, Confirms, Routes};
use crate::limit;
use crate::story::{Act, Leaves, Story, What};
use crate::world::{Shared, SimFleet, SimHost, World};

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

pub(crate) struct Stage {
    pub(crate) story: Story,
    pub(crate) config: Config,
    /// The same as it is where the host is left out that is gone.
    config_without: Config,
    /// The host that is gone.
    pub(crate) gone: Option<HostName>,
    pub(crate) world: Shared,
    telling: Telling,
    began: Instant,
    confirms: Rc<RefCell<Confirms>>,
    /// How many controllers are at work, and how many of them leave a host out.
    at_work: Cell<u32>,
    /// How many have begun.
    begun: Cell<u32>,
    leaving: Cell<u32>,
    /// Whether a person looks what became of hooks, and says it.
    pub(crate) looks: Cell<bool>,
}

/// How an act ended.
pub(crate) struct ActEnd {
    name: String,
    pub(crate) act: Act,
    before: Routes,
    /// The run that waited when it began, and under which epoch.
    waited: Option<(RunId, Epoch)>,
    pub(crate) verdict: Option<Verdict>,
}

/// Plays a seed; says what was broken.
pub(crate) async fn play(seed: u64, telling: Telling, planted: Planted) -> Vec<String> {
    let story = Story::of(seed);
    let config = fleet::config(&story);
    let world = fleet::world(&story, &config);
    planted.plant(&mut world.borrow_mut());
    let gone = story.twists.gone.map(|gone| fleet::host(&config, gone.host));
    let mut config_without = config.clone();
    if let Some(gone) = &gone {
        config_without.topology.leave_out(gone);
    }
    let stage = Stage {
        story,
        config,
        config_without,
        gone,
        world,
        telling,
        began: Instant::now(),
        confirms: Rc::default(),
        at_work: Cell::new(0),
        begun: Cell::new(0),
        leaving: Cell::new(0),
        looks: Cell::new(false),
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
    pub(crate) fn tell(&self, line: &str) {
        if self.telling == Telling::Aloud {
            println!("{:>10.3} {line}", self.began.elapsed().as_secs_f64());
        }
    }

    pub(crate) fn broken(&self, line: String) {
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

    pub(crate) fn judge(&self, end: &ActEnd, may_change: bool) {
        let Some(verdict) = end.verdict else { return };
        let world = self.world.borrow();
        let now = judge::of_those_asked(&world, judge::routes(&world));
        let before = judge::of_those_asked(&world, end.before.clone());
        drop(world);
        if let Err(broken) = judge::is_true(verdict, &before, &now, may_change) {
            self.broken(broken);
        }
        if verdict.outcome == Outcome::Deployed && verdict.exit == Exit::Done && !may_change {
            let waits = judge::watch_that_waits(&self.world.borrow());
            if let Some(waits) = waits {
                self.broken(format!("deployed, and {waits}"));
            }
        }
        self.goes_on_waiting(end, verdict);
        let calm = self.story.is_calm() && end.act.what == What::Deploy(2);
        // A slot is not put to use before its last requests are answered.
        let in_use = verdict.exit == Exit::Refused && judge::idle_slot_is_busy(&self.world.borrow());
        let may_meet = self.story.twists.wait() && verdict.exit == Exit::Locked;
        if calm && self.story.twists.drain() && verdict.exit != Exit::Done && !in_use && !may_meet {
            self.broken(format!(
                "without any fault {:?} ended with {verdict:?}",
                end.act.what
            ));
        }
    }

    /// The run that waits for a person.
    pub(crate) fn waits(&self) -> Option<(RunId, Epoch)> {
        if !self.story.twists.wait() {
            return None;
        }
        self.waits_for(Leaves::Nobody)
    }

    /// The run that waits for a person, as whoever leaves these hosts out finds it.
    pub(crate) fn waits_for(&self, leaves: Leaves) -> Option<(RunId, Epoch)> {
        let mut observed = self.world.borrow().observed();
        if let Some(gone) = self.gone.as_ref().filter(|_| leaves == Leaves::TheGone) {
            observed.hosts.remove(gone);
        }
        plan::settle(&mut observed);
        plan::waiting(&observed).map(|record| (record.run.clone(), record.epoch))
    }

    /// Whoever is not that person does not touch a run that waits. What somebody sent who died since may still
    /// arrive.
    fn goes_on_waiting(&self, end: &ActEnd, verdict: Verdict) {
        let is_other = matches!(end.act.what, What::Resume | What::Deploy(_));
        let Some(waited) = &end.waited else { return };
        if self.world.borrow().ended_by_hosts.contains(&waited.0) {
            return;
        }
        if !is_other || end.act.leaves != Leaves::Nobody || self.at_work.get() > 0 {
            return;
        }
        let observed = self.world.borrow().observed();
        let by_it = |record: &RunRecord| record.owner.who == end.name;
        if self.waits().as_ref() != Some(waited) && observed.last_run().is_some_and(by_it) {
            let (run, _) = waited;
            self.broken(format!(
                "{run} waited, and {:?} touched it: {verdict:?}",
                end.act.what
            ));
        }
    }

    pub(crate) async fn act(&self, name: &str, act: Act) -> ActEnd {
        let leaves = u32::from(act.leaves == Leaves::TheGone);
        if let Some(gone) = self.gone.as_ref().filter(|_| leaves > 0) {
            let mut world = self.world.borrow_mut();
            world.leavers.insert(RunId::new(name).unwrap());
            world.host(gone.as_str()).is_left_out = true;
        }
        let before = judge::routes(&self.world.borrow());
        let waited = self.waits().filter(|_| self.at_work.get() == 0);
        let begun = self.begun.get() + 1;
        self.begun.set(begun);
        self.at_work.set(self.at_work.get() + 1);
        self.leaving.set(self.leaving.get() + leaves);
        self.tell(&format!(
            "{name} begins: {:?}, {:?}, leaves out {:?}",
            act.what, act.fate, act.leaves
        ));
        let life = Life::new(act.fate, self.overseer());
        let fleet = LedFleet(SimFleet(self.world.clone()), life.clone());
        let request = self.request(name, act);
        let memory = MemoryHeard::default();
        let hear = |event: Event| {
            memory.hears(&self.world.borrow(), &event);
            self.hear(name, &event);
        };
        let start = Instant::now();
        let turn = limit::turn(&act, request.playbook);
        let interrupt = Interrupt::new(life.signals()).until(turn);
        let running = timeout(AN_HOUR, Box::pin(run(&fleet, &request, interrupt, &hear)));
        let verdict = match life.lead(running).await {
            Some(Ok(verdict)) => Some(verdict),
            Some(Err(_)) => {
                self.broken(format!("{name} works for an hour"));
                None
            }
            None => None,
        };
        self.tell(&format!("{name} ends: {verdict:?}"));
        if turn.is_some()
            && let Err(broken) = limit::is_kept(&self.story, &act, start.elapsed())
        {
            self.broken(format!("{name}: {broken}"));
        }
        self.at_work.set(self.at_work.get() - 1);
        self.leaving.set(self.leaving.get() - leaves);
        if matches!(act.what, What::Deploy(_) | What::Rollback)
            && let Some(tight) = memory.missed().filter(|_| verdict.is_some())
        {
            self.broken(format!("{name} says nothing of the little memory of {tight}"));
        }
        let end = ActEnd {
            name: name.to_owned(),
            act,
            before,
            // Who came meanwhile may have promoted it.
            waited: waited.filter(|_| self.begun.get() == begun),
            verdict,
        };
        self.takes_part_again(&end);
        end
    }

    /// A run that had every host brought along the one that was left out.
    fn takes_part_again(&self, end: &ActEnd) {
        let has_all = end.act.leaves == Leaves::Nobody && end.act.what != What::Resume;
        let is_done = end.verdict.is_some_and(|verdict| verdict.exit == Exit::Done);
        if has_all && is_done && self.leaving.get() == 0 {
            for host in self.world.borrow_mut().hosts.values_mut() {
                host.is_left_out = false;
            }
        }
    }

    fn overseer(&self) -> Overseer {
        let deadline = self.config.playbook.watch.deadline;
        let (world, confirms) = (self.world.clone(), self.confirms.clone());
        Rc::new(move |host, command| {
            confirms
                .borrow_mut()
                .sees(&mut world.borrow_mut(), host, command, deadline);
        })
    }

    fn hear(&self, name: &str, event: &Event) {
        if self.telling == Telling::Aloud {
            let text: String = format!("{event:?}").chars().take(240).collect();
            self.tell(&format!("{name} {text}"));
        }
    }

    fn request(&self, name: &str, act: Act) -> Request<'_> {
        let config = match act.leaves {
            Leaves::Nobody => &self.config,
            Leaves::TheGone => &self.config_without,
        };
        Request {
            topology: &config.topology,
            playbook: &config.playbook,
            wanted: wanted(act.what),
            run: RunId::new(name).unwrap(),
            owner: Owner {
                who: name.to_owned(),
                ..Owner::default()
            },
            began: "2026-01-02T10:00:00Z".parse().unwrap(),
            lock_wait: act.lock_wait,
            hook_words: if self.looks.get() {
                hooks::done(config)
            } else {
                Vec::new()
            },
        }
    }
}

/// Whether a run whose plan starts an instance beside the live one says that the host has little memory.
#[derive(Default)]
struct MemoryHeard {
    tight: RefCell<Option<HostName>>,
    is_heard: Cell<bool>,
}

impl MemoryHeard {
    fn hears(&self, world: &World, event: &Event) {
        match event {
            Event::Planned {
                from: Some(from),
                to,
                phases,
                ..
            } if phases.contains(&Phase::Start) => {
                let up = |host: &SimHost, slot| {
                    host.ports
                        .get(slot)
                        .is_some_and(|port| host.listener(*port).is_some())
                };
                let is_asked = |host: &SimHost| host.tight.is_some() && !host.is_left_out;
                let tight =
                    |(_, host): &(&HostName, &SimHost)| is_asked(host) && up(host, from) && !up(host, to);
                let found = world.hosts.iter().find(tight).map(|(name, _)| name.clone());
                self.tight
                    .replace(found.filter(|host| world.cut_until(host).is_none()));
            }
            Event::Warned { finding } if matches!(finding.problem, Problem::MemoryTight { .. }) => {
                self.is_heard.set(true);
            }
            _ => {}
        }
    }

    fn missed(&self) -> Option<HostName> {
        self.tight.take().filter(|_| !self.is_heard.get())
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
        What::Promote => Wanted::Promote(Promote::Next),
        What::PromoteFull => Wanted::Promote(Promote::All),
        What::Converge(slot) => Wanted::Converge {
            to: SlotName::new(if slot == 0 { "blue" } else { "green" }).unwrap(),
        },
    }
}

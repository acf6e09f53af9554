//! An nginx: files on the disk, what of them it runs since its last reload, and the workers of earlier
//! generations that finish their requests.

use std::collections::BTreeMap;
use std::time::Duration;

use nonstop::model::names::{Address, Port, RemotePath, RunId, SlotName};
use nonstop::model::nginx_conf::Dump;
use nonstop::model::observed::{Entry, EntryKind, Master, NginxObserved};
use nonstop::model::process::ProcessIdentity;
use nonstop::model::token::{Token, TokenId, TokenState, WatchProcess};
use tokio::time::Instant;

use super::clock::Clock;

const MAIN: &str = "events {}\nhttp {\n\tinclude /etc/nginx/sites-enabled/*;\n}\n";

/// Sites, by path.
pub(crate) type Files = BTreeMap<String, String>;

/// An nginx and its files.
pub(crate) struct SimNginx {
    pub(crate) entry: RemotePath,
    /// Every site on the disk.
    pub(crate) files: Files,
    /// What it runs: the dump of its last reload that was not refused.
    pub(crate) running: String,
    /// The sites before a run, by run.
    pub(crate) homes: BTreeMap<RunId, Home>,
    pub(crate) tokens: BTreeMap<TokenId, SimToken>,
    /// Whether it refuses what its test lets through, as with a port that is taken.
    pub(crate) refuses_reload: bool,
    /// Until when it refuses whatever it is given.
    pub(crate) refuses_until: Option<Instant>,
    /// Whether its test refuses every candidate.
    pub(crate) refuses_candidate: bool,
    /// Old workers that never end.
    pub(crate) old_workers: u32,
    /// The user's own file of each slot.
    pub(crate) slot_files: BTreeMap<SlotName, String>,
    /// When the requests of the workers that serve will have been answered.
    busy_until: Instant,
    leaving: Vec<Leaving>,
    serving: u32,
    targets: Vec<(String, Port)>,
    /// The weight of each.
    weights: Vec<u32>,
}

/// What was there before a run, and what the run put in its place.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) files: Files,
    /// The entry's bytes after the commit.
    pub(crate) placed: String,
    /// Whether what nginx runs may differ from home.
    pub(crate) left: bool,
}

/// A token and its watch.
#[derive(Debug, Clone)]
pub(crate) struct SimToken {
    pub(crate) state: TokenState,
    /// The boot in which the watch runs, and the uptime at which it fires.
    pub(crate) fires: (u32, Duration),
    pub(crate) restored: bool,
    /// How often its watch has tried to bring home.
    pub(super) attempts: u32,
    /// Whether its watch fired and left before home was proven.
    pub(crate) gave_up: bool,
}

#[derive(Debug)]
struct Leaving {
    worker: u32,
    targets: Vec<(String, Port)>,
    until: Instant,
}

impl SimNginx {
    pub(crate) fn new(entry: &RemotePath) -> Self {
        let mut nginx = Self {
            entry: entry.clone(),
            files: Files::new(),
            running: String::new(),
            homes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            refuses_reload: false,
            refuses_until: None,
            refuses_candidate: false,
            old_workers: 0,
            slot_files: BTreeMap::new(),
            busy_until: Instant::now(),
            leaving: Vec::new(),
            serving: 900,
            targets: Vec::new(),
            weights: Vec::new(),
        };
        nginx.reload();
        nginx
    }

    /// Puts a site in place and runs it.
    pub(crate) fn site(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
        self.reload();
    }

    /// Whether the files on the disk run now.
    pub(crate) fn reload(&mut self) -> bool {
        if self.refuses_reload || self.refuses_until.is_some_and(|until| until > Instant::now()) {
            return false;
        }
        let dump = self.dump();
        let (targets, weights) = targets_of(&dump).into_iter().unzip();
        self.weights = weights;
        self.serving += 1;
        self.leaving.retain(|left| left.until > Instant::now());
        self.leaving.push(Leaving {
            worker: self.serving - 1,
            targets: std::mem::replace(&mut self.targets, targets),
            until: std::mem::replace(&mut self.busy_until, Instant::now()),
        });
        self.running = dump;
        true
    }

    /// A request begins, and will be answered then; the worker that has it.
    pub(super) fn accepts(&mut self, end: Instant) -> u32 {
        self.busy_until = self.busy_until.max(end);
        self.serving
    }

    /// Starts anew from what is on the disk, as after a boot.
    pub(super) fn start(&mut self) {
        self.refuses_until = None;
        self.reload();
        self.leaving.clear();
        self.busy_until = Instant::now();
    }

    fn dump(&self) -> String {
        dump_of(&self.files)
    }

    /// What the bytes at the entry are.
    pub(crate) fn content(&self) -> Option<&String> {
        self.files.get(self.entry.as_str())
    }

    /// Whether a text is in a file, in what it runs, or in what it would go home to.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let homes = self.homes.values().map(|home| &home.files);
        let mut files = homes.chain([&self.files]).flat_map(BTreeMap::values);
        self.running.contains(text) || files.any(|file| file.contains(text))
    }

    /// The addresses that get requests.
    pub(crate) fn targets(&self) -> &[(String, Port)] {
        &self.targets
    }

    /// The same with their weights.
    pub(crate) fn shares(&self) -> Vec<((String, Port), u32)> {
        let weights = self.weights.iter().copied();
        self.targets.iter().cloned().zip(weights).collect()
    }

    /// The addresses that would get requests after a start from these files.
    pub(crate) fn targets_on(files: &Files) -> Vec<(String, Port)> {
        let shares = Self::shares_on(files).into_iter();
        shares.map(|(target, _)| target).collect()
    }

    /// The same with their weights.
    pub(crate) fn shares_on(files: &Files) -> Vec<((String, Port), u32)> {
        targets_of(&dump_of(files))
    }

    /// The addresses to which workers of an old generation may still send requests.
    pub(crate) fn leaving_targets(&self) -> impl Iterator<Item = &(String, Port)> {
        let now = Instant::now();
        let alive = self.leaving.iter().filter(move |left| left.until > now);
        alive.flat_map(|left| &left.targets)
    }

    /// When the last worker of an old generation ends.
    pub(super) fn drained_at(&self) -> Option<Instant> {
        self.leaving.iter().map(|left| left.until).max()
    }

    pub(super) fn leaving_at(&self, at: Instant) -> Vec<u32> {
        let left = self.leaving.iter().filter(|left| left.until > at);
        (0..self.old_workers)
            .chain(left.map(|left| left.worker))
            .collect()
    }

    pub(super) fn serving(&self) -> u32 {
        self.serving
    }

    /// What its generation endpoint answers.
    pub(crate) fn generation(&self) -> Option<String> {
        let (_, rest) = self.running.split_once("return 200 \"")?;
        rest.split_once('"').map(|(generation, _)| generation.to_owned())
    }

    pub(super) fn master(boot: u32) -> ProcessIdentity {
        ProcessIdentity {
            pid: 800 + boot,
            start_ticks: 1,
            boot_id: format!("boot-{boot}"),
            uid: 0,
        }
    }

    /// The newest token of a run, of whichever of its switches, with that switch's number.
    pub(crate) fn newest_of(&self, run: &RunId) -> Option<(u32, &SimToken)> {
        let of_run = self.tokens.iter();
        let of_run = of_run.filter_map(|(id, token)| Some((id, id.run.switch_of(run)?, token)));
        let newest = of_run.max_by_key(|(id, ..)| (id.epoch, id.number));
        newest.map(|(_, number, token)| (number, token))
    }

    /// The newest token of a run.
    pub(crate) fn newest(&self, run: &RunId) -> Option<(&TokenId, &SimToken)> {
        self.tokens.iter().rfind(|(id, _)| id.run == *run)
    }

    pub(super) fn observe(&self, clock: &Clock, address: &Address) -> NginxObserved {
        let content = self.content().cloned();
        let folder = self.entry.parent();
        let name = |path: &str| path.strip_prefix(&format!("{folder}/")).map(str::to_owned);
        let others = self.files.keys().filter(|path| *path != self.entry.as_str());
        NginxObserved {
            master: Some(Master {
                identity: Self::master(clock.boot),
                serving: vec![self.serving],
                leaving: self.leaving_at(Instant::now()),
            }),
            conf: RemotePath::new("/etc/nginx/nginx.conf").unwrap(),
            error_log: None,
            dump: self.dump(),
            test_failure: None,
            entry: Entry {
                kind: if content.is_some() {
                    EntryKind::File
                } else {
                    EntryKind::Absent
                },
                content,
                owner: "0:0".to_owned(),
                mode: "644".to_owned(),
            },
            siblings: others
                .filter_map(|path| Some((name(path)?, EntryKind::File)))
                .collect(),
            slot_files: self
                .slot_files
                .iter()
                .map(|(slot, text)| (slot.clone(), Some(text.clone())))
                .collect(),
            own_addresses: vec!["127.0.0.1".to_owned(), address.to_string()],
            generation: None,
            tokens: self
                .tokens
                .iter()
                .map(|(id, token)| token.seen(id, clock))
                .collect(),
            saved_homes: self.homes.keys().map(ToString::to_string).collect(),
        }
    }
}

impl SimToken {
    /// What its watch has left; `None` where nothing will fire.
    pub(crate) fn left(&self, clock: &Clock) -> Option<Duration> {
        let runs = self.state == TokenState::Armed && self.fires.0 == clock.boot;
        runs.then(|| self.fires.1.saturating_sub(clock.uptime()))
    }

    fn seen(&self, id: &TokenId, clock: &Clock) -> Token {
        let at_it = match self.state {
            TokenState::Armed => true,
            TokenState::Fired => !self.restored && !self.gave_up,
            _ => false,
        };
        Token {
            id: id.clone(),
            state: self.state,
            watch: if at_it && self.fires.0 == clock.boot {
                WatchProcess::Alive
            } else {
                WatchProcess::Gone
            },
            left: self.left(clock),
            restored: self.restored,
        }
    }
}

fn dump_of(files: &Files) -> String {
    let print = |(path, text): (&String, &String)| format!("# configuration file {path}:\n{text}\n");
    let sites: String = files.iter().map(print).collect();
    format!("# configuration file /etc/nginx/nginx.conf:\n{MAIN}\n{sites}")
}

fn targets_of(dump: &str) -> Vec<((String, Port), u32)> {
    let dump = Dump::parse(dump).expect("it runs");
    let routes = dump.routes();
    let targets = routes.iter().flat_map(|route| &route.targets);
    targets
        .map(|target| {
            let port = Port::new(target.port).unwrap();
            ((target.host.clone(), port), target.weight)
        })
        .collect()
}

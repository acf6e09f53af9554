//! One run, or several, on a fleet in memory, told in a few words: what is there, what goes wrong, and
//! how it has to end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use nonstop::config::{self, Config, Source};
use nonstop::engine::context::Interrupt;
use nonstop::engine::run::{LocalJar, Request, Verdict, Wanted, run};
use nonstop::model::event::Event;
use nonstop::model::hook::HookWord;
use nonstop::model::lock::Owner;
use nonstop::model::names::{HostName, ReleaseId, RunId, SlotName};
use nonstop::model::outcome::Signal;
use nonstop::model::phase::Phase;
use nonstop::model::record::RunStatus;
use tokio::sync::{Notify, watch};

use crate::texts::{
    IDENTIFY, INCLUDE, INVENTORY, ONE_HOST, PLAYBOOK, SERVER, SERVICE_URL, THREE_HOSTS, TWO_SETS, UNIT,
};
use crate::world::{Fault, Rule, Shared, Shares, SimFleet, SimHost, SimNginx, World};

pub(crate) const V1: &str = "20260101T100000Z-sokdak-1-aaaaaaaa";
pub(crate) const SITE: &str = "/etc/nginx/sites-enabled/sokdak.conf";

type Hook = Box<dyn Fn(&mut World)>;

/// A fleet and what will happen on it.
pub(crate) struct Scene {
    pub(crate) config: Config,
    pub(crate) world: Shared,
    pub(crate) lock_wait: Duration,
    /// What a person says of hooks.
    pub(crate) hook_words: Vec<HookWord>,
    hooks: Vec<(Phase, Hook)>,
    signal: Option<(Phase, Signal)>,
    turn: Option<Duration>,
}

/// A run that has ended.
pub(crate) struct Ended {
    pub(crate) verdict: Verdict,
    pub(crate) events: Vec<Event>,
}

impl Scene {
    /// Nothing is there but the hosts.
    pub(crate) fn empty() -> Self {
        Self::of(INVENTORY, PLAYBOOK)
    }

    /// Blue is live with `V1`.
    pub(crate) fn on_blue() -> Self {
        Self::with("")
    }

    /// The same with more lines at the playbook's end.
    pub(crate) fn with(more: &str) -> Self {
        Self::of(INVENTORY, &format!("{PLAYBOOK}{more}")).live_on_blue()
    }

    /// The same where a script of the user starts the application.
    pub(crate) fn by_script() -> Self {
        let playbook = PLAYBOOK.replace("java: {}", "command: { run: [./start.sh] }");
        Self::of(INVENTORY, &playbook).live_on_blue()
    }

    /// The same where units of systemd do, with more lines at the playbook's end.
    pub(crate) fn by_units(more: &str) -> Self {
        let playbook = PLAYBOOK.replace("java: {}", UNIT);
        Self::of(INVENTORY, &format!("{playbook}{more}")).live_on_blue()
    }

    /// The same where green is on hosts of its own.
    pub(crate) fn on_two_sets(more: &str) -> Self {
        let playbook = PLAYBOOK.replace("green: { group: was,", "green: { group: others,");
        Self::of(TWO_SETS, &format!("{playbook}{more}")).live_on_blue()
    }

    /// Three hosts that carry one instance each, with more lines at the playbook's end.
    pub(crate) fn on_a_single_slot(more: &str) -> Self {
        Self::single(more).live_on_blue()
    }

    /// The same, and nothing is there yet.
    pub(crate) fn single(more: &str) -> Self {
        Self::one_after_another("java: {}", more)
    }

    /// Three hosts that carry one instance each, and a unit of systemd runs it.
    pub(crate) fn single_by_units() -> Self {
        Self::one_after_another(UNIT, "").live_on_blue()
    }

    fn one_after_another(start: &str, more: &str) -> Self {
        let playbook = PLAYBOOK.replace(", green: { group: was, port: 8081 }", "");
        let playbook = playbook.replace("java: {}", start);
        let update = "update: { strategy: rolling, max_parallel: 1 }\n";
        let scene = Self::of(THREE_HOSTS, &format!("{playbook}{update}{more}"));
        scene.world.borrow_mut().shares = Shares::Single;
        scene
    }

    /// The same on a single host with both parts.
    pub(crate) fn on_one_host() -> Self {
        Self::of(ONE_HOST, PLAYBOOK).live_on_blue()
    }

    /// The style `include` with upstreams: the user's own server reads what an older script left. Slots say
    /// which one they are.
    pub(crate) fn with_include() -> Self {
        let (head, rest) = PLAYBOOK.split_once("  site:").expect("a site");
        let (_, rest) = rest.split_once('\n').expect("more lines");
        let playbook = format!("{head}{INCLUDE}{rest}{IDENTIFY}");
        let scene = Self::of(INVENTORY, &playbook).live_on_blue();
        for name in scene.config.topology.nginx.keys() {
            let mut world = scene.world.borrow_mut();
            let nginx = world.nginx(name.as_str());
            nginx.files.clear();
            nginx.site(SERVICE_URL, "set $service_url http://old;\n");
            nginx.site("/etc/nginx/sites-enabled/app", SERVER);
        }
        scene
    }

    fn of(inventory: &str, playbook: &str) -> Self {
        let inventory = Source::new("inventory.yml", inventory);
        let playbook = Source::new("playbook.yml", playbook);
        let config = config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"));
        let mut hosts: BTreeMap<HostName, SimHost> = BTreeMap::new();
        for (name, was) in &config.topology.was {
            let mut host = SimHost::new(&was.address);
            host.carries(was);
            hosts.insert(name.clone(), host);
        }
        for (name, nginx) in &config.topology.nginx {
            let host = hosts
                .entry(name.clone())
                .or_insert_with(|| SimHost::new(&nginx.address));
            host.nginx = Some(SimNginx::new(&nginx.file));
        }
        Self {
            world: World::of(hosts),
            config,
            lock_wait: Duration::ZERO,
            hook_words: Vec::new(),
            hooks: Vec::new(),
            signal: None,
            turn: None,
        }
    }

    fn live_on_blue(self) -> Self {
        let (blue, v1) = (SlotName::new("blue").unwrap(), ReleaseId::new(V1).unwrap());
        let mut servers = String::new();
        {
            let mut world = self.world.borrow_mut();
            for (name, was) in &self.config.topology.was {
                let host = world.host(name.as_str());
                let Some(port) = was.ports.get(&blue) else {
                    continue;
                };
                let identity = host.spawn(*port, Duration::ZERO).identity.clone();
                host.put_on_record(&blue, &v1, &identity);
                host.releases.insert(v1.clone(), known(&v1));
                let _ = write!(servers, "server {}:8080;", was.address);
            }
            let text = format!(
                "upstream up {{ {servers} }}\nserver {{ listen 80; server_name sokdak.example;\n\
                 location = /__nonstop/generation {{ return 200 \"run-0\"; }}\n\
                 location / {{ proxy_pass http://up; }} }}\n"
            );
            for name in self.config.topology.nginx.keys() {
                world.nginx(name.as_str()).site(SITE, &text);
            }
        }
        self
    }

    /// The first call of that command on that host meets a fault.
    pub(crate) fn fault(self, host: &str, command: &'static str, fault: Fault) -> Self {
        self.faults(host, command, (0, 1), fault)
    }

    /// Some calls are spared, and the next ones meet a fault.
    pub(crate) fn faults(
        self,
        host: &str,
        command: &'static str,
        (spares, hits): (u32, u32),
        fault: Fault,
    ) -> Self {
        let host = HostName::new(host).unwrap();
        self.world.borrow_mut().rules.push(Rule {
            host,
            command,
            spares,
            hits,
            fault,
        });
        self
    }

    /// Something happens on the fleet.
    pub(crate) fn change(self, change: impl FnOnce(&mut World)) -> Self {
        change(&mut self.world.borrow_mut());
        self
    }

    /// Something happens as a phase begins.
    pub(crate) fn when(mut self, phase: Phase, hook: impl Fn(&mut World) + 'static) -> Self {
        self.hooks.push((phase, Box::new(hook)));
        self
    }

    /// A signal comes as a phase begins.
    pub(crate) fn signal(mut self, phase: Phase, signal: Signal) -> Self {
        self.signal = Some((phase, signal));
        self
    }

    /// Every run goes forward for so long at most.
    pub(crate) fn turns(self, after: Duration) -> Self {
        Self {
            turn: Some(after),
            ..self
        }
    }

    /// Nothing happens any more.
    pub(crate) fn mended(mut self) -> Self {
        self.hooks.clear();
        self
    }

    /// Requests that are left at the drain's deadline are cut.
    pub(crate) fn cuts(mut self) -> Self {
        self.config.playbook.drain.on_deadline = nonstop::model::playbook::OnDeadline::Cut;
        self
    }

    /// No signal comes any more.
    pub(crate) fn undisturbed(mut self) -> Self {
        self.signal = None;
        self
    }

    /// Deploys version 2.
    pub(crate) async fn deploy(&self) -> Ended {
        self.run("run-1", Wanted::Jar(jar("sokdak-2.jar", "b"))).await
    }

    /// Goes back to the release before.
    pub(crate) async fn rollback(&self) -> Ended {
        self.run("run-2", Wanted::Earlier(None)).await
    }

    pub(crate) fn request(&self, name: &str, wanted: Wanted) -> Request<'_> {
        Request {
            topology: &self.config.topology,
            playbook: &self.config.playbook,
            wanted,
            run: RunId::new(name).unwrap(),
            owner: Owner {
                who: name.to_owned(),
                ..Owner::default()
            },
            began: "2026-01-02T10:00:00Z".parse().unwrap(),
            lock_wait: self.lock_wait,
            hook_words: self.hook_words.clone(),
        }
    }

    pub(crate) async fn run(&self, name: &str, wanted: Wanted) -> Ended {
        let (sender, receiver) = watch::channel(None);
        let events = RefCell::new(Vec::new());
        let hear = |event: Event| {
            if let Event::PhaseStarted { phase, .. } = &event {
                for (_, hook) in self.hooks.iter().filter(|(at, _)| at == phase) {
                    hook(&mut self.world.borrow_mut());
                }
                if let Some((_, signal)) = self.signal.filter(|(at, _)| at == phase) {
                    sender.send_replace(Some(signal));
                }
            }
            events.borrow_mut().push(event);
        };
        let request = self.request(name, wanted);
        let fleet = SimFleet(self.world.clone());
        let turn = self.turn.map(|after| tokio::time::Instant::now() + after);
        let interrupt = Interrupt::new(receiver).until(turn);
        let verdict = run(&fleet, &request, interrupt, &hear).await;
        Ended {
            verdict,
            events: events.into_inner(),
        }
    }

    /// A deploy of version 2 whose controller dies some time after a phase began.
    pub(crate) async fn dies(&self, phase: Phase, after: Duration) {
        let began = Rc::new(Notify::new());
        let bell = began.clone();
        let world = self.world.clone();
        let hooks = self.hooks.iter().map(|(at, hook)| (*at, hook));
        let hooks: Vec<_> = hooks.collect();
        let hear = |event: Event| {
            if let Event::PhaseStarted { phase: now, .. } = &event {
                for (_, hook) in hooks.iter().filter(|(at, _)| at == now) {
                    hook(&mut world.borrow_mut());
                }
                if *now == phase {
                    bell.notify_one();
                }
            }
        };
        let request = self.request("run-1", Wanted::Jar(jar("sokdak-2.jar", "b")));
        let fleet = SimFleet(self.world.clone());
        let run = run(&fleet, &request, Interrupt::never(), &hear);
        let dies = async {
            began.notified().await;
            tokio::time::sleep(after).await;
        };
        tokio::select! {
            biased;
            () = dies => {}
            _ = run => panic!("it ended before it died"),
        }
    }

    /// Goes on with what never ended, from another controller.
    pub(crate) async fn resume(&self) -> Ended {
        self.run("run-9", Wanted::Resume).await
    }

    /// A person leaves a host out from now on.
    pub(crate) fn without(mut self, host: &str) -> Self {
        assert!(self.config.topology.leave_out(&HostName::new(host).unwrap()));
        self
    }

    /// Lets time go by.
    pub(crate) async fn rests(&self, seconds: u64) {
        for _ in 0..seconds * 10 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            self.world.borrow_mut().settle();
        }
    }

    /// The places in the trace at which a command took place.
    pub(crate) fn times(&self, command: &str) -> Vec<usize> {
        self.world.borrow().times(command)
    }

    /// What the newest token of every nginx host says.
    pub(crate) fn tokens(&self) -> Vec<&'static str> {
        let world = self.world.borrow();
        let nginx = world.hosts.values().filter_map(|host| host.nginx.as_ref());
        let newest = nginx.map(|nginx| nginx.tokens.last_key_value());
        newest
            .map(|newest| newest.map_or("none", |(_, token)| token.state.as_str()))
            .collect()
    }

    /// What every host has on record.
    pub(crate) fn records(&self) -> Vec<RunStatus> {
        let world = self.world.borrow();
        let records = world.hosts.values().filter_map(|host| host.record.as_ref());
        records.map(|record| record.status).collect()
    }

    /// So many processes live on every WAS host, whether they listen or not.
    pub(crate) fn has_processes(&self, count: usize) {
        for (name, host) in &self.world.borrow().hosts {
            let lives = host.processes.iter().filter(|process| process.lives());
            let count = if host.ports.is_empty() { 0 } else { count };
            assert_eq!(lives.count(), count, "{name}");
        }
    }

    /// The new release has the traffic, and nothing is left of the old one or of the run.
    pub(crate) fn is_deployed(&self) {
        assert_eq!(self.live_port(), 8081);
        assert_eq!(self.listeners(8080), [""; 0]);
        assert_eq!(self.listeners(8081), ["was-1", "was-2"]);
        assert_eq!(self.records(), [RunStatus::Done; 4]);
        self.is_unlocked();
    }

    /// The port to which every nginx routes; 0 where they differ or route to none.
    pub(crate) fn live_port(&self) -> u16 {
        let world = self.world.borrow();
        let nginx = world.hosts.values().filter_map(|host| host.nginx.as_ref());
        let mut ports: Vec<_> = nginx
            .flat_map(|nginx| {
                let targets = nginx.targets();
                if targets.is_empty() {
                    vec![0]
                } else {
                    targets.iter().map(|(_, port)| port.number()).collect()
                }
            })
            .collect();
        ports.sort_unstable();
        ports.dedup();
        if let [port] = ports[..] { port } else { 0 }
    }

    /// The hosts on which something listens on a port.
    pub(crate) fn listeners(&self, port: u16) -> Vec<String> {
        let world = self.world.borrow();
        let port = port.try_into().unwrap();
        let up = world
            .hosts
            .iter()
            .filter(|(_, host)| host.listener(port).is_some());
        up.map(|(name, _)| name.to_string()).collect()
    }

    /// Nothing is left of a run that did not go through: traffic, processes, homes and locks.
    pub(crate) fn is_as_it_was(&self) {
        assert_eq!(self.live_port(), 8080);
        assert_eq!(self.listeners(8080), ["was-1", "was-2"]);
        assert_eq!(self.listeners(8081), [""; 0]);
        self.is_unlocked();
        for host in self.world.borrow().hosts.values() {
            assert!(host.nginx.as_ref().is_none_or(|nginx| nginx.homes.is_empty()));
        }
    }

    pub(crate) fn is_unlocked(&self) {
        for (name, host) in &self.world.borrow().hosts {
            assert_eq!(host.lock.run, None, "{name} is locked");
        }
    }

    /// Which hosts hold a mark against version 2.
    pub(crate) fn marked(&self) -> usize {
        let world = self.world.borrow();
        let releases = world.hosts.values().flat_map(|host| host.releases.values());
        releases.filter(|release| release.failed).count()
    }
}

pub(crate) fn jar(name: &str, digit: &str) -> LocalJar {
    LocalJar {
        path: PathBuf::from(name),
        name: name.to_owned(),
        sha256: digit.repeat(64),
        size_bytes: 60_000_000,
    }
}

fn known(id: &ReleaseId) -> nonstop::model::observed::ReleaseObserved {
    nonstop::model::observed::ReleaseObserved {
        id: id.clone(),
        sha256: "a".repeat(64),
        size_bytes: 60_000_000,
        jar_name: "sokdak-1.jar".to_owned(),
        failed: false,
    }
}

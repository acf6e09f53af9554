//! The fleet of a story: its inventory and playbook as the program reads them, the hosts, and what befalls
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use nonstop::config::{self, Config, Source};
use nonstop::model::names::{HostName, Port, ReleaseId, SlotName};
use nonstop::model::observed::ReleaseObserved;
use tokio::time::Instant;

use crate::random::Random;
use crate::story::{Bad, Story, Strike};
use crate::world::{Fault, Health, Shared, SimHost, SimNginx, Start, World};

const V1: &str = "20260101T100000Z-sokdak-1-aaaaaaaa";
const SITE: &str = "/etc/nginx/sites-enabled/sokdak.conf";

/// The configuration of a story.
pub(crate) fn config(story: &Story) -> Config {
    let mut was = String::new();
    for number in 1..=story.size.0 {
        let _ = write!(was, "was-{number}: {{ address: 10.0.0.{number} }}, ");
    }
    let mut nginx = String::new();
    for number in 1..=story.size.1 {
        let _ = write!(nginx, "nginx-{number}: {{ address: 10.0.1.{number} }}, ");
    }
    if story.size.1 == 0 {
        nginx.push_str("was-1: ");
    }
    let inventory = format!(
        "all:\n  children:\n    was: {{ hosts: {{ {was} }} }}\n    nginx: {{ hosts: {{ {nginx} }} }}\n"
    );
    let bake = match (story.bake, story.keeps_old_slot) {
        (0, false) => String::new(),
        (seconds, keeps) => format!(
            "bake: {{ for: {seconds}s, then: {} }}\n",
            if keeps { "keep" } else { "stop" }
        ),
    };
    let playbook = format!(
        "app: sokdak\nartifact: build/libs/*.jar\n\
         slots: {{ blue: {{ group: was, port: 8080 }}, green: {{ group: was, port: 8081 }} }}\n\
         release: {{ dir: /srv/sokdak }}\nstart: {{ java: {{}} }}\n\
         health: {{ path: /health, json: {{ status: UP }}, min_healthy_time: 1s, healthy_deadline: 20s }}\n\
         nginx:\n  group: nginx\n  site: {{ file: {SITE}, server_name: sokdak.example, listen: 80 }}\n\
         drain: {{ deadline: 5s }}\nstop: {{ grace: 5s }}\nwatch: {{ deadline: {}s }}\nlock: {{ lease: {}s }}\n{bake}",
        story.watch, story.lease
    );
    let inventory = Source::new("inventory.yml", &inventory);
    let playbook = Source::new("playbook.yml", &playbook);
    config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"))
}

/// The hosts of a story, before anything happens.
pub(crate) fn world(story: &Story, config: &Config) -> Shared {
    let mut hosts: BTreeMap<HostName, SimHost> = BTreeMap::new();
    for (name, was) in &config.topology.was {
        let mut host = SimHost::new(&was.address);
        host.ports = was.ports.clone();
        hosts.insert(name.clone(), host);
    }
    for (name, nginx) in &config.topology.nginx {
        let host = hosts
            .entry(name.clone())
            .or_insert_with(|| SimHost::new(&nginx.address));
        let mut nginx = SimNginx::new(&nginx.file);
        nginx.drains_in = story.drains_in;
        host.nginx = Some(nginx);
    }
    for (host, skew) in hosts.values_mut().zip(&story.skews) {
        host.clock.skew_ppm = *skew;
    }
    if story.is_live {
        goes_live(config, &mut hosts);
    }
    if let Some((which, bad)) = story.bad {
        let was = hosts.values_mut().filter(|host| !host.ports.is_empty());
        let which = usize::try_from(which).unwrap();
        for host in was.skip(which % 2).take(1) {
            match bad {
                Bad::Exits => host.start = Start::Exits,
                Bad::Sick => host.health = Health::Down,
                Bad::Silent => host.health = Health::Silent,
            }
        }
    }
    let world = World::of(hosts);
    world.borrow_mut().cleans_tokens = true;
    world.borrow_mut().upload_takes = Duration::from_millis(400);
    world
}

fn goes_live(config: &Config, hosts: &mut BTreeMap<HostName, SimHost>) {
    let (blue, v1) = (SlotName::new("blue").unwrap(), ReleaseId::new(V1).unwrap());
    let mut servers = String::new();
    for (name, was) in &config.topology.was {
        let host = hosts.get_mut(name).unwrap();
        let identity = host.spawn(was.ports[&blue], Duration::ZERO).identity.clone();
        host.put_on_record(&blue, &v1, &identity);
        let release = ReleaseObserved {
            id: v1.clone(),
            sha256: "a".repeat(64),
            size_bytes: 60_000_000,
            jar_name: "sokdak-1.jar".to_owned(),
            failed: false,
        };
        host.releases.insert(v1.clone(), release);
        let _ = write!(servers, "server {}:8080;", was.address);
    }
    let text = format!(
        "upstream up {{ {servers} }}\nserver {{ listen 80; server_name sokdak.example;\n\
         location = /__nonstop/generation {{ return 200 \"run-0\"; }}\nlocation / {{ proxy_pass http://up; }} }}\n"
    );
    for nginx in hosts.values_mut().filter_map(|host| host.nginx.as_mut()) {
        nginx.site(SITE, &text);
    }
}

/// Lets what goes wrong in a story go wrong from now on.
pub(crate) fn goes_wrong(story: &Story, seed: u64, world: &mut World) {
    let names: Vec<HostName> = world.hosts.keys().cloned().collect();
    // WAS hosts come first in a story.
    let order = |name: &HostName| !name.as_str().starts_with("was");
    let mut ordered = names.clone();
    ordered.sort_by_key(|name| (order(name), name.clone()));
    for (at, strike) in &story.strikes {
        strikes(world, &ordered, Instant::now() + *at, *strike);
    }
    let mut random = Random::new(seed ^ 0xfau64);
    let often = story.call_faults;
    world.weather = Some(Box::new(move |_, command| {
        if random.below(10_000) >= often {
            return None;
        }
        Some(fault(&mut random, command))
    }));
}

fn fault(random: &mut Random, command: &str) -> Fault {
    let late = match random.below(3) {
        0 => random.millis(10, 400),
        1 => random.millis(400, 8_000),
        _ => random.millis(8_000, 60_000),
    };
    match random.below(9) {
        _ if command == "connect" || command == "http" => Fault::NotSent,
        0 => Fault::NotSent,
        1 | 2 => Fault::LostBefore,
        3 | 4 => Fault::LostAfter,
        5 => Fault::Late(late),
        6 => Fault::Slow(late),
        7 => Fault::Vanishes,
        _ => Fault::Never,
    }
}

fn strikes(world: &mut World, hosts: &[HostName], at: Instant, strike: Strike) {
    let named = |number: u64| hosts[usize::try_from(number).unwrap() % hosts.len()].clone();
    let port = |second: bool| Port::new(if second { 8081 } else { 8080 }).unwrap();
    match strike {
        Strike::Crash(host, lasts) => {
            let host = named(host);
            let name = host.clone();
            world.happens(at, &host, "loses its power", move |world| world.crash(&name));
            let name = host.clone();
            world.happens(at + lasts, &host, "comes up", move |world| world.boot(&name));
        }
        Strike::Cut(which, lasts) => {
            for (number, host) in hosts.iter().enumerate() {
                if which & (1 << number) != 0 {
                    let name = host.clone();
                    world.happens(at, host, "is cut off", move |world| {
                        world.cut_off.insert(name, Instant::now() + lasts);
                    });
                }
            }
        }
        Strike::DiskFull(host, lasts) => {
            let host = named(host);
            if world.hosts[&host].nginx.is_some() {
                return;
            }
            for (at, is_full) in [(at, true), (at + lasts, false)] {
                let name = host.clone();
                world.happens(at, &host, "has another disk", move |world| {
                    world.host(name.as_str()).disk_is_full = is_full;
                });
            }
        }
        Strike::Kill(host, second) => {
            let host = named(host);
            let name = host.clone();
            world.happens(at, &host, "loses an instance", move |world| {
                world.host(name.as_str()).strike(port(second));
            });
        }
        Strike::Restart(host, second) => {
            let host = named(host);
            let name = host.clone();
            world.happens(at, &host, "has an instance started by hand", move |world| {
                let host = world.host(name.as_str());
                if host.listener(port(second)).is_some() {
                    host.strike(port(second));
                    host.spawn(port(second), Duration::from_secs(1));
                    host.struck.insert(port(second), Instant::now());
                }
            });
        }
        Strike::Sick(host, second, lasts) => {
            let host = named(host);
            for (at, health) in [(at, Health::Down), (at + lasts, Health::Up)] {
                let name = host.clone();
                world.happens(at, &host, "has another health", move |world| {
                    feels(world.host(name.as_str()), port(second), health);
                });
            }
        }
        Strike::Refuses(host, _) | Strike::Reloads(host) | Strike::Edits(host) => {
            let host = named(host);
            if world.hosts[&host].nginx.is_some() {
                troubles(world, &host, at, strike);
            }
        }
    }
}

fn feels(host: &mut SimHost, port: Port, health: Health) {
    for process in &mut host.processes {
        if process.port == port && process.lives() {
            process.health = health;
            host.struck.insert(port, Instant::now());
        }
    }
}

fn troubles(world: &mut World, host: &HostName, at: Instant, strike: Strike) {
    let name = host.clone();
    let nginx = move |world: &mut World, change: &dyn Fn(&mut SimNginx)| {
        let host = world.host(name.as_str());
        if let Some(nginx) = host.nginx.as_mut().filter(|_| host.is_up) {
            change(nginx);
        }
    };
    match strike {
        Strike::Refuses(_, lasts) => world.happens(at, host, "refuses to reload", move |world| {
            nginx(world, &|nginx| nginx.refuses_until = Some(Instant::now() + lasts));
        }),
        Strike::Reloads(_) => world.happens(at, host, "is reloaded by somebody else", move |world| {
            nginx(world, &|nginx| {
                nginx.reload();
            });
        }),
        _ => world.happens(at, host, "has its file edited", move |world| {
            nginx(world, &|nginx| {
                let entry = nginx.entry.to_string();
                if let Some(text) = nginx.files.get_mut(&entry) {
                    text.push_str("# edited by hand\n");
                }
            });
        }),
    }
}

/// The weather clears up: what was wrong is mended, and nothing more goes wrong.
pub(crate) fn calms_down(world: &mut World) {
    world.weather = None;
    world.is_spared();
    world.cut_off.clear();
    let names: Vec<_> = world.hosts.keys().cloned().collect();
    for name in names {
        world.boot(&name);
        let host = world.host(name.as_str());
        host.disk_is_full = false;
        host.start = Start::Listens(Duration::from_secs(2));
        host.health = Health::Up;
        for process in &mut host.processes {
            process.health = Health::Up;
        }
        if let Some(nginx) = &mut host.nginx {
            nginx.refuses_until = None;
        }
    }
}

//! The fleet of a story: its inventory and playbook as the program reads them, the hosts, and what befalls
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use nonstop::config::{self, Config, Source};
use nonstop::model::names::{HostName, ReleaseId, SlotName};
use nonstop::model::observed::ReleaseObserved;
use nonstop::model::playbook::MemoryCheck;
use tokio::time::Instant;

use crate::random::Random;
use crate::story::{Bad, Runner, Story};
use crate::strike::strikes;
use crate::twist::{Beginning, Gone, How, Moves, Slots, Style};
use crate::world::{Fault, Health, Shared, Shares, SimHost, SimNginx, Start, World};

const V1: &str = "20260101T100000Z-sokdak-1-aaaaaaaa";
const SITE: &str = "/etc/nginx/sites-enabled/sokdak.conf";
const SERVICE_URL: &str = "/etc/nginx/service-url.inc";
const UPSTREAMS: &str = "/etc/nginx/sites-enabled/upstreams.conf";

/// The configuration of a story.
pub(crate) fn config(story: &Story) -> Config {
    let (mut first, mut second) = (String::new(), String::new());
    for number in 1..=story.size.0 {
        let of_second = story.twists.slots == Slots::Hosts && number % 2 == 0;
        let was = if of_second { &mut second } else { &mut first };
        let _ = write!(was, "was-{number}: {{ address: 10.0.0.{number} }}, ");
    }
    let green = match story.twists.slots {
        Slots::Ports => ", green: { group: was, port: 8081 }",
        Slots::Hosts => ", green: { group: others, port: 8081 }",
        Slots::Single => "",
    };
    let mut nginx = String::new();
    for number in 1..=story.size.1 {
        let _ = write!(nginx, "nginx-{number}: {{ address: 10.0.1.{number} }}, ");
    }
    if story.size.1 == 0 {
        nginx.push_str("was-1: ");
    }
    let inventory = format!(
        "all:\n  children:\n    was: {{ hosts: {{ {first} }} }}\n    others: {{ hosts: {{ {second} }} }}\n    \
         nginx: {{ hosts: {{ {nginx} }} }}\n"
    );
    let bake = match (story.bake, story.keeps_old_slot) {
        _ if story.twists.window.is_some() => {
            let seconds = story.twists.window.unwrap_or_default();
            format!("bake: {{ for: {seconds}s, detach: true }}\n")
        }
        (0, false) => String::new(),
        (seconds, keeps) => format!(
            "bake: {{ for: {seconds}s, then: {} }}\n",
            if keeps { "keep" } else { "stop" }
        ),
    };
    let style = match story.twists.style {
        Style::Site => format!("site: {{ file: {SITE}, server_name: sokdak.example, listen: 80 }}"),
        Style::PerSlot => format!(
            "conf_per_slot: {{ file: {SITE}, listen: 80, server_name: sokdak.example,\n    \
             slots: {{ blue: /etc/nginx/slots/blue.conf, green: /etc/nginx/slots/green.conf }} }}"
        ),
        Style::Include if story.size.0 == 1 => format!("include: {{ file: {SERVICE_URL}, listen: 80 }}"),
        Style::Include => {
            format!("include: {{ file: {SERVICE_URL}, listen: 80, upstream_file: {UPSTREAMS} }}")
        }
    };
    let start = match story.runner {
        Runner::Java => "java: {}",
        Runner::Script => "command: { run: [./start.sh] }",
        Runner::Unit => "systemd: { unit: 'sokdak@{{ slot.port }}.service' }",
    };
    let memory = match story.twists.memory {
        MemoryCheck::Refuse => "refuse",
        MemoryCheck::Warn => "warn",
        MemoryCheck::Off => "off",
    };
    let playbook = format!(
        "app: sokdak\nartifact: build/libs/*.jar\n\
         slots: {{ blue: {{ group: was, port: 8080 }}{green} }}\n\
         release: {{ dir: /srv/sokdak }}\nstart: {{ {start} }}\n\
         health: {{ path: /health, json: {{ status: UP }}, min_healthy_time: 1s, healthy_deadline: 20s }}\n\
         nginx:\n  group: nginx\n  {style}\n\
         drain: {{ deadline: 5s }}\nstop: {{ grace: 5s }}\nwatch: {{ deadline: {}s }}\nlock: {{ lease: {}s }}\n\
         memory: {{ check: {memory} }}\n{bake}{}{}",
        story.watch,
        story.lease,
        story.twists.moves.told(),
        story.hooks.told()
    );
    let inventory = Source::new("inventory.yml", &inventory);
    let playbook = Source::new("playbook.yml", &playbook);
    config::load_sources(&inventory, &playbook).unwrap_or_else(|report| panic!("{report}"))
}

/// A host by its number: WAS hosts are counted first.
pub(crate) fn host(config: &Config, number: u64) -> HostName {
    let was = config.topology.was.keys();
    let others = config
        .topology
        .nginx
        .keys()
        .filter(|name| !config.topology.was.contains_key(*name));
    let mut hosts = was.chain(others).cycle();
    let host = hosts.nth(usize::try_from(number).unwrap());
    host.expect("there are hosts").clone()
}

/// The hosts of a story, before anything happens.
pub(crate) fn world(story: &Story, config: &Config) -> Shared {
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
    for (host, skew) in hosts.values_mut().zip(&story.skews) {
        host.clock.skew_ppm = *skew;
    }
    if story.twists.style == Style::PerSlot {
        for slot in ["blue", "green"].map(|slot| SlotName::new(slot).unwrap()) {
            let text = site_of(config, &slot, "");
            for nginx in hosts.values_mut().filter_map(|host| host.nginx.as_mut()) {
                nginx.slot_files.insert(slot.clone(), text.clone());
            }
        }
    }
    if story.is_live {
        goes_live(story, config, &mut hosts);
    }
    if let Some((which, tight)) = story.twists.tight {
        let was = hosts.values_mut().filter(|host| !host.ports.is_empty());
        let which = usize::try_from(which).unwrap() % config.topology.was.len();
        for host in was.skip(which).take(1) {
            host.tight = Some(tight);
        }
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
    let moves = story.twists.moves;
    world.borrow_mut().shares = match moves {
        _ if story.twists.slots == Slots::Single => Shares::Single,
        Moves::AtOnce | Moves::AtOnceByHand => Shares::Whole,
        _ => Shares::Split,
    };
    world.borrow_mut().requests_last = story.twists.requests_last;
    world.borrow_mut().upload_takes = Duration::from_millis(400);
    story.hooks.befall(config, &mut world.borrow_mut());
    world
}

/// What nginx includes to route to a slot.
fn site_of(config: &Config, slot: &SlotName, generation: &str) -> String {
    let mut servers = String::new();
    for was in config.topology.was.values() {
        if let Some(port) = was.ports.get(slot) {
            let _ = write!(servers, "server {}:{port};", was.address);
        }
    }
    format!(
        "upstream up {{ {servers} }}\nserver {{ listen 80; server_name sokdak.example;\n\
         {generation}location / {{ proxy_pass http://up; }} }}\n"
    )
}

/// A server of the user's own, and the file that an older script left it.
fn includes(nginx: &mut SimNginx, config: &Config, slot: &SlotName) {
    let server = site_of(config, slot, &format!("include {SERVICE_URL};\n"));
    let server = server.replace("http://up", "$service_url");
    nginx.site(SERVICE_URL, "set $service_url http://up;\n");
    nginx.site("/etc/nginx/sites-enabled/app", &server);
}

fn goes_live(story: &Story, config: &Config, hosts: &mut BTreeMap<HostName, SimHost>) {
    let v1 = ReleaseId::new(V1).unwrap();
    let slots: &[&str] = match story.twists.start {
        Beginning::Alike => &["blue"],
        Beginning::Apart => &["blue", "green"],
    };
    let slots: Vec<_> = slots.iter().map(|slot| SlotName::new(*slot).unwrap()).collect();
    for (name, was) in &config.topology.was {
        let host = hosts.get_mut(name).unwrap();
        for slot in &slots {
            let Some(port) = was.ports.get(slot) else { continue };
            let identity = host.spawn(*port, Duration::ZERO).identity.clone();
            host.put_on_record(slot, &v1, &identity);
        }
        let release = ReleaseObserved {
            id: v1.clone(),
            sha256: "a".repeat(64),
            size_bytes: 60_000_000,
            jar_name: "sokdak-1.jar".to_owned(),
            failed: false,
        };
        host.releases.insert(v1.clone(), release);
    }
    let nginx = hosts.values_mut().filter_map(|host| host.nginx.as_mut());
    for (nginx, slot) in nginx.zip(slots.iter().cycle()) {
        let generation = "location = /__nonstop/generation { return 200 \"run-0\"; }\n";
        match story.twists.style {
            Style::Site => nginx.site(SITE, &site_of(config, slot, generation)),
            Style::PerSlot => nginx.site(SITE, &site_of(config, slot, "")),
            Style::Include => includes(nginx, config, slot),
        }
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
    if let Some(gone) = story.twists.gone {
        goes(world, &ordered[usize::try_from(gone.host).unwrap()], gone);
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

/// A host that is gone for long, or for good.
fn goes(world: &mut World, host: &HostName, gone: Gone) {
    let (at, name) = (Instant::now() + gone.at, host.clone());
    let back = gone.back.map(|back| at + back);
    match gone.how {
        How::Dead => {
            world.happens(at, host, "is gone", move |world| world.crash(&name));
            if let Some(back) = back {
                let name = host.clone();
                world.happens(back, host, "is back", move |world| world.boot(&name));
            }
        }
        How::Asleep => world.happens(at, host, "is out of reach", move |world| {
            let back = back.unwrap_or_else(|| Instant::now() + Duration::from_secs(864_000));
            world.cut_off.insert(name, back);
        }),
    }
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

/// The weather clears up: what was wrong is mended, and nothing more goes wrong. Only a host that people leave
/// out may still be gone.
pub(crate) fn calms_down(world: &mut World, gone: Option<&HostName>) {
    world.weather = None;
    world.is_spared();
    world.links.clear();
    world.hooks.fates.clear();
    world.cut_off.retain(|name, _| Some(name) == gone);
    let names: Vec<_> = world.hosts.keys().cloned().collect();
    for name in names {
        if Some(&name) != gone {
            world.boot(&name);
        }
        let host = world.host(name.as_str());
        host.disk_is_full = false;
        host.tight = None;
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

//! What befalls a fleet from outside: power, links, disks, processes, other people.

use std::time::Duration;

use nonstop::model::names::{HostName, Port};
use tokio::time::Instant;

use crate::story::Strike;
use crate::world::{Health, SimHost, SimNginx, World};

/// What a person leaves in a file of ours.
pub(crate) const EDITED: &str = "# edited by hand";

/// Lets a strike befall the fleet at an instant. Hosts are counted through, WAS hosts first.
pub(crate) fn strikes(world: &mut World, hosts: &[HostName], at: Instant, strike: Strike) {
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
                world.host(name.as_str()).crashes(port(second));
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
        Strike::Link(nginx, was, lasts) => {
            let with_role = |is_nginx: bool| {
                hosts
                    .iter()
                    .filter(move |it| it.as_str().starts_with("nginx") == is_nginx)
            };
            let nth = |number: u64, is_nginx: bool| {
                let count = with_role(is_nginx).count().max(1);
                with_role(is_nginx)
                    .nth(usize::try_from(number).unwrap() % count)
                    .cloned()
            };
            if let (Some(nginx), Some(was)) = (nth(nginx, true), nth(was, false)) {
                world.happens(at, &nginx.clone(), "no longer reaches a WAS host", move |world| {
                    let now = Instant::now();
                    world.links.insert((nginx, was), (now, now + lasts));
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
                    text.push_str(EDITED);
                    text.push('\n');
                }
            });
        }),
    }
}

//! Decides whether what was seen may be: after every effect, when a controller ends, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nonstop::engine::run::Verdict;
use nonstop::model::decision::stays_with;
use nonstop::model::hook::{HookId, HookPlace, HookState};
use nonstop::model::names::{HostName, Port, RunId};
use nonstop::model::outcome::{Exit, Outcome};
use nonstop::model::playbook::Playbook;
use nonstop::model::record::RunStatus;
use nonstop::model::token::TokenState;
use nonstop::remote::command::{Command, Confirm};

use crate::strike::EDITED;
use crate::world::{Process, Shares, SimHost, SimNginx, World};

/// Where each nginx host leads: what it runs, or would run after a boot. The ports, and in stories of several
/// routings with each the address and its weight.
pub(crate) type Routes = BTreeMap<HostName, Leads>;
pub(crate) type Leads = BTreeSet<(u16, String)>;

pub(crate) fn routes(world: &World) -> Routes {
    let mut routes = all_routes(world);
    routes.retain(|name, _| !world.hosts[name].is_left_out);
    routes
}

/// The same without the hosts that are left out: with a single slot they are in no routing that a run leads to, the way
/// back from its second leg on included.
pub(crate) fn of_those_asked(world: &World, mut routes: Routes) -> Routes {
    if world.shares == Shares::Single {
        let left_out = world.hosts.values().filter(|host| host.is_left_out);
        let left_out: Vec<String> = left_out.map(|host| format!("{}*", host.address)).collect();
        let is_asked =
            |(_, at): &(u16, String)| !left_out.iter().any(|address| at.starts_with(address.as_str()));
        for leads in routes.values_mut() {
            leads.retain(is_asked);
        }
    }
    routes
}

/// The same, of hosts too of which a person says that they carry no traffic.
pub(crate) fn all_routes(world: &World) -> Routes {
    let routed = world.hosts.iter().filter_map(|(name, host)| {
        let nginx = host.nginx.as_ref()?;
        let shares = if host.is_up {
            nginx.shares()
        } else {
            SimNginx::shares_on(&nginx.files)
        };
        let lead = |((address, port), weight): &((String, Port), u32)| {
            let exactly = (world.shares != Shares::Whole).then(|| format!("{address}*{weight}"));
            (port.number(), exactly.unwrap_or_default())
        };
        Some((name.clone(), shares.iter().map(lead).collect()))
    });
    routed.collect()
}

/// The one routing that all have.
pub(crate) fn uniform(routes: &Routes) -> Option<&Leads> {
    let all: BTreeSet<_> = routes.values().collect();
    all.first().copied().filter(|_| all.len() == 1)
}

/// Whether it leads to both slots.
pub(crate) fn is_between(leads: &Leads) -> bool {
    leads.iter().map(|(port, _)| port).collect::<BTreeSet<_>>().len() > 1
}

/// What a word of confirmation rests on: every nginx host runs the same as the one that is told, and its
/// watch leaves a third of its deadline. A host that a fault has struck since cannot be known.
pub(crate) fn may_confirm(
    world: &World,
    host: &HostName,
    confirm: &Confirm,
    deadline: Duration,
) -> Result<(), String> {
    let routes = all_routes(world);
    let slack = deadline / 20;
    for (name, it) in &world.hosts {
        let Some(nginx) = it
            .nginx
            .as_ref()
            .filter(|_| !world.is_left_out_by(name, &confirm.fence.run))
        else {
            continue;
        };
        if it.has_booted_lately() || !it.is_up {
            continue;
        }
        if routes[name] != routes[host] {
            return Err(format!("{host} is confirmed, and {name} is not switched"));
        }
        // Nothing was armed where nothing had to be switched.
        let Some((_, token)) = nginx.newest(&confirm.token.run) else {
            continue;
        };
        match (token.state, token.left(&it.clock)) {
            (TokenState::Confirmed, _) => {}
            (TokenState::Armed, Some(left)) if left + slack >= deadline / 3 => {}
            (state, left) => {
                return Err(format!(
                    "{host} is confirmed, and the token of {name} is {state:?} with {left:?} left"
                ));
            }
        }
    }
    Ok(())
}

/// What is wrong with a way back: it leads to where traffic was before the run, and never to a routing of its own.
fn leads_home(world: &World, host: &HostName, home: &RunId) -> Option<String> {
    let saved = world.hosts[host].nginx.as_ref()?.homes.get(home)?;
    let targets = SimNginx::targets_on(&saved.files).into_iter();
    let ports: BTreeSet<_> = targets.map(|(_, port)| port).collect();
    (ports.len() > 1).then(|| format!("{host} is led back to {ports:?}"))
}

/// Which confirms have begun, and what was found wrong with one.
#[derive(Debug, Default)]
pub(crate) struct Confirms {
    began: BTreeSet<RunId>,
}

impl Confirms {
    /// Looks at a command that is about to be sent.
    pub(crate) fn sees(&mut self, world: &mut World, host: &HostName, command: &Command, deadline: Duration) {
        let confirm = match command {
            Command::Confirm(confirm) => confirm,
            Command::Revert(revert) => {
                world.broken.extend(leads_home(world, host, &revert.home));
                return;
            }
            _ => return,
        };
        if !self.began.insert(confirm.token.run.clone()) {
            return;
        }
        if let Err(broken) = may_confirm(world, host, confirm, deadline) {
            world.broken.push(broken);
        }
    }
}

/// Whether nginx hosts that disagree may do so: the design names when they may.
pub(crate) fn split_is_named(world: &World) -> bool {
    let mut states = BTreeSet::new();
    let mut runs: BTreeMap<RunId, BTreeSet<u32>> = BTreeMap::new();
    for host in world.hosts.values() {
        let Some(nginx) = &host.nginx else { continue };
        let of: BTreeSet<_> = nginx.tokens.keys().map(|id| run_of(&id.run)).collect();
        for run in of {
            if let Some((number, token)) = nginx.newest_of(&run) {
                runs.entry(run)
                    .or_default()
                    .insert(stays_with(number, token.state));
                let watched = token.left(&host.clock).is_some() && host.is_up;
                let lost_watch = token.state == TokenState::Armed && !watched;
                let unrestored = token.state == TokenState::Fired && !token.restored;
                // nginx refused the reload of a way back: what it runs is not what was put in place.
                let refused = token.state == TokenState::Reverted
                    && nginx.targets() != SimNginx::targets_on(&nginx.files);
                // It rebooted while armed, and its way back was planned before.
                let rebooted = token.state == TokenState::Reverted && host.clock.boot > 1;
                if lost_watch || unrestored || refused || rebooted {
                    states.insert(token.state);
                }
            }
        }
    }
    let amid_confirms = |routings: &BTreeSet<u32>| routings.len() > 1;
    !states.is_empty() || runs.values().any(amid_confirms)
}

/// The run that a switch belongs to: its own name, without the number.
fn run_of(switch: &RunId) -> RunId {
    let name = switch.as_str().split('.').next().unwrap_or_default();
    RunId::new(name).unwrap()
}

/// Whether a verdict is true of what is there now.
pub(crate) fn is_true(
    verdict: Verdict,
    before: &Routes,
    now: &Routes,
    may_change: bool,
) -> Result<(), String> {
    // Whom a run leaves out is no part of what it speaks of.
    let is_same = |(host, leads): (&HostName, &Leads)| now.get(host).is_none_or(|now| now == leads);
    let unchanged = before.iter().all(is_same) || may_change;
    match verdict.outcome {
        Outcome::Deployed if verdict.exit != Exit::Mixed => uniform(now).map_or(
            Err(format!("deployed, and nginx hosts disagree: {now:?}")),
            |leads| {
                if is_between(leads) {
                    Err(format!("deployed, and traffic goes to {leads:?}"))
                } else {
                    Ok(())
                }
            },
        ),
        Outcome::Waiting if uniform(now).is_none() => {
            Err(format!("it waits, and nginx hosts disagree: {now:?}"))
        }
        Outcome::AsItWas if !unchanged => Err(format!("as it was, and {before:?} became {now:?}")),
        Outcome::RolledBack if uniform(now).is_none() && (uniform(before).is_some() || before != now) => {
            Err(format!("rolled back, and nginx hosts disagree: {now:?}"))
        }
        Outcome::RolledBack if uniform(before).is_some() && !unchanged => {
            Err(format!("rolled back, and {before:?} became {now:?}"))
        }
        _ if verdict.exit == Exit::Internal => Err("an internal error".to_owned()),
        _ => Ok(()),
    }
}

/// What is wrong with the end of a run on a single slot: every host that it had a part in is routed to and runs the
/// same release.
pub(crate) fn is_one_release(world: &World, left_out: Option<&HostName>) -> Result<(), String> {
    let is_empty = routes(world).values().all(BTreeSet::is_empty);
    if world.shares != Shares::Single || is_empty {
        return Ok(());
    }
    let was = world
        .hosts
        .iter()
        .filter(|(name, host)| Some(*name) != left_out && !host.ports.is_empty());
    let mut releases = BTreeSet::new();
    for (name, host) in was {
        let address = host.address.as_str();
        let routed = |host: &SimHost| {
            let nginx = host.nginx.as_ref().filter(|_| host.is_up && !host.is_left_out);
            nginx.is_none_or(|nginx| nginx.targets().iter().any(|(target, _)| target == address))
        };
        if !world.hosts.values().all(routed) {
            return Err(format!("{name} is out of a routing"));
        }
        releases.extend(host.instances.values().map(|record| &record.release));
    }
    if releases.len() > 1 {
        return Err(format!("hosts run {releases:?}"));
    }
    Ok(())
}

/// Whether a fault ever hit something that serves, on another host than this one.
pub(crate) fn was_struck(world: &World, but: Option<&HostName>) -> bool {
    let mut others = world.hosts.iter().filter(|(name, _)| Some(*name) != but);
    others.any(|(_, host)| !host.struck.is_empty() || host.clock.boot > 1)
}

/// What nginx hosts run that nobody edited by hand.
pub(crate) fn unedited(world: &World, mut routes: Routes) -> Routes {
    routes.retain(|name, _| {
        let nginx = world.hosts[name].nginx.as_ref();
        nginx.is_some_and(|nginx| !nginx.holds(EDITED))
    });
    routes
}

/// Whether an instance to which nobody routes has connections.
pub(crate) fn idle_slot_is_busy(world: &World) -> bool {
    let leads = routes(world).into_values().flatten();
    let routed: BTreeSet<_> = leads.map(|(port, _)| port).collect();
    let idle = |port: &&Port| !routed.contains(&port.number());
    let is_busy = |host: &SimHost| {
        host.ports
            .values()
            .filter(idle)
            .any(|port| host.connected(*port) > 0)
    };
    world.hosts.values().any(is_busy)
}

/// A watch that is still armed, if there is one.
pub(crate) fn watch_that_waits(world: &World) -> Option<String> {
    world.hosts.iter().find_map(|(name, host)| {
        let mut tokens = host.nginx.as_ref().filter(|_| host.is_up)?.tokens.iter();
        let (id, _) = tokens.find(|(_, token)| token.left(&host.clock).is_some())?;
        Some(format!("a watch of {} waits on {name}", id.run))
    })
}

/// Whether everything is closed, on all hosts but the one that a run left out: no lock, no open record, no watch
/// that waits.
pub(crate) fn is_closed(world: &World, left_out: Option<&HostName>) -> Result<(), String> {
    let asked = || world.hosts.iter().filter(|(name, _)| Some(*name) != left_out);
    for (name, host) in asked() {
        let lock = host.lock_now();
        if let Some(run) = lock.run.as_ref().filter(|_| lock.is_held()) {
            return Err(format!("{name} is locked by {run}"));
        }
    }
    if let Some(waits) = watch_that_waits(world) {
        return Err(waits);
    }
    // What one host says to be done is done: another one may have missed the word.
    let records = || asked().filter_map(|(_, host)| host.record.as_ref());
    let newest = records().map(|record| (record.epoch, record.place().0)).max();
    let mut of_newest = records()
        .filter(|record| Some((record.epoch, record.place().0)) == newest)
        .peekable();
    match of_newest.peek().map(|record| record.run.clone()) {
        Some(run) if of_newest.all(|record| record.status == RunStatus::Open) => {
            Err(format!("the record of {run} is open"))
        }
        _ => Ok(()),
    }
}

/// A hook that runs on.
pub(crate) fn hook_that_runs(world: &World) -> Option<String> {
    let observed = world.observed();
    let mut hooks = observed
        .hosts
        .iter()
        .flat_map(|(name, seen)| seen.hooks.iter().map(move |it| (name, it)));
    let (name, it) = hooks.find(|(_, it)| it.state == HookState::Running)?;
    Some(format!("hook {} of {} runs on {name}", it.hook, it.run))
}

/// A hook for the first host that ran on two of them in one run.
pub(crate) fn first_on_two(world: &World, playbook: &Playbook) -> Option<String> {
    let is_first = |hook: HookId| {
        let hook = playbook.hooks.get(hook);
        hook.is_some_and(|hook| hook.place == HookPlace::First)
    };
    let mut seen = BTreeSet::new();
    let firsts = world.hooks.begun.keys().filter(|(_, _, hook)| is_first(*hook));
    let mut twice = firsts.filter(|(_, run, hook)| !seen.insert((run, hook)));
    let (_, run, hook) = twice.next()?;
    Some(format!("hook {hook} of {run} ran twice, on two hosts"))
}

/// A process that a start left behind and that is on record nowhere.
pub(crate) fn orphan(world: &World) -> Option<String> {
    let of = |(name, host): (&HostName, &SimHost)| {
        let on_record = |it: &Process| {
            host.instances
                .values()
                .any(|record| record.identity == it.identity)
        };
        let mut processes = host.processes.iter();
        let orphan = processes.find(|it| it.lives() && it.word.is_some() && !on_record(it))?;
        Some(format!("process {} on {name} is nobody's", orphan.identity.pid))
    };
    world.hosts.iter().find_map(of)
}

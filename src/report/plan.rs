//! What `nonstop plan` prints: what is live, every step on every host, and every nginx file as a
//! diff. It is the same plan that `deploy` follows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use similar::TextDiff;

use crate::model::endpoint::{Endpoint, Instance};
use crate::model::hook::{Hook, HookPlace};
use crate::model::names::{HostName, Port, ReleaseId, RemotePath, SlotName};
use crate::model::observed::Observed;
use crate::model::plan::{HostStep, Plan, Stage, StartRunner, Step, Switch};
use crate::model::process::StopTarget;
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::strategy::Hold;
use crate::model::topology::Topology;
use crate::model::unit::{AtBoot, Unit};
use crate::report::harmless::{harmless, harmless_indented, harmless_whole};
use crate::report::output::Palette;
use crate::report::{findings, status, table, units};

/// Stands in a plan's command line for the jar's path, which only the host knows in full.
const JAR_PLACEHOLDER: &str = "{jar}";

/// The plan as people read it.
pub fn render(plan: &Plan, topology: &Topology, observed: &Observed, palette: Palette) -> String {
    let mut lines = head(plan, topology);
    let mut section = |title: &str, body: Vec<String>| {
        if !body.is_empty() {
            lines.push(String::new());
            lines.push(palette.heading(title));
            lines.extend(
                body.into_iter()
                    .map(|line| format!("  {line}").trim_end().to_owned()),
            );
        }
    };
    let status = status::Status::read(topology, observed);
    section("now", status::hosts(&status, palette));
    let warnings = findings::render(&plan.warnings, palette);
    section("warnings", warnings.lines().map(str::to_owned).collect());
    section("routings", routings(plan, topology));
    section("steps", steps(plan, topology));
    section("nginx files", files(plan, palette));
    lines.push(String::new());
    lines.push("Nothing was changed: this is what would be done now.".to_owned());
    lines.join("\n") + "\n"
}

fn head(plan: &Plan, topology: &Topology) -> Vec<String> {
    let from = match (&plan.from, &plan.from_release) {
        (Some(slot), Some(release)) => format!("{slot} ({release})"),
        (Some(slot), None) => format!("{slot} (a release that nonstop did not start)"),
        (None, _) => "nothing".to_owned(),
    };
    let release = &plan.release;
    vec![
        format!("{}: from {from} to {} ({})", topology.app, plan.to, release.id),
        format!(
            "  jar {}, {}, sha256 {}",
            harmless(&release.jar_name),
            units::bytes(release.size_bytes),
            harmless(&release.sha256)
        ),
    ]
}

/// Every routing in order, where there are more than the one now and the one to come.
fn routings(plan: &Plan, topology: &Topology) -> Vec<String> {
    let waits = |hold: &Hold| *hold != Hold::None;
    if plan.routings.len() < 3 && !plan.holds.iter().any(waits) {
        return Vec::new();
    }
    let is_new = |endpoint: &Endpoint| topology.slot_of(endpoint) == Some(&plan.to);
    // With a single slot every endpoint is of it: what differs is the release.
    let single = topology.has_single_slot();
    let row = |(number, routing): (usize, &Routing)| {
        let name = if number == 0 {
            "now".to_owned()
        } else {
            number.to_string()
        };
        let (share, instances) = if single {
            host_by_host(plan, routing, topology)
        } else {
            let share = format!("{} % to {}", routing.percent(is_new), plan.to);
            let instances = routing.iter().map(|(instance, weight)| match weight.0 {
                1 => instance.endpoint.to_string(),
                weight => format!("{} *{weight}", instance.endpoint),
            });
            (share, instances.collect::<Vec<_>>().join(", "))
        };
        let then = plan.holds.get(number).copied().unwrap_or_default();
        [name, share, instances, hold(then)]
    };
    let rows: Vec<_> = plan.routings.iter().enumerate().map(row).collect();
    table::aligned(&rows)
}

/// A routing of a single slot: how many of its hosts have the new release, and each host with what it has.
fn host_by_host(plan: &Plan, routing: &Routing, topology: &Topology) -> (String, String) {
    let is_new = |instance: &&Instance| instance.release.as_ref() == Some(&plan.release.id);
    let all = routing.instances().count();
    let share = format!("{} of {all} new", routing.instances().filter(is_new).count());
    let told = |host: &HostName| {
        let mut of_host = routing
            .instances()
            .filter(|instance| instance.endpoint.host == *host);
        match of_host.next() {
            None => format!("{host} out"),
            Some(instance) if is_new(&instance) => format!("{host} new"),
            Some(_) => format!("{host} old"),
        }
    };
    // One that is left out may stay in the routing for a while.
    let routed = routing.endpoints().map(|endpoint| &endpoint.host);
    let hosts: BTreeSet<&HostName> = topology.hosts_of(&plan.to).into_iter().chain(routed).collect();
    let hosts: Vec<String> = hosts.into_iter().map(told).collect();
    (share, hosts.join(", "))
}

fn hold(hold: Hold) -> String {
    match hold {
        Hold::None => String::new(),
        Hold::For { .. } => format!("for {}", units::duration(hold.duration())),
        Hold::UntilPromoted => "until `nonstop promote`".to_owned(),
    }
}

fn steps(plan: &Plan, topology: &Topology) -> Vec<String> {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for stage in &plan.stages {
        let mut phase = stage.phase.to_string();
        for (hosts, text) in merged(plan, stage, topology) {
            rows.push([std::mem::take(&mut phase), hosts, text]);
        }
    }
    table::aligned(&rows)
}

/// The steps of a stage. Hosts that do the very same share a line.
fn merged(plan: &Plan, stage: &Stage, topology: &Topology) -> Vec<(String, String)> {
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for HostStep { host, step } in &stage.steps {
        let jar = topology.was.get(host).map_or_else(String::new, |was| {
            format!("{}/releases/{}/app.jar", was.release_dir, plan.release.id)
        });
        let text = describe(host, step, &jar);
        match lines.iter_mut().find(|(_, other)| *other == text) {
            Some((hosts, _)) => hosts.push(host.as_str()),
            None => lines.push((vec![host.as_str()], text)),
        }
    }
    lines
        .into_iter()
        .map(|(hosts, text)| (hosts.join(", "), text))
        .collect()
}

fn upload(release: &Release, on_record: bool, from: Option<&RemotePath>) -> String {
    let size = units::bytes(release.size_bytes);
    match from {
        _ if on_record => format!("has {} already; its digest is checked", release.id),
        Some(from) => format!("copies {from} ({size})"),
        None => format!("receives {} ({size})", harmless(&release.jar_name)),
    }
}

fn describe(host: &HostName, step: &Step, jar: &str) -> String {
    match step {
        Step::Upload {
            release,
            on_record,
            from,
        } => upload(release, *on_record, from.as_ref()),
        Step::Retire {
            slot,
            port,
            target,
            release,
        } => retire(slot, *port, target, release.as_ref()),
        Step::Vacate {
            slot, port, target, ..
        } => vacate(slot, *port, target),
        Step::Start {
            slot,
            port,
            runner,
            env,
        } => format!("starts {slot} on {port}: {}{}", run_line(runner, jar), set(env)),
        Step::Restart { release, start, .. } => {
            format!("again with {release}: {}", describe(host, start, jar))
        }
        Step::Verify {
            endpoints, warm_up, ..
        } => {
            let own = endpoints.iter().all(|viewed| viewed.endpoint.host == *host);
            let what = if own {
                "its own endpoint".to_owned()
            } else {
                units::count(endpoints.len(), "endpoint")
            };
            let warm_up = if *warm_up { ", then warms it up" } else { "" };
            format!("asks {what} until healthy{warm_up}")
        }
        Step::Prepare(switch) => {
            let upstreams = switch.upstreams.as_ref();
            let upstreams = upstreams.map(|file| format!(", then adds an upstream to {}", file.path));
            let upstreams = upstreams.unwrap_or_default();
            format!("tests {} without it being live{upstreams}", switch.entry)
        }
        Step::Commit(switch) => commit(switch),
        Step::Hold { endpoints, duration } => format!(
            "watches {} for {}, both slots up",
            units::count(endpoints.len(), "endpoint"),
            units::duration(*duration)
        ),
        Step::AwaitPromotion => "waits for `nonstop promote`, with nothing locked".to_owned(),
        Step::Bake { endpoints } => format!(
            "watches {}, both slots up",
            units::count(endpoints.len(), "endpoint")
        ),
        Step::ProveAnswer { .. } => {
            "shows that an answer of the release comes through its listener".to_owned()
        }
        Step::SetTimer {
            slot, port, after, ..
        } => stops_later(slot, *port, *after),
        Step::DrainWorkers { .. } => "waits until nginx's old workers are done".to_owned(),
        Step::DrainConnections { slot, port } => format!("waits until {slot} ({port}) has no connections"),
        Step::Stop {
            slot,
            port,
            identity,
            successor,
        } => {
            format!(
                "stops {slot} ({port}), pid {}, if {successor} is alive and listening",
                identity.pid
            )
        }
        Step::Keep { slot, port } => format!("keeps {slot} ({port}) up"),
        Step::FinishWas { keep, .. } => format!("removes old releases beyond {keep}"),
        Step::FinishNginx { .. } => "removes what the switch left beside the live file".to_owned(),
        Step::Revert { .. } => "puts back what was there".to_owned(),
        Step::Hook(call) => hook(&call.hook),
        Step::EndHook { hook, .. } => format!("ends {hook}"),
        Step::Withdraw { .. } => "ends what the run started".to_owned(),
    }
}

fn retire(slot: &SlotName, port: Port, target: &StopTarget, release: Option<&ReleaseId>) -> String {
    let StopTarget::Process(identity) = target else {
        return format!("ends what a start that was cut off left on {slot} ({port})");
    };
    let what = release.map_or_else(|| "a release unknown".to_owned(), ToString::to_string);
    format!(
        "stops pid {} on {slot} ({port}), kept by an earlier run: {what} can then no longer be gone back to at once",
        identity.pid
    )
}

fn vacate(slot: &SlotName, port: Port, target: &StopTarget) -> String {
    let what = match target {
        StopTarget::Process(identity) => format!("pid {}", identity.pid),
        StopTarget::Start(_) => "what a start that was cut off left there".to_owned(),
    };
    format!("stops {slot} ({port}), {what}, once no nginx routes to it and others are in service")
}

fn hook(hook: &Hook) -> String {
    let at = match hook.place {
        HookPlace::Controller => " on the controller",
        HookPlace::Was | HookPlace::Nginx | HookPlace::First => "",
    };
    let user = hook.run_as.as_ref();
    let user = user.map(|user| format!(" as {user}")).unwrap_or_default();
    let (line, within) = (harmless(&hook.body.shown()), units::duration(hook.timeout));
    format!("{}{at}: runs {line}{user}, for {within} at most", hook.id)
}

fn stops_later(slot: &SlotName, port: Port, after: Duration) -> String {
    format!(
        "stops {slot} ({port}) by itself {} later, unless somebody promotes the run or takes it back; the run ends before",
        units::duration(after)
    )
}

/// The names of environment variables; a value may be a secret.
fn set(env: &BTreeMap<String, String>) -> String {
    if env.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    format!(", with {} set", names.join(", "))
}

fn run_line(runner: &StartRunner, jar: &str) -> String {
    let (argv, place) = match runner {
        StartRunner::Process { argv } => (argv, String::new()),
        StartRunner::Script {
            argv,
            chdir: Some(folder),
        } => (argv, format!(" in {folder}")),
        StartRunner::Script { argv, chdir: None } => (argv, " in the release's folder".to_owned()),
        StartRunner::Unit(unit) => return unit_line(unit),
    };
    let argv: Vec<String> = argv
        .iter()
        .map(|word| word.replace(JAR_PLACEHOLDER, jar))
        .collect();
    let line = shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| argv.join(" "));
    harmless_whole(&line) + &place
}

fn unit_line(unit: &Unit) -> String {
    let enabled = match unit.at_boot {
        AtBoot::Follows => ", enabled from then on",
        AtBoot::Untouched => "",
    };
    format!("unit {}{enabled}", unit.name)
}

fn commit(switch: &Switch) -> String {
    let takes_over = switch.takes_over.as_ref();
    let takes_over = takes_over.map_or_else(String::new, |old| format!("renames {old} to it, "));
    let how = match (&switch.link, &switch.before) {
        (Some(link), _) => format!("links it to {link}"),
        (None, None) => "puts it in place".to_owned(),
        (None, Some(_)) => "replaces it".to_owned(),
    };
    format!("{}: {takes_over}{how}, reloads and proves", switch.entry)
}

/// Hosts on which the very same text replaces the very same one.
type Change<'a> = (&'a RemotePath, &'a Option<String>, &'a str);

fn files(plan: &Plan, palette: Palette) -> Vec<String> {
    plan.commits()
        .flat_map(|stage| stage_files(stage, palette))
        .collect()
}

fn stage_files(stage: &Stage, palette: Palette) -> Vec<String> {
    let mut changes: BTreeMap<Change, Vec<&str>> = BTreeMap::new();
    for (host, switch) in stage.switches() {
        let upstreams = switch.upstreams.as_ref();
        let upstreams = upstreams.map(|file| (&file.path, &file.before, file.after.as_str()));
        let entry = (&switch.entry, &switch.before, switch.after.as_str());
        for change in upstreams.into_iter().chain([entry]) {
            changes.entry(change).or_default().push(host.as_str());
        }
    }
    let mut lines = Vec::new();
    for ((entry, before, after), hosts) in changes {
        let hosts = hosts.join(", ");
        if before.as_deref() == Some(after) {
            lines.push(format!("{hosts}: {entry} stays as it is"));
        } else {
            lines.push(format!("{hosts}: {entry}"));
            lines.extend(diff(before.as_deref(), after, palette));
        }
    }
    lines
}

fn diff(before: Option<&str>, after: &str, palette: Palette) -> Vec<String> {
    let old = if before.is_some() { "now" } else { "/dev/null" };
    let diff = TextDiff::from_lines(before.unwrap_or_default(), after);
    let unified = diff
        .unified_diff()
        .context_radius(3)
        .header(old, "then")
        .to_string();
    let paint = |line: &str| {
        let line = harmless_indented(line);
        match line.chars().next() {
            Some('+') => palette.good(&line),
            Some('-') => palette.bad(&line),
            Some('@') => palette.dim(&line),
            _ => line,
        }
    };
    unified.lines().map(paint).collect()
}

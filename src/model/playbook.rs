//! The playbook as read and validated: how one application is started, checked, switched and
//! stopped. Texts that hold `{{ … }}` stay templates here; `template` renders them per host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::hook::Hooks;
use super::names::{AppName, GroupName, JarPattern, RemotePath, SlotName};
use super::notify::Notify;
use super::strategy::Course;
use super::template::Template;
use super::unit::AtBoot;

/// A playbook, every value checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Playbook {
    /// The application.
    pub app: AppName,
    /// Which jar is deployed.
    pub artifact: Artifact,
    /// The two slots, in the order in which they are written; the first is used first. One alone where hosts
    /// cannot carry two instances.
    pub slots: Vec<Slot>,
    /// Where releases are kept on a WAS host.
    pub release: ReleasePolicy,
    /// The state folder on every host, where the default will not do.
    pub state_dir: Option<Template>,
    /// How an instance is started.
    pub start: Runner,
    /// When an instance counts as healthy.
    pub health: HealthCheck,
    /// What an endpoint answers to tell which slot it is.
    pub identify: Option<Identify>,
    /// Requests that a new instance gets before any user's.
    pub warmup: Option<Warmup>,
    /// How nginx is switched.
    pub nginx: Nginx,
    /// How a deploy moves traffic, and what happens when it fails.
    pub update: Update,
    /// When an nginx host goes home by itself.
    pub watch: Watch,
    /// How long a lock holds without a sign of life.
    pub lock: Lock,
    /// How long old connections may go on after the switch.
    pub drain: Drain,
    /// How an old instance is stopped.
    pub stop: Stop,
    /// How long both slots stay up after the switch.
    pub bake: Bake,
    /// Memory that must be there for a second instance.
    pub memory: Memory,
    /// Names of variables whose values are never shown, beside those whose names say so themselves.
    pub secrets: BTreeSet<String>,
    /// Commands of the user's own at fixed points of a run.
    pub hooks: Hooks,
    /// Who is told of runs.
    pub notify: Vec<Notify>,
    /// The folder of the playbook's file: template files are found from here.
    pub folder: PathBuf,
}

/// Which jar is deployed: the newest of those that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Artifact {
    /// On the controller: a glob, relative to the working folder.
    Controller(String),
    /// On the hosts already: a deploy agent has put it there.
    OnHost(JarPattern),
}

/// One slot: the same port number, or template, on every host of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// Its name, such as `blue`.
    pub name: SlotName,
    /// The WAS hosts.
    pub group: GroupName,
    /// The port, or a template of host variables.
    pub port: Template,
    /// Variables for templates, as `slot.vars`.
    pub vars: BTreeMap<String, String>,
}

/// Where releases live and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleasePolicy {
    /// The folder; releases lie in `releases/` below it, logs in `logs/`.
    pub dir: Template,
    /// How many releases are kept, running ones not counted.
    pub keep: u32,
}

/// How an instance is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Runner {
    /// `java … -jar app.jar …`, detached.
    Java(Java),
    /// The user's own script.
    Command(UserCommand),
    /// A unit of systemd.
    Systemd(Systemd),
}

/// The runner `systemd`: a unit of the user's own for each slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Systemd {
    /// Its name; a template of host and slot.
    pub unit: Template,
    /// What becomes of it at a boot.
    pub at_boot: AtBoot,
}

/// The runner `java`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Java {
    /// The program, a name for the `PATH` or a path; a template.
    pub bin: Template,
    /// Options before `-jar`.
    pub opts: Vec<Template>,
    /// Arguments after the jar.
    pub args: Vec<Template>,
    /// Environment variables, added to the login's own.
    pub env: BTreeMap<String, Template>,
}

/// The runner `command`: a script that starts the application by itself and returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserCommand {
    /// The program and its arguments.
    pub run: Vec<Template>,
    /// The working folder; the release's own where it is absent.
    pub chdir: Option<Template>,
    /// Environment variables beside `NONSTOP_*`.
    pub env: BTreeMap<String, Template>,
    /// How long the script itself may run.
    pub deadline: Duration,
}

/// When an instance counts as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// The path that is asked for.
    pub path: String,
    /// The status that is wanted.
    pub status: u16,
    /// Top-level or dotted JSON fields and the values that they must have.
    pub json: BTreeMap<String, String>,
    /// Text that the body must hold.
    pub body_contains: Option<String>,
    /// The time between two requests to one endpoint.
    pub interval: Duration,
    /// The deadline of one request.
    pub timeout: Duration,
    /// How long the run of successes must last.
    pub min_healthy_time: Duration,
    /// When to give up, counted from the start of the instance.
    pub healthy_deadline: Duration,
}

/// How an endpoint tells which slot it is, where slots differ in more than their port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identify {
    /// The path that is asked for.
    pub path: String,
    /// The whole body that each slot answers, without the space around it.
    pub is: BTreeMap<SlotName, String>,
}

/// Requests that fill caches and compile hot code before traffic comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warmup {
    /// The path that is asked for.
    pub path: String,
    /// How many requests every endpoint gets.
    pub requests: u32,
}

/// How nginx is switched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nginx {
    /// The nginx hosts.
    pub group: GroupName,
    /// The way in which a routing is written down.
    pub style: SwitchStyle,
    /// How nginx is told to reload.
    pub reload: ReloadWay,
    /// A request through the listener that shows which release answers.
    pub proof: Option<Proof>,
    /// The nginx program; a template.
    pub binary: Template,
    /// The main configuration file; a template. Asked from nginx where it is absent.
    pub conf: Option<Template>,
}

/// The way in which a routing is written into nginx.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchStyle {
    /// A site that we render.
    Site(Site),
    /// The user's own files, one a slot, put in place under one name.
    ConfPerSlot(ConfPerSlot),
    /// The user's own server, which reads one variable from a file of ours.
    Include(Include),
}

/// The style `site`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Site {
    /// The file that nginx includes; a template.
    pub file: Template,
    /// The names for `server_name`.
    pub server_name: Vec<String>,
    /// The port, or address and port, that nginx listens on; a template.
    pub listen: Template,
    /// Certificate and key, where the listener speaks TLS.
    pub tls: Option<Tls>,
    /// The user's own template, in place of ours.
    pub template: Option<SiteTemplate>,
    /// `client_max_body_size`, where nginx's own default of 1m is too small.
    pub client_max_body_size: Option<String>,
}

/// A user's own template of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteTemplate {
    /// Where it lies on the controller.
    pub path: PathBuf,
    /// What it holds.
    pub text: Template,
}

/// Files of a TLS listener, on the nginx host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// The certificate chain.
    pub certificate: RemotePath,
    /// The private key.
    pub key: RemotePath,
}

/// The style `conf_per_slot`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfPerSlot {
    /// The name under which the live slot's file is put in place; a template.
    pub file: Template,
    /// The user's own file of each slot, on the nginx host.
    pub slots: BTreeMap<SlotName, Template>,
    /// The port, or address and port, of the listener that the proof asks; a template.
    pub listen: Template,
    /// The name in the proof's `Host` header.
    pub server_name: Option<String>,
}

/// The style `include`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Include {
    /// The file that the user's server includes, with nothing but a `set` in it; a template.
    pub file: Template,
    /// The variable that it sets, without the `$`.
    pub variable: String,
    /// The file in nginx's `http` block in which upstreams are written, for slots of several endpoints;
    /// a template.
    pub upstream_file: Option<Template>,
    /// The port, or address and port, of the listener that the proof asks; a template.
    pub listen: Template,
    /// The name in the proof's `Host` header.
    pub server_name: Option<String>,
}

/// How nginx is told to reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadWay {
    /// `systemctl reload nginx` where systemd runs nginx, `nginx -s reload` elsewhere.
    Auto,
    /// Always `nginx -s reload`.
    Signal,
    /// Always `systemctl reload nginx`.
    Systemctl,
}

/// A request that goes through the local listener of every nginx host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The URL; its host becomes SNI and `Host`, the connection goes to the local listener.
    pub url: String,
    /// Text that the answer's body must hold; a template.
    pub expect: Template,
}

/// Memory that a host must have available before a second instance is started on it: as much as the live one
/// ever took, and a reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// What the host keeps for itself, in bytes.
    pub reserve_bytes: u64,
    /// What happens where less is there.
    pub check: MemoryCheck,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            reserve_bytes: 128 << 20,
            check: MemoryCheck::Refuse,
        }
    }
}

/// What happens where a host has too little memory for two instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryCheck {
    /// The run is refused.
    Refuse,
    /// It is said, and the run goes on.
    Warn,
    /// Nothing.
    Off,
}

/// How a deploy moves traffic, and what happens when it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Update {
    /// How traffic moves, and who lets it.
    #[serde(flatten)]
    pub course: Course,
    /// Whether the fleet goes back by itself when the new slot fails in the bake.
    pub auto_revert: bool,
}

/// How long old connections may go on after the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Drain {
    /// When to stop waiting.
    pub deadline: Duration,
    /// What to do then.
    pub on_deadline: OnDeadline,
}

/// What to do with an old slot that has connections left at the drain's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeadline {
    /// Leave it running, with a warning.
    Keep,
    /// Stop it; what is still in flight is lost.
    Cut,
}

/// How an old instance is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// The time between TERM and KILL.
    pub grace: Duration,
}

/// How long both slots stay up after the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bake {
    /// How long.
    pub duration: Duration,
    /// What becomes of the old slot afterwards.
    pub then: AfterBake,
}

/// What becomes of the old slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterBake {
    /// It is drained and stopped.
    Stop,
    /// Its hosts stop it by themselves when the time is over: the run has ended before.
    LeftToHosts,
    /// It stays up: a rollback is an instant switch until the next deploy retires it.
    Keep,
}

impl Playbook {
    /// The slot of that name.
    pub fn slot(&self, name: &SlotName) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == *name)
    }

    /// The slot that is not `name`; the only one where there is no other.
    pub fn other_slot(&self, name: &SlotName) -> &Slot {
        let other = self.slots.iter().find(|slot| slot.name != *name);
        other.unwrap_or(&self.slots[0])
    }

    /// The only slot, where hosts carry one instance each.
    pub fn only_slot(&self) -> Option<&Slot> {
        match self.slots.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// The dead-man's watch of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// How long after its commit an nginx host goes home by itself, unless the switch was confirmed.
    #[serde(with = "super::seconds")]
    pub deadline: Duration,
}

impl Watch {
    /// The shortest deadline that leaves time for a commit, its proof and the confirms.
    pub const SHORTEST: Duration = Duration::from_secs(5);

    /// How long a reload may take until it is proven. nginx retries a refused listener for about 2.5 s,
    /// so that less than 5 s could call a slow reload a refused one; but the proof must leave half of
    /// the deadline for what comes after it.
    pub fn proof_deadline(self) -> Duration {
        (self.deadline / 2).min(Duration::from_secs(8))
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
        }
    }
}

/// The lock's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// How long a host keeps the lock of a run that gives no sign of life.
    #[serde(with = "super::seconds")]
    pub lease: Duration,
}

impl Lock {
    /// The shortest lease that a busy host and a slow line do not break.
    pub const SHORTEST_LEASE: Duration = Duration::from_secs(5);
}

impl Default for Lock {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
        }
    }
}

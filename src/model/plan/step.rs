//! What a plan is made of. A stage runs at once on all of its hosts, and the steps of one host one after
//! another; a stage begins when all hosts are through with the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::endpoint::Endpoint;
use crate::model::event::Event;
use crate::model::finding::Finding;
use crate::model::hook::{HookCall, HookId, HookPoint};
use crate::model::names::{HostName, Port, ReleaseId, RemotePath, RunId, SlotName};
use crate::model::observed::NginxObserved;
use crate::model::phase::Phase;
use crate::model::process::{ProcessIdentity, StopTarget};
use crate::model::release::Release;
use crate::model::routing::Routing;
use crate::model::strategy::{Course, Hold};
use crate::model::unit::Unit;

/// The way from one routing to the next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The slot that has the traffic; absent on an empty fleet.
    pub from: Option<SlotName>,
    /// The slot that gets it.
    pub to: SlotName,
    /// The release that has the traffic, where it is known.
    pub from_release: Option<ReleaseId>,
    /// The release that gets it.
    pub release: Release,
    /// The routings that nginx goes through, the first being what it has now.
    pub routings: Vec<Routing>,
    /// What follows each of them, in the same order.
    pub holds: Vec<Hold>,
    /// How it goes from the first to the last.
    pub course: Course,
    /// What is done, in order.
    pub stages: Vec<Stage>,
    /// What a person should know, though it does not stop the run.
    pub warnings: Vec<Finding>,
}

/// Steps that run at once on different hosts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// The phase.
    pub phase: Phase,
    /// The steps, those of one host in their order.
    pub steps: Vec<HostStep>,
}

/// A step on its host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostStep {
    /// The host.
    pub host: HostName,
    /// What is done there.
    pub step: Step,
}

/// What is done on one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// The jar is sent, or taken from where a deploy agent has put it, unless it is there already.
    Upload {
        /// The release.
        release: Release,
        /// Whether the host has it on record: then only its digest is taken.
        on_record: bool,
        /// Where it lies on the host; `None` where it is sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<RemotePath>,
    },
    /// What an earlier run kept on the idle slot, or left there, is ended.
    Retire {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
        /// What is ended.
        target: StopTarget,
        /// Its release, where it is known.
        release: Option<ReleaseId>,
    },
    /// An instance that gets no requests any more is ended, so that the next one is started in its place.
    Vacate {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
        /// What is ended.
        target: StopTarget,
        /// Its release, where it is known.
        release: Option<ReleaseId>,
    },
    /// An instance is started.
    Start {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
        /// The program and its arguments, rendered.
        runner: StartRunner,
        /// Environment variables; a plan that is shown has their names only.
        #[serde(serialize_with = "names")]
        env: BTreeMap<String, String>,
    },
    /// An old instance that the kernel killed is started again, and asked until it is healthy.
    Restart {
        /// Its release.
        release: ReleaseId,
        /// How it is started: a `Start`.
        start: Box<Step>,
        /// Where it is asked.
        own: Viewed,
    },
    /// Endpoints are asked from this host until they are healthy.
    Verify {
        /// The endpoints, each with the address to ask at.
        endpoints: Vec<Viewed>,
        /// For how long they must be healthy without a break.
        min_healthy_time: Duration,
        /// Whether the host warms its own endpoint up afterwards.
        warm_up: bool,
    },
    /// The candidate is tested.
    Prepare(Box<Switch>),
    /// The candidate is put in place, reloaded and proven.
    Commit(Box<Switch>),
    /// The new endpoints are watched from this host while traffic stays between the slots.
    Hold {
        /// The endpoints.
        endpoints: Vec<Viewed>,
        /// For how long.
        duration: Duration,
    },
    /// The run ends here, and goes on when a person says so.
    AwaitPromotion,
    /// The endpoints are watched from this host while both slots are up.
    Bake {
        /// The endpoints.
        endpoints: Vec<Viewed>,
    },
    /// An answer of the release comes through this host's listener.
    ProveAnswer {
        /// What the playbook's own proof must find in it.
        expect: Option<String>,
        /// The new endpoints, for a proof by arrival.
        endpoints: Vec<Endpoint>,
    },
    /// The end of the old instance is left to its host.
    SetTimer {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
        /// The process.
        identity: ProcessIdentity,
        /// From where nginx connects.
        nginx: BTreeSet<IpAddr>,
        /// How long from then.
        after: Duration,
        /// Where the new instance is asked.
        own: Viewed,
    },
    /// Old workers finish their requests.
    DrainWorkers {
        /// Their master.
        master: ProcessIdentity,
    },
    /// Old connections to a slot end.
    DrainConnections {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
    },
    /// The old instance is ended, if its successor is alive and listening.
    Stop {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
        /// The process.
        identity: ProcessIdentity,
        /// The slot whose process must be alive and listening on this host.
        successor: SlotName,
    },
    /// The old instance stays up, as the playbook says.
    Keep {
        /// The slot.
        slot: SlotName,
        /// Its port.
        port: Port,
    },
    /// The release is marked as good, and old ones are removed.
    FinishWas {
        /// How many are kept.
        keep: u32,
        /// Which are kept whatever their age.
        protected: BTreeSet<ReleaseId>,
    },
    /// What the switch left beside the live file is removed.
    FinishNginx {
        /// Which files.
        clean: CleanUp,
    },
    /// Home is put back, reloaded and proven.
    Revert {
        /// The generation that home had, where its file names one.
        generation: Option<String>,
        /// The nginx as it is now; `None` where it could not be looked at.
        nginx: Option<NginxFacts>,
    },
    /// What this run started is ended, unfinished uploads are removed, and the release
    /// is marked as failed.
    Withdraw {
        /// What is ended.
        instance: Option<(SlotName, Port, StopTarget)>,
        /// The release.
        release: ReleaseId,
        /// Whether it is marked as failed.
        mark_failed: bool,
    },
    /// A hook of the playbook runs.
    Hook(Box<HookCall>),
    /// A hook that an earlier step has left running is ended.
    EndHook {
        /// The run to which it belongs.
        run: RunId,
        /// The hook.
        hook: HookId,
    },
}

/// An endpoint as one host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Viewed {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What this host connects to: the loopback for its own endpoint.
    pub address: String,
}

/// How an instance is started, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartRunner {
    /// The words are the process itself.
    Process {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// The words are the user's script, which starts the process.
    Script {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The working folder; the release's own where it is absent.
        chdir: Option<RemotePath>,
    },
    /// A unit of systemd.
    Unit(Unit),
}

/// What a switch must know of a running nginx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NginxFacts {
    /// Its main configuration file.
    pub conf: RemotePath,
    /// Its error log, where that is a file.
    pub error_log: Option<RemotePath>,
    /// The master, which must be the same before and after.
    pub master: ProcessIdentity,
}

impl NginxFacts {
    /// The facts of an observed nginx; `None` if none runs.
    pub fn of(nginx: &NginxObserved) -> Option<Self> {
        let master = nginx.master.as_ref()?.identity.clone();
        Some(Self {
            conf: nginx.conf.clone(),
            error_log: nginx.error_log.clone(),
            master,
        })
    }
}

/// One nginx host's switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Switch {
    /// To which routing of its run it leads; the first after the one before the run is 1.
    pub number: u32,
    /// The name that nginx includes.
    pub entry: RemotePath,
    /// Where bytes are written: the entry, or the file that its link leads to.
    pub target: RemotePath,
    /// The nginx that is switched.
    pub nginx: NginxFacts,
    /// The file of an earlier tool that is renamed to the entry first.
    pub takes_over: Option<RemotePath>,
    /// What nginx reads there now; `None` where nothing is.
    pub before: Option<String>,
    /// What nginx will read there.
    pub after: String,
    /// The link that is written in place of bytes.
    pub link: Option<RemotePath>,
    /// Upstreams that are put in place once they are tested: until the switch nothing names the new one.
    pub upstreams: Option<UpstreamFile>,
    /// The main file with its include led to `{candidate}`.
    pub shadow: String,
    /// What the generation endpoint will answer; `None` with the user's own files.
    pub generation: Option<String>,
    /// What the playbook's own proof must find in the answer.
    pub expect: Option<String>,
    /// The new endpoints, for a proof by arrival.
    pub endpoints: Vec<Endpoint>,
}

/// The file with the upstreams that the style `include` may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpstreamFile {
    /// The file.
    pub path: RemotePath,
    /// What is there; `None` where nothing is.
    pub before: Option<String>,
    /// What will be there, with every upstream that is in use as it was.
    pub after: String,
}

/// Files that a switch leaves beside the live one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CleanUp {
    /// The name that nginx includes.
    pub entry: RemotePath,
    /// Where the candidate was written.
    pub target: RemotePath,
    /// nginx's main file, beside which the shadow lay.
    pub conf: RemotePath,
}

impl Plan {
    /// The event that says what is going to be done.
    pub fn announced(&self) -> Event {
        Event::Planned {
            from: self.from.clone(),
            to: self.to.clone(),
            from_release: self.from_release.clone(),
            release: self.release.id.clone(),
            phases: self.phases(),
        }
    }

    /// The phases, in order.
    pub fn phases(&self) -> Vec<Phase> {
        self.stages.iter().map(|stage| stage.phase).collect()
    }

    /// The stage of a phase.
    pub fn stage(&self, phase: Phase) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.phase == phase)
    }

    /// Every nginx host's switch to the last routing.
    pub fn switches(&self) -> BTreeMap<&HostName, &Switch> {
        self.commits().last().map(Stage::switches).unwrap_or_default()
    }

    /// The stages that switch, one for each routing.
    pub fn commits(&self) -> impl Iterator<Item = &Stage> {
        self.stages.iter().filter(|stage| stage.phase == Phase::Commit)
    }
}

impl Stage {
    /// Every nginx host's switch in this stage.
    pub fn switches(&self) -> BTreeMap<&HostName, &Switch> {
        let steps = self.steps.iter();
        steps
            .filter_map(|step| match &step.step {
                Step::Commit(switch) => Some((&step.host, switch.as_ref())),
                _ => None,
            })
            .collect()
    }

    /// The point of whose hooks it is one.
    pub fn hooks_of(&self) -> Option<HookPoint> {
        self.steps.iter().find_map(|on| match &on.step {
            Step::Hook(call) => Some(call.hook.id.point),
            _ => None,
        })
    }

    /// Whether it only ends hooks that were left running.
    pub fn ends_hooks(&self) -> bool {
        self.steps
            .iter()
            .any(|on| matches!(on.step, Step::EndHook { .. }))
    }

    /// Whether the run ends with this stage until a person says that it goes on.
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|on| on.step == Step::AwaitPromotion)
    }
}

fn names<S: Serializer>(env: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(env.keys())
}

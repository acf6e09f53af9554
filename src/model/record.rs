//! The run record that a run leaves on every host: what it meant to do, readable by a person.
//! It holds intent only; what is true is always observed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::endpoint::{Endpoint, Instance};
use super::journey::Journey;
use super::lock::{Epoch, Owner};
use super::names::{HostName, ReleaseId, RunId, SlotName};
use super::phase::Phase;
use super::process::ProcessIdentity;
use super::routing::Routing;
use super::strategy::{Course, Hold, Station};
use super::timer::Window;

/// The version of the record that this program writes. It reads every earlier one.
pub const VERSION: u32 = 4;
/// The version of a record that says nothing which the last one could not: an earlier program may read it.
const PLAIN_VERSION: u32 = 2;
/// The version of a record of several routings.
const COURSE_VERSION: u32 = 3;

/// How many characters of the reason why a record cannot be read are kept.
const MAX_REASON: usize = 300;
/// How many releases that hosts still have can have been left.
const MAX_LEFT: usize = 1_000;
/// How many processes of another tool one run can have found: one on every host.
const MAX_ADOPTED: usize = 1_000;

/// The record of one run, the same on all of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of this format. A newer one than [`VERSION`] is not read.
    #[serde(default)]
    pub version: u32,
    /// The run. It keeps its name when somebody resumes it.
    pub run: RunId,
    /// The epoch of its locks.
    pub epoch: Epoch,
    /// Who started it, or went on with it last.
    pub owner: Owner,
    /// What a person asked for.
    #[serde(default)]
    pub kind: RunKind,
    /// The WAS hosts of the run.
    pub was: BTreeSet<HostName>,
    /// The nginx hosts of the run.
    pub nginx: BTreeSet<HostName>,
    /// Hosts that a person left out of this run; of an nginx host that is the statement that it carries no traffic.
    #[serde(default)]
    pub without: BTreeSet<HostName>,
    /// The routing before the run.
    #[serde(default)]
    pub from_routing: Routing,
    /// The routing that it brings.
    #[serde(default)]
    pub to_routing: Routing,
    /// How it goes from the one to the other.
    #[serde(default, skip_serializing_if = "Course::is_plain")]
    pub course: Course,
    /// Up to which of its routings nobody has to be asked any more, nor any time to pass: a person has
    /// promoted it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub promoted: u32,
    /// What the generation endpoint of each nginx host answered before the run, where it had one.
    #[serde(default)]
    pub home_generations: BTreeMap<HostName, String>,
    /// Recorded processes that were on the target slot before the run, which did not start them.
    #[serde(default)]
    pub occupants: BTreeSet<ProcessIdentity>,
    /// How many processes the kernel had killed for want of memory before the run, on hosts that had an instance of
    /// the live slot: by it the way back knows whether one of them was killed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memory_kills: BTreeMap<HostName, u64>,
    /// Whether the run starts the instances of its target slot; otherwise they were up before it.
    #[serde(default = "yes")]
    pub starts: bool,
    /// The slot that had the traffic before; absent on an empty fleet.
    pub from_slot: Option<SlotName>,
    /// The slot that gets the traffic.
    pub to_slot: Option<SlotName>,
    /// The release that it brings.
    pub release: Option<ReleaseId>,
    /// The release that had the traffic before, where it was known.
    #[serde(default)]
    pub from_release: Option<ReleaseId>,
    /// Releases that a rollback has left, or that a deploy brought which went home: no rollback chooses one by itself.
    #[serde(default)]
    pub left: BTreeSet<ReleaseId>,
    /// Processes of the application that another tool started, so that one of them that stays up is
    /// known again by the next run.
    #[serde(default)]
    pub adopted: BTreeSet<ProcessIdentity>,
    /// What it is a leg of, with a single slot; then it is none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journey: Option<Journey>,
    /// The last phase that it entered.
    pub phase: Phase,
    /// Whether the old slot's end has begun: from then on the only way is forward.
    pub point_of_no_return: bool,
    /// Whether the run is over.
    pub status: RunStatus,
    /// The hosts to which it left the end of its old slot, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// What a person asked a run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// To bring a release.
    #[default]
    Deploy,
    /// To go back to an earlier one: the release that it leaves is not chosen again.
    Rollback,
    /// To prove that going back works, one way or the other: no release is left behind for good.
    Drill,
    /// To lead nginx hosts that disagree to one slot: nothing is started, and nothing is stopped.
    Converge,
}

/// Whether a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It runs, or it died.
    Open,
    /// It waits for a person to promote it: no lock, no lease, no watch.
    Waiting,
    /// It is over.
    Done,
}

/// The version that a record needs at least that goes that way.
fn version_of(course: &Course) -> u32 {
    if course.is_plain() {
        PLAIN_VERSION
    } else {
        COURSE_VERSION
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl RunRecord {
    /// The record of a run that begins and of which nothing else is known yet.
    pub fn opened(run: RunId, epoch: Epoch, owner: Owner) -> Self {
        Self {
            version: PLAIN_VERSION,
            run,
            epoch,
            owner,
            kind: RunKind::default(),
            was: BTreeSet::new(),
            nginx: BTreeSet::new(),
            without: BTreeSet::new(),
            from_routing: Routing::default(),
            to_routing: Routing::default(),
            course: Course::default(),
            promoted: 0,
            home_generations: BTreeMap::new(),
            occupants: BTreeSet::new(),
            memory_kills: BTreeMap::new(),
            starts: true,
            from_slot: None,
            to_slot: None,
            release: None,
            from_release: None,
            left: BTreeSet::new(),
            adopted: BTreeSet::new(),
            journey: None,
            phase: Phase::Preflight,
            point_of_no_return: false,
            status: RunStatus::Open,
            window: None,
        }
    }

    /// Reads a record as a host has it, or says on one harmless line why it cannot be read: it is torn, of
    /// a newer version, or holds what no run ever wrote.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        Self::understand(json).map_err(|reason| {
            // What makes no sense is quoted, and may be anything.
            let printable = |c: char| if c.is_control() { ' ' } else { c };
            reason.chars().take(MAX_REASON).map(printable).collect()
        })
    }

    fn understand(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            #[serde(default)]
            version: u32,
        }
        let newer = serde_json::from_slice::<Versioned>(json)
            .ok()
            .filter(|record| record.version > VERSION);
        if let Some(newer) = newer {
            let version = newer.version;
            return Err(format!(
                "it is of version {version}, and this program reads up to {VERSION}: take a newer one"
            ));
        }
        let record: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        // Both go into the next record, which then must not be too large to be read.
        if record.left.len() > MAX_LEFT || record.adopted.len() > MAX_ADOPTED {
            return Err("it names more releases or processes than any run leaves".to_owned());
        }
        let (old, new) = (record.from_routing.instances(), record.to_routing.instances());
        if !record.course.is_sound(old.count(), new.count()) {
            return Err("it goes a way that no run goes".to_owned());
        }
        let owner = record.owner.bounded();
        Ok(Self { owner, ..record })
    }

    /// The record of a run that goes that way. One that an earlier program would take for a run of one step
    /// is none that it may read.
    #[must_use]
    pub fn on(self, course: Course) -> Self {
        let version = version_of(&course);
        Self {
            version,
            course,
            ..self
        }
    }

    /// The record as that of a leg, whose home and tokens have its own name. It starts nothing again that the kernel
    /// killed: what a host runs is looked at before the next leg.
    #[must_use]
    pub fn as_leg(self, journey: Journey) -> Self {
        Self {
            version: VERSION,
            run: journey.run.leg(journey.leg),
            memory_kills: BTreeMap::new(),
            journey: Some(journey),
            ..self
        }
    }

    /// The record as that of its run, for the last word: that says nothing of legs any more.
    #[must_use]
    pub fn as_run(mut self) -> Self {
        if let Some(journey) = self.journey.take() {
            self.run = journey.run;
            self.version = version_of(&self.course);
        }
        self
    }

    /// The run that it is of, and how far on it: a record without legs is the run's first or last word.
    pub fn place(&self) -> (&RunId, u32) {
        match &self.journey {
            Some(journey) => (&journey.run, journey.leg),
            None => (&self.run, u32::MAX),
        }
    }

    /// Every routing of the run, the one before it included, with what follows each that nobody has
    /// promoted it beyond.
    pub fn stations(&self) -> Vec<Station> {
        // Whoever goes on with the run may leave out more: these are still in its routings, so that each keeps its
        // number.
        let gone = |instance: &Instance| !self.was.contains(&instance.endpoint.host);
        let mut stations = self.course.stations(&self.from_routing, &self.to_routing, gone);
        for station in stations.iter_mut().take(self.promoted as usize) {
            station.hold = Hold::None;
        }
        stations
    }

    /// How many switches lead to its last routing.
    pub fn switches(&self) -> u32 {
        u32::try_from(self.stations().len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// The record once the release is live everywhere: a rollback has left a release behind.
    #[must_use]
    pub fn finished(self) -> Self {
        let mut record = self.as_run();
        match record.kind {
            RunKind::Rollback => record.left.extend(record.from_release.clone()),
            RunKind::Deploy | RunKind::Drill | RunKind::Converge => {}
        }
        if let Some(release) = &record.release {
            record.left.remove(release);
        }
        let here = |instance: &Instance| !record.without.contains(&instance.endpoint.host);
        record.to_routing = record.to_routing.only(here);
        record.phase = Phase::Finish;
        record.status = RunStatus::Done;
        record
    }

    /// The record once the fleet is where it was: what a deploy brought stays behind.
    #[must_use]
    pub fn went_home(mut self) -> Self {
        let brought = self.release.iter().filter(|_| self.kind == RunKind::Deploy);
        let brought = brought.filter(|release| self.from_release.as_ref() != Some(*release));
        self.left.extend(brought.cloned().collect::<Vec<_>>());
        self.status = RunStatus::Done;
        self
    }

    /// The endpoints that nginx routes to after the run: those of either routing, where it never ended.
    pub fn left_routed(&self) -> BTreeSet<Endpoint> {
        let (from, to) = (self.from_routing.endpoints(), self.to_routing.endpoints());
        match self.status {
            RunStatus::Done if self.brought_live() => to.cloned().collect(),
            RunStatus::Done => from.cloned().collect(),
            RunStatus::Open | RunStatus::Waiting => from.chain(to).cloned().collect(),
        }
    }

    /// Whether the run ended with its release live everywhere.
    pub fn brought_live(&self) -> bool {
        self.status == RunStatus::Done && self.phase == Phase::Finish
    }
}

/// A run that others have to wait for, in words.
pub(super) fn describe_waiting(record: &RunRecord) -> String {
    let owner = &record.owner;
    let run = format!(
        "run {} of {}@{} ({})",
        record.run, owner.who, owner.place, owner.command
    );
    match &record.window {
        Some(window) if window.ends.is_empty() => {
            format!(
                "{run} has left both slots up, and the hosts stop the old one by themselves at their hour"
            )
        }
        Some(window) => format!(
            "{run} has left both slots up, and the hosts stop the old one by themselves at {}",
            window.ends
        ),
        None => format!("{run} waits to be promoted or rolled back"),
    }
}

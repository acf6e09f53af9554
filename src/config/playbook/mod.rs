//! The playbook's file: its keys, defaults and contradictions. One file a part of the playbook;
//! `docs/playbook.md` describes every key.

mod health;
mod hooks;
mod identify;
mod include;
mod memory;
mod nginx;
mod notify;
mod slots;
mod start;
mod timing;
mod update;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::playbook::{Artifact, Playbook, ReleasePolicy, Slot};

use super::fields::{Fields, Item, Notes};
use super::report::{Problem, Report};
use super::source::{Source, Spot};
use super::{rules, values, yaml};

/// Where each key of a playbook stands, by its path such as `slots.blue.port`, for mistakes that only
/// show beside the inventory.
#[derive(Debug, Clone, Default)]
pub struct Places {
    source: Option<Arc<Source>>,
    spots: BTreeMap<String, Spot>,
}

impl Places {
    /// A problem at a key, or at the nearest key above it.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        match self.spot(path) {
            Some(spot) => Problem::at(&spot, message),
            None => Problem::with_file("playbook", message),
        }
    }

    /// The place of a key, or of the nearest key above it.
    pub fn spot(&self, path: &str) -> Option<Spot> {
        let mut path = path;
        loop {
            if let Some(spot) = self.spots.get(path) {
                return Some(spot.clone());
            }
            match path.rfind('.') {
                Some(dot) => path = &path[..dot],
                None => return self.source.as_ref().map(Source::whole),
            }
        }
    }
}

/// A playbook and where its keys stand.
#[derive(Debug, Clone)]
pub struct LoadedPlaybook {
    /// The playbook.
    pub playbook: Playbook,
    /// Where its keys stand.
    pub places: Places,
}

impl From<Playbook> for LoadedPlaybook {
    /// A playbook that was made without a file.
    fn from(playbook: Playbook) -> Self {
        Self {
            playbook,
            places: Places::default(),
        }
    }
}

/// Reads a playbook. Relative files in it are found from the folder of its own file.
///
/// Returns all that is wrong with it.
pub fn load_playbook(source: &Arc<Source>) -> Result<LoadedPlaybook, Report> {
    let (playbook, report) = read_as_far_as_possible(source);
    report.finish(playbook)
}

/// The playbook, where enough of it is right to look for mistakes beside the inventory, and what is
/// wrong with it.
pub(super) fn read_as_far_as_possible(source: &Arc<Source>) -> (Option<LoadedPlaybook>, Report) {
    let mut report = Report::default();
    let Some(root) = yaml::parse(source, &mut report) else {
        if report.problems.is_empty() {
            report.push(Problem::with_file(source.name(), "the playbook is empty"));
        }
        return (None, report);
    };
    let notes = Notes::default();
    let playbook = Fields::top(&notes, &root).and_then(|top| read(top, source));
    report.append(notes.report.into_inner());
    let places = Places {
        source: Some(Arc::clone(source)),
        spots: notes.spots.into_inner(),
    };
    (
        playbook.map(|playbook| LoadedPlaybook { playbook, places }),
        report,
    )
}

/// How many instances a host carries while traffic moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// One: there is a single slot.
    One,
    /// The old one and the new one.
    Two,
}

impl Carries {
    fn of(slots: &[Slot]) -> Self {
        if slots.len() == 1 { Self::One } else { Self::Two }
    }
}

fn read(mut top: Fields<'_>, source: &Arc<Source>) -> Option<Playbook> {
    let app = top.require("app", values::name);
    let artifact = top.require_item("artifact").and_then(|item| artifact(&item));
    let slots_item = top.require_item("slots");
    let slots = slots_item.as_ref().and_then(slots::read);
    let release = top.require_item("release").and_then(|item| release(&item));
    let state_dir = top.read("state_dir", |item| {
        values::ruled_template(item, rules::remote_path)
    });
    let start = top.require_item("start").and_then(|item| start::read(&item));
    let health = top.require_item("health").and_then(|item| health::read(&item));
    let warmup = top.item("warmup").and_then(|item| health::warmup(&item));
    let names: Option<Vec<_>> = slots
        .as_ref()
        .map(|slots| slots.iter().map(|slot| slot.name.clone()).collect());
    let identify = top
        .item("identify")
        .and_then(|item| identify::read(&item, names.as_deref()));
    let nginx = top
        .require_item("nginx")
        .and_then(|item| nginx::read(&item, names.as_deref(), source));
    let update_item = top.item("update");
    let update = update::read(update_item.as_ref());
    if let (Some(nginx), Some(item), Some(slots)) = (&nginx, &slots_item, &slots) {
        update::fits(update_item.as_ref(), &update, &nginx.style, (item, slots));
    }
    let watch = timing::watch(top.item("watch").as_ref());
    let lock = timing::lock(top.item("lock").as_ref());
    let drain = timing::drain(top.item("drain").as_ref());
    let stop = timing::stop(top.item("stop").as_ref());
    let carries = slots.as_ref().map_or(Carries::Two, |slots| Carries::of(slots));
    let bake_item = top.item("bake");
    let bake = timing::bake(bake_item.as_ref(), carries);
    let memory = memory::memory(top.item("memory").as_ref());
    let secrets = top.read_or("secrets", Vec::new(), |item| {
        values::list(item, |item| values::ruled(item, rules::variable_name))
    });
    let notify = notify::read(top.item("notify").as_ref());
    let hooks_item = top.item("hooks");
    let hooks = hooks::read(hooks_item.as_ref(), source);
    timing::fits(bake_item.as_ref(), bake, &hooks);
    top.finish();
    Some(Playbook {
        app: app?,
        artifact: artifact?,
        slots: slots?,
        release: release?,
        state_dir,
        start: start?,
        health: health?,
        identify,
        warmup,
        nginx: nginx?,
        update,
        watch,
        lock,
        drain,
        stop,
        bake,
        memory,
        secrets: secrets.into_iter().collect(),
        hooks,
        notify,
        folder: PathBuf::from(source.folder()),
    })
}

/// A glob on the controller, or `{ on_host: PATTERN }`.
fn artifact(item: &Item<'_>) -> Option<Artifact> {
    if item.node.entries().is_none() {
        return match values::ruled(item, rules::artifact) {
            Ok(glob) => Some(Artifact::Controller(glob)),
            Err(problem) => {
                item.note(problem);
                None
            }
        };
    }
    let mut fields = Fields::of(item)?;
    let pattern = fields.require("on_host", values::name);
    fields.finish();
    pattern.map(Artifact::OnHost)
}

fn release(item: &Item<'_>) -> Option<ReleasePolicy> {
    let mut fields = Fields::of(item)?;
    let dir = fields.require("dir", |item| values::ruled_template(item, rules::remote_path));
    let keep = fields.read_or("keep", 5, |item| values::whole(item, 1..=1000));
    fields.finish();
    Some(ReleasePolicy { dir: dir?, keep })
}

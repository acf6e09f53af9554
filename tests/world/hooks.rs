//! Hooks on a simulated host and on its controller: what runs, for how long, how it ends, and what is kept of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use nonstop::engine::fleet::{CallError, Controller};
use nonstop::model::hook::{HookDigest, HookId, HookObserved, HookPoint, HookState, Recall, Repeats};
use nonstop::model::lock::Fence;
use nonstop::model::names::{HostName, RunId};
use nonstop::remote::answer::{Answer, Fenced, HookAnswer, SudoEntry};
use nonstop::remote::command::{Hook, HookAct, SudoCheck};
use tokio::time::{Instant, sleep};

use super::commands::pass;
use super::{Due, Effect, Job, SimFleet, World};

/// How much longer than it may a hook runs before anybody may end it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a hook runs where nothing else is said.
const TAKES: Duration = Duration::from_millis(300);

/// What becomes of a hook that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HookFate {
    pub(crate) takes: Duration,
    pub(crate) fails: bool,
    /// Whether the script that waits for it is killed: nobody writes down how it ends, and nobody ends it.
    pub(crate) orphaned: bool,
}

impl Default for HookFate {
    fn default() -> Self {
        Self {
            takes: TAKES,
            fails: false,
            orphaned: false,
        }
    }
}

/// What a host keeps of a hook.
#[derive(Debug, Clone)]
pub(crate) struct SimHook {
    outcome: HookOutcome,
    digest: Option<HookDigest>,
    began_before: bool,
    runs: Option<Runs>,
}

/// Until when a hook runs, in which boot, and from when on it is overdue.
#[derive(Debug, Clone, Copy)]
struct Runs {
    until: Instant,
    boot: u32,
    may_until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HookOutcome {
    Started,
    Done,
    Failed,
    Ended,
}

/// Everything about hooks that is not on one host's disk.
#[derive(Default)]
pub(crate) struct Hooks {
    /// What becomes of those of a point, on a host or on the controller.
    pub(crate) fates: BTreeMap<(Option<HostName>, HookPoint), HookFate>,
    /// Whether a person may have said that one runs again.
    pub(crate) person_says_again: bool,
    /// How often each was begun.
    pub(crate) begun: BTreeMap<(Option<HostName>, RunId, HookId), u32>,
    /// Every one that was begun, in order: where, and its environment.
    pub(crate) told: Vec<(Option<HostName>, HookId, BTreeMap<String, String>)>,
}

impl Hooks {
    fn fate(&self, host: Option<&HostName>, point: HookPoint) -> HookFate {
        let key = (host.cloned(), point);
        self.fates.get(&key).copied().unwrap_or_default()
    }
}

impl SimHook {
    fn state(&self, boot: u32) -> HookState {
        match (self.outcome, self.runs) {
            (HookOutcome::Done, _) => HookState::Done,
            (HookOutcome::Failed, _) => HookState::Failed,
            (HookOutcome::Started, Some(runs)) if runs.boot == boot && runs.until > Instant::now() => {
                if runs.may_until < Instant::now() {
                    HookState::Overdue
                } else {
                    HookState::Running
                }
            }
            (HookOutcome::Started | HookOutcome::Ended, _) => HookState::Unknown,
        }
    }
}

fn answered(answer: HookAnswer) -> Effect {
    Effect::Answered(Answer::Hook(Fenced::Passed(answer)))
}

/// As which users hooks may run on a host: as any but root.
pub(super) fn may_become(check: &SudoCheck) -> Vec<SudoEntry> {
    let users = check.users.iter().map(|user| SudoEntry {
        command: format!("-u {user} env"),
        allowed: user.as_str() != "root",
    });
    users.collect()
}

impl super::SimHost {
    pub(super) fn hooks_observed(&self) -> Vec<HookObserved> {
        let hooks = self.hooks.iter().map(|((run, hook), kept)| HookObserved {
            run: run.clone(),
            hook: *hook,
            state: kept.state(self.clock.boot),
            digest: kept.digest.clone(),
        });
        hooks.collect()
    }
}

impl World {
    /// A hook begins: none does twice in a run at one place, unless it may.
    fn hook_begins(&mut self, host: Option<&HostName>, hook: &Hook) {
        let key = (host.cloned(), hook.run.clone(), hook.hook);
        let times = self.hooks.begun.entry(key).or_default();
        *times += 1;
        if *times > 1 && hook.repeats == Repeats::Never && !self.hooks.person_says_again {
            let place = host.map_or("the controller".to_owned(), ToString::to_string);
            self.broken
                .push(format!("hook {} of {} ran twice on {place}", hook.hook, hook.run));
        }
        if let HookAct::Run(run) = &hook.act {
            self.hooks.told.push((host.cloned(), hook.hook, run.env.clone()));
        }
    }

    pub(super) fn hook(&mut self, name: &HostName, job: Job, hook: Hook) -> Result<Effect, CallError> {
        let host = self.at(name);
        pass!(host, hook.fence, Hook);
        let key = (hook.run.clone(), hook.hook);
        let state = host.hooks.get(&key).map(|kept| kept.state(host.clock.boot));
        let known = host.hooks.get(&key).and_then(|kept| kept.digest.clone());
        let is_same = known.is_none_or(|digest| Some(digest) == hook.digest);
        let keep = |outcome, runs| SimHook {
            outcome,
            digest: hook.digest.clone(),
            began_before: state.is_some(),
            runs,
        };
        match hook.act {
            HookAct::Run(_) | HookAct::Begins => match (state, hook.recall) {
                (Some(HookState::Running | HookState::Overdue), _) => {
                    return Ok(answered(HookAnswer::Running));
                }
                (Some(HookState::Done), _) if is_same => return Ok(answered(HookAnswer::WasDone)),
                (Some(HookState::Failed), Recall::Ask) if is_same => {
                    let reason = "exit status 1".to_owned();
                    return Ok(answered(HookAnswer::HadFailed { reason }));
                }
                (Some(_), Recall::Done) => {
                    host.hooks.insert(key, keep(HookOutcome::Done, None));
                    return Ok(answered(HookAnswer::WasDone));
                }
                (Some(_), Recall::Ask) if hook.repeats == Repeats::Never || !is_same => {
                    return Ok(answered(HookAnswer::Unknown));
                }
                (Some(_) | None, _) => {}
            },
            HookAct::Never => {
                let never = |kept: &SimHook| {
                    kept.outcome == HookOutcome::Started && kept.runs.is_none() && !kept.began_before
                };
                if host.hooks.get(&key).is_some_and(never) {
                    host.hooks.remove(&key);
                }
                return Ok(answered(HookAnswer::Noted));
            }
            HookAct::Ended(ref reason) => {
                let outcome = if reason.is_some() {
                    HookOutcome::Failed
                } else {
                    HookOutcome::Done
                };
                host.hooks.insert(key, keep(outcome, None));
                return Ok(answered(HookAnswer::Noted));
            }
            HookAct::End => {
                let outcome = match state {
                    Some(HookState::Running) => HookOutcome::Ended,
                    Some(HookState::Overdue) => HookOutcome::Failed,
                    _ => return Ok(answered(HookAnswer::Noted)),
                };
                if let Some(kept) = host.hooks.get_mut(&key) {
                    kept.outcome = outcome;
                    kept.runs = None;
                }
                return Ok(answered(HookAnswer::Noted));
            }
        }
        host.hooks.retain(|(run, _), _| *run == hook.run);
        let HookAct::Run(run) = &hook.act else {
            host.hooks.insert(key, keep(HookOutcome::Started, None));
            return Ok(answered(HookAnswer::Noted));
        };
        let boot = host.clock.boot;
        let fate = self.hooks.fate(Some(name), hook.hook.point);
        let takes = if fate.orphaned {
            fate.takes
        } else {
            fate.takes.min(run.timeout)
        };
        let ends = Instant::now() + takes;
        let late = fate.takes > run.timeout;
        let runs = Runs {
            until: ends,
            boot,
            may_until: Instant::now() + run.timeout + PATIENCE,
        };
        let kept = keep(HookOutcome::Started, Some(runs));
        self.at(name).hooks.insert(key, kept);
        self.hook_begins(Some(name), &hook);
        if fate.orphaned {
            return Ok(Effect::Later);
        }
        let fails = fate.fails || late;
        self.queue(
            ends,
            name,
            Due::Hooked(job, hook.fence.clone(), (hook.run, hook.hook), fails),
        );
        Ok(Effect::Later)
    }

    /// A hook has ended by itself, or was ended meanwhile.
    pub(super) fn hooked(
        &mut self,
        name: &HostName,
        job: Job,
        fence: &Fence,
        key: &(RunId, HookId),
        fails: bool,
    ) {
        let host = self.at(name);
        let outcome = if fails {
            HookOutcome::Failed
        } else {
            HookOutcome::Done
        };
        let kept = host.hooks.get_mut(key);
        let kept = kept.filter(|kept| kept.outcome == HookOutcome::Started);
        let ran = kept.is_some();
        if let Some(kept) = kept {
            kept.outcome = outcome;
            kept.runs = None;
        }
        let output = "what it printed".to_owned();
        let answer = match (ran, fails) {
            (true, false) => HookAnswer::Done { output },
            (true, true) => HookAnswer::Failed {
                reason: "ended with exit status 1".to_owned(),
                output,
            },
            (false, _) => HookAnswer::Failed {
                reason: "it was ended before it was through".to_owned(),
                output,
            },
        };
        let answer = if host.fence_again(fence) {
            Fenced::Passed(answer)
        } else {
            Fenced::Refused(host.lock_now())
        };
        self.reply(name, job.call, "hook", Ok(Answer::Hook(answer)));
    }
}

impl Controller for SimFleet {
    fn hook<'a>(
        &'a self,
        hook: &'a Hook,
        _folder: &'a Path,
    ) -> LocalBoxFuture<'a, Result<HookAnswer, CallError>> {
        Box::pin(async move {
            let HookAct::Run(run) = &hook.act else {
                unreachable!("the controller runs hooks")
            };
            let fate = {
                let mut world = self.0.borrow_mut();
                world.hook_begins(None, hook);
                world.hooks.fate(None, hook.hook.point)
            };
            sleep(fate.takes.min(run.timeout)).await;
            let output = "what it printed".to_owned();
            Ok(if fate.fails || fate.takes > run.timeout {
                HookAnswer::Failed {
                    reason: "ended with exit status 1".to_owned(),
                    output,
                }
            } else {
                HookAnswer::Done { output }
            })
        })
    }
}

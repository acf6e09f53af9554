//! Hooks on a simulated host and on its controller: what runs, for how long, how it ends, and what is kept of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use nonstop::engine::fleet::{CallError, Controller};
use nonstop::model::hook::{HookId, HookObserved, HookPoint, HookState, Recall, Repeats};
use nonstop::model::lock::Fence;
use nonstop::model::names::{HostName, RunId};
use nonstop::remote::answer::{Answer, Fenced, HookAnswer, SudoEntry};
use nonstop::remote::command::{Hook, HookAct, SudoCheck};
use tokio::time::{Instant, sleep};

use super::commands::pass;
use super::{Due, Effect, Job, SimFleet, World};

/// How long a hook runs where nothing else is said.
const TAKES: Duration = Duration::from_millis(300);

/// What becomes of a hook that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HookFate {
    pub(crate) takes: Duration,
    pub(crate) fails: bool,
}

impl Default for HookFate {
    fn default() -> Self {
        Self {
            takes: TAKES,
            fails: false,
        }
    }
}

/// What a host keeps of a hook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimHook {
    outcome: HookOutcome,
    /// Until when it runs, and in which boot.
    runs: Option<(Instant, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HookOutcome {
    Started,
    Done,
    Failed,
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
            (HookOutcome::Started, Some((until, of))) if of == boot && until > Instant::now() => {
                HookState::Running
            }
            (HookOutcome::Started, _) => HookState::Unknown,
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
        let keep = |outcome, runs| SimHook { outcome, runs };
        match hook.act {
            HookAct::Run(_) | HookAct::Begins => match (state, hook.recall) {
                (Some(HookState::Done), _) => return Ok(answered(HookAnswer::WasDone)),
                (Some(HookState::Failed), Recall::Ask) => {
                    let reason = "exit status 1".to_owned();
                    return Ok(answered(HookAnswer::HadFailed { reason }));
                }
                (Some(HookState::Running), _) => return Ok(answered(HookAnswer::Running)),
                (Some(HookState::Unknown | HookState::Failed), Recall::Done) => {
                    host.hooks.insert(key, keep(HookOutcome::Done, None));
                    return Ok(answered(HookAnswer::WasDone));
                }
                (Some(HookState::Unknown), Recall::Ask) if hook.repeats == Repeats::Never => {
                    return Ok(answered(HookAnswer::Unknown));
                }
                (Some(HookState::Unknown | HookState::Failed) | None, _) => {}
            },
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
                if state == Some(HookState::Running) {
                    host.hooks.insert(key, keep(HookOutcome::Failed, None));
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
        let takes = fate.takes.min(run.timeout);
        let ends = Instant::now() + takes;
        let late = fate.takes > run.timeout;
        self.at(name)
            .hooks
            .insert(key, keep(HookOutcome::Started, Some((ends, boot))));
        self.hook_begins(Some(name), &hook);
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
        key: (RunId, HookId),
        fails: bool,
    ) {
        let host = self.at(name);
        let outcome = if fails {
            HookOutcome::Failed
        } else {
            HookOutcome::Done
        };
        let ran = matches!(host.hooks.get(&key), Some(kept) if kept.outcome == HookOutcome::Started);
        if ran {
            host.hooks.insert(key, SimHook { outcome, runs: None });
        }
        let output = "what it printed".to_owned();
        let answer = match (ran, fails) {
            (true, false) => HookAnswer::Done { output },
            (true, true) => HookAnswer::Failed {
                reason: "ended with exit status 1".to_owned(),
                output,
            },
            (false, _) => HookAnswer::Failed {
                reason: "it was ended, for the run goes back".to_owned(),
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

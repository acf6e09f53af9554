//! Takes one epoch on every host, or none. The first host in order is taken first, so that of two
//! runs that begin at once one gets all hosts and the other none.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use crate::model::event::Event;
use crate::model::failure::Failure;
use crate::model::finding::{Finding, Problem};
use crate::model::lock::{Epoch, LockState, Owner, next_epoch};
use crate::model::names::HostName;
use crate::model::observed::Observed;
use crate::model::outcome::Cause;
use crate::model::plan;
use crate::model::record::RunRecord;
use crate::remote::answer::LockAnswer;
use crate::remote::command::{BreakLock, Command, Lock, Observe, Unlock};

use super::context::Context;
use super::crew::{Crew, answer, passed};
use super::fleet::{CallError, Host};
use super::observe;

/// On which terms locks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long to wait while somebody else holds one.
    pub wait: Duration,
    /// How long a host keeps it without a sign of life; without an end where it is absent.
    pub lease: Option<Duration>,
    /// What becomes of a window that began while we waited.
    pub window: Heed,
}

/// Whether a run's window keeps others from taking the lock, which would end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heed {
    /// It does.
    Heeded,
    /// It does not: whoever takes the lock means to end it.
    Ended,
}

/// How often a held lock is looked at while we wait for it.
const POLL: Duration = Duration::from_secs(1);

/// Why not all locks were taken. Those that were taken have been given back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds one.
    #[error("{host} is locked")]
    Held {
        /// Where.
        host: HostName,
        /// By whom.
        lock: LockState,
    },
    /// A host could not be asked, or its answer was lost: its lock may be ours.
    #[error("{host}: {error}")]
    Call {
        /// Where.
        host: HostName,
        /// Why.
        #[source]
        error: CallError,
    },
    /// The epoch of one host is far ahead of every other's: a person has to look at its state folder.
    #[error(
        "the epoch of its lock, {}, is far ahead of every other host's: its state folder is damaged",
        epoch.0
    )]
    FarAhead {
        /// Where.
        host: HostName,
        /// What it says.
        epoch: Epoch,
    },
    /// A run has left the end of its old slot to the hosts, while we waited for its lock.
    #[error("run {} waits", record.run)]
    Window {
        /// Which.
        record: Box<RunRecord>,
    },
    /// A signal came while we waited.
    #[error("interrupted while waiting for the lock")]
    Interrupted,
}

/// When every lock was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// At the first try, and all were free: since the hosts were observed, no other run had them.
    AtOnce,
    /// After somebody else gave them back, or had them for longer than the lease: what was observed
    /// before is history.
    AfterAnother,
}

/// Takes the lock of every host, waiting for at most as long as the terms say while somebody else has one. A
/// lock whose lease is over is taken over, under an epoch above all that were read.
pub async fn take<H: Host>(
    context: &Context<'_, H>,
    observed: &Observed,
    owner: &Owner,
    terms: Terms,
) -> Result<Taken, LockError> {
    let give_up = Instant::now() + terms.wait;
    let mut locks: BTreeMap<_, _> = observed
        .hosts
        .iter()
        .map(|(host, seen)| (host.clone(), seen.lock.clone()))
        .collect();
    let mut waited = false;
    loop {
        match once(context, &locks, owner, terms.lease).await {
            Err(LockError::Held { host, lock }) if Instant::now() < give_up => {
                if !waited {
                    let (host, lock) = (host.clone(), lock.clone());
                    context.tell(Event::LockWaiting { host, lock });
                    waited = true;
                }
                tokio::select! {
                    biased;
                    cause = context.interrupt.wait() => return Err(match cause {
                        Cause::Signal(_) => LockError::Interrupted,
                        Cause::Deadline => LockError::Held { host, lock },
                    }),
                    () = sleep(POLL.min(give_up.saturating_duration_since(Instant::now()))) => {}
                }
                // A host that gives no answer now is asked again.
                locks = read(context).await.unwrap_or(locks);
                let is_free = !locks.values().any(LockState::is_held);
                if is_free && terms.window == Heed::Heeded {
                    nobody_has_a_window(context).await?;
                }
            }
            Ok(()) => {
                let after_another = waited || locks.values().any(LockState::is_over);
                return Ok(if after_another {
                    Taken::AfterAnother
                } else {
                    Taken::AtOnce
                });
            }
            Err(error) => {
                context.crew.leave_epoch();
                return Err(error);
            }
        }
    }
}

/// Whoever had the lock may have left hosts an hour, which ends with the next epoch.
async fn nobody_has_a_window<H: Host>(context: &Context<'_, H>) -> Result<(), LockError> {
    let (observed, _) = observe::observe(context.topology, context.playbook, context.crew).await;
    match plan::waiting(&observed).filter(|record| record.window.is_some()) {
        Some(record) => Err(LockError::Window {
            record: Box::new(record.clone()),
        }),
        None => Ok(()),
    }
}

async fn once<H: Host>(
    context: &Context<'_, H>,
    locks: &BTreeMap<HostName, LockState>,
    owner: &Owner,
    lease: Option<Duration>,
) -> Result<(), LockError> {
    if let Some((host, lock)) = locks.iter().find(|(_, lock)| lock.is_held()) {
        return Err(LockError::Held {
            host: host.clone(),
            lock: lock.clone(),
        });
    }
    let epochs = locks.iter().map(|(host, lock)| (host, lock.epoch));
    let epoch = next_epoch(epochs).map_err(|(host, epoch)| LockError::FarAhead {
        host: host.clone(),
        epoch,
    })?;
    context.crew.enter_epoch(epoch);
    let mut hosts = locks.iter();
    let Some((first, lock)) = hosts.next() else {
        return Ok(());
    };
    if let Err(error) = one(context, first, lock.epoch, owner, lease).await {
        if is_held(&error) {
            context.crew.leave_epoch();
        } else {
            withdraw(context, [first]).await;
        }
        return Err(error);
    }
    let rest: Vec<_> = hosts.collect();
    let taken = join_all(
        rest.iter()
            .map(|(host, lock)| one(context, host, lock.epoch, owner, lease)),
    )
    .await;
    let Some(error) = taken.iter().find_map(|taken| taken.as_ref().err()).cloned() else {
        return Ok(());
    };
    let not_held = |taken: &Result<(), LockError>| taken.as_ref().err().is_none_or(|error| !is_held(error));
    let maybe_ours = rest.iter().zip(&taken).filter(|(_, taken)| not_held(taken));
    withdraw(context, maybe_ours.map(|((host, _), _)| *host).chain([first])).await;
    Err(error)
}

fn is_held(error: &LockError) -> bool {
    matches!(error, LockError::Held { .. })
}

/// Gives back what was taken, or perhaps taken, of an attempt that failed.
async fn withdraw<'a, H: Host>(context: &Context<'_, H>, hosts: impl IntoIterator<Item = &'a HostName>) {
    context.crew.leave_epoch();
    for (host, reason) in give_back(context, hosts).await {
        let finding = Finding::warning(Some(&host), Problem::LockLeft { reason });
        context.tell(Event::Warned { finding });
    }
}

async fn one<H: Host>(
    context: &Context<'_, H>,
    host: &HostName,
    expected: Epoch,
    owner: &Owner,
    lease: Option<Duration>,
) -> Result<(), LockError> {
    let (epoch, run) = (context.crew.epoch(), context.crew.run_id().clone());
    let command = Command::Lock(Lock {
        expected,
        epoch,
        run,
        owner: owner.clone(),
        lease,
    });
    let call = async { answer!(context.crew.call(host, command).await?, Lock) };
    match call.await {
        Ok(LockAnswer::Taken) => Ok(()),
        Ok(LockAnswer::Held(lock)) => Err(LockError::Held {
            host: host.clone(),
            lock,
        }),
        Err(error) => Err(LockError::Call {
            host: host.clone(),
            error,
        }),
    }
}

async fn read<H: Host>(context: &Context<'_, H>) -> Result<BTreeMap<HostName, LockState>, LockError> {
    let read = context.crew.hosts().map(|host| async move {
        let call = async {
            answer!(
                context
                    .crew
                    .call(host, Command::Observe(Observe::default()))
                    .await?,
                Observe
            )
        };
        match call.await {
            Ok(seen) => Ok((host.clone(), seen.lock)),
            Err(error) => Err(LockError::Call {
                host: host.clone(),
                error,
            }),
        }
    });
    join_all(read).await.into_iter().collect()
}

/// Why locks whose lease was over could not be taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// Somebody else took one, or a person broke it.
    TakenOver,
    /// Not every host could be asked; those that could are ours as before.
    Unreachable,
    /// They were given back to be taken anew, and not all could be: none is ours any more.
    Forgone,
}

/// Takes the locks of this run again under a higher epoch, after a lease of it was over and nobody has come.
/// What was observed before is history.
pub(super) async fn take_again<H: Host>(context: &Context<'_, H>, owner: &Owner) -> Result<(), Lost> {
    let mut locks = read(context).await.map_err(|_| Lost::Unreachable)?;
    let run = context.crew.run_id();
    let ours = |lock: &LockState| {
        lock.epoch == context.crew.epoch() && lock.run.as_ref().is_none_or(|holder| holder == run)
    };
    if !locks.values().all(ours) {
        return Err(Lost::TakenOver);
    }
    // Those that are still held are given back for a moment: an epoch is taken everywhere or nowhere.
    let held: Vec<_> = locks.iter_mut().filter(|(_, lock)| lock.is_held()).collect();
    if !give_back(context, held.iter().map(|(host, _)| *host))
        .await
        .is_empty()
    {
        return Err(Lost::Forgone);
    }
    for (_, lock) in held {
        lock.run = None;
    }
    let lease = Some(context.playbook.lock.lease);
    once(context, &locks, owner, lease)
        .await
        .map_err(|error| match error {
            LockError::Held { .. } => Lost::TakenOver,
            LockError::Call { .. }
            | LockError::FarAhead { .. }
            | LockError::Window { .. }
            | LockError::Interrupted => Lost::Forgone,
        })?;
    context.tell(Event::LockRetaken {
        epoch: context.crew.epoch(),
    });
    Ok(())
}

/// Gives the locks of these hosts back; says on which hosts that is not certain.
pub async fn give_back<'a, H: Host>(
    context: &Context<'_, H>,
    hosts: impl IntoIterator<Item = &'a HostName>,
) -> Vec<(HostName, String)> {
    let given = hosts.into_iter().map(|host| async move {
        let command = Command::Unlock(Unlock {
            fence: context.crew.fence(host),
        });
        let call = async { answer!(context.crew.call(host, command).await?, Unlock) };
        match call.await.map(passed) {
            Ok(Ok(())) => None,
            // It is somebody else's, or nobody's: in any case it is not ours to give back.
            Ok(Err(Failure::Fenced { lock })) if lock.run.as_ref() != Some(context.crew.run_id()) => None,
            // Its lease is over: it keeps nobody waiting.
            Ok(Err(Failure::Fenced { lock })) if lock.is_over() => None,
            Ok(Err(failure)) => Some((host.clone(), failure.to_string())),
            Err(error) => Some((host.clone(), error.to_string())),
        }
    });
    join_all(given).await.into_iter().flatten().collect()
}

/// Takes the lock of one host away from whoever holds it under `expected`; it is free afterwards,
/// under a higher epoch. The trail says `by` whom.
pub async fn break_one<H: Host>(
    crew: &Crew<H>,
    host: &HostName,
    expected: Epoch,
    by: &Owner,
) -> Result<(), LockError> {
    let command = Command::BreakLock(BreakLock {
        expected,
        epoch: Epoch(expected.0 + 1),
        by: by.clone(),
    });
    let call = async { answer!(crew.call(host, command).await?, BreakLock) };
    match call.await {
        Ok(LockAnswer::Taken) => Ok(()),
        Ok(LockAnswer::Held(lock)) => Err(LockError::Held {
            host: host.clone(),
            lock,
        }),
        Err(error) => Err(LockError::Call {
            host: host.clone(),
            error,
        }),
    }
}

//! How the engine reaches the fleet in memory.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use nonstop::engine::fleet::{
    CallError, ConnectFailure, Controller, Fleet, Host, HttpError, HttpRequest, HttpResponse,
};
use nonstop::model::names::HostName;
use nonstop::model::obstacle::Obstacle;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, Put};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Fault, LATENCY, Shared, name_of};

/// How long a controller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct SimFleet(pub(crate) Shared);

pub(crate) struct Reached {
    world: Shared,
    name: HostName,
}

impl Fleet for SimFleet {
    type Host = Reached;

    async fn connect(&self, host: &HostName) -> Result<Reached, ConnectFailure> {
        let reached = Reached {
            world: self.0.clone(),
            name: host.clone(),
        };
        sleep(LATENCY).await;
        let refused = meet(&self.0, host, "connect").is_some() || reached.await_the_way().await.is_err();
        if refused {
            return Err(ConnectFailure {
                reason: "connection refused".to_owned(),
                obstacle: Obstacle::Other,
            });
        }
        Ok(reached)
    }

    fn controller(&self) -> &dyn Controller {
        self
    }
}

impl Host for Reached {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        let called = timeout(deadline, self.call(command.clone(), Duration::ZERO)).await;
        called.unwrap_or_else(|_| Err(lost("no answer in time")))
    }

    async fn put(
        &self,
        put: &Put,
        _source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        progress(put.size_bytes);
        let takes = self.world.borrow().upload_takes;
        let called = timeout(stall + takes, self.call(Command::Put(put.clone()), takes)).await;
        called.unwrap_or_else(|_| Err(lost("the upload stands still")))
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        sleep(LATENCY).await;
        if meet(&self.world, &self.name, "http").is_some() || self.await_the_way().await.is_err() {
            let reason = "the tunnel is gone".to_owned();
            return Err(HttpError::Failed { reason });
        }
        let asked = {
            let mut world = self.world.borrow_mut();
            world.settle();
            world.http(&self.name, request)
        };
        if let Err(HttpError::TimedOut { after }) = asked {
            sleep(after).await;
        }
        asked
    }

    async fn forget_http(&self, _address: &str, _port: u16) {}
}

impl Reached {
    /// Fails where no connection can be made: the host is down, or cut off for longer than one waits.
    async fn await_the_way(&self) -> Result<(), CallError> {
        let (is_up, cut) = {
            let mut world = self.world.borrow_mut();
            world.settle();
            (world.hosts[&self.name].is_up, world.cut_until(&self.name))
        };
        let waits = cut.map_or(Duration::ZERO, |until| until - Instant::now());
        sleep(waits.min(PATIENCE)).await;
        if !is_up || waits > PATIENCE {
            let reason = "connection refused".to_owned();
            return Err(CallError::NotSent { reason });
        }
        Ok(())
    }

    async fn call(&self, command: Command, takes: Duration) -> Result<Answer, CallError> {
        let fault = meet(&self.world, &self.name, name_of(&command));
        let soon = Instant::now() + LATENCY;
        let due = self.due(takes);
        match fault {
            Some(Fault::NotSent) => {
                let reason = "connection refused".to_owned();
                Err(CallError::NotSent { reason })
            }
            Some(Fault::LostBefore) => {
                sleep_until(soon).await;
                Err(lost("connection reset"))
            }
            Some(Fault::Answers(answer)) => {
                sleep_until(soon).await;
                Ok(answer)
            }
            Some(Fault::Late(later)) => {
                self.world.borrow_mut().send(&self.name, command, due + later);
                sleep_until(soon).await;
                Err(lost("connection reset"))
            }
            Some(Fault::Vanishes) => pending().await,
            Some(Fault::Never) => {
                self.world.borrow_mut().send(&self.name, command, due);
                pending().await
            }
            Some(Fault::LostAfter) => {
                self.sent(command, due).await?;
                Err(lost("connection reset"))
            }
            Some(Fault::Slow(later)) => self.sent(command, due + later).await,
            None => self.sent(command, due).await,
        }
    }

    /// When a command that is sent now arrives: what is cut off gets it when the cut is over.
    fn due(&self, takes: Duration) -> Instant {
        let arrives = Instant::now() + LATENCY + takes;
        let cut = self.world.borrow().cut_until(&self.name);
        cut.map_or(arrives, |until| arrives.max(until + LATENCY))
    }

    async fn sent(&self, command: Command, due: Instant) -> Result<Answer, CallError> {
        let is_up = {
            let mut world = self.world.borrow_mut();
            world.settle();
            world.hosts[&self.name].is_up
        };
        if !is_up {
            sleep(PATIENCE).await;
            let reason = "the host is down".to_owned();
            return Err(CallError::NotSent { reason });
        }
        let call = self.world.borrow_mut().send(&self.name, command, due);
        let answer = loop {
            let next = {
                let mut world = self.world.borrow_mut();
                world.settle();
                if let Some(answer) = world.replies.remove(&call) {
                    break answer;
                }
                world.next_due()
            };
            match next {
                Some(next) => sleep_until(next).await,
                None => pending().await,
            }
        };
        // An answer waits for the end of a cut as well.
        loop {
            let cut = self.world.borrow().cut_until(&self.name);
            match cut {
                Some(until) => sleep_until(until).await,
                None => return answer,
            }
        }
    }
}

fn meet(world: &Shared, host: &HostName, command: &'static str) -> Option<Fault> {
    let mut world = world.borrow_mut();
    let scripted = world.rules.iter_mut().find_map(|rule| rule.meets(host, command));
    scripted.or_else(|| world.weather.as_mut()?(host, command))
}

fn lost(reason: &str) -> CallError {
    CallError::OutcomeUnknown {
        reason: reason.to_owned(),
    }
}

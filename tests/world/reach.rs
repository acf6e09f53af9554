//! How the engine reaches the fleet in memory.

use std::path::Path;
use std::time::Duration;

use nonstop::engine::fleet::{CallError, ConnectFailure, Fleet, Host, HttpError, HttpRequest, HttpResponse};
use nonstop::model::names::HostName;
use nonstop::remote::answer::Answer;
use nonstop::remote::command::{Command, Put};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Fault, LATENCY, Shared, name_of};

pub(crate) struct SimFleet(pub(crate) Shared);

pub(crate) struct Reached {
    world: Shared,
    name: HostName,
}

impl Fleet for SimFleet {
    type Host = Reached;

    async fn connect(&self, host: &HostName) -> Result<Reached, ConnectFailure> {
        sleep(LATENCY).await;
        match meet(&self.0, host, "connect") {
            None => Ok(Reached {
                world: self.0.clone(),
                name: host.clone(),
            }),
            Some(_) => Err(ConnectFailure {
                reason: "connection refused".to_owned(),
                host_key: false,
            }),
        }
    }
}

impl Host for Reached {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        let called = timeout(deadline, self.call(command.clone())).await;
        called.unwrap_or_else(|_| Err(lost("no answer in time")))
    }

    async fn put(
        &self,
        put: &Put,
        _source: &Path,
        _stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        progress(put.size_bytes);
        self.call(Command::Put(put.clone())).await
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        sleep(LATENCY).await;
        if meet(&self.world, &self.name, "http").is_some() {
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
    async fn call(&self, command: Command) -> Result<Answer, CallError> {
        let mut due = Instant::now() + LATENCY;
        let fault = meet(&self.world, &self.name, name_of(&command));
        match &fault {
            Some(Fault::NotSent) => {
                let reason = "connection refused".to_owned();
                return Err(CallError::NotSent { reason });
            }
            Some(Fault::LostBefore) => {
                sleep_until(due).await;
                return Err(lost("connection reset"));
            }
            Some(Fault::Answers(answer)) => {
                sleep_until(due).await;
                return Ok(answer.clone());
            }
            Some(Fault::Late(later)) => {
                self.world.borrow_mut().send(&self.name, command, due + *later);
                sleep_until(due).await;
                return Err(lost("connection reset"));
            }
            Some(Fault::Slow(later)) => due += *later,
            Some(Fault::LostAfter) | None => {}
        }
        let call = self.world.borrow_mut().send(&self.name, command, due);
        sleep_until(due).await;
        let reply = {
            let mut world = self.world.borrow_mut();
            world.settle();
            world.replies.remove(&call).expect("its time has come")
        }?;
        sleep(reply.takes).await;
        if matches!(fault, Some(Fault::LostAfter)) {
            return Err(lost("connection reset"));
        }
        Ok(reply.answer)
    }
}

fn meet(world: &Shared, host: &HostName, command: &str) -> Option<Fault> {
    let mut world = world.borrow_mut();
    world.rules.iter_mut().find_map(|rule| rule.meets(host, command))
}

fn lost(reason: &str) -> CallError {
    CallError::OutcomeUnknown {
        reason: reason.to_owned(),
    }
}

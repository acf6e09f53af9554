//! A controller that may die, sleep or hear a signal at any of its steps. It reaches the fleet in memory
//! as the engine's own traits say; what it has sent stays under way when it dies.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use nonstop::engine::fleet::{
    CallError, ConnectFailure, Controller, Fleet, Host, HttpError, HttpRequest, HttpResponse,
};
use nonstop::model::names::HostName;
use nonstop::model::outcome::Signal;
use nonstop::remote::answer::{Answer, HookAnswer};
use nonstop::remote::command::{Command, Hook, Put};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::story::Fate;
use crate::world::{Reached, SimFleet};

/// Hears of every command in the moment in which the controller decides to send it.
pub(crate) type Overseer = Rc<dyn Fn(&HostName, &Command)>;

/// How far a controller is, and what becomes of it.
pub(crate) struct Life {
    fate: Fate,
    steps: Cell<u64>,
    is_dead: Cell<bool>,
    sleeps_until: Cell<Option<Instant>>,
    signals: watch::Sender<Option<Signal>>,
    overseer: Overseer,
}

impl Life {
    pub(crate) fn new(fate: Fate, overseer: Overseer) -> Rc<Self> {
        Rc::new(Self {
            fate,
            steps: Cell::new(0),
            is_dead: Cell::new(false),
            sleeps_until: Cell::new(None),
            signals: watch::channel(None).0,
            overseer,
        })
    }

    pub(crate) fn signals(&self) -> watch::Receiver<Option<Signal>> {
        self.signals.subscribe()
    }

    async fn step(&self) {
        if self.is_dead.get() {
            pending::<()>().await;
        }
        self.steps.set(self.steps.get() + 1);
        let now = self.steps.get();
        match self.fate {
            Fate::Dies(at) if at == now => {
                self.is_dead.set(true);
                pending::<()>().await;
            }
            Fate::Sleeps(at, long) if at == now => {
                self.sleeps_until.set(Some(Instant::now() + long));
            }
            Fate::Signalled(at, signal) if at == now => {
                self.signals.send_replace(Some(signal));
            }
            _ => {}
        }
        // A process that stops does so wherever it is.
        while self.sleeps_until.get().is_some() {
            let mut was_polled = false;
            poll_fn(|context| {
                if std::mem::replace(&mut was_polled, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }

    /// Lets the controller live for as long as it may; `None` if it died.
    pub(crate) async fn lead<T>(&self, controller: impl Future<Output = T>) -> Option<T> {
        let mut controller = pin!(controller);
        let mut bed: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            loop {
                if let Some(sleep) = &mut bed {
                    if sleep.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    bed = None;
                    self.sleeps_until.set(None);
                }
                if let Poll::Ready(end) = controller.as_mut().poll(context) {
                    return Poll::Ready(Some(end));
                }
                if self.is_dead.get() {
                    return Poll::Ready(None);
                }
                match self.sleeps_until.get() {
                    Some(until) => bed = Some(Box::pin(sleep_until(until))),
                    None => return Poll::Pending,
                }
            }
        })
        .await
    }
}

/// The fleet as one controller reaches it.
pub(crate) struct LedFleet(pub(crate) SimFleet, pub(crate) Rc<Life>);

/// A host as one controller reaches it.
pub(crate) struct LedHost {
    reached: Reached,
    name: HostName,
    life: Rc<Life>,
}

impl Fleet for LedFleet {
    type Host = LedHost;

    async fn connect(&self, host: &HostName) -> Result<LedHost, ConnectFailure> {
        self.1.step().await;
        let reached = self.0.connect(host).await?;
        Ok(LedHost {
            reached,
            name: host.clone(),
            life: self.1.clone(),
        })
    }

    fn controller(&self) -> &dyn Controller {
        self
    }
}

impl Controller for LedFleet {
    fn hook<'a>(
        &'a self,
        hook: &'a Hook,
        folder: &'a Path,
    ) -> LocalBoxFuture<'a, Result<HookAnswer, CallError>> {
        Box::pin(async move {
            self.1.step().await;
            let answer = self.0.hook(hook, folder).await;
            self.1.step().await;
            answer
        })
    }
}

impl LedHost {
    /// Steps before the call, when it is sent, and when its answer is there.
    async fn led<T>(&self, command: &Command, call: impl Future<Output = T>) -> T {
        (self.life.overseer)(&self.name, command);
        self.life.step().await;
        let mut call = pin!(call);
        let at_once = poll_fn(|context| {
            Poll::Ready(match call.as_mut().poll(context) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            })
        });
        let answer = at_once.await;
        self.life.step().await;
        let answer = match answer {
            Some(answer) => answer,
            None => call.await,
        };
        self.life.step().await;
        answer
    }
}

impl Host for LedHost {
    async fn run(&self, command: &Command, deadline: Duration) -> Result<Answer, CallError> {
        self.led(command, self.reached.run(command, deadline)).await
    }

    async fn put(
        &self,
        put: &Put,
        source: &Path,
        stall: Duration,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Answer, CallError> {
        let command = Command::Put(put.clone());
        self.led(&command, self.reached.put(put, source, stall, progress))
            .await
    }

    async fn http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        self.reached.http(request).await
    }

    async fn forget_http(&self, address: &str, port: u16) {
        self.reached.forget_http(address, port).await;
    }
}

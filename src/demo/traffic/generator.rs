//! Sends requests at a steady rate, four kinds in turn: GET and POST, on new and on kept-alive
//! connections.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::client::{Answer, Connection, Lost};
use super::summary::{FailureExample, Notes, Summary};
use super::{Order, TrafficOptions};

struct Generator {
    options: TrafficOptions,
    began: Instant,
    notes: RefCell<Notes>,
    /// Idle connections; the one that has been idle longest is used first.
    idle: RefCell<VecDeque<Connection>>,
    /// How many of those that are kept alive carry a request now.
    busy: Cell<usize>,
}

/// Counts a kept-alive connection as busy until it is dropped, also by a deadline.
struct Busy<'a>(&'a Cell<usize>);

impl<'a> Busy<'a> {
    fn new(count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    NewConnection,
    KeptAlive,
}

pub(super) async fn generate(options: TrafficOptions, mut orders: mpsc::UnboundedReceiver<Order>) -> Summary {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / options.requests_per_second.max(1));
    // A stall of ours must not lower the rate.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let generator = Rc::new(Generator {
        options,
        began: Instant::now(),
        notes: RefCell::default(),
        idle: RefCell::default(),
        busy: Cell::new(0),
    });
    let mut requests = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Order::Count(answer)) => {
                    let _ = answer.send(generator.notes.borrow().summary.counts);
                }
                Some(Order::Stop) | None => break,
            },
            Some(_) = requests.join_next() => {}
            _ = ticks.tick() => {
                requests.spawn_local(Rc::clone(&generator).request(number));
                number += 1;
            }
        }
    }
    while requests.join_next().await.is_some() {}
    let notes = generator.notes.take();
    notes.finish(generator.began.elapsed())
}

impl Generator {
    async fn request(self: Rc<Self>, number: u64) {
        let method = match self.options.echo_path {
            Some(_) if number % 2 == 1 => Method::POST,
            _ => Method::GET,
        };
        let carrier = [Carrier::NewConnection, Carrier::KeptAlive][usize::from(number % 4 >= 2)];
        let began = Instant::now();
        let asked = self.ask(&method, carrier, number);
        let outcome = tokio::time::timeout(self.options.deadline, asked).await;
        let judged = match outcome {
            Ok(Ok(answer)) => self.judge(&method, number, &answer),
            Ok(Err(lost)) => Err(lost.reason()),
            Err(_) => Err(format!("no answer within {:?}", self.options.deadline)),
        };
        let mut notes = self.notes.borrow_mut();
        match judged {
            Ok(version) => notes.serve(began.elapsed(), version),
            Err(reason) => notes.fail(FailureExample {
                at: began - self.began,
                request: format!("{method} {} {}", self.path(&method), carrier.name()),
                reason,
            }),
        }
    }

    async fn ask(&self, method: &Method, carrier: Carrier, number: u64) -> Result<Answer, Lost> {
        if carrier == Carrier::NewConnection {
            let mut connection = self.open().await?;
            return connection.ask(self.message(method, carrier, number)).await;
        }
        let idle = self.take_idle();
        let busy = Busy::new(&self.busy);
        if let Some(mut connection) = idle {
            match connection.ask(self.message(method, carrier, number)).await {
                Ok(answer) => {
                    drop(busy);
                    self.keep(connection);
                    return Ok(answer);
                }
                Err(Lost::BeforeAnyByte(_)) => self.notes.borrow_mut().summary.counts.retried += 1,
                Err(lost) => return Err(lost),
            }
        }
        let mut connection = self.open().await?;
        let answer = connection.ask(self.message(method, carrier, number)).await?;
        drop(busy);
        self.keep(connection);
        Ok(answer)
    }

    async fn open(&self) -> Result<Connection, Lost> {
        let opened = Connection::open(self.options.address).await;
        opened.map_err(|error| Lost::BeforeAnyByte(error.to_string()))
    }

    /// An idle connection, once there are as many as are to be kept.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        idle.retain(Connection::is_open);
        if idle.len() + self.busy.get() < self.options.kept_alive {
            return None;
        }
        idle.pop_front()
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if connection.is_open() && idle.len() + self.busy.get() < self.options.kept_alive {
            idle.push_back(connection);
        }
    }

    fn path(&self, method: &Method) -> &str {
        match &self.options.echo_path {
            Some(path) if *method == Method::POST => path,
            _ => &self.options.get_path,
        }
    }

    fn message(&self, method: &Method, carrier: Carrier, number: u64) -> Request<Full<Bytes>> {
        let mut message = Request::builder()
            .method(method)
            .uri(self.path(method))
            .header("host", &self.options.host_header)
            .header("user-agent", "nonstop-traffic");
        if carrier == Carrier::NewConnection {
            message = message.header("connection", "close");
        }
        let body = if *method == Method::POST {
            message = message.header("content-type", "text/plain");
            posted(number)
        } else {
            Bytes::new()
        };
        message
            .body(Full::new(body))
            .expect("paths and names were made for requests")
    }

    /// The version, where the answer names one, or why the answer is not what it should be.
    fn judge(&self, method: &Method, number: u64, answer: &Answer) -> Result<Option<String>, String> {
        if answer.status != StatusCode::OK {
            return Err(format!("answered {}", answer.status));
        }
        if *method == Method::POST {
            if answer.body != posted(number) {
                return Err("answered with another body than was posted".to_owned());
            }
            return Ok(None);
        }
        let is_version = self.options.get_path.ends_with("/version");
        let version = String::from_utf8_lossy(&answer.body);
        Ok(is_version.then(|| version.trim().chars().take(80).collect()))
    }
}

impl Carrier {
    fn name(self) -> &'static str {
        match self {
            Self::NewConnection => "on a new connection",
            Self::KeptAlive => "on a kept-alive connection",
        }
    }
}

fn posted(number: u64) -> Bytes {
    format!("request {number}").into()
}
